"""`$name` and `${service.name}` in queries and action parameters. Labels are hostile until proven
plain.

In a query a label may stand only inside a quoted string, where it is escaped, and escaped once
more for a regular expression after `=~` or `!~`. In an action's parameters a label must be a
plain name. A label that is absent or empty fits nowhere: an empty selection would mean
everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

import promql_parser

from daemon.core.rules.label_names import (
    LABEL_REFERENCE,
    escape_string,
    label_text,
    reference,
    referenced,
)
from daemon.core.rules.promql_dialect.judging import QueryJudgement, judge_query
from daemon.core.rules.promql_dialect.nodes import every, syntax_tree
from daemon.core.rules.promql_dialect.reading import read_promql
from daemon.core.rules.promql_dialect.selecting import selector_texts
from daemon.core.values.units import format_duration

_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)|(?P<comment>\#[^\n]*)"""
    rf"""|(?P<name>{LABEL_REFERENCE})|(?P<other>\w+|.)""",
    re.DOTALL,
)
_NAME = re.compile(LABEL_REFERENCE)
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_GO_REGEX_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$])")
WINDOW = "window"
ABSENCE = frozenset({"absent", "absent_over_time"})
"""The PromQL functions that ask whether there are series at all."""
_OPERATORS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}


Judge = Callable[[str], QueryJudgement]
"""Who says whether a rendered query would be taken: this program, or the server itself."""
JudgeFor = Callable[[str | None], Judge]
"""Who judges the queries of the rules that ask the Prometheus of this name; None: name none."""


class TemplateError(ValueError):
    """The template itself is wrong, whatever the labels are. The text names the mend."""


class UnsafeLabel(ValueError):
    """This alert's label cannot be put there. The text names the label."""


def render_query(template: str, labels: Mapping[str, str], window: timedelta | None) -> str:
    """Fill in a PromQL template. Raises TemplateError or UnsafeLabel."""
    parts: list[str] = []
    code = ""  # the last two characters that are neither space nor comment
    for token in _TOKEN.finditer(template):
        if token["comment"] is None and not token[0].isspace():
            before, code = code, (code + token[0])[-2:]
        if token["string"] is not None:
            parts.append(_fill_string(token["string"], labels, before in {"=~", "!~"}))
        elif token["name"] is not None:
            parts.append(_outside(token["name"], window))
        else:
            parts.append(token[0])
    return "".join(parts)


def check_query(
    template: str, names: Iterable[str], windowed: bool, judge: Judge = judge_query
) -> str | None:
    """What is wrong with a PromQL template, or None. `judge` looks at the syntax.

    `names` are the labels that will be there; `windowed` demands a `[$window]`.
    """
    known = [*names, WINDOW]
    used = names_in([t[0] for t in _TOKEN.finditer(template) if t["string"] or t["name"]])
    unknown = sorted(used - set(known))
    try:
        query = render_query(template, dict.fromkeys([*names, *unknown], "x"), timedelta(minutes=1))
        wrong = judge(query).wrong
    except TemplateError as error:
        wrong = str(error)
    if unknown:
        listed = ", ".join(map(reference, known))
        label = f"{reference(unknown[0])} is not in `group_by`; known here: {listed}"
        wrong = f"{label}; {wrong}" if wrong else label
    if not wrong and windowed and f"${WINDOW}" not in template:
        wrong = "no [$window] in the query, so every window would measure the same; add it"
    return wrong or None


def query_hints(template: str, judge: Judge = judge_query) -> list[str]:
    """What to know about a template that is not wrong: what another version would refuse, and
    whether it could be checked at all."""
    try:
        labels = dict.fromkeys(names_in(template), "x")
        judgement = judge(render_query(template, labels, timedelta(minutes=1)))
    except TemplateError:
        return []
    unchecked = judgement.unchecked
    return [*judgement.hints, *([f"could not be checked here: {unchecked}"] if unchecked else ())]


def render_params(value: Any, labels: Mapping[str, str]) -> Any:
    """Fill labels into an action's parameters, however nested. Raises UnsafeLabel."""
    if isinstance(value, str):
        return _NAME.sub(lambda match: _plain_label(match[1] or match[2], labels), value)
    if isinstance(value, list):
        return [render_params(item, labels) for item in value]
    if isinstance(value, dict):
        return {key: render_params(item, labels) for key, item in value.items()}
    return value


