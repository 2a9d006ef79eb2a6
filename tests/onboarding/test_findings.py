"""The judgements of `stopgap doctor`."""

from __future__ import annotations

from datetime import timedelta
from typing import get_args

import pytest

from daemon.core.measurement.flavours import MetricsFlavour, MetricsServer
from daemon.core.rules.rule import ProblemSpec, load
from daemon.core.rules.threshold_spec import Threshold
from daemon.onboarding.findings import (
    BROKEN,
    CALM,
    for_anybody,
    judge_answers,
    judge_clock,
    judge_disk,
    judge_names,
    judge_preflight,
    judge_targets,
    judge_windows,
    main_queries,
)
from recovery_actions.reasons import ActionReason
from tests.stories.stage import RULE

[(RULE_OF_STAGE, _)] = load(RULE, "rule.yaml")
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.mark.parametrize(
    ("seconds", "state"), [(0, "ok"), (4, "ok"), (-5, "warning"), (29, "warning"), (-30, "wrong")]
)
def test_clocks_may_not_be_far_apart(seconds: int, state: str) -> None:
    found = judge_clock(seconds * SECOND)
    assert (found.state, bool(found.mend)) == (state, state != "ok")


@pytest.mark.parametrize(
    ("up", "down", "state"), [(9, 0, "ok"), (6, 5, "ok"), (5, 5, "wrong"), (0, 0, "wrong")]
)
def test_from_some_share_of_targets_down_the_monitoring_is_not_believed(
    up: int, down: int, state: str
) -> None:
    assert judge_targets(up, down, 0.5).state == state


@pytest.mark.parametrize(
    ("free", "state", "told"),
    [(5 << 30, "ok", "5.0 GB"), (500 << 20, "warning", "500 MB"), (9 << 20, "wrong", "9 MB")],
)
def test_the_disk_of_the_store_needs_room(free: int, state: str, told: str) -> None:
    found = judge_disk(free)
    assert (found.state, told in found.text) == (state, True)


def test_windows_hold_four_scrapes_of_what_they_measure() -> None:
    shortest = RULE_OF_STAGE.problem.windows[0]
    assert judge_windows(RULE_OF_STAGE, [shortest / 4], timedelta(minutes=5)) is None
    assert judge_windows(RULE_OF_STAGE, [], MINUTE) is None
    few = judge_windows(RULE_OF_STAGE, [SECOND, shortest / 3], timedelta(minutes=5))
    assert few is not None
    assert "holds fewer than 4 scrapes" in few.text
    old = judge_windows(RULE_OF_STAGE, [shortest / 4], shortest / 4)
    assert old is not None
    assert "count as an outage" in old.text


@pytest.mark.parametrize(
    ("template", "query"),
    [
        ('a{b="$b"}', 'a{b=~".+"}'),
        ("a{b='x-$b'}", "a{b=~'x-.+'}"),
        ('a{b=~"$b|c"}', 'a{b=~".+|c"}'),
        ('a{b="c"} == 1', 'a{b="c"} == 1'),
        ('rate(a{b= "$b"}[$window])', 'rate(a{b=~".+"}[1m])'),
    ],
)
def test_a_query_is_asked_whatever_the_labels_are(template: str, query: str) -> None:
    assert for_anybody(template, ["b"], MINUTE).replace(" ", "") == query.replace(" ", "")


def test_a_query_that_cannot_be_filled_in_is_refused() -> None:
    with pytest.raises(ValueError, match="stands outside a string"):
        for_anybody("a{b=$b}", ["b"], MINUTE)


@pytest.mark.parametrize(
    ("flavour", "version", "told"),
    [
        ("prometheus", "2.42.0+ds", True),
        ("prometheus", "2.53.3", True),
        ("prometheus", "3.5.3", False),
        ("prometheus", "", False),
        ("victoriametrics", "2.24.0", False),
    ],
)
def test_labels_that_an_old_server_cannot_have_are_told(
    flavour: MetricsFlavour, version: str, told: bool
) -> None:
    server = MetricsServer(flavour, version)
    text = RULE.replace('service="$service"', '"service.name"="${service.name}"')
    [(dotted, _)] = load(text.replace("group_by: [service]", "group_by: [service.name]"), "r.yaml")
    found = judge_names(dotted, server)
    assert [(one.state, one.check) for one in found] == [("wrong", f"rule {dotted.rule}")] * told
    if told:
        assert f"name service.name, and Prometheus {version} has no such names" in found[0].text
        assert "came with Prometheus 3.0" in found[0].mend
    assert judge_names(RULE_OF_STAGE, server) == []


def test_that_nothing_fails_is_no_mistake_that_nothing_happens_is() -> None:
    assert set(main_queries(RULE_OF_STAGE.problem)) == {"total"}
    silent, refused = judge_answers("shop", ["total"], {"value": "bad"})[::-1]
    assert (silent.state, silent.check) == ("warning", "rule shop")
    assert (refused.state, "`value` is refused: bad") == ("wrong", refused.text)


def test_each_query_of_a_joined_threshold_is_asked_for_by_its_place() -> None:
    leaves = [{"value": "a", "above": 1}, {"all": [{"value": "b", "equals": 0}]}]
    spec = ProblemSpec.model_validate({"symptom": "s", "threshold": {"any": leaves}})
    assert main_queries(spec) == {"threshold.any.0.value": "a", "threshold.any.1.all.0.value": "b"}
    single = ProblemSpec(symptom="s", value="a", threshold=Threshold(above=1))
    assert main_queries(single) == {"value": "a"}


@pytest.mark.parametrize(
    ("reason", "state"),
    [("no_healthy_item", None), ("forbidden", "wrong"), ("managed_by_gitops", "warning")],
)
def test_a_refusal_may_be_as_it_should_be(reason: str, state: str | None) -> None:
    found = judge_preflight("rule shop", "step 1", reason, "because")
    assert (found and found.state) == state


def test_what_is_known_of_preflights_is_what_the_actions_say() -> None:
    assert set(get_args(ActionReason)) >= CALM | BROKEN
    assert not CALM & BROKEN
