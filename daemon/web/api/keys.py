"""The keys that sign links and logins: to list and to rotate, for admins."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.core.people.signing_keys import KeyState, SigningKeys
from daemon.core.values.units import Frozen
from daemon.web.api.operation import ApiOperation, Call
from daemon.web.api.stamp import Stamp
from daemon.web.context import WebContext

_TAG = "keys"
KEYS = "/api/v1/keys"


class KeyView(Frozen):
    """What may be seen of a key. `made_at` is null for one from before keys had dates.

    `standing`: it `signs`, still `verifies` what it has signed, is `over`, or was `revoked`.
    """

    id: str
    standing: KeyState
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

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def operations(self) -> list[ApiOperation]:
        """The rows of the table."""
        return [
            ApiOperation("GET", KEYS, self.keys, "admin", _TAG),
            ApiOperation(
                "POST", f"{KEYS}/rotate", self.rotate, "admin", _TAG, example={"revoke": False}
            ),
        ]

    async def keys(self, call: Call[None, None, None]) -> KeyList:
        """List the keys that sign links and logins; never what they sign with."""
        return self._view(self._context.keys.current)

    async def rotate(self, call: Call[None, None, Rotation]) -> KeyList:
        """Make a new key, which signs from now on.

        Nothing is restarted, and no link is lost unless `revoke` says so.
        """
        after = await self._context.keys.rotate(
            call.person,
            self._context.repository.clock(),
            revoke=call.sent.revoke,
            longest=self._context.authenticator.settings.longest,
        )
        return self._view(after)

    def _view(self, keys: SigningKeys) -> KeyList:
        auth = self._context.authenticator.settings
        return key_list(keys, self._context.repository.clock(), auth.longest)


def key_list(keys: SigningKeys, now: datetime, longest: timedelta) -> KeyList:
    """The keys as they may be seen; see `SigningKey.standing`."""
    return KeyList(
        keys=tuple(
            KeyView(
                id=key.id,
                standing=key.state(now, longest),
                made_at=key.made_at,
                made_by=key.made_by,
                retired_at=key.retired_at,
                retired_by=key.retired_by,
            )
            for key in reversed(keys.keys)
        )
    )
