"""The port to what other replicas have changed in the store that all of them share.

The store counts everything that a replica may have in memory: its ledger has a row for each append
and for whatever else changes beside incidents, and a counter stands for each further topic. So a
look at what is new is cheap, misses nothing, and may be made at any time: a hint that something is
new saves waiting, and nothing depends on it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

FREEZES_TOPIC = "freezes"
MAINTENANCE_TOPIC = "maintenance"
ONCALL_TOPIC = "oncall"
KEYS_TOPIC = "keys"
_NOTES = "note:"


def note_topic(note: str) -> str:
    """The topic of a note (`daemon.core.ports.notes`)."""
    return f"{_NOTES}{note}"


def note_of_topic(topic: str) -> str:
    """The note that a topic is about; empty if it is about none."""
    return topic.removeprefix(_NOTES) if topic.startswith(_NOTES) else ""


class NewsPosition(NamedTuple):
    """How far somebody has looked: the last row of the ledger, and each topic's counter."""

    number: int
    counters: Mapping[str, int]


class News(NamedTuple):
    """What is new since a position: the incidents that have grown, each with the sequence numbers
    at which its appends ended, in order; and the topics of which something has changed.
    `position` is where the next look begins."""

    position: NewsPosition
    grown: Mapping[str, Sequence[int]]
    topics: frozenset[str]


class NewsFeed(Protocol):
    """Tells what is new in the store, whoever has changed it, this replica too. Raises Temporary or
    Permanent."""

    async def begin(self) -> NewsPosition:
        """Where the store stands now."""

    async def since(self, position: NewsPosition) -> News:
        """What is new since then."""


class NewsHint(Protocol):
    """Hints that something may be new. It may hint in vain, late, or never."""

    async def run(self, ring: Callable[[], None]) -> None:
        """Call `ring` at each hint, until cancelled. It raises nothing: while no hints come, it
        tries to get some again by itself."""


Hears = Callable[[str], Awaitable[None]]
"""Takes up what has changed of that topic. Raises Temporary or Permanent."""
