"""Slows down whoever guesses: after a few failures the wait doubles with each one more."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.values.backoff import Backoff

_REMEMBERED = 10_000
"""So many names and addresses; beyond them the one that tried longest ago is forgotten."""


@dataclass
class _Tries:
    count: int
    last: datetime


class Throttle:
    """Counts by key. `free` failures cost nothing; then `first`, doubled up to `most`.

    A try counts as a failure from its beginning, so that many at the same moment count too.
    """

    def __init__(self, free: int, first: timedelta, most: timedelta) -> None:
        self._free = free
        self._backoff = Backoff(first, most)
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def wait(self, key: str, now: datetime) -> timedelta:
        """How long that key has to wait; nothing if it may try now."""
        tries = self._tries.get(key)
        if tries is None or tries.count < self._free:
            return timedelta(0)
        due = tries.last + self._backoff.pause(tries.count - self._free + 1)
        return max(due - now, timedelta(0))

    def begin(self, key: str, now: datetime) -> None:
        """A try begins."""
        tries = self._tries.pop(key, None)
        if tries is None or now - tries.last > 2 * self._backoff.most:
            tries = _Tries(0, now)
        self._tries[key] = _Tries(tries.count + 1, now)
        if len(self._tries) > _REMEMBERED:
            self._tries.popitem(last=False)

    def forgive(self, key: str) -> None:
        """The try was good: it does not count."""
        tries = self._tries.get(key)
        if tries is not None:
            tries.count -= 1

    def forget(self, key: str) -> None:
        """All is well with that key."""
        self._tries.pop(key, None)
