"""Who one is, and one's own API tokens."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from daemon.core.people.access import Access, ApiToken
from daemon.core.people.scopes import Scope
from daemon.core.values.units import Frozen
from daemon.web.api.operation import ApiOperation, Call
from daemon.web.api.request_parsing import Lasting
from daemon.web.api.stamp import Stamp
from daemon.web.auth.identity import Identity, Via
from daemon.web.auth.tokens import LASTS, NAME, TokenRegistry
from daemon.web.context import WebContext

_TAG = "access"
_TOKENS = "/api/v1/tokens"


class Myself(Frozen):
    """Who asks. `scopes` and `token` (its name) are those of an API token; `csrf` is what a
    browser's session sends back as `X-CSRF-Token` with whatever changes something."""

    person: str
    name: str
    access: Access
    via: Via
    guest: bool
    scopes: tuple[Scope, ...] | None
    token: str
    csrf: str


class Me(Frozen):
    """Who asks."""

    me: Myself


class TokenOwnerQuery(Frozen):
    """Whose tokens: one's own, or, for an admin, everybody's."""

    everybody: Literal["true", "false"] = "false"


class NewToken(Frozen):
    """A token to make. `expires`: after how long it is invalid; null for never."""

    name: str = Field(pattern=f"^{NAME}$")
    scopes: tuple[Scope, ...] = Field(min_length=1, max_length=10)
    expires: Lasting | None = Field(default=LASTS, json_schema_extra={"default": "90d"})


class TokenView(Frozen):
    """What may be seen of a token. `used_on`: the day of its last use, in UTC."""

    id: str
    person: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: Stamp
    expires_at: Stamp | None
    expired: bool
    used_on: date | None


class Tokens(Frozen):
    """The tokens that nobody revoked, the newest first."""

    tokens: tuple[TokenView, ...]


class Made(Frozen):
    """The new token, and the only place where its `secret` is ever seen."""

    token: TokenView
    secret: str


class OneToken(Frozen):
    """Which token."""

    id: str


class Revoked(Frozen):
    """The token that is invalid now."""

    revoked: str


class OwnAccess:
    """The rows."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._clock = context.authenticator.clock
        self._keyring = TokenRegistry(context.authenticator.credentials, self._clock)

    def operations(self) -> list[ApiOperation]:
        """The rows of the table."""
        new = {"name": "ci", "scopes": ["changes"], "expires": "90d"}
        return [
            ApiOperation("GET", "/api/v1/me", self.me, "anybody", _TAG),
            ApiOperation("GET", _TOKENS, self.tokens, "viewer", _TAG),
            ApiOperation(
                "POST",
                _TOKENS,
                self.create,
                "viewer",
                _TAG,
                status=201,
                errors=(409,),
                example=new,
            ),
            ApiOperation("DELETE", f"{_TOKENS}/{{id}}", self.revoke, "viewer", _TAG),
        ]

    async def me(self, call: Call[None, None, None]) -> Me:
        """Tell who asks, and what they may do."""
        who = _known(call.who)
        person = self._context.roster().people.get(who.person)
        return Me(
            me=Myself(
                person=who.person,
                name=who.person if person is None else person.name,
                access=who.access,
                via=who.via,
                guest=who.guest,
                scopes=None if who.scopes is None else tuple(who.scopes),
                token=who.token,
                csrf=who.csrf,
            )
        )

    async def tokens(self, call: Call[None, TokenOwnerQuery, None]) -> Tokens:
        """List one's own API tokens, or, as an admin, everybody's."""
        everybody = call.query.everybody == "true"
        found = await self._keyring.tokens(_known(call.who), everybody=everybody)
        return Tokens(tokens=tuple(self._view(token) for token in found))

    async def create(self, call: Call[None, None, NewToken]) -> Made:
        """Make an API token, which may do what its scopes say and its person may.

        The answer is the only place where it is ever seen. An API token makes none.
        """
        given = call.sent
        token, secret = await self._keyring.create(
            _known(call.who), given.name, given.scopes, given.expires
        )
        call.headers["Cache-Control"] = "no-store"
        return Made(token=self._view(token), secret=secret)

    async def revoke(self, call: Call[OneToken, None, None]) -> Revoked:
        """Make an API token invalid, at once and for ever; an admin anybody's."""
        await self._keyring.revoke(_known(call.who), call.at.id)
        return Revoked(revoked=call.at.id)

    def _view(self, token: ApiToken) -> TokenView:
        return TokenView(
            id=token.id,
            person=token.person,
            name=token.name,
            scopes=token.scopes,
            created_at=token.created_at,
            expires_at=token.expires_at,
            expired=token.expired(self._clock()),
            used_on=token.used_on,
        )


def _known(who: Identity | None) -> Identity:
    """Somebody: the rows here are for people."""
    assert who is not None  # noqa: S101 - what the rows need says so
    return who
