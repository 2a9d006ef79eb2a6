"""Prometheus over the samples of one draw: the port `Metrics`, answered in memory.

It answers as version 3 would: `increase()` is extrapolated to the edges of its window, needs
two samples and sees through counter resets; a failed scrape marks every series as stale.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from datetime import datetime, timedelta
from itertools import pairwise

from daemon.core.measurement.samples import QueryAnswer, Sample, Series
from daemon.core.values.units import parse_duration
from tests.worlds.world import Draw, Samples

LOOKBACK = 300.0
"""Seconds for which an instant selector answers with the last sample."""
JOB = "shop"

_INCREASE = re.compile(r"sum\(increase\((\w+)\{[^}]*\}\[(\w+)\]\)\)")
_NEWEST = re.compile(r"(?:max|min)\(timestamp\((\w+)\{[^}]*\}\)\)")
_SAMPLES = re.compile(r"max\(count_over_time\((\w+)\{[^}]*\}\[(\w+)\]\)\)")
_BORN = re.compile(r"sum\((\w+)\{[^}]*\} unless \w+\{[^}]*\} offset (\w+)\)")
_JOBS = re.compile(r"count by \(job\) \(last_over_time\((\w+)\{[^}]*\}\[(\w+)\]\)\)")
_UP = re.compile(r"max\(up\{[^}]*\}\)")
_VALUE = re.compile(r"max\((\w+)\{[^}]*\}\)")


class DrawnPrometheus:
    """`daemon.core.ports.metrics.Metrics` over a draw; a moment sees nothing that came later."""

    def __init__(self, draw: Draw) -> None:
        self._named = {
            "requests": draw.requests,
            "errors": draw.errors,
            "latency": draw.latency,
        }
        self._scraped_at = [scrape.at for scrape in draw.scrapes]
        self._up = [scrape.up for scrape in draw.scrapes]

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        value = self._value(query, at.timestamp())
        labels = {"job": JOB} if query.startswith("count by (job)") else {}
        found = [] if value is None else [Series(labels, [(at.timestamp(), value)])]
        return QueryAnswer(query, found)

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        samples: list[Sample] = []
        for number in range(int((end - start) / step) + 1):
            at = (start + number * step).timestamp()
            value = self._value(query, at)
            if value is not None:
                samples.append((at, value))
        return QueryAnswer(query, [Series({}, samples)] if samples else [])

    def _value(self, query: str, at: float) -> float | None:
        if match := _INCREASE.fullmatch(query):
            width = parse_duration(match[2]).total_seconds()
            return increase(self._named[match[1]], at, width)
        if match := _NEWEST.fullmatch(query):
            sample = self._last(match[1], at)
            return None if sample is None else sample[0]
        if match := _SAMPLES.fullmatch(query):
            series = self._named[match[1]]
            since = at - parse_duration(match[2]).total_seconds()
            return float(bisect_right(series.at, at) - bisect_right(series.at, since)) or None
        if match := _BORN.fullmatch(query):
            sample = self._last(match[1], at)
            before = self._last(match[1], at - parse_duration(match[2]).total_seconds())
            return None if sample is None or before is not None else sample[1]
        if match := _JOBS.fullmatch(query):
            series = self._named[match[1]]
            since = at - parse_duration(match[2]).total_seconds()
            seen = bisect_right(series.at, at) > bisect_right(series.at, since)
            return 1.0 if seen else None
        if query.startswith("group by (job"):
            return None  # nobody knows which targets are the service's own
        if _UP.fullmatch(query):
            return float(self._is_up(at))
        if match := _VALUE.fullmatch(query):
            sample = self._last(match[1], at)
            return None if sample is None else sample[1]
        raise NotImplementedError(f"tests/worlds/prometheus.py does not know the query {query}")

    def _is_up(self, at: float) -> bool:
        index = bisect_right(self._scraped_at, at)
        return index > 0 and self._up[index - 1]

    def _last(self, name: str, at: float) -> Sample | None:
        """The sample that an instant selector shows."""
        series = self._named[name]
        index = bisect_right(series.at, at)
        if not index or not self._is_up(at) or at - series.at[index - 1] >= LOOKBACK:
            return None
        return series.at[index - 1], series.values[index - 1]


def increase(series: Samples, end: float, width: float) -> float | None:
    """PromQL's `increase()` over (end − width, end]; None with fewer than two samples."""
    begin = bisect_right(series.at, end - width)
    until = bisect_right(series.at, end)
    times, values = series.at[begin:until], series.values[begin:until]
    if len(times) < 2:
        return None
    counted = values[-1] - values[0]
    for before, after in pairwise(values):
        if after < before:  # a counter reset
            counted += before
    sampled = times[-1] - times[0]
    between = sampled / (len(times) - 1)
    to_start, to_end = times[0] - (end - width), end - times[-1]
    # An edge further off than the next sample would be is where the series begins or ends.
    if to_start >= between * 1.1:
        to_start = between / 2
    if counted > 0 and values[0] >= 0:
        to_start = min(to_start, sampled * values[0] / counted)  # no counter begins below zero
    if to_end >= between * 1.1:
        to_end = between / 2
    return counted * (sampled + to_start + to_end) / sampled
