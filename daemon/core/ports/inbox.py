"""The port to the durable inbox of deliveries."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from typing import Protocol


class Inbox(Protocol):
    """The durable queue between the webhook and the incidents."""

    async def put(self, identity: str, body: bytes, at: datetime) -> bool:
        """Store a delivery; returns once it is on disk. False if this content is stored already.

        Raises Temporary when the store fails or too much is waiting.
        """

    async def pending(
        self, limit: int, known: Container[str] = frozenset()
    ) -> list[tuple[str, bytes]]:
        """(identity, body) of unprocessed deliveries that are this replica's, oldest first; the
        body of a `known` one need not be read, and is empty then."""

    async def start(self, owner: str = "") -> None:
        """See which unprocessed deliveries are there, and begin to take: as the replica `owner`;
        empty for the only daemon of its store, whose all of them are."""

    async def take_over(self, most: int) -> int:
        """Make so many deliveries ours that nobody alive works off, the oldest first; how many."""

    def backlog(self) -> int:
        """How many deliveries are unprocessed."""

    def waited(self) -> float:
        """For how many seconds the oldest delivery has waited in this run, to be stored or to be
        processed; known without asking the store."""

    async def oldest(self) -> datetime | None:
        """When the oldest of them came."""

    async def processed(self, identities: Sequence[str], ended: Mapping[str, datetime]) -> None:
        """Mark as processed, and remember when alerts ended (alert identity → end)."""

    async def ended(self, alerts: Sequence[str]) -> dict[str, datetime]:
        """When each of these alerts last ended, as far as known."""

    async def forget(self, before: datetime) -> None:
        """Drop processed deliveries and ends older than that."""
