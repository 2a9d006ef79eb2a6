"""The newest part of a range, where a server answers it only by repeating an older value.

Such a server still answers instant queries up to now, so the newest values are asked for one by
one, and put together with the rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.measurement.samples import QueryAnswer, Sample, Series

MOST_SINGLE = 40
"""So many values are asked for one by one; of more only some, evenly spread."""
_MARGIN = timedelta(seconds=1)
"""What was measured of the server's clock is true to the second."""


@dataclass(frozen=True)
class RangeSplit:
    """The last moment that the range query answers rightly (None: not one), and the later ones."""

    last: datetime | None
    single: tuple[datetime, ...]


def split_range(
    start: datetime, end: datetime, step: timedelta, now: datetime, repeats: timedelta
) -> RangeSplit:
    """Where the range from `start` to `end` has to be split if the values of the last `repeats`
    before `now` are repetitions."""
    if not repeats:
        return RangeSplit(end, ())
    count = math.floor((end - start) / step + 1e-6)
    told = now - repeats - _MARGIN
    first = max(0, math.floor((told - start) / step) + 1)
    if first > count:
        return RangeSplit(end, ())
    apart = math.ceil((count - first + 1) / MOST_SINGLE)
    places = range(count, first - 1, -apart)
    single = tuple(start + place * step for place in reversed(places))
    return RangeSplit(start + (first - 1) * step if first else None, single)


def joined_range(
    query: str, head: QueryAnswer | None, tail: Sequence[tuple[datetime, QueryAnswer]]
) -> QueryAnswer:
    """One answer of a range's first part and of the single ones after it, oldest first."""
    answers = [*([head] if head is not None else []), *(answer for _, answer in tail)]
    labels: dict[frozenset[tuple[str, str]], Series] = {}
    samples: dict[frozenset[tuple[str, str]], list[Sample]] = {}

    def add(series: Series, found: Sequence[Sample]) -> None:
        key = frozenset(series.labels.items())
        labels.setdefault(key, series)
        samples.setdefault(key, []).extend(found)

    for series in head.series if head is not None else ():
        add(series, series.samples)
    for at, answer in tail:
        for series in answer.series:
            add(series, [(at.timestamp(), value) for _, value in series.samples[-1:]])
    return QueryAnswer(
        query,
        [Series(series.labels, samples[key]) for key, series in labels.items()],
        tuple(dict.fromkeys(text for answer in answers for text in answer.warnings)),
        tuple(dict.fromkeys(text for answer in answers for text in answer.hints)),
        answers[-1].server,
    )
