"""What a delivery says → the incidents it concerns: told to the open ones, or new ones opened."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol

import structlog

from daemon.core.alertmanager import Alert, Delivery, Labels, milliseconds, overtaken
from daemon.core.incident import events as e
from daemon.core.incident.alert_routes import Routes, taker
from daemon.core.incident.drill_mark import DrillMark
from daemon.core.incident.state import Incident
from daemon.core.ports.journal import KeyTaken
from daemon.core.reconciliation.probe_alerts import PROBE_LABEL
from daemon.core.rules.rule import Rule, RuleBook, incident_key
from daemon.core.values.drill_key import drill_incident, drill_key
from daemon.core.values.id_letters import ID_LETTERS
from daemon.core.values.outcome import Temporary
from daemon.core.values.units import printable
from daemon.instrumentation import QUIET, UNTRACED, Observer, SpanAttributes, Tracer
from daemon.intake.probes import Probes
from daemon.intake.reading import TURN
from daemon.repository import IncidentRepository

_log = structlog.get_logger()

RECORDED_AT_ONCE = 100
"""So many incidents of one batch are written side by side."""
MAX_ADDRESS = 2000
"""Characters of Alertmanager's own address that are kept."""


class Openings(Protocol):
    """Sees which incidents open together; `StormKeeper` in `daemon.notifying.storms`."""

    def opening(self, incident: str, key: str) -> Sequence[e.Event]:
        """What the journal of an incident that opens now begins with, if it is one of a storm."""

    def not_opened(self, incident: str) -> None:
        """It could not be opened after all."""


@dataclass(frozen=True)
class PlayedDrill:
    """A drill that is being played: its mark, and the rules that its alerts are matched with."""

    mark: DrillMark
    rules: RuleBook


@dataclass
class Concern:
    """What one batch of deliveries says to one incident; `deliveries` are their identities.

    `incomplete` is None if none of them is a message of Alertmanager's own, cut short or not.
    `drill`: the drill that it is of, if any. `external_url`: where Alertmanager is reached, as the
    last delivery of its own says.
    """

    rule: Rule | None
    labels: Labels
    alerts: dict[str, Alert] = field(default_factory=dict)
    fired: bool = False
    incomplete: bool | None = None
    deliveries: dict[str, None] = field(default_factory=dict)
    drill: DrillMark | None = None
    external_url: str = ""

    def told_by(self, delivery: Delivery) -> None:
        """Note what that delivery says beside its alerts."""
        self.deliveries[delivery.identity] = None
        self.external_url = delivery.external_url[:MAX_ADDRESS] or self.external_url
        if not delivery.reconciled:
            self.incomplete = bool(self.incomplete) or delivery.truncated_alerts > 0

    def hears(self, alert: Alert) -> None:
        """Note the alert, unless it was overtaken."""
        identity = alert.identity
        known = self.alerts.get(identity)
        if known is None or not overtaken(alert, known):
            self.alerts[identity] = alert
        self.fired = self.fired or alert.status == "firing"


