"""A delivery → the durable inbox → the incidents it concerns.

`receive` is all that a webhook waits for. `Intake.run` works off the inbox beside it; doing a
delivery twice is harmless, so a crash between the two loses nothing and repeats nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

import structlog
from structlog.contextvars import bind_contextvars, unbind_contextvars

from daemon.core.alertmanager import Alert, Delivery, fresh
from daemon.core.ports.inbox import Inbox
from daemon.core.ports.store import StoreDamaged
from daemon.core.rules.rule import RuleBook, incident_key
from daemon.core.values.drill_key import drill_key, drill_of
from daemon.core.values.label_length import MAX_LABEL_BYTES
from daemon.core.values.outcome import Temporary
from daemon.instrumentation import (
    QUIET,
    UNTRACED,
    DeliveryOutcome,
    Observer,
    SpanAttributes,
    Tracer,
)
from daemon.intake.dispatch import Concern, Dispatcher, Openings, PlayedDrill
from daemon.intake.probes import Probes
from daemon.intake.reading import Reader
from daemon.intake.truncated import AlertSource, complete
from daemon.repository import IncidentRepository

_log = structlog.get_logger()

BATCH = 500
_RETRY_SECONDS = 1.0
YIELD = 3.0
MAX_YIELD_SECONDS = 0.5
TURN_SECONDS = 0.01
"""So long small deliveries are sorted before everybody else has their turn: after each of them, a
batch would wait for hundreds of turns while the machine is busy."""
FORGET_EVERY = timedelta(minutes=10)
LABEL_SHOWN = 80
ID_SHOWN = 12
"""So many characters of a delivery's identity tell it apart in labels and logs."""


