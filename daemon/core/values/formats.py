"""Values as people read and write them: durations, shares, rates, times, numbers, other's text.

Without pydantic: the command line has these without the models, which take longer to load than
most commands to run.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_PER_MINUTE = {"s": 60.0, "m": 1.0, "h": 1 / 60.0}
RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|m|h)")


def parse_duration(value: object) -> timedelta:
    """Read '30s', '1h30m' or a timedelta. Raises ValueError with the mend."""
    if isinstance(value, timedelta):
        return value
    text = str(value).strip()
    if not DURATION.fullmatch(text):
        raise ValueError(f"{value!r} is not a duration; write it like 30s, 5m or 1h30m")
    seconds = sum(float(n) * _SECONDS[u] for n, u in _DURATION_PART.findall(text))
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        raise ValueError(f"{value!r} is longer than any time; write it like 30s or 5m") from None


def format_duration(value: timedelta) -> str:
    """The shortest exact spelling, as PromQL reads it: 90 s is '1m30s'. Whole milliseconds."""
    left = round(value.total_seconds() * 1000)
    if left <= 0:
        return "0s"
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def parse_share(value: object) -> float:
    """Read '5%' as 0.05, or a number from 0 to 1. Raises ValueError with the mend."""
    text = str(value).strip()
    try:
        share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        share = math.nan
    if isinstance(value, bool) or not math.isfinite(share) or share < 0:
        raise ValueError(f"{value!r} is not a share; write it like 5% or 0.05")
    if not text.endswith("%") and share >= 1:
        raise ValueError(f"{value!r} could mean all or one in a hundred; write it like {value}%")
    return share


def parse_rate(value: object) -> float:
    """Read '30/m' as 30.0 events per minute. Raises ValueError with the mend."""
    match = RATE.fullmatch(str(value).strip())
    if match is None:
        raise ValueError(f"{value!r} is not a rate; write it like 30/m, 2/s or 100/h")
    return float(match[1]) * _PER_MINUTE[match[2]]


def printable(text: str) -> str:
    """Text by others on one line, without control characters that could steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def clock_time(moment: datetime) -> str:
    """The time of day for a sentence: '14:03:20 UTC'."""
    return moment.astimezone(UTC).strftime("%H:%M:%S UTC")


def percent(share: float) -> str:
    """A share for a sentence, with as many digits as tell it from its neighbours: 99.1 %. There is
    no minus before what rounds to nothing."""
    value = share * 100
    digits = 1 if abs(value) < 99.95 or value >= 100 else 2
    return f"{round(value, digits) or 0.0:.{digits}f} %"


def number_text(value: float) -> str:
    """A number as Prometheus answered it; what a histogram's quantile is beyond all its buckets."""
    return "+Inf (beyond the largest bucket)" if value == math.inf else f"{value:g}"


def quantity(value: float) -> str:
    """A number for a sentence: 1,240 · 12.5 · 0.034."""
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
