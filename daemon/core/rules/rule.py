"""Rule files: what counts as a problem, how it is measured, and what may be done about it.

A rule is one YAML document. `load` reads it, `rule_checks` compares it with the roster and the
actions, `RuleBook` finds the rules of an alert. Every mistake is reported with its line.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from daemon.core.alertmanager import Labels
from daemon.core.rules.depends_on import UpstreamText
from daemon.core.rules.label_names import wrong_label_name
from daemon.core.rules.matchers import Matcher, MatcherIndex, parse_matcher, spell_matcher
from daemon.core.rules.problem_kinds import wrong_kind
from daemon.core.rules.threshold_spec import Threshold
from daemon.core.values.units import Duration, Frozen, PerMinute, Share, parse_duration, unset
from daemon.core.values.yaml_document import FileMistake, Mistakes, YamlDocument, documents


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,62}", text):
        raise ValueError(f"{text!r} is no name; use lower case letters, digits and . _ -")
    return text


def _label_name(text: str) -> str:
    wrong = wrong_label_name(text)
    if wrong:
        raise ValueError(wrong)
    return text


def _growing(windows: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
    if not windows or list(windows) != sorted(set(windows)):
        raise ValueError("windows must grow, the shortest first: [1m, 5m]")
    if windows[0].total_seconds() < 1:
        raise ValueError("the shortest window must be at least 1s")
    return windows


def _falling(severity: dict[str, float]) -> dict[str, float]:
    thresholds = [severity[name] for name in sorted(severity)]
    if thresholds != sorted(thresholds, reverse=True):
        raise ValueError("thresholds must fall: sev1 has the greatest")
    return severity


Name = Annotated[str, AfterValidator(_name)]
LabelName = Annotated[
    str,
    AfterValidator(_label_name),
    WithJsonSchema(
        {"type": "string", "description": "a label: service, or any text such as service.name"}
    ),
]


_NOBODYS_VALUE = "\N{REPLACEMENT CHARACTER} stopgap"
"""A label value that no alert has: what matches it, matches everything."""


MatcherText = Annotated[
    Matcher,
    BeforeValidator(lambda text: parse_matcher(text) if isinstance(text, str) else text),
    PlainSerializer(spell_matcher),
    WithJsonSchema({"type": "string", "description": 'a matcher: alertname="HighErrors"'}),
]


class Confirm(Frozen):
    """How much worse than the baseline it must be before anything is done.

    For counts `drop` (share points of the success rate), and with `failing` so great a share must
    fail besides, whatever is usual; for values `rise` (relative to the
    baseline) or `by` (in the metric's unit), or both.
    """

    drop: Share | None = None
    failing: Share | None = None
    rise: Share | Annotated[float, Field(gt=0)] | None = None
    by: float | None = Field(default=None, gt=0)
    traffic: PerMinute = 0.0

    def loss(self, baseline: float) -> float:
        """The loss that confirms: share points for counts, relative to the baseline for values."""
        if self.drop is not None:
            return self.drop
        if not baseline:  # nothing is relative to zero
            return self.by if self.by is not None else math.inf
        return max(self.rise or 0.0, (self.by or 0.0) / abs(baseline))


ProblemKind = Literal["counts", "value", "threshold"]


class ProblemSpec(Frozen):
    """How the problem is measured: two counts (`bad`, `total`), one `value` against what it was
    before, or what a `threshold` says of one value or several.

    `severity`: from which loss on; with a threshold, by how much that is passed, relative to it.
    `target`: what the service is to reach, a success rate for counts, in the metric's unit for a
    value. It is the baseline as long as the service has no past: seen for less than half of
    `baseline`, or with too little before the trouble to tell what is normal.
    """

    symptom: str = Field(min_length=1, max_length=120)
    bad: str | None = None
    total: str | None = None
    value: str | None = None
    threshold: Threshold | None = None
    direction: Literal["lower_is_better", "higher_is_better"] = "lower_is_better"
    windows: Annotated[tuple[Duration, ...], AfterValidator(_growing)] = (
        parse_duration("1m"),
        parse_duration("5m"),
    )
    baseline: Duration = parse_duration("45m")
    target: Share | Annotated[float, Field(gt=0)] | None = None
    confirm: Confirm = unset(Confirm)
    severity: Annotated[
        dict[Literal["sev1", "sev2", "sev3", "sev4"], Share], AfterValidator(_falling)
    ] = Field(default_factory=dict)
    impact: dict[str, str] = Field(default_factory=dict)
    sentiment: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _long_enough(self) -> ProblemSpec:
        if self.baseline < 3 * self.windows[-1]:
            raise ValueError("`baseline` must be at least three times the longest window")
        return self

    @property
    def kind(self) -> ProblemKind:
        """What the measurement is judged by."""
        if self.threshold is not None:
            return "threshold"
        return "counts" if self.value is None else "value"

    @property
    def condition(self) -> Threshold:
        """The threshold with the query of each leaf in it. Only of that kind."""
        if self.threshold is None:
            raise ValueError(f"{self.symptom} has no threshold")
        if self.value is None:
            return self.threshold
        return self.threshold.model_copy(update={"value": self.value})

    @property
    def main(self) -> tuple[str, ...]:
        """The queries whose series tell how fresh a measurement is, and when they are scraped."""
        if self.threshold is None and self.total is not None:
            return (self.total,)
        return self.values

    @property
    def queries(self) -> tuple[str, ...]:
        """All queries by which the problem itself is measured."""
        return tuple(q for q in (self.bad, self.total, *self.values) if q is not None)

    @property
    def values(self) -> tuple[str, ...]:
        """The queries of what is no count: the value, or each leaf's, once; empty for counts."""
        if self.threshold is not None:
            queries = (leaf.value for leaf in self.condition.leaves())
            return tuple(dict.fromkeys(query for query in queries if query is not None))
        return () if self.value is None else (self.value,)


class StepSpec(Frozen):
    """One alternative of the recovery plan."""

    action: str
    params: dict[str, Any] = Field(default_factory=dict, alias="with")
    when: Literal["always", "suspect_change"] = "always"
    approval: Literal["automatic", "commander"] = "commander"
    within: Annotated[Duration, Field(gt=timedelta(0))] = parse_duration("10m")


class VerifySpec(Frozen):
    """How recovery is proven after a step, and for how long a relapse is watched for.

    Without `near_baseline` it is half a point for counts and a quarter of `rise` or `by` for a
    value.
    """

    settle: Duration = parse_duration("30s")
    hold: Annotated[Duration, Field(gt=timedelta(0))] = parse_duration("3m")
    near_baseline: Share | None = None
    traffic: Share = 0.5
    watch: Duration = parse_duration("30m")


class Comparing(Frozen):
    """Two counts for each value of `label`, to compare what carries one with the others."""

    bad: str
    total: str
    label: LabelName


class SuspectSpec(Frozen):
    """What the metrics can say of a suspect change.

    `revisions`: the counts by revision; `label` holds the names that the changes have.
    `siblings`: the counts by service, of services that would suffer from a shared cause.
    """

    revisions: Comparing | None = None
    siblings: Comparing | None = None


class DiagnosisSpec(Frozen):
    """What is looked at when the cause is looked for.

    `labels`: by which the rule's counts are parted; none: those that its series have. `series`:
    further queries whose movement at the onset would tell something.
    """

    labels: tuple[LabelName, ...] = Field(default=(), max_length=20)
    series: tuple[str, ...] = Field(default=(), max_length=20)


Mode = Literal["observe", "approve", "automatic"]


class Rule(Frozen):
    """One rule file.

    `mode` caps all steps: `observe` writes down what would have been done, `approve` asks the
    Commander for each step, `automatic` leaves it to the steps' own `approval`. `domain` is the
    failure domain that the actions of this rule count in. `depends_on`: what this one fails with;
    when both began to fail at the same moment, that is recovered first. `prometheus`: which of the
    settings' `prometheus.servers` is asked all that this rule wants to know.
    """

    rule: Name
    description: str = ""
    match: tuple[MatcherText, ...] = Field(min_length=1)
    group_by: tuple[LabelName, ...] = ()
    team: str
    prometheus: Name | None = None
    problem: ProblemSpec
    mode: Mode = "automatic"
    domain: str = ""
    depends_on: tuple[UpstreamText, ...] = ()
    changes: dict[str, dict[str, Any]] = Field(default_factory=dict)
    suspects: SuspectSpec = unset(SuspectSpec)
    recover: tuple[StepSpec, ...] = ()
    verify: VerifySpec = unset(VerifySpec)
    diagnosis: DiagnosisSpec = unset(DiagnosisSpec)

    @model_validator(mode="after")
    def _selective(self) -> Rule:
        if all(m.matches({}) or m.matches({m.name: _NOBODYS_VALUE}) for m in self.match):
            raise ValueError('`match` selects every alert; add one like alertname="…"')
        return self

    def group(self, labels: Mapping[str, str]) -> Labels:
        """The labels by which this rule's incidents are told apart."""
        return {name: labels.get(name, "") for name in self.group_by}

    def step(self, number: int) -> StepSpec:
        """Step `number`, counted from 1."""
        return self.recover[number - 1]


MOST_GROUPED = 1000
"""Of so many alerts a RuleBook remembers at most which rules they have."""
_FEW_NAMES = 20
"""Of rules that look at no more labels than that, alerts are compared by those alone."""


class RuleBook:
    """All rules in force, and the index over them. `files`: in which file each rule stands."""

    def __init__(self, rules: Iterable[Rule], files: Mapping[str, str] | None = None) -> None:
        self.files = files or {}
        self.rules = {rule.rule: rule for rule in rules}
        self._index = MatcherIndex((rule.match, rule) for rule in self.rules.values())
        looked_at = {name for rule in self.rules.values() for name in _looked_at(rule)}
        self._looked_at = sorted(looked_at) if len(looked_at) <= _FEW_NAMES else None
        self._grouped: dict[tuple[object, ...], Sequence[tuple[Rule, Labels]]] = {}

    def find(self, labels: Mapping[str, str]) -> list[Rule]:
        """The rules whose matchers all hold for these labels."""
        return self._index.find(labels)

    def grouped(self, labels: Mapping[str, str]) -> Sequence[tuple[Rule, Labels]]:
        """The same, each with its group. What fires is told again and again, and beside others of
        its group, so the newest are remembered."""
        names = self._looked_at
        alike = tuple(labels.items()) if names is None else tuple(map(labels.get, names))
        found = self._grouped.get(alike)
        if found is None:
            if len(self._grouped) >= MOST_GROUPED:
                self._grouped.clear()
            found = [(rule, rule.group(labels)) for rule in self.find(labels)]
            self._grouped[alike] = found
        return found


def _looked_at(rule: Rule) -> Iterator[str]:
    """The names of the labels by which an alert is one of the rule's, and of a group of it."""
    yield from rule.group_by
    for matcher in rule.match:
        yield matcher.name


_KEY = json.JSONEncoder(ensure_ascii=False)
"""Made once: json.dumps with options makes one each time."""


def incident_key(rule: str, group_labels: Mapping[str, str]) -> str:
    """What at most one open incident may have."""
    return _KEY.encode([rule, sorted(group_labels.items())])


def read_rule(text: str, file: str) -> list[tuple[Rule | None, YamlDocument, list[FileMistake]]]:
    """Read a rule file; several rules may stand in it, parted by `---`.

    A rule with mistakes is None, and its document is there to be checked all the same. Raises
    Mistakes only if the file is not YAML.
    """
    found: list[tuple[Rule | None, YamlDocument, list[FileMistake]]] = []
    for document in documents(text, file):
        mistakes = [document.mistake(place, wrong) for place, wrong in wrong_kind(document.data)]
        rule = None
        try:
            rule = document.read(Rule)
        except Mistakes as error:
            mistakes += error.mistakes
        found.append((None if mistakes else rule, document, mistakes))
    return found


def load(text: str, file: str) -> list[tuple[Rule, YamlDocument]]:
    """The rules of a file. Raises Mistakes with all that are found in the file alone."""
    found = read_rule(text, file)
    mistakes = [mistake for _, _, mistakes in found for mistake in mistakes]
    if mistakes:
        raise Mistakes(mistakes)
    return [(rule, document) for rule, document, _ in found if rule is not None]
