"""What is said of an Alertmanager's configuration."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given as given_any
from hypothesis import strategies as st

from daemon.onboarding.alertmanager_config import HIDDEN_ADDRESS, Ours, judge_routing

SHIPPED = Path(__file__).parents[2] / "deploy/alertmanager.yml"
OURS = Ours(("127.0.0.1:9393", "stopgap.example:443"), True, timedelta(minutes=30))
TOKEN = {"authorization": {"credentials_file": "token"}}


def config(route: dict[str, Any] | None = None, **hook: Any) -> dict[str, Any]:
    """The shipped configuration, with changes of our route and our webhook."""
    shipped: dict[str, Any] = yaml.safe_load(SHIPPED.read_text())
    shipped["route"]["routes"][0] |= route or {}
    shipped["receivers"][1]["webhook_configs"][0] |= hook
    return shipped


def said(given: Any, ours: Ours = OURS) -> str:
    return "\n".join(f"{f.state}: {f.text} → {f.mend}" for f in judge_routing(given, ours))


def test_the_shipped_configuration_is_as_it_should_be() -> None:
    way = "stopgap (http://127.0.0.1:9393/api/v1/alerts)"
    assert said(config()) == f"ok: its alerts reach us by {way} → "


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:9393/api/v1/alerts",
        "https://stopgap.example/api/v1/alerts/",
        "https://stopgap.example/behind//api/v1//alerts",
    ],
)
def test_we_are_known_by_several_addresses(url: str) -> None:
    assert said(config(url=url)).startswith("ok: ")


@pytest.mark.parametrize(
    ("route", "told"),
    [
        ({"group_wait": "30s"}, "has group_wait 30s"),
        ({"group_wait": None}, "has group_wait 30s"),
        ({"group_interval": "5m"}, "has group_interval 5m"),
        ({"repeat_interval": "30m"}, "repeats pass for duplicates"),
    ],
)
def test_intervals_that_tell_us_late_are_warned_of(route: dict[str, Any], told: str) -> None:
    [finding] = judge_routing(config(route), OURS)
    assert finding.state == "warning"
    assert told in finding.text
    assert finding.mend


def test_intervals_are_handed_down_and_continue_is_not() -> None:
    given = config({"group_wait": None, "group_interval": None, "continue": None})
    given["route"] |= {"group_wait": "1s", "group_interval": "15s", "continue": True}
    given["route"]["routes"].append({"receiver": "your-own-default"})
    [finding] = judge_routing(given, OURS)
    assert "keeps its alerts from the routes after it" in finding.text


def test_routes_before_ours_may_keep_alerts_to_themselves() -> None:
    given = config()
    given["route"]["routes"].insert(0, {"receiver": "your-own-default", "matchers": ["a=b"]})
    [finding] = judge_routing(given, OURS)
    assert "routes before that to stopgap keep their alerts" in finding.text
    given["route"]["routes"][0]["continue"] = True
    assert said(given).startswith("ok: ")


@pytest.mark.parametrize(
    ("hook", "state", "told"),
    [
        ({"send_resolved": False}, "warning", "does not tell when an alert ends"),
        ({"max_alerts": 10}, "warning", "after 10 alerts"),
        ({"http_config": {"follow_redirects": True}}, "wrong", "shows no token"),
        ({"url": "http://elsewhere:9393/api/v1/alerts"}, "warning", "leads to elsewhere:9393"),
        (
            {"url": "http://am:hunter2@127.0.0.1:9393/hook"},
            "wrong",
            "stopgap (http://127.0.0.1:9393/hook) leads to us, but to no place for alerts",
        ),
        ({"url": "http://elsewhere:9393/hook"}, "wrong", "none of its receivers leads here"),
        ({"url": "http://[half/api/v1/alerts"}, "wrong", "none of its receivers leads here"),
    ],
)
def test_the_webhook_is_looked_at(hook: dict[str, Any], state: str, told: str) -> None:
    [finding] = judge_routing(config(**hook), OURS)
    assert (finding.state, told in finding.text) == (state, True), finding


def test_over_tls_it_must_speak_https_and_may_show_a_certificate() -> None:
    tls = replace(OURS, tls="127.0.0.1:9393")
    assert "wrong: its receiver stopgap speaks http, and our port speaks https" in said(
        config(), tls
    )
    https = "https://127.0.0.1:9393/api/v1/alerts"
    assert said(config(url=https), tls).startswith("ok: ")
    shown = {"url": https, "http_config": {"tls_config": {"cert_file": "am.crt"}}}
    assert "shows no token" in said(config(**shown), tls)
    either = replace(tls, certificates=True)
    assert said(config(**shown), either).startswith("ok: ")
    assert said(config(url=https), either).startswith("ok: ")  # by its token
    only = replace(either, token=False)
    assert "shows no certificate" in said(config(url=https), only)
    assert said(config(**shown), only).startswith("ok: ")


def test_without_a_token_of_ours_none_is_asked_for() -> None:
    free = Ours(OURS.addresses, False, OURS.remember)
    assert said(config(http_config={}), free).startswith("ok: ")


def test_a_receiver_without_a_route_hears_nothing() -> None:
    given = config()
    given["route"]["routes"] = []
    assert said(given).startswith("wrong: no route leads to the receiver stopgap → merge")


def test_hidden_addresses_are_guessed_by_the_name() -> None:
    given = config(url=HIDDEN_ADDRESS)
    given["receivers"][0]["webhook_configs"] = [{"url": HIDDEN_ADDRESS}]
    [finding] = judge_routing(given, OURS)
    assert "stopgap is taken for ours" in finding.text


@pytest.mark.parametrize(
    "given",
    [
        None,
        [],
        "x",
        {"route": []},
        {"route": {}, "receivers": None},
        {"route": {"routes": [1, {"routes": "x"}]}, "receivers": [{"webhook_configs": [{}]}, 7]},
        config(url="http://[::1"),
        config(url="http://elsewhere", http_config=[[]]),
        config(url="http://x:port/api/v1/alerts"),
    ],
)
def test_whatever_it_is_something_is_said(given: Any) -> None:
    found = judge_routing(given, OURS)
    assert found
    assert all(finding.state != "ok" for finding in found)


KEYS = st.sampled_from(
    [
        *("route", "routes", "receiver", "receivers", "name", "webhook_configs", "url"),
        *("http_config", "continue", "group_wait", "repeat_interval", "max_alerts"),
    ]
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.just(HIDDEN_ADDRESS))
    | st.just("http://127.0.0.1:9393/api/v1/alerts"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given_any(VALUES)
def test_nothing_that_it_could_answer_breaks_the_judgement(given: Any) -> None:
    assert judge_routing({"route": {}, "receivers": given}, OURS)
    assert judge_routing(
        {"route": given, "receivers": [{"name": "x", "webhook_configs": [given]}]}, OURS
    )
    assert judge_routing(given, OURS)


def test_names_cannot_steer_the_terminal() -> None:
    given = config(send_resolved=False)
    given["receivers"][1]["name"] = given["route"]["routes"][0]["receiver"] = "a\x1b[31m"
    assert "\x1b" not in said(given)
