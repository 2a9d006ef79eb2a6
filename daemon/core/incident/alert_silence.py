"""The silence in Alertmanager that an incident's acknowledgement has set, as far as it has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from daemon.core.rules.matchers import Matcher


@dataclass(frozen=True)
class AlertSilence:
    """What is wanted (`matchers`, `until`), and what Alertmanager has: the id of the silence there,
    until when, and where people see it. `failures`: those since it last did what was asked."""

    matchers: tuple[Matcher, ...]
    until: datetime
    silence: str = ""
    set_until: datetime | None = None
    link: str = ""
    failures: int = 0
    failed_at: datetime | None = None
    given_up: bool = False

    @property
    def pending(self) -> bool:
        """Whether Alertmanager has not taken yet what is wanted."""
        return self.set_until is None or self.set_until < self.until
