"""What the daemon counts about itself, in Prometheus's terms. Fed by every append to a journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from daemon.casebook import Casebook
from daemon.core import events as e
from daemon.core.clock import read_clock
from daemon.core.incident import Incident
from daemon.core.roster import Roster

MINUTES = (15, 30, 60, 120, 180, 300, 450, 600, 900, 1800, 3600)
"""Buckets of the ten-minute clock, in seconds."""


class Telemetry:
    """Counters, histograms and gauges of one daemon; each starts at zero with the process."""

    def __init__(self, book: Casebook, roster: Callable[[], Roster]) -> None:
        self._book = book
        self._roster = roster
        self._registry = CollectorRegistry()
        self._clock = Histogram(
            "stopgap_clock_seconds",
            "From the opening of an incident to an item of the ten-minute clock.",
            ["item"],
            buckets=MINUTES,
            registry=self._registry,
        )
        self._late = Counter(
            "stopgap_clock_late", "Items not there in time.", ["item"], registry=self._registry
        )
        self._pages = Counter(
            "stopgap_pages",
            "Tries to page a person.",
            ["method", "outcome"],
            registry=self._registry,
        )
        self._updates = Counter(
            "stopgap_updates",
            "Tries to bring an update to a channel.",
            ["channel", "outcome"],
            registry=self._registry,
        )
        self._defects = Counter(
            "stopgap_escalation_defects",
            "Incidents found with nobody there and nobody called.",
            registry=self._registry,
        )
        self._opened = Counter("stopgap_incidents", "Incidents opened.", registry=self._registry)
        self._open = Gauge("stopgap_incidents_open", "Open incidents.", registry=self._registry)
        book.listeners.append(self._heard)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)

    async def begin(self) -> None:
        """Count what is open already."""
        self._open.set(len(await self._book.journal.open_heads()))

    def _heard(self, before: Incident | None, after: Incident, events: Sequence[e.Event]) -> None:
        if before is None:
            self._opened.inc()
            self._open.inc()
        for event in events:
            self._count(event)
        if before is not None:
            self._read_clock(before, after)

    def _count(self, event: e.Event) -> None:
        match event:
            case e.PageDelivered():
                self._pages.labels(_kind(event.method), "delivered").inc()
            case e.PageFailed():
                self._pages.labels(_kind(event.method), "failed").inc()
            case e.UpdatePublished():
                self._updates.labels(event.channel, "published").inc()
            case e.UpdateFailed():
                self._updates.labels(event.channel, "failed").inc()
            case e.DeadlineMissed():
                self._late.labels(event.item).inc()
            case e.EscalationDefect():
                self._defects.inc()
            case e.IncidentClosed():
                self._open.dec()
            case _:
                pass

    def _read_clock(self, before: Incident, after: Incident) -> None:
        roster, now = self._roster(), self._book.clock()
        earlier = {r.item for r in read_clock(before, roster, now) if r.took is not None}
        for reading in read_clock(after, roster, now):
            if reading.took is not None and reading.item not in earlier:
                self._clock.labels(reading.item).observe(reading.took.total_seconds())


def _kind(method: str) -> str:
    return method.rpartition("-")[0] or method
