"""Logging in by OpenID Connect: to the provider and back, and whom its claims mean.

What must come back the same (state, nonce, verifier) is in a signed cookie of that browser, so
that nobody else's answer passes for it, and a restart in between loses nobody's login.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog
from aiohttp import web

from daemon.config.auth import GroupAccess, OidcSettings
from daemon.config.settings import same_secret
from daemon.core.people.access import Access, IdentityProvider
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.units import printable
from daemon.web.auth.authenticator import Authenticator, Login
from daemon.web.auth.csrf import local_path
from daemon.web.auth.login_pages import login_page
from daemon.web.errors import HttpProblem
from daemon.web.site.layout import to

_log = structlog.get_logger()

CALLBACK = "/login/oidc/callback"
COOKIE = "oidc"
_PATIENCE = timedelta(minutes=10)
"""How long somebody may take at the provider."""
ANEW = "This login took too long, or was begun in another browser. Please log in again."


class OidcLogin:
    """The routes."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        return [web.get("/login/oidc", self.leave), web.get(CALLBACK, self.come_back)]

    async def leave(self, request: web.Request) -> web.Response:
        """Off to the provider."""
        provider, _ = self._configured()
        browser, path = self._authenticator.browser, local_path(request.query.get("next", "/"))
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in "123")
        try:
            address = await provider.address(browser.home(CALLBACK), state, nonce, verifier)
        except (Temporary, Permanent) as error:
            return self._failed(request, error, path)
        response = to(address)
        value = browser.sign([state, nonce, verifier, path], self._authenticator.clock())
        browser.keep(response, value, _PATIENCE, COOKIE)
        return response

    async def come_back(self, request: web.Request) -> web.Response:
        """Back from the provider, with a code that is good for one exchange."""
        provider, oidc = self._configured()
        browser, now = self._authenticator.browser, self._authenticator.clock()
        begun = browser.signed(browser.read(request, COOKIE), _PATIENCE, now)
        if begun is None or not same_secret(request.query.get("state", ""), begun[0]):
            return self._refused(request, HttpProblem(403, "Not logged in", ANEW), "/")
        _, nonce, verifier, path = begun
        try:
            code = _code(request, oidc)
            claims = await provider.claims(code, browser.home(CALLBACK), nonce, verifier, now)
            login = self._login(oidc, claims)
        except (Temporary, Permanent) as error:
            return self._failed(request, error, path)
        except HttpProblem as problem:
            return self._refused(request, problem, path)
        response = to(path)
        browser.drop(response, COOKIE)
        await self._authenticator.begin(request, response, login)
        return response

    def _configured(self) -> tuple[IdentityProvider, OidcSettings]:
        provider, oidc = self._authenticator.provider, self._authenticator.settings.oidc
        if provider is None or oidc is None:
            text = "a login by OpenID Connect is not set up: `auth.oidc` in stopgap.yaml"
            raise HttpProblem(404, "Not configured", text)
        return provider, oidc

    def _login(self, oidc: OidcSettings, claims: Mapping[str, Any]) -> Login:
        """Whom the claims mean. Raises Problem 403 with the mend."""
        claimed = claims.get(oidc.claim)
        if not isinstance(claimed, str) or not claimed.strip() or len(claimed) > 200:
            text = f"the ID token has no `{oidc.claim}`; `auth.oidc.claim` names what people are"
            raise HttpProblem(
                403, "Not logged in", f"{text} known by, `auth.oidc.scopes` asks for it"
            )
        if oidc.claim == "email" and claims.get("email_verified") not in (True, "true"):
            text = "the provider did not verify this mail address (`email_verified`); let it, or"
            raise HttpProblem(
                403, "Not logged in", f"{text} choose another claim in `auth.oidc.claim`"
            )
        roster, shown = self._authenticator.roster(), printable(claimed)
        name = roster.known_by(claimed)
        if name is not None:
            return Login(name, "oidc", granted=_granted(oidc.access, claims))
        if oidc.anyone is None or claimed in roster.people:
            text = f"{shown} is nobody whom the roster knows: set `people.NAME.known_as.oidc` to it"
            raise HttpProblem(403, "Not in the roster", text)
        return Login(shown, "oidc", guest=True)

    def _failed(
        self, request: web.Request, error: Temporary | Permanent, path: str
    ) -> web.Response:
        status = 503 if isinstance(error, Temporary) else 403
        return self._refused(request, HttpProblem(status, "Not logged in", str(error)), path)

    def _refused(self, request: web.Request, problem: HttpProblem, path: str) -> web.Response:
        address = self._authenticator.address(request)
        _log.warning("login by OpenID Connect failed", why=problem.detail, address=address)
        response = login_page(self._authenticator, problem.status, path, problem.detail)
        self._authenticator.browser.drop(response, COOKIE)
        return response


def _code(request: web.Request, oidc: OidcSettings) -> str:
    """The code of an answer that is the provider's. Raises Problem 403."""
    if request.query.get("iss", oidc.issuer) != oidc.issuer:
        raise HttpProblem(403, "Not logged in", "this answer is another provider's. " + ANEW)
    if "error" in request.query or not request.query.get("code"):
        parts = [request.query.get(name, "") for name in ("error", "error_description")]
        reason = printable(": ".join(filter(None, parts)))[:300] or "no code"
        raise HttpProblem(403, "Not logged in", f"the identity provider refused: {reason}")
    return request.query["code"]


def _granted(groups: GroupAccess, claims: Mapping[str, Any]) -> Access | None:
    """The access that the groups of somebody give."""
    claimed = claims.get(groups.claim)
    listed = claimed if isinstance(claimed, list) else [claimed]
    theirs = {group for group in listed if isinstance(group, str)}
    if theirs & set(groups.admin):
        return "admin"
    return "responder" if theirs & set(groups.responder) else None
