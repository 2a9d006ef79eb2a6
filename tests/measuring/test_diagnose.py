"""The facts for and against suspects, measured; trouble of any kind is a fact less."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
import yaml

from daemon.core.changes.suspects import Facts, Sibling, suspect
from daemon.core.measurement.samples import QueryAnswer, Series
from daemon.core.rules.rule import Rule, read_rule
from daemon.core.rules.rule_checks import check_rules
from daemon.core.values.outcome import Permanent, Temporary
from daemon.measuring import diagnose
from daemon.measuring.queries import Survey
from tests.core.build import MINUTE, NOW, RULE, SECOND, ago, make_change, make_problem, make_rule

SUSPECTS: dict[str, Any] = {
    "revisions": {
        "bad": 'sum by (pod_hash) (increase(errors{service="$service"}[$window]))',
        "total": 'sum by (pod_hash) (increase(requests{service="$service"}[$window]))',
        "label": "pod_hash",
    },
    "siblings": {
        "bad": "sum by (service) (increase(all_errors[$window]))",
        "total": "sum by (service) (increase(all_requests[$window]))",
        "label": "service",
    },
}
ONSET = ago(5)
CHANGES = [make_change("v2", ago(6), "v1")]


@dataclass
class ByLabel:
    """Prometheus with counts by label: metric → value → (before the onset, after it)."""

    label: Mapping[str, str]
    counts: dict[str, dict[str, tuple[float, float]]]
    onset: datetime
    warnings: Sequence[str] = ()
    fails: Exception | None = None
    asked: list[tuple[str, datetime]] = field(default_factory=list)

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        self.asked.append((query, at))
        if self.fails is not None:
            raise self.fails
        metric = query.partition("increase(")[2].partition("[")[0].partition("{")[0]
        found = self.counts.get(metric, {})
        series = [
            Series({self.label[metric]: name}, [(at.timestamp(), values[at >= self.onset])])
            for name, values in found.items()
        ]
        return QueryAnswer(query, series, self.warnings)

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        raise AssertionError


def metrics(onset: datetime = ONSET, **counts: dict[str, tuple[float, float]]) -> ByLabel:
    label = {"errors": "pod_hash", "requests": "pod_hash"}
    label |= {"all_errors": "service", "all_requests": "service"}
    revisions = {
        "errors": {"v2": (0.0, 60.0)},
        "requests": {"v1": (500.0, 400.0), "v2": (0.0, 500.0)},
        "all_errors": {"checkout": (1.0, 60.0), "search": (1.0, 1.0)},
        "all_requests": dict.fromkeys(("checkout", "search", "cart"), (500.0, 500.0)),
    }
    return ByLabel(label, revisions | counts, onset)


async def measured(known: ByLabel, onset: datetime | None = ONSET, **more: Any) -> Facts:
    rule = make_rule(suspects=SUSPECTS, **more)
    survey = Survey(known, rule.problem, {"service": "checkout"}, NOW, MINUTE)
    problem = make_problem(onset=onset, onset_within=30 * SECOND, baseline=0.998)
    return await diagnose.suspect_facts(survey, rule, CHANGES, problem)


async def test_the_facts_of_a_bad_release() -> None:
    known = metrics()
    found = await measured(known)
    assert found.contrast is not None
    assert found.contrast.counts == {"v1": (0.0, 400.0), "v2": (60.0, 500.0)}
    assert found.siblings == {
        "search": Sibling(then=(1, 500), now=(1, 500)),
        "cart": Sibling(then=(0, 500), now=(0, 500)),
    }
    assert found.labels == {"service": "checkout"}
    assert found.drop == 0.01
    assert found.usual == pytest.approx(0.002)
    before = {at for query, at in known.asked if "all_" in query}
    assert before == {NOW, ago(6)}
    assert 'increase(errors{service="checkout"}[1m])' in known.asked[0][0]
    blame = suspect(CHANGES, ONSET, 30 * SECOND, found)
    assert blame.text.endswith("new revision fails 12.0 %, old 0.0 %")


async def test_no_window_holds_anything_from_before_the_onset() -> None:
    """A revision that was gone by the onset would look healthy beside the new one."""
    known = metrics(onset=NOW - 70 * SECOND)
    assert (await measured(known, NOW - 70 * SECOND)).contrast is not None
    assert "[40s]" in known.asked[0][0]
    early = metrics(onset=NOW - 35 * SECOND)
    found = await measured(early, NOW - 35 * SECOND)
    assert (found.contrast, found.siblings) == (None, {})
    assert not any("increase" in query for query, _ in early.asked)
    assert (await measured(metrics(), None)).contrast is None


@pytest.mark.parametrize(
    "trouble", [Temporary("down"), Permanent("bad query"), TimeoutError("slow")]
)
async def test_what_cannot_be_asked_speaks_for_nobody(trouble: Exception) -> None:
    known = metrics()
    known.fails = trouble
    found = await measured(known)
    assert (found.contrast, found.siblings) == (None, {})


async def test_a_partial_answer_speaks_for_nobody() -> None:
    known = metrics()
    known.warnings = ["a shard is away"]
    found = await measured(known)
    assert (found.contrast, found.siblings) == (None, {})


@pytest.mark.parametrize(
    "requests",
    [
        {},
        {"v2": (0.0, 500.0)},
        {"v1": (500.0, math.nan), "v2": (0.0, 500.0)},
        {"v1": (500.0, math.inf), "v2": (0.0, 500.0)},
        {"v1": (500.0, 0.0), "v2": (0.0, 500.0)},
        {"v1": (500.0, 400.0), "v2": (0.0, 10.0)},
        {"": (500.0, 400.0), "v2": (0.0, 500.0)},
    ],
    ids=["empty", "one", "nan", "inf", "idle", "bad above total", "no label"],
)
async def test_one_measurable_revision_is_no_contrast(
    requests: dict[str, tuple[float, float]],
) -> None:
    assert (await measured(metrics(requests=requests))).contrast is None


async def test_a_label_that_fits_nowhere_speaks_for_nobody() -> None:
    known = metrics()
    rule = make_rule(suspects=SUSPECTS)
    survey = Survey(known, rule.problem, {"service": ""}, NOW, MINUTE)
    problem = make_problem(onset=ONSET, onset_within=30 * SECOND)
    assert (await diagnose.suspect_facts(survey, rule, CHANGES, problem)).contrast is None


async def test_a_rule_without_questions_asks_none() -> None:
    known = metrics()
    rule: Rule = make_rule()
    survey = Survey(known, rule.problem, {"service": "checkout"}, NOW, MINUTE)
    found = await diagnose.suspect_facts(survey, rule, CHANGES, make_problem(onset=ONSET))
    assert (found.contrast, found.siblings) == (None, {})
    assert [query.partition(" ")[0] for query, _ in known.asked] == ["group"], "for its targets"


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("sum by (v) (increase(x[$window]))", None),
        ("sum(increase(x[$window])) by (a, v)", None),
        ("increase(x[$window])", None),
        ("sum without (pod) (increase(x[$window]))", None),
        ("sum by (v) (increase(x[1m]))", "[$window]"),
        ("sum by (v (", "not PromQL"),
        ('sum by (v) (increase(x{a="$pod"}[$window]))', "$pod is not in `group_by`"),
        ("sum(increase(x[$window]))", "will not hold the label v; sum by (v)"),
        ("sum by (pod) (increase(x[$window]))", "will not hold the label v"),
    ],
)
def test_the_queries_about_suspects_are_checked(query: str, wrong: str | None) -> None:
    good = "sum by (v) (increase(y[$window]))"
    given = {"revisions": {"bad": query, "total": good, "label": "v"}}
    text = yaml.safe_dump({**RULE, "suspects": given}, sort_keys=False)
    read_rules = [(rule, document) for rule, document, _ in read_rule(text, "rule.yaml")]
    found = [m for m in check_rules(read_rules, {}, {}, None) if m.place.startswith("suspects")]
    if wrong is None:
        assert found == []
    else:
        assert [wrong in m.text for m in found] == [True]
        assert found[0].place == "suspects.revisions.bad"
