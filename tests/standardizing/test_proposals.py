"""What an incident teaches the rules: found, said as a diff, and sound."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.core.incident import events as e
from daemon.core.incident.events import Entry
from daemon.core.ports.journal import Head
from daemon.core.recovery.approvals import Approvals
from daemon.core.rules.dependencies import RuleDependencies
from daemon.core.rules.rule import load
from daemon.core.values.yaml_edit import append_item, replace_scalar
from daemon.replaying.virtual_time import run_virtually
from daemon.standardizing.proposals import (
    RuleTexts,
    Standard,
    missing_alternative,
    missing_dependency,
    missing_rule,
    with_voids,
)
from daemon.standardizing.thresholds import late_threshold
from tests import commanding
from tests.fakes import START
from tests.replaying.test_replay import house, rule_with
from tests.stories.stage import RULE, Daemon, Stage, alert, approval_of, healed_by

Tale = Callable[[Stage, Daemon], Any]
TEXTS = RuleTexts({"checkout.yaml": f"# ours\n{RULE.lstrip()}"})


def lived(folder: Path, tale: Tale, rule_text: str = RULE, share: float = 0.10) -> Stage:
    """A night, in virtual time."""
    stage = Stage(folder, rule_text=rule_text)
    stage.service.fails(share, 60)

    async def story() -> None:
        async with stage.daemon() as daemon:
            await tale(stage, daemon)

    run_virtually(story)
    return stage


def journal(stage: Stage, number: int = 0) -> Sequence[Entry]:
    return list(stage.journal.entries.values())[number]


def sound(standard: Standard) -> dict[str, Any]:
    """The rule after it, which can be read; the diff says the same."""
    [document] = yaml.safe_load_all(standard.after)
    assert load(standard.after, standard.path)
    assert standard.diff.startswith(
        f"--- {'a/' + standard.path if standard.before else '/dev/null'}"
    )
    assert f"+++ b/{standard.path}" in standard.diff
    return dict(document)


def test_where_no_rule_matched_one_is_drafted_from_the_alert(tmp_path: Path) -> None:
    async def tale(_: Stage, daemon: Daemon) -> None:
        await daemon.at(180)
        firing = alert()
        firing["labels"]["alertname"] = "SearchErrors"
        share = "sum(rate(errors_total[5m])) / sum(rate(requests_total[5m])) > 0.05"
        query = share.replace(" ", "%20").replace("+", "%2B")
        firing["generatorURL"] = f"http://prometheus:9090/graph?g0.expr={query}&g0.tab=1"
        await daemon.receives(firing)
        await daemon.at(200)

    entries = journal(lived(tmp_path, tale))
    [found] = missing_rule(entries, house(rule_with()), "payments")
    rule = sound(found)
    assert (found.kind, found.before, rule["rule"]) == ("new_rule", "", "search-errors")
    assert rule["match"] == ['alertname="SearchErrors"']
    assert "errors_total" in rule["problem"]["value"]
    assert rule["problem"]["threshold"] == {"above": 0.05}
    assert "# Proposed by `stopgap apply " in found.after
    assert found.diff.splitlines()[0] == "--- /dev/null"


def test_an_alert_without_an_expression_is_counted(tmp_path: Path) -> None:
    async def tale(_: Stage, daemon: Daemon) -> None:
        await daemon.at(180)
        firing = alert()
        firing["labels"]["alertname"] = "SearchErrors"
        await daemon.receives(firing)
        await daemon.at(200)

    [found] = missing_rule(journal(lived(tmp_path, tale)), house(rule_with()), "payments")
    assert "ALERTS" in sound(found)["problem"]["value"]


def test_with_a_rule_none_is_missing(tmp_path: Path) -> None:
    async def tale(stage: Stage, daemon: Daemon) -> None:
        healed_by(stage, "rollback", 0.002)
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(1800)

    entries = journal(lived(tmp_path, tale))
    assert list(missing_rule(entries, house(rule_with()), "payments")) == []
    assert list(missing_alternative(entries, TEXTS)) == []
    assert list(late_threshold(entries, house(rule_with()), TEXTS)) == []


ONLY = yaml.safe_dump({**yaml.safe_load(RULE), "recover": []})
"""The rule without a plan."""


def proposing(target: str) -> Tale:
    """Ada proposes the other alternative, on that target; it helps."""

    async def tale(stage: Stage, daemon: Daemon) -> None:
        healed_by(stage, "flag_off", 0.002)
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(200)
        await daemon.acknowledges("ada")
        rule = stage.rules[0]
        given = ("flag_off", {"target": target}, rule.verify.settle, "the flag", "ada")
        await daemon.does(commanding.propose, rule, *given, who="ada")
        await daemon.does(commanding.approve, rule, 101, "ada", who="ada")
        await daemon.at(1800)

    return tale


def test_what_a_person_used_and_helped_becomes_a_step_that_asks(tmp_path: Path) -> None:
    entries = journal(lived(tmp_path, proposing("shop"), ONLY))
    other = RULE.replace("{target: shop}", "{target: other}")
    for text in (ONLY, other):
        [found] = missing_alternative(entries, RuleTexts({"checkout.yaml": text}))
        last = sound(found)["recover"][-1]
        assert last == {
            "action": "flag_off",
            "with": {"target": "$service"},  # the rule is of every service
            "approval": "commander",
            "within": "30s",
        }
        assert "ada proposed flag_off, and it helped" in found.why
        assert "secret" not in found.why
        again = RuleTexts({"checkout.yaml": found.after})
        assert list(missing_alternative(entries, again)) == []
    assert list(missing_alternative(entries, RuleTexts({"checkout.yaml": RULE}))) == []


def test_a_parameter_that_may_be_a_secret_is_pointed_at(tmp_path: Path) -> None:
    entries = journal(lived(tmp_path, proposing("user:password@shop"), ONLY))
    [found] = missing_alternative(entries, RuleTexts({"checkout.yaml": ONLY}))
    assert "look at target first: a secret does not belong into this file" in found.why


def test_a_threshold_that_came_late_is_lowered_as_far_as_it_helps(tmp_path: Path) -> None:
    high = yaml.safe_load(RULE)
    high["problem"]["confirm"]["drop"] = "8%"
    text = yaml.safe_dump(high)

    async def tale(stage: Stage, daemon: Daemon) -> None:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(600)
        stage.service.fails(0.15, 600)
        await daemon.at(900)
        await daemon.acknowledges("ada")
        await daemon.does(commanding.close, "ada", "it was mended by hand", who="ada")
        await daemon.at(1000)

    entries = journal(lived(tmp_path, tale, text, share=0.05))
    rule = rule_with(problem={"confirm": {"drop": "8%", "traffic": "30/m"}})
    [found] = late_threshold(entries, house(rule), RuleTexts({"checkout.yaml": text}))
    drop = float(sound(found)["problem"]["confirm"]["drop"].removesuffix("%"))
    assert 1 < drop < 5
    assert re.search(
        r"earlier, and in the \d\d hours that were kept .* nothing else would", found.why
    )
    few = [_since_an_hour(entry) for entry in entries]
    assert list(late_threshold(few, house(rule), RuleTexts({"checkout.yaml": text}))) == []
    assert len([line for line in found.diff.splitlines() if line.startswith("+ ")]) == 1


def test_the_approvals_that_end_with_a_change_are_told() -> None:
    text = RULE.lstrip()
    [(rule, _)] = load(text, "checkout.yaml")
    given = Approvals(approvals=(approval_of(rule, 1, START + timedelta(days=30)),))
    lower = replace_scalar(text, (0, "problem", "confirm", "drop"), "0.5%")
    more = append_item(text, (0, "recover"), ["action: flag_on", "approval: commander"])
    for after, voids in ((lower, ((rule.rule, 1),)), (more, ())):
        standard = Standard("threshold", rule.rule, "checkout.yaml", "why", text, after)
        assert with_voids(standard, given, START).voids == voids
    new = Standard("new_rule", rule.rule, "checkout.yaml", "why", "", text)
    assert with_voids(new, given, START).voids == ()


def _since_an_hour(entry: Entry) -> Entry:
    """As it would be if Prometheus had kept an hour only."""
    event = entry.event
    if not isinstance(event, e.SamplesRecorded):
        return entry
    series = tuple(one for one in event.series if one.step < timedelta(minutes=1))
    return entry.model_copy(update={"event": event.model_copy(update={"series": series})})


def test_what_failed_long_before_the_alert_is_no_noise(tmp_path: Path) -> None:
    high = yaml.safe_load(RULE)
    high["problem"]["confirm"]["drop"] = "8%"
    text = yaml.safe_dump(high)

    async def tale(stage: Stage, daemon: Daemon) -> None:
        await daemon.at(900)  # it has failed since 60 s, and Alertmanager waited
        await daemon.receives(alert())
        await daemon.at(1800)
        await daemon.acknowledges("ada")
        await daemon.does(commanding.close, "ada", "it was mended by hand", who="ada")
        await daemon.at(1900)

    entries = journal(lived(tmp_path, tale, text, share=0.05))
    rule = rule_with(problem={"confirm": {"drop": "8%", "traffic": "30/m"}})
    [found] = late_threshold(entries, house(rule), RuleTexts({"checkout.yaml": text}))
    assert "it was never confirmed" in found.why


def test_what_recovered_with_another_depends_on_it(tmp_path: Path) -> None:
    async def tale(stage: Stage, daemon: Daemon) -> None:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(400)
        stage.service.fails(0.002, 400)
        await daemon.at(3600)

    stage = lived(tmp_path, tale, yaml.safe_dump({**yaml.safe_load(RULE), "recover": []}))
    entries, [row] = journal(stage), stage.journal.rows.values()
    assert row.recovered_at is not None
    upstream = row.model_copy(
        update={"incident": "other", "rule": "payments", "suspect": "payments", "key": "k"}
    )
    rules = {r.rule: r for r in (rule_with(), rule_with(rule="payments"))}

    def found(*heads: Head, text: str = RULE) -> list[Standard]:
        texts, known = RuleTexts({"checkout.yaml": text}), RuleDependencies(rules.values())
        return list(missing_dependency(entries, heads, texts, known, rules))

    [learnt] = found(row, upstream)
    assert sound(learnt)["depends_on"] == ["payments"]
    assert "began at the same moment" in learnt.why
    [more] = found(upstream, text=f"{RULE}depends_on: [database]\n")
    assert sound(more)["depends_on"] == ["database", "payments"]
    later = upstream.model_copy(update={"recovered_at": None})
    assert found(later) == []
    assert found(upstream.model_copy(update={"suspect": ""})) == []
    assert found(upstream.model_copy(update={"suspect": row.suspect})) == []  # one change of both
    # Two that may have taken it with them: it is not told which of them it calls.
    rules["search"] = rule_with(rule="search")
    assert found(upstream, upstream.model_copy(update={"incident": "o2", "rule": "search"})) == []
    # The other calls it through a third: they would depend on each other in a circle.
    rules["search"] = rule_with(rule="search", depends_on=["checkout-success-rate"])
    rules["payments"] = rule_with(rule="payments", depends_on=["search"])
    assert found(upstream) == []


@pytest.mark.parametrize("text", ["", "rule: another\n", "[not: yaml"])
def test_a_rule_that_stands_in_no_file_is_left_alone(tmp_path: Path, text: str) -> None:
    assert RuleTexts({"x.yaml": text}).texts

    async def tale(stage: Stage, daemon: Daemon) -> None:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(200)

    entries = journal(lived(tmp_path, tale))
    assert list(missing_alternative(entries, RuleTexts({"x.yaml": text}))) == []
