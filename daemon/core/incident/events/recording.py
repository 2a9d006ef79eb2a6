"""What is kept of an incident's measurements, so that its decisions can be replayed years later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import Field

from daemon.core.changes.change import Change
from daemon.core.changes.precedent import Precedent
from daemon.core.incident.events.base import BaseEvent, EventGroup
from daemon.core.values.units import Duration, Frozen, Moment

RecordedQuery = Literal["bad", "total", "value"]
MOST_RECORDED = 2000
"""So many values of one series are kept; `MAX_POINTS` of a range query is as many."""


class RecordedSeries(Frozen):
    """What a query of the rule answered, from `begin` on, one value each `step`.

    A count covers the `window` that ends at its moment. None: it answered nothing then. `number`:
    which of the rule's values it is, from 0; more than one only a joined threshold has.
    """

    query: RecordedQuery
    number: int = 0
    begin: Moment
    step: Duration
    window: Duration
    values: tuple[float | None, ...] = Field(max_length=MOST_RECORDED + 1)

    def samples(self) -> Iterator[tuple[float, float]]:
        """(Unix seconds, value) where there is a value, oldest first."""
        begin, step = self.begin.timestamp(), self.step.total_seconds()
        for number, value in enumerate(self.values):
            if value is not None:
                yield begin + number * step, value

    @property
    def covers(self) -> timedelta:
        """How long it is."""
        return self.step * len(self.values)


class SamplesRecorded(BaseEvent):
    """The samples and the changes that the decisions were made on, kept once the incident is over.

    `scrape`: the time between two scrapes then; None if it was not known. A series is no finer than
    that, and may be coarser. `trouble`: why there are none, or not all. The series overlap nowhere;
    where they are close together in time, they are finer. `earlier`: when the same problem stood
    before as an incident of its own, which was no part of the baseline.
    """

    kind: Literal["SamplesRecorded"] = "SamplesRecorded"
    group: ClassVar[EventGroup] = "problem"
    for_people: ClassVar[bool] = False
    series: tuple[RecordedSeries, ...] = ()
    changes: tuple[Change, ...] = ()
    earlier: tuple[Precedent, ...] = ()
    scrape: Duration | None = None
    trouble: str = ""

    def describe(self) -> str:
        values = sum(len(series.values) for series in self.series)
        text = f"recorded for replays: {values} values, {len(self.changes)} changes"
        return text + (f"; {self.trouble}" if self.trouble else "")
