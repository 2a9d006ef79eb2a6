"""What is wrong with rule files that only the roster, the actions and PromQL can tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from daemon.core.rules.dependencies import wrong_dependencies
from daemon.core.rules.known_names import KnownNames, check_names
from daemon.core.rules.label_names import label_text, reference
from daemon.core.rules.promql_dialect.judging import judge_query
from daemon.core.rules.query_templates import (
    Judge,
    JudgeFor,
    check_query,
    names_in,
    query_hints,
    render_params,
)
from daemon.core.rules.rule import Rule
from daemon.core.rules.threshold_spec import threshold_queries
from daemon.core.values.yaml_document import FileMistake, Mistakes, YamlDocument

_AGGREGATION = re.compile(r"\b(?:sum|count|avg|max|min|group)\b(?=\s*(?:\(|by\b))")
_BY = re.compile(r"\bby\s*\(([^)]*)\)")


def check_rules(
    rules: Sequence[tuple[Rule | None, YamlDocument]],
    actions: Mapping[str, Any],
    watches: Mapping[str, Any],
    teams: Iterable[str] | None,
    names: KnownNames | None = None,
    judge_for: JudgeFor = lambda _: judge_query,
) -> list[FileMistake]:
    """Every mistake that a file alone does not show.

    It looks at the documents as written, so that a mistake in one place hides none elsewhere.
    `actions` and `watches` map names to objects with `Params` (a pydantic model) and, for
    actions, `allowed(params)`; see `daemon.core.ports`. `teams` and `names` are None if nobody
    knows them. `judge_for` says of each server whether it would take a query.
    """
    mistakes: list[FileMistake] = []
    seen: dict[str, str] = {}
    for _, document in rules:
        data = document.data if isinstance(document.data, dict) else {}
        if names is not None:
            mistakes += check_names(document, data, actions, watches, names)
        name = str(data.get("rule"))
        if name in seen and "rule" in data:
            text = f"the name {name!r} is taken by {seen[name]}; choose another"
            mistakes.append(document.mistake(("rule",), text))
        seen.setdefault(name, document.file)
        team = data.get("team")
        if teams is not None and isinstance(team, str) and team not in set(teams):
            text = f"no team {team!r} in the roster; known: {_listed(teams)}"
            mistakes.append(document.mistake(("team",), text))
        mistakes += _check_queries(document, data, judge_for(_server(data)))
        mistakes += _check_plan(document, data, actions, watches)
    return [*mistakes, *_check_dependencies(rules, seen)]


def _check_dependencies(
    rules: Sequence[tuple[Rule | None, YamlDocument]], names: Iterable[str]
) -> Iterator[FileMistake]:
    documents = {rule.rule: document for rule, document in rules if rule is not None}
    readable = [rule for rule, _ in rules if rule is not None]
    for rule, index, wrong in wrong_dependencies(readable, names):
        yield documents[rule].mistake(("depends_on", index), wrong)


@dataclass(frozen=True, slots=True)
class _RuleQuery:
    """A template of a rule as written, and its place. `kept`: the label that its answer must
    hold."""

    place: tuple[str | int, ...]
    template: Any
    windowed: bool = False
    kept: str | None = None


def _check_queries(
    document: YamlDocument, data: Mapping[str, Any], judge: Judge
) -> Iterator[FileMistake]:
    for query in _queries(data):
        wrong = check_query(query.template, _labels(data), query.windowed, judge)
        kept = query.kept
        if wrong is None and kept is not None and not _keeps(query.template, kept):
            wrong = f"the answer will not hold the label {kept}; sum by ({label_text(kept)}) (…)"
        if wrong is not None:
            yield document.mistake(query.place, wrong)


def rule_hints(
    rules: Iterable[tuple[Rule, YamlDocument]], judge_for: JudgeFor = lambda _: judge_query
) -> list[FileMistake]:
    """What to know about queries that are not wrong, each with its place."""
    return [
        document.mistake(query.place, hint)
        for rule, document in rules
        for judge in (judge_for(rule.prometheus),)
        for query in _queries(document.data)
        if check_query(query.template, _labels(document.data), query.windowed, judge) is None
        for hint in query_hints(query.template, judge)
    ]


def _server(data: Mapping[str, Any]) -> str | None:
    named = data.get("prometheus")
    return named if isinstance(named, str) else None


def _queries(data: Mapping[str, Any]) -> Iterator[_RuleQuery]:
    """Every query of a rule, as written."""
    found = [
        *_problem_queries(data),
        *_suspect_queries(data),
        *_series_queries(data),
        *_change_queries(data),
    ]
    return (query for query in found if isinstance(query.template, str))


def _problem_queries(data: Mapping[str, Any]) -> Iterator[_RuleQuery]:
    problem = data.get("problem")
    if not isinstance(problem, dict):
        return
    queries: dict[tuple[str | int, ...], Any] = {
        (name,): problem[name] for name in ("bad", "total", "value") if name in problem
    }
    queries |= dict(threshold_queries(problem.get("threshold")))
    for group in ("impact", "sentiment"):
        named = problem.get(group)
        if isinstance(named, dict):
            queries |= {(group, str(name)): query for name, query in named.items()}
    for place, query in queries.items():
        yield _RuleQuery(("problem", *place), query, place in {("bad",), ("total",)})


def _suspect_queries(data: Mapping[str, Any]) -> Iterator[_RuleQuery]:
    """The counts by label: PromQL, of a window, and still with that label."""
    suspects = data.get("suspects")
    for name, given in suspects.items() if isinstance(suspects, dict) else ():
        label = given.get("label") if isinstance(given, dict) else None
        for count in ("bad", "total"):
            query = given.get(count) if isinstance(given, dict) else None
            kept = label if isinstance(label, str) else None
            yield _RuleQuery(("suspects", str(name), count), query, windowed=True, kept=kept)


def _series_queries(data: Mapping[str, Any]) -> Iterator[_RuleQuery]:
    """The queries of `diagnosis.series`; `$window` may stand in them."""
    diagnosis = data.get("diagnosis")
    series = diagnosis.get("series") if isinstance(diagnosis, dict) else None
    for index, query in enumerate(series if isinstance(series, list) else ()):
        yield _RuleQuery(("diagnosis", "series", index), query)


def _change_queries(data: Mapping[str, Any]) -> Iterator[_RuleQuery]:
    """The queries by which changes are seen."""
    changes = data.get("changes")
    for name, params in changes.items() if isinstance(changes, dict) else ():
        query = params.get("query") if isinstance(params, dict) else None
        yield _RuleQuery(("changes", str(name), "query"), query)


def _keeps(query: str, label: str) -> bool:
    """Whether the answer may hold that label: aggregations drop what they are not told to keep."""
    if not _AGGREGATION.search(query) or re.search(r"\bwithout\b", query):
        return True
    labels = [name.strip(" \t\n\"'`") for names in _BY.findall(query) for name in names.split(",")]
    return label in labels


def _check_plan(
    document: YamlDocument,
    data: Mapping[str, Any],
    actions: Mapping[str, Any],
    watches: Mapping[str, Any],
) -> Iterator[FileMistake]:
    steps = data.get("recover")
    for index, step in enumerate(steps if isinstance(steps, list) else ()):
        if not isinstance(step, dict):
            continue
        name, place = str(step.get("action")), ("recover", index)
        if name in actions:
            params = step.get("with", {})
            yield from _check_params(document, (*place, "with"), params, actions[name])
        elif "action" in step:
            text = f"no action {name!r}; known: {_listed(actions)}"
            yield document.mistake((*place, "action"), text)
        if step.get("when") == "suspect_change" and not data.get("changes"):
            text = "`suspect_change` needs `changes:`, or no change will ever be seen"
            yield document.mistake((*place, "when"), text)
    changes = data.get("changes")
    for name, params in changes.items() if isinstance(changes, dict) else ():
        where = ("changes", str(name))
        if name not in watches:
            text = f"no {name!r} is known here; known: {_listed(watches)}"
            yield document.mistake(where, text)
        else:
            yield from _check_params(document, where, params, watches[name])


def _check_params(
    document: YamlDocument, place: tuple[str | int, ...], params: Any, known: Any
) -> Iterator[FileMistake]:
    if not isinstance(params, dict):
        return
    labels = dict.fromkeys(_labels(document.data), "x")
    unknown = names_in(params) - set(labels)
    if unknown:
        text = f"{reference(min(unknown))} is not in `group_by`, so it will have no value"
        yield document.mistake(place, text)
        return
    inside = YamlDocument(document.file, render_params(params, labels))
    try:
        ready = inside.read(known.Params)
    except Mistakes as error:
        for mistake in error.mistakes:
            path = tuple(int(p) if p.isdigit() else p for p in mistake.place.split(".") if p)
            yield document.mistake((*place, *path), mistake.text)
        return
    refused = known.allowed(ready) if hasattr(known, "allowed") else None
    if refused is not None:
        yield document.mistake(place, refused)


def _labels(data: Mapping[str, Any]) -> list[str]:
    given = data.get("group_by")
    return [str(name) for name in given] if isinstance(given, list) else []


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
