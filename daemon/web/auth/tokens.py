"""What people do about their own API tokens and sessions; admins about everybody's."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from daemon.core.people.access import (
    NEEDED,
    TOKEN_PREFIX,
    ApiToken,
    Credentials,
    Session,
    hash_of,
    reaches,
)
from daemon.core.people.scopes import Scope
from daemon.web.auth.identity import Identity
from daemon.web.errors import HttpProblem

_log = structlog.get_logger()

MOST_TOKENS = 100
"""API tokens of one person."""
NAME = r"[A-Za-z0-9_][A-Za-z0-9_ .:/@-]{0,62}"
LASTS = timedelta(days=90)
"""How long a token is valid if nothing else was said."""
_LONGEST = timedelta(days=366_000)
"""Within the calendar, and longer than anything that the API takes."""


@dataclass(frozen=True)
class TokenRegistry:
    """The tokens and sessions that an identity may see and end."""

    credentials: Credentials
    clock: Callable[[], datetime]

    async def tokens(self, who: Identity, *, everybody: bool = False) -> Sequence[ApiToken]:
        """The tokens of whoever asks; an admin may see everybody's. Raises Problem 403."""
        who.require("admin" if everybody else "viewer")
        return await self.credentials.tokens(None if everybody else who.person)

    async def sessions(self, who: Identity, *, everybody: bool = False) -> Sequence[Session]:
        """The sessions, likewise."""
        who.require("admin" if everybody else "viewer")
        return await self.credentials.sessions(self.clock(), None if everybody else who.person)

    async def create(
        self, who: Identity, name: str, scopes: Sequence[Scope], lasts: timedelta | None
    ) -> tuple[ApiToken, str]:
        """A new token, and what proves it, which nobody can see again. Without `lasts` it has
        no end. Raises Problem 400, 403, 409."""
        _must_be_themselves(who)
        if who.guest:
            text = f"{who.person} is not in the roster, and only people there have API tokens"
            raise HttpProblem(403, "Not allowed", text)
        if not re.fullmatch(NAME, name):
            text = "name: 1 to 63 letters, digits and . _ - : / @, to know the token by later"
            raise HttpProblem(400, "Bad request", text)
        if lasts is not None and not timedelta(0) < lasts <= _LONGEST:
            raise HttpProblem(
                400, "Bad request", "expires: a time like 90d; leave it out for no end"
            )
        if not scopes:
            raise HttpProblem(400, "Bad request", f"scopes: at least one of {', '.join(NEEDED)}")
        for scope in scopes:
            if not reaches(who.access, NEEDED[scope]):
                text = f"the scope `{scope}` needs the access `{NEEDED[scope]}`"
                mend = f"{who.person} has `{who.access}`; a token gives no more than its person has"
                raise HttpProblem(403, "Not allowed", f"{text}: {mend}")
        now = self.clock()
        own = await self.credentials.tokens(who.person)
        if sum(token.valid(now) for token in own) >= MOST_TOKENS:
            raise HttpProblem(
                409, "Too many tokens", f"{who.person} has {MOST_TOKENS}; revoke some first"
            )
        value = TOKEN_PREFIX + secrets.token_urlsafe(32)
        token = ApiToken(
            id=secrets.token_hex(4),
            person=who.person,
            name=name,
            scopes=tuple(scope for scope in NEEDED if scope in scopes),
            created_at=now,
            expires_at=None if lasts is None else now + lasts,
        )
        await self.credentials.add_token(token, hash_of(value))
        _log.info("API token created", person=who.person, id=token.id, scopes=token.scopes)
        return token, value

    async def revoke(self, who: Identity, token: str) -> None:
        """Make a token invalid. Raises Problem 403, 404."""
        _must_be_themselves(who)
        seen = await self.tokens(who, everybody=who.may("admin"))
        if token not in {each.id for each in seen} or not await self.credentials.revoke_token(
            token, who.person, self.clock()
        ):
            raise HttpProblem(404, "No such token", "`stopgap token list` shows your own")
        _log.info("API token revoked", person=who.person, id=token)

    async def end(self, who: Identity, session: str) -> None:
        """End a session. Raises Problem 403, 404."""
        _must_be_themselves(who)
        seen = await self.sessions(who, everybody=who.may("admin"))
        ended = next((each for each in seen if each.id == session), None)
        if ended is None or not await self.credentials.end_session(session):
            raise HttpProblem(404, "No such session", "it has ended already")
        _log.info("session ended", person=ended.person, by=who.person)


def _must_be_themselves(who: Identity) -> None:
    """Raises Problem 403 for an API token: one that leaked must not make itself a successor."""
    if who.scopes is not None:
        raise HttpProblem(
            403,
            "Not allowed",
            "an API token makes and revokes none: use your own login at /you, or the token that "
            "the roster names",
        )
