"""Hand-written fakes of the ports: a journal and inbox in memory, a service whose metrics follow
a script, pagers and actions that remember what was asked of them."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Literal, TypeVar

from daemon.config.active import Live
from daemon.core.changes.suspects import Change, HealthMark
from daemon.core.incident.events import (
    FORMAT,
    AlertsReceived,
    Draft,
    Entry,
    Event,
    IncidentOpened,
    chain,
    encode,
    step_refused,
)
from daemon.core.incident.onset_facts import OnsetFacts
from daemon.core.measurement.samples import QueryAnswer, Series
from daemon.core.ports.actions import ActionContext, Landed, Ready, Refused
from daemon.core.ports.journal import (
    ALL_INCIDENTS,
    AlertSighting,
    Claim,
    ClaimRefused,
    Head,
    HeadState,
    IncidentSearch,
    KeyTaken,
    Owed,
    RuleOpenings,
    SequenceConflict,
)
from daemon.core.ports.notification import Message, Page, Receipt
from daemon.core.ports.urgency import Urgency
from daemon.core.reconciliation.listing import Listing, PeerListing, Silence
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
    service_of,
)
from daemon.core.values.outcome import Outcome, Permanent, Temporary
from daemon.core.values.units import Frozen

Spoiled = Literal["empty", "several series", "partial", "NaN", "infinite"]

SCRAPE = 15.0
"""Seconds between two scrapes."""
START = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)


@dataclass
class _Run:
    incident: str
    target: str
    scope: ActionScope
    started: datetime
    finished: datetime | None = None
    by_person: bool = False


class MemoryJournal:
    """`daemon.core.ports.journal.Journal`, forgetting everything with the process."""

    def __init__(self) -> None:
        self.entries: dict[str, list[Entry]] = {}
        self.rows: dict[str, Head] = {}
        self.runs: list[_Run] = []
        self.stops: dict[str, Freeze] = {}
        self.seen: dict[tuple[str, str, datetime], Change] = {}
        self.marked: dict[tuple[str, str], HealthMark] = {}
        self.failing = False
        self.full = False
        """It can be read, and takes nothing."""

    async def open(
        self, incident: str, key: str, drafts: Sequence[Draft], state: HeadState
    ) -> None:
        self._may_fail()
        taken = await self.find_open([key])
        if taken:
            raise KeyTaken(taken[key])
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
            **_named(drafts[0].event),
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
    ) -> None:
        self._may_fail()
        if self.full:
            raise Temporary("the disk of the store is full")
        row = self.rows[incident]
        if row.seq != expected:
            raise SequenceConflict
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
            }
        )

    async def read(self, incident: str, after: int = 0) -> list[Entry]:
        self._may_fail()
        return list(self.entries.get(incident, ()))[after:]

    async def open_heads(self) -> list[Head]:
        self._may_fail()
        return [row for row in self.rows.values() if row.closed_at is None]

    async def heads(self, limit: int, search: IncidentSearch = ALL_INCIDENTS) -> list[Head]:
        newest = sorted(self.rows.values(), key=lambda r: (r.opened_at, r.incident), reverse=True)
        return [row for row in newest if _fits(row, search)][:limit]

    async def openings(self) -> dict[str, RuleOpenings]:
        ruled = [row for row in self.rows.values() if row.rule]
        at = {r.rule: [o.opened_at for o in ruled if o.rule == r.rule] for r in ruled}
        return {rule: RuleOpenings(count=len(all_), last_at=max(all_)) for rule, all_ in at.items()}

    async def alert_sightings(self, since: datetime) -> list[AlertSighting]:
        newest = {
            (alert.name, incident): AlertSighting(
                alert=alert.name, rule=self.rows[incident].rule, incident=incident, at=entry.at
            )
            for incident, entries in self.entries.items()
            for entry in entries
            if isinstance(entry.event, AlertsReceived) and entry.at >= since
            for alert in entry.event.alerts
        }
        return sorted(newest.values(), key=lambda heard: heard.at, reverse=True)

    async def find_open(self, keys: Collection[str]) -> dict[str, str]:
        self._may_fail()
        rows = self.rows.values()
        return {r.key: r.incident for r in rows if r.key in keys and r.closed_at is None}

    async def guard(
        self, target: str, incident: str, scope: ActionScope, limits: Limits, now: datetime
    ) -> Guard:
        here = [r for r in self.runs if r.target == target]
        acted = [r for r in here if r.finished and r.finished > r.started]
        ended = [(r.finished, r.incident) for r in acted if r.incident != incident]
        finished, last = max(ended, default=(None, ""))
        recent = [
            r.scope for r in self.runs if r.started > now - limits.budget_window and not r.by_person
        ]
        names = {level: scope.name(level) for level in limits.budgets if scope.name(level)}
        keys = [r.key for r in self.rows.values() if r.opened_at > now - limits.storm_window]
        alerting = len({scope.service, *map(service_of, keys)})
        cause = scope.cause if alerting < limits.storm else None
        return Guard(
            freeze=next((f for f in await self.freezes(now) if f.scope in scope.freezes), None),
            locked_by=next((r.incident for r in here if r.finished is None), ""),
            last_finished=finished,
            last_incident=last,
            started={n: sum(s.name(n) == name for s in recent) for n, name in names.items()},
            alerting=alerting,
            concurrent=tuple(self._concurrent(incident, cause) if cause else ()),
        )

    def _concurrent(self, incident: str, cause: Cause) -> list[ConcurrentIncident]:
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

    def ran_before(
        self,
        target: str,
        at: datetime,
        scope: ActionScope,
        *,
        running: bool,
        by_person: bool = False,
    ) -> None:
        """Another incident acted on the target, and ended at once, or still runs."""
        ended = None if running else at + timedelta(seconds=5)
        self.runs.append(_Run("earlier", target, scope, at, ended, by_person))

    async def _claim(self, incident: str, claim: Claim, now: datetime) -> None:
        scope, limits = claim.scope, claim.limits
        guard = await self.guard(claim.target, incident, scope, limits, now)
        guard = replace(guard, freeze=guard.freeze or claim.closed)
        hindrance = hindered(guard, limits, scope, now, lifted=claim.lifted)
        if hindrance is not None:
            raise ClaimRefused(hindrance.reason, hindrance.text)
        self.runs.append(_Run(incident, claim.target, scope, now, by_person=claim.lifted))

    @staticmethod
    def _oldest_first(found: Iterable[Change]) -> list[Change]:
        return sorted(found, key=lambda c: (c.at, c.subject, c.item))

    def _may_fail(self) -> None:
        if self.failing:
            raise Temporary("the disk of the store is full")


class MemoryDebts:
    """`daemon.core.ports.journal.Debts`, which outlives the daemon of a story."""

    def __init__(self) -> None:
        self.owed: list[Owed] = []
        self.failing = False

    async def keep(self, owed: Sequence[Owed]) -> None:
        if self.failing:
            raise Temporary("the disk is full for the side file, too")
        self.owed = list(owed)

    def retained(self) -> Sequence[Owed]:
        return list(self.owed)


def _named(opened: Event) -> dict[str, str]:
    if not isinstance(opened, IncidentOpened):
        return {}
    return {"rule": opened.rule, "team": opened.team}


def _fits(row: Head, search: IncidentSearch) -> bool:
    words = (row.title, row.incident, row.rule, row.team, row.service)
    place, here = search.after, (row.opened_at, row.incident)
    return (
        search.status in {"", "open" if row.closed_at is None else "closed"}
        and search.key in {"", row.key}
        and search.severity in {"", row.severity}
        and search.rule in {None, row.rule}
        and search.team in {"", row.team}
        and search.service in {"", row.service}
        and any(search.text.casefold() in word.casefold() for word in words)
        and (search.since is None or row.opened_at >= search.since)
        and (search.until is None or row.opened_at < search.until)
        and (place is None or here < (place.opened_at, place.incident))
    )


class MemoryInbox:
    """`daemon.core.ports.inbox.Inbox` in memory."""

    def __init__(self) -> None:
        self.waiting: dict[str, bytes] = {}
        self.done: set[str] = set()
        self.ends: dict[str, datetime] = {}
        self.came: dict[str, datetime] = {}
        self.seconds_waited = 0.0

    async def put(self, identity: str, body: bytes, at: datetime) -> bool:
        if identity in self.waiting or identity in self.done:
            return False
        self.waiting[identity] = body
        self.came[identity] = at
        return True

    async def pending(self, limit: int) -> list[tuple[str, bytes]]:
        return list(self.waiting.items())[:limit]

    def backlog(self) -> int:
        return len(self.waiting)

    def waited(self) -> float:
        return self.seconds_waited

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


@dataclass
class Service:
    """A service whose share of failures and traffic follow a script, and its Prometheus, which
    knows of `others`, by name, too.

    `errors` and `rate` (requests a second) are step functions: (seconds since START, value).
    `targets_down` of ten scrape targets are down; `alerting` services began to alert.
    `own_targets` of its own Prometheus knows beside the ten, of which `own_down` are down by a
    script; if it `measures_itself`, nothing is known of it while all of them are.
    `alerts_from`: when Prometheus began to have an alert of it.
    `groups`: label → value → errors, for queries `by (label)`. `spoiled`: what is wrong with
    every answer about the service itself. `services`: those that have series.
    Queries are `bad[…]` and `total[…]`, as `rules_text` writes them, and `latency{…}`.
    """

    errors: list[tuple[float, float]] = field(default_factory=lambda: [(-7200.0, 0.01)])
    rate: list[tuple[float, float]] = field(default_factory=lambda: [(-7200.0, 50.0)])
    latency: list[tuple[float, float]] = field(default_factory=lambda: [(-7200.0, 0.2)])
    spoiled: Spoiled | Literal[""] = ""
    down: str = ""
    stale: bool = False
    failures_unscraped: bool = False
    targets_down: int = 0
    alerting: int = 1
    groups: dict[str, dict[str, list[tuple[float, float]]]] = field(default_factory=dict)
    alerts_from: float | None = None
    own_targets: int = 0
    own_down: list[tuple[float, float]] = field(default_factory=lambda: [(-7200.0, 0.0)])
    measures_itself: bool = False
    others: dict[str, Service] = field(default_factory=dict)
    services: list[str] = field(default_factory=list)
    answer_after: float = 0.05
    asked: list[str] = field(default_factory=list)

    def fails(self, share: float, at: float) -> None:
        """From `at` on, this share of requests fails."""
        self.errors.append((at, share))

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        await self._answering(query)
        other = self._other(query)
        if other is not None:
            return await other.instant(query, at)
        now = (at - START).total_seconds()
        if self.failures_unscraped and ("bad" in query or "up{" in query):
            if query.startswith("count by (job)"):
                return QueryAnswer(query, [Series({"job": "edge"}, [(at.timestamp(), 1.0)])])
            if query.startswith("max(up"):
                return QueryAnswer(query, [Series({}, [(at.timestamp(), 0.0)])])
            return QueryAnswer(query, [])
        if "ALERTS" in query and "unless ignoring" in query:
            named = (o for name, o in self.others.items() if f'service="{name}"' in query)
            alerts = [o for o in named if o.alerts_from is not None and o.alerts_from <= now]
            count = [Series({}, [(at.timestamp(), float(len(alerts)))])] if alerts else []
            return QueryAnswer(query, count)
        if "ALERTS" in query:
            return QueryAnswer(query, [Series({}, [(at.timestamp(), float(self.alerting))])])
        if query.startswith("count by (__name__)"):  # it has no metrics but those of its rule
            return QueryAnswer(query, [])
        if query.startswith("topk("):  # which services there are
            there = [Series({"service": name}, [(at.timestamp(), 1.0)]) for name in self.services]
            return QueryAnswer(query, there)
        known = self._targets(query, now)
        if known is not None:
            return QueryAnswer(query, [Series({}, [(at.timestamp(), known)])])
        gone = self.measures_itself and _at(self.own_down, now) == self.own_targets
        if gone and "last_over_time" not in query:
            return QueryAnswer(query, [])
        if query.startswith(("group by (job", "count by (job")):
            labels = {"job": "shop", "service": "shop"}
            found = [Series(labels, [(at.timestamp(), 1.0)])] if self.own_targets else []
            return QueryAnswer(query, found)
        if query.startswith("count(up"):
            count = self.targets_down if "== 0" in query else 10
            return QueryAnswer(query, [Series({}, [(at.timestamp(), float(count))])])
        if re.match(r"(max|min)\(timestamp\(", query):
            if self.stale:
                return QueryAnswer(query, [Series({}, [(at.timestamp(), at.timestamp() - 900)])])
            newest = at.timestamp() - at.timestamp() % SCRAPE
            return QueryAnswer(query, [Series({}, [(at.timestamp(), newest)])])
        found = [
            Series(labels, [(at.timestamp(), self._count(query, now, errors))])
            for labels, errors in self._groups_of(query)
        ]
        return self._spoil(QueryAnswer(query, found))

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        await self._answering(query)
        other = self._other(query)
        if other is not None:
            return await other.series(query, start, end, step)
        if " unless " in query and " offset " in query:
            return QueryAnswer(query, [])  # every counter was there from the beginning
        if query.startswith("max(count_over_time("):
            # A scrape each quarter of a minute.
            return QueryAnswer(query, [Series({}, [(end.timestamp(), 20.0)])])
        samples: list[tuple[float, float]] = []
        at, quiet_until = start, self._quiet_until(query)
        while at <= end + timedelta(milliseconds=1):
            now = (at - START).total_seconds()
            if samples and now < quiet_until:
                value = samples[-1][1]
            else:
                down = self._targets(query, now)
                value = self._count(query, now) if down is None else down
            samples.append((at.timestamp(), value))
            at += step
        return self._spoil(QueryAnswer(query, [Series({}, samples)]))

    def _quiet_until(self, query: str) -> float:
        """Until when counts are all alike: the first moment at which the script changes."""
        if not query.startswith(("bad", "total")):
            return -math.inf
        later = [at for steps in (self.rate, self.errors) for at, _ in sorted(steps)[1:]]
        return min(later, default=math.inf)

    def _other(self, query: str) -> Service | None:
        """Who the query is about, if it is another service."""
        named = re.search(r'(?:bad|total|latency)\{service="([^"]+)"\}', query)
        return self.others.get(named[1]) if named else None

    def _targets(self, query: str, now: float) -> float | None:
        """How many of its own targets, or of those beside them, are down, or known."""
        own = _at(self.own_down, now)
        if query.startswith("count((up == 0) unless"):
            return float(self.targets_down)
        if query.startswith("count(up unless"):
            return 10 + self.own_targets - own
        if query.startswith("count((up{"):
            return own if "== 0" in query else float(self.own_targets)
        return None

    def _spoil(self, answer: QueryAnswer) -> QueryAnswer:
        match self.spoiled:
            case "empty":
                return QueryAnswer(answer.query, [])
            case "several series":
                return QueryAnswer(answer.query, [*answer.series, Series({"pod": "b"}, [])])
            case "partial":
                return replace(answer, warnings=("a store did not answer",))
            case "NaN" | "infinite" as odd:
                value = float("nan" if odd == "NaN" else "inf")
                spoiled = [
                    Series(s.labels, [(at, value) for at, _ in s.samples]) for s in answer.series
                ]
                return QueryAnswer(answer.query, spoiled)
            case _:
                return answer

    async def _answering(self, query: str) -> None:
        self.asked.append(query)
        await asyncio.sleep(self.answer_after)
        if self.down:
            raise Temporary(self.down)

    def _groups_of(self, query: str) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
        """What a query asks for: all of the service, or it by label."""
        by = re.search(r"by \((\w+)\)", query)
        if by is None:
            return [({}, self.errors)]
        found = self.groups.get(by[1], {})
        return [({by[1]: name}, errors) for name, errors in found.items()]

    def _count(
        self, query: str, now: float, errors: list[tuple[float, float]] | None = None
    ) -> float:
        if query.startswith("latency"):
            return _at(self.latency, now) * (1 + 0.05 * math.sin(now))
        window = re.search(r"\[(?:(\d+)m)?(?:(\d+)s)?\]", query)
        assert window is not None, query
        width = float(int(window[1] or 0) * 60 + int(window[2] or 0))
        part = 1.0
        if width == 2 * SCRAPE:  # what two scrapes saw, extrapolated to the window
            now, width, part = now - now % SCRAPE, SCRAPE, 2.0
        failing = errors or self.errors
        # Both are step functions, so the integral is a sum over what lies between their steps.
        edges = {at for at, _ in (*self.rate, *failing) if now - width < at < now}
        moments = sorted({now - width, now, *edges})
        total = 0.0
        for begin, end in pairwise(moments):
            amount = _at(self.rate, begin) * (end - begin)
            total += amount * (_at(failing, begin) if "bad" in query else 1.0)
        return total * part


def _at(steps: list[tuple[float, float]], now: float) -> float:
    """The value of the newest step by then; before the script begins all was as it begins."""
    newest: tuple[float, float] | None = None
    for step in steps:
        if step[0] <= now and (newest is None or step[0] >= newest[0]):
            newest = step
    return min(steps, key=lambda step: step[0])[1] if newest is None else newest[1]


class Phone:
    """A pager that remembers its pages; `broken` makes it fail, `away` only for now."""

    def __init__(self) -> None:
        self.pages: list[Page] = []
        self.broken = False
        self.away = False

    async def page(self, page: Page) -> str:
        if self.broken:
            raise Permanent("the phone is broken")
        if self.away:
            raise Temporary("the phone's network is away")
        self.pages.append(page)
        return "rang"


class Switchboard(Phone):
    """A pager that goes on calling by itself until it is told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, str]] = []

    async def update_alert(self, incident: str, state: str) -> str:
        if self.broken or self.away:
            raise Temporary("the switchboard is away")
        self.told.append((incident, state))
        return "told"


