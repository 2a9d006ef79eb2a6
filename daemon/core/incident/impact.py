"""What the incident did to users, added up from its own measurements as they come.

It counts from the onset, at the level of the first confirmed measurement. Between two measurements
it counts the mean of both; a stretch counts from a measurement that was bad to the next, whatever
that shows. After a healthy one nothing counts until the next that is not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from daemon.core.measurement.problem import Problem, RecoveryReading
from daemon.core.values.replace import replace

LONGEST_GAP = timedelta(minutes=5)
"""What lies between measurements further apart than this is called unmeasured."""
_MINUTE = timedelta(minutes=1)


class _Point(NamedTuple):
    """One measurement: failed requests a minute (None: not known), and whether it was bad."""

    at: datetime
    rate: float | None
    bad: bool


@dataclass(frozen=True)
class ImpactTally:
    """The sum so far.

    `failed` is all requests that failed while it was bad; None where the problem has no requests,
    or their number was not measured. `lasted` is for how long it was bad; `assumed` the part
    before the first measurement, `unmeasured` the parts between measurements more than
    LONGEST_GAP apart, `uncounted` those for which the number of failed requests is not known.
    `worst_level` is in the metric's own unit, a success share for counts; `worst_loss` as in
    `daemon.core.measurement.loss`. `ended`: the last measurement was healthy.
    """

    began: datetime | None = None
    last: _Point | None = None
    failed: float | None = None
    lasted: timedelta = timedelta(0)
    assumed: timedelta = timedelta(0)
    unmeasured: timedelta = timedelta(0)
    uncounted: timedelta = timedelta(0)
    worst_level: float | None = None
    worst_loss: float | None = None
    worst_at: datetime | None = None
    measurements: int = 0

    @property
    def ended(self) -> bool:
        """Whether the last measurement was healthy."""
        return self.last is not None and not self.last.bad


def begin_impact(tally: ImpactTally, problem: Problem) -> ImpactTally:
    """With a problem that was confirmed; the first of them tells since when it counts."""
    rate = _finite(problem.failed_per_minute)
    if tally.began is None:
        began = min(problem.onset or problem.begun_by or problem.at, problem.at)
        before = replace(tally, began=began, last=_Point(began, rate, bad=True))
        first = _measured(before, _Point(problem.at, rate, bad=True), problem.level, problem.loss)
        return replace(first, assumed=problem.at - began, unmeasured=timedelta(0))
    return _measured(tally, _Point(problem.at, rate, bad=True), problem.level, problem.loss)


def add_reading(tally: ImpactTally, reading: RecoveryReading, *, counts: bool) -> ImpactTally:
    """With one more measurement of a confirmed problem; `counts`: it is about requests. What was
    unreadable tells nothing."""
    if tally.began is None or reading.state == "unreadable":
        return tally
    rate = None
    if counts and reading.level is not None and reading.traffic is not None:
        rate = _finite((1 - reading.level) * reading.traffic)
    point = _Point(reading.at, rate, bad=reading.state != "healthy")
    return _measured(tally, point, reading.level, reading.loss)


def _measured(
    tally: ImpactTally, point: _Point, level: float | None, loss: float | None
) -> ImpactTally:
    tally = replace(_stretched(tally, point), last=point, measurements=tally.measurements + 1)
    worse = loss is not None and (tally.worst_loss is None or loss > tally.worst_loss)
    if not point.bad or not worse:
        return tally
    return replace(tally, worst_level=level, worst_loss=loss, worst_at=point.at)


def _stretched(tally: ImpactTally, point: _Point) -> ImpactTally:
    """With what lies between the last measurement and this one."""
    last = tally.last
    if last is None or not last.bad or point.at <= last.at:
        return tally
    length = point.at - last.at
    tally = replace(tally, lasted=tally.lasted + length)
    if length > LONGEST_GAP:
        tally = replace(tally, unmeasured=tally.unmeasured + length)
    if last.rate is None or point.rate is None:
        return replace(tally, uncounted=tally.uncounted + length)
    failed = (last.rate + point.rate) / 2 * (length / _MINUTE)
    return replace(tally, failed=_finite((tally.failed or 0.0) + failed))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