class Dispatcher:
    """Sorts alerts by the incidents they concern, and records them there."""

    def __init__(
        self,
        repository: IncidentRepository,
        rules: Callable[[], RuleBook],
        observer: Observer = QUIET,
        tracer: Tracer = UNTRACED,
        drills: Callable[[str], PlayedDrill | None] = lambda _: None,
        openings: Openings | None = None,
        probes: Probes | None = None,
    ) -> None:
        self._repository = repository
        self._openings = openings
        self._probes = probes
        self._drills = drills
        self._rules = rules
        self._observer = observer
        self._tracer = tracer

    async def sort(
        self,
        delivery: Delivery,
        alerts: Iterable[Alert],
        concerns: dict[str, Concern],
        run: str = "",
    ) -> None:
        """Add to `concerns`, by the incident's key, what these alerts of a delivery say. `run`:
        that of the drill whose script sent it; once that is over, it concerns nobody."""
        drill = self._drills(run) if run else None
        if run and drill is None:
            _log.info("an alert of a drill that is over is dropped", run=run)
            return
        mark = drill.mark if drill is not None else None
        rules = self._rules() if drill is None else drill.rules
        # Most alerts of a delivery concern the same; what was matched is kept, and so its id.
        alike: dict[object, tuple[object, list[Concern]]] = {}
        for number, alert in enumerate(alerts, 1):
            if number % TURN == 0:
                await asyncio.sleep(0)
            if PROBE_LABEL in alert.labels and not run and await self._is_probe(alert, delivery):
                continue
            matched = rules.grouped(alert.labels)
            among = id(matched) if matched else alert.name
            known = alike.get(among)
            if known is None:
                groups = matched or unmatched(delivery.group_labels, alert)
                told = [_concern(rule, labels, concerns, run, mark) for rule, labels in groups]
                for concern in told:
                    concern.told_by(delivery)
                known = alike[among] = (matched, told)
            for concern in known[1]:
                concern.hears(alert)

    async def _is_probe(self, alert: Alert, delivery: Delivery) -> bool:
        """Whether it is a test alert of `stopgap doctor`, which concerns nobody."""
        return self._probes is not None and await self._probes.took(alert, delivery)

    async def record(self, concerns: Mapping[str, Concern]) -> None:
        """Record what was sorted, side by side, so that the incidents share the store's commits.

        A failure of one takes nothing from those beside it.
        """
        journal = self._repository.journal
        known, routes = await asyncio.gather(journal.find_open(list(concerns)), journal.routes())
        left = _aimed(concerns, known, routes)
        while some := list(islice(left, RECORDED_AT_ONCE)):
            appends = (self._record_one(*each) for each in some)
            ended = await asyncio.gather(*appends, return_exceptions=True)
            failures = [failure for failure in ended if failure is not None]
            # A defect comes first: its delivery is singled out, and then all are tried again.
            for failure in sorted(failures, key=lambda failure: isinstance(failure, Temporary)):
                raise failure

    async def _record_one(self, key: str, concern: Concern, incident: str | None) -> None:
        """Append to the open incident of this key, or open one if anything fires or has fired."""
        while True:
            if incident is None:
                if not concern.fired:
                    return
                try:
                    await self._open(key, concern)
                except KeyTaken as taken:
                    incident = taken.incident
                    continue
                self._observer.alerts("taken", len(concern.alerts))
                return
            after, new = await self._append(incident, concern)
            if after.closed is None:
                self._observer.alerts("taken", new)
                self._observer.alerts("repeated", len(concern.alerts) - new)
                return
            # Merged between the look and the append: there it goes on.
            incident = after.organization.merged_into or (
                await self._repository.journal.find_open([key])
            ).get(key)

    async def _append(self, incident: str, concern: Concern) -> tuple[Incident, int]:
        """Record in an open incident; returns it, and how many of the alerts were new to it."""
        received: Sequence[e.AlertsReceived] = ()

        def append(current: Incident) -> Sequence[e.AlertsReceived]:
            nonlocal received
            received = _changed_alerts(current, concern)
            return received

        after = await self._repository.record(incident, append)
        return after, sum(len(event.alerts) for event in received)

    async def _open(self, key: str, concern: Concern) -> None:
        first = min(concern.alerts.values(), key=lambda alert: alert.status)
        names = " ".join(value for name, value in concern.labels.items() if name != "alertname")
        title = printable(f"{first.name} {names}").strip()[:200]
        opened = e.IncidentOpened(
            key=key,
            rule=concern.rule.rule if concern.rule else "",
            group_labels=concern.labels,
            title=title,
            team=concern.rule.team if concern.rule else "",
            drill=concern.drill,
        )
        received = e.received(
            concern.alerts.values(),
            incomplete=bool(concern.incomplete),
            external_url=concern.external_url,
        )
        identity = (
            drill_incident(concern.drill.run, random_letters(4))
            if concern.drill is not None
            else f"{self._repository.clock():%m%d-%H%M}-{random_letters(6)}"
        )
        joined = self._openings.opening(identity, key) if self._openings is not None else ()
        try:
            await self._repository.open(identity, key, [opened, *joined, *received])
        except BaseException:
            if self._openings is not None:
                self._openings.not_opened(identity)
            raise
        attributes: SpanAttributes = {"stopgap.rule": opened.rule, "stopgap.team": opened.team}
        self._tracer.opened(identity, list(concern.deliveries), attributes)
        _log.info("incident opened", incident=identity, rule=opened.rule, title=title)


