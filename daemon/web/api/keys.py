"""The keys that sign links and logins: to list and to rotate, for admins."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.core.people.signing_keys import SigningKeys, Standing
from daemon.core.values.units import Frozen
from daemon.web.api.operation import Call, Operation
from daemon.web.api.schemas import Stamp
from daemon.web.context import House

ROOM = "keys"
KEYS = "/api/v1/keys"


class KeyView(Frozen):
    """What may be seen of a key. `made_at` is null for one from before keys had dates.

    `standing`: it `signs`, still `verifies` what it has signed, is `over`, or was `revoked`.
    """

    id: str
    standing: Standing
    made_at: Stamp | None
    made_by: str
    retired_at: Stamp | None
    retired_by: str


class KeyList(Frozen):
    """The keys, the newest first."""

    keys: tuple[KeyView, ...]


class Rotation(Frozen):
    """How to rotate. `revoke`: the keys before verify nothing from now on, so that every link
    that is out is void and every login ends; otherwise they verify what they have signed for as
    long as that lives."""

    revoke: bool = False


class KeyRoom:
    """The rows."""

    def __init__(self, house: House) -> None:
        self._house = house

    def operations(self) -> list[Operation]:
        """The rows of the table."""
        return [
            Operation("GET", KEYS, self.keys, "admin", ROOM),
            Operation(
                "POST", f"{KEYS}/rotate", self.rotate, "admin", ROOM, example={"revoke": False}
            ),
        ]

    async def keys(self, call: Call[None, None, None]) -> KeyList:
        """List the keys that sign links and logins; never what they sign with."""
        return self._view(self._house.keys.current)

    async def rotate(self, call: Call[None, None, Rotation]) -> KeyList:
        """Make a new key, which signs from now on.

        Nothing is restarted, and no link is lost unless `revoke` says so.
        """
        after = await self._house.keys.rotate(
            call.person,
            self._house.book.clock(),
            revoke=call.sent.revoke,
            longest=self._house.authenticator.settings.longest,
        )
        return self._view(after)

    def _view(self, keys: SigningKeys) -> KeyList:
        auth = self._house.authenticator.settings
        return key_list(keys, self._house.book.clock(), auth.longest)


def key_list(keys: SigningKeys, now: datetime, longest: timedelta) -> KeyList:
    """The keys as they may be seen; see `SigningKey.standing`."""
    return KeyList(
        keys=tuple(
            KeyView(
                id=key.id,
                standing=key.standing(now, longest),
                made_at=key.made_at,
                made_by=key.made_by,
                retired_at=key.retired_at,
                retired_by=key.retired_by,
            )
            for key in reversed(keys.keys)
        )
    )
