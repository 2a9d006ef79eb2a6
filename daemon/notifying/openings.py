"""Which incidents began to call people lately: what tells whether they are a storm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.incident.state import Incident
from daemon.core.recovery.guardrails import Limits, is_told_as_one


@dataclass(frozen=True)
class _Opening:
    key: str
    at: datetime


class RecentOpenings:
    """The incidents of the last storm window, by when people began to be called for each."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._recent: dict[str, _Opening] = {}

    def __contains__(self, incident: str) -> bool:
        return incident in self._recent

    def add(self, incident: str, key: str, at: datetime) -> None:
        """People begin to be called for it at that moment."""
        self._recent[incident] = _Opening(key, at)

    def remove(self, incident: str) -> None:
        """Nobody is called for it after all."""
        self._recent.pop(incident, None)

    def forget_before(self, begin: datetime) -> None:
        """What began before this is none of a storm that begins now."""
        self._recent = {name: one for name, one in self._recent.items() if one.at >= begin}

    def since(self, begin: datetime) -> Iterator[tuple[str, datetime]]:
        """Those that began at that moment or after it, each with its own."""
        return ((name, one.at) for name, one in self._recent.items() if one.at >= begin)

    def are_many(self) -> bool:
        """Whether people are called once for all of them."""
        return is_told_as_one(self._recent.values(), self._limits)

    def beside(self, incident: Incident, within: timedelta) -> bool:
        """Whether another one began at about the same moment, so that they may become a storm."""
        if not within or incident.id not in self._recent:
            return False
        own = self._recent[incident.id].at
        others = (one.at for name, one in self._recent.items() if name != incident.id)
        return any(abs(at - own) <= within for at in others)
