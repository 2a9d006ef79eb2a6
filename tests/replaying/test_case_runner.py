"""What a case may say, played on the daemon's own code."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import yaml

from daemon.core.cases.case_checks import case_mistakes
from daemon.core.cases.comparison import Mismatch
from daemon.core.cases.rule_case import BEGINS, RuleCase
from daemon.core.people.roster import Roster
from daemon.core.recovery.approvals import Approval, Approvals
from daemon.core.recovery.freeze_windows import FreezeWindows
from daemon.core.rules.rule import Rule, load
from daemon.core.values.yaml_document import one_document
from daemon.replaying.case_runner import House, run_case
from tests.fakes import FakeAction
from tests.stories.stage import LIMITS, ROSTER, RULE

BASE: dict[str, Any] = {
    "case": "a night",
    "rule": "checkout-success-rate",
    "labels": {"service": "shop"},
    "series": {
        "total": {"per_minute": "3000x90"},
        "bad": {"share": "0.002x59 0.2x30"},
    },
    "alerts": [{"at": "63m"}],
}
DEPLOYED = {"changes": [{"at": "59m30s", "to": "v2", "was": "v1"}]}
HEALED = {"then": {"bad": {"share": "0.002"}}}


class _GoesBack(FakeAction):
    goes_back = True


def _rule(**parts: Any) -> Rule:
    ((rule, _),) = load(yaml.safe_dump({**yaml.safe_load(RULE), **parts}), "checkout.yaml")
    return rule


def _house(rule: Rule | None = None, **more: Any) -> House:
    rule = rule or _rule()
    house = House(
        rules={rule.rule: rule},
        roster=one_document(ROSTER, "roster.yaml").read(Roster),
        approvals=Approvals(),
        freezes=FreezeWindows(),
        actions={"rollback": _GoesBack("rollback"), "flag_off": FakeAction("flag_off")},
        limits=LIMITS,
        outage=0.5,
        max_age=timedelta(minutes=2),
    )
    return replace(house, **more)


def _played(case: dict[str, Any], house: House | None = None) -> list[Mismatch]:
    house = house or _house()
    read = RuleCase.model_validate({**BASE, **case})
    rule = house.rules[read.rule]
    assert list(case_mistakes(read, rule, list(house.roster.people))) == []
    return list(run_case(read, house).mismatches)


def _passes(case: dict[str, Any], house: House | None = None) -> None:
    assert _played(case, house) == []


def test_a_recovery_is_played_to_its_end() -> None:
    expect = [
        {"at": "63m30s", "verdict": "confirmed", "suspect": "v2", "starts": [1], "pages": ["ada"]},
        {"at": "68m", "verdicts": {1: "recovered"}, "phase": "watching", "commander": "none"},
        {"at": "85m", "phase": "closed", "incidents": 1},
    ]
    _passes({**DEPLOYED, "actions": {1: HEALED}, "expect": expect})


@pytest.mark.parametrize(
    ("trouble", "verdict"),
    [([], "not_confirmed"), ([{"began": "10m", "over": "50m"}], "confirmed")],
)
def test_what_is_known_to_have_been_trouble_is_no_baseline(
    trouble: list[dict[str, str]], verdict: str
) -> None:
    series = {
        "total": {"per_minute": "3000x90"},
        "bad": {"share": "0.002x10 0.2x38 0.002x11 0.2x30"},
    }
    expect = [{"at": "63m30s", "verdict": verdict}]
    _passes({"series": series, "trouble": trouble, "expect": expect})


def test_a_change_that_is_told_late_is_weighed_then() -> None:
    late = [{"at": "59m30s", "to": "v2", "was": "v1", "told": "66m"}]
    expect = [
        {"at": "65m", "suspect": "none", "refuses": {1: "no_suspect_change"}, "starts": [2]},
    ]
    _passes({"changes": late, "expect": expect})


def test_what_another_system_reported_counts_by_its_labels() -> None:
    flag = {"at": "59m30s", "to": "loyalty on", "reported_by": "flags"}
    elsewhere = {1: "suspect_is_elsewhere"}
    expect = [{"at": "63m30s", "suspect": "loyalty on", "refuses": elsewhere, "starts": [2]}]
    _passes({"changes": [{**flag, "labels": {"service": "shop"}}], "expect": expect})
    aimed = {**flag, "labels": {"service": "shop"}, "target": "shop", "was": "loyalty off"}
    _passes({"changes": [aimed], "expect": [{"at": "63m30s", "starts": [1, 2]}]})
    other = [{"at": "63m30s", "suspect": "none"}]
    _passes({"changes": [{**flag, "labels": {"service": "search"}}], "expect": other})


def test_the_revisions_tell_who_fails() -> None:
    query = 'sum by (revision) (increase({}{{service="$service"}}[$window]))'
    suspects = {
        "revisions": {
            "bad": query.format("bad"),
            "total": query.format("all"),
            "label": "revision",
        }
    }
    half = {"per_minute": "1500"}
    fine, failing = ({"total": half, "bad": {"share": share}} for share in ("0.002", "0.4"))
    rule = _rule(suspects=suspects)
    guilty = {**BASE["series"], "revisions": {"v1": fine, "v2": failing}}
    expect = [{"at": "63m30s", "suspect": "v2", "starts": [1]}]
    _passes({**DEPLOYED, "series": guilty, "expect": expect}, _house(rule))
    both = {**BASE["series"], "revisions": {"v1": failing, "v2": failing}}
    never = {"never": {"starts": [1]}}
    _passes({**DEPLOYED, "series": both, **never}, _house(rule))


def test_a_proposal_runs_once_the_commander_approves_it() -> None:
    people = [
        {"at": "64m", "who": "ada", "does": "ack"},
        {"at": "65m", "who": "ada", "does": "propose", "action": "flag_off",
         "with": {"target": "shop"}},
        {"at": "66m", "who": "ada", "does": "approve", "step": 101},
    ]  # fmt: skip
    rule = _rule(recover=[])
    expect = [{"at": "67m", "commander": "ada", "starts": [101]}]
    _passes({"people": people, "expect": expect}, _house(rule))


def test_a_deed_that_is_not_possible_is_a_mismatch() -> None:
    people = [{"at": "64m", "who": "bo", "does": "approve", "step": 2}]
    (found,) = _played({"people": people, "expect": [{"at": "64m", "incidents": 1}]})
    assert found.place == ("people", 0)
    assert "only the Commander may approve a step" in found.why
    _passes({"people": [{**people[0], "refused": True}], "expect": [{"at": "64m", "incidents": 1}]})


def test_approvals_of_the_file_count_by_their_content_and_not_by_their_dates() -> None:
    rule = _rule()
    old = BEGINS - timedelta(days=900)
    approvals = Approvals(approvals=(Approval.of(rule, 1, "ada", old, old + timedelta(days=1)),))
    case = {**DEPLOYED, "approvals": "file", "expect": [{"at": "63m30s", "starts": [1]}]}
    _passes(case, _house(rule, approvals=approvals))
    edited = _rule(verify={"settle": "30s", "hold": "3m"})
    void = [{"at": "63m30s", "starts": [], "refuses": {1: "approval_void"}, "asks": [1]}]
    _passes({**case, "expect": void}, _house(edited, approvals=approvals))


def test_freezes_of_the_file_are_in_force_unless_the_case_says_otherwise() -> None:
    window = {
        "name": "noon",
        "reason": "lunch",
        "scope": "global",
        "zone": "UTC",
        "weekly": {"days": ["mon"], "from": "12:00", "to": "18:00"},
    }
    house = _house(freezes=FreezeWindows.model_validate({"windows": [window]}))
    case = {**DEPLOYED, "never": {"starts": "any"}}
    _passes(case, house)
    assert _played({**case, "freezes": "none"}, house)
    tuesday = {**DEPLOYED, "begins": "2026-01-06T12:00:00Z"}
    _passes({**tuesday, "expect": [{"at": "63m30s", "starts": [1]}]}, house)


def test_a_rule_that_observes_writes_down_what_it_would_have_done() -> None:
    observing = _house(_rule(mode="observe"))
    expect = [{"at": "63m30s", "starts": [], "observes": [1]}]
    _passes({**DEPLOYED, "expect": expect, "never": {"starts": "any"}}, observing)


def test_without_settings_every_parameter_is_allowed() -> None:
    class Forbidden(_GoesBack):
        def allowed(self, params: Any) -> str | None:
            return "it is not in the list"

    actions = {"rollback": Forbidden("rollback"), "flag_off": FakeAction("flag_off")}
    case = {**DEPLOYED, "expect": [{"at": "63m30s", "starts": [1]}]}
    _passes(case, _house(actions=actions, restricted=False))
    refused = [{"at": "63m30s", "refuses": {1: "not_allowed"}}]
    _passes({**case, "expect": refused}, _house(actions=actions))


def test_alerts_of_many_services_are_a_storm() -> None:
    services = ("shop", "search", "stock", "pay", "mail")
    alerts = [{"at": "63m", "labels": {"service": name}} for name in services]
    expect = [{"at": "63m30s", "incidents": 5, "refuses": {1: "storm"}, "asks": [1]}]
    _passes({**DEPLOYED, "alerts": alerts, "expect": expect, "never": {"starts": "any"}})


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ({"ends": "failed"}, {"starts": [1, 2]}),
        ({"ends": "unknown"}, {"starts": [1], "asks": [2]}),
        ({"refuses": "managed_by_gitops"}, {"refuses": {1: "managed_by_gitops"}, "starts": [1, 2]}),
        ({"prepares": "3m"}, {"at": "66m", "starts": [1], "phase": "recovering"}),
    ],
    ids=["fails", "unknown", "refuses", "prepares"],
)
def test_an_action_goes_as_it_is_written(action: dict[str, Any], expected: Any) -> None:
    _passes({**DEPLOYED, "actions": {1: action}, "expect": [{"at": "72m", **expected}]})


def test_a_value_is_measured_as_it_is_given() -> None:
    problem = {
        "symptom": "latency",
        "value": 'latency{service="$service"}',
        "windows": ["1m", "5m"],
        "baseline": "45m",
        "confirm": {"rise": "50%"},
        "severity": {"sev3": "50%"},
    }
    house = _house(_rule(problem=problem, verify={"settle": "30s", "hold": "2m"}))
    slow = {"series": {"value": "0.2x59 0.9x30"}}
    expect = [{"at": "66m", "verdict": "confirmed", "statement": ["0.2", "0.9"]}]
    _passes({**slow, **DEPLOYED, "alerts": [{"at": "66m"}], "expect": expect}, house)


def test_what_is_asked_and_not_given_is_told() -> None:
    problem = yaml.safe_load(RULE)["problem"] | {"impact": {"euros": 'euros{service="$service"}'}}
    read = RuleCase.model_validate({**BASE, "expect": [{"at": "64m", "verdict": "confirmed"}]})
    run = run_case(read, _house(_rule(problem=problem)))
    assert run.mismatches == []
    assert run.minutes == 64


def test_a_resolved_alert_is_of_the_firing_before_it() -> None:
    alerts = [{"at": "63m"}, {"at": "66m", "state": "resolved"}, {"at": "67m"}]
    _passes({"alerts": alerts, "expect": [{"at": "68m", "incidents": 1}]})


PROBE = {
    "symptom": "status of the probe",
    "threshold": {
        "any": [
            {"value": 'min(probe{service="$service"})', "below": 200},
            {"value": 'max(probe{service="$service"})', "at_least": 400},
            {"value": 'max(probe{service="$service"})', "below": 100},
        ]
    },
    "severity": {"sev2": "0%"},
}


def test_each_query_of_a_joined_threshold_has_a_text_of_its_own() -> None:
    house = _house(_rule(problem=PROBE, verify={"settle": "30s", "hold": "2m", "watch": "10m"}))
    least, most = "200x59 503x30", "200x59 503x30"
    case = {
        **DEPLOYED,
        "series": {"values": [least, most]},
        "actions": {1: {"then": {"values": ["200", "200"]}}},
        "expect": [
            {
                "at": "63m30s",
                "verdict": "confirmed",
                "reason": "threshold_passed",
                "severity": "sev2",
                "statement": ['max(probe{service="$service"}) 503, at least 400 since'],
                "suspect": "v2",
                "starts": [1],
            },
            {"at": "75m", "verdicts": {1: "recovered"}, "phase": "watching"},
        ],
    }
    _passes(case, house)
    quiet = {"series": {"values": ["200x90", "200x90"]}}
    within = {"at": "64m", "verdict": "not_confirmed", "reason": "within_threshold"}
    _passes({**quiet, "expect": [within]}, house)


@pytest.mark.parametrize(
    ("series", "place", "said"),
    [
        ({"values": ["1", "1"]}, ("series", "values"), "has no `threshold` with several queries"),
        ({"values": ["1"]}, ("series", "values"), "has 2 queries in `threshold`"),
        ({"value": "1", "values": ["1", "1"]}, ("series", "value"), "has no query `value`"),
    ],
)
def test_values_fit_the_threshold(
    series: dict[str, Any], place: tuple[str, ...], said: str
) -> None:
    joined = _rule(problem=PROBE, verify={}) if "no `threshold`" not in said else _rule()
    case = RuleCase.model_validate({**BASE, "series": series, "expect": [{"at": "1m"}]})
    found = dict(case_mistakes(case, joined, ["ada"]))
    assert said in found[place]