class _Arrival(NamedTuple):
    """A delivery that this process received, the loop's time of that, and the drill it is of."""

    delivery: Delivery
    at: float
    drill: str = ""

    @property
    def identity(self) -> str:
        """By which it is known in the inbox."""
        return (
            drill_key(self.drill, self.delivery.identity) if self.drill else self.delivery.identity
        )


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
        drills: Callable[[str], PlayedDrill | None] = lambda _: None,
        openings: Openings | None = None,
        probes: Probes | None = None,
    ) -> None:
        self._inbox = inbox
        self._repository = repository
        self._dispatcher = Dispatcher(repository, rules, observer, tracer, drills, openings, probes)
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
        return await self._receive(body, "")

    async def receive_drill(self, run: str, body: bytes) -> None:
        """Store what a drill's script alerts of, which goes the way of all alerts. What makes it a
        drill's is this call, and nothing that the body says. Raises as `receive`."""
        await self._receive(body, run)

    async def _receive(self, body: bytes, run: str) -> tuple[Delivery, bool]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        outcome: DeliveryOutcome = "invalid"
        try:
            delivery = await self._reader.read(body)
            outcome = "refused"
            with self._tracer.webhook(delivery.identity) as attributes:
                new = await self._put(_Arrival(delivery, began, run), body)
                outcome = "stored" if new else "duplicate"
                attributes["stopgap.outcome"] = outcome
            if new and delivery.shortened:
                self._tell_shortened(delivery)
        finally:
            self._observer.delivery(outcome, loop.time() - began)
        return delivery, new

    def _tell_shortened(self, delivery: Delivery) -> None:
        self._observer.shortened(len(delivery.shortened))
        alert, label = delivery.shortened[0]
        _log.warning(
            "labels are shortened, for their values are too long",
            count=len(delivery.shortened),
            alert=alert[:LABEL_SHOWN],
            label=label[:LABEL_SHOWN],
            most=MAX_LABEL_BYTES,
            mend="say it in an annotation of the alerting rule, not in a label",
        )

    async def _put(self, arrival: _Arrival, body: bytes) -> bool:
        trouble = self._store_trouble()
        if trouble:
            raise Temporary(trouble)
        identity = arrival.identity
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

    def look_again(self) -> None:
        """Deliveries have come to be ours by another way."""
        self._arrived.set()

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
        parsed = self._parsed.copy()  # a put that fails meanwhile takes its own back
        waiting = await self._inbox.pending(BATCH, parsed.keys())
        if waiting:
            parsed |= self._parsed  # what came during the look
            for identity, _ in waiting:
                self._parsed.pop(identity, None)
            await self._digest(waiting, completions, parsed)
        return bool(waiting)

    async def _single_out(self, completions: asyncio.TaskGroup) -> None:
        """Work off one delivery at a time, so that a bad one holds up no other.

        The bad one is not lost: it opens an incident that pages the default policy.
        """
        try:
            for identity, body in await self._inbox.pending(BATCH):
                bind_contextvars(delivery=identity[:ID_SHOWN])
                try:
                    await self._digest([(identity, body)], completions, {})
                except Temporary:
                    raise
                except Exception as error:
                    _log.exception("a delivery cannot be worked off")
                    await self._open_for_unreadable(identity, error)
                    await self._inbox.processed([identity], {})
        except (Temporary, StoreDamaged) as error:
            _log.error("the inbox cannot be worked off; trying again", error=str(error))
            await asyncio.sleep(_RETRY_SECONDS)
        except Exception:
            _log.exception("the inbox cannot be worked off; trying again")
            await asyncio.sleep(_RETRY_SECONDS)
        finally:
            unbind_contextvars("delivery")

    async def _open_for_unreadable(self, identity: str, error: Exception) -> None:
        labels = {"delivery": identity[:ID_SHOWN]}
        now = self._repository.clock()
        alert = Alert(
            status="firing",
            labels={"alertname": "UnreadableDelivery", **labels},
            annotations={"error": f"{type(error).__name__}: {error}"[:500]},
            starts_at=now,
        )
        concern = Concern(None, labels, {alert.identity: alert}, fired=True)
        await self._dispatcher.record({incident_key("", labels): concern})

    async def _digest(
        self,
        waiting: Sequence[tuple[str, bytes]],
        completions: asyncio.TaskGroup,
        parsed: Mapping[str, _Arrival],
    ) -> None:
        """Work off these; those that are `parsed` already need no body."""
        now = self._repository.clock()
        arrivals = [parsed.get(name) for name, _ in waiting]
        deliveries = [
            await self._reader.read(body) if arrival is None else arrival.delivery
            for arrival, (_, body) in zip(arrivals, waiting, strict=True)
        ]
        runs = [drill_of(name) for name, _ in waiting]
        known = set[str]()
        for run, delivery in zip(runs, deliveries, strict=True):
            names = [alert.identity for alert in delivery.alerts]
            known.update([drill_key(run, name) for name in names] if run else names)
        ended = await self._inbox.ended(sorted(known))
        newly_ended: dict[str, datetime] = {}
        concerns: dict[str, Concern] = {}
        loop = asyncio.get_running_loop()
        turn = loop.time()
        for run, delivery in zip(runs, deliveries, strict=True):
            # What was seen to be listed after its end fires again, whenever it is said to start.
            fresh_alerts = delivery.alerts
            if ended and not delivery.reconciled:
                fresh_alerts = fresh(delivery.alerts, ended, partial(_alert_of, run))
            # What was only missed in a list has no end that could make a firing stale.
            for alert in fresh_alerts if not delivery.reconciled else ():
                if alert.status == "resolved":
                    # An end in the future is a wrong clock's; it must not mute what fires next.
                    end, name = min(alert.ends_at, now), _alert_of(run, alert)
                    newly_ended[name] = ended[name] = max(ended.get(name, end), end)
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
                await self._dispatcher.sort(delivery, fresh_alerts, concerns, run)
            if loop.time() - turn >= TURN_SECONDS:
                await asyncio.sleep(0)  # many small ones hold nobody up either
                turn = loop.time()
        await self._dispatcher.record(concerns)
        # After the telling, or what says "incomplete" could come after what completes it.
        for run, delivery in zip(runs, deliveries, strict=True):
            for listener in self.listeners if not run else ():
                listener(delivery)
            if delivery.truncated_alerts and not run:
                completions.create_task(self._complete(delivery), name="complete-delivery")
        await self._inbox.processed([identity for identity, _ in waiting], newly_ended)
        # What a run before this one received is handled too, but nobody timed its coming.
        done_at = asyncio.get_running_loop().time()
        for arrival in filter(None, arrivals):
            self._observer.handled(done_at - arrival.at)

    async def _complete(self, delivery: Delivery) -> None:
        """Tell the incidents what the truncated notification left out."""
        bind_contextvars(delivery=delivery.identity[:ID_SHOWN], missing=delivery.truncated_alerts)
        whole = delivery.model_copy(update={"truncated_alerts": 0})

        async def tell(alerts: Sequence[Alert]) -> None:
            concerns: dict[str, Concern] = {}
            await self._dispatcher.sort(whole, alerts, concerns)
            await self._dispatcher.record(concerns)

        await complete(self._source, delivery, tell)

    async def _forget_old(self) -> None:
        now = self._repository.clock()
        if self._forget_at is None or now >= self._forget_at:
            await self._inbox.forget(now - self._remember)
            self._forget_at = now + FORGET_EVERY


def _alert_of(run: str, alert: Alert) -> str:
    """By what it is remembered when the alert ended: what a drill ends has not ended in earnest."""
    return drill_key(run, alert.identity) if run else alert.identity
