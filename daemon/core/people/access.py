"""Who may do what: accesses, the scopes of API tokens, sessions; and the ports that keep them.

What proves an identity is never stored: of a session's cookie and of a token only the hash is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Literal, Protocol

from pydantic import BeforeValidator, WithJsonSchema

from daemon.core.people.contact_methods import REFERENCE
from daemon.core.people.scopes import Scope

Access = Literal["viewer", "responder", "admin"]
"""`viewer` sees everything; `responder` also does what people do in incidents; `admin` also looks
after the daemon: reload, other people's sessions and tokens."""
LEVELS: tuple[Access, ...] = ("viewer", "responder", "admin")

NEEDED: Mapping[Scope, Access] = {
    "read": "viewer",
    "respond": "responder",
    "admin": "admin",
    "changes": "responder",
    "alerts": "responder",
    "sentiment": "responder",
    "findings": "responder",
}
"""The access that a person needs for a token of that scope, when it is made and when it is used."""
BY_ACCESS: Mapping[Access, Scope] = {"viewer": "read", "responder": "respond", "admin": "admin"}
"""The scope that allows what needs that access, and less."""

TOKEN_PREFIX = "stopgap_"  # noqa: S105 - by which scanners of leaked secrets know them

_HASH = re.compile(
    r"\$argon2id\$v=19\$m=\d{1,7},t=\d{1,3},p=\d{1,3}\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,172}"
)


def reaches(access: Access, needs: Access) -> bool:
    """Whether an access is at least that."""
    return LEVELS.index(access) >= LEVELS.index(needs)


def higher(one: Access, other: Access) -> Access:
    """The higher of two accesses."""
    return one if reaches(one, other) else other


def scopes_reach(scopes: Container[Scope], needs: Access) -> bool:
    """Whether one of the scopes allows what needs that access."""
    return any(BY_ACCESS[level] in scopes for level in LEVELS if reaches(level, needs))


def hash_of(secret: str) -> str:
    """The hash under which a random secret is stored: SHA-256 in hex. Not for passwords."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def is_password_hash(text: str) -> bool:
    """Whether it is an argon2id hash, as `stopgap password` prints it."""
    return _HASH.fullmatch(text) is not None


def _password(value: object) -> str:
    # The message must not repeat the value: it may be the password itself.
    if isinstance(value, str) and (is_password_hash(value) or REFERENCE.fullmatch(value)):
        return value
    raise ValueError(
        "write the hash that `stopgap password` prints, or say where it is, env:NAME or "
        "file:PATH; never the password itself"
    )


PasswordHash = Annotated[
    str,
    BeforeValidator(_password),
    WithJsonSchema({"type": "string", "pattern": f"^({REFERENCE.pattern}|{_HASH.pattern})$"}),
]
"""An argon2id hash, or where it is: `env:NAME`, `file:PATH`."""

Proof = Literal["password", "token", "oidc"]
"""By what somebody logged in."""


@dataclass(frozen=True)
class Session:
    """A browser that is logged in. `id` is the hash of what its cookie holds.

    `client`: the browser, as it calls itself. `granted`: an access by groups of the identity
    provider; the higher of it and the roster's holds. A `guest` is nobody of the roster.
    """

    id: str
    person: str
    proof: Proof
    started_at: datetime
    ends_at: datetime
    client: str = ""
    granted: Access | None = None
    guest: bool = False


@dataclass(frozen=True)
class ApiToken:
    """What is known of a token; the token itself was shown once. `used_on` in UTC."""

    id: str
    person: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None = None
    used_on: date | None = None
    revoked_at: datetime | None = None
    revoked_by: str | None = None

    def valid(self, now: datetime) -> bool:
        """Whether it lets anybody in."""
        return self.revoked_at is None and not self.expired(now)

    def expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now


class Credentials(Protocol):
    """Keeps sessions and API tokens. Every method raises Temporary if the store fails."""

    async def begin_session(self, session: Session) -> None:
        """Keep a session; those that are over when it starts are forgotten."""

    async def session(self, id: str, now: datetime) -> Session | None:  # noqa: A002
        """The session, unless it is over."""

    async def sessions(self, now: datetime, person: str | None = None) -> Sequence[Session]:
        """The sessions that are not over, of one person or of all; the newest first."""

    async def end_session(self, id: str) -> bool:  # noqa: A002
        """Forget a session; whether there was one."""

    async def add_token(self, token: ApiToken, digest: str) -> None:
        """Keep a new token under its hash."""

    async def token(self, digest: str) -> ApiToken | None:
        """The token with that hash, valid or not."""

    async def tokens(self, person: str | None = None) -> Sequence[ApiToken]:
        """The tokens that nobody revoked, of one person or of all; the newest first."""

    async def revoke_token(self, id: str, by: str, at: datetime) -> bool:  # noqa: A002
        """Make a token invalid for ever; whether one was there and not revoked yet."""

    async def used_token(self, id: str, on: date) -> None:  # noqa: A002
        """Note the day on which a token was last used."""


class IdentityProvider(Protocol):
    """An OpenID Connect provider, asked by the authorization code flow with PKCE."""

    async def address(self, redirect: str, state: str, nonce: str, verifier: str) -> str:
        """Where the browser goes to log in. Raises Temporary or Permanent."""

    async def claims(
        self, code: str, redirect: str, nonce: str, verifier: str, now: datetime
    ) -> Mapping[str, Any]:
        """Exchange the code for the claims of an ID token that was checked. Raises Temporary if
        the provider cannot be asked now, Permanent if it refuses or its token is not good."""
