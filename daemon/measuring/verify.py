"""Re-measure after a step, and while people decide: one Reading against the baseline."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from statistics import median

from daemon.core.measurement.problem import Problem, RecoveryReading
from daemon.core.measurement.query_result import Unmeasurable, counts, finite_samples, one_number
from daemon.core.measurement.recovery_reading import corrected, read_recovery, with_traffic
from daemon.core.measurement.threshold_assessment import threshold_reading
from daemon.core.rules.rule import VerifySpec
from daemon.measuring.queries import Survey
from daemon.measuring.threshold_history import threshold_now

_NEWEST_PART = 2
"""The newest scrapes are those of the last half of the shortest window."""


async def read_recovery_now(
    survey: Survey, verify: VerifySpec, problem: Problem
) -> RecoveryReading:
    """One reading now; `problem` is the confirmed one. Unreadable is a state, no exception."""
    try:
        if survey.spec.kind == "threshold":
            return await _threshold(survey, verify, problem)
        read = _counts if survey.spec.kind == "counts" else _value
        return await _if_fresh(survey, read(survey, verify, problem))
    except Unmeasurable as trouble:
        return RecoveryReading(at=survey.now, state="unreadable", reason=trouble.reason)


async def _if_fresh(
    survey: Survey, reading: Coroutine[None, None, RecoveryReading]
) -> RecoveryReading:
    """The reading, which is asked for beside whether it is fresh. A monitoring outage explains an
    empty answer, so freshness has the first word."""
    fresh, found = await asyncio.gather(survey.require_fresh(), reading, return_exceptions=True)
    if isinstance(fresh, BaseException):
        raise fresh
    if isinstance(found, BaseException):
        raise found
    return found


async def _counts(survey: Survey, verify: VerifySpec, problem: Problem) -> RecoveryReading:
    spec, width = survey.spec, survey.spec.windows[0]
    counted, newest = await asyncio.gather(
        _counted(survey, width), _counted(survey, width / _NEWEST_PART)
    )
    reading = read_recovery(spec, verify, problem, None, counted, survey.now)
    return corrected(spec, problem, reading, newest, None)


async def _counted(survey: Survey, width: timedelta) -> tuple[float, float] | None:
    bad, total = await asyncio.gather(
        survey.instant(survey.spec.bad or "", width), survey.instant(survey.spec.total or "", width)
    )
    return counts(bad, total)


async def _value(survey: Survey, verify: VerifySpec, problem: Problem) -> RecoveryReading:
    spec, width = survey.spec, survey.spec.windows[0]
    answer = await survey.series(spec.value or "", width, width)
    samples = [value for _, value in finite_samples(answer)]
    counted = await _traffic(survey)
    level = median(samples) if samples else None
    reading = read_recovery(spec, verify, problem, level, counted, survey.now)
    return corrected(spec, problem, reading, None, samples[-1] if samples else None)


async def _threshold(survey: Survey, verify: VerifySpec, problem: Problem) -> RecoveryReading:
    (evaluation, _), counted = await asyncio.gather(threshold_now(survey), _traffic(survey))
    reading = threshold_reading(survey.spec, problem, evaluation, survey.now)
    return with_traffic(survey.spec, verify, problem, reading, counted)


async def _traffic(survey: Survey) -> tuple[float, float] | None:
    """(0, events) of the shortest window, where a rule of values counts them."""
    spec = survey.spec
    if spec.total is None:
        return None
    return (0.0, one_number(await survey.instant(spec.total, spec.windows[0])) or 0.0)
