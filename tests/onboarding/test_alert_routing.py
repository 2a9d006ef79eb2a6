"""Where Alertmanager sends an alert, and which test alert reaches one receiver alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import yaml

from daemon.onboarding.alert_routing import GROUP_WAIT, legs_of, plan_probe

NUMBER = "0123456789ab"
NAME = f"StopgapTestAlert_{NUMBER}"
CONFIG = """
route:
  receiver: mail
  group_by: [alertname]
  group_wait: 1m
  routes:
    - receiver: stopgap
      continue: true
      group_by: [service]
      group_wait: 0s
    - matchers: ['severity="page"']
      receiver: pager
      routes:
        - {match: {team: db}, receiver: db}
    - {match_re: {env: "dev|test"}, receiver: nobody}
"""


def config(text: str = CONFIG) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({}, ["stopgap"]),
        ({"severity": "page"}, ["stopgap", "pager"]),
        ({"severity": "page", "team": "db"}, ["stopgap", "db"]),
        ({"env": "test"}, ["stopgap", "nobody"]),
        ({"env": "testing"}, ["stopgap"]),
        ({"severity": "page", "env": "dev"}, ["stopgap", "pager"]),
    ],
)
def test_an_alert_takes_the_routes_that_alertmanager_would(
    labels: dict[str, str], receivers: list[str]
) -> None:
    """As `amtool config routes test` of 0.28 tells of this tree."""
    assert [leg.receiver for leg in legs_of(config(), labels)] == receivers


def test_a_leg_inherits_what_its_route_does_not_say() -> None:
    (first, second) = legs_of(config(), {"severity": "page"})
    assert (first.group_by, first.group_wait) == (("service",), timedelta(0))
    assert (second.group_by, second.group_wait) == (("alertname",), timedelta(minutes=1))
    (alone,) = legs_of({"route": {"receiver": "a"}}, {})
    assert (alone.group_by, alone.group_wait) == ((), GROUP_WAIT)


def test_the_shipped_routing_sends_a_test_alert_to_us_alone_and_in_a_group_of_its_own() -> None:
    plan = plan_probe(config(), ["stopgap"], NAME, NUMBER)
    assert plan is not None
    assert plan.labels == {"alertname": NAME, "service": NUMBER}
    assert (plan.others, plan.inhibits, plan.group_wait) == ((), False, timedelta(0))


@pytest.mark.parametrize(
    ("matchers", "labels"),
    [
        (['team="shop"'], {"team": "shop"}),
        (['team=~"shop|cart"'], {"team": "shop"}),
        (['team=~"^(?:shop|cart)$"'], {"team": "cart"}),
        (['team=~".+"'], {"team": NUMBER}),
        (['team=~"shop.*"', 'team!="shop"'], None),
        (['team!=""', 'env!="dev"'], {"team": NUMBER}),
        (['team!~"x.*"'], {}),
        (['"service.name"="shop"'], {"service.name": "shop"}),
        (['team="shop"', 'team="cart"'], None),
    ],
)
def test_the_labels_meet_the_matchers_on_the_way(
    matchers: list[str], labels: dict[str, str] | None
) -> None:
    tree = {"receiver": "mail", "routes": [{"receiver": "stopgap", "matchers": matchers}]}
    plan = plan_probe({"route": tree}, ["stopgap"], NAME, NUMBER)
    found = None if plan is None else plan.labels
    assert found == (None if labels is None else {"alertname": NAME, **labels})


def test_who_else_gets_it_and_whom_it_would_silence_is_told() -> None:
    tree = {"receiver": "stopgap", "routes": []}
    both = [
        {"receiver": "stopgap", "continue": True},
        {"receiver": "pager"},
    ]
    plan = plan_probe({"route": {**tree, "routes": both}}, ["stopgap"], NAME, NUMBER)
    assert plan is not None
    assert plan.others == ("pager",)
    rules = [{"source_matchers": ['severity!="info"'], "target_matchers": ['severity="warning"']}]
    plan = plan_probe({"route": tree, "inhibit_rules": rules}, ["stopgap"], NAME, NUMBER)
    assert plan is not None
    assert (plan.others, plan.inhibits) == ((), True)


def test_what_our_receiver_tells_beside_us_gets_it_too() -> None:
    """A receiver may call people by itself: no test alert goes there unasked."""
    hook = {"url": "<secret>"}
    receivers = [
        {"name": "stopgap", "webhook_configs": [hook, hook], "pagerduty_configs": [{}]},
        {"name": "pager", "opsgenie_configs": [{}]},
    ]
    tree = {"route": {"receiver": "stopgap"}, "receivers": receivers}
    plan = plan_probe(tree, ["stopgap"], NAME, NUMBER)
    assert plan is not None
    assert plan.others == ("1 more webhook of stopgap", "pagerduty of stopgap")
    receivers[0] = {"name": "stopgap", "webhook_configs": [hook], "email_configs": []}
    plan = plan_probe(tree, ["stopgap"], NAME, NUMBER)
    assert plan is not None
    assert plan.others == ()


def test_of_several_routes_the_one_that_nobody_shares_is_taken() -> None:
    routes = [
        {"receiver": "stopgap", "matchers": ['severity="page"'], "continue": True},
        {"receiver": "pager", "matchers": ['severity="page"']},
        {"receiver": "stopgap", "matchers": ['severity="ticket"']},
    ]
    plan = plan_probe({"route": {"receiver": "mail", "routes": routes}}, ["stopgap"], NAME, NUMBER)
    assert plan is not None
    assert plan.labels["severity"] == "ticket"
    assert plan.others == ()


def test_without_a_route_there_is_no_plan() -> None:
    assert plan_probe(config(), ["elsewhere"], NAME, NUMBER) is None
    assert plan_probe({}, ["stopgap"], NAME, NUMBER) is None
    assert legs_of({}, {}) == []
    with pytest.raises(ValueError, match="is not a matcher"):
        legs_of({"route": {"receiver": "a", "matchers": ["a b=c"]}}, {})
