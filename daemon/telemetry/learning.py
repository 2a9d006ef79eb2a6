"""How the team and the daemon do, as gauges: figures of the last 30 days, and what is to be done.

Their labels are words of ours; of single rules and teams the page and the CSV tell.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from prometheus_client import CollectorRegistry, Gauge

from daemon.core.reporting.figures import DurationFigure, Figures
from daemon.core.reporting.follow_up_list import OpenFollowUp
from daemon.core.values.outcome import Permanent, Temporary

ReadFigures = Callable[[], Awaitable[Figures]]
ReadFollowUps = Callable[[], Awaitable[Sequence[OpenFollowUp]]]
_PARTS = ("detect", "acknowledge", "recover")
_NAN = float("nan")
"""What is not known."""


class LearningGauges:
    """The gauges. Where the store does not answer, they keep what they showed."""

    def __init__(
        self, registry: CollectorRegistry, figures: ReadFigures, follow_ups: ReadFollowUps
    ) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        self._read_figures = figures
        self._read_follow_ups = follow_ups
        self._incidents = gauge(
            "stopgap_figures_incidents", "Incidents opened in the last 30 days."
        )
        self._times = gauge(
            "stopgap_figures_time_seconds",
            "How long it took them, in the mean and the median: to be detected (from the onset), "
            "acknowledged and recovered (from the opening). NaN without any.",
            "part",
            "kind",
        )
        self._recovered = gauge(
            "stopgap_figures_recovered", "Those that recovered, by what restored them.", "by"
        )
        self._overruled = gauge(
            "stopgap_figures_refusals_overruled", "Refusals in them that people overruled."
        )
        self._undone = gauge("stopgap_figures_actions_undone", "Actions in them that people undid.")
        self._failed = gauge(
            "stopgap_figures_failed_requests", "Requests that failed in them, where known."
        )
        self._saved = gauge(
            "stopgap_figures_saved_seconds",
            "Impact saved by the daemon against the median of people. NaN if not comparable.",
        )
        self._saved_requests = gauge(
            "stopgap_figures_saved_requests", "Failed requests saved likewise."
        )
        self._follow_ups = gauge(
            "stopgap_follow_ups", "Follow-ups that are not done; overdue ones apart.", "state"
        )

    async def read(self) -> None:
        """Set everything anew."""
        try:
            self._show(await self._read_figures())
            found = await self._read_follow_ups()
        except (Temporary, Permanent):
            return
        overdue = sum(one.overdue for one in found)
        self._follow_ups.labels("overdue").set(overdue)
        self._follow_ups.labels("open").set(len(found) - overdue)

    def _show(self, found: Figures) -> None:
        now = found.now
        self._incidents.set(now.incidents)
        for part in _PARTS:
            time: DurationFigure | None = getattr(now, part)
            self._times.labels(part, "mean").set(_NAN if time is None else time.mean)
            self._times.labels(part, "median").set(_NAN if time is None else time.median)
        for by, count in (
            ("daemon", now.by_daemon),
            ("people", now.by_people),
            ("elsewhere", now.elsewhere),
        ):
            self._recovered.labels(by).set(count)
        self._overruled.set(now.refusals_overruled)
        self._undone.set(now.undone)
        self._failed.set(_known(now.failed_requests))
        self._saved.set(_NAN if now.saved is None else now.saved.seconds)
        self._saved_requests.set(_NAN if now.saved is None else _known(now.saved.requests))


def _known(value: float | None) -> float:
    return _NAN if value is None else value