def _aimed(
    concerns: Mapping[str, Concern],
    known: Mapping[str, str],
    routes: Sequence[tuple[str, Routes]],
) -> Iterator[tuple[str, Concern, str | None]]:
    """Each concern with its key and the open incident that it is recorded in, None for a new one;
    in parts, where some of its alerts belong to other incidents than the others."""
    routed = {route.key for _, some in routes for route in some}
    for key, concern in concerns.items():
        holder = known.get(key)
        if key not in routed:
            yield key, concern, holder
            continue
        parts: dict[str | None, dict[str, Alert]] = {}
        for identity, alert in concern.alerts.items():
            parts.setdefault(taker(routes, key, alert, holder), {})[identity] = alert
        for incident, alerts in parts.items():
            fired = concern.fired and any(alert.status == "firing" for alert in alerts.values())
            yield key, replace(concern, alerts=alerts, fired=fired), incident


def random_letters(count: int) -> str:
    """So many letters and digits, none of which is taken for another one."""
    return "".join(secrets.choice(ID_LETTERS) for _ in range(count))


def matching(
    rules: RuleBook, group_labels: Mapping[str, str], alert: Alert
) -> Sequence[tuple[Rule | None, Labels]]:
    """The rules of an alert, each with its group; or no rule, and Alertmanager's own group."""
    return rules.grouped(alert.labels) or unmatched(group_labels, alert)


def unmatched(group_labels: Mapping[str, str], alert: Alert) -> Sequence[tuple[None, Labels]]:
    """The group of an alert that no rule is for: Alertmanager's own."""
    return [(None, {**group_labels, "alertname": alert.name})]


def _concern(
    rule: Rule | None,
    labels: Labels,
    concerns: dict[str, Concern],
    run: str,
    drill: DrillMark | None,
) -> Concern:
    """What is said to the incident of that rule and group: among `concerns`, else added there."""
    key = incident_key(rule.rule if rule else "", labels)
    key = drill_key(run, key) if run else key
    concern = concerns.get(key)
    if concern is None:
        concern = concerns[key] = Concern(rule, labels, drill=drill)
    return concern


def _changed_alerts(incident: Incident, concern: Concern) -> tuple[e.AlertsReceived, ...]:
    """The alerts that say something new; a repeated notification says nothing."""

    def says(alert: Alert) -> object:
        # Of the same moment Alertmanager's webhook and its API tell more or fewer digits.
        return (alert.status, milliseconds(alert.starts_at), milliseconds(alert.ends_at))

    def is_new(alert: Alert) -> bool:
        known = incident.alerts.get(alert.identity)
        if known is None:
            return True
        if known.starts_at == alert.starts_at and known.ends_at == alert.ends_at:
            return known.status != alert.status and not overtaken(alert, known)
        return says(known) != says(alert) and not overtaken(alert, known)

    if incident.closed is not None:
        return ()
    new = tuple(alert for alert in concern.alerts.values() if is_new(alert))
    incomplete = incident.incomplete if concern.incomplete is None else concern.incomplete
    if not new and incomplete == incident.incomplete:
        return ()
    return e.received(new, incomplete=incomplete, external_url=concern.external_url)
