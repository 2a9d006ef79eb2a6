"""Look back further than the baseline: was it like this before?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from daemon.core.changes.precedent import Precedent
from daemon.core.measurement.precedents import counts_precedents, value_precedents
from daemon.core.measurement.problem import Problem
from daemon.core.measurement.query_result import Unmeasurable, bins, finite_samples
from daemon.measuring.queries import Survey

_log = structlog.get_logger()

LOOK_BACK = timedelta(hours=24)
"""How far back trouble like the present one is looked for."""
A_WEEK = timedelta(days=7)
"""So long ago it is looked for as well, around the same time of day: seasons come back."""
_AROUND = timedelta(hours=1)
_LEAST_STEP = timedelta(minutes=1)


async def find_precedents(survey: Survey, problem: Problem) -> list[Precedent]:
    """When it was about as bad as now, within a day and a week ago at the same time. What cannot
    be looked back at has no precedent."""
    step = max(survey.spec.windows[0], _LEAST_STEP)
    now = survey.now
    spans = [(now - LOOK_BACK, now), (now - A_WEEK - _AROUND, now - A_WEEK + _AROUND)]
    found = await asyncio.gather(*(_between(survey, problem, *span, step) for span in spans))
    return [precedent for each in found for precedent in each]


async def _between(
    survey: Survey, problem: Problem, begin: datetime, end: datetime, step: timedelta
) -> Sequence[Precedent]:
    spec = survey.spec
    begin = end - ((end - begin) // step) * step
    then = replace(survey, query_log={})
    try:
        if spec.value is not None:
            answer = await then.between(spec.value, spec.windows[0], begin, end, step)
            return value_precedents(spec, problem, finite_samples(answer))
        bad, total = await asyncio.gather(
            *(
                then.between(t or "", spec.windows[0], begin, end, step)
                for t in (spec.bad, spec.total)
            )
        )
        return counts_precedents(spec, problem, bins(bad, total))
    except Unmeasurable as trouble:
        _log.info("it cannot be looked back", begin=begin, end=end, error=trouble.text)
        return ()
