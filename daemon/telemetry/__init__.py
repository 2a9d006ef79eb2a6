"""What the daemon counts about itself, in Prometheus's terms.

`journal` is fed by every append to a journal, `flow` by the stages (`daemon.instrumentation`), and
`gauges` are asked for at each scrape. Counters begin at zero with the process.
"""

from __future__ import annotations

from collections.abc import Callable

import prometheus_client
from prometheus_client import CollectorRegistry, generate_latest

from daemon.core.people.roster import Roster
from daemon.repository import IncidentRepository
from daemon.telemetry.flow import Flow
from daemon.telemetry.gauges import Gauges, Sources
from daemon.telemetry.instruments import Instruments
from daemon.telemetry.journal import Journaled
from daemon.telemetry.learning import LearningGauges, ReadFigures, ReadFollowUps
from daemon.telemetry.queries import WatchedMetrics

__all__ = ["Sources", "Telemetry", "WatchedMetrics"]

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # a third of all series, and nobody reads them


class Telemetry:
    """Everything that one daemon counts; `flow` is what the stages tell it to.

    `roster`: the one in force, for the milestones that are counted. Gauges come with `watch` and
    `watch_learning`.
    """

    def __init__(self, repository: IncidentRepository, roster: Callable[[], Roster]) -> None:
        self._repository = repository
        self._registry = CollectorRegistry()
        self._gauges: Gauges | None = None
        self._learning: LearningGauges | None = None
        make = Instruments(self._registry)
        self.flow = Flow(make)
        self.flow.stands(repository.clock().timestamp(), ok=True)
        prometheus_client.ProcessCollector(registry=self._registry)
        prometheus_client.PlatformCollector(registry=self._registry)
        prometheus_client.GCCollector(registry=self._registry)
        repository.own_listeners.append(Journaled(make, roster, repository.clock).on_append)

    def watch(self, sources: Sources) -> None:
        """Show from now on what stands there at each scrape."""
        self._gauges = Gauges(self._registry, sources)

    def watch_learning(self, figures: ReadFigures, follow_ups: ReadFollowUps) -> None:
        """Show from now on how the team and the daemon do."""
        self._learning = LearningGauges(self._registry, figures, follow_ups)

    async def scrape(self) -> bytes:
        """Everything as it stands now, as Prometheus reads it."""
        if self._gauges is not None:
            await self._gauges.read(self._repository.known)
        if self._learning is not None:
            await self._learning.read()
        return generate_latest(self._registry)
