"""VictoriaMetrics over the samples of one draw, as 1.79 was seen to answer.

`increase()` counts from the last sample before its window, and a new series from zero if its first
value is none too large; `timestamp()` goes on when its series has ended.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from daemon.core.measurement.flavours import MetricsServer
from daemon.core.measurement.samples import QueryAnswer
from daemon.core.values.units import parse_duration
from tests.worlds.prometheus import LOOKBACK, DrawnPrometheus
from tests.worlds.world import Samples

SERVER = MetricsServer("victoriametrics", told_by="a double", behind=timedelta(seconds=11))
_INCREASE = re.compile(r"sum\(increase\((\w+)\{[^}]*\}\[(\w+)\]\)\)")
_STAMP = re.compile(r"(?:max|min)\(timestamp\((\w+)\{[^}]*\}\)( and \w+\{[^}]*\})?\)")


class DrawnVictoriaMetrics(DrawnPrometheus):
    """`DrawnPrometheus` with another server's answers."""

    async def server(self) -> MetricsServer:
        return SERVER

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        return replace(await super().instant(query, at), server=SERVER)

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        return replace(await super().series(query, start, end, step), server=SERVER)

    def _value(self, query: str, at: float) -> float | None:
        if match := _INCREASE.fullmatch(query):
            return plain_increase(self._named[match[1]], at, parse_duration(match[2]))
        if match := _STAMP.fullmatch(query):
            series = self._named[match[1]]
            index = bisect_right(series.at, at)
            gone = match[2] and self._last(match[1], at) is None
            if gone or not index or at - series.at[index - 1] >= LOOKBACK:
                return None
            return series.at[index - 1]
        return super()._value(query, at)


def plain_increase(series: Samples, end: float, width: timedelta) -> float | None:
    """MetricsQL's `increase()` over (end − width, end]; None without a sample in it."""
    begin = bisect_right(series.at, end - width.total_seconds())
    until = bisect_right(series.at, end)
    values = list(series.values[begin:until])
    if not values:
        return None
    if begin:
        before = series.values[begin - 1]
    else:
        next_step = values[1] - values[0] if len(values) > 1 else 0.0
        before = 0.0 if abs(values[0]) < 10 * (abs(next_step) + 1) else values[0]
    steps = pairwise([before, *values])
    return sum(after - one if after >= one else after for one, after in steps)
