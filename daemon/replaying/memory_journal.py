"""A journal in memory: what the store of the daemon does, without a disk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from daemon.core.changes.suspects import Change, HealthMark
from daemon.core.incident.alert_routes import Routes
from daemon.core.incident.events import (
    FORMAT,
    AlertsReceived,
    Draft,
    Entry,
    IncidentOpened,
    chain,
    encode,
    step_refused,
)
from daemon.core.incident.onset_facts import OnsetFacts
from daemon.core.ports.journal import (
    ALL_INCIDENTS,
    RECOVERED_BY_PEOPLE,
    AlertSighting,
    Claim,
    ClaimRefused,
    Head,
    HeadState,
    IncidentSearch,
    KeyTaken,
    OpeningOutcome,
    RuleOpenings,
    SequenceConflict,
    require_entry,
)
from daemon.core.ports.replicas import Fence, NotOwner
from daemon.core.ports.urgency import Urgency
from daemon.core.recovery.concurrent import (
    MOST_CONCURRENT,
    SLACK,
    WIDEST,
    Cause,
    ConcurrentIncident,
)
from daemon.core.recovery.guardrails import (
    ActionScope,
    Freeze,
    Guard,
    Limits,
    group_of,
    hindered,
    is_storm,
    service_of,
    services_of,
)
from daemon.core.values.drill_key import drill_of


@dataclass
class ActionRun:
    """An action of one incident on one target; without `finished` it runs still, and holds the
    target's lock."""

    incident: str
    target: str
    scope: ActionScope
    started: datetime
    finished: datetime | None = None
    by_person: bool = False


