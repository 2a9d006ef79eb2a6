"""The section `diagnosis` of a rule: what may stand there, and that no approval depends on it."""

from __future__ import annotations

import pytest

from daemon.core.rules.rule import Rule, load, read_rule
from daemon.core.rules.rule_checks import check_rules
from tests.core.build import first_hash

RULE = """
rule: checkout
match: [alertname="CheckoutFails"]
group_by: [service]
team: shop
problem:
  symptom: success rate
  bad: sum(increase(bad{service="$service"}[$window]))
  total: sum(increase(total{service="$service"}[$window]))
  confirm: {drop: 1%}
recover: [{action: rollback}]
"""
SECTION = """
diagnosis:
  labels: [zone, version]
  series: ['sum(rate(deadlocks{service="$service"}[$window]))']
"""


def rule_of(text: str) -> Rule:
    [(rule, _)] = load(text, "rule.yaml")
    return rule


def mistakes_of(text: str) -> list[str]:
    found = [(rule, document) for rule, document, _ in read_rule(text, "rule.yaml")]
    mistakes = [one for _, _, wrong in read_rule(text, "rule.yaml") for one in wrong]
    checked = check_rules(found, ["shop"], {"rollback": object}, {})
    return [str(one) for one in [*mistakes, *checked] if "diagnosis" in one.place]


def test_it_says_what_is_looked_at() -> None:
    assert rule_of(RULE).diagnosis.labels == ()
    assert rule_of(RULE + SECTION).diagnosis.labels == ("zone", "version")
    assert mistakes_of(RULE + SECTION) == []


def test_it_voids_no_approval() -> None:
    assert first_hash(rule_of(RULE)) == first_hash(rule_of(RULE + SECTION))


@pytest.mark.parametrize(
    ("section", "why"),
    [
        ("diagnosis: {series: ['sum(rate(x[5m])']}", "not PromQL"),
        ("diagnosis: {series: ['x{job=\"$job\"}']}", "$job is not in `group_by`"),
        ('diagnosis: {labels: ["a$b"]}', "'a$b' cannot be named"),
        ("diagnosis: {label: zone}", "label"),
    ],
)
def test_mistakes_are_found_with_their_line(section: str, why: str) -> None:
    (mistake,) = mistakes_of(f"{RULE}{section}\n")
    assert why in mistake
    assert mistake.startswith("rule.yaml:12")
