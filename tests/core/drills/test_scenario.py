"""Scenarios as they are written: what they mean, and what is wrong with them, where."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from daemon.core.drills.participants import blue_team, roster_for
from daemon.core.drills.scenario import DrillScenario, Inject
from daemon.core.drills.scenario_checks import scenario_mistakes
from daemon.core.incident.drill_mark import DrillMark
from daemon.core.people.roster import Roster
from daemon.core.rules.rule import load
from daemon.core.values.yaml_document import one_document
from tests.core.build import NOW
from tests.stories.stage import RULE

RULES = [rule for rule, _ in load(RULE, "checkout.yaml")]
ROSTER = one_document(
    """
people:
  ada: {name: Ada, contact: [{console: true}]}
  bo: {name: Bo, contact: [{console: true}]}
  cy: {name: Cy, contact: [{console: true}]}
  boss: {name: Boss, contact: [{console: true}]}
teams:
  payments: {owners: [ada, cy], lead: boss, experts: [bo], policy: payments}
policies:
  payments: {tiers: [{notify: [ada], wait: 5m}, {notify: [payments], wait: 7m}]}
  other: {tiers: [{notify: [boss], wait: 3m}]}
default_policy: other
ladder: {sev1: [boss], sev2: [cy]}
channels: {room: {console: true}, status: {console: true}}
audiences:
  room: {channels: [room]}
  public: {channels: [status], wording: public}
""",
    "roster.yaml",
).read(Roster)
GOOD: dict[str, Any] = {
    "drill": "good",
    "title": "Good",
    "rule": RULES[0].rule,
    "labels": {"service": "shop"},
    "series": {"total": {"per_minute": "600"}, "bad": {"share": "0.1"}},
    "script": [{"at": "1m", "alert": "firing"}],
    "expect": {"commander": "5m"},
}


def scenario(**changes: Any) -> DrillScenario:
    document = {**GOOD, **changes}
    return DrillScenario.model_validate({k: v for k, v in document.items() if v is not None})


def wrong(**changes: Any) -> list[tuple[tuple[str | int, ...], str]]:
    read = scenario(**changes)
    rule = next((rule for rule in RULES if rule.rule == read.rule), None)
    return list(scenario_mistakes(read, rule, ROSTER))


def test_a_good_one_has_no_mistake_and_reads_back_as_it_is() -> None:
    assert wrong() == []
    read = scenario(actions={1: {"then": {"bad": {"share": "0"}}}})
    assert DrillScenario.model_validate(read.document()) == read


@pytest.mark.parametrize(
    ("changes", "place", "text"),
    [
        ({"rule": "none"}, ("rule",), "no rule 'none'"),
        ({"series": None}, (), "`series:` is missing"),
        ({"rule": ""}, (), "without `rule:` nothing is measured"),
        ({"actions": {9: {}}}, ("actions", 9), "there is no step 9"),
        ({"script": [{"at": "1m", "public": "x"}]}, ("script",), "nothing alerts"),
        (
            {"script": [{"at": "2h", "alert": "firing"}]},
            ("script", 0, "at"),
            "the drill lasts 30m",
        ),
        (
            {"script": [{"at": 0, "fault": ["x"]}, {"at": "1m", "alert": "firing"}]},
            ("script", 0),
            "name the staging target",
        ),
        (
            {"script": [{"at": "1m", "alert": "firing"}, {"at": 0, "pager": "eve"}]},
            ("script", 1, "pager"),
            "'eve' is not in the roster",
        ),
        ({"expect": {}}, (), "nothing is scored"),
        ({"roles": {"blue": ["eve"]}}, ("roles", "blue", 0), "no person, schedule or team"),
        ({"audiences": ["all"]}, ("audiences", 0), "it has room, public"),
        ({"target": "staging"}, ("series",), "metrics and actions of its own"),
    ],
)
def test_each_mistake_is_told_with_its_place(
    changes: dict[str, Any], place: tuple[str | int, ...], text: str
) -> None:
    found = wrong(**changes)
    assert [where for where, _ in found] == [place]
    assert text in found[0][1]


@pytest.mark.parametrize(
    ("inject", "text"),
    [
        ({}, "says none"),
        ({"alert": "firing", "public": "x"}, "says alert and public"),
        ({"alert": "firing", "was": "v1"}, "`was` goes with change"),
        ({"public": "x", "lasts": "1m"}, "`lasts` goes with pager"),
    ],
)
def test_an_inject_brings_about_one_thing(inject: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        Inject.model_validate({"at": "1m", **inject})


def mark(*blue: str, audiences: tuple[str, ...] = ()) -> DrillMark:
    return DrillMark(
        run="r", scenario="s", title="t", by="x", began_at=NOW, blue=blue, audiences=audiences
    )


def test_the_roster_of_a_drill_calls_the_blue_team_alone() -> None:
    drilled = roster_for(ROSTER, mark("bo", "cy"))
    for team in ("payments", "unknown"):
        called = {name for tier in drilled.tiers(team, NOW) for name in tier.people}
        assert called == {"cy"} if team == "payments" else called == {"bo", "cy"}
        assert set(drilled.everybody_responsible(team, NOW)) <= {"bo", "cy"}
    payments = drilled.teams["payments"]
    assert (payments.owners, payments.lead, payments.experts) == (("cy",), None, ("bo",))
    assert drilled.ladder == {"sev1": (), "sev2": ("cy",)}
    assert set(drilled.people) == {"ada", "bo", "cy", "boss"}


def test_only_the_audiences_of_the_scenario_and_their_channels_are_there() -> None:
    assert roster_for(ROSTER, mark("bo")).audiences == {}
    assert roster_for(ROSTER, mark("bo")).channels == {}
    told = roster_for(ROSTER, mark("bo", audiences=("room",)))
    assert (set(told.audiences), set(told.channels)) == ({"room"}, {"room"})


def test_without_names_the_blue_team_is_whom_the_policy_calls() -> None:
    assert blue_team(scenario(), RULES[0], ROSTER, NOW) == ("ada", "cy")
    assert blue_team(scenario(roles={"blue": ["bo"]}), RULES[0], ROSTER, NOW) == ("bo",)
    assert blue_team(scenario(rule=""), None, ROSTER, NOW) == ("boss",)
