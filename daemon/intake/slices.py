"""Reading a large webhook body in slices. Pure; `daemon.intake.reading` gives the turns.

Reading JSON lets no other thread run meanwhile, so in a thread it would hold up the event loop
just as well. So the body is taken apart first, and each portion of its alerts is read by itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterable

from pydantic import TypeAdapter, ValidationError

from daemon.core.alertmanager import (
    ALERTMANAGER_FORMAT,
    Alert,
    Delivery,
    not_the_format,
    refusal,
    usable,
)
from daemon.core.grafana import GRAFANA_FORMAT, VERSION, ContactPointAlert, ContactPointDelivery

SLICE = 250
"""So many alerts are read at once: some milliseconds' work."""
_ALERTS = TypeAdapter(tuple[Alert, ...])
_GRAFANA_ALERTS = TypeAdapter(tuple[ContactPointAlert, ...])
_JSON = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")


def parse_in_slices(body: bytes) -> Generator[None, None, Delivery]:
    """Read a webhook body as `parse_any_delivery` does, and pause after each slice of it."""
    envelope, portions = yield from _taken_apart(body)
    delivery, format_name, alerts_in = _envelope(envelope)
    alerts: list[Alert] = []
    for portion in portions:
        yield
        try:
            read = alerts_in(portion)
        except ValidationError as error:
            raise refusal(error, len(alerts), format_name) from None
        alerts.extend(map(usable, read))
    return delivery.model_copy(update={"alerts": tuple(alerts)}) if portions else delivery


def _envelope(text: str) -> tuple[Delivery, str, Callable[[str], Iterable[Alert]]]:
    """The delivery without its alerts, its format, and what reads a portion of its alerts."""
    try:
        delivery = Delivery.model_validate_json(text, strict=True)
    except ValidationError as error:
        refused = refusal(error)
        if refused.version != VERSION:
            raise refused from None
    else:
        return (
            delivery.made_usable(),
            ALERTMANAGER_FORMAT,
            lambda portion: _ALERTS.validate_json(portion, strict=True),
        )
    try:
        grafana = ContactPointDelivery.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise refusal(error, of=GRAFANA_FORMAT) from None

    def alerts_in(portion: str) -> Iterable[Alert]:
        return (one.alert() for one in _GRAFANA_ALERTS.validate_json(portion, strict=True))

    return grafana.delivery().made_usable(), GRAFANA_FORMAT, alerts_in


def _taken_apart(body: bytes) -> Generator[None, None, tuple[str, list[str]]]:
    """The body without its alerts, and these in portions: JSON lists, which nobody has checked."""
    try:
        text = body.decode()
        envelope, portions = text, list[str]()
        at, sign = _sign(text, 0, "{")
        while sign != "}":
            name, at = _JSON.raw_decode(text, _skipped(text, at))
            value, _ = _sign(text, at, ":")
            value = _skipped(text, value)
            if name == "alerts" and text.startswith("[", value):
                portions, at = yield from _portions(text, value)
                envelope = f"{text[:value]}[]{text[at:]}"
            else:
                _, at = _JSON.raw_decode(text, value)
            at, sign = _sign(text, at, ",}")
    except ValueError as error:  # not UTF-8, not JSON, or a number of thousands of digits
        raise not_the_format(f"the body: Invalid JSON: {error}") from None
    except RecursionError:
        raise not_the_format("the body: Invalid JSON: it is nested too deeply") from None
    return envelope, portions


def _portions(text: str, begin: int) -> Generator[None, None, tuple[list[str], int]]:
    """The list that begins there, in portions, and where it ends."""
    portions: list[str] = []
    start = at = begin + 1
    if text.startswith("]", _skipped(text, at)):
        return portions, _skipped(text, at) + 1
    count, sign = 0, ","
    while sign == ",":
        _, end = _JSON.raw_decode(text, _skipped(text, at))
        at, sign = _sign(text, end, ",]")
        count += 1
        if count % SLICE == 0 or sign == "]":
            portions.append(f"[{text[start:end]}]")
            start = at
            yield
    return portions, at


def _skipped(text: str, at: int) -> int:
    return _SPACE.match(text, at).end()  # type: ignore[union-attr] # it matches nothing, too


def _sign(text: str, at: int, allowed: str) -> tuple[int, str]:
    """The next sign and the place behind it. Raises JSONDecodeError if it is none of those."""
    at = _skipped(text, at)
    sign = text[at : at + 1]
    if not sign or sign not in allowed:
        raise json.JSONDecodeError(f"Expecting {' or '.join(allowed)}", text, at)
    return at + 1, sign
