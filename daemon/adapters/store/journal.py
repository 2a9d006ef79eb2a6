"""The journal of incidents in SQL: `daemon.core.ports.journal.Journal`.

An entry, its head row, locks and marks change in one transaction. Time is the drafts' own; only
leases are reckoned by a clock (`daemon.adapters.store.replicas`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, false, func, or_, select

from daemon.adapters.store import append as appending
from daemon.adapters.store import freezes as freezing
from daemon.adapters.store import locks, queries
from daemon.adapters.store.database import Database
from daemon.adapters.store.ledger import Ledger, last_anchor
from daemon.adapters.store.replicas import utc_now
from daemon.adapters.store.schema import changes_table, events, head_is_open, heads, marks
from daemon.adapters.store.statements import insert
from daemon.core.changes.suspects import REPORTED_PREFIX, Change, HealthMark
from daemon.core.incident.alert_routes import Routes
from daemon.core.incident.events import FORMAT, Draft, Entry, decode
from daemon.core.ports.journal import (
    ALL_INCIDENTS,
    AlertSighting,
    Claim,
    Head,
    HeadState,
    IncidentSearch,
    KeyTaken,
    OpeningOutcome,
    RuleOpenings,
    require_entry,
)
from daemon.core.ports.replicas import Fence
from daemon.core.ports.urgency import Urgency
from daemon.core.recovery.guardrails import ActionScope, Freeze, Guard, Limits
from daemon.core.values.anchor import Anchor
from daemon.core.values.outcome import Permanent
from daemon.core.values.seal import Keyring

# Composed once, as all that stands between an alert and an action: that costs more than to carry
# it out.
_CHANGES = select(changes_table).order_by(
    changes_table.c.at, changes_table.c.subject, changes_table.c.item
)
_CHANGES_OF = _CHANGES.where(changes_table.c.subject == bindparam("subject"))
# Not LIKE, which in SQLite takes "Reported:" too.
_REPORTED = _CHANGES.where(
    changes_table.c.at >= bindparam("since"),
    func.substr(changes_table.c.subject, 1, len(REPORTED_PREFIX)) == REPORTED_PREFIX,
)
_MARKS_OF = select(marks.c.item, marks.c.mark).where(marks.c.subject == bindparam("subject"))


class SqlJournal:
    """The incidents of one store."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.database = database
        self.ledger = ledger or Ledger(Keyring())
        self._clock = clock

    async def open(
        self,
        incident: str,
        key: str,
        drafts: Sequence[Draft],
        state: HeadState,
        *,
        owner: str = "",
    ) -> None:
        """Start an incident, `owner`'s to conduct. Raises KeyTaken if one with that key is open.

        ValueError without a draft: an incident begins with an entry.
        """
        if not drafts:
            raise ValueError("an incident begins with at least one entry")
        opening = appending.Opening(incident, key, drafts, state, owner)
        await self.database.write_together(self._start, opening, Urgency.HIGH)

    async def append(
        self,
        incident: str,
        expected: int,
        drafts: Sequence[Draft],
        state: HeadState,
        *,
        claim: Claim | None = None,
        release: bool = False,
        marks: appending.Marks | None = None,
        urgency: Urgency = Urgency.NORMAL,
        fence: Fence | None = None,
    ) -> None:
        """Append after `expected`, durably, all or nothing. Raises SequenceConflict,
        ClaimRefused or NotOwner.

        Without drafts only the head changes: its phase or wake time, say. A closed incident
        takes entries too (its review), but stays closed. ValueError if something needs the time
        and there is no draft to take it from.
        """
        require_entry(drafts, state, claim, release, marks)
        append = appending.Append(
            incident, expected, drafts, state, claim, release, marks or {}, fence
        )
        await self.database.write_together(self._append, append, urgency)

    async def read(self, incident: str, after: int = 0) -> list[Entry]:
        """The entries after that one, in order. Permanent if one is not of this version's
        vocabulary."""
        ours = (events.c.incident == incident, events.c.seq > after)
        query = select(events).where(*ours).order_by(events.c.seq)

        def work(connection: Connection) -> list[Entry]:
            # Decoded here, in the reader's thread: ten thousand alerts would hold up the loop.
            return [entry_of(row) for row in connection.execute(query)]

        return await self.database.read(work)

    async def read_together(self, after: Mapping[str, int]) -> dict[str, list[Entry]]:
        """The entries of each of these incidents after that one, in order, by one statement; one
        that has none is left out. Permanent if one of them is not of this version's vocabulary."""
        wanted = (and_(events.c.incident == n, events.c.seq > seq) for n, seq in after.items())
        query = select(events).where(or_(false(), *wanted))
        ordered = query.order_by(events.c.incident, events.c.seq)

        def work(connection: Connection) -> dict[str, list[Entry]]:
            found: dict[str, list[Entry]] = {}
            for row in connection.execute(ordered):
                found.setdefault(row.incident, []).append(entry_of(row))
            return found

        return await self.database.read(work)

    async def anchor(self) -> Anchor | None:
        """The point that the journal has come to; None if nothing has happened yet."""
        return await self.database.read(last_anchor)

    async def open_incidents(self) -> list[str]:
        """The ids of all open incidents, oldest first."""
        query = select(heads.c.incident).where(head_is_open)
        ordered = query.order_by(heads.c.opened_at, heads.c.incident)
        return await self.database.read(lambda c: list(c.execute(ordered).scalars()))

    async def open_heads(self) -> list[Head]:
        """The heads of all open incidents, oldest first."""
        return await self._heads(
            select(heads).where(head_is_open).order_by(heads.c.opened_at, heads.c.incident)
        )

    async def open_with(self, kinds: Collection[str]) -> set[str]:
        """The ids of the open incidents that have an entry of one of these kinds."""
        opened = select(heads.c.incident).where(head_is_open)
        told = select(events.c.incident).where(
            events.c.incident.in_(opened), events.c.kind.in_(kinds)
        )
        return await self.database.read(lambda c: set(c.execute(told).scalars()))

    async def heads(self, limit: int, search: IncidentSearch = ALL_INCIDENTS) -> list[Head]:
        """The newest heads that fit the search, the newest first."""
        return await self._heads(queries.found(search, limit))

    async def outcomes(
        self, limit: int, search: IncidentSearch = ALL_INCIDENTS
    ) -> list[OpeningOutcome]:
        """What figures need of the same."""
        return await self.database.read(partial(queries.outcomes, search, limit))

    async def openings(self) -> dict[str, RuleOpenings]:
        """What each rule that has opened incidents has opened, by its name."""
        return await self.database.read(queries.openings)

    async def alert_sightings(self, since: datetime) -> list[AlertSighting]:
        """The alerts that there was news of from then on, once for each incident."""
        return await self.database.read(partial(queries.alert_sightings, since))

    async def find_open(self, keys: Collection[str]) -> dict[str, str]:
        """The ids of the open incidents with these keys, by key."""
        return await self.database.read(lambda c: appending.find_open(c, list(keys)))

    async def routes(self) -> list[tuple[str, Routes]]:
        """What the open incidents take of others, by their id."""
        return await self.database.read(appending.find_routes)

    async def guard(
        self, target: str, incident: str, scope: ActionScope, limits: Limits, now: datetime
    ) -> Guard:
        """What stands in the way of an action of that incident on that target; `Guard`."""
        return await self.database.read(
            lambda connection: locks.guard(connection, target, incident, scope, limits, now)
        )

    async def freeze(self, freeze: Freeze) -> None:
        """Stop all automation in a scope until thawed; replaces an earlier freeze of it."""
        await self.database.write(partial(freezing.add_freeze, self.ledger, freeze))

    async def thaw(self, scope: str, by: str, at: datetime) -> bool:
        """Lift a freeze; False if there was none, or it was over already."""
        return await self.database.write(partial(freezing.lift_freeze, self.ledger, scope, by, at))

    async def freezes(self, now: datetime) -> list[Freeze]:
        """The freezes in force, of all scopes, the newest first."""
        return await self.database.read(partial(freezing.in_force, now))

    async def saw_change(self, change: Change) -> None:
        """Remember a change; the same (subject, item, at) twice is one.

        Whether it is `rolling` is not remembered: that is over soon, and only a look tells.
        """
        row = {name: value for name, value in change if name != "rolling"}

        def work(connection: Connection) -> None:
            added = insert(connection, changes_table).values(row)
            connection.execute(added.on_conflict_do_nothing())

        await self.database.write(work)

    async def changes(self, subject: str) -> list[Change]:
        """The changes of a subject, oldest first."""
        return await self._changes(_CHANGES_OF, {"subject": subject})

    async def reported(self, since: datetime) -> list[Change]:
        """The changes that other systems reported from then on, oldest first."""
        return await self._changes(_REPORTED, {"since": since})

    async def marks(self, subject: str) -> dict[str, HealthMark]:
        """What measurements have said of each item of a subject; the newest mark wins."""

        def work(connection: Connection) -> dict[str, HealthMark]:
            found = connection.execute(_MARKS_OF, {"subject": subject})
            return {row.item: row.mark for row in found}

        return await self.database.read(work)

    def _start(
        self, connection: Connection, openings: Sequence[appending.Opening]
    ) -> list[KeyTaken | None]:
        return appending.start_incident(self.ledger, connection, openings)

    def _append(
        self, connection: Connection, appends: Sequence[appending.Append]
    ) -> list[appending.Refusal | None]:
        return appending.append(self.ledger, connection, appends, self._clock)

    async def _changes(self, query: Select[Any], values: Mapping[str, Any]) -> list[Change]:
        def work(connection: Connection) -> list[Change]:
            return [Change(**row) for row in connection.execute(query, values).mappings()]

        return await self.database.read(work)

    async def _heads(self, query: Any) -> list[Head]:
        def work(connection: Connection) -> list[Head]:
            return [Head(**row) for row in (connection.execute(query)).mappings()]

        return await self.database.read(work)


def entry_of(row: Any) -> Entry:
    """A row of the table `events` as an entry. Raises Permanent if it is not of this version's
    vocabulary."""
    try:
        event = decode(row.body, row.format)
    except ValueError as error:
        raise Permanent(
            f"entry {row.seq} of {row.incident} cannot be read ({row.kind}, format {row.format}; "
            f"this stopgap writes {FORMAT}): run the newest stopgap, and `stopgap audit verify`"
        ) from error
    return Entry(
        incident=row.incident,
        seq=row.seq,
        at=datetime.fromisoformat(row.at),
        by=row.by,
        event=event,
        digest=row.digest,
        format=row.format,
    )
