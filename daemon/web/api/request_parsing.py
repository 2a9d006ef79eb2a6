"""Requests read into models: all mistakes at once, each with its place, none with a secret."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

from aiohttp import web
from multidict import MultiMapping
from pydantic import BaseModel, BeforeValidator, Field, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails

from daemon.core.values.units import parse_duration
from daemon.web.errors import HttpProblem, RequestMistake

_M = TypeVar("_M", bound=BaseModel)

LENIENT = {"", "application/octet-stream", "application/x-www-form-urlencoded"}
"""Content types that clients send unasked, curl among them; the body is read as JSON."""
_UNIT = "(ms|s|m|h|d|w)"
_LASTING = re.compile(
    rf"^([1-9][0-9]{{0,3}}(\.[0-9]{{1,3}})?|0\.[0-9]{{0,2}}[1-9]){_UNIT}"
    rf"([0-9]{{1,4}}(\.[0-9]{{1,3}})?{_UNIT}){{0,3}}$"
)
_ONE_TAG = r'(W/)?"?([0-9]{1,9})(-[0-9a-f]+)?"?'
_TAG = re.compile(_ONE_TAG)
IF_MATCH = rf"^(\*|{_ONE_TAG}([ \t]*,[ \t]*{_ONE_TAG})*)$"
"""What `If-Match` may be."""


def _moment(given: Any) -> datetime:
    try:
        at = given if isinstance(given, datetime) else datetime.fromisoformat(given)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        example = "2026-12-24T18:00, or 2026-12-24T18:00+01:00 (write the + as %2B)"
        raise ValueError(f"this is not a time; write it like {example}") from None


def _lasting(given: Any) -> timedelta:
    if not isinstance(given, str) or not _LASTING.fullmatch(given):
        shown = repr(given[:40]) if isinstance(given, str) else "this"
        raise ValueError(f"{shown} is not a duration; write it like 30s, 5m or 1h30m")
    return parse_duration(given)


def _count(given: Any) -> int:
    if isinstance(given, int):
        return given
    if not (given.isascii() and given.isdigit() and len(given) < 20):
        raise ValueError(f"{given[:40]!r} is not a whole number")
    return int(given)


When = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A time in a query; without an offset it is UTC."""
Count = Annotated[int, BeforeValidator(_count)]
"""A whole number in a query or a path."""
Lasting = Annotated[
    timedelta,
    BeforeValidator(_lasting),
    WithJsonSchema({"type": "string", "pattern": _LASTING.pattern, "examples": ["20m"]}),
]
"""How long something lasts: more than nothing, and less than the calendar."""
Limit = Annotated[int, Field(ge=1, le=1000, description="at most so many"), BeforeValidator(_count)]


def read_query(request: web.Request, model: type[_M]) -> _M:
    """The query. Raises Problem 400."""
    return _read_parameters(request.query, model, 400, "Bad request")


def read_path(request: web.Request, model: type[_M]) -> _M:
    """The path's parameters. Raises Problem 404, for there is nothing at such a path."""
    return _read_parameters(request.match_info, model, 404, "Not found")


def read_sent(request: web.Request, sent: bytes, model: type[_M]) -> _M:
    """The JSON body; without one, an empty object. Raises Problem 400 or 415."""
    kind = request.content_type.lower() if "Content-Type" in request.headers else ""
    if kind not in LENIENT and kind != "application/json" and not kind.endswith("+json"):
        text = f"the body is sent as {kind[:80]!r}; send JSON, as `Content-Type: application/json`"
        raise HttpProblem(415, "Not JSON", text)
    return read_json(sent or b"{}", model, "Bad request")


def read_json(sent: bytes, model: type[_M], title: str) -> _M:
    """Read JSON into a model; no text stands for a number. Raises Problem 400."""
    try:
        return model.model_validate_json(sent, strict=True)
    except ValidationError as error:
        errors = _errors(error)
        found = [
            RequestMistake(pointer=_pointer(wrong["loc"]), detail=_text(wrong)) for wrong in errors
        ]
        places = (".".join(str(part) for part in wrong["loc"]) for wrong in errors)
        raise _problem(400, title, [place or "the body" for place in places], found) from None


def expected_seq(request: web.Request) -> frozenset[int] | None:
    """What `If-Match` wants the incident's sequence number to be; None if anything is well.

    An ETag may have come weakened through a proxy, or without its quotes from a person's shell.
    Raises Problem 400.
    """
    given = request.headers.get("If-Match", "*").strip(" \t")
    if given == "*":
        return None
    found = [_TAG.fullmatch(part.strip(" \t")) for part in given.split(",")]
    if not all(found):
        text = 'If-Match: send the ETag of the incident, such as "17"'
        wrong = RequestMistake(parameter="If-Match", detail="this is no ETag of an incident")
        raise HttpProblem(400, "Bad request", text, errors=[wrong])
    return frozenset(int(match[2]) for match in found if match)


def _read_parameters(
    given: MultiMapping[str] | Mapping[str, str], model: type[_M], status: int, title: str
) -> _M:
    counted = Counter(name[:80] for name, _ in given.items())
    twice = [name for name, count in counted.items() if count > 1]
    if twice:
        wrong = [RequestMistake(parameter=name, detail="is given more than once") for name in twice]
        raise _problem(status, title, twice, wrong)
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        errors = _errors(error)
        names = [str(wrong["loc"][0]) if wrong["loc"] else "the query" for wrong in errors]
        found = [
            RequestMistake(parameter=name[:80], detail=_text(wrong))
            for name, wrong in zip(names, errors, strict=True)
        ]
        raise _problem(status, title, [name[:80] for name in names], found) from None


def _problem(
    status: int, title: str, places: Sequence[str], mistakes: Sequence[RequestMistake]
) -> HttpProblem:
    details = [
        f"{place}: {mistake.detail}" for place, mistake in zip(places, mistakes, strict=True)
    ]
    return HttpProblem(status, title, "; ".join(details), errors=mistakes)


_MOST = 20
"""So many mistakes are told of one request."""


def _errors(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_input=False)[:_MOST]


def _text(wrong: ErrorDetails) -> str:
    return wrong["msg"].removeprefix("Value error, ")


def _pointer(place: Sequence[int | str]) -> str:
    """A JSON pointer as a URI fragment, as in RFC 9457: `#/with/target`."""
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in place)
    return "#" + "".join(f"/{part}" for part in parts)
