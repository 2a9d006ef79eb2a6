"""Reading the series in an answer of Prometheus, and what a refusal of its parser means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from daemon.core.measurement.samples import Series
from daemon.core.values.outcome import Permanent
from daemon.core.values.units import printable

_QUOTED = ("in label matching", "in grouping opts")


def read_series(result: Any, query: str) -> Sequence[Series]:
    """The series of `data.result`. Raises Permanent for a native histogram, and KeyError,
    TypeError, ValueError or AttributeError for what is not Prometheus's format."""
    if len(result) == 2 and isinstance(result[1], str):  # a scalar: [time, "value"]
        return [Series({}, [(float(result[0]), float(result[1]))])]
    return [_series(item, query) for item in result]


def _series(item: Mapping[str, Any], query: str) -> Series:
    if "histogram" in item or "histograms" in item:
        raise _no_number(item["metric"], query)
    values = item["values"] if "values" in item else [item["value"]]
    samples = [(float(at), float(value)) for at, value in values]
    return Series({str(k): str(v) for k, v in item["metric"].items()}, samples)


def _no_number(metric: Mapping[str, Any], query: str) -> Permanent:
    """A function such as rate() takes the name away; the query has it still."""
    name = metric.get("__name__")
    what = printable(str(name)) if name else f"the answer to {query}"
    return Permanent(
        f"{what} is a native histogram, which is no number; ask for one of it: "
        "histogram_quantile(0.99, …) for a latency, histogram_count(…) for how many events"
    )


def quoting_hint(refusal: str) -> str:
    """What to add to the parser's refusal if it does not know names in quotes; else nothing."""
    if "unexpected string" in refusal and any(place in refusal for place in _QUOTED):
        return '; names in quotes ("service.name") are known to Prometheus from 3.0 on'
    return ""
