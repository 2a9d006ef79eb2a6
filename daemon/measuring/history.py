"""What was measured up to now, scrape by scrape where Prometheus lets itself be asked so."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from daemon.core.measurement.query_result import Unmeasurable, bins, finite_samples
from daemon.core.measurement.samples import Sample
from daemon.core.measurement.scrape_clock import COUNTED_OVER, ScrapeClock, read_scrapes
from daemon.core.measurement.silence import unbounded
from daemon.core.values.significance import Bin
from daemon.core.values.units import format_duration
from daemon.measuring.queries import MAX_POINTS, Survey

_log = structlog.get_logger()

MOSTLY = 0.5
"""Counters that appeared with more than this part of what the others counted hide what happened."""


async def counts_history(survey: Survey) -> list[Bin]:
    """The bins of the look-back, oldest first: one a scrape that says from when to when it is;
    where the scrapes are not known, overlapping ones of the shortest window. Raises Unmeasurable.
    """
    spec = survey.spec
    templates = (spec.bad or "", spec.total or "")
    clock = await scrape_clock(survey)
    if clock is None:
        answers = [survey.series(t, spec.windows[0], spec.baseline) for t in templates]
        return bins(*await asyncio.gather(*answers))
    begin, end, step = clock_grid(survey, clock)
    window = timedelta(seconds=clock.window)
    counted = (survey.between(template, window, begin, end, step) for template in templates)
    (bad, total), births = await asyncio.gather(
        asyncio.gather(*counted), _births(survey, begin, end, step)
    )
    # increase() is extrapolated to the whole window; what it saw is one step long.
    part = clock.part
    # What counts the first value of a counter has all of a birth in its increase.
    mostly = 1.0 if bad.server.traits.counts_first_value else MOSTLY
    found = []
    for current in bins(bad, total):
        began, ended = clock.stretch(current.end)
        failed = current.bad * part
        born = current.born or births.get(current.end, 0.0) > mostly * failed
        found.append(Bin(ended, failed, current.total * part, began, born))
    return found


async def counted_stretches(survey: Survey) -> tuple[list[Sample], list[Sample]]:
    """What `bad` and `total` counted in the stretches of `counts_history`, at their ends, oldest
    first. Where a counter was born, its first events are counted, too. Raises Unmeasurable.
    """
    spec, clock = survey.spec, await scrape_clock(survey)
    templates = [t for t in (spec.bad, spec.total) if t is not None]
    if clock is None:
        answers = [survey.series(t, spec.windows[0], spec.baseline) for t in templates]
        *bad, total = map(finite_samples, await asyncio.gather(*answers))
        return _all_along(dict(bad[0]) if bad else {}, {}, total) if bad else [], total
    begin, end, step = clock_grid(survey, clock)
    window = timedelta(seconds=clock.window)
    counted = (survey.between(template, window, begin, end, step) for template in templates)
    answered, births = await asyncio.gather(
        asyncio.gather(*counted), _births(survey, begin, end, step)
    )
    part = clock.part
    *bad, total = (
        [(clock.stretch(at)[1], count * part) for at, count in finite_samples(answer)]
        for answer in answered
    )
    born = {clock.stretch(at)[1]: count for at, count in births.items()}
    return _all_along(dict(bad[0]), born, total) if bad else [], total


def _all_along(
    bad: Mapping[float, float], born: Mapping[float, float], total: Sequence[Sample]
) -> list[Sample]:
    """The bad ones wherever there is a total; what is absent is none."""
    return [(at, min(max(bad.get(at, 0.0), born.get(at, 0.0)), count)) for at, count in total]


async def _births(
    survey: Survey, begin: datetime, end: datetime, step: timedelta
) -> dict[float, float]:
    """What the counters of bad events that appeared within a step had counted by its end, by its
    end. `increase()` knows nothing of these: a status or an instance that never failed before has
    no counter until it does. Empty where Prometheus does not say."""
    back = format_duration(step)
    queries = [f"sum({s} unless {s} offset {back})" for s in survey.selected(survey.spec.bad or "")]
    try:
        answers = await asyncio.gather(
            *(survey.between(query, None, begin, end, step) for query in queries)
        )
        appeared: dict[float, float] = {}
        for at, value in (sample for answer in answers for sample in finite_samples(answer)):
            appeared[at] = appeared.get(at, 0.0) + value
    except Unmeasurable as trouble:
        _log.info("the births of counters cannot be told", error=trouble.text)
        return {}
    return appeared


async def value_history(survey: Survey) -> list[Sample]:
    """The samples of the look-back, oldest first: one a scrape, else four to the shortest window.
    Raises Unmeasurable.
    """
    spec = survey.spec
    template, width = spec.value or "", spec.windows[0]
    clock = await scrape_clock(survey)
    if clock is None:
        answer = await survey.series(template, width, spec.baseline)
    else:
        begin, end, step = clock_grid(survey, clock)
        answer = await survey.between(template, width, begin, end, step)
    recent = (survey.now - width).timestamp()
    newest = [value for one in answer.series for at, value in one.samples if at > recent]
    infinite = unbounded(newest, spec.symptom)
    if infinite is not None:
        raise infinite
    told = finite_samples(answer)
    return told if clock is None else [(clock.scraped(at), value) for at, value in told]


def clock_grid(survey: Survey, clock: ScrapeClock) -> tuple[datetime, datetime, timedelta]:
    """(first, last, step) of the moments at which the look-back is evaluated."""
    first, last = clock.grid(survey.now.timestamp(), survey.spec.baseline.total_seconds())
    step = timedelta(seconds=clock.step)
    return datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC), step


@dataclass(frozen=True)
class ClockQueries:
    """What tells when a rule's series are scraped: how many samples they had, asked over the
    look-back, and when the last of each was."""

    counted: Sequence[str]
    newest: Sequence[str]
    oldest: Sequence[str]


async def clock_queries(survey: Survey) -> ClockQueries:
    """As the survey's server is to be asked. Raises Unmeasurable."""
    spec = survey.spec
    main = [one for template in spec.main for one in survey.selected(template)]
    every = list(dict.fromkeys([*main, *survey.selected(spec.bad or "")]))
    back = format_duration(COUNTED_OVER)
    server = await survey.server()
    return ClockQueries(
        [f"max(count_over_time({s}[{back}]))" for s in main],
        [server.newest(s) for s in every],
        [server.oldest(s) for s in every],
    )


async def scrape_clock(survey: Survey) -> ScrapeClock | None:
    """When the rule's series are scraped; None if that cannot be told, or is too much to ask."""
    spec = survey.spec
    try:
        queries, server = await clock_queries(survey), await survey.server()
        counted, newest, oldest = await asyncio.gather(
            _each(survey, queries.counted, spec.baseline),
            survey.numbers(queries.newest),
            survey.numbers(queries.oldest),
        )
    except Unmeasurable as trouble:
        _log.info("the scrapes cannot be told", error=trouble.text)
        return None
    clock = read_scrapes(
        counted,
        max(newest, default=None),
        min(oldest, default=None),
        extrapolated=server.traits.extrapolates,
    )
    if clock is not None and spec.baseline.total_seconds() / clock.step > MAX_POINTS:
        _log.info("so long a baseline is not looked at scrape by scrape", step=clock.step)
        return None
    return clock


async def _each(survey: Survey, queries: Sequence[str], span: timedelta) -> list[float]:
    asked = (survey.ask_over(query, span, COUNTED_OVER) for query in queries)
    answers = await asyncio.gather(*asked)
    return [value for answer in answers for _, value in finite_samples(answer)]
