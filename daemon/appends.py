"""Which appends were made here, and which by other replicas.

The store tells of all of them alike (`daemon.core.ports.news`): by where each append ended. Nothing
is kept before `begin`, for whoever has the store alone asks for no news.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple


class EntryRange(NamedTuple):
    """Entries of an incident: those after one sequence number, up to another."""

    after: int
    upto: int


class AppendTracker:
    """Sorts the appends of a store into our own and those of others."""

    def __init__(self) -> None:
        self._follows = False
        self._own: dict[str, set[int]] = {}
        self._ends: dict[str, int] = {}

    def begin(self, ends: Mapping[str, int]) -> None:
        """From now on appends are told of; `ends`: where the open incidents end at this moment."""
        self._follows = True
        self._ends = dict(ends)
        self._own.clear()

    @contextmanager
    def ours(self, incident: str, end: int) -> Iterator[None]:
        """Appends up to that entry inside. What raises was not appended, or not known to be."""
        if not self._follows:
            yield
            return
        ends = self._own.setdefault(incident, set())
        ends.add(end)
        try:
            yield
        except BaseException:
            ends.discard(end)
            raise

    def all_ours(self, incident: str, ends: Sequence[int]) -> bool:
        """Whether all of these appends were made here."""
        return self._own.get(incident, set()).issuperset(ends)

    def only_ours(self, incident: str, ends: Sequence[int]) -> bool:
        """Likewise; then nothing is to be done about them, and they are forgotten."""
        if not self.all_ours(incident, ends):
            return False
        self._forget(incident, ends)
        self._ends[incident] = max(ends)
        return True

    def foreign(
        self, incident: str, ends: Sequence[int], known: int | None, *, is_open: bool
    ) -> list[EntryRange]:
        """What others have appended, of appends that ended there, in order. `known`: up to where
        the incident is in memory, if it is. `is_open`: whether it is open as it stands."""
        own = self._own.get(incident, set())
        before = self._ends.get(incident)
        if before is None:
            # Opened since `begin`, or one that was closed then and has grown by something.
            before = 0 if is_open and known is None else min(known or ends[0] - 1, ends[0] - 1)
        found = []
        for end in ends:
            if end not in own and end > before:
                found.append(EntryRange(before, end))
            before = max(before, end)
        self._forget(incident, ends)
        self._ends[incident] = before
        return found

    def over(self, incident: str) -> None:
        """The incident is closed: it grows seldom from now on, and is not followed."""
        self._ends.pop(incident, None)

    def _forget(self, incident: str, ends: Sequence[int]) -> None:
        own = self._own.get(incident, set())
        own -= set(ends)
        if not own:
            self._own.pop(incident, None)
