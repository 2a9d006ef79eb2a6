"""What anybody outside can cause at will is said once a minute, and not each time."""

from __future__ import annotations

from dataclasses import dataclass

EVERY_SECONDS = 60.0
REMEMBERED_KEYS = 1000
"""So many keys are told apart; what comes beyond them shares one."""
OTHERS = "others"


@dataclass
class _Occurrences:
    at: float
    count: int = 0


class Seldom:
    """Counts by key what happened since it was last said. `now` is in seconds of any clock."""

    def __init__(self) -> None:
        self._by_key: dict[str, _Occurrences] = {}
        self._forget_at = 0.0

    def due(self, key: str, now: float) -> int:
        """How often it has happened since it was last said; zero if it must not be said now."""
        if key not in self._by_key and len(self._by_key) >= REMEMBERED_KEYS:
            self._forget(now)
            key = key if len(self._by_key) < REMEMBERED_KEYS else OTHERS
        entry = self._by_key.setdefault(key, _Occurrences(now - EVERY_SECONDS))
        entry.count += 1
        if now - entry.at < EVERY_SECONDS:
            return 0
        count, entry.at, entry.count = entry.count, now, 0
        return count

    def _forget(self, now: float) -> None:
        if now < self._forget_at:
            return
        self._forget_at = now + EVERY_SECONDS
        self._by_key = {k: s for k, s in self._by_key.items() if now - s.at < EVERY_SECONDS}
