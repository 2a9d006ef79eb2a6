"""The `threshold` of a rule file: what is read, what is refused with its place, what approvals are
bound to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from daemon.core.recovery.binding_content import binding_content
from daemon.core.rules.rule import Rule, read_rule
from daemon.core.rules.rule_checks import check_rules
from daemon.core.rules.threshold_spec import MOST_LEAVES, Threshold
from tests.core.build import first_hash

HEAD = """\
rule: memory
match: ['alertname="MemoryHigh"']
group_by: [instance]
team: shop
problem:
  symptom: memory in use
"""
SINGLE = "  value: max(m)\n  threshold: {above: 90}\n"
JOINED = """\
  threshold:
    any:
      - {value: min(code), below: 200}
      - all:
          - {value: max(code), at_least: 400}
          - {value: max(up), equals: 1}
"""


def read(problem: str) -> Rule:
    ((rule, _, wrong),) = read_rule(HEAD + problem, "memory.yaml")
    assert wrong == []
    assert rule is not None
    return rule


def mistakes(problem: str) -> dict[str, str]:
    """The text of each mistake by its place."""
    found = read_rule(HEAD + problem, "memory.yaml")
    told = [mistake for _, _, wrong in found for mistake in wrong]
    told += check_rules([(rule, document) for rule, document, _ in found], {}, {}, None)
    return {mistake.place: mistake.text for mistake in told}


def test_one_value_and_its_threshold_are_a_leaf() -> None:
    spec = read(SINGLE).problem
    assert spec.kind == "threshold"
    assert spec.values == ("max(m)",)
    assert spec.condition.leaves() == (Threshold(value="max(m)", above=90),)
    assert spec.condition.describe() == "above 90"


def test_conditions_are_joined_two_deep_each_with_its_own_query() -> None:
    spec = read(JOINED).problem
    assert spec.values == ("min(code)", "max(code)", "max(up)")
    assert [leaf.describe() for leaf in spec.condition.leaves()] == [
        "below 200",
        "at least 400",
        "equal to 1",
    ]


@pytest.mark.parametrize("problem", [SINGLE, JOINED])
def test_what_was_read_is_written_as_it_was(problem: str) -> None:
    rule = read(problem)
    assert rule.problem.threshold is not None
    written = rule.problem.threshold.model_dump(mode="json", by_alias=True)
    assert written == yaml.safe_load(problem)["threshold"]
    assert Rule.model_validate(rule.model_dump(mode="json", by_alias=True)) == rule


@pytest.mark.parametrize(
    ("problem", "place", "said"),
    [
        ("threshold: {above: 90}", "problem.threshold", "needs `value:`"),
        ("value: m\n  threshold: {}", "problem.threshold", "needs a level: one of `above`"),
        ("value: m\n  threshold: {abve: 9}", "problem.threshold.abve", "did you mean `above`?"),
        ("value: m\n  threshold: {above: 9, at_least: 9}", "problem.threshold.at_least", "side"),
        ("value: m\n  threshold: {above: 9, below: 9}", "problem.threshold.below", "no number is"),
        ("value: m\n  threshold: {equals: 1, below: 9}", "problem.threshold.below", "alone"),
        ("value: m\n  threshold: {above: .inf}", "problem.threshold.above", "finite"),
        ("value: m\n  threshold: 90", "problem.threshold", "write it like {above: 90}"),
        ("threshold: {any: [m]}", "problem.threshold.any.0", "write it like {above: 90}"),
        ("threshold: {all: []}", "problem.threshold.all", "is empty"),
        ("threshold: {value: m, above: 1}", "problem.threshold.value", "`problem.value`"),
        ("value: m\n  threshold: {any: [{value: n, above: 1}]}", "problem.value", "its own"),
        ("threshold: {any: [{above: 1}]}", "problem.threshold.any.0", "needs `value:`"),
        (
            "threshold: {any: [{all: [{value: m}]}]}",
            "problem.threshold.any.0.all.0",
            "needs a level",
        ),
        (
            "threshold: {any: [{value: m, above: 1}], above: 1}",
            "problem.threshold.above",
            "`any` stands alone",
        ),
        (
            "threshold: {all: [{value: m, above: 1}], any: [{value: m, above: 1}]}",
            "problem.threshold",
            "both `all` and `any`",
        ),
        ("threshold: {any: [{value: 'm +', above: 1}]}", "problem.threshold.any.0.value", "PromQL"),
        (
            "threshold: {any: [{value: 'm{a=\"$b\"}', above: 1}]}",
            "problem.threshold.any.0.value",
            "$b is not in `group_by`",
        ),
        ("bad: increase(m[$window])\n  threshold: {above: 1}", "problem.bad", "remove `bad`"),
        ("value: m\n  threshold: {above: 1}\n  target: 3", "problem.target", "remove `target`"),
        (
            "value: m\n  threshold: {above: 1}\n  direction: lower_is_better",
            "problem.direction",
            "remove `direction`",
        ),
        (
            "value: m\n  threshold: {above: 1}\n  confirm: {drop: 2%}",
            "problem.confirm.drop",
            "remove it",
        ),
        (
            "value: m\n  threshold: {above: 1}\n  confirm: {rise: 20%}",
            "problem.confirm.rise",
            "remove it",
        ),
        (
            "value: m\n  threshold: {above: 1}\n  confirm: {by: 2}",
            "problem.confirm.by",
            "remove it",
        ),
        (
            "value: m\n  threshold: {above: 1}\n  confirm: {traffic: 2/m}",
            "problem.confirm.traffic",
            "needs `total:`",
        ),
        (
            "value: m\n  threshold: {above: 1}\nverify: {near_baseline: 2%}",
            "verify.near_baseline",
            "remove it",
        ),
        ("value: m", "problem.confirm", "or a `threshold`"),
    ],
)
def test_a_wrong_mixture_is_told_where_it_stands_with_its_mend(
    problem: str, place: str, said: str
) -> None:
    found = mistakes(f"  {problem}\n")
    assert said in found[place]


@pytest.mark.parametrize(
    "problem",
    [
        "value: m\n  threshold: {at_least: 9, at_most: 9}",
        "value: m\n  threshold: {above: -9, below: 9}",
        "value: m\n  threshold: {differs_from: 0}\n  severity: {sev1: 300%, sev2: 0%}",
        "value: m\n  total: sum(increase(n[$window]))\n  threshold: {above: 1}\n"
        "  confirm: {traffic: 2/m}",
    ],
)
def test_what_goes_together_is_taken(problem: str) -> None:
    assert mistakes(f"  {problem}\n") == {}


def test_more_leaves_than_a_measurement_should_ask_are_refused() -> None:
    leaves = ", ".join(["{value: m, above: 1}"] * (MOST_LEAVES + 1))
    assert "join in PromQL" in mistakes(f"  threshold: {{any: [{leaves}]}}\n")["problem.threshold"]


def test_an_approval_is_void_when_the_threshold_changes() -> None:
    step = "recover: [{action: rollback}]\n"
    was = read(SINGLE + step)
    for edited in ("{above: 91}", "{at_least: 90}", "{above: 90, below: 99}"):
        assert first_hash(read(SINGLE.replace("{above: 90}", edited) + step)) != first_hash(was)
    assert first_hash(read(SINGLE.replace("90", "90.0") + step)) == first_hash(was)


def test_a_rule_without_a_threshold_binds_what_it_bound_before_there_was_one() -> None:
    text = "  value: max(m)\n  confirm: {rise: 50%}\nrecover: [{action: rollback}]\n"
    rule = read(text)
    assert "threshold" not in binding_content(rule, rule.step(1))["problem"]


def test_the_examples_of_the_readme_are_rules() -> None:
    readme = Path(__file__).parents[3] / "rules" / "README.md"
    written = re.findall(
        r"```yaml\n(problem:\n.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL
    )
    assert len(written) == 2
    for problem in written:
        assert mistakes(problem.partition("problem:\n  symptom: ")[2].partition("\n")[2]) == {}
