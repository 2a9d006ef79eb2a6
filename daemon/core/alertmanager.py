"""Alertmanager's webhook body, format version 4, as frozen values.

The format has neither a sent-time nor a delivery id, so a delivery is known by its content:
receiver, group and the (fingerprint, status, startsAt, endsAt) of each alert. Annotations are
left out of that identity on purpose, for they change with every evaluation.

A group may have ten thousand alerts and its body megabytes: `daemon.intake.slices` reads such a
one without holding anybody up.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from operator import attrgetter
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from daemon.core.values.label_length import bounded, shortened_in
from daemon.core.values.units import Whole
from daemon.core.wire_delivery import (
    Moments,
    WireDelivery,
    decode_delivery,
    packed_seconds,
)

Labels = dict[str, str]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = datetime(1, 1, 1, tzinfo=UTC)
"""Alertmanager's zero time: an alert that still fires has not ended."""
_LAST = datetime.max.replace(tzinfo=UTC)
ALERTMANAGER_FORMAT = "Alertmanager's webhook format version 4"
RECONCILED = "stopgap/reconciliation/"
"""The group key of a delivery of our own begins so, if it says what Alertmanager lists."""
_RECEIVER_ESCAPE = re.compile(r"\\(.)")
_RECEIVER_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")


def _in_utc(moment: datetime) -> datetime:
    """The moment in UTC, or the nearest that UTC has: a sender's local "never" is no reason to lose
    its whole group."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return NEVER if moment.year == NEVER.year else _LAST


Instant = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class NotADelivery(ValueError):
    """The body is not Alertmanager's webhook format, version 4. The text says what is wrong.

    `version`: the one that it has instead, if that is what is wrong.
    """

    def __init__(self, text: str, version: str = "") -> None:
        super().__init__(text)
        self.version = version


_Model = TypeVar("_Model", bound=BaseModel)


class _Wire(BaseModel):
    """Unknown fields are newer Alertmanagers, so they are ignored; absent ones have defaults."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, defer_build=True)


class Alert(_Wire):
    """One alert. `ends_at` is NEVER while it fires. The fingerprint hashes the labels only."""

    status: Literal["firing", "resolved"]
    labels: Labels
    annotations: Labels = Field(default_factory=dict)
    starts_at: Instant = Field(alias="startsAt")
    ends_at: Instant = Field(default=NEVER, alias="endsAt")
    generator_url: str = Field(default="", alias="generatorURL")
    fingerprint: str = ""

    @property
    def identity(self) -> str:
        """The fingerprint, or where an old sender left it out, a hash of the labels."""
        return self.fingerprint or _fingerprint(self.labels)

    @property
    def name(self) -> str:
        """The alert's name, as its rule in Prometheus has it."""
        return self.labels.get("alertname", "(an alert without a name)")


class Delivery(_Wire):
    """One webhook request: a whole group of alerts, never a delta."""

    version: Literal["4"]
    group_key: str = Field(alias="groupKey")
    truncated_alerts: Whole = Field(default=0, ge=0, alias="truncatedAlerts")
    receiver: str
    status: Literal["firing", "resolved"]
    external_url: str = Field(default="", alias="externalURL")
    group_labels: Labels = Field(default_factory=dict, alias="groupLabels")
    common_labels: Labels = Field(default_factory=dict, alias="commonLabels")
    common_annotations: Labels = Field(default_factory=dict, alias="commonAnnotations")
    alerts: tuple[Alert, ...]

    @property
    def reconciled(self) -> bool:
        """Whether nobody sent it: it is what Alertmanager was seen to list."""
        return self.group_key.startswith(RECONCILED)

    @property
    def receiver_name(self) -> str:
        """The receiver as it is configured; in a webhook it is quoted as a regular expression."""
        return _RECEIVER_ESCAPE.sub(r"\1", self.receiver)

    @cached_property
    def identity(self) -> str:
        """The content hash by which duplicates are known; hex SHA-256.

        It goes over all alerts, so it is worked out once. A `model_copy` keeps what was worked
        out, whatever it updates.
        """
        members = [
            alert.identity.encode()
            + _standing(
                alert.status, packed_seconds(alert.starts_at), packed_seconds(alert.ends_at)
            )
            for alert in self.alerts
        ]
        return _content_hash(self.receiver, self.group_key, self.truncated_alerts, members)

    @cached_property
    def shortened(self) -> tuple[tuple[str, str], ...]:
        """Alerts' names, each with that of a label whose value was too long."""
        return tuple(
            (alert.name, label) for alert in self.alerts for label in shortened_in(alert.labels)
        )

    def made_usable(self) -> Delivery:
        """The delivery, each of its alerts `usable`, and no label of its group too long."""
        update = {
            "alerts": tuple(map(usable, self.alerts)),
            "group_labels": bounded(self.group_labels),
        }
        return self.model_copy(update=update)


