"""Keep what the decisions of an incident were measured on: the rule's own series, and no more.

Around the onset they are kept scrape by scrape, as the assessment sees them; of the day before,
and of the same hour a week ago, as the look-back sees them; of what came long after, coarsely.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from daemon.core.incident.events.recording import (
    MOST_RECORDED,
    RecordedQuery,
    RecordedSeries,
)
from daemon.core.measurement.query_result import Unmeasurable, finite_samples
from daemon.core.measurement.samples import Sample
from daemon.measuring.history import counted_stretches, scrape_clock, value_history
from daemon.measuring.look_back import A_WEEK, AROUND, LOOK_BACK_STEP, LOOK_BACKS
from daemon.measuring.queries import Survey
from daemon.measuring.threshold_history import threshold_now

FINELY = timedelta(hours=2)
"""So long after the opening the samples are kept scrape by scrape."""
_MOST_COARSE = 400
"""So many values of each series are kept of what came later."""
_Samples = dict[tuple[RecordedQuery, int], list[Sample]]
_DIGITS = 6
"""Significant digits that are kept: a millionth of a count decides nothing."""


async def record_samples(
    survey: Survey, opened: datetime, closed: datetime
) -> tuple[tuple[RecordedSeries, ...], timedelta | None, str]:
    """The series of an incident, the time between two scrapes (None: unknown), and what of them
    could not be had (empty: nothing).

    `survey` is made at or after `closed`. Raises Unmeasurable if not even the time around the
    opening can be had.
    """
    begin, finely = opened - survey.spec.baseline, min(closed, opened + FINELY)
    step = max(survey.spec.windows[0], LOOK_BACK_STEP)
    around, scrape = await _finely(survey, begin, finely)
    found = list(around)
    later = max(step, (closed - finely) / _MOST_COARSE)
    coarse = (
        (begin - LOOK_BACKS[0], begin - step, step),
        (begin - A_WEEK - AROUND, begin - A_WEEK + AROUND, step),
        (finely, closed, later),
    )
    trouble = ""
    for since, until, apart in coarse:
        try:
            found += await _coarsely(survey, since, until, apart)
        except Unmeasurable as missing:
            trouble = missing.text
    return tuple(found), scrape, trouble


async def _finely(
    survey: Survey, begin: datetime, end: datetime
) -> tuple[Sequence[RecordedSeries], timedelta | None]:
    """One value a scrape, or a few, where the scrapes are known; and the time between two."""
    spec = survey.spec.model_copy(update={"baseline": end - begin})
    then = replace(survey, now=end, spec=spec, query_log={})
    clock = await scrape_clock(then)
    apart = spec.windows[0] / 4 if clock is None else timedelta(seconds=clock.step)
    window = spec.windows[0] if clock is None else apart
    scrape = None if clock is None else timedelta(seconds=clock.interval)
    named: _Samples = {}
    if spec.kind == "threshold":
        named |= await _conditions(then)
    elif spec.value is not None:
        named["value", 0] = await value_history(then)
    if spec.total is not None:
        named["bad", 0], named["total", 0] = await counted_stretches(then)
    return _gathered(named, apart, window), scrape


async def _conditions(survey: Survey) -> _Samples:
    """The values of a threshold. Raises Unmeasurable if not even one of them can be had."""
    evaluation, _ = await threshold_now(survey)
    found: _Samples = {}
    for number, query in enumerate(survey.spec.values):
        leaf = next(one for one in evaluation.leaves if one.leaf.value == query)
        known = ((at, leaf.number(index)) for index, at in enumerate(evaluation.moments))
        found["value", number] = [
            (at, value) for at, value in known if value is not None and math.isfinite(value)
        ]
    troubles = [one.trouble for one in evaluation.leaves if one.trouble is not None]
    if troubles and not any(found.values()):
        raise troubles[0]
    return found


async def _coarsely(
    survey: Survey, begin: datetime, end: datetime, step: timedelta
) -> Sequence[RecordedSeries]:
    """One value each `step`; what is left of the last one is not kept."""
    spec, steps = survey.spec, (end - begin) // step
    if steps < 1:
        return ()
    first, window = end - (steps - 1) * step, max(spec.windows[0], step)
    templates: dict[tuple[RecordedQuery, int], str | None] = {
        ("bad", 0): spec.bad,
        ("total", 0): spec.total,
        **{("value", number): query for number, query in enumerate(spec.values)},
    }
    asked = {name: template for name, template in templates.items() if template is not None}
    answers = await asyncio.gather(
        *(survey.between(template, window, first, end, step) for template in asked.values())
    )
    named = {n: finite_samples(answer) for n, answer in zip(asked, answers, strict=True)}
    return _gathered(named, step, window)


def _gathered(named: _Samples, step: timedelta, window: timedelta) -> list[RecordedSeries]:
    """The samples on a grid of that step, the newest last."""
    return [
        RecordedSeries(
            query=name,
            number=number,
            begin=datetime.fromtimestamp(samples[-1][0], UTC) - (len(values) - 1) * step,
            step=step,
            window=window,
            values=values,
        )
        for (name, number), samples in named.items()
        if samples and (values := _on_grid(samples, step.total_seconds()))
    ]


def _on_grid(samples: Iterable[Sample], step: float) -> tuple[float | None, ...]:
    ordered = sorted(samples)
    last = ordered[-1][0]
    places = {round((last - at) / step): value for at, value in ordered}
    most = min(max(places), MOST_RECORDED)
    return tuple(_rounded(places.get(place)) for place in range(most, -1, -1))


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{_DIGITS}g}")
