"""Was an item healthy while it was live? Asked of Prometheus for what nobody has measured yet."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import structlog

from daemon.core.changes.live_periods import Life
from daemon.core.changes.suspects import HealthMark
from daemon.core.measurement.problem import Problem
from daemon.core.measurement.query_result import Unmeasurable, counts, finite_samples
from daemon.core.measurement.recovery_reading import judge_life
from daemon.core.measurement.threshold_assessment import judge_threshold_life
from daemon.measuring.queries import MAX_POINTS, Survey
from daemon.measuring.threshold_history import threshold_between

_log = structlog.get_logger()

_MOST = 8
"""So many items are looked at, the newest ones."""


async def judge_revisions(
    survey: Survey, problem: Problem, lives: Sequence[Life]
) -> dict[str, HealthMark]:
    """What the metrics say of each item while it was live; silent on what they cannot tell.

    `lives` is oldest first. Each is measured over its end, as long as the baseline looks back;
    an item that was live more than once is bad if it was bad once.
    """
    newest = lives[-_MOST:]
    judged = await asyncio.gather(*(_judge_revision(survey, problem, life) for life in newest))
    marks: dict[str, HealthMark] = {}
    for life, mark in zip(newest, judged, strict=True):
        if mark is not None and marks.get(life.item) != "bad":
            marks[life.item] = mark
    return marks


async def _judge_revision(survey: Survey, problem: Problem, life: Life) -> HealthMark | None:
    spec = survey.spec
    # Both ends are cut off: a rollout has two items live at once.
    margin = spec.windows[0]
    begin, end = life.begin + margin, life.end - margin
    width = min(end - begin, spec.baseline)
    if width < margin:
        return None
    then = replace(survey, now=end, query_log={})
    try:
        if spec.kind == "threshold":
            step = max(margin / 4, width / MAX_POINTS, timedelta(seconds=1))
            start = end - (width // step) * step
            return judge_threshold_life(await threshold_between(then, start, end, step))
        if spec.value is None:
            bad, total = await asyncio.gather(
                then.instant(spec.bad or "", width), then.instant(spec.total or "", width)
            )
            return judge_life(spec, problem, counts(bad, total), ())
        answer = await then.series(spec.value, margin, width)
        return judge_life(spec, problem, None, [value for _, value in finite_samples(answer)])
    except Unmeasurable as trouble:
        _log.info("a revision cannot be vetted", item=life.item, error=trouble.text)
        return None
