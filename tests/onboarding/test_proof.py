"""Proof by execution, on a real Prometheus: what `stopgap init` proposes for the alerts of
`corpus.yml` confirms the problem in worlds in which the alert fires, and in no other.

The worlds are made from each alert's expression alone; `proving/` says how. The table that is
printed (`pytest -s`) has a line for each kind of alert, and one for each way of measuring.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from daemon.onboarding.prometheus_rules import Alerting, read_rules
from daemon.onboarding.recording_rules import RecordingRules
from daemon.onboarding.rule_drafts import draft_rules
from tests.onboarding.proving.prove import Verdicts, cases, prove
from tests.onboarding.proving.table import table

CORPUS = Path(__file__).parent / "corpus.yml"
MEASURED = frozenset({"counts", "threshold", "states"})
UNPROVEN = 3
"""Of so few alerts no world may be found; what they propose is neither proven nor disproven."""


def corpus() -> tuple[list[Alerting], RecordingRules]:
    """The alerts and the recording rules, as a Prometheus tells of them."""
    groups = yaml.safe_load(CORPUS.read_text())["groups"]
    for group in groups:
        group["interval"] = 30
        for rule in group["rules"]:
            rule["type"] = "recording" if "record" in rule else "alerting"
            rule["name"] = rule.get("record") or rule["alert"]
            rule["query"] = rule["expr"]
            held_for = rule.get("for", "0m")
            rule["duration"] = int(held_for[:-1]) * {"m": 60, "h": 3600}[held_for[-1]]
    return read_rules({"data": {"groups": groups}})


def test_the_corpus_is_measured_and_not_only_counted() -> None:
    alerts, recordings = corpus()
    drafts = draft_rules(alerts, recordings, team="shop")
    measured = sum(draft.alerts for draft in drafts if draft.kind in MEASURED)
    assert len(alerts) >= 120
    assert sum(draft.alerts for draft in drafts) == len(alerts)
    assert measured / len(alerts) >= 0.85
    assert all(draft.why for draft in drafts if draft.kind not in MEASURED)


def _by_group(verdict: Verdicts) -> str:
    return verdict.case.alert.group


def _by_kind(verdict: Verdicts) -> str:
    return verdict.case.draft.kind


@pytest.mark.timeout(120)
async def test_what_is_proposed_confirms_when_the_alert_fires_and_not_when_it_is_quiet(
    tmp_path: Path,
) -> None:
    alerts, recordings = corpus()
    verdicts = await prove(tmp_path / "proof", cases(alerts, recordings), recordings, most=1)
    views: tuple[Callable[[Verdicts], str], ...] = (_by_group, _by_kind)
    for view in views:
        sys.stdout.write(f"\n{table(verdicts, view)}\n")
    wrong = [
        f"{verdict.case.alert.name}: {problem.verdict} ({problem.reason}) in {world}"
        for verdict in verdicts
        for world, problem in verdict.wrong
    ]
    assert wrong == []
    untried = [verdict.case.alert.name for verdict in verdicts if verdict.trouble]
    assert len(untried) <= UNPROVEN, untried
