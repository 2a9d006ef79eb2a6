"""Rule files: what counts as a problem, how it is measured, and what may be done about it.

A rule is one YAML document. `load` reads it, `check` compares it with the roster and the
actions, `RuleBook` finds the rules of an alert. Every mistake is reported with its line.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from daemon.core.alerts import Labels
from daemon.core.document import Document, Mistake, Mistakes, documents
from daemon.core.matchers import Matcher, MatcherIndex, parse_matcher
from daemon.core.templates import check_query, names_in, render_params
from daemon.core.units import Duration, Frozen, PerMinute, Share, parse_duration

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
LabelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]


def _spelled(matcher: Matcher) -> str:
    return f"{matcher.name}{matcher.op}{json.dumps(matcher.value, ensure_ascii=False)}"


MatcherText = Annotated[
    Matcher,
    BeforeValidator(lambda text: parse_matcher(text) if isinstance(text, str) else text),
    PlainSerializer(_spelled),
    WithJsonSchema({"type": "string", "description": 'a matcher: alertname="HighErrors"'}),
]


class Confirm(Frozen):
    """How much worse than the baseline it must be before anything is done.

    For counts `drop` (share points of the success rate); for values `rise` (relative to the
    baseline) or `by` (in the metric's unit), or both.
    """

    drop: Share | None = None
    rise: Share | Annotated[float, Field(gt=0)] | None = None
    by: float | None = Field(default=None, gt=0)
    traffic: PerMinute = 0.0


class ProblemSpec(Frozen):
    """How the problem is measured: two counts (`bad`, `total`), or one `value`."""

    symptom: str = Field(min_length=1, max_length=120)
    bad: str | None = None
    total: str | None = None
    value: str | None = None
    direction: Literal["lower_is_better", "higher_is_better"] = "lower_is_better"
    windows: tuple[Duration, ...] = (parse_duration("1m"), parse_duration("5m"))
    baseline: Duration = parse_duration("45m")
    confirm: Confirm
    severity: dict[Literal["sev1", "sev2", "sev3", "sev4"], Share] = Field(default_factory=dict)
    impact: dict[str, str] = Field(default_factory=dict)
    sentiment: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_kind(self) -> ProblemSpec:
        counted = self.bad is not None
        if counted == (self.value is not None):
            raise ValueError("give either `bad` and `total` (two counts), or `value`; not both")
        if counted and self.total is None:
            raise ValueError("`bad` needs `total` beside it: a ratio is two counts")
        if counted and self.confirm.drop is None:
            raise ValueError("`confirm` needs `drop:`, the loss of success rate that matters")
        if counted and (self.confirm.rise is not None or self.confirm.by is not None):
            raise ValueError("`rise` and `by` belong to `value`; for counts use `drop`")
        if not counted and self.confirm.rise is None and self.confirm.by is None:
            raise ValueError("`confirm` needs `rise:` (relative) or `by:` for a value")
        if not counted and self.confirm.drop is not None:
            raise ValueError("`drop` belongs to `bad` and `total`; for a value use `rise`")
        if not counted and self.total is None and self.confirm.traffic:
            raise ValueError("`confirm.traffic` needs `total:`, the query that counts the events")
        return self

    @model_validator(mode="after")
    def _widths(self) -> ProblemSpec:
        if not self.windows or list(self.windows) != sorted(set(self.windows)):
            raise ValueError("`windows` must grow, the shortest first: [1m, 5m]")
        if self.windows[0].total_seconds() < 1:
            raise ValueError("the shortest window must be at least 1s")
        if self.baseline < 3 * self.windows[-1]:
            raise ValueError("`baseline` must be at least three times the longest window")
        thresholds = [self.severity[name] for name in sorted(self.severity)]
        if thresholds != sorted(thresholds, reverse=True):
            raise ValueError("`severity` must fall: sev1 has the greatest threshold")
        return self

    def queries(self) -> dict[tuple[str, ...], tuple[str, bool]]:
        """Every query by its place below `problem`: (PromQL template, must use [$window])."""
        found: dict[tuple[str, ...], tuple[str, bool]] = {}
        for name in ("bad", "total"):
            query = getattr(self, name)
            if query is not None:
                found[(name,)] = (query, True)
        if self.value is not None:
            found[("value",)] = (self.value, False)
        for group in ("impact", "sentiment"):
            for name, query in getattr(self, group).items():
                found[(group, name)] = (query, False)
        return found


class StepSpec(Frozen):
    """One alternative of the recovery plan."""

    action: str
    params: dict[str, Any] = Field(default_factory=dict, alias="with")
    when: Literal["always", "suspect_change"] = "always"
    approval: Literal["automatic", "commander"] = "commander"
    within: Duration = parse_duration("10m")


class VerifySpec(Frozen):
    """How recovery is proven after a step, and for how long a relapse is watched for."""

    settle: Duration = parse_duration("30s")
    hold: Duration = parse_duration("3m")
    near_baseline: Share = 0.005
    traffic: Share = 0.5
    watch: Duration = parse_duration("30m")


class Rule(Frozen):
    """One rule file."""

    rule: Name
    description: str = ""
    match: tuple[MatcherText, ...] = Field(min_length=1)
    group_by: tuple[LabelName, ...] = ()
    team: str
    problem: ProblemSpec
    changes: dict[str, dict[str, Any]] = Field(default_factory=dict)
    recover: tuple[StepSpec, ...] = ()
    verify: VerifySpec = VerifySpec()

    @model_validator(mode="after")
    def _selective(self) -> Rule:
        if not any(m.op in {"=", "=~"} and m.value not in {"", ".*"} for m in self.match):
            raise ValueError('`match` selects every alert; add one like alertname="…"')
        return self

    def group(self, labels: Mapping[str, str]) -> Labels:
        """The labels by which this rule's incidents are told apart."""
        return {name: labels.get(name, "") for name in self.group_by}

    def step(self, number: int) -> StepSpec:
        """Step `number`, counted from 1."""
        return self.recover[number - 1]

    def content_hash(self, number: int) -> str:
        """What an approval of step `number` is bound to; hex SHA-256.

        It covers everything that decides when the step runs and what it does: change a
        character and the approval is void.
        """
        content = self.model_dump(mode="json", by_alias=True, exclude={"recover", "team"})
        for told in ("impact", "sentiment", "severity"):
            del content["problem"][told]
        del content["description"]
        content["step"] = self.step(number).model_dump(mode="json", by_alias=True)
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


class RuleBook:
    """All rules in force, and the index over them."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = {rule.rule: rule for rule in rules}
        self._index = MatcherIndex((rule.match, rule) for rule in self.rules.values())

    def find(self, labels: Mapping[str, str]) -> list[Rule]:
        """The rules whose matchers all hold for these labels."""
        return self._index.find(labels)


def incident_key(rule: str, group_labels: Mapping[str, str]) -> str:
    """What at most one open incident may have."""
    return json.dumps([rule, sorted(group_labels.items())], ensure_ascii=False)


def load(text: str, file: str) -> list[tuple[Rule, Document]]:
    """Read a rule file; several rules may stand in it, parted by `---`. Raises Mistakes."""
    found: list[tuple[Rule, Document]] = []
    mistakes: list[Mistake] = []
    for document in documents(text, file):
        try:
            found.append((document.read(Rule), document))
        except Mistakes as error:
            mistakes += error.mistakes
    if mistakes:
        raise Mistakes(mistakes)
    return found


def check(
    rules: Sequence[tuple[Rule, Document]],
    actions: Mapping[str, Any],
    watches: Mapping[str, Any],
    teams: Iterable[str],
) -> list[Mistake]:
    """Every mistake that the files alone do not show.

    `actions` and `watches` map names to objects with `Params` (a pydantic model) and, for
    actions, `allowed(params)`; see `daemon.core.ports`.
    """
    mistakes: list[Mistake] = []
    seen: dict[str, str] = {}
    known_teams = set(teams)
    for rule, document in rules:
        if rule.rule in seen:
            text = f"the name {rule.rule!r} is taken by {seen[rule.rule]}; choose another"
            mistakes.append(document.mistake(("rule",), text))
        seen.setdefault(rule.rule, document.file)
        if rule.team not in known_teams:
            text = f"no team {rule.team!r} in the roster; known: {_listed(known_teams)}"
            mistakes.append(document.mistake(("team",), text))
        for place, (query, windowed) in rule.problem.queries().items():
            wrong = check_query(query, rule.group_by, windowed)
            if wrong is not None:
                mistakes.append(document.mistake(("problem", *place), wrong))
        for index, step in enumerate(rule.recover):
            mistakes += _check_step(rule, document, index, step, actions)
        for name, params in rule.changes.items():
            place = ("changes", name)
            if names_in(params):
                text = "changes are watched before any alert comes, so no $label has a value here"
                mistakes.append(document.mistake(place, text))
            else:
                mistakes += _check_params(rule, document, place, name, params, watches)
    return mistakes


def _check_step(
    rule: Rule, document: Document, index: int, step: StepSpec, actions: Mapping[str, Any]
) -> list[Mistake]:
    place = ("recover", index)
    if step.action not in actions:
        text = f"no action {step.action!r}; known: {_listed(actions)}"
        return [document.mistake((*place, "action"), text)]
    mistakes = _check_params(rule, document, (*place, "with"), step.action, step.params, actions)
    if step.when == "suspect_change" and not rule.changes:
        text = "`suspect_change` needs `changes:`, or no change will ever be seen"
        mistakes.append(document.mistake((*place, "when"), text))
    return mistakes


def _check_params(
    rule: Rule,
    document: Document,
    place: tuple[str | int, ...],
    name: str,
    params: Mapping[str, Any],
    known: Mapping[str, Any],
) -> list[Mistake]:
    if name not in known:
        return [document.mistake(place, f"no {name!r} is known here; known: {_listed(known)}")]
    unknown = names_in(dict(params)) - set(rule.group_by)
    if unknown:
        text = f"${min(unknown)} is not in `group_by`, so it will have no value"
        return [document.mistake(place, text)]
    try:
        ready = known[name].Params.model_validate(
            render_params(dict(params), dict.fromkeys(rule.group_by, "x"))
        )
    except ValidationError as error:
        return [
            document.mistake((*place, *problem["loc"]), str(problem["msg"]))
            for problem in error.errors(include_url=False)
        ]
    refused = known[name].allowed(ready) if hasattr(known[name], "allowed") else None
    return [document.mistake(place, refused)] if refused else []


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
