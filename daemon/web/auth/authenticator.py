"""Recognises who asks: by token, by the session of a browser, or by a trusted proxy's word."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
from aiohttp import web

from daemon.config.active import Live
from daemon.config.auth import AuthSettings
from daemon.config.settings import same_secret
from daemon.core.people.access import (
    TOKEN_PREFIX,
    Access,
    Credentials,
    IdentityProvider,
    Proof,
    Session,
    hash_of,
    higher,
)
from daemon.core.people.roster import Roster
from daemon.core.people.scopes import Scope
from daemon.core.values.outcome import Temporary
from daemon.core.values.units import printable
from daemon.web.auth.csrf import Browser
from daemon.web.auth.identity import Identity
from daemon.web.auth.passwords import Passwords
from daemon.web.auth.secrets import SIGNATURE_HEADER, SecretCheck, any_token, bearer
from daemon.web.body import raw_body
from daemon.web.errors import HttpProblem

_log = structlog.get_logger()

CLIENT_LENGTH = 200
"""So much is kept of what a browser calls itself."""
WHO = (
    "send `Authorization: Bearer …` with your own token, or log in at /login; for the command "
    "line set STOPGAP_TOKEN, or give --token-file"
)
_UNKNOWN = (
    "nobody here has this token; is it copied in full, of this daemon, and neither revoked nor "
    "expired? Yours stands where the roster names it (`people: NAME: token`), or make one at /you"
)


@dataclass(frozen=True)
class Login:
    """Somebody proved who they are; see `daemon.core.people.access.Session`."""

    person: str
    proof: Proof
    granted: Access | None = None
    guest: bool = False


@dataclass(frozen=True)
class Authenticator:
    """All that is known of who may come in; the roster and its secrets change with a reload."""

    settings: AuthSettings
    credentials: Credentials
    roster: Callable[[], Roster]
    secrets: Live[SecretCheck]
    browser: Browser
    passwords: Passwords
    clock: Callable[[], datetime]
    provider: IdentityProvider | None = None

    async def identify(self, request: web.Request) -> Identity:
        """Who asks. Raises Problem 401; 403 if a proxy names nobody whom the roster knows, or if
        a browser's change does not come from our own pages."""
        token = bearer(request)
        if token:
            identity = await self._by_token(token)
        else:
            identity = await self._by_session(request) or self._by_proxy(request)
        if identity is None:
            raise HttpProblem(401, "Who are you?", _UNKNOWN if token else WHO)
        await self.browser.check(request, identity)
        return identity

    async def sender(self, request: web.Request, scope: Scope) -> None:
        """Whether this system may deliver: by the webhook token, by a signature of Grafana's, or by
        an API token that has the scope itself. Raises Problem 401, 403."""
        token = any_token(request)
        identity = await self._by_api_token(token) if token.startswith(TOKEN_PREFIX) else None
        if identity is not None:
            identity.require_scope(scope)
        elif not await self._signed(request):
            self.secrets.now.sender(request)

    async def _signed(self, request: web.Request) -> bool:
        signing = self.secrets.now.signing
        if signing is None or SIGNATURE_HEADER not in request.headers:
            return False
        return signing.signed(request, await raw_body(request), self.clock())

    async def begin(self, request: web.Request, response: web.Response, login: Login) -> None:
        """Begin a session, which ends the one that this browser had before."""
        before = self.browser.read(request)
        if before:
            await self.credentials.end_session(hash_of(before))
        start, now = secrets.token_urlsafe(32), self.clock()
        credential = self._credential(login.person, login.proof) or ""
        value = f"{start}.{self.browser.bound(start, credential)[0]}"
        session = Session(
            id=hash_of(value),
            person=login.person,
            proof=login.proof,
            started_at=now,
            ends_at=now + self.settings.session,
            client=printable(request.headers.get("User-Agent", "")[:CLIENT_LENGTH]),
            granted=login.granted,
            guest=login.guest,
        )
        await self.credentials.begin_session(session)
        self.browser.keep(response, value, self.settings.session)
        _log.info("login", person=login.person, proof=login.proof, address=self.address(request))

    async def end(self, request: web.Request, who: Identity) -> None:
        """End the session by which somebody came."""
        await self.credentials.end_session(who.session)
        _log.info("logout", person=who.person, address=self.address(request))

    def address(self, request: web.Request) -> str:
        """Where a request comes from; beyond a trusted proxy, if there is one."""
        found, proxy = request.remote or "", self.settings.proxy
        if proxy is None or not proxy.trusts(found):
            return found
        for hop in reversed(",".join(request.headers.getall("X-Forwarded-For", ())).split(",")):
            try:
                found = str(ipaddress.ip_address(hop.strip()))
            except ValueError:
                break
            if not proxy.trusts(found):
                break
        return found

    async def _by_token(self, token: str) -> Identity | None:
        name = self.secrets.now.person_of(token)
        person = self.roster().people.get(name or "")
        if name is not None and person is not None:
            return Identity(name, person.access, "token")
        return await self._by_api_token(token) if token.startswith(TOKEN_PREFIX) else None

    async def _by_api_token(self, token: str) -> Identity | None:
        known = await self.credentials.token(hash_of(token))
        now = self.clock()
        if known is None or not known.valid(now):
            return None
        person = self.roster().people.get(known.person)
        if person is None:
            return None
        if known.used_on != now.date():
            try:
                await self.credentials.used_token(known.id, now.date())
            except Temporary as error:  # the store may only read; that is no reason to refuse
                _log.warning("the use of a token was not noted", id=known.id, error=str(error))
        return Identity(known.person, person.access, "token", scopes=known.scopes, token=known.name)

    async def _by_session(self, request: web.Request) -> Identity | None:
        value = self.browser.read(request)
        session = None
        if value:
            session = await self.credentials.session(hash_of(value), self.clock())
        access = None if session is None else self._access(session)
        if session is None or access is None or not self._still_proven(value, session):
            return None
        csrf, *before = self.browser.csrf("session", session.id)
        return Identity(
            session.person,
            access,
            "session",
            csrf=csrf,
            csrf_before=before,
            session=session.id,
            guest=session.guest,
        )

    def _credential(self, person: str, proof: Proof) -> str | None:
        """What proves that person today; None if nothing of that kind does any more."""
        if proof == "oidc":
            return None if self.settings.oidc is None else self.settings.oidc.issuer
        keeper = self.secrets.now
        return keeper.token_of(person) if proof == "token" else keeper.password_of(person)

    def _still_proven(self, value: str, session: Session) -> bool:
        """Whether what began a session is in force: a changed password ends what it began."""
        start, _, bound = value.rpartition(".")
        credential = self._credential(session.person, session.proof)
        if credential is None:
            return False
        return any(same_secret(bound, ours) for ours in self.browser.bound(start, credential))

    def _access(self, session: Session) -> Access | None:
        """What the session's person may do today; None if they may not come in any more."""
        person, oidc = self.roster().people.get(session.person), self.settings.oidc
        if session.guest:
            return None if person is not None or oidc is None else oidc.anyone
        if person is None:
            return None
        return higher(person.access, session.granted or "viewer")

    def _by_proxy(self, request: web.Request) -> Identity | None:
        proxy = self.settings.proxy
        if proxy is None or proxy.header is None or not proxy.trusts(request.remote):
            return None
        names = [value.strip() for value in request.headers.getall(proxy.header, ())]
        if not any(names):
            return None
        roster = self.roster()
        name = roster.known_by(names[0]) if len(names) == 1 else None
        if name is None:
            who = printable(" and ".join(names))[:200]
            raise HttpProblem(
                403,
                "Not in the roster",
                f"the proxy says you are {who}, whom the roster does not know: set "
                "`people.NAME.known_as.oidc` to it",
            )
        csrf, *before = self.browser.csrf("proxy", name)
        access = roster.people[name].access
        return Identity(name, access, "proxy", csrf=csrf, csrf_before=before)
