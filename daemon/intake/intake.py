"""A delivery → the durable inbox → the incidents it concerns.

`receive` is all that a webhook waits for. `Intake.run` works off the inbox beside it; doing a
delivery twice is harmless, so a crash between the two loses nothing and repeats nothing.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple

import structlog
from structlog.contextvars import bind_contextvars, unbind_contextvars

from daemon.core.alertmanager import Alert, Delivery, Labels, fresh, milliseconds, overtaken
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.ports.inbox import Inbox
from daemon.core.ports.journal import KeyTaken
from daemon.core.ports.store import StoreDamaged
from daemon.core.rules.rule import Rule, RuleBook, incident_key
from daemon.core.values.outcome import Temporary
from daemon.core.values.units import printable
from daemon.instrumentation import (
    QUIET,
    UNTRACED,
    DeliveryOutcome,
    Observer,
    SpanAttributes,
    Tracer,
)
from daemon.intake.reading import Reader, in_turns
from daemon.intake.truncated import AlertSource, complete
from daemon.repository import IncidentRepository

_log = structlog.get_logger()

BATCH = 500
TOLD_AT_ONCE = 100
"""So many incidents of one batch are told side by side."""
_RETRY_SECONDS = 1.0
YIELD = 3.0
MAX_YIELD_SECONDS = 0.5
FORGET_EVERY = timedelta(minutes=10)
ID_SHOWN = 12
"""So many characters of a delivery's identity tell it apart in labels and logs."""
_ID_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


class _Arrival(NamedTuple):
    """A delivery that this process received, and the loop's time of that."""

    delivery: Delivery
    at: float


@dataclass
class _Concern:
    """What one batch of deliveries says to one incident; `deliveries` are their identities.

    `incomplete` is None if none of them is a message of Alertmanager's own, cut short or not.
    """

    rule: Rule | None
    labels: Labels
    alerts: dict[str, Alert] = field(default_factory=dict)
    fired: bool = False
    incomplete: bool | None = None
    deliveries: dict[str, None] = field(default_factory=dict)


