"""OpenID Connect: discovery, the authorization code flow with PKCE, and the check of ID tokens.

joserfc verifies signatures and claims; aiohttp carries what is asked. Nothing that a provider
answers is repeated but the words of its error, and no redirect is followed.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

import aiohttp
from joserfc import jwt
from joserfc.errors import (
    BadSignatureError,
    ExpiredTokenError,
    InvalidKeyIdError,
    JoseError,
)
from joserfc.jwk import JWKRegistry, Key, KeySet
from yarl import URL

from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.outgoing import AddressRefused
from daemon.core.values.units import printable

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Signatures by the provider's private key. Neither `none` nor a shared secret is among them."""
LEEWAY = timedelta(minutes=1)
"""How much the provider's clock may differ from ours."""
TIMEOUT = timedelta(seconds=10)
_READ = 512 * 1024
"""Bytes of an answer that are read; more are none."""
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class OpenIdProvider:
    """`daemon.core.people.access.IdentityProvider`. What it tells of itself is asked once, its keys
    again when a token was signed by another one."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        issuer: str,
        client_id: str,
        client_secret: str | None,
        scopes: tuple[str, ...],
    ) -> None:
        self._session = session
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._scopes = scopes
        self._about: Mapping[str, Any] = {}
        self._keys = KeySet([])

    async def address(self, redirect: str, state: str, nonce: str, verifier: str) -> str:
        """Where the browser goes to log in. Raises Temporary or Permanent."""
        about = await self._discovered()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect,
            "scope": " ".join(self._scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge.rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return str(URL(about["authorization_endpoint"]).update_query(query))

    async def claims(
        self, code: str, redirect: str, nonce: str, verifier: str, now: datetime
    ) -> Mapping[str, Any]:
        """Exchange the code for the claims of an ID token that was checked. Raises Temporary if
        the provider cannot be asked now, Permanent if it refuses or its token is not good."""
        about = await self._discovered()
        given = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect,
            "code_verifier": verifier,
        }
        headers = {"Accept": "application/json"}
        if self._client_secret is None:
            given["client_id"] = self._client_id
        elif self._wants_secret_in_body(about):
            given |= {"client_id": self._client_id, "client_secret": self._client_secret}
        else:
            headers["Authorization"] = _basic(self._client_id, self._client_secret)
        answer = await self._request("POST", about["token_endpoint"], data=given, headers=headers)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise Permanent("the identity provider gave no ID token; is `openid` in its scopes?")
        return await self._checked(token, about, nonce, now)

    async def _checked(
        self, token: str, about: Mapping[str, Any], nonce: str, now: datetime
    ) -> Mapping[str, Any]:
        claims = await self._signed(token, about)
        registry = jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=int(LEEWAY.total_seconds()),
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            registry.validate(claims)
        except ExpiredTokenError:
            raise Permanent(
                "the ID token is expired; are the clocks of the provider and of this machine right?"
            ) from None
        except JoseError as error:
            raise Permanent(f"the ID token is not for us: {_reason(error)}") from None
        if claims.get("azp", self._client_id) != self._client_id:
            raise Permanent("the ID token is not for us: it was issued to another client (azp)")
        return claims

    async def _signed(self, token: str, about: Mapping[str, Any]) -> dict[str, Any]:
        """The claims, once their signature is the provider's. If it does not fit the keys that
        we have, they are asked for once more, so that a rotation is no outage."""
        for fresh in (False, True) if self._keys else (True,):
            if fresh:
                self._keys = await self._asked_keys(about["jwks_uri"])
            try:
                return dict(jwt.decode(token, self._keys, ALGORITHMS).claims)
            except (InvalidKeyIdError, BadSignatureError) as error:
                reason = _reason(error)
            except (JoseError, ValueError) as error:
                reason = _reason(error)
                break
        raise Permanent(f"the ID token's signature is not good: {reason}")

    async def _asked_keys(self, url: str) -> KeySet:
        answer = await self._request("GET", url)
        found = answer.get("keys")
        keys = [_key(each) for each in found] if isinstance(found, list) else []
        return KeySet([key for key in keys if key is not None])

    async def _discovered(self) -> Mapping[str, Any]:
        """What the provider tells of itself. Raises Temporary, Permanent."""
        if not self._about:
            url = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
            about = await self._request("GET", url)
            if about.get("issuer") != self._issuer:
                raise Permanent(
                    f"{url} calls itself another issuer: `auth.oidc.issuer` must be exactly the "
                    f"`issuer` there, {printable(str(about.get('issuer')))[:200]}"
                )
            for name in _ENDPOINTS:
                _check_address(name, about.get(name), self._issuer)
            self._about = about
        return self._about

    def _wants_secret_in_body(self, about: Mapping[str, Any]) -> bool:
        methods = about.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        return "client_secret_basic" not in methods and "client_secret_post" in methods

    async def _request(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        """The JSON object that the provider answers. Raises Temporary, Permanent."""
        host = URL(url).host
        try:
            async with self._session.request(
                method,
                url,
                timeout=aiohttp.ClientTimeout(total=TIMEOUT.total_seconds()),
                allow_redirects=False,
                **more,
            ) as answer:
                status = answer.status
                content = await _limited(answer)
        except AddressRefused as error:
            raise AddressRefused(f"the identity provider {host}: {error}") from None
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            text = f"the identity provider {host} cannot be reached ({type(error).__name__})"
            raise Temporary(f"{text}; a password or a token still lets you in") from None
        try:
            payload = json.loads(content)
        except (ValueError, RecursionError):
            payload = None
        if status == 200 and isinstance(payload, dict):
            return payload
        message = f"the identity provider {host} answered {status}{_error_text(payload)}"
        raise Temporary(message) if status == 429 or status >= 500 else Permanent(message)


async def _limited(answer: aiohttp.ClientResponse) -> bytes:
    """The body; nothing of one that is too long."""
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > _READ:
            return b""
    return bytes(body)


def _key(given: Any) -> Key | None:
    """A public key of the provider for signatures; none if it is for something else."""
    if not isinstance(given, dict) or given.get("kty") == "oct" or given.get("use") == "enc":
        return None
    try:
        return JWKRegistry.import_key(given)
    except (JoseError, ValueError, TypeError, KeyError):
        return None  # a kind of key that we do not know; the others are good all the same


def _check_address(name: str, given: Any, issuer: str) -> None:
    """Raises Permanent unless it is a URL as safe as the issuer's own."""
    try:
        url = URL(given) if isinstance(given, str) else URL()
    except ValueError:
        url = URL()
    safe = ("https",) if issuer.startswith("https:") else ("https", "http")
    if url.scheme not in safe or not url.host:
        raise Permanent(f"the identity provider's {name} is no URL of {' or '.join(safe)}")


def _basic(client_id: str, client_secret: str) -> str:
    """RFC 6749, section 2.3.1: both parts are form-encoded first."""
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _error_text(payload: Any) -> str:
    """The provider's own words for an error."""
    if not isinstance(payload, dict) or not isinstance(payload.get("error"), str):
        return ""
    more = payload.get("error_description")
    text = f"{payload['error']}: {more}" if isinstance(more, str) else payload["error"]
    return f": {printable(text)[:300]}"


def _reason(error: Exception) -> str:
    return printable(str(error))[:200]
