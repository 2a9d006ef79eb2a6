"""The concrete changes of rule files that an incident suggests; each of them passes the check."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from difflib import unified_diff
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import structlog
import yaml

from daemon.core.alertmanager import Alert
from daemon.core.incident import events as e
from daemon.core.incident.fold import fold
from daemon.core.incident.state import Incident
from daemon.core.ports.journal import Head
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.approved_content import may_be_secret
from daemon.core.rules.dependencies import RuleDependencies
from daemon.core.rules.label_names import reference
from daemon.core.rules.rule import Rule, load
from daemon.core.values.units import format_duration
from daemon.core.values.yaml_edit import NotEditable, append_item, find_document, set_key
from daemon.onboarding.prometheus_rules import Alerting
from daemon.onboarding.recording_rules import RecordingRules
from daemon.onboarding.rule_drafts import draft_rules
from daemon.replaying.case_runner import House

_log = structlog.get_logger()

_TOGETHER = timedelta(minutes=10)
"""Who recovers so soon after another one recovered with it."""
_SAME_ONSET = timedelta(minutes=2)
Edit = Callable[[str, int], str]
"""The text of a file, and which of its documents: the new text. Raises NotEditable."""


@dataclass(frozen=True)
class Standard:
    """One change of a rule file: `path` in the folder of the rules, its text `before` (empty: it is
    new) and `after`. `why` says what in the incident speaks for it. `voids`: (rule, step) of the
    approvals that end with it."""

    kind: e.StandardKind
    rule: str
    path: str
    why: str
    before: str
    after: str
    voids: tuple[tuple[str, int], ...] = ()

    @property
    def diff(self) -> str:
        """It as a unified diff."""
        old = f"a/{self.path}" if self.before else "/dev/null"
        lines = unified_diff(
            self.before.splitlines(keepends=True),
            self.after.splitlines(keepends=True),
            old,
            f"b/{self.path}",
        )
        return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def with_voids(standard: Standard, approvals: Approvals, now: datetime) -> Standard:
    """It, with the approvals that hold now and are void once it is written."""
    then = {rule.rule: rule for rule, _ in load(standard.after, standard.path)}
    before = load(standard.before, standard.path) if standard.before else []
    voids = tuple(
        (rule.rule, number)
        for rule, _ in before
        for number in range(1, len(rule.recover) + 1)
        if approvals.state_of(rule, number, now)[0] == "valid"
        and approvals.state_of(then[rule.rule], number, now)[0] != "valid"
    )
    return replace(standard, voids=voids)


@dataclass(frozen=True)
class RuleTexts:
    """The rule files by their path in the folder of the rules."""

    texts: Mapping[str, str]

    def of(self, rule: str) -> tuple[str, str, int]:
        """(path, text, document) where that rule stands. Raises NotEditable."""
        for path, text in self.texts.items():
            document = find_document(text, "rule", rule)
            if document is not None:
                return path, text, document
        raise NotEditable(f"the rule {rule!r} stands in no file")


def missing_rule(entries: Sequence[e.Entry], house: House, team: str) -> Iterator[Standard]:
    """A rule for alerts that none matched."""
    incident = fold(entries)
    if incident.rule:
        return
    drafts = draft_rules(
        list(_alerting(incident)),
        RecordingRules(()),
        team=team,
        taken=house.rules,
        proposed_by=f"stopgap apply {incident.id}",
    )
    for draft in drafts:
        why = f"no rule matched, so nothing was measured: {incident.title}"
        yield Standard("new_rule", draft.rule, draft.path, why, "", draft.text)


def missing_alternative(entries: Sequence[e.Entry], texts: RuleTexts) -> Iterator[Standard]:
    """What a person proposed in the incident, and what helped, as a step of the plan, unless that
    has it by now. It asks the Commander, as everything does that nobody has approved.

    A parameter that is the value of a label by which the rule groups is written as that label, for
    the step is for all of the rule's incidents.
    """
    incident = fold(entries)
    known: list[tuple[str, object]] = []
    proposed = {x.event.step: x.event for x in entries if isinstance(x.event, e.StepProposed)}
    for number, step in sorted(proposed.items()):
        state = incident.step(number)
        if state.verdict != "recovered" or not incident.rule:
            continue
        params = _of_any_incident(step.params, incident.group_labels)
        there = any(_is_there(texts, incident.rule, step.action, x) for x in (params, step.params))
        if there or (step.action, params) in known:
            continue
        known.append((step.action, params))
        lines = [
            f"action: {step.action}",
            f"with: {_flow(params)}",
            "approval: commander",
            f"within: {format_duration(step.within)}",
        ]
        why = f"{step.person} proposed {step.action}, and it helped: {state.verdict_text}"
        secret = [name for name, value in step.params.items() if may_be_secret(name, value)]
        if secret:
            why += f"; look at {', '.join(secret)} first: a secret does not belong into this file"
        edited = edited_rule(texts, incident.rule, partial(_with_step, lines=lines))
        if edited is not None:
            path, before, after = edited
            yield Standard("alternative", incident.rule, path, why, before, after)


def missing_dependency(
    entries: Sequence[e.Entry],
    heads: Sequence[Head],
    texts: RuleTexts,
    dependencies: RuleDependencies,
    rules: Mapping[str, Rule],
) -> Iterator[Standard]:
    """What failed at the same moment, and took this with it: recovered first, this recovered by
    itself. `heads` are those of the incidents about the same time.

    Nothing is learnt where both blame one change, or where several could be what took it with
    them: that they failed together says of neither that this calls it.
    """
    incident = fold(entries)
    rule = rules.get(incident.rule)
    if rule is None or incident.recovered_at is None or incident.confirmed is None:
        return
    winner = incident.steps.get(incident.recovered_by)
    if winner is not None and winner.verdict == "recovered":
        return  # it was restored by a step of its own
    suspect = incident.suspicion.change if incident.suspicion is not None else None
    aim = suspect.aim if suspect is not None else ""
    begin, end = incident.confirmed.onset_bounds
    found: dict[str, tuple[Head, timedelta]] = {}
    for head in heads:
        if head.incident == incident.id or head.suspect in {"", aim} or head.recovered_at is None:
            continue
        if head.rule in {"", incident.rule} or head.onset_from is None or begin is None:
            continue
        apart = abs(head.onset_from - begin)
        after = incident.recovered_at - head.recovered_at
        if end is None or apart > _SAME_ONSET or not timedelta(0) <= after <= _TOGETHER:
            continue
        upstream = rules.get(head.rule)
        if upstream is None or _known(rule, incident.group_labels, upstream, dependencies):
            continue
        found.setdefault(head.rule, (head, after))
    if len(found) != 1:
        return
    [(head, after)] = found.values()
    why = (
        f"{head.incident} ({head.rule}) began at the same moment and recovered "
        f"{format_duration(timedelta(seconds=round(after.total_seconds())))} before this did, "
        "by itself; write it only if this service calls that one"
    )
    edited = edited_rule(texts, rule.rule, partial(_with_upstream, name=head.rule))
    if edited is not None:
        path, before, changed = edited
        yield Standard("dependency", rule.rule, path, why, before, changed)


def _known(
    rule: Rule, labels: Mapping[str, str], upstream: Rule, dependencies: RuleDependencies
) -> bool:
    """Whether the rule depends on that already, or the other way round, also through others."""
    return (
        dependencies.depends(rule.rule, upstream.rule, {})
        or dependencies.depends(upstream.rule, rule.rule, labels)
        or dependencies.depends(upstream.rule, rule.rule, {})
    )


def edited_rule(texts: RuleTexts, rule: str, edit: Edit) -> tuple[str, str, str] | None:
    """(path, before, after) of an edit of that rule's file; None if it cannot be made."""
    try:
        path, text, document = texts.of(rule)
        return path, text, edit(text, document)
    except NotEditable as trouble:
        _log.info("a rule file is not edited", rule=rule, error=str(trouble))
        return None


