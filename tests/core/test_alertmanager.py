"""Alertmanager's webhook body: what is read, what is refused, and when two are the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.alertmanager import NEVER, Alert, NotADelivery, fresh, overtaken, parse_delivery

START = datetime(2026, 3, 1, 14, 3, 20, tzinfo=UTC)


def alert(**changes: Any) -> dict[str, Any]:
    return {
        "status": "firing",
        "labels": {"alertname": "CheckoutFails", "service": "checkout"},
        "annotations": {"summary": "5 % fail"},
        "startsAt": "2026-03-01T14:03:20.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "c0ffee",
        **changes,
    }


def body(**changes: Any) -> dict[str, Any]:
    return {
        "version": "4",
        "groupKey": '{}:{service="checkout"}',
        "truncatedAlerts": 0,
        "receiver": r"web\.hook",
        "status": "firing",
        "externalURL": "http://alertmanager-0",
        "groupLabels": {"service": "checkout"},
        "commonLabels": {},
        "commonAnnotations": {},
        "alerts": [alert()],
        **changes,
    }


def identity(**changes: Any) -> str:
    return parse_delivery(json.dumps(body(**changes)).encode()).identity


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in body().items() if key != name}


def refusal(content: bytes | dict[str, Any]) -> str:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    with pytest.raises(NotADelivery) as caught:
        parse_delivery(raw)
    return str(caught.value)


def test_a_delivery_is_read_with_its_alerts() -> None:
    delivery = parse_delivery(json.dumps(body()).encode())
    assert delivery.receiver == r"web\.hook"
    assert [a.name for a in delivery.alerts] == ["CheckoutFails"]
    assert delivery.alerts[0].starts_at.microsecond == 123456
    assert delivery.alerts[0].ends_at == NEVER


def test_fields_of_newer_alertmanagers_are_read_over() -> None:
    newer = body(notification_reason="repeat", routeLabels={"team": "shop"}, whatever=[1])
    newer["alerts"][0]["silencedBy"] = ["x"]
    delivery = parse_delivery(json.dumps(newer).encode())
    assert delivery.identity == identity()


def test_fields_that_old_alertmanagers_leave_out_have_defaults() -> None:
    old = body()
    for name in ("truncatedAlerts", "externalURL", "groupLabels", "commonLabels"):
        del old[name]
    for name in ("fingerprint", "annotations", "endsAt", "generatorURL"):
        del old["alerts"][0][name]
    delivery = parse_delivery(json.dumps(old).encode())
    assert delivery.truncated_alerts == 0
    assert delivery.alerts[0].ends_at == NEVER
    assert len(delivery.alerts[0].identity) == 16


def test_without_a_fingerprint_the_labels_are_the_identity() -> None:
    one, same, other = (
        Alert.model_validate(alert(fingerprint="", labels=labels))
        for labels in ({"a": "1", "b": "2"}, {"b": "2", "a": "1"}, {"a": "1", "b": "3"})
    )
    assert one.identity == same.identity != other.identity


def test_a_group_without_alerts_is_a_delivery() -> None:
    assert parse_delivery(json.dumps(body(alerts=[])).encode()).alerts == ()


labels = st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3)
members = st.lists(
    st.builds(
        lambda status, labels, start: alert(
            status=status, labels=labels, fingerprint="", startsAt=start.isoformat() + "Z"
        ),
        st.sampled_from(["firing", "resolved"]),
        labels,
        st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 - Z is appended
    ),
    min_size=1,
    max_size=5,
)


@given(members, st.randoms(), labels)
def test_identity_ignores_annotations_peer_and_order(
    alerts: list[dict[str, Any]], chance: Any, annotations: dict[str, str]
) -> None:
    shuffled = [{**a, "annotations": annotations, "generatorURL": "http://peer"} for a in alerts]
    chance.shuffle(shuffled)
    assert identity(alerts=alerts) == identity(
        alerts=shuffled, commonAnnotations=annotations, externalURL="http://alertmanager-1"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"receiver": "other"},
        {"groupKey": "other"},
        {"truncatedAlerts": 1},
        {"alerts": []},
        {"alerts": [alert(status="resolved")]},
        {"alerts": [alert(startsAt="2026-03-01T14:03:21Z")]},
        {"alerts": [alert(endsAt="2026-03-01T14:04:00Z")]},
        {"alerts": [alert(fingerprint="beef")]},
        {"alerts": [alert(), alert()]},
    ],
)
def test_identity_changes_with_what_matters(changes: dict[str, Any]) -> None:
    assert identity(**changes) != identity()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "the body"),
        (b"{", "the body"),
        (b"[]", "the body"),
        (b"null", "the body"),
        (b"\xff\xfe", "the body"),
        (b"[" * 100_000, "the body"),
        (json.dumps(body(version="3")).encode(), "version"),
        (json.dumps(body(version=4)).encode(), "version"),
        (without("version"), "version"),
        (without("groupKey"), "groupKey"),
        (without("receiver"), "receiver"),
        (without("status"), "status"),
        (without("alerts"), "alerts"),
        (body(status="pending"), "status"),
        (body(alerts={}), "alerts"),
        (body(alerts=[None]), "alerts.0"),
        (body(alerts=[alert(), {"status": "firing"}]), "alerts.1.labels"),
        (body(alerts=[alert(labels={"a": 1})]), "alerts.0.labels.a"),
        (body(alerts=[alert(labels=None)]), "alerts.0.labels"),
        (body(alerts=[alert(status="open")]), "alerts.0.status"),
        (body(alerts=[alert(startsAt="yesterday")]), "alerts.0.startsAt"),
        (body(truncatedAlerts=-1), "truncatedAlerts"),
        (b'{"version":"4","groupKey":"\\ud800"}', "the body"),
    ],
)
def test_a_body_of_another_format_is_refused_by_the_field_that_is_wrong(
    content: bytes | dict[str, Any], named: str
) -> None:
    text = refusal(content)
    assert text.startswith(f"not Alertmanager's webhook format version 4: {named}: ")
    assert len(text) < 400


def test_the_refusal_counts_the_other_mistakes() -> None:
    assert "(and 4 more)" in refusal(b"{}")


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("0001-01-01T00:00:00+01:00", NEVER),
        ("9999-12-31T23:59:59-05:00", datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_a_time_that_utc_has_not_is_the_nearest_that_it_has(sent: str, read: datetime) -> None:
    """.NET writes its "never" in local time, and Alertmanager hands it on."""
    raw = json.dumps(body(alerts=[alert(), alert(endsAt=sent)])).encode()
    assert [one.ends_at for one in parse_delivery(raw).alerts] == [NEVER, read]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_delivery_or_refused(content: bytes) -> None:
    with pytest.raises(NotADelivery):
        parse_delivery(content)


def test_a_firing_alert_from_before_its_known_end_is_stale() -> None:
    old = Alert.model_validate(alert(startsAt=START.isoformat()))
    assert fresh([old], {old.identity: START + timedelta(seconds=1)}) == ()


def test_a_firing_alert_that_began_again_after_its_end_is_fresh() -> None:
    new = Alert.model_validate(alert(startsAt=START.isoformat()))
    assert fresh([new], {new.identity: START}) == (new,)
    assert fresh([new], {}) == (new,)
    assert fresh([new], {"another": START + timedelta(days=1)}) == (new,)


def test_a_resolved_alert_is_never_stale() -> None:
    over = Alert.model_validate(alert(status="resolved", startsAt=START.isoformat()))
    assert fresh([over], {over.identity: START + timedelta(days=1)}) == (over,)


def test_the_end_of_an_earlier_firing_does_not_end_a_later_one() -> None:
    def made(status: str, start: int, end: int | None = None) -> Alert:
        times = {"startsAt": (START + timedelta(minutes=start)).isoformat()}
        if end is not None:
            times["endsAt"] = (START + timedelta(minutes=end)).isoformat()
        return Alert.model_validate(alert(status=status, **times))

    late = made("resolved", 0, 5)
    assert overtaken(late, made("firing", 6))
    assert overtaken(late, made("firing", 5))
    assert not overtaken(late, made("firing", 0))
    assert not overtaken(late, made("resolved", 6, 7))
    assert not overtaken(late, None)
    # Were it taken for the start, its end at 5 would end what fires since 6.
    assert overtaken(made("firing", 0), made("firing", 6))
    assert not overtaken(made("firing", 6), made("firing", 6))
    assert not overtaken(made("firing", 7), made("firing", 6))
    assert not overtaken(made("firing", 0), made("resolved", 6, 7))
