"""How the problem that an alert is about is measured, the best way first."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import promql_parser as p

from daemon.core.rules import promql
from daemon.core.rules.label_names import label_text, reference
from daemon.core.rules.promql import Narrow
from daemon.core.rules.query_templates import check_query, quote
from daemon.core.rules.threshold_spec import MOST_LEAVES
from daemon.onboarding.recording_rules import RecordingRules
from daemon.onboarding.shapes.condition import (
    FiringCondition,
    Leaf,
    joined,
    leaves,
    weakest,
)
from daemon.onboarding.shapes.narrowing import can_have, labels_named
from daemon.onboarding.shapes.ratios import Ratio, ratio_of
from daemon.onboarding.shapes.reading import NO_METRIC, ConditionReader, NoCondition

_DEAD_MAN = (
    "a dead man's switch, which fires always, is to be routed past Stopgap: delete this file then"
)
MeasureKind = Literal["counts", "threshold", "states", "expression", "alerts"]


@dataclass(frozen=True)
class MeasureDraft:
    """How an alert's problem is measured. `notes` say what a person should know.

    counts: `ratio`. All others have a `condition`: on quantities (threshold), on how many series
    are in a state that the alert names, like `up == 0` (states), on how many series its whole
    expression is true of (expression), on how many of its alerts fire (alerts). `passed`: by which
    share the condition's level is passed where each of several alerts fires, if they differ in
    their level alone; of counts the share of failures at which each fires. `why`: the reason why it
    is counted and not measured."""

    kind: MeasureKind
    condition: FiringCondition | None = None
    ratio: Ratio | None = None
    passed: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    why: str = ""


def selector_labels(query: str, recordings: RecordingRules) -> tuple[str, ...] | None:
    """The labels that an alert with this expression has; None if that cannot be told from it."""
    try:
        labels = promql.retained_labels(promql.parsed(query), recordings.trees)
    except ValueError:
        return None
    return None if labels is None else tuple(name for name in labels if name != "le")


def can_have_label(query: str, label: str) -> bool:
    """Whether an alert with this expression may have the label; True where it cannot be read."""
    try:
        return can_have(promql.parsed(query), label)
    except ValueError:
        return True


def ranges_of(query: str) -> list[timedelta]:
    """The ranges of its range selectors, the shortest first."""
    try:
        tree = promql.parsed(query)
    except ValueError:
        return []
    return sorted(n.range for n in promql.every(tree) if isinstance(n, p.MatrixSelector))


def measure(
    name: str,
    queries: Sequence[str],
    group_by: Collection[str],
    recordings: RecordingRules,
    known: Collection[str] | None = None,
) -> MeasureDraft:
    """How to measure what the alerts of this name are about: whether any of them should fire.

    `known`: all label names that Prometheus has, None if they are not known."""
    narrow = {label: reference(label) for label in group_by}
    try:
        trees = [promql.parsed(query) for query in queries]
    except ValueError:
        return by_alerts(name, narrow, "the expression could not be read here")
    if any(promql.function(node) == "timestamp" for tree in trees for node in promql.every(tree)):
        why = "it asks how old samples are, and old samples are no measurement"
        return by_alerts(name, narrow, why)
    if any(_at_a_bound(node) for tree in trees for node in promql.every(tree)):
        why = "`@ start()` and `@ end()` mean another moment where a past is looked at"
        return by_alerts(name, narrow, why)
    nowhere = frozenset[str]()
    if known is not None:
        retained = (promql.retained_labels(tree, recordings.trees) or () for tree in trees)
        nowhere = frozenset().union(*map(labels_named, trees), *retained) - frozenset(known)
    ratios = [ratio_of(tree, narrow, recordings, nowhere) for tree in trees]
    counts = _least(ratios)
    if counts is not None:
        limits = tuple(ratio.limit for ratio in ratios if ratio is not None)
        return MeasureDraft("counts", ratio=counts, passed=limits, notes=counts.notes)
    reader = ConditionReader(recordings, nowhere)
    try:
        conditions = [_condition(reader, tree, narrow) for tree in trees]
    except ValueError as error:
        return by_alerts(name, narrow, str(error))
    one = weakest(conditions)
    condition, passed = one if one is not None else (joined("any", *conditions), ())
    found = list(leaves(condition))
    if len(found) > MOST_LEAVES:
        return by_alerts(name, narrow, "it asks for more than a rule can hold")
    if any(check_query(leaf.query, list(narrow), windowed=False) for leaf in found):
        return by_alerts(name, narrow, "its query could not be written here")
    kind, notes = _kind(found), tuple(_notes(found))
    why = "no quantity could be told from it" if kind == "expression" else ""
    return MeasureDraft(kind, condition, passed=passed, notes=notes, why=why)


def _at_a_bound(node: Any) -> bool:
    """Whether it is evaluated at the beginning or the end of the range that is asked for."""
    at = getattr(node, "at", None)
    return at is not None and at.type != p.AtModifierType.At


def _notes(found: Sequence[Leaf]) -> Iterator[str]:
    if any(leaf.may_be_empty and not leaf.states for leaf in found):
        yield "`or vector(…)` stands for the time in which nothing is there to be judged"


def _least(ratios: Sequence[Ratio | None]) -> Ratio | None:
    """The one with the lowest limit, if all are of the same counts."""
    found = [ratio for ratio in ratios if ratio is not None]
    same = {(ratio.bad, ratio.total) for ratio in found}
    if len(found) < len(ratios) or len(same) != 1:
        return None
    return min(found, key=lambda ratio: ratio.limit)


def _condition(reader: ConditionReader, tree: Any, narrow: Narrow) -> FiringCondition:
    try:
        return reader.fires(tree, narrow)
    except NoCondition:
        return reader.present(tree, narrow)


def _kind(found: Sequence[Leaf]) -> MeasureKind:
    if any(leaf.whole for leaf in found):
        return "expression"
    return "states" if all(leaf.states for leaf in found) else "threshold"


def by_alerts(name: str, narrow: Mapping[str, str], why: str) -> MeasureDraft:
    """By Prometheus's own record of what fires."""
    if "$" in name:
        matcher = f"alertname=~{quote(re.sub(r'([^A-Za-z0-9_])', _in_class, name))}"
    else:
        matcher = f"alertname={quote(name)}"
    asked = [
        matcher,
        'alertstate="firing"',
        *(f'{label_text(n)}="{value}"' for n, value in narrow.items()),
    ]
    query = f"count(ALERTS{{{','.join(asked)}}})"
    fires = Leaf(query, (("at_least", 1.0),), may_be_empty=True)
    notes = (_DEAD_MAN,) if why == NO_METRIC else ()
    return MeasureDraft("alerts", fires, notes=notes, why=why)


def _in_class(match: re.Match[str]) -> str:
    found = match[1]
    return rf"\{found}" if found in r"\^]-[" else f"[{found}]"
