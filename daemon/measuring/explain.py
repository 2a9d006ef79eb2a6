"""Ask why nothing could be measured, where a plain verdict would mislead."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from daemon.core.changes.change import Change
from daemon.core.measurement.problem import Problem, ProblemReason
from daemon.core.measurement.query_result import Unmeasurable, finite_samples
from daemon.core.measurement.samples import Sample
from daemon.core.measurement.silence import (
    fall_text,
    scrapes_apart,
    too_few_scrapes,
    traffic_fall,
)
from daemon.core.values.units import format_duration
from daemon.measuring.queries import Survey

_COUNTED_OVER = timedelta(minutes=10)
"""The windows of so long tell how far apart the scrapes are."""
_COUNTED_WINDOWS = 6
"""So many at least."""
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
    try:
        held = await _scrapes_held(survey, main)
    except Unmeasurable:
        return trouble
    interval = scrapes_apart(held, window)
    why = "" if interval is None else too_few_scrapes(interval, window)
    return Unmeasurable("query_error", "window_too_short", why) if why else trouble


async def _scrapes_held(survey: Survey, template: str) -> list[Sample]:
    """(end, scrapes) of each of the last windows in which there was any, of the series that has the
    most there. Raises Unmeasurable."""
    window = survey.spec.windows[0]
    span = max(_COUNTED_OVER, _COUNTED_WINDOWS * window)
    most = "max(count_over_time({}[{}]))"
    queries = [most.format(one, format_duration(window)) for one in survey.selected(template)]
    held: dict[float, float] = {}
    for query in queries:
        for at, count in finite_samples(await survey.ask_over(query, span, window)):
            held[at] = max(held.get(at, 0.0), count)
    return sorted(held.items())
