"""What was measured up to now, scrape by scrape where Prometheus lets itself be asked so."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import structlog

from daemon.core.measurement.query_result import Unmeasurable, bins, finite_samples
from daemon.core.measurement.samples import Sample
from daemon.core.measurement.scrape_clock import COUNTED_OVER, ScrapeClock, read_scrapes
from daemon.core.values.significance import Bin
from daemon.core.values.units import format_duration
from daemon.measuring.queries import Survey

_log = structlog.get_logger()


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
    first, last = clock.grid(survey.now.timestamp(), spec.baseline.total_seconds())
    window = timedelta(seconds=clock.window)
    step = timedelta(seconds=clock.step)
    begin, end = datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC)
    bad, total = await asyncio.gather(
        *(survey.between(template, window, begin, end, step) for template in templates)
    )
    # increase() is extrapolated to the whole window; what it saw is one step long.
    part = clock.step / clock.window
    found = []
    for current in bins(bad, total):
        began, ended = clock.stretch(current.end, last)
        found.append(Bin(ended, current.bad * part, current.total * part, began))
    return found


async def value_history(survey: Survey) -> list[Sample]:
    """The samples of the look-back, oldest first: one a scrape, else four to the shortest window.
    Raises Unmeasurable.
    """
    spec = survey.spec
    template, width = spec.value or "", spec.windows[0]
    clock = await scrape_clock(survey)
    if clock is None:
        return finite_samples(await survey.series(template, width, spec.baseline))
    first, last = clock.grid(survey.now.timestamp(), spec.baseline.total_seconds())
    begin, end = datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC)
    step = timedelta(seconds=clock.step)
    answer = await survey.between(template, width, begin, end, step)
    return [(clock.stretch(at, last)[1], value) for at, value in finite_samples(answer)]


async def scrape_clock(survey: Survey) -> ScrapeClock | None:
    """When the rule's series are scraped; None if that cannot be told."""
    spec = survey.spec
    try:
        main = survey.selected(spec.total or spec.value or "")
        every = list(dict.fromkeys([*main, *survey.selected(spec.bad or "")]))
        back = format_duration(COUNTED_OVER)
        counted, newest, oldest = await asyncio.gather(
            _each(survey, [f"max(count_over_time({s}[{back}]))" for s in main], spec.baseline),
            survey.numbers([f"max(timestamp({s}))" for s in every]),
            survey.numbers([f"min(timestamp({s}))" for s in every]),
        )
    except Unmeasurable as trouble:
        _log.info("the scrapes cannot be told", error=trouble.text)
        return None
    return read_scrapes(counted, max(newest, default=None), min(oldest, default=None))


async def _each(survey: Survey, queries: list[str], span: timedelta) -> list[float]:
    begin = survey.now - (span // COUNTED_OVER) * COUNTED_OVER
    answers = await asyncio.gather(
        *(survey.between(query, None, begin, survey.now, COUNTED_OVER) for query in queries)
    )
    return [value for answer in answers for _, value in finite_samples(answer)]
