"""An OpenID Connect provider as far as we talk with it: discovery, login, code, keys.

It holds us to the flow: the code serves once and for the client, the redirect and the verifier
that it was made for.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet

from tests.doubles.serving import Double

CLIENT = "stopgap"
SECRET = "s3cret: with/odd+characters"
MINUTES = 60


class Provider(Double):
    """`now`: its clock. `changes`: to the claims of the next ID tokens; None leaves one out.
    `about`: changes to what it tells of itself. `signs`: how a token is made."""

    def __init__(self, now: datetime) -> None:
        super().__init__()
        self.now = now
        self.key: Key = new_key("first")
        self.published: list[Key] = [self.key]
        self.changes: dict[str, Any] = {}
        self.about: dict[str, Any] = {}
        self.signs = self.signed
        self.answers: dict[str, Any] | None = None
        self._codes: dict[str, dict[str, str]] = {}

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/.well-known/openid-configuration", self.discovery),
            web.post("/token", self.token),
            web.get("/keys", self.keys),
        ]

    async def discovery(self, _: web.Request) -> web.Response:
        """What it tells of itself."""
        about = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize?tenant=1",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
        }
        return web.json_response({**about, **self.about})

    async def keys(self, _: web.Request) -> web.Response:
        """Its public keys, and others that are not for us."""
        public = KeySet(self.published).as_dict(private=False)["keys"]
        odd = [{"kty": "future"}, {"kty": "oct", "k": "c2VjcmV0"}, "x", {"kty": "RSA", "n": "!"}]
        return web.json_response({"keys": [*odd, *public]})

    def agrees(self, address: str, **claims: Any) -> str:
        """Somebody logs in there; the path by which their browser comes back to us."""
        url = urlsplit(address)
        given = {name: values[0] for name, values in parse_qs(url.query).items()}
        assert f"{url.scheme}://{url.netloc}" == self.url
        assert (url.path, given["tenant"], given["response_type"]) == ("/authorize", "1", "code")
        assert given["client_id"] == CLIENT
        assert given["code_challenge_method"] == "S256"
        assert "openid" in given["scope"].split()
        code = secrets.token_hex(8)
        self._codes[code] = {**given, "claims": json.dumps(claims)}
        return f"{urlsplit(given['redirect_uri']).path}?" + urlencode(
            {"code": code, "state": given["state"], "iss": self.url}
        )

    async def token(self, request: web.Request) -> web.Response:
        """The code becomes an ID token."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        if _client(request, form) not in {(CLIENT, SECRET), (CLIENT, "")}:
            return _error("invalid_client", 401)
        asked = self._codes.pop(form.get("code", ""), None)
        if asked is None:
            return _error("invalid_grant")
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (challenge, form["redirect_uri"]) != (asked["code_challenge"], asked["redirect_uri"]):
            return _error("invalid_grant")
        at = int(self.now.timestamp())
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": "f00d",
            "iat": at,
            "exp": at + 5 * MINUTES,
            "nonce": asked["nonce"],
            **json.loads(asked["claims"]),
            **self.changes,
        }
        kept = {name: value for name, value in claims.items() if value is not None}
        answer = {"access_token": "x", "token_type": "Bearer", "id_token": self.signs(kept)}
        return web.json_response(answer if self.answers is None else self.answers)

    def signed(self, claims: dict[str, Any]) -> str:
        """As it should be."""
        algorithm = "ES256" if self.key.key_type == "EC" else "RS256"
        header = {"alg": algorithm, "kid": self.key.kid}
        return jwt.encode(header, claims, self.key, [algorithm])


def new_key(kid: str) -> ECKey:
    """A key of its own."""
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig"})


def unsigned(claims: dict[str, Any]) -> str:
    """Anybody's claims with the algorithm `none`."""
    parts = [{"alg": "none", "typ": "JWT", "kid": "first"}, claims]
    coded = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts]
    return ".".join([*coded, ""])


def _client(request: web.Request, form: dict[str, str]) -> tuple[str, str]:
    kind, _, coded = request.headers.get("Authorization", "").partition(" ")
    if kind == "Basic":
        name, _, secret = base64.b64decode(coded).decode().partition(":")
        return unquote_plus(name), unquote_plus(secret)
    return form.get("client_id", ""), form.get("client_secret", "")


def _error(name: str, status: int = 400) -> web.Response:
    said = {"error": name, "error_description": "not\x1b this time"}
    return web.json_response(said, status=status)
