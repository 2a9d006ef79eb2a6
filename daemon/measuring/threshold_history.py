"""The queries of a rule's threshold, evaluated over time: each once, on one grid of moments."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.measurement.query_result import Unmeasurable, only_series
from daemon.core.measurement.samples import Sample
from daemon.core.measurement.threshold import Evaluation, LeafSamples
from daemon.core.rules.query_templates import ABSENCE, WINDOW
from daemon.measuring.history import clock_grid, scrape_clock
from daemon.measuring.queries import MAX_POINTS, Survey

_SECOND = timedelta(seconds=1)
_OF_NOTHING = ABSENCE | {"vector"}
"""The functions that answer where nothing is selected."""


@dataclass(frozen=True)
class _Answered:
    """What one query answered on the grid, or why that is not to be believed."""

    values: tuple[float | None, ...]
    trouble: Unmeasurable | None = None
    unseen: bool = False


async def threshold_now(survey: Survey) -> tuple[Evaluation, timedelta]:
    """The threshold over the look-back, scrape by scrape where the scrapes are known; and how much
    earlier than at its moments the numbers may have been so. Never raises Unmeasurable: what is
    wrong with a query stands in its leaf."""
    spec, width = survey.spec, survey.spec.windows[0]
    clock = await scrape_clock(survey)
    late, spread = 0.0, 0.0
    if clock is None:
        step = max(width / 4, spec.baseline / MAX_POINTS, _SECOND)
        begin, end = survey.now - int(spec.baseline / step) * step, survey.now
    else:
        begin, end, step = clock_grid(survey, clock)
        late, spread = end.timestamp() - clock.newest, clock.spread
    found = await _evaluated(survey, begin, end, step, fresh=True, late=late)
    led = [found.leaves[number].leaf.value or "" for number in found.holding()]
    windowed = any(f"${WINDOW}" in query for query in led)
    return found, timedelta(seconds=spread) + (width if windowed else timedelta(0))


async def threshold_between(
    survey: Survey, begin: datetime, end: datetime, step: timedelta
) -> Evaluation:
    """The threshold at each `step` from `begin` to `end`. Raises Unmeasurable if a query has no
    answer to rely on."""
    found = await _evaluated(survey, begin, end, step, fresh=False)
    for leaf in found.leaves:
        if leaf.trouble is not None:
            raise leaf.trouble
    return found


async def _evaluated(
    survey: Survey,
    begin: datetime,
    end: datetime,
    step: timedelta,
    *,
    fresh: bool,
    late: float = 0.0,
) -> Evaluation:
    """`fresh`: each query has to be, and it is asked whether it ever selected anything."""
    spec = survey.spec
    asked = (_answered(survey, query, begin, end, step, fresh=fresh) for query in spec.values)
    answers = dict(zip(spec.values, await asyncio.gather(*asked), strict=True))
    leaves = []
    for leaf in spec.condition.leaves():
        answer = answers[leaf.value or ""]
        leaves.append(LeafSamples(leaf, answer.values, answer.trouble, answer.unseen))
    first, apart = begin.timestamp() - late, step.total_seconds()
    moments = [first + number * apart for number in range(_points(begin, end, step))]
    return Evaluation(spec.condition, leaves, moments)


async def _answered(
    survey: Survey, query: str, begin: datetime, end: datetime, step: timedelta, *, fresh: bool
) -> _Answered:
    count = _points(begin, end, step)
    try:
        unseen = await survey.unseen(query) if fresh else False
        answer = await survey.between(query, survey.spec.windows[0], begin, end, step)
        known = _placed(only_series(answer), begin, step)
        if not _OF_NOTHING.isdisjoint(survey.functions_called(query)):
            scraping = await survey.between("count(up)", None, begin, end, step)
            seen = _placed(only_series(scraping), begin, step)
            # That Prometheus itself was away is neither an error that was over nor an absence.
            known = {number: value for number, value in known.items() if number in seen or not seen}
    except Unmeasurable as trouble:
        return _Answered((None,) * count, trouble)
    return _Answered(tuple(known.get(number) for number in range(count)), None, unseen)


def _placed(samples: Sequence[Sample], begin: datetime, step: timedelta) -> dict[int, float]:
    """The values by the number of their moment: not every server answers at exactly those that
    were asked for."""
    first, apart = begin.timestamp(), step.total_seconds()
    return {round((at - first) / apart): value for at, value in samples}


def _points(begin: datetime, end: datetime, step: timedelta) -> int:
    return int((end - begin) / step + 1e-6) + 1
