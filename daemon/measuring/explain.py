"""Ask why nothing could be measured, where a plain verdict would mislead."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from daemon.core.changes.change import Change
from daemon.core.measurement.problem import Problem, ProblemReason
from daemon.core.measurement.query_result import Unmeasurable, finite_samples
from daemon.core.measurement.silence import fall_text, too_few_scrapes, traffic_fall
from daemon.measuring.queries import Survey

_COUNTED_OVER = timedelta(minutes=10)
"""The samples of so long tell how often a target is scraped."""
_SILENT: frozenset[ProblemReason] = frozenset(
    {"traffic_below_minimum", "empty_answer", "targets_down"}
)
_SPARSE: frozenset[ProblemReason] = frozenset(
    {"empty_answer", "no_baseline", "baseline_too_thin", "traffic_below_minimum"}
)
"""The reasons that a window with too few scrapes gives by turns."""


async def fallen_traffic(survey: Survey, changes: Sequence[Change], problem: Problem) -> str:
    """What fell, and after which change; empty if nothing did, or if that cannot be asked."""
    spec = survey.spec
    if problem.reason not in _SILENT:
        return ""
    main, width = (*spec.main, "")[0], spec.windows[0]
    try:
        history = finite_samples(await survey.series(main, width, spec.baseline))
    except Unmeasurable:
        return ""
    fall = traffic_fall(history, width, survey.now, counts=main == spec.total)
    return "" if fall is None else fall_text(fall, changes, spec.symptom)


async def sparse_scrapes(survey: Survey, trouble: Unmeasurable) -> Unmeasurable:
    """The trouble, or that the shortest window holds fewer than two scrapes, which explains it."""
    spec = survey.spec
    window, main = spec.windows[0], (*spec.main, "")[0]
    if trouble.reason not in _SPARSE or "$window" not in main:
        return trouble
    interval = await scrape_interval(survey, main)
    why = "" if interval is None else too_few_scrapes(interval, window)
    return Unmeasurable("query_error", "window_too_short", why) if why else trouble


async def scrape_interval(survey: Survey, template: str) -> timedelta | None:
    """How often what a query counts is scraped, in whole seconds; None if nobody can say."""
    try:
        most = await survey.samples_within(template, _COUNTED_OVER)
    except Unmeasurable:
        return None
    if most is None or most < 2:
        return None
    return timedelta(seconds=round(_COUNTED_OVER.total_seconds() / most))
