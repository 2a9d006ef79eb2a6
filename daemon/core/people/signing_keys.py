"""The keys that sign links and logins: one signs, those before it verify what they have signed.

Rotating makes a new key. The one before it still verifies, each kind of thing for as long as that
lives, and what needs longer for a grace; revoked, it verifies nothing from that moment on. Pure:
who makes a new key brings its secret.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol

from pydantic import Field

from daemon.core.values.units import Frozen

KEY_ID = re.compile(r"[0-9a-f]{8}")
KEPT_KEYS = 20
"""So many keys that verify nothing any more are still listed."""

KeyState = Literal["signs", "verifies", "over", "revoked"]


class SigningKey(Frozen):
    """A key. `made_at` is None for one from before keys had dates; `nameless`: it has signed links
    that do not say by which key. The secret is empty once nothing may be verified by it."""

    id: str = Field(pattern=f"^{KEY_ID.pattern}$")
    secret: str = Field(repr=False)
    made_at: datetime | None = None
    made_by: str = ""
    retired_at: datetime | None = None
    retired_by: str = ""
    revoked: bool = False
    nameless: bool = False

    def verifies(self, now: datetime, lifetime: timedelta) -> bool:
        """Whether what it signed, and lives so long, can still be valid."""
        if not self.secret:
            return False
        return self.retired_at is None or now - self.retired_at <= lifetime

    def state(self, now: datetime, longest: timedelta) -> KeyState:
        """How it stands; `longest` lives what lives longest of what keys sign."""
        if self.retired_at is None:
            return "signs"
        if self.revoked:
            return "revoked"
        return "verifies" if self.verifies(now, longest) else "over"


class SigningKeys(Frozen):
    """The keys of a store, the oldest first; the last one signs."""

    keys: tuple[SigningKey, ...] = Field(min_length=1)

    @property
    def signing(self) -> SigningKey:
        """The key that signs."""
        return self.keys[-1]

    def named(self, id: str) -> SigningKey | None:  # noqa: A002
        """The key of that id."""
        return next((key for key in self.keys if key.id == id), None)

    def secrets(self, now: datetime, lifetime: timedelta) -> Sequence[str]:
        """What verifies things of that lifetime, the oldest first; the last one signs."""
        return [key.secret for key in self.keys if key.verifies(now, lifetime)]

    def rotated(self, new: SigningKey, *, revoke: bool, longest: timedelta) -> SigningKeys:
        """With a new key that signs from its `made_at` on. Those before it verify until their
        time is over, or, with `revoke`, nothing any more; a secret without use is forgotten."""
        assert new.made_at is not None  # noqa: S101 - whoever makes one today knows when
        retired = {"retired_at": new.made_at, "retired_by": new.made_by}
        before = [*self.keys[:-1], self.signing.model_copy(update=retired)]
        before = [_shed(key, new.made_at, revoke=revoke, longest=longest) for key in before]
        useless = [key for key in before if not key.secret][:-KEPT_KEYS]
        return SigningKeys(keys=(*(key for key in before if key not in useless), new))


class Keys(Protocol):
    """The keys as the store keeps them."""

    @property
    def current(self) -> SigningKeys:
        """The keys as they stand."""

    async def rotate(
        self, by: str, now: datetime, *, revoke: bool, longest: timedelta
    ) -> SigningKeys:
        """Make a new key, in force when this returns; see SigningKeys. Raises Temporary if the
        store fails, and then nothing has changed."""


def _shed(key: SigningKey, now: datetime, *, revoke: bool, longest: timedelta) -> SigningKey:
    """The key without its secret, if nothing may be verified by it any more."""
    if revoke and key.verifies(now, longest):
        return key.model_copy(update={"secret": "", "revoked": True})
    return key if key.verifies(now, longest) else key.model_copy(update={"secret": ""})
