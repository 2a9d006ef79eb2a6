"""What was done about the last word to audiences: who was reminded of it, what was dismissed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from daemon.core.incident import events as e
from daemon.core.values.replace import replace


@dataclass(frozen=True)
class LastWord:
    """By audience: when somebody was reminded of it, and when by whose word it was dismissed."""

    reminded: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)
    dismissed: Mapping[str, tuple[datetime, e.LastWordDismissed]] = field(default_factory=dict)

    def reminders_since(self, audience: str, since: datetime) -> tuple[datetime, ...]:
        """When somebody was reminded of it, from that moment on."""
        return tuple(at for at in self.reminded.get(audience, ()) if at >= since)


def last_word_after(state: LastWord, at: datetime, event: e.LastWordEvent) -> LastWord:
    """What is known of it after one more of its events."""
    name = event.audience
    if isinstance(event, e.LastWordReminded):
        times = (*state.reminded.get(name, ()), at)
        return replace(state, reminded={**state.reminded, name: times})
    return replace(state, dismissed={**state.dismissed, name: (at, event)})
