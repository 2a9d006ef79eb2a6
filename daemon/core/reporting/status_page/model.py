"""What stands on the status page, from the updates that were sent to one audience."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from daemon.core.incident.state import Incident
from daemon.core.incident.untold import last_word_dismissed, over_since, told_elsewhere
from daemon.core.people.roster import Roster
from daemon.core.values.units import Frozen, Moment

StatusState = Literal["ok", "problem"]


class StatusUpdate(Frozen):
    """One text, as it was sent, or as it was changed since."""

    at: Moment
    text: str


class StatusEntry(Frozen):
    """One problem as the public was told of it, its newest update first.

    `id` stays the same and leads nowhere. `began`: when the public was first told; `ended`: when it
    was told that it is over, None until then.
    """

    id: str
    began: Moment
    ended: Moment | None
    components: tuple[str, ...]
    updates: tuple[StatusUpdate, ...]


class StatusComponent(Frozen):
    """A part of the service, by the name that the public knows."""

    name: str
    state: StatusState


class StatusPage(Frozen):
    """The whole page; `status.json` is this. Times are UTC, in ISO 8601.

    `format` counts revisions of this shape. `written_at` is when it was written last; it is written
    every `written_every` seconds at the latest, so an older one tells that its writer is away.
    """

    format: Literal[1] = 1
    title: str
    state: StatusState
    written_at: Moment
    written_every: int
    components: tuple[StatusComponent, ...]
    entries: tuple[StatusEntry, ...]


@dataclass(frozen=True)
class StatusPageSpec:
    """What is wanted of the page: `audience` is whose updates it shows; what is over for longer
    than `history` leaves it. `components`: the names that the public knows, each with the teams and
    rules whose problems are its own."""

    title: str
    audience: str
    history: timedelta
    every: timedelta
    components: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def audience_trouble(roster: Roster, audience: str) -> str:
    """Why that audience's updates cannot be public; empty if they can."""
    known = roster.audiences.get(audience)
    where = "`status_page.audience` in stopgap.yaml"
    if known is None:
        names = ", ".join(sorted(roster.audiences)) or "none"
        return f"{where}: the roster has no audience {audience!r}; it has {names}"
    if known.wording != "public":
        mend = f"`audiences.{audience}.wording: public` in roster.yaml"
        return f"{where}: the updates to {audience!r} are internal; {mend} mends it"
    return ""


@dataclass(frozen=True)
class StatusPart:
    """What the public was told of one incident: `updates`, the newest first. `ended`: since when it
    is over for them. `into`: the incident that it became part of, which tells the end of both."""

    updates: tuple[StatusUpdate, ...]
    components: tuple[str, ...]
    ended: datetime | None
    into: str


def status_part(incident: Incident, spec: StatusPageSpec) -> StatusPart | None:
    """What the public was told of that incident; None if it has nothing to do with them, and for a
    drill. What was drafted in internal wording is not shown, whatever the audience's is now."""
    if incident.drill is not None:
        return None
    sent = [
        (update.released_at, update)
        for update in incident.updates.of(spec.audience)
        if update.released_at is not None and update.draft.public
    ]
    if not sent and spec.audience not in told_elsewhere(incident):
        return None
    ended = sent[-1][0] if sent and sent[-1][1].draft.stage == "late" else None
    if ended is None and last_word_dismissed(incident, spec.audience) is not None:
        ended = over_since(incident)
    ours = {incident.opened.team, incident.rule} - {""}
    return StatusPart(
        updates=tuple(StatusUpdate(at=at, text=update.text) for at, update in reversed(sent)),
        components=tuple(name for name, of in spec.components.items() if ours & set(of)),
        ended=ended,
        into=incident.organization.merged_into,
    )


def status_entries(parts: Mapping[str, StatusPart], spec: StatusPageSpec) -> list[StatusEntry]:
    """What they are to the public, by incident: one problem of those that became one."""
    together: dict[str, list[StatusPart]] = {}
    for incident, part in parts.items():
        together.setdefault(_whole(incident, parts), []).append(part)
    found = []
    for whole, members in together.items():
        updates = sorted(
            (update for part in members for update in part.updates),
            key=lambda u: u.at,
            reverse=True,
        )
        if not updates:
            continue
        began = updates[-1].at
        names = {name for part in members for name in part.components}
        found.append(
            StatusEntry(
                id=f"{began.astimezone(UTC):%Y%m%d-%H%M%S}",
                began=began,
                ended=parts[whole].ended,
                components=tuple(name for name in spec.components if name in names),
                updates=tuple(updates),
            )
        )
    return found


def _whole(incident: str, parts: Mapping[str, StatusPart]) -> str:
    """Which of these it has become part of in the end; itself, if of none."""
    while (into := parts[incident].into) in parts:
        incident = into
    return incident


def status_page(entries: Iterable[StatusEntry], spec: StatusPageSpec, now: datetime) -> StatusPage:
    """The page at that moment: what goes on first, then what is over, the newest first."""
    since = now - spec.history
    shown = [one for one in entries if one.ended is None or one.ended >= since]
    shown.sort(key=lambda one: (one.ended is None, one.began), reverse=True)
    troubled = {name for one in shown if one.ended is None for name in one.components}
    goes_on = any(one.ended is None for one in shown)
    return StatusPage(
        title=spec.title,
        state="problem" if goes_on else "ok",
        written_at=now,
        written_every=round(spec.every.total_seconds()),
        components=tuple(
            StatusComponent(name=name, state="problem" if name in troubled else "ok")
            for name in spec.components
        ),
        entries=_each_of_its_own(shown),
    )


def _each_of_its_own(entries: list[StatusEntry]) -> tuple[StatusEntry, ...]:
    """Two that began in one second are told apart."""
    seen: dict[str, int] = {}
    found = []
    for one in entries:
        seen[one.id] = seen.get(one.id, 0) + 1
        again = f"-{seen[one.id]}" if seen[one.id] > 1 else ""
        found.append(one.model_copy(update={"id": one.id + again}))
    return tuple(found)