def _with_step(text: str, document: int, lines: Sequence[str]) -> str:
    place, item = (document, "recover"), [f"- {lines[0]}", *(f"  {line}" for line in lines[1:])]
    ways: tuple[Edit, ...] = (
        lambda text, _: append_item(text, place, lines),
        lambda text, _: append_item(text, place, [f"{{{', '.join(lines)}}}"]),  # a list on one line
        lambda text, _: set_key(text, place, item),
    )
    for way in ways:
        with suppress(NotEditable):
            return way(text, document)
    raise NotEditable("`recover` is written in a way that is not edited")


def _is_there(texts: RuleTexts, rule: str, action: str, params: object) -> bool:
    """Whether the plan has that step by now."""
    try:
        _, text, document = texts.of(rule)
    except NotEditable:
        return False
    written = list(yaml.safe_load_all(text))[document]
    steps = written.get("recover") if isinstance(written, Mapping) else None
    return any(
        isinstance(one, Mapping)
        and (one.get("action"), one.get("with") or {}) == (action, params or {})
        for one in (steps if isinstance(steps, list) else ())
    )


def _of_any_incident(params: Any, labels: Mapping[str, str]) -> Any:
    """The parameters, with each text that is the value of one label alone as that label."""
    if isinstance(params, Mapping):
        return {name: _of_any_incident(value, labels) for name, value in params.items()}
    if isinstance(params, list | tuple):
        return [_of_any_incident(value, labels) for value in params]
    named = [name for name, value in labels.items() if value and value == params]
    return reference(named[0]) if len(named) == 1 else params


def _with_upstream(text: str, document: int, name: str) -> str:
    try:
        return append_item(text, (document, "depends_on"), [name])
    except NotEditable:
        return set_key(text, (document, "depends_on"), [f"[{name}]"])


def _flow(params: object) -> str:
    """Plain data as YAML on one line."""
    text = yaml.safe_dump(
        json.loads(json.dumps(params)),
        default_flow_style=True,
        allow_unicode=True,
        width=10**9,
        sort_keys=False,
    )
    return str(text).strip()


def _alerting(incident: Incident) -> Iterator[Alerting]:
    """The alerts as the rules that made them, as far as they tell: the expression is in the link
    to Prometheus."""
    named: dict[str, list[Alert]] = {}
    for alert in incident.alerts.values():
        named.setdefault(alert.name, []).append(alert)
    for name, alerts in named.items():
        first = alerts[0]
        yield Alerting(
            name=name,
            query=_expression(first.generator_url),
            group="incidents",
            labels={n: v for n, v in first.labels.items() if n == "severity"},
            annotations=first.annotations,
            active=tuple(alert.labels for alert in alerts),
        )


def _expression(generator_url: str) -> str:
    """The expression in Prometheus's link to its graph; empty if it is not there."""
    try:
        return parse_qs(urlsplit(generator_url).query).get("g0.expr", [""])[0]
    except ValueError:
        return ""
