"""What stands now, asked for at each scrape: open incidents, inbox, outbox, freezes, readiness."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from prometheus_client import CollectorRegistry, Gauge

from daemon.core.incident.state import Incident
from daemon.core.people.audiences import SeverityName
from daemon.core.people.roster import Roster
from daemon.core.ports.replicas import ReplicaSurvey
from daemon.core.ports.store import Fault, StoreTrouble
from daemon.core.recovery.guardrails import GLOBAL, Freeze
from daemon.core.response.open_pages import undelivered
from daemon.core.rules.rule import Mode, Rule
from daemon.core.values.outcome import Permanent, Temporary


@dataclass(frozen=True)
class Sources:
    """Where the gauges come from. `tasks`: incidents conducted, and effects under way.
    `withdrawn`: why a rule has lost its autonomy; empty if it has not."""

    version: str
    clock: Callable[[], datetime]
    ready: Callable[[], bool]
    rules: Callable[[], Mapping[str, Rule]]
    roster: Callable[[], Roster]
    tasks: Callable[[], tuple[int, int]]
    backlog: Callable[[], int]
    oldest: Callable[[], Awaitable[datetime | None]]
    freezes: Callable[[], Awaitable[Sequence[Freeze]]]
    store_trouble: Callable[[], StoreTrouble | None] = lambda: None
    withdrawn: Callable[[str], str] = lambda _: ""
    replicas: Callable[[], ReplicaSurvey | None] = lambda: None
    """As last seen; None where there can be one daemon only."""


class Gauges:
    """The gauges of one daemon. Where the store does not answer, its gauges keep what they
    showed: the store's own failures are counted."""

    def __init__(self, registry: CollectorRegistry, sources: Sources) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        self._sources = sources
        build = gauge("stopgap_build_info", "The version that runs; always 1.", "version")
        build.labels(sources.version).set(1)
        self._ready = gauge("stopgap_ready", "Whether it takes alerts and conducts incidents.")
        self._trouble = gauge(
            "stopgap_store_trouble", "Whether that is the matter with the store.", "kind"
        )
        self._rules = gauge("stopgap_rules", "Rules in force.", "mode")
        self._withdrawn = gauge(
            "stopgap_rules_autonomy_withdrawn",
            "Rules that ask for each step since what they did by themselves went wrong.",
        )
        self._pending = gauge("stopgap_inbox_pending", "Deliveries not worked off yet.")
        self._oldest = gauge(
            "stopgap_inbox_oldest_age_seconds", "Age of the oldest of them; 0 without any."
        )
        self._open = gauge(
            "stopgap_incidents_open", "Open incidents; `none` was not quantified.", "severity"
        )
        self._calling = gauge(
            "stopgap_escalations", "Open incidents that people are called for and nobody commands."
        )
        self._calling_age = gauge(
            "stopgap_escalation_oldest_age_seconds",
            "How long the oldest of them has been open; 0 without any.",
        )
        self._waiting = gauge(
            "stopgap_outbox_waiting", "What was decided to be sent and is not yet.", "kind"
        )
        self._failing = gauge(
            "stopgap_outbox_failing", "That part of it which failed at least once.", "kind"
        )
        self._freezes = gauge("stopgap_freezes", "Freezes in force.", "scope")
        self._freeze_age = gauge(
            "stopgap_freeze_oldest_age_seconds", "Age of the oldest of them; 0 without any."
        )
        self._replicas = gauge("stopgap_replicas", "Daemons that share the store.", "state")
        self._unowned = gauge(
            "stopgap_incidents_unowned", "Open incidents that no living replica conducts."
        )
        self._tasks = gauge("stopgap_conductor_tasks", "What the conductor is at.", "kind")

    async def read(self, incidents: Iterable[Incident]) -> None:
        """Set everything anew."""
        now = self._sources.clock()
        self._ready.set(self._sources.ready())
        trouble = self._sources.store_trouble()
        for kind in (*get_args(Fault), "stuck"):
            self._trouble.labels(kind).set(trouble is not None and trouble.kind == kind)
        modes = Counter(rule.mode for rule in self._sources.rules().values())
        for mode in get_args(Mode):
            self._rules.labels(mode).set(modes[mode])
        lost = sum(bool(self._sources.withdrawn(name)) for name in self._sources.rules())
        self._withdrawn.set(lost)
        for kind, count in zip(("incident", "effect"), self._sources.tasks(), strict=True):
            self._tasks.labels(kind).set(count)
        self._read_incidents([one for one in incidents if one.drill is None], now)
        self._pending.set(self._sources.backlog())
        self._read_replicas(self._sources.replicas())
        await asyncio.gather(self._read_oldest(now), self._read_freezes(now))

    def _read_incidents(self, incidents: Sequence[Incident], now: datetime) -> None:
        severities = Counter(incident.severity or "none" for incident in incidents)
        for severity in (*get_args(SeverityName), "none"):
            self._open.labels(severity).set(severities[severity])
        calling = [incident.clock_from for incident in incidents if _calling(incident)]
        self._calling.set(len(calling))
        self._calling_age.set(_age(calling, now))
        pages = [page for incident in incidents for page in undelivered(incident)]
        self._waiting.labels("page").set(len(pages))
        self._failing.labels("page").set(sum(bool(page.failed_methods) for page in pages))
        failures = [n for incident in incidents for n in self._updates(incident)]
        self._waiting.labels("update").set(len(failures))
        self._failing.labels("update").set(sum(n > 0 for n in failures))

    def _updates(self, incident: Incident) -> Iterable[int]:
        """The failures of each update and channel that still has to be reached."""
        audiences = self._sources.roster().audiences
        for update in incident.updates.by_name.values():
            audience = audiences.get(update.audience)
            for channel in audience.channels if audience and update.sent else ():
                has = update.delivery(channel)
                if has.settled < update.version:
                    yield has.failures

    def _read_replicas(self, survey: ReplicaSurvey | None) -> None:
        alive, known = (1, 1) if survey is None else (survey.alive, len(survey.replicas))
        self._replicas.labels("alive").set(alive)
        self._replicas.labels("dead").set(known - alive)
        self._unowned.set(0 if survey is None else survey.orphans)

    async def _read_oldest(self, now: datetime) -> None:
        try:
            oldest = await self._sources.oldest()
        except (Temporary, Permanent):
            return
        self._oldest.set(_age([] if oldest is None else [oldest], now))

    async def _read_freezes(self, now: datetime) -> None:
        try:
            freezes = await self._sources.freezes()
        except (Temporary, Permanent):
            return
        scopes = Counter(freeze.scope.partition(":")[0] for freeze in freezes)
        for scope in (GLOBAL, "team", "service"):
            self._freezes.labels(scope).set(scopes[scope])
        self._freeze_age.set(_age([freeze.at for freeze in freezes], now))


def _calling(incident: Incident) -> bool:
    """Whether the policy's people are being called, and none of them commands yet."""
    if incident.commander or incident.recovered_at is not None:
        return False
    return any(page.queued.asks == "acknowledge" for page in incident.pages.values())


def _age(moments: Sequence[datetime], now: datetime) -> float:
    return max((now - min(moments)).total_seconds(), 0.0) if moments else 0.0
