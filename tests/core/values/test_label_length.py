"""A label's value that is too long is cut, always in the same way, and nothing is lost by it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from daemon.core.alertmanager import Delivery, parse_delivery
from daemon.core.grafana import parse_any_delivery
from daemon.core.values.label_length import MAX_LABEL_BYTES, bounded, shortened_in
from tests.core.test_alertmanager import alert, body

LONG = "sum(rate(x[5m])) or " * 1_000


def read(**changes: Any) -> Delivery:
    return parse_delivery(json.dumps(body(**changes)).encode())


def with_label(value: str, **changes: Any) -> dict[str, Any]:
    return alert(labels={"alertname": "Big", "query": value}, **changes)


def test_the_start_stays_and_the_mark_says_how_much_there_was() -> None:
    (value,) = bounded({"query": LONG}).values()
    assert value.startswith(LONG[:16_000])
    assert " … (20000 bytes, SHA-256 " in value
    assert len(value.encode()) <= MAX_LABEL_BYTES


@pytest.mark.parametrize("letter", ["x", "é", "…", "😀"])
def test_a_label_is_measured_in_bytes_and_cut_between_letters(letter: str) -> None:
    fits = letter * (MAX_LABEL_BYTES // len(letter.encode()))
    assert bounded({"blob": fits}) == {"blob": fits}
    (cut,) = bounded({"blob": fits + letter}).values()
    assert cut.partition(" …")[0].strip(letter) == ""
    assert shortened_in({"blob": cut}) == ["blob"]
    assert MAX_LABEL_BYTES - 4 < len(cut.encode()) <= MAX_LABEL_BYTES


def test_it_is_the_same_each_time_and_what_differs_stays_different() -> None:
    once = bounded({"query": LONG})
    assert once == bounded({"query": LONG})
    assert bounded(once) == once
    assert once != bounded({"query": LONG + "y"})


def test_no_other_label_is_touched() -> None:
    labels = {"alertname": "Big", "service": "shop", "query": LONG}
    assert bounded(labels) == {**labels, "query": bounded({"query": LONG})["query"]}
    assert shortened_in(labels) == []


def test_the_alert_and_all_beside_it_come_through() -> None:
    delivery = read(alerts=[alert(), with_label(LONG, fingerprint="b16")])
    assert [one.identity for one in delivery.alerts] == ["c0ffee", "b16"]
    assert delivery.alerts[0].labels == alert()["labels"]
    assert delivery.alerts[1].labels == bounded({"alertname": "Big", "query": LONG})
    assert delivery.shortened == (("Big", "query"),)


def test_what_an_old_sender_leaves_out_stays_stable_over_resends() -> None:
    first, again = (read(alerts=[with_label(LONG, fingerprint="")]) for _ in range(2))
    other = read(alerts=[with_label(LONG + "y", fingerprint="")])
    assert first.identity == again.identity != other.identity
    assert first.alerts[0].identity == again.alerts[0].identity != other.alerts[0].identity


def test_the_labels_of_the_group_are_cut_as_those_of_its_alerts() -> None:
    delivery = read(groupLabels={"query": LONG}, alerts=[with_label(LONG)])
    assert delivery.group_labels["query"] == delivery.alerts[0].labels["query"] != LONG


def test_grafana_s_are_cut_too() -> None:
    sent = body(version="1", groupLabels={"query": LONG}, alerts=[with_label(LONG)])
    delivery = parse_any_delivery(json.dumps(sent).encode())
    assert delivery.shortened == (("Big", "query"),)
    assert delivery.group_labels["query"] == delivery.alerts[0].labels["query"] != LONG
