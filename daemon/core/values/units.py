"""The small values that everything else is made of: durations, shares, rates, frozen models.

Durations are `datetime.timedelta`; shares are floats from 0 to 1 ("5%" is 0.05); rates are
events per minute ("30/m" is 30.0). Times are aware datetimes in UTC.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetPydanticSchema,
    PlainSerializer,
    StrictInt,
    WithJsonSchema,
)

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_PER_MINUTE = {"s": 60.0, "m": 1.0, "h": 1 / 60.0}
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|m|h)")


class Frozen(BaseModel):
    """An immutable value. Unknown fields are mistakes, not extras."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


def parse_duration(value: object) -> timedelta:
    """Read '30s', '1h30m' or a timedelta. Raises ValueError with the mend."""
    if isinstance(value, timedelta):
        return value
    text = str(value).strip()
    if not _DURATION.fullmatch(text):
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
    match = _RATE.fullmatch(str(value).strip())
    if match is None:
        raise ValueError(f"{value!r} is not a rate; write it like 30/m, 2/s or 100/h")
    return float(match[1]) * _PER_MINUTE[match[2]]


def _text_schema(pattern: str, description: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "description": description})


def _plain(value: float) -> str:
    return f"{value:.10g}"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration),
    _text_schema(f"^{_DURATION.pattern}$", "a duration: 30s, 5m, 1h30m"),
]
Share = Annotated[
    float,
    BeforeValidator(parse_share),
    PlainSerializer(lambda share: f"{_plain(share * 100)}%"),
    WithJsonSchema(
        {
            "description": "a share: 5% or 0.05",
            "anyOf": [
                {"type": "string", "pattern": r"^\d+(\.\d+)?%$"},
                {"type": "number", "minimum": 0, "maximum": 1},
            ],
        }
    ),
]
PerMinute = Annotated[
    float,
    BeforeValidator(parse_rate),
    PlainSerializer(lambda rate: f"{_plain(rate)}/m"),
    _text_schema(r"^\d+(\.\d+)?\s*/\s*[smh]$", "a rate: 30/m, 2/s, 100/h"),
]


def whole(value: Any) -> Any:
    """5.0 as 5; anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[StrictInt, BeforeValidator(whole)]
"""A whole number in JSON: 5 and 5.0, as JSON Schema has it, but no text and no truth value."""


def _aware(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


Moment = Annotated[datetime, BeforeValidator(_aware)]


AnyVersion = GetPydanticSchema(lambda _, handler: handler(str))
"""In `Annotated`, on an enumerated word that is journaled: mypy holds whoever writes it to the
enumeration, but a journal may hold words of other versions, which are read as they stand."""


def printable(text: str) -> str:
    """Text by others on one line, without control characters that could steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def clock_time(moment: datetime) -> str:
    """The time of day for a sentence: '14:03:20 UTC'."""
    return moment.astimezone(UTC).strftime("%H:%M:%S UTC")


def percent(share: float) -> str:
    """A share for a sentence, with as many digits as tell it from its neighbours: 99.1 %."""
    value = share * 100
    digits = 1 if abs(value) < 99.95 or value >= 100 else 2
    return f"{value:.{digits}f} %"


def quantity(value: float) -> str:
    """A number for a sentence: 1,240 · 12.5 · 0.034."""
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
