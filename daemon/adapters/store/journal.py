"""The journal of incidents in SQL: `daemon.core.ports.journal.Journal`.

An entry, its head row, locks and marks change in one transaction. Time is the drafts' own; a
store never reads a clock.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, func, select, update

from daemon.adapters.store import append as appending
from daemon.adapters.store import locks as claims
from daemon.adapters.store import queries as searching
from daemon.adapters.store.database import Database
from daemon.adapters.store.schema import changes, events, freezes, head_is_open, heads, marks
from daemon.adapters.store.sqlite import insert
from daemon.core.changes.suspects import REPORTED, Change, Mark
from daemon.core.incident.events import FORMAT, Draft, Entry, decode
from daemon.core.ports.journal import Claim, Head, HeadState
from daemon.core.ports.search import EVERYTHING, Heard, Openings, Search
from daemon.core.ports.urgency import Urgency
from daemon.core.recovery.guardrails import Freeze, Guard, Limits, Scope
from daemon.core.values.outcome import Permanent


class SqlJournal:
    """The incidents of one store."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def open(
        self, incident: str, key: str, drafts: Sequence[Draft], state: HeadState
    ) -> None:
        """Start an incident. Raises KeyTaken if one with that key is open.

        ValueError without a draft: an incident begins with an entry.
        """
        if not drafts:
            raise ValueError("an incident begins with at least one entry")
        opening = appending.Opening(incident, key, drafts, state)
        await self.database.write_together(appending.start, opening, Urgency.HIGH)

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
    ) -> None:
        """Append after `expected`, durably, all or nothing. Raises Conflict or ClaimRefused.

        Without drafts only the head changes: its phase or wake time, say. A closed incident
        takes entries too (its review), but stays closed. ValueError if something needs the time
        and there is no draft to take it from.
        """
        if not drafts and (claim or release or marks or state.closed):
            raise ValueError("this append needs an entry, for it takes its time from there")
        asked = appending.Append(incident, expected, drafts, state, claim, release, marks or {})
        await self.database.write_together(appending.append, asked, urgency)

    async def read(self, incident: str, after: int = 0) -> list[Entry]:
        """The entries after that one, in order. Permanent if one is not of this version's
        vocabulary."""
        ours = (events.c.incident == incident, events.c.seq > after)
        query = select(events).where(*ours).order_by(events.c.seq)

        def work(connection: Connection) -> list[Entry]:
            # Decoded here, in the reader's thread: ten thousand alerts would hold up the loop.
            return [_entry(row) for row in connection.execute(query)]

        return await self.database.read(work)

    async def stored(self) -> AsyncIterator[tuple[str, int | None, list[Any]]]:
        """Each incident with its head's seq and its rows as stored, for the audit.

        The head's seq is None where the head row is missing.
        """

        def survey(connection: Connection) -> dict[str, int | None]:
            known: dict[str, int | None] = dict.fromkeys(
                (connection.execute(select(events.c.incident).distinct())).scalars()
            )
            for row in connection.execute(select(heads.c.incident, heads.c.seq)):
                known[row.incident] = row.seq
            return known

        def one(incident: str, connection: Connection) -> tuple[int | None, list[Any]]:
            seq = connection.scalar(select(heads.c.seq).where(heads.c.incident == incident))
            query = select(events).where(events.c.incident == incident).order_by(events.c.seq)
            return seq, list(connection.execute(query))

        # Incident by incident, so that a large journal need not fit into memory; each head is
        # read again with its rows, since a daemon may be appending meanwhile.
        for incident in sorted(await self.database.read(survey)):
            seq, rows = await self.database.read(partial(one, incident))
            yield incident, seq, rows

    async def open_heads(self) -> list[Head]:
        """The heads of all open incidents, oldest first."""
        return await self._heads(
            select(heads).where(head_is_open).order_by(heads.c.opened_at, heads.c.incident)
        )

    async def heads(self, limit: int, search: Search = EVERYTHING) -> list[Head]:
        """The newest heads that fit the search, the newest first."""
        return await self._heads(searching.found(search, limit))

    async def openings(self) -> dict[str, Openings]:
        """What each rule that has opened incidents has opened, by its name."""
        return await self.database.read(searching.openings)

    async def heard(self, since: datetime) -> list[Heard]:
        """The alerts that there was news of from then on, once for each incident."""
        return await self.database.read(partial(searching.heard, since))

    async def find_open(self, keys: Collection[str]) -> dict[str, str]:
        """The ids of the open incidents with these keys, by key."""
        return await self.database.read(lambda c: appending.find_open(c, list(keys)))

    async def guard(
        self, target: str, incident: str, scope: Scope, limits: Limits, now: datetime
    ) -> Guard:
        """What stands in the way of an action of that incident on that target; `Guard`."""
        return await self.database.read(
            lambda connection: claims.guard(connection, target, incident, scope, limits, now)
        )

    async def freeze(self, freeze: Freeze) -> None:
        """Stop all automation in a scope until thawed; replaces an earlier freeze of it."""
        row = {**dict(freeze), "thawed_by": None, "thawed_at": None}
        added = insert(freezes).values(row)
        changed = {name: added.excluded[name] for name in row if name != "scope"}
        await self.database.write(
            lambda connection: connection.execute(
                added.on_conflict_do_update(index_elements=[freezes.c.scope], set_=changed)
            )
        )

    async def thaw(self, scope: str, by: str, at: datetime) -> bool:
        """Lift a freeze; False if there was none, or it was over already."""
        thawed = (
            update(freezes)
            .where(freezes.c.scope == scope, claims.stands(at))
            .values(thawed_by=by, thawed_at=at)
        )
        result = await self.database.write(lambda connection: connection.execute(thawed))
        return result.rowcount == 1

    async def freezes(self, now: datetime) -> list[Freeze]:
        """The freezes in force, of all scopes, the newest first."""
        return await self.database.read(partial(claims.freezes_in_force, now))

    async def saw_change(self, change: Change) -> None:
        """Remember a change; the same (subject, item, at) twice is one.

        Whether it is `rolling` is not remembered: that is over soon, and only a look tells.
        """
        row = {name: value for name, value in change if name != "rolling"}
        added = insert(changes).values(row).on_conflict_do_nothing()
        await self.database.write(lambda connection: connection.execute(added))

    async def changes(self, subject: str) -> list[Change]:
        """The changes of a subject, oldest first."""
        return await self._changes(select(changes).where(changes.c.subject == subject))

    async def reported(self, since: datetime) -> list[Change]:
        """The changes that other systems reported from then on, oldest first."""
        # Not LIKE, which in SQLite takes "Reported:" too.
        reported = func.substr(changes.c.subject, 1, len(REPORTED)) == REPORTED
        return await self._changes(select(changes).where(changes.c.at >= since, reported))

    async def marks(self, subject: str) -> dict[str, Mark]:
        """What measurements have said of each item of a subject; the newest mark wins."""
        query = select(marks.c.item, marks.c.mark).where(marks.c.subject == subject)

        def work(connection: Connection) -> dict[str, Mark]:
            return {row.item: row.mark for row in connection.execute(query)}

        return await self.database.read(work)

    async def _changes(self, query: Select[Any]) -> list[Change]:
        ordered = query.order_by(changes.c.at, changes.c.subject, changes.c.item)

        def work(connection: Connection) -> list[Change]:
            return [Change(**row) for row in connection.execute(ordered).mappings()]

        return await self.database.read(work)

    async def _heads(self, query: Any) -> list[Head]:
        def work(connection: Connection) -> list[Head]:
            return [Head(**row) for row in (connection.execute(query)).mappings()]

        return await self.database.read(work)


def _entry(row: Any) -> Entry:
    try:
        event = decode(row.body)
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
    )
