"""How the journal grows: an incident's start, and each append, inside one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select, update

from daemon.adapters.store import locks as claims
from daemon.adapters.store.ledger import Ledger, Line, packed
from daemon.adapters.store.schema import events, head_is_open, heads, marks, stamp
from daemon.adapters.store.sqlite import insert
from daemon.core.changes.suspects import Mark
from daemon.core.incident.events import FORMAT, Draft, IncidentOpened, encode, refused
from daemon.core.ports.journal import Claim, Conflict, HeadState, KeyTaken
from daemon.core.recovery.guardrails import service_of

Marks = Mapping[tuple[str, str], Mark]
"""(subject, item) → what a measurement said of it."""


class Append(NamedTuple):
    """The arguments of `append`, on their way into the transaction."""

    incident: str
    expected: int
    drafts: Sequence[Draft]
    state: HeadState
    claim: Claim | None
    release: bool
    marks: Marks


def find_open(key: str, connection: Connection) -> str | None:
    """The id of the open incident with that key."""
    found: str | None = connection.scalar(
        select(heads.c.incident).where(heads.c.key == key, head_is_open)
    )
    return found


def start(
    ledger: Ledger,
    incident: str,
    key: str,
    drafts: Sequence[Draft],
    state: HeadState,
    connection: Connection,
) -> None:
    """Insert the head and the first entries. Raises KeyTaken."""
    # Not "look, then insert": the unique index decides, across replicas too.
    added = connection.execute(
        insert(heads)
        .values(
            incident=incident,
            key=key,
            seq=len(drafts),
            **state.model_dump(exclude={"closed"}),
            opened_at=drafts[0].at,
            closed_at=drafts[-1].at if state.closed else None,
            service=service_of(key),
            **_named(drafts[0]),
        )
        .on_conflict_do_nothing(index_elements=[heads.c.key], index_where=head_is_open)
    )
    if added.rowcount == 0:
        raise KeyTaken(find_open(key, connection) or "")
    ledger.write(connection, _add_entries(ledger, connection, incident, 0, "", drafts))


def _named(first: Draft) -> dict[str, str]:
    """The rule and the team that the incident is looked for by."""
    opened = first.event
    if not isinstance(opened, IncidentOpened):
        return {}
    return {"rule": opened.rule, "team": opened.team}


def append(ledger: Ledger, asked: Append, connection: Connection) -> None:
    """Carry out one append. Raises Conflict or ClaimRefused, and then nothing is written."""
    head = (
        connection.execute(
            select(heads.c.seq, heads.c.closed_at)
            .where(heads.c.incident == asked.incident)
            .with_for_update()
        )
    ).one_or_none()
    if head is None or head.seq != asked.expected:
        there = "does not exist" if head is None else f"is at entry {head.seq}"
        raise Conflict(f"incident {asked.incident} {there}, not at entry {asked.expected}")
    closed_at = head.closed_at
    if asked.drafts:
        now = asked.drafts[-1].at
        lines = list(_change_rights(asked, now, connection))
        if asked.state.closed and closed_at is None:
            closed_at = now
        previous = connection.scalar(
            select(events.c.digest).where(
                events.c.incident == asked.incident, events.c.seq == asked.expected
            )
        )
        lines.append(
            _add_entries(
                ledger, connection, asked.incident, asked.expected, previous or "", asked.drafts
            )
        )
        ledger.write(connection, *lines)
    connection.execute(
        update(heads)
        .where(heads.c.incident == asked.incident)
        .values(
            seq=asked.expected + len(asked.drafts),
            closed_at=closed_at,
            **asked.state.model_dump(exclude={"closed"}),
        )
    )


def _change_rights(asked: Append, now: datetime, connection: Connection) -> Iterator[Line]:
    """Locks and marks. The release goes first: who gives back and takes in one append may.

    What the ledger must say of them; the entries follow it there.
    """
    at = stamp(now)
    if asked.release:
        acted = not any(refused(draft.event) for draft in asked.drafts)
        if claims.give_back(connection, asked.incident, now, acted=acted):
            yield Line("released", at, asked.incident, body=packed({"acted": acted}))
    if asked.claim is not None:
        claims.take(connection, asked.incident, asked.claim, now)
        target, scope = asked.claim.target, asked.claim.scope
        body = {"target": target, "rule": scope.rule, "team": scope.team, "domain": scope.domain}
        yield Line("claimed", at, asked.incident, asked.claim.step, packed(body))
    if asked.marks:
        added = insert(marks)
        newer = {name: added.excluded[name] for name in ("mark", "at", "incident")}
        connection.execute(
            added.on_conflict_do_update(
                index_elements=[marks.c.subject, marks.c.item],
                set_=newer,
                where=added.excluded.at >= marks.c.at,
            ),
            [
                {"subject": s, "item": i, "mark": m, "at": now, "incident": asked.incident}
                for (s, i), m in asked.marks.items()
            ],
        )
        said = [[s, i, m] for (s, i), m in asked.marks.items()]
        yield Line("marked", at, asked.incident, body=packed(said))


def _add_entries(
    ledger: Ledger,
    connection: Connection,
    incident: str,
    after: int,
    previous: str,
    drafts: Sequence[Draft],
) -> Line:
    """Insert the entries; what the ledger must say of them."""
    rows, at = [], ""
    for seq, draft in enumerate(drafts, start=after + 1):
        at, kind, body = stamp(draft.at), draft.event.kind, encode(draft.event)
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
    connection.execute(events.insert(), rows)
    return Line("entries", at, incident, after + len(rows), previous)
