"""The updates of an incident as they stand: drafts, what was sent, and where it has arrived."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from daemon.core.incident import events as e

DeliveryState = Literal["draft", "delivered", "kept", "given_up", "failing", "waiting"]
"""How far an update has come in a channel. `kept`: an older version stays there, for nothing can be
changed in it. `given_up`: it is not tried again."""


@dataclass(frozen=True)
class ChannelDelivery:
    """What one channel has of an update. `version` 0: nothing yet. `kept`: the newest version that
    did not come there, for what was sent cannot be changed."""

    version: int = 0
    reference: str = ""
    failures: int = 0
    failed_at: datetime | None = None
    given_up: int = 0
    kept: int = 0

    @property
    def settled(self) -> int:
        """The newest version that nothing more is done about."""
        return max(self.version, self.given_up, self.kept)


@dataclass(frozen=True)
class UpdateState:
    """One update to one audience. `text` is what goes out, or the draft before that."""

    draft: e.UpdateDrafted
    drafted_at: datetime
    text: str
    version: int = 0
    person: str = ""
    assigned_at: datetime | None = None
    assigned: tuple[str, ...] = ()
    assignments: int = 0
    released_at: datetime | None = None
    released_by: str = ""
    deliveries: Mapping[str, ChannelDelivery] = field(default_factory=dict)

    @property
    def audience(self) -> str:
        """Whom it is for."""
        return self.draft.audience

    @property
    def sent(self) -> bool:
        """Whether it was released; its channels may still be at it."""
        return self.released_at is not None

    def delivery(self, channel: str) -> ChannelDelivery:
        """What the channel has of it."""
        return self.deliveries.get(channel, ChannelDelivery())

    def channels(self, named: Iterable[str]) -> tuple[str, ...]:
        """Where it goes: the channels that are named for its audience now, and those that have
        heard of it."""
        return tuple(dict.fromkeys((*named, *self.deliveries)))

    def state_in(self, channel: str) -> DeliveryState:
        """How far it has come there."""
        has = self.delivery(channel)
        if not self.sent:
            return "draft"
        if has.version >= self.version:
            return "delivered"
        if has.kept >= self.version:
            return "kept"
        if has.given_up >= self.version:
            return "given_up"
        return "failing" if has.failures else "waiting"


@dataclass(frozen=True)
class IncidentUpdates:
    """All updates in the order of their drafting, and to whom they were put off: until when, and
    when that was said."""

    by_name: Mapping[str, UpdateState] = field(default_factory=dict)
    snoozed: Mapping[str, datetime] = field(default_factory=dict)
    snoozed_at: Mapping[str, datetime] = field(default_factory=dict)

    def of(self, audience: str) -> list[UpdateState]:
        """The updates to one audience, the oldest first."""
        return [update for update in self.by_name.values() if update.audience == audience]

    def last_sent(self, audience: str) -> UpdateState | None:
        """The newest update that this audience was sent."""
        sent = [update for update in self.of(audience) if update.sent]
        return sent[-1] if sent else None

    def open_draft(self, audience: str) -> UpdateState | None:
        """The draft that waits to be sent."""
        drafts = [update for update in self.of(audience) if not update.sent]
        return drafts[-1] if drafts else None
