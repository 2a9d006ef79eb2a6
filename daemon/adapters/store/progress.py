"""Whether transactions come to an end at all: what tells a slow store from one that hangs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass
class _Kind:
    """Those of one kind that wait; since when none of them has ended, by the loop's time."""

    waiting: int = 0
    since: float = 0.0


class Progress:
    """Counts the transactions of each kind (`read`, `write`) that have begun and not ended."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}

    def began(self, kind: str) -> None:
        """One is asked for."""
        counted = self._kinds.setdefault(kind, _Kind())
        if not counted.waiting:
            counted.since = _now()
        counted.waiting += 1

    def ended(self, kind: str) -> None:
        """One has come to an end, whatever came of it."""
        counted = self._kinds[kind]
        counted.waiting -= 1
        counted.since = _now()

    def unanswered(self) -> float:
        """For how many seconds none of a kind has ended, while one of that kind waits."""
        now = _now()
        return max((now - kind.since for kind in self._kinds.values() if kind.waiting), default=0.0)


def _now() -> float:
    return asyncio.get_running_loop().time()