class MemoryJournal:
    """`daemon.core.ports.journal.Journal`, forgetting everything with the process.

    It judges as the store does: the same optimistic lock, the same guard of targets, the same
    hashes. What it holds may be looked at, and put there, before or after a run.
    """

    def __init__(self) -> None:
        self.entries: dict[str, list[Entry]] = {}
        """Of each incident, oldest first."""
        self.rows: dict[str, Head] = {}
        self.runs: list[ActionRun] = []
        self.stops: dict[str, Freeze] = {}
        """The freezes, by scope."""
        self.seen: dict[tuple[str, str, datetime], Change] = {}
        """The changes, by subject, item and time."""
        self.marked: dict[tuple[str, str], HealthMark] = {}
        """What measurements said, by subject and item."""
        self.lapsed: Callable[[Fence], str] = lambda _: ""
        """Why that process may not begin an effect now; empty if it may."""

    async def open(
        self,
        incident: str,
        key: str,
        drafts: Sequence[Draft],
        state: HeadState,
        *,
        owner: str = "",
    ) -> None:
        taken = await self.find_open([key])
        if taken:
            raise KeyTaken(taken[key])
        opened = drafts[0].event
        rule = opened.rule if isinstance(opened, IncidentOpened) else ""
        team = opened.team if isinstance(opened, IncidentOpened) else ""
        self.entries[incident] = []
        self.rows[incident] = Head(
            incident=incident,
            key=key,
            seq=0,
            phase=state.phase,
            title=state.title,
            severity=state.severity,
            opened_at=drafts[0].at,
            service=service_of(key),
            rule=rule,
            team=team,
            owner=owner,
        )
        await self.append(incident, 0, drafts, state)

    async def append(
        self,
        incident: str,
        expected: int,
        drafts: Sequence[Draft],
        state: HeadState,
        *,
        claim: Claim | None = None,
        release: bool = False,
        marks: Mapping[tuple[str, str], HealthMark] | None = None,
        urgency: Urgency = Urgency.NORMAL,
        fence: Fence | None = None,
    ) -> None:
        require_entry(drafts, state, claim, release, marks)
        row = self.rows[incident]
        if row.seq != expected:
            raise SequenceConflict
        if fence is not None:
            self._check(fence, row)
        if claim is not None:
            await self._claim(incident, claim, drafts[-1].at)
        for run in self.runs if release else ():
            if run.incident == incident and run.finished is None:
                acted = not any(step_refused(draft.event) for draft in drafts)
                run.finished = drafts[-1].at if acted else run.started
        self.marked.update(marks or {})
        journal = self.entries[incident]
        for seq, draft in enumerate(drafts, expected + 1):
            body = encode(draft.event)
            previous = journal[-1].digest if journal else ""
            at, kind = draft.at.isoformat(), draft.event.kind
            digest = chain(previous, incident, seq, at, draft.by, kind, FORMAT, body)
            journal.append(Entry(incident=incident, seq=seq, digest=digest, **dict(draft)))
        closed_at = row.closed_at or (drafts[-1].at if state.closed else None)
        self.rows[incident] = row.model_copy(
            update={
                "seq": expected + len(drafts),
                "phase": state.phase,
                "title": state.title,
                "severity": state.severity,
                "closed_at": closed_at,
                "wake_at": state.wake_at,
                **{name: getattr(state, name) for name in OnsetFacts.model_fields},
                "outcome": state.outcome,
                "pending": state.pending,
                "routes": state.routes,
                "team": row.team if state.team is None else state.team,
            }
        )

    async def read_together(self, after: Mapping[str, int]) -> dict[str, list[Entry]]:
        found = {name: await self.read(name, seq) for name, seq in after.items()}
        return {name: entries for name, entries in found.items() if entries}

    async def read(self, incident: str, after: int = 0) -> list[Entry]:
        return list(self.entries.get(incident, ()))[after:]

    async def open_incidents(self) -> list[str]:
        return [row.incident for row in await self.open_heads()]

    async def open_heads(self) -> list[Head]:
        return [row for row in self.rows.values() if row.closed_at is None]

    async def open_with(self, kinds: Collection[str]) -> set[str]:
        return {
            row.incident
            for row in await self.open_heads()
            if any(entry.event.kind in kinds for entry in await self.read(row.incident))
        }

    async def heads(self, limit: int, search: IncidentSearch = ALL_INCIDENTS) -> list[Head]:
        newest = sorted(self.rows.values(), key=lambda r: (r.opened_at, r.incident), reverse=True)
        return [row for row in newest if _fits(row, search)][:limit]

    async def outcomes(
        self, limit: int, search: IncidentSearch = ALL_INCIDENTS
    ) -> list[OpeningOutcome]:
        return [
            OpeningOutcome(row.incident, row.opened_at, row.rule, row.team, row.outcome)
            for row in await self.heads(limit, search)
        ]

    async def openings(self) -> dict[str, RuleOpenings]:
        ruled = [row for row in self.rows.values() if row.rule and not drill_of(row.key)]
        at = {r.rule: [o.opened_at for o in ruled if o.rule == r.rule] for r in ruled}
        return {rule: RuleOpenings(count=len(all_), last_at=max(all_)) for rule, all_ in at.items()}

    async def alert_sightings(self, since: datetime) -> list[AlertSighting]:
        newest = {
            (alert.name, incident): AlertSighting(
                alert=alert.name, rule=self.rows[incident].rule, incident=incident, at=entry.at
            )
            for incident, entries in self.entries.items()
            if not drill_of(self.rows[incident].key)
            for entry in entries
            if isinstance(entry.event, AlertsReceived) and entry.at >= since
            for alert in entry.event.alerts
        }
        return sorted(newest.values(), key=lambda heard: heard.at, reverse=True)

    async def find_open(self, keys: Collection[str]) -> dict[str, str]:
        rows = self.rows.values()
        return {r.key: r.incident for r in rows if r.key in keys and r.closed_at is None}

    async def routes(self) -> list[tuple[str, Routes]]:
        open_rows = (row for row in self.rows.values() if row.closed_at is None)
        return [(row.incident, row.routes) for row in open_rows if row.routes]

    async def guard(
        self, target: str, incident: str, scope: ActionScope, limits: Limits, now: datetime
    ) -> Guard:
        here = [r for r in self.runs if r.target == target]
        acted = [r for r in here if r.finished and r.finished > r.started]
        ended = [(r.finished, r.incident) for r in acted if r.incident != incident]
        finished, last = max(ended, default=(None, ""))
        recent = [
            r.scope
            for r in self.runs
            if r.started > now - limits.budget_window
            and not r.by_person
            and r.scope.drill == scope.drill
        ]
        names = {level: scope.name(level) for level in limits.budgets if scope.name(level)}
        keys = [
            r.key
            for r in self.rows.values()
            if r.opened_at > now - limits.storm_window and drill_of(r.key) == scope.drill
        ]
        alerting = services_of(keys, scope.service)
        cause = None if is_storm(alerting, limits) else scope.cause
        return Guard(
            freeze=next((f for f in await self.freezes(now) if f.scope in scope.freezes), None),
            locked_by=next((r.incident for r in here if r.finished is None), ""),
            last_finished=finished,
            last_incident=last,
            started={n: sum(s.name(n) == name for s in recent) for n, name in names.items()},
            alerting=alerting,
            concurrent=tuple(self._concurrent(incident, cause, scope.drill) if cause else ()),
        )

    def _concurrent(self, incident: str, cause: Cause, drill: str) -> list[ConcurrentIncident]:
        begin, end = cause.begin - SLACK, cause.end + SLACK
        found = [
            ConcurrentIncident(
                incident=row.incident,
                rule=row.rule,
                group_labels=group_of(row.key),
                phase=row.phase,
                verdict=row.verdict,
                onset_known=row.onset_from is not None,
                suspect=row.suspect,
                opened_at=row.opened_at,
                recovered_at=row.recovered_at,
            )
            for row in self.rows.values()
            if row.incident != incident
            and row.rule
            and drill_of(row.key) == drill
            and (not row.suspect or row.suspect != cause.suspect)
            and (
                row.opened_at >= begin and row.closed_at is None
                if row.onset_from is None or row.onset_until is None
                else begin - WIDEST <= row.onset_from <= end and row.onset_until >= begin
            )
        ]
        found.sort(key=lambda one: (not one.onset_known, one.opened_at, one.incident))
        return found[:MOST_CONCURRENT]

    async def freeze(self, freeze: Freeze) -> None:
        self.stops[freeze.scope] = freeze

    async def thaw(self, scope: str, by: str, at: datetime) -> bool:
        standing = any(f.scope == scope for f in await self.freezes(at))
        return standing and self.stops.pop(scope) is not None

    async def freezes(self, now: datetime) -> list[Freeze]:
        standing = [f for f in self.stops.values() if f.until is None or f.until > now]
        return sorted(sorted(standing, key=lambda f: f.scope), key=lambda f: f.at, reverse=True)

    async def saw_change(self, change: Change) -> None:
        kept = change.model_copy(update={"rolling": False})
        self.seen.setdefault((change.subject, change.item, change.at), kept)

    async def changes(self, subject: str) -> list[Change]:
        return self._oldest_first(c for c in self.seen.values() if c.subject == subject)

    async def reported(self, since: datetime) -> list[Change]:
        return self._oldest_first(c for c in self.seen.values() if c.reported and c.at >= since)

    async def marks(self, subject: str) -> dict[str, HealthMark]:
        return {item: mark for (s, item), mark in self.marked.items() if s == subject}

    def _check(self, fence: Fence, row: Head) -> None:
        """Raises NotOwner."""
        why = self.lapsed(fence)
        if row.owner != fence.replica:
            why = f"it is {row.owner}'s" if row.owner else "it is nobody's now"
        if why:
            raise NotOwner(row.incident, row.owner, why)

    def ran_before(
        self,
        target: str,
        at: datetime,
        scope: ActionScope,
        *,
        running: bool,
        by_person: bool = False,
    ) -> None:
        """Note that another incident acted on the target, and ended at once, or still runs."""
        ended = None if running else at + timedelta(seconds=5)
        self.runs.append(ActionRun("earlier", target, scope, at, ended, by_person))

    async def _claim(self, incident: str, claim: Claim, now: datetime) -> None:
        scope, limits = claim.scope, claim.limits
        guard = await self.guard(claim.target, incident, scope, limits, now)
        guard = replace(guard, freeze=guard.freeze or claim.closed)
        hindrance = hindered(guard, limits, scope, now, lifted=claim.lifted)
        if hindrance is not None:
            raise ClaimRefused(hindrance.reason, hindrance.text)
        self.runs.append(ActionRun(incident, claim.target, scope, now, by_person=claim.lifted))

    @staticmethod
    def _oldest_first(found: Iterable[Change]) -> list[Change]:
        return sorted(found, key=lambda c: (c.at, c.subject, c.item))


def _fits(row: Head, search: IncidentSearch) -> bool:
    words = (row.title, row.incident, row.rule, row.team, row.service)
    place, here = search.after, (row.opened_at, row.incident)
    return (
        search.drills in {"with", "only" if drill_of(row.key) else "without"}
        and search.status in {"", "open" if row.closed_at is None else "closed"}
        and (not search.pending or row.pending > 0)
        and search.key in {"", row.key}
        and search.severity in {"", row.severity}
        and search.rule in {None, row.rule}
        and search.team in {"", row.team}
        and search.service in {"", row.service}
        and any(search.text.casefold() in word.casefold() for word in words)
        and (not search.by_people or _maybe_by_people(row))
        and (search.since is None or row.opened_at >= search.since)
        and (search.until is None or row.opened_at < search.until)
        and (place is None or here < (place.opened_at, place.incident))
    )


def _maybe_by_people(row: Head) -> bool:
    return row.outcome is not None and row.outcome.recovered_by in RECOVERED_BY_PEOPLE
