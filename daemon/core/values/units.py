"""The small values that everything else is made of: durations, shares, rates, frozen models.

Durations are `datetime.timedelta`; shares are floats from 0 to 1 ("5%" is 0.05); rates are
events per minute ("30/m" is 30.0). Times are aware datetimes in UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetPydanticSchema,
    PlainSerializer,
    StrictInt,
    WithJsonSchema,
)

from daemon.core.values.formats import DURATION, parse_rate, parse_share
from daemon.core.values.formats import clock_time as clock_time
from daemon.core.values.formats import format_duration as format_duration
from daemon.core.values.formats import parse_duration as parse_duration
from daemon.core.values.formats import percent as percent
from daemon.core.values.formats import printable as printable
from daemon.core.values.formats import quantity as quantity


class Frozen(BaseModel):
    """An immutable value. Unknown fields are mistakes, not extras."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_inf_nan="constants", defer_build=True
    )


_M = TypeVar("_M", bound=BaseModel)


def unset(model: type[_M]) -> _M:
    """The model in which nothing is set, as a default of another. To call the model would build a
    validator for it alone, which whoever reads the other one never asks."""
    return model.model_construct()


def _text_schema(pattern: str, description: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "description": description})


def _plain(value: float) -> str:
    return f"{value:.10g}"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration),
    _text_schema(f"^{DURATION.pattern}$", "a duration: 30s, 5m, 1h30m"),
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
