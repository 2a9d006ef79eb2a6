"""Grafana's own webhook ("version": "1"), read as what Alertmanager's would be.

Its contact point "Webhook" speaks another dialect of the same body: each alert has the addresses
of its dashboard, panel, silence and picture, and the values that fired it. They become annotations
of the alert, so that they are kept and told like all that it says. Written down from Grafana's
documentation of versions 10 to 13.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from daemon.core.alertmanager import (
    NEVER,
    Alert,
    Delivery,
    Instant,
    Labels,
    NotADelivery,
    parse_delivery,
    refusal,
)
from daemon.core.values.formats import number_text
from daemon.core.values.units import Whole

GRAFANA = "grafana/"
"""The group key of what Grafana delivers begins so; Alertmanager's begin with a brace."""
VERSION = "1"
DASHBOARD, PANEL = "grafana_dashboard_url", "grafana_panel_url"
SILENCE, PICTURE = "grafana_silence_url", "grafana_image_url"
VALUES = "grafana_values"
GRAFANA_FORMAT = "Grafana's webhook format version 1"
_MOST_VALUES = 10
"""So many values of one alert are told."""


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, defer_build=True)


class ContactPointAlert(_Wire):
    """One alert, as it is sent. `values` are those of the rule's expressions, by their letters."""

    status: Literal["firing", "resolved"]
    labels: Labels
    annotations: Labels | None = None
    starts_at: Instant = Field(alias="startsAt")
    ends_at: Instant = Field(default=NEVER, alias="endsAt")
    generator_url: str = Field(default="", alias="generatorURL")
    fingerprint: str = ""
    silence_url: str = Field(default="", alias="silenceURL")
    dashboard_url: str = Field(default="", alias="dashboardURL")
    panel_url: str = Field(default="", alias="panelURL")
    image_url: str = Field(default="", validation_alias=AliasChoices("imageURL", "imageUrl"))
    values: dict[str, Any] | None = None
    value_string: str = Field(default="", alias="valueString")

    def alert(self) -> Alert:
        """The alert as Alertmanager would tell it. While it fires it has no end, whatever is
        said of when it would be taken for over."""
        own = {
            DASHBOARD: self.dashboard_url,
            PANEL: self.panel_url,
            SILENCE: self.silence_url,
            PICTURE: self.image_url,
            VALUES: ", ".join(_values(self.values or {})) or self.value_string.strip(),
        }
        return Alert(
            status=self.status,
            labels=self.labels,
            annotations={
                **(self.annotations or {}),
                **{n: text for n, text in own.items() if text},
            },
            starts_at=self.starts_at,
            ends_at=NEVER if self.status == "firing" else self.ends_at,
            generator_url=self.generator_url,
            fingerprint=self.fingerprint,
        )


class ContactPointDelivery(_Wire):
    """One request of a contact point, as it is sent."""

    version: Literal["1"]
    group_key: str = Field(alias="groupKey")
    truncated_alerts: Whole | None = Field(default=0, ge=0, alias="truncatedAlerts")
    receiver: str
    status: Literal["firing", "resolved"]
    group_labels: Labels | None = Field(default=None, alias="groupLabels")
    alerts: tuple[ContactPointAlert, ...]

    def delivery(self) -> Delivery:
        """The request as Alertmanager would make it. It has no `external_url`, for that is where
        Alertmanager is reached."""
        return Delivery(
            version="4",
            group_key=f"{GRAFANA}{self.group_key}",
            truncated_alerts=self.truncated_alerts or 0,
            receiver=self.receiver,
            status=self.status,
            group_labels=self.group_labels or {},
            alerts=tuple(alert.alert() for alert in self.alerts),
        )


def parse_any_delivery(body: bytes) -> Delivery:
    """Read a webhook body of Alertmanager or of Grafana. Raises NotADelivery naming the field and
    what is wrong with it."""
    try:
        return parse_delivery(body)
    except NotADelivery as error:
        if error.version != VERSION:
            raise
    try:
        delivery = ContactPointDelivery.model_validate_json(body, strict=True).delivery()
    except ValidationError as error:
        raise refusal(error, of=GRAFANA_FORMAT) from None
    return delivery.made_usable()


def of_grafana(delivery: Delivery) -> bool:
    """Whether Grafana sent it, and no Alertmanager."""
    return delivery.group_key.startswith(GRAFANA)


def _values(values: Mapping[str, Any]) -> Iterator[str]:
    numbers: Iterable[tuple[str, Any]] = sorted(values.items())[:_MOST_VALUES]
    for name, value in numbers:
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{name} = {number_text(float(value))}"
        elif isinstance(value, str):
            yield f"{name} = {value}"
