"""What the daemon keeps beside its journal, in memory: inbox, debts, notes, reviews."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from datetime import datetime

from daemon.core.ports.journal import Owed


class MemoryInbox:
    """`daemon.core.ports.inbox.Inbox`, forgetting everything with the process."""

    def __init__(self) -> None:
        self.waiting: dict[str, bytes] = {}
        """The bodies that are not processed yet, by identity, oldest first."""
        self.done: set[str] = set()
        self.ends: dict[str, datetime] = {}
        """When each alert last ended."""
        self.came: dict[str, datetime] = {}

    async def start(self, owner: str = "") -> None:
        return None  # it is one daemon's

    async def take_over(self, most: int) -> int:
        return 0

    async def put(self, identity: str, body: bytes, at: datetime) -> bool:
        if identity in self.waiting or identity in self.done:
            return False
        self.waiting[identity] = body
        self.came[identity] = at
        return True

    async def pending(
        self, limit: int, known: Container[str] = frozenset()
    ) -> list[tuple[str, bytes]]:
        return list(self.waiting.items())[:limit]

    def backlog(self) -> int:
        return len(self.waiting)

    def waited(self) -> float:
        return 0.0  # nothing waits for a disk here

    async def oldest(self) -> datetime | None:
        return min((self.came[identity] for identity in self.waiting), default=None)

    async def processed(self, identities: Sequence[str], ended: Mapping[str, datetime]) -> None:
        for identity in identities:
            self.waiting.pop(identity, None)
            self.done.add(identity)
        self.ends.update(ended)

    async def ended(self, alerts: Sequence[str]) -> dict[str, datetime]:
        return {alert: self.ends[alert] for alert in alerts if alert in self.ends}

    async def forget(self, before: datetime) -> None:
        return None


class MemoryDebts:
    """`daemon.core.ports.journal.Debts`: outlives the daemon, if it is given to the next one."""

    def __init__(self) -> None:
        self.owed: list[Owed] = []

    async def keep(self, owed: Sequence[Owed]) -> None:
        self.owed = list(owed)

    def retained(self) -> Sequence[Owed]:
        return list(self.owed)


class MemoryNotes:
    """`daemon.core.ports.notes.Notes`, forgetting everything with the process."""

    def __init__(self) -> None:
        self.words: dict[str, tuple[str, ...]] = {}

    async def read(self, name: str) -> tuple[str, ...]:
        return self.words.get(name, ())

    async def write(self, name: str, words: Sequence[str]) -> None:
        self.words[name] = tuple(words)


class MemoryReviews:
    """`daemon.reporting.reviews.KeepsReviews` without a folder."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        """The reviews in Markdown, by incident."""

    async def keep(self, incident: str, text: str) -> str:
        self.texts[incident] = text
        return f"{incident}.md"
