"""Re-measure after a step, and while people decide: one Reading against the baseline."""

from __future__ import annotations

import asyncio
from statistics import median

from daemon.core.measurement.problem import Problem, RecoveryReading
from daemon.core.measurement.query_result import Unmeasurable, counts, finite_samples, one_number
from daemon.core.measurement.recovery_reading import read_recovery
from daemon.core.rules.rule import VerifySpec
from daemon.measuring.queries import Survey


async def read_recovery_now(
    survey: Survey, verify: VerifySpec, problem: Problem
) -> RecoveryReading:
    """One reading now; `problem` is the confirmed one. Unreadable is a state, no exception."""
    spec = survey.spec
    width = spec.windows[0]
    try:
        await survey.require_fresh()
        if spec.value is None:
            bad, total = await asyncio.gather(
                survey.instant(spec.bad or "", width), survey.instant(spec.total or "", width)
            )
            return read_recovery(spec, verify, problem, None, counts(bad, total), survey.now)
        samples = [
            value for _, value in finite_samples(await survey.series(spec.value, width, width))
        ]
        counted = None
        if spec.total is not None:
            counted = (0.0, one_number(await survey.instant(spec.total, width)) or 0.0)
        level = median(samples) if samples else None
        return read_recovery(spec, verify, problem, level, counted, survey.now)
    except Unmeasurable as trouble:
        return RecoveryReading(at=survey.now, state="unreadable", reason=trouble.reason)
