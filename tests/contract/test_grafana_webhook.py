"""Grafana's own webhook: its dialect of the body, its links, its ways to say who it is. Beside it
what vmalert and Mimir's Alertmanager make of the body that we know. All are of our own writing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Generator
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import pytest
from structlog.testing import capture_logs

from daemon.config.active import Live
from daemon.config.settings import Settings
from daemon.core.alertmanager import NEVER, Delivery, NotADelivery
from daemon.core.grafana import of_grafana, parse_any_delivery
from daemon.core.incident.alert_words import alert_links, alert_words
from daemon.intake import slices
from daemon.intake.receivers import Receivers
from daemon.intake.slices import parse_in_slices
from daemon.web.auth.secrets import SecretCheck, Signing
from tests.contract.rig import ADA, HOOK, Rig, rigged

ALERTS = "/api/v1/alerts"
GRAFANA = "https://grafana.example.org/sub"
SECRET = "what Grafana signs with"


def grafana_alert(**changes: Any) -> dict[str, Any]:
    """One alert as Grafana 11 sends it."""
    pod = changes.pop("pod", "shop-1")
    silence = f"{GRAFANA}/alerting/silence/new?alertmanager=grafana&matcher=alertname%3DDiskFull"
    return {
        "status": "firing",
        "labels": {"alertname": "DiskFull", "grafana_folder": "Shop", "pod": pod},
        "annotations": {"summary": f"the disk of {pod} fills", "description": "Clean it."},
        "startsAt": "2026-03-01T16:01:00.5+02:00",
        "endsAt": "2026-03-01T16:09:00+02:00",
        "generatorURL": f"{GRAFANA}/alerting/grafana/ab12/view?orgId=1",
        "fingerprint": f"fp-{pod}",
        "silenceURL": f"{silence}&matcher=pod%3D{pod}&orgId=1",
        "dashboardURL": f"{GRAFANA}/d/ab12?orgId=1",
        "panelURL": f"{GRAFANA}/d/ab12?orgId=1&viewPanel=4",
        "imageURL": f"{GRAFANA}/render/1.png",
        "values": {"B": 97.25, "C": 1},
        "valueString": "[ var='B' labels={} value=97.25 ]",
        "orgId": 1,
        **changes,
    }


def grafana_body(*alerts: dict[str, Any], **changes: Any) -> bytes:
    """A notification of a contact point."""
    return json.dumps(
        {
            "receiver": "stopgap",
            "status": "firing",
            "orgId": 1,
            "alerts": list(alerts) or [grafana_alert()],
            "groupLabels": {"alertname": "DiskFull", "grafana_folder": "Shop"},
            "commonLabels": {},
            "commonAnnotations": {},
            "externalURL": f"{GRAFANA}/",
            "version": "1",
            "groupKey": '{}/{__grafana_receiver__="stopgap"}:{alertname="DiskFull"}',
            "truncatedAlerts": 0,
            "title": "[FIRING:1] DiskFull Shop",
            "state": "alerting",
            "message": "**Firing**",
            **changes,
        }
    ).encode()


def whole(reading: Generator[None, None, Delivery]) -> Delivery:
    """What is read at last, whatever the pauses."""
    while True:
        try:
            next(reading)
        except StopIteration as done:
            return cast(Delivery, done.value)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        yield found


# ── the body ─────────────────────────────────────────────────────────────────────────────────


def test_a_notification_is_read_as_alertmanagers_would_be() -> None:
    delivery = parse_any_delivery(grafana_body())
    assert of_grafana(delivery)
    assert delivery.group_labels == {"alertname": "DiskFull", "grafana_folder": "Shop"}
    assert delivery.external_url == ""
    (alert,) = delivery.alerts
    assert (alert.status, alert.ends_at) == ("firing", NEVER)
    assert alert.starts_at == datetime(2026, 3, 1, 14, 1, 0, 500000, UTC)
    assert (alert.identity, alert.name) == ("fp-shop-1", "DiskFull")
    assert alert.annotations["grafana_values"] == "B = 97.25, C = 1"


def test_the_same_firing_told_again_is_the_same_delivery() -> None:
    """Its values change with each evaluation, and the end that it expects with each repetition."""
    later = grafana_alert(values={"B": 98}, endsAt="2026-03-01T16:13:00+02:00")
    first, again = parse_any_delivery(grafana_body()), parse_any_delivery(grafana_body(later))
    assert first.identity == again.identity
    ended = grafana_alert(status="resolved")
    assert parse_any_delivery(grafana_body(ended)).identity != first.identity
    (over,) = parse_any_delivery(grafana_body(ended)).alerts
    assert over.ends_at == datetime(2026, 3, 1, 14, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "missing",
    [
        {"annotations": None, "values": None, "valueString": ""},
        {"values": {"B": None, "C": "text", "D": True}, "fingerprint": ""},
        {"silenceURL": "", "dashboardURL": "", "panelURL": "", "imageURL": ""},
    ],
)
def test_what_older_versions_leave_out_is_not_missed(missing: dict[str, Any]) -> None:
    sent = json.loads(
        grafana_body(grafana_alert(**missing), groupLabels=None, truncatedAlerts=None)
    )
    for name in ("orgId", "title", "state", "message", "externalURL", "commonLabels"):
        del sent[name]
    (alert,) = parse_any_delivery(json.dumps(sent).encode()).alerts
    assert alert.fingerprint


def test_in_slices_the_same_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "SLICE", 2)
    body = grafana_body(*(grafana_alert(pod=f"shop-{n}") for n in range(5)))
    assert whole(parse_in_slices(body)) == parse_any_delivery(body)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (grafana_body(grafana_alert(startsAt="soon")), "alerts.0.startsAt"),
        (grafana_body(grafana_alert(), receiver=7), "receiver"),
        (grafana_body(grafana_alert(labels={"a": 1})), "alerts.0.labels.a"),
    ],
)
def test_what_is_broken_is_refused_as_grafanas(body: bytes, said: str) -> None:
    with pytest.raises(NotADelivery, match=rf"not Grafana's webhook format version 1: {said}"):
        parse_any_delivery(body)
    with pytest.raises(NotADelivery, match=rf"not Grafana's webhook format version 1: {said}"):
        list(parse_in_slices(body))


def test_another_version_is_refused_as_alertmanagers() -> None:
    with pytest.raises(NotADelivery, match="Alertmanager's webhook format version 4: version"):
        parse_any_delivery(grafana_body(version="2"))


# ── its words and links ──────────────────────────────────────────────────────────────────────


async def test_its_links_and_values_are_told_with_the_alerts_words(rig: Rig) -> None:
    incident = await rig.repository.load(await rig.delivers(grafana_body()))
    (words,) = alert_words(incident)
    assert words.summary == "the disk of shop-1 fills"
    assert words.description == "Clean it. (B = 97.25, C = 1)"
    links = {link.name: link.url for link in alert_links(incident)}
    assert links["Dashboard"] == f"{GRAFANA}/d/ab12?orgId=1"
    assert links["Panel"] == f"{GRAFANA}/d/ab12?orgId=1&viewPanel=4"
    assert links["Picture"] == f"{GRAFANA}/render/1.png"
    assert links["Silence"] == grafana_alert()["silenceURL"]
    _, shown = await rig.asks("GET", f"/api/v1/incidents/{incident.id}", ADA)
    assert {"name": "Panel", "url": links["Panel"]} in shown["incident"]["alert_links"]
    page = await rig.client.get(f"/incidents/{incident.id}", headers=ADA)
    assert "viewPanel=4" in await page.text()


async def test_the_silence_of_several_is_of_what_they_have_in_common(rig: Rig) -> None:
    several = grafana_body(grafana_alert(), grafana_alert(pod="shop-2"))
    incident = await rig.repository.load(await rig.delivers(several))
    silence = {link.name: link.url for link in alert_links(incident)}["Silence"]
    assert parse_qsl(urlsplit(silence).query) == [
        ("alertmanager", "grafana"),
        ("matcher", "alertname=DiskFull"),
        ("orgId", "1"),
    ]


async def test_hostile_links_of_it_become_none(rig: Rig) -> None:
    evil = "javascript:alert(1)"
    alert = grafana_alert(silenceURL=evil, dashboardURL=evil, panelURL=evil, imageURL=evil)
    incident = await rig.repository.load(await rig.delivers(grafana_body(alert)))
    assert [link.name for link in alert_links(incident)] == ["Source"]


async def test_what_grafana_cut_short_is_not_asked_of_alertmanager(rig: Rig) -> None:
    with capture_logs() as logs:
        await rig.delivers(grafana_body(truncatedAlerts=3))
    [told] = [line for line in logs if line["event"] == "a truncated notification stays incomplete"]
    assert told["error"] == "Grafana cut it short: set `Max Alerts` of its contact point to 0"


async def test_its_contact_point_is_no_receiver_of_alertmanager() -> None:
    receivers = Receivers(None, notes=None)  # type: ignore[arg-type]  # nothing is written
    receivers.on_delivery(parse_any_delivery(grafana_body()))
    assert list(receivers.candidates) == []


# ── who it is ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Bearer hook-token", 200),
        ("Token hook-token", 200),
        (f"Basic {base64.b64encode(b'grafana:hook-token').decode()}", 200),
        (f"Basic {base64.b64encode(b'hook-token:').decode()}", 401),
        ("Token", 401),
        ("Token another", 401),
    ],
)
async def test_it_sends_the_token_by_the_scheme_that_it_is_told(
    rig: Rig, header: str, status: int
) -> None:
    answer = await rig.client.post(ALERTS, data=grafana_body(), headers={"Authorization": header})
    assert answer.status == status


def signature(body: bytes, timestamp: str = "", secret: str = SECRET) -> str:
    signed = f"{timestamp}:".encode() + body if timestamp else body
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def signing(rig: Rig, timestamp_header: str = "", webhook: str | None = None) -> None:
    """Grafana signs, and that does as well as the token."""
    checked = SecretCheck({}, webhook, signing=Signing(SECRET, timestamp_header))
    object.__setattr__(rig.authenticator, "secrets", Live(checked))


@pytest.mark.parametrize("webhook", [None, "hook-token"])
async def test_what_it_signed_is_taken_and_nothing_else(rig: Rig, webhook: str | None) -> None:
    signing(rig, webhook=webhook)
    body = grafana_body()
    good = {"X-Grafana-Alerting-Signature": signature(body)}
    for headers, status in [
        (good, 200),
        ({"X-Grafana-Alerting-Signature": signature(body, secret="another")}, 401),
        ({"X-Grafana-Alerting-Signature": ""}, 401),
        ({}, 401),
    ]:
        answer = await rig.client.post(ALERTS, data=body, headers=headers)
        assert answer.status == status
    answer = await rig.client.post(ALERTS, data=body + b" ", headers=good)
    assert answer.status == 401
    answer = await rig.client.post(ALERTS, data=body, headers=HOOK)
    assert answer.status == (200 if webhook else 401)


async def test_with_a_timestamp_an_old_signature_is_none(rig: Rig) -> None:
    signing(rig, "X-Grafana-Alerting-Timestamp")
    body, seconds = grafana_body(), int(rig.now.timestamp())
    for age, status in [(0, 200), (299, 200), (301, 401), (-301, 401)]:
        stamp = str(seconds - age)
        headers = {
            "X-Grafana-Alerting-Timestamp": stamp,
            "X-Grafana-Alerting-Signature": signature(body, stamp),
        }
        answer = await rig.client.post(ALERTS, data=body, headers=headers)
        assert answer.status == status, age
    unstamped = {"X-Grafana-Alerting-Signature": signature(body)}
    assert (await rig.client.post(ALERTS, data=body, headers=unstamped)).status == 401


def test_a_signing_secret_is_enough_to_listen_for_others() -> None:
    settings = Settings.model_validate(
        {"listen": "0.0.0.0:9393", "auth": {"webhook_signing_secret": "env:GRAFANA"}}
    )
    assert not settings.loopback


# ── others ───────────────────────────────────────────────────────────────────────────────────


VMALERT = {
    "status": "firing",
    "labels": {"alertname": "QueueFull", "alertgroup": "shop", "service": "cart"},
    "annotations": {"summary": "the queue of cart is full"},
    "startsAt": "2026-03-01T14:02:30Z",  # 30 s before it fired
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://vmalert.example:8880/vmalert/alert?group_id=8121&alert_id=9047",
    "fingerprint": "b7c1f0a2d3e4f506",
}
MIMIR = {
    "status": "firing",
    "labels": {"alertname": "QueueFull", "service": "cart", "service.name": "cart"},
    "annotations": {"summary": "the queue of cart is full"},
    "startsAt": "2026-03-01T14:03:00.123Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "/graph?g0.expr=queue_length+%3E+100&g0.tab=1",  # its ruler knows no host
    "fingerprint": "5f3b9a1c7d2e4860",
}


@pytest.mark.parametrize(
    ("alert", "external", "more", "names"),
    [
        (VMALERT, "http://alertmanager.example:9093", {}, ["Source", "Silence"]),
        (
            MIMIR,
            "https://mimir.example/alertmanager",
            {"notification_reason": "first notification", "appVersion": "2.17"},
            ["Silence"],
        ),
    ],
)
async def test_alerts_of_vmalert_and_of_mimirs_alertmanager(
    rig: Rig, alert: dict[str, Any], external: str, more: dict[str, str], names: list[str]
) -> None:
    """Newer Alertmanagers, and what is built of them, add fields that we need not know."""
    body = {
        "version": "4",
        "groupKey": '{}/{team="shop"}:{service="cart"}',
        "truncatedAlerts": 0,
        "receiver": "stopgap",
        "status": "firing",
        "alerts": [{**alert, "updatedAt": "2026-03-01T14:03:01Z"}],
        "groupLabels": {"service": "cart"},
        "commonLabels": alert["labels"],
        "commonAnnotations": alert["annotations"],
        "externalURL": external,
        **more,
    }
    incident = await rig.repository.load(await rig.delivers(json.dumps(body).encode()))
    assert incident.title == "QueueFull cart"
    assert [link.name for link in alert_links(incident)] == names
    assert alert_links(incident)[-1].url.startswith(f"{external}/#/silences/new?filter=")
