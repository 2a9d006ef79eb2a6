"""Which label values a rule's `changes:` are watched for: found, kept, bounded, forgotten."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daemon.core.rules.label_values import (
    FORGOTTEN_AFTER,
    MOST_VALUES,
    KnownValues,
    fit_for,
    undiscoverable,
    values_query,
    watched_names,
)
from daemon.core.rules.rule import Rule, load
from tests.fakes import START


def rule(
    total: str, group_by: str = "[service]", changes: str = "{directory: srv/$service}"
) -> Rule:
    ((found, _),) = load(
        f"""
rule: shop
match: ['alertname="Errors"']
group_by: {group_by}
team: shop
problem:
  symptom: success rate
  bad: bad[$window]
  total: {total}
  confirm: {{drop: 1%}}
changes:
  releases: {changes}
""",
        "shop.yaml",
    )
    return found


@pytest.mark.parametrize(
    ("total", "asked"),
    [
        (
            'sum(increase(http{service="$service",env="prod"}[$window]))',
            'topk(501, count by (service) (http{env="prod",service!=""}))',
        ),
        (
            'sum(increase(http{job=~"$service"}[$window] offset 1m))',
            'topk(501, count by (job) (http{job!=""}))',
        ),
        (
            'sum(increase(a{env="x"}[$window])) + sum(increase(b{app="$service"}[$window]))',
            'topk(501, count by (app) (b{app!=""}))',
        ),
    ],
)
def test_the_series_of_the_rule_are_asked(total: str, asked: str) -> None:
    found = values_query(rule(total))
    assert found is not None
    assert found.query == asked


def test_other_labels_of_the_group_do_not_narrow_the_question() -> None:
    given = rule(
        'sum(increase(http{service="$service",zone="eu-$zone"}[$window]))', "[service, zone]"
    )
    found = values_query(given)
    assert found is not None
    assert found.query == 'topk(501, count by (service) (http{service!=""}))'


def test_values_are_of_the_rules_labels_and_none_is_empty() -> None:
    found = values_query(rule('sum(increase(http{job="$service"}[$window]))'))
    assert found is not None
    answer = [{"job": "b"}, {"job": "a"}, {"job": ""}, {}]
    assert found.values_in(answer) == [{"service": "a"}, {"service": "b"}]


@pytest.mark.parametrize(
    "total",
    [
        "sum(increase(http[$window]))",
        'sum(increase(http{service="prod-$service"}[$window]))',
        'sum(increase(http{service!="$service"}[$window]))',
        'sum(increase(http{service="$service[$window]))',
    ],
)
def test_what_cannot_be_found_is_told_with_the_mend(total: str) -> None:
    given = rule(total)
    assert values_query(given) is None
    text = undiscoverable(given, ())
    assert "$service cannot be found" in text
    assert '{service="$service"}' in text


def test_what_can_be_found_is_not_complained_of() -> None:
    assert undiscoverable(rule('sum(increase(http{service="$service"}[$window]))'), ()) == ""
    assert undiscoverable(rule("http[$window]"), {"releases"}) == ""
    assert undiscoverable(rule("http[$window]", changes="{directory: srv}"), ()) == ""


def test_folders_must_name_all_labels() -> None:
    given = rule("http[$window]", "[service, zone]", "{directory: $zone, more: $service}")
    assert watched_names(given) == ("service", "zone")
    assert undiscoverable(given, {"releases"}) == ""
    apart = given.model_copy(
        update={"changes": {"releases": {"d": "$zone"}, "k": {"n": "$service"}}}
    )
    assert undiscoverable(apart, {"releases"}) != ""


def test_hostile_values_are_left_out() -> None:
    values = [{"service": "shop"}, {"service": "../../etc"}, {"service": "a b"}]
    assert fit_for(rule("http[$window]"), values) == [{"service": "shop"}]


def names(known: KnownValues) -> list[str]:
    return [labels["service"] for labels in known.of(["service"])]


def test_a_value_stays_for_two_weeks_after_it_was_there() -> None:
    known = KnownValues(names=("service",)).seeing([{"service": "a"}, {"service": "b"}], START)
    later = START + FORGOTTEN_AFTER
    known = known.seeing([{"service": "b"}], later)
    assert names(known) == ["a", "b"]
    assert names(known.seeing([], later + timedelta(seconds=1))) == ["b"]


def test_values_are_bounded_and_an_incident_finds_a_place() -> None:
    many = [{"service": f"s{n:04}"} for n in range(MOST_VALUES + 5)]
    known = KnownValues(names=("service",)).seeing(many, START)
    assert len(names(known)) == MOST_VALUES
    assert "s0504" not in names(known)
    newer = known.seeing(many[1:MOST_VALUES], START + timedelta(minutes=5))
    met = newer.seeing([{"service": "new"}], START + timedelta(minutes=6), displacing=True)
    assert len(names(met)) == MOST_VALUES
    assert "new" in names(met)
    assert "s0000" not in names(met)


def test_values_of_other_labels_do_not_count() -> None:
    known = KnownValues(names=("service",)).seeing([{"service": "a"}], START)
    assert known.of(["service", "zone"]) == []