def names_in(value: Any) -> set[str]:
    """The `$names` used in parameters, however nested."""
    if isinstance(value, str):
        return set(referenced(value))
    if isinstance(value, list | tuple):
        return set().union(*(names_in(item) for item in value))
    if isinstance(value, dict):
        return names_in(list(value.values()))
    return set()


def selectors(query: str) -> list[str]:
    """The instant selectors of a rendered query, each once, without offset and `@`."""
    return list(_selectors(query))


@lru_cache(maxsize=1024)
def _selectors(query: str) -> tuple[str, ...]:
    """They. A rule asks for the same few again and again, and a parser is slow."""
    try:
        found = {f"{node.name or ''}{_braces(node)}": None for node in vector_selectors(query)}
    except ValueError:  # too new for the parser, or MetricsQL
        found = dict.fromkeys(selector_texts(query))
    return tuple(found)


def vector_selectors(query: str) -> list[promql_parser.VectorSelector]:
    """What a rendered query selects, in order. Raises ValueError if it cannot be read."""
    if not query:
        return []
    tree = syntax_tree(read_promql(query).readable)
    return [node for node in every(tree) if isinstance(node, promql_parser.VectorSelector)]


@lru_cache(maxsize=1024)
def functions_called(query: str) -> frozenset[str]:
    """The functions that a rendered query calls, by name. Raises ValueError if it is not PromQL."""
    nodes = every(syntax_tree(query))
    return frozenset(node.func.name for node in nodes if isinstance(node, promql_parser.Call))


def matcher_operator(matcher: promql_parser.Matcher) -> str:
    """The operator of a parsed matcher: `=`, `!=`, `=~` or `!~`."""
    return _OPERATORS[str(matcher.op).rpartition(".")[2]]


def quote(value: str) -> str:
    """A PromQL string literal."""
    return f'"{escape_string(value)}"'


def matcher_text(name: str, operator: str, value: str) -> str:
    """A matcher as PromQL writes it."""
    return f"{label_text(name)}{operator}{quote(value)}"


def metric_name(selector: promql_parser.VectorSelector) -> str:
    """The metric that a selector names, before its braces or quoted within them; empty if none."""
    held = (m.value for m in selector.matchers.matchers if _is_name(m))
    return selector.name or next(held, "")


def _is_name(matcher: promql_parser.Matcher) -> bool:
    return bool(matcher.name == "__name__" and matcher_operator(matcher) == "=")


def _braces(node: promql_parser.VectorSelector) -> str:
    inner = ",".join(
        matcher_text(m.name, matcher_operator(m), m.value) for m in node.matchers.matchers
    )
    return f"{{{inner}}}"


def _fill_string(literal: str, labels: Mapping[str, str], regex: bool) -> str:
    if literal.startswith("`") and _NAME.search(literal):
        raise TemplateError("a label inside `…` cannot be escaped; use double quotes")

    def fill(match: re.Match[str]) -> str:
        value = _label(match[1] or match[2], labels)
        plain = _GO_REGEX_SPECIAL.sub(r"\\\1", value) if regex else value
        return escape_string(plain, literal[0])

    return _NAME.sub(fill, literal)


def _outside(name: str, window: timedelta | None) -> str:
    if referenced(name) != [WINDOW]:
        raise TemplateError(f"{name} stands outside a string; put it in double quotes")
    if window is None:
        raise TemplateError("$window has no meaning in this query")
    return format_duration(window)


def _label(name: str, labels: Mapping[str, str]) -> str:
    value = labels.get(name, "")
    if not value:
        raise UnsafeLabel(
            f"the label {name} is absent or empty, so {reference(name)} would select too much"
        )
    return value


def _plain_label(name: str, labels: Mapping[str, str]) -> str:
    value = _label(name, labels)
    if not _PLAIN.fullmatch(value):
        raise UnsafeLabel(
            f"the label {name} is {value[:60]!r}: only letters, digits and . _ - may go "
            "into an action's parameters"
        )
    return value
