"""Hand-written fakes of the ports: a journal and inbox in memory, a service whose metrics follow
a script, pagers and actions that remember what was asked of them."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal, TypeVar

from daemon.config.active import Live
from daemon.core.incident.events import Entry
from daemon.core.measurement.flavours import MetricsServer
from daemon.core.measurement.samples import QueryAnswer, Series
from daemon.core.ports.actions import ActionContext, Landed, Ready, Refused
from daemon.core.ports.alerts import Silencing, StandingSilence
from daemon.core.ports.journal import Head, Owed
from daemon.core.ports.notification import Message, Page, Receipt
from daemon.core.reconciliation.listing import Listing, PeerListing, Silence
from daemon.core.recovery.maintenance import MaintenanceWindow
from daemon.core.values.outcome import Outcome, Permanent, Temporary
from daemon.core.values.units import Frozen
from daemon.replaying import memory_journal, memory_stores
from daemon.replaying.memory_stores import MemoryNotes
from daemon.replaying.recorded_calls import PlainLinks

__all__ = ["MemoryNotes", "PlainLinks"]

Spoiled = Literal["empty", "several series", "partial", "NaN", "infinite"]

SCRAPE = 15.0
"""Seconds between two scrapes."""
START = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)


class MemoryJournal(memory_journal.MemoryJournal):
    """The journal in memory, whose disk may fail or be full."""

    def __init__(self) -> None:
        super().__init__()
        self.failing = False
        self.full = False
        """It can be read, and takes nothing."""
        self.grown: list[tuple[str, int]] = []
        """Each incident that has grown, and to which entry, in the order of the appends."""

    async def open(self, *args: Any, **more: Any) -> None:
        self._may_fail()
        await super().open(*args, **more)

    async def append(self, *args: Any, **more: Any) -> None:
        self._may_fail()
        if self.full:
            raise Temporary("the disk of the store is full")
        incident: str = args[0]
        before = self.rows[incident].seq
        await super().append(*args, **more)
        if (end := self.rows[incident].seq) > before:
            self.grown.append((incident, end))

    async def read(self, incident: str, after: int = 0) -> list[Entry]:
        self._may_fail()
        return await super().read(incident, after)

    async def open_heads(self) -> list[Head]:
        self._may_fail()
        return await super().open_heads()

    async def find_open(self, keys: Collection[str]) -> dict[str, str]:
        self._may_fail()
        return await super().find_open(keys)

    def _may_fail(self) -> None:
        if self.failing:
            raise Temporary("the disk of the store is full")


class MemoryDebts(memory_stores.MemoryDebts):
    """The debts in memory, whose file may fail."""

    def __init__(self) -> None:
        super().__init__()
        self.failing = False

    async def keep(self, owed: Sequence[Owed]) -> None:
        if self.failing:
            raise Temporary("the disk is full for the side file, too")
        await super().keep(owed)


class MemoryMaintenance:
    """The maintenance windows in memory: `daemon.core.ports.maintenance.MaintenanceStore`."""

    def __init__(self) -> None:
        self.windows: dict[str, MaintenanceWindow] = {}

    async def add_window(self, window: MaintenanceWindow) -> None:
        self.windows[window.id] = window

    async def end_window(self, window: str, by: str, at: datetime) -> bool:
        known = self.windows.get(window)
        if known is None or known.over_at <= at or known.ended_at is not None:
            return False
        ended = {"ended_by": by, "ended_at": at}
        self.windows[window] = known.model_copy(update=ended)
        return True

    async def windows_since(self, since: datetime) -> list[MaintenanceWindow]:
        found = [window for window in self.windows.values() if window.ends_at >= since]
        return sorted(found, key=lambda window: (window.begins_at, window.id))


class MemoryInbox(memory_stores.MemoryInbox):
    """The inbox in memory, which says that the oldest delivery has waited `seconds_waited`."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds_waited = 0.0

    def waited(self) -> float:
        return self.seconds_waited


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
        return self.others.get(_named_by(query)) if self.others else None

    def _targets(self, query: str, now: float) -> float | None:
        """How many of its own targets, or of those beside them, are down, or known."""
        if not query.startswith("count("):
            return None
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
        if self.answer_after:
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
        width, part = _window_of(query), 1.0
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


@lru_cache(maxsize=4096)
def _named_by(query: str) -> str:
    """The service that a query names; empty if none."""
    named = re.search(r'(?:bad|total|latency)\{service="([^"]+)"\}', query)
    return named[1] if named else ""


@lru_cache(maxsize=4096)
def _window_of(query: str) -> float:
    """Over how many seconds a query looks back."""
    window = re.search(r"\[(?:(\d+)m)?(?:(\d+)s)?\]", query)
    assert window is not None, query
    return float(int(window[1] or 0) * 60 + int(window[2] or 0))


def _at(steps: list[tuple[float, float]], now: float) -> float:
    """The value of the newest step by then; before the script begins all was as it begins."""
    newest: tuple[float, float] | None = None
    for step in steps:
        if step[0] <= now and (newest is None or step[0] >= newest[0]):
            newest = step
    return min(steps, key=lambda step: step[0])[1] if newest is None else newest[1]


class Phone:
    """A pager that remembers its pages; `broken` makes it fail, `away` only for now."""

    method = "phone-1"
    """What this way of reaching somebody is called."""

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

    method = "pagerduty-1"

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


class FakePeer:
    """A system that tells its version, or why it is not there."""

    def __init__(self, version: str) -> None:
        self.tells = version
        self.away: Exception | None = None

    async def version(self) -> str:
        if self.away is not None:
            raise self.away
        return self.tells


class FakeMetricsPeer(FakePeer):
    """One that answers PromQL, and knows what it is."""

    async def server(self) -> MetricsServer:
        return MetricsServer("victoriametrics", "2.24.0", "a double", behind=timedelta(seconds=11))


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
        self.ours: dict[str, Silencing] = {}
        self.loses_answers = False
        """It sets a silence, and its answer is lost on the way."""

    async def standing(self, mark: str) -> Sequence[StandingSilence]:
        if self.away is not None:
            raise self.away
        return [
            StandingSilence(name, START)
            for name, one in self.ours.items()
            if one.comment.startswith(mark)
        ]

    async def put(self, silencing: Silencing, instead: StandingSilence | None) -> tuple[str, str]:
        if self.away is not None:
            raise self.away
        name = instead.silence if instead else f"ours-{len(self.ours) + 1}"
        self.ours[name] = silencing
        if self.loses_answers:
            raise Temporary("the connection was closed")
        return name, f"{self.name}/#/silences/{name}"

    async def end(self, silence: str) -> None:
        if self.away is not None:
            raise self.away
        self.ours.pop(silence, None)

    def _as_silenced(self, listing: Listing) -> Listing:
        labels = listing.alert.labels
        ours = [n for n, s in self.ours.items() if all(m.matches(labels) for m in s.matchers)]
        if not ours:
            return listing
        return replace(listing, state="suppressed", silences=(*listing.silences, *ours))

    async def look(self, receivers: Collection[str]) -> PeerListing:
        if self.away is not None:
            raise self.away
        self.looks += 1
        found = tuple(self._as_silenced(x) for x in self.listed if x.receiver in receivers)
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
