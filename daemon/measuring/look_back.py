"""Look back further than the baseline: was it like this before?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from daemon.core.changes.precedent import Precedent
from daemon.core.measurement.precedents import (
    counts_precedents,
    threshold_precedents,
    value_precedents,
)
from daemon.core.measurement.problem import Problem
from daemon.core.measurement.query_result import Unmeasurable, bins, finite_samples
from daemon.measuring.queries import Survey
from daemon.measuring.threshold_history import threshold_between

_log = structlog.get_logger()

LOOK_BACKS = (timedelta(hours=24), timedelta(hours=3))
"""How far back trouble like the present one is looked for; less far where that cannot be had."""
A_WEEK = timedelta(days=7)
"""So long ago it is looked for as well, around the same time of day: seasons come back."""
AROUND = timedelta(hours=1)
LOOK_BACK_STEP = timedelta(minutes=1)
"""Closer together nothing is looked at that far back."""


@dataclass(frozen=True)
class LookBack:
    """When it was about as bad as now. `complete`: all was seen that was to be looked at."""

    precedents: tuple[Precedent, ...]
    complete: bool


async def look_back(survey: Survey, problem: Problem) -> LookBack:
    """Look for trouble like the present one within a day, and a week ago at the same time."""
    now = survey.now
    whole, then = await asyncio.gather(
        _between(survey, problem, now - LOOK_BACKS[0], now),
        _between(survey, problem, now - A_WEEK - AROUND, now - A_WEEK + AROUND),
    )
    lately = whole
    for length in (*LOOK_BACKS[1:], survey.spec.baseline):
        if lately is None:
            lately = await _between(survey, problem, now - length, now)
    complete = whole is not None and then is not None
    return LookBack((*(lately or ()), *(then or ())), complete)


async def _between(
    survey: Survey, problem: Problem, begin: datetime, end: datetime
) -> Sequence[Precedent] | None:
    """None if that cannot be seen."""
    spec = survey.spec
    step = max(spec.windows[0], LOOK_BACK_STEP)
    begin = end - ((end - begin) // step) * step
    then = replace(survey, query_log={})
    try:
        if spec.kind == "threshold":
            evaluation = await threshold_between(then, begin, end, step)
            return threshold_precedents(spec, problem, evaluation)
        if spec.value is not None:
            answer = await then.between(spec.value, spec.windows[0], begin, end, step)
            return value_precedents(spec, problem, finite_samples(answer))
        counts = (spec.bad or "", spec.total or "")
        bad, total = await asyncio.gather(
            *(then.between(template, spec.windows[0], begin, end, step) for template in counts)
        )
        return counts_precedents(spec, problem, bins(bad, total))
    except Unmeasurable as trouble:
        _log.info("it cannot be looked back", begin=begin, end=end, error=trouble.text)
        return None
