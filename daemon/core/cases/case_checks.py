"""What is wrong with a case that only its rule and the roster can tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from daemon.core.cases.raw_series import raw_mistake
from daemon.core.cases.rule_case import Never, Place, RuleCase, alert_labels
from daemon.core.rules.rule import Rule
from daemon.core.values.units import format_duration


def case_mistakes(
    case: RuleCase, rule: Rule | None, people: Sequence[str]
) -> Iterator[tuple[Place, str]]:
    """(place, what is wrong) of what the case says beyond the shape of each value: `rule` is the
    one it names (None: there is none), `people` those of the roster."""
    if rule is None:
        yield ("rule",), f"there is no rule {case.rule!r}; `stopgap check` lists what is wrong"
        return
    yield from _of_series(case, rule)
    yield from _of_raw(case)
    yield from _of_labels(case, rule)
    yield from _of_times(case)
    if not case.expect and case.never == Never():
        yield (), "it expects nothing; say under `expect:` or `never:` what must come of it"
    for index, move in enumerate(case.people):
        if move.who not in people:
            known = ", ".join(sorted(people))
            yield ("people", index, "who"), f"{move.who!r} is not in the roster; known: {known}"
    for number in case.actions:
        if number > len(rule.recover):
            steps = len(rule.recover)
            yield ("actions", number), f"{rule.rule} has {steps} steps; there is no step {number}"
    for index, number in enumerate(() if isinstance(case.approvals, str) else case.approvals):
        if not 1 <= number <= len(rule.recover):
            steps = len(rule.recover)
            yield ("approvals", index), f"{rule.rule} has {steps} steps; there is no step {number}"
    for index, change in enumerate(case.changes):
        if not change.reported_by and not rule.changes:
            text = f"{rule.rule} has no `changes:`, so it would not see it; or say `reported_by:`"
            yield ("changes", index), text


def _of_series(case: RuleCase, rule: Rule) -> Iterator[tuple[Place, str]]:
    given, problem = case.series, rule.problem
    if (given is None) == (not case.raw):
        yield (), "give either `series:` (what the queries answer) or `raw:` (for --promql)"
    if given is None:
        return
    wanted = {name for name in ("bad", "total", "value") if getattr(problem, name) is not None}
    several = len(problem.values) if problem.value is None else 0
    if len(given.values) != several:
        text = f"{rule.rule} has {several} queries in `threshold`; give one text for each"
        if not several:
            text = f"{rule.rule} has no `threshold` with several queries; remove it"
        yield ("series", "values"), text
    for name in ("bad", "total", "value"):
        has = getattr(given, name) is not None
        if has and name not in wanted:
            yield ("series", name), f"{rule.rule} has no query `{name}`"
        if not has and name in wanted:
            yield ("series",), f"`{name}` is missing: say what the rule's query answers"
    if given.total is not None and given.total.share is not None:
        yield ("series", "total"), "`share` is one of `total`; give `per_minute` or `counter` here"
    for kind, known in (("impact", problem.impact), ("sentiment", problem.sentiment)):
        for name in getattr(given, kind).keys() - known.keys():
            named = ", ".join(known) or "none"
            yield ("series", kind, name), f"{rule.rule} has no {kind} of that name; it has {named}"
    for kind in ("revisions", "siblings"):
        if getattr(given, kind) and getattr(rule.suspects, kind) is None:
            yield ("series", kind), f"{rule.rule} has no `suspects: {kind}:`"


def _of_raw(case: RuleCase) -> Iterator[tuple[Place, str]]:
    given: list[tuple[Place, dict[str, str]]] = [(("raw",), case.raw)]
    given += [(("actions", n, "then_raw"), one.then_raw) for n, one in case.actions.items()]
    for place, raw in given:
        for series, notation in raw.items():
            wrong = raw_mistake(series, notation)
            if wrong:
                yield (*place, series), wrong
    for number, action in case.actions.items():
        if (action.then is not None and case.raw) or (action.then_raw and not case.raw):
            text = "`then` goes with `series:`, and `then_raw` with `raw:`"
            yield ("actions", number), text


def _of_labels(case: RuleCase, rule: Rule) -> Iterator[tuple[Place, str]]:
    labels = alert_labels(case, rule)
    missing = [name for name in rule.group_by if not labels.get(name)]
    if missing:
        text = (
            f"`{missing[0]}` is missing, by which {rule.rule} groups: labels: {{{missing[0]}: …}}"
        )
        yield ("labels",), text


def _of_times(case: RuleCase) -> Iterator[tuple[Place, str]]:
    for index, one in enumerate(case.expect):
        if one.at > case.end:
            text = f"the case ends {format_duration(case.end)} after its beginning"
            yield ("expect", index, "at"), text