def _standing(status: str, starts_at: bytes, ends_at: bytes) -> bytes:
    """What an alert adds to the identity of a delivery, after its own."""
    return b" %b %b%b" % (status.encode(), starts_at, ends_at)


def _content_hash(receiver: str, group_key: str, truncated: int, members: list[bytes]) -> str:
    head = _canonical([receiver, group_key, truncated])
    return hashlib.sha256(head + b"\n".join(sorted(members))).hexdigest()


def parse_delivery(body: bytes) -> Delivery:
    """Read a webhook body. Raises NotADelivery naming the field and what is wrong with it."""
    wire = decode_delivery(body)
    decoded = None if wire is None else _decoded(wire)
    if decoded is not None:
        return decoded
    try:
        delivery = Delivery.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise refusal(error) from None
    return delivery.made_usable()


def _decoded(wire: WireDelivery) -> Delivery | None:
    """The delivery as the models would read it, with its identity; None if they must."""
    alerts, members, moments = [], [], Moments().read
    told: dict[tuple[str, str, str], tuple[datetime, datetime, bytes]] = {}
    try:
        for one in wire.alerts:
            status, labels = one.status, one.labels
            when = (status, one.starts_at, one.ends_at)  # most alerts of a group share them
            known = told.get(when)
            if known is None:
                (starts_at, starts), (ends_at, ends) = moments(when[1]), moments(when[2])
                known = told[when] = (starts_at, ends_at, _standing(status, starts, ends))
            fingerprint = one.fingerprint or _fingerprint(labels)
            members.append(fingerprint.encode() + known[2])
            fields: dict[str, Any] = {
                "status": status,
                "labels": labels,
                "annotations": one.annotations,
                "starts_at": known[0],
                "ends_at": known[1],
                "generator_url": one.generator_url,
                "fingerprint": fingerprint,
            }
            alerts.append(_made(Alert, fields, _ALERT_FIELDS))
    except (ValueError, OverflowError):
        return None
    fields = {
        "version": wire.version,
        "group_key": wire.group_key,
        "truncated_alerts": wire.truncated_alerts,
        "receiver": wire.receiver,
        "status": wire.status,
        "external_url": wire.external_url,
        "group_labels": wire.group_labels,
        "common_labels": wire.common_labels,
        "common_annotations": wire.common_annotations,
        "alerts": tuple(alerts),
        "identity": _content_hash(wire.receiver, wire.group_key, wire.truncated_alerts, members),
        "shortened": (),  # what is long is not decoded
    }
    return _made(Delivery, fields, _DELIVERY_FIELDS)


def _made(model: type[_Model], values: dict[str, Any], fields: set[str]) -> _Model:
    """A model of values that are known to be right: what `model_construct` makes of all `fields`,
    in a tenth of its time. A value beside them is that of a cached property."""
    made = _new(model)
    _set_values(made, values)
    _set_fields(made, fields)
    _set_extra(made, None)
    _set_private(made, None)
    return made


_new = object.__new__
_set_values, _set_fields, _set_extra, _set_private = (
    vars(BaseModel)[name].__set__
    for name in (
        "__dict__",
        "__pydantic_fields_set__",
        "__pydantic_extra__",
        "__pydantic_private__",
    )
)
_ALERT_FIELDS = set(Alert.model_fields)
_DELIVERY_FIELDS = set(Delivery.model_fields)