class Board:
    """A channel that keeps what was published; `version` by update."""

    def __init__(self) -> None:
        self.posts: list[Message] = []
        self.shown: dict[str, Message] = {}
        self.away = False

    async def post(self, message: Message) -> Receipt:
        if self.away:
            raise Temporary("the board is away")
        self.posts.append(message)
        self.shown[message.update] = message
        return Receipt("posted", f"post-{message.update}")

    async def edit(self, reference: str, message: Message) -> Receipt:
        assert reference == f"post-{message.update}"
        if self.away:
            raise Temporary("the board is away")
        self.shown[message.update] = message
        return Receipt("changed", reference)


class PlainLinks:
    """Links that say what they lead to."""

    def for_page(self, incident: str, page: str) -> str:
        return f"http://stopgap/a/{incident}/{page}"

    def document(self, incident: str) -> str:
        return f"http://stopgap/d/{incident}"


class FakePeer:
    """A system that tells its version, or why it is not there."""

    def __init__(self, version: str) -> None:
        self.tells = version
        self.away: Exception | None = None

    async def version(self) -> str:
        if self.away is not None:
            raise self.away
        return self.tells


class MemoryNotes:
    """`daemon.core.ports.notes.Notes` in memory."""

    def __init__(self) -> None:
        self.words: dict[str, tuple[str, ...]] = {}

    async def read(self, name: str) -> tuple[str, ...]:
        return self.words.get(name, ())

    async def write(self, name: str, words: Sequence[str]) -> None:
        self.words[name] = tuple(words)


