"""The durable queue between the webhook and the incidents: `daemon.core.ports.inbox.Inbox`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, select, true, update

from daemon.adapters.store.column_types import to_stamp
from daemon.adapters.store.database import Database, to_its_end
from daemon.adapters.store.replicas import database_now, utc_now, without_owner
from daemon.adapters.store.schema import alert_ends, delivery_waits, inbox
from daemon.adapters.store.statements import insert, insert_missing, on_names, portions
from daemon.core.ports.urgency import Urgency
from daemon.core.values.outcome import Temporary

REMEMBER = timedelta(minutes=30)
"""How long the same content counts as a duplicate."""
MAX_PENDING = 10_000
"""How many unprocessed deliveries are held before the webhook is told to come again."""
MOST_AT_HAND = 10_000
"""Of so many deliveries it is known without asking that they are stored."""


class _Put(NamedTuple):
    """A delivery on its way to the disk."""

    identity: str
    body: bytes
    at: datetime


_THERE = "SELECT identity, processed, received_at FROM inbox WHERE identity IN (*)"
_FORGET = "DELETE FROM inbox WHERE identity IN (*) AND processed AND received_at < ?"
_INSERT = "INSERT INTO inbox (identity, received_at, body, processed, owner) VALUES (?, ?, ?, ?, ?)"
_PROCESSED = "UPDATE inbox SET processed = TRUE WHERE identity IN (*) AND NOT processed"
_ENDS = "SELECT alert, ends_at FROM alert_ends WHERE alert IN (*)"
_Row = tuple[str, str, bytes, bool, str]


class SqlInbox:
    """The deliveries of one store. `start` before the first `put`, `stop` after the last."""

    def __init__(
        self,
        database: Database,
        max_pending: int = MAX_PENDING,
        remember: timedelta = REMEMBER,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._clock = clock
        self._max_pending = max_pending
        self._remember = remember
        # Since when, by the loop, each one waits; from before the start, since it.
        self._waiting: dict[str, float] = {}
        # What this run has stored, and when it came: in a storm most of what comes is sent again.
        # A server that fails over may lose what it has stored; a file cannot without our noticing.
        self._at_hand: dict[str, datetime] = {}
        self._asks = database.backend.kind != "sqlite"
        self._takes = False
        self._owner = ""

    async def start(self, owner: str = "") -> None:
        """See what an earlier run left behind, and begin to take. `owner`: the replica whose
        deliveries these are; empty for the only daemon of its store, whose all of them are."""
        self._owner = owner
        left = select(inbox.c.identity).where(delivery_waits, self._ours)
        left = left.order_by(inbox.c.arrival)

        def work(connection: Connection) -> Sequence[str]:
            return connection.execute(left).scalars().all()

        found = await self._database.read(work)
        self._waiting = dict.fromkeys(found, asyncio.get_running_loop().time())
        self._takes = True

    async def take_over(self, most: int) -> int:
        """Make so many deliveries ours that nobody alive works off, the oldest first; how many."""
        taken = await self._database.write(partial(self._take_over, most), Urgency.HIGH)
        now = asyncio.get_running_loop().time()
        for identity in taken:
            self._waiting.setdefault(identity, now)
        return len(taken)

    def stop(self) -> None:
        """Take no more; what is on its way is written before the database closes."""
        self._takes = False

    async def put(self, identity: str, body: bytes, at: datetime) -> bool:
        """Store a delivery; returns once it is on disk. False if this content is stored already.

        After `remember`, content that was processed is new again: an alert that Alertmanager
        repeats still fires, and its incident may have been closed.

        Raises Temporary when the store fails, is not open for writing, or holds too much that
        is unprocessed.
        """
        if not self._takes:
            raise Temporary(f"the inbox in {self._database.place} takes nothing now")
        came = self._at_hand.get(identity)
        if came is not None and came >= at - self._remember:
            return False
        waiting = len(self._waiting)
        if waiting >= self._max_pending:
            raise Temporary(
                f"the inbox holds {waiting} deliveries that nobody has processed yet; "
                "send this one again later"
            )
        put = _Put(identity, body, at)
        stored = self._database.take(self._store, put, Urgency.HIGH)
        first = identity not in self._waiting
        self._waiting.setdefault(identity, asyncio.get_running_loop().time())
        stored.add_done_callback(partial(self._count, put, first))
        # It is written and counted even if its caller goes.
        return await asyncio.shield(stored)

    async def pending(
        self, limit: int, known: Container[str] = frozenset()
    ) -> list[tuple[str, bytes]]:
        """(identity, body) of our unprocessed deliveries, oldest first; of `known` ones the body
        is not read, and empty."""
        query = select(inbox.c.identity).where(delivery_waits, self._ours)
        query = query.order_by(inbox.c.arrival).limit(limit)

        def work(connection: Connection) -> list[tuple[str, bytes]]:
            names = connection.execute(query).scalars().all()
            bodies: dict[str, bytes] = {}
            for some in portions([name for name in names if name not in known]):
                asked = select(inbox.c.identity, inbox.c.body).where(inbox.c.identity.in_(some))
                bodies.update((row.identity, row.body) for row in connection.execute(asked))
            return [(name, bodies.get(name, b"")) for name in names]

        return await self._database.read(work)

    def backlog(self) -> int:
        """How many deliveries are unprocessed."""
        return len(self._waiting)

    def waited(self) -> float:
        """For how many seconds of this run the oldest delivery waits, to be stored or to be
        processed. It asks no table, so that it is known whatever is damaged."""
        oldest = next(iter(self._waiting.values()), None)
        return 0.0 if oldest is None else asyncio.get_running_loop().time() - oldest

    async def oldest(self) -> datetime | None:
        """When the oldest of them came."""
        came = select(inbox.c.received_at).where(delivery_waits).order_by(inbox.c.arrival)

        def work(connection: Connection) -> datetime | None:
            return connection.scalar(came.limit(1))

        return await self._database.read(work)

    async def processed(self, identities: Sequence[str], ended: Mapping[str, datetime]) -> None:
        """Mark as processed, and remember when alerts ended (alert identity → end)."""
        await to_its_end(self._processed(identities, ended), "inbox-processed")

    async def ended(self, alerts: Sequence[str]) -> dict[str, datetime]:
        """When each of these alerts last ended, as far as known."""

        def work(connection: Connection) -> dict[str, datetime]:
            known: dict[str, datetime] = {}
            for some in portions(alerts):
                for alert, ends_at in on_names(connection, _ENDS, some):
                    known[alert] = datetime.fromisoformat(ends_at)
            return known

        return await self._database.read(work)

    async def forget(self, before: datetime) -> None:
        """Drop processed deliveries received, and ends that happened, before that."""

        def work(connection: Connection) -> None:
            connection.execute(
                delete(inbox).where(inbox.c.processed.is_(True), inbox.c.received_at < before)
            )
            connection.execute(delete(alert_ends).where(alert_ends.c.ends_at < before))

        self._at_hand = {name: came for name, came in self._at_hand.items() if came >= before}
        await self._database.write(work)

    def _store(self, connection: Connection, puts: list[_Put]) -> list[bool]:
        """Store what is new of them; for each whether it was. Runs in the writer's thread."""
        rows: dict[str, _Row] = {}
        for put in puts:  # the first of two identical ones is stored
            row = (put.identity, to_stamp(put.at), put.body, False, self._owner)
            rows.setdefault(put.identity, row)
        before = min(put.at for put in puts) - self._remember
        new = _add(rows, to_stamp(before), connection)
        answers = []
        for put in puts:
            answers.append(put.identity in new)
            new.discard(put.identity)
        return answers

    @property
    def _ours(self) -> ColumnElement[bool]:
        return inbox.c.owner == self._owner if self._owner else true()

    def _take_over(self, most: int, connection: Connection) -> Sequence[str]:
        """Whoever does it needs no lease: to work a delivery off twice is harmless."""
        now = database_now(connection, self._clock)
        query = (
            select(inbox.c.identity)
            .where(delivery_waits, without_owner(inbox.c.owner, now))
            .order_by(inbox.c.arrival)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        taken = connection.execute(query).scalars().all()
        for some in portions(taken):
            mine = update(inbox).where(inbox.c.identity.in_(some))
            connection.execute(mine.values(owner=self._owner))
        return taken

    def _count(self, put: _Put, first: bool, stored: asyncio.Future[bool]) -> None:
        new = stored.exception() is None and stored.result()
        if first and not new:
            self._waiting.pop(put.identity, None)
        if not new or self._asks:
            return
        self._at_hand[put.identity] = put.at
        if len(self._at_hand) > MOST_AT_HAND:
            self._at_hand.pop(next(iter(self._at_hand)))

    async def _processed(self, identities: Sequence[str], ended: Mapping[str, datetime]) -> None:
        await self._database.write(partial(_finish, identities, ended))
        for identity in identities:
            self._waiting.pop(identity, None)


def _add(rows: Mapping[str, _Row], before: str, connection: Connection) -> set[str]:
    """Insert what is not there yet, or was processed and came before that moment; returns the
    identities that are new.

    Looking first and inserting then is several times faster than one statement that does both.
    """
    known, old = set[str](), list[str]()
    for name, processed, received_at in on_names(connection, _THERE, list(rows)):
        if processed and received_at < before:
            old.append(name)
        else:
            known.add(name)
    if old:  # as it was looked at, for another replica may have stored it anew meanwhile
        on_names(connection, _FORGET, old, before)
    new = [row for name, row in rows.items() if name not in known]
    return insert_missing(connection, _INSERT, new, "identity") if new else set()


def _finish(
    identities: Sequence[str], ended: Mapping[str, datetime], connection: Connection
) -> None:
    """Mark as processed, keep the later end of each alert."""
    for some in portions(identities):
        on_names(connection, _PROCESSED, some)
    if ended:
        end = insert(connection, alert_ends)
        connection.execute(
            end.on_conflict_do_update(
                index_elements=[alert_ends.c.alert],
                set_={"ends_at": end.excluded.ends_at},
                where=end.excluded.ends_at > alert_ends.c.ends_at,
            ),
            [{"alert": alert, "ends_at": at} for alert, at in ended.items()],
        )