def _fingerprint(labels: Labels) -> str:
    """What stands for a fingerprint where an old sender left it out: a hash of the labels."""
    return hashlib.sha256(_canonical(labels)).hexdigest()[:16]


def usable(alert: Alert) -> Alert:
    """The alert, with its fingerprint and no label that is too long."""
    labels = bounded(alert.labels)
    if alert.fingerprint and labels is alert.labels:
        return alert
    return alert.model_copy(update={"fingerprint": alert.identity, "labels": labels})


def refusal(
    error: ValidationError, before: int | None = None, of: str = ALERTMANAGER_FORMAT
) -> NotADelivery:
    """What is wrong with a body `of` a format, and in which field. `before`: what was read is a
    portion of its alerts, and there are so many before it."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = first["loc"]
    if before is not None:
        place = ("alerts", *(before + int(number) for number in place[:1]), *place[1:])
    shown = ".".join(str(part) for part in place) or "the body"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    given = [str(one["input"]) for one in error.errors() if one["loc"] == ("version",)]
    return not_the_format(f"{shown}: {first['msg']}{more}", "".join(given)[:80], of)


def not_the_format(why: str, version: str = "", of: str = ALERTMANAGER_FORMAT) -> NotADelivery:
    """Why a body is refused, in one sentence. `version`: the one that it has instead."""
    return NotADelivery(f"not {of}: {why}", version)


def fresh(
    alerts: Iterable[Alert],
    ended: Mapping[str, datetime],
    name: Callable[[Alert], str] = attrgetter("identity"),
) -> tuple[Alert, ...]:
    """Drop the firing alerts that are known to have ended since they started.

    Deliveries may overtake each other; a firing alert whose start lies before the end that we
    already know is an old one arriving late. `ended` maps an alert's identity, or what else
    `name` knows it by, to that end.
    """
    return tuple(
        alert
        for alert in alerts
        if alert.status == "resolved" or alert.starts_at >= ended.get(name(alert), NEVER)
    )


def overtaken(alert: Alert, known: Alert | None) -> bool:
    """Whether it tells of an earlier firing, or of its end, than the firing that we know of.

    Deliveries overtake each other, and two Alertmanagers may each have a start of their own; taken
    for the later one's start, the earlier would let its end, which may come late too, end both.
    """
    if known is None or known.status != "firing":
        return False
    told = alert.ends_at if alert.status == "resolved" else alert.starts_at
    return told < known.starts_at or (alert.status == "resolved" and told == known.starts_at)


def milliseconds(moment: datetime) -> int:
    """Unix milliseconds, cut off as Alertmanager's API cuts the nanoseconds of its webhooks: by
    them the two can be compared."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def quoted_receiver(name: str) -> str:
    """A receiver's name as a webhook has it, and as the API's filter wants it."""
    return _RECEIVER_SPECIAL.sub(r"\\\g<0>", name)


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def _canonical(value: Any) -> bytes:
    return _CANONICAL.encode(value).encode()


def own_alert(
    name: str,
    labels: Mapping[str, str],
    summary: str,
    started_at: datetime,
    ended_at: datetime | None,
) -> bytes:
    """The body of a delivery by which the daemon reports trouble of its own."""
    status = "firing" if ended_at is None else "resolved"
    all_labels = {"alertname": name, **labels}
    alert = {
        "status": status,
        "labels": all_labels,
        "annotations": {"summary": summary},
        "startsAt": started_at.isoformat(),
        "endsAt": ended_at.isoformat() if ended_at else "0001-01-01T00:00:00Z",
        "fingerprint": hashlib.sha256(json.dumps(all_labels).encode()).hexdigest()[:16],
    }
    body = {
        "version": "4",
        "groupKey": f"stopgap:{name}",
        "receiver": "stopgap",
        "status": status,
        "groupLabels": all_labels,
        "alerts": [alert],
    }
    return json.dumps(body).encode()