class Intake:
    """Receives deliveries and turns them into incidents."""

    def __init__(
        self,
        inbox: Inbox,
        repository: IncidentRepository,
        rules: Callable[[], RuleBook],
        source: AlertSource | None,
        remember: timedelta,
        observer: Observer = QUIET,
        tracer: Tracer = UNTRACED,
        store_trouble: Callable[[], str] = lambda: "",
    ) -> None:
        self._inbox = inbox
        self._repository = repository
        self._rules = rules
        self._source = source
        self._remember = remember
        self._store_trouble = store_trouble
        self._observer = observer
        self._tracer = tracer
        self._reader = Reader()
        self.listeners: list[Callable[[Delivery], None]] = []
        """Hear of every delivery that is worked off."""
        self._arrived = asyncio.Event()
        # What was received by this process and not worked off yet, to spare parsing it again.
        self._parsed: dict[str, _Arrival] = {}
        self._forget_at: datetime | None = None
        self._began = 0.0

    async def receive(self, body: bytes) -> tuple[Delivery, bool]:
        """Store a webhook's body durably; False if this content was stored before.

        Raises NotADelivery for a body that is not Alertmanager's, Temporary if it cannot be
        stored now.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        outcome: DeliveryOutcome = "invalid"
        try:
            delivery = await self._reader.read(body)
            outcome = "refused"
            with self._tracer.webhook(delivery.identity) as span:
                new = await self._put(_Arrival(delivery, began), body)
                outcome = "stored" if new else "duplicate"
                span["stopgap.outcome"] = outcome
        finally:
            self._observer.delivery(outcome, loop.time() - began)
        return delivery, new

    async def _put(self, arrival: _Arrival, body: bytes) -> bool:
        trouble = self._store_trouble()
        if trouble:
            raise Temporary(trouble)
        identity = arrival.delivery.identity
        # Before the put: as soon as it is on disk, it may be worked off.
        mine = self._parsed.setdefault(identity, arrival) is arrival
        new = False
        try:
            new = await self._inbox.put(identity, body, self._repository.clock())
        except Temporary:
            self._arrived.set()  # it may be stored all the same, and then nobody else says so
            raise
        finally:
            if mine and not new:
                self._parsed.pop(identity, None)
        if new:
            self._arrived.set()
        _log.debug("delivery", delivery=identity[:ID_SHOWN], stored=new)
        return new

    async def run(self) -> None:
        """Work off the inbox until cancelled; what a crash left behind comes first."""
        async with asyncio.TaskGroup() as completions:
            while True:
                self._arrived.clear()
                try:
                    while await self._work(completions):
                        await self._yield_store()
                    await self._forget_old()
                except Temporary as error:
                    _log.error("the inbox cannot be worked off; trying again", error=str(error))
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
                except StoreDamaged as error:
                    _log.error(
                        "a part of the store is damaged; going on one by one", why=str(error)
                    )
                    await self._single_out(completions)
                    continue
                except Exception:
                    _log.exception("working off the inbox crashed; going on one by one")
                    self._observer.crashed("intake")
                    await self._single_out(completions)
                    continue
                await self._arrived.wait()

    async def _yield_store(self) -> None:
        """In a storm, leave the machine to the webhooks for longer than it was used here."""
        loop = asyncio.get_running_loop()
        used = loop.time() - self._began
        await asyncio.sleep(min(YIELD * used, MAX_YIELD_SECONDS))

    async def _work(self, completions: asyncio.TaskGroup) -> bool:
        self._began = asyncio.get_running_loop().time()
        waiting = await self._inbox.pending(BATCH)
        if waiting:
            await self._digest(waiting, completions)
        return bool(waiting)

    async def _single_out(self, completions: asyncio.TaskGroup) -> None:
        """Work off one delivery at a time, so that a bad one holds up no other.

        The bad one is not lost: it opens an incident that pages the default policy.
        """
        try:
            for identity, body in await self._inbox.pending(BATCH):
                bind_contextvars(delivery=identity[:ID_SHOWN])
                try:
                    await self._digest([(identity, body)], completions)
                except Temporary:
                    raise
                except Exception as error:
                    _log.exception("a delivery cannot be worked off")
                    await self._tell_unreadable(identity, error)
                    await self._inbox.processed([identity], {})
        except (Temporary, StoreDamaged) as error:
            _log.error("the inbox cannot be worked off; trying again", error=str(error))
            await asyncio.sleep(_RETRY_SECONDS)
        except Exception:
            _log.exception("the inbox cannot be worked off; trying again")
            await asyncio.sleep(_RETRY_SECONDS)
        finally:
            unbind_contextvars("delivery")

    async def _tell_unreadable(self, identity: str, error: Exception) -> None:
        labels = {"delivery": identity[:ID_SHOWN]}
        now = self._repository.clock()
        alert = Alert(
            status="firing",
            labels={"alertname": "UnreadableDelivery", **labels},
            annotations={"error": f"{type(error).__name__}: {error}"[:500]},
            starts_at=now,
        )
        concern = _Concern(None, labels, {alert.identity: alert}, fired=True)
        await self._tell_all({incident_key("", labels): concern})

    async def _digest(
        self, waiting: Sequence[tuple[str, bytes]], completions: asyncio.TaskGroup
    ) -> None:
        now = self._repository.clock()
        arrivals = [self._parsed.pop(name, None) for name, _ in waiting]
        deliveries = [
            await self._reader.read(body) if arrival is None else arrival.delivery
            for arrival, (_, body) in zip(arrivals, waiting, strict=True)
        ]
        known = {alert.identity for delivery in deliveries for alert in delivery.alerts}
        ended = await self._inbox.ended(sorted(known))
        concerns: dict[str, _Concern] = {}
        for delivery in deliveries:
            fresh_alerts = fresh(delivery.alerts, ended)
            for alert in fresh_alerts:
                # What was only missed in a list has no end that could make a firing stale.
                if alert.status == "resolved" and not delivery.reconciled:
                    # An end in the future is a wrong clock's; it must not mute what fires next.
                    end = min(alert.ends_at, now)
                    ended[alert.identity] = max(ended.get(alert.identity, end), end)
            stale = len(delivery.alerts) - len(fresh_alerts)
            if stale:
                shown = delivery.identity[:ID_SHOWN]
                _log.info("stale alerts dropped", count=stale, delivery=shown)
            self._observer.alerts("stale", stale)
            attributes: SpanAttributes = {
                "stopgap.alerts": len(fresh_alerts),
                "stopgap.alerts.stale": stale,
            }
            with self._tracer.span("inbox", attributes, delivery=delivery.identity):
                await self._sort(delivery, fresh_alerts, concerns)
            await asyncio.sleep(0)  # many small ones hold nobody up either
        await self._tell_all(concerns)
        # After the telling, or what says "incomplete" could come after what completes it.
        for delivery in deliveries:
            for listener in self.listeners:
                listener(delivery)
            if delivery.truncated_alerts:
                completions.create_task(self._complete(delivery), name="complete-delivery")
        await self._inbox.processed([identity for identity, _ in waiting], ended)
        # What a run before this one received is handled too, but nobody timed its coming.
        done_at = asyncio.get_running_loop().time()
        for arrival in filter(None, arrivals):
            self._observer.handled(done_at - arrival.at)

    async def _sort(
        self, delivery: Delivery, alerts: Iterable[Alert], concerns: dict[str, _Concern]
    ) -> None:
        async for alert in in_turns(alerts):
            for rule, labels in matching(self._rules(), delivery.group_labels, alert):
                key = incident_key(rule.rule if rule else "", labels)
                concern = concerns.setdefault(key, _Concern(rule, labels))
                concern.deliveries[delivery.identity] = None
                if not overtaken(alert, concern.alerts.get(alert.identity)):
                    concern.alerts[alert.identity] = alert
                concern.fired = concern.fired or alert.status == "firing"
                if not delivery.reconciled:
                    concern.incomplete = bool(concern.incomplete) or delivery.truncated_alerts > 0

    async def _tell_all(self, concerns: Mapping[str, _Concern]) -> None:
        """Tell the incidents side by side, so that they share the commits of the store.

        A failure of one takes nothing from those beside it.
        """
        known = await self._repository.journal.find_open(list(concerns))
        left = iter(concerns.items())
        while some := list(islice(left, TOLD_AT_ONCE)):
            telling = (self._deliver(key, concern, known.get(key)) for key, concern in some)
            ended = await asyncio.gather(*telling, return_exceptions=True)
            failures = [failure for failure in ended if failure is not None]
            # A defect comes first: its delivery is singled out, and then all are tried again.
            for failure in sorted(failures, key=lambda failure: isinstance(failure, Temporary)):
                raise failure

    async def _deliver(self, key: str, concern: _Concern, incident: str | None) -> None:
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
            incident = (await self._repository.journal.find_open([key])).get(key)

    async def _append(self, incident: str, concern: _Concern) -> tuple[Incident, int]:
        """Tell an open incident; returns it, and how many of the alerts were news."""
        events: Sequence[e.AlertsReceived] = ()

        def new_events(current: Incident) -> Sequence[e.AlertsReceived]:
            nonlocal events
            events = _received(current, concern)
            return events

        after = await self._repository.record(incident, new_events)
        return after, sum(len(event.alerts) for event in events)

    async def _open(self, key: str, concern: _Concern) -> None:
        first = min(concern.alerts.values(), key=lambda alert: alert.status)
        names = " ".join(value for name, value in concern.labels.items() if name != "alertname")
        title = printable(f"{first.name} {names}").strip()[:200]
        opened = e.IncidentOpened(
            key=key,
            rule=concern.rule.rule if concern.rule else "",
            group_labels=concern.labels,
            title=title,
            team=concern.rule.team if concern.rule else "",
        )
        received = e.received(concern.alerts.values(), incomplete=bool(concern.incomplete))
        identity = f"{self._repository.clock():%m%d-%H%M}-" + "".join(
            secrets.choice(_ID_LETTERS) for _ in range(6)
        )
        await self._repository.open(identity, key, [opened, *received])
        attributes: SpanAttributes = {"stopgap.rule": opened.rule, "stopgap.team": opened.team}
        self._tracer.opened(identity, list(concern.deliveries), attributes)
        _log.info("incident opened", incident=identity, rule=opened.rule, title=title)

    async def _complete(self, delivery: Delivery) -> None:
        """Tell the incidents what the truncated notification left out."""
        bind_contextvars(delivery=delivery.identity[:ID_SHOWN], missing=delivery.truncated_alerts)
        whole = delivery.model_copy(update={"truncated_alerts": 0})

        async def tell(alerts: Sequence[Alert]) -> None:
            concerns: dict[str, _Concern] = {}
            await self._sort(whole, alerts, concerns)
            await self._tell_all(concerns)

        await complete(self._source, delivery, tell)

    async def _forget_old(self) -> None:
        now = self._repository.clock()
        if self._forget_at is None or now >= self._forget_at:
            await self._inbox.forget(now - self._remember)
            self._forget_at = now + FORGET_EVERY


def matching(
    rules: RuleBook, group_labels: Mapping[str, str], alert: Alert
) -> list[tuple[Rule | None, Labels]]:
    """The rules of an alert, each with its group; or no rule, and Alertmanager's own group."""
    found = rules.find(alert.labels)
    if found:
        return [(rule, rule.group(alert.labels)) for rule in found]
    return [(None, {**group_labels, "alertname": alert.name})]


def _received(incident: Incident, concern: _Concern) -> tuple[e.AlertsReceived, ...]:
    """The alerts that say something new; a repeated notification says nothing."""

    def says(alert: Alert) -> object:
        # Of the same moment Alertmanager's webhook and its API tell more or fewer digits.
        return (alert.status, milliseconds(alert.starts_at), milliseconds(alert.ends_at))

    def is_new(alert: Alert) -> bool:
        known = incident.alerts.get(alert.identity)
        return known is None or (says(known) != says(alert) and not overtaken(alert, known))

    if incident.closed is not None:
        return ()
    new = tuple(alert for alert in concern.alerts.values() if is_new(alert))
    incomplete = incident.incomplete if concern.incomplete is None else concern.incomplete
    if not new and incomplete == incident.incomplete:
        return ()
    return e.received(new, incomplete=incomplete)
