"""How the journal grows: incidents that start, and appends, many in one transaction.

Many are done by as few statements as one: what a statement costs is mostly its way to the
database, and in a storm that way is what everybody waits for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, bindparam, case, func, select, true, update

from daemon.adapters.store import locks
from daemon.adapters.store.column_types import to_stamp
from daemon.adapters.store.ledger import LastRow, Ledger, Line, find_last, last_row, packed
from daemon.adapters.store.replicas import (
    lease_fault,
    moment_column,
    moment_values,
    not_owner,
)
from daemon.adapters.store.schema import (
    events,
    head_has_routes,
    head_is_open,
    heads,
    marks,
    replicas_table,
)
from daemon.adapters.store.statements import insert, portions, sent_together
from daemon.core.changes.suspects import HealthMark
from daemon.core.incident.alert_routes import Routes
from daemon.core.incident.events import FORMAT, Draft, IncidentOpened, encode, step_refused
from daemon.core.ports.journal import Claim, ClaimRefused, HeadState, KeyTaken, SequenceConflict
from daemon.core.ports.replicas import Fence, NotOwner
from daemon.core.recovery.guardrails import service_of

Marks = Mapping[tuple[str, str], HealthMark]
"""(subject, item) → what a measurement said of it."""


class Opening(NamedTuple):
    """The arguments of `open`, on their way into the transaction."""

    incident: str
    key: str
    drafts: Sequence[Draft]
    state: HeadState
    owner: str = ""


class Append(NamedTuple):
    """The arguments of `append`, on their way into the transaction."""

    incident: str
    expected: int
    drafts: Sequence[Draft]
    state: HeadState
    claim: Claim | None
    release: bool
    marks: Marks
    fence: Fence | None = None


_OPEN = select(heads.c.key, heads.c.incident).where(
    heads.c.key.in_(bindparam("keys", expanding=True)), head_is_open
)


_ROUTES = select(heads.c.incident, heads.c.routes).where(head_has_routes, head_is_open)


def find_open(connection: Connection, keys: Sequence[str]) -> dict[str, str]:
    """The ids of the open incidents with these keys, by key."""
    found: dict[str, str] = {}
    for some in portions(keys):
        rows = connection.execute(_OPEN, {"keys": some})
        found.update((row.key, row.incident) for row in rows)
    return found


def find_routes(connection: Connection) -> list[tuple[str, Routes]]:
    """What the open incidents take of others, by their id."""
    return [(row.incident, row.routes) for row in connection.execute(_ROUTES)]


def start_incident(
    ledger: Ledger, connection: Connection, openings: Sequence[Opening]
) -> list[KeyTaken | None]:
    """Insert the heads and the first entries; KeyTaken for those whose key has an open incident."""
    # Not "look, then insert": the unique index decides, across replicas too.
    added = (
        insert(connection, heads)
        .on_conflict_do_nothing(index_elements=[heads.c.key], index_where=head_is_open)
        .returning(heads.c.incident)
    )
    begun = set(connection.scalars(added, [_head(opening) for opening in openings]))
    rows: list[dict[str, Any]] = []
    lines = []
    for opening in openings:
        if opening.incident in begun:
            rows += _rows(ledger, opening.incident, 0, "", opening.drafts)
            lines.append(_grown(rows[-1]))
    taken = [opening.key for opening in openings if opening.incident not in begun]
    holders = find_open(connection, taken)
    if rows:
        last = find_last(connection)
        with sent_together(connection):
            connection.execute(_WRITING, rows)
            ledger.write_after(connection, last, lines)
    return [
        None if opening.incident in begun else KeyTaken(holders[opening.key])
        for opening in openings
    ]


def _head(opening: Opening) -> dict[str, Any]:
    first, state = opening.drafts[0], opening.state
    return {
        "incident": opening.incident,
        "key": opening.key,
        "seq": len(opening.drafts),
        **_columns(state),
        "opened_at": first.at,
        "closed_at": opening.drafts[-1].at if state.closed else None,
        "service": service_of(opening.key),
        "owner": opening.owner,
        "format": FORMAT,
        **_named(first),
    }


def _columns(state: HeadState) -> dict[str, Any]:
    """What a head row takes of it as it stands."""
    apart = {"closed", "outcome", "routes", "team"}
    columns = state.model_dump(exclude=apart)
    return {**columns, "outcome": state.outcome, "routes": state.routes}


def _named(first: Draft) -> dict[str, str]:
    """The rule and the team that the incident is looked for by."""
    opened = first.event
    if not isinstance(opened, IncidentOpened):
        return {"rule": "", "team": ""}
    return {"rule": opened.rule, "team": opened.team}


Refusal = SequenceConflict | ClaimRefused | NotOwner
"""Why nothing of an append was written."""


def append(
    ledger: Ledger,
    connection: Connection,
    appends: Sequence[Append],
    clock: Callable[[], datetime],
) -> list[Refusal | None]:
    """Carry out the appends; why not, for each of which nothing is written. `clock`: see
    `replicas.database_now`."""
    ends = _ends(connection, {append.incident for append in appends}, clock)
    last = next((end.last for end in ends.values()), None)
    rows: list[dict[str, Any]] = []
    moved: list[dict[str, Any]] = []
    grown: list[dict[str, Any]] = []
    lines: list[Line] = []
    answers: list[Refusal | None] = []
    for append in appends:
        end = ends.get(append.incident)
        if end is None or end.seq != append.expected:
            there = "does not exist" if end is None else f"is at entry {end.seq}"
            text = f"incident {append.incident} {there}, not at entry {append.expected}"
            answers.append(SequenceConflict(text))
            continue
        fence = append.fence
        if fence is not None:
            foreign = not_owner(append.incident, end.owner, fence, end.lease_fault(fence))
            if foreign is not None:
                answers.append(foreign)
                continue
        try:
            lines += _change_rights(append, connection)
        except ClaimRefused as refusal:
            answers.append(refusal)
            continue
        added = _rows(ledger, append.incident, append.expected, end.digest, append.drafts)
        lines += [_grown(added[-1])] if added else []
        closed_at = end.closed_at
        if added and append.state.closed and closed_at is None:
            closed_at = append.drafts[-1].at
        digest = added[-1]["digest"] if added else end.digest
        end = ends[append.incident] = end._replace(
            seq=append.expected + len(added), closed_at=closed_at, digest=digest
        )
        rows += added
        if end.format > FORMAT:
            # A newer stopgap conducts it, and knows better how it stands.
            grown.append({"moved": append.incident, "to_seq": end.seq})
            answers.append(None)
            continue
        moved.append(
            {
                "moved": append.incident,
                "seq": end.seq,
                "closed_at": closed_at,
                "given_team": append.state.team,
                "given_format": FORMAT if added else 0,
                **_columns(append.state),
            }
        )
        answers.append(None)
    with sent_together(connection):
        if rows:
            connection.execute(_WRITING, rows)
        if moved:
            connection.execute(_MOVING, moved)
        if grown:
            connection.execute(_GROWING, grown)
        ledger.write_after(connection, last, lines)
    return answers


_WRITING = events.insert()
_moved = update(heads).where(heads.c.incident == bindparam("moved"))
_given_format = bindparam("given_format", type_=heads.c.format.type)
_MOVING = _moved.values(
    team=func.coalesce(bindparam("given_team", type_=heads.c.team.type), heads.c.team),
    format=case((heads.c.format < _given_format, _given_format), else_=heads.c.format),
)
_GROWING = _moved.values(seq=bindparam("to_seq"))


class _End(NamedTuple):
    """Where an incident's journal ends, and whose it is; `last` is the ledger's last row."""

    seq: int
    closed_at: datetime | None
    digest: str
    owner: str
    format: int
    instance: str | None
    lease_until: datetime | None
    now: datetime
    last: LastRow | None

    def lease_fault(self, fence: Fence) -> str:
        """Why that process, if it is the owner, may not begin an effect now; empty if it may."""
        there = self.instance == fence.instance
        return lease_fault(fence, self.lease_until, self.now, there=there)


@cache
def _asking_for_ends(dialect: str) -> Select[Any]:
    """The statement of `_ends`, composed once: that costs more than to carry it out."""
    newest = last_row().subquery()
    return (
        select(
            *(heads.c[name] for name in ("incident", "seq", "closed_at", "owner", "format")),
            events.c.digest,
            replicas_table.c.instance,
            replicas_table.c.lease_until,
            moment_column(dialect),
            *(newest.c[name].label(f"last_{name}") for name in LastRow._fields),
        )
        .outerjoin_from(
            heads,
            events,
            (events.c.incident == heads.c.incident) & (events.c.seq == heads.c.seq),
        )
        .outerjoin(replicas_table, replicas_table.c.name == heads.c.owner)
        .outerjoin(newest, true())
        .where(heads.c.incident.in_(bindparam("incidents", expanding=True)))
        .with_for_update(of=heads)
    )


def _ends(
    connection: Connection, incidents: Collection[str], clock: Callable[[], datetime]
) -> dict[str, _End]:
    """All that an append is judged by, by one statement: writers of other replicas wait."""
    asked = {"incidents": list(incidents), **moment_values(connection, clock)}
    found = {}
    for (
        incident,
        seq,
        closed_at,
        owner,
        form,
        digest,
        instance,
        until,
        now,
        *last,
    ) in connection.execute(_asking_for_ends(connection.dialect.name), asked):
        known = LastRow(*last) if last[0] is not None else None
        found[incident] = _End(
            seq, closed_at, digest or "", owner, form, instance, until, now, known
        )
    return found


def _change_rights(append: Append, connection: Connection) -> list[Line]:
    """Locks and marks; what the ledger must say of them. The release goes first: who gives back
    and takes in one append may.

    Raises ClaimRefused, and then nothing has changed.
    """
    if not (append.release or append.claim or append.marks):
        return []
    # What is refused has written nothing, unless something was given back before.
    undoes = append.release and append.claim is not None
    with connection.begin_nested() if undoes else nullcontext():
        return list(_change(append, append.drafts[-1].at, connection))


def _change(append: Append, now: datetime, connection: Connection) -> Iterator[Line]:
    at = to_stamp(now)
    if append.release:
        acted = not any(step_refused(draft.event) for draft in append.drafts)
        if locks.give_back(connection, append.incident, now, acted=acted):
            yield Line("released", at, append.incident, body=packed({"acted": acted}))
    if append.claim is not None:
        locks.take_lock(connection, append.incident, append.claim, now)
        target, scope = append.claim.target, append.claim.scope
        named = {"target": target, "rule": scope.rule, "team": scope.team, "domain": scope.domain}
        body = packed({**named, "by_person": append.claim.lifted})
        yield Line("claimed", at, append.incident, append.claim.step, body)
    if append.marks:
        added = insert(connection, marks)
        newer = {name: added.excluded[name] for name in ("mark", "at", "incident")}
        connection.execute(
            added.on_conflict_do_update(
                index_elements=[marks.c.subject, marks.c.item],
                set_=newer,
                where=added.excluded.at >= marks.c.at,
            ),
            [
                {"subject": s, "item": i, "mark": m, "at": now, "incident": append.incident}
                for (s, i), m in append.marks.items()
            ],
        )
        marked = [[s, i, m] for (s, i), m in append.marks.items()]
        yield Line("marked", at, append.incident, body=packed(marked))


def _grown(last: Mapping[str, Any]) -> Line:
    """What the ledger says of entries of which this is the last."""
    return Line("entries", last["at"], last["incident"], last["seq"], last["digest"])


def _rows(
    ledger: Ledger, incident: str, after: int, previous: str, drafts: Sequence[Draft]
) -> list[dict[str, Any]]:
    """The entries as they are stored, each with the digest that holds the one before it."""
    rows = []
    for seq, draft in enumerate(drafts, start=after + 1):
        at, kind, body = to_stamp(draft.at), draft.event.kind, encode(draft.event)
        previous = ledger.seal.digest(previous, incident, seq, at, draft.by, kind, FORMAT, body)
        rows.append(
            {
                "incident": incident,
                "seq": seq,
                "at": at,
                "by": draft.by,
                "kind": kind,
                "format": FORMAT,
                "body": body,
                "digest": previous,
            }
        )
    return rows