class FakeAlertmanager:
    """`daemon.core.ports.alerts.AlertsApi`: a peer that lists what a test puts there.

    `elsewhere`: identities of alerts that it lists for other receivers alone.
    """

    def __init__(self, name: str = "http://alertmanager") -> None:
        self.name = name
        self.age = timedelta(hours=1)
        self.listed: list[Listing] = []
        self.elsewhere: set[str] = set()
        self.timed: frozenset[str] = frozenset()
        self.silences: dict[str, Silence] = {}
        self.away: Exception | None = None
        self.looks = 0

    async def look(self, receivers: Collection[str]) -> PeerListing:
        if self.away is not None:
            raise self.away
        self.looks += 1
        found = tuple(one for one in self.listed if one.receiver in receivers)
        return PeerListing(self.name, self.age, found, self.timed)

    async def present(self) -> Collection[str]:
        if self.away is not None:
            raise self.away
        return {one.alert.identity for one in self.listed} | self.elsewhere

    async def silence(self, identity: str) -> Silence:
        if self.away is not None:
            raise self.away
        if identity not in self.silences:
            raise Permanent("Alertmanager answered 404")
        return self.silences[identity]


class FakeAction:
    """An action on one named target; what it does to the service is `effect`."""

    class Params(Frozen):
        """The target."""

        target: str

    def __init__(self, name: str) -> None:
        self.name = name
        self.runs: list[str] = []
        self.began_at: list[float] = []
        self.prepares = 0.0
        self.takes = 5.0
        self.goes_back_from = ""
        """What is live; it goes back to what was measured healthy before, or refuses."""
        self.effect: Any = None
        self.effects: dict[str, Any] = {}
        """What it does to the world, by target; `effect` for those not in it."""
        self.targets: list[str] = []
        self.refuse: Refused | None = None
        self.outcome = Outcome(result="done", reason="done", detail="it is done")
        self.landed: Landed = "not_done"
        self.checks = 0
        self.trouble: list[Exception] = []
        """What the next looks at the target raise, one each."""

    def allowed(self, params: Any) -> str | None:
        return None

    def target(self, params: Any) -> str:
        return str(params.target)

    async def preflight(self, params: Any, context: ActionContext) -> Ready | Refused:
        await asyncio.sleep(self.prepares)
        if self.trouble:
            raise self.trouble.pop(0)
        if self.goes_back_from:
            candidate = await context.choose(self.goes_back_from)
            if not candidate.item:
                return Refused("no_healthy_item", candidate.text)
        return self.refuse or Ready(f"do {self.name}", {"from": "v2", "to": "v1"})

    async def run(self, params: Any, intent: Mapping[str, str], context: ActionContext) -> Outcome:
        self.runs.append(context.token)
        self.targets.append(params.target)
        self.began_at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.takes)
        effect = self.effects.get(params.target, self.effect)
        if effect is not None:
            effect()
        return self.outcome

    async def check(self, params: Any, intent: Mapping[str, str], context: ActionContext) -> Landed:
        self.checks += 1
        if self.trouble:
            raise self.trouble.pop(0)
        return self.landed


_V = TypeVar("_V")


class Following(Live[_V]):
    """In force is whatever the test has at that moment."""

    def __init__(self, look: Callable[[], _V]) -> None:
        self._look = look

    @property
    def now(self) -> _V:
        return self._look()
