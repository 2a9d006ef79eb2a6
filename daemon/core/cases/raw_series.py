"""Raw series of a case, as samples that a real Prometheus can be given."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from daemon.core.cases.notation import NoSample, Point, parse_notation
from daemon.core.rules.query_templates import matcher_operator, vector_selectors

_SERIES = re.compile(r"""[a-zA-Z_:][\w:]*(?:\{.*\})?|\{\s*"[^"]+"\s*(?:,.*)?\}""")
"""A series as OpenMetrics writes it, its name quoted within the braces if it is no legacy name."""
Samples = Mapping[str, list[tuple[float, float]]]
"""Series, as PromQL writes them → (Unix time in seconds, value), oldest first."""


def raw_mistake(series: str, notation: str) -> str:
    """What is wrong with a raw series, with the mend; empty if nothing is."""
    try:
        found = vector_selectors(series)
    except ValueError as error:
        return f"is no series: {' '.join(str(error).split())}"
    equal = all(matcher_operator(m) == "=" for one in found for m in one.matchers.matchers)
    if not equal or not _SERIES.fullmatch(series):
        return 'is no series; write it like http_requests_total{code="500"}'
    if NoSample.STALE in parse_notation(notation):
        return "`stale` cannot be given to a Prometheus; let the series end, or write `_x20`"
    return ""


def raw_samples(
    raw: Mapping[str, str], begins: datetime, interval: timedelta
) -> dict[str, list[tuple[float, float]]]:
    """The samples of each series, one each `interval` from `begins` on."""
    start, step = begins.timestamp(), interval.total_seconds()
    return {
        series: list(_samples(parse_notation(text), start, step)) for series, text in raw.items()
    }


def continued_samples(before: Samples, at: float, after: Samples) -> Samples:
    """What was until `at` (Unix seconds), and from then on the series of `after`."""
    ours = {
        series: [sample for sample in samples if series not in after or sample[0] < at]
        for series, samples in before.items()
    }
    return {**ours, **{name: [*ours.get(name, ()), *later] for name, later in after.items()}}


def openmetrics(samples: Samples) -> str:
    """The text of OpenMetrics, of which `promtool tsdb create-blocks-from` makes a database."""
    lines = [
        f"{series} {value!r} {at:.3f}"
        for series in sorted(samples)
        for at, value in samples[series]
    ]
    return "\n".join([*lines, "# EOF", ""])


def _samples(points: tuple[Point, ...], start: float, step: float) -> Iterator[tuple[float, float]]:
    for number, point in enumerate(points):
        if isinstance(point, float):
            yield start + number * step, point
