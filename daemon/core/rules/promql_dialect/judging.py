"""Whether a server of PromQL would take a query, and what to know about it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import promql_parser as p

from daemon.core.rules.promql_dialect import servers
from daemon.core.rules.promql_dialect.nodes import every, syntax_tree
from daemon.core.rules.promql_dialect.reading import Reading, read_promql
from daemon.core.rules.promql_dialect.regexes import regex_features, regex_mistake
from daemon.core.rules.promql_dialect.servers import ANY_SERVER, FUNCTIONS, Feature, PromqlServer

_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UNKNOWN_FUNCTION = re.compile(r"unknown function with name '([^']*)'")
_STRUCTURE = ("unterminated", "unclosed", "unexpected end", "unexpected right")
"""What the parser says of a query that is whole in no language."""


@dataclass(frozen=True, slots=True)
class QueryJudgement:
    """What a server makes of a query.

    `wrong` is why it would refuse it, empty if it would not. `unchecked` is why that cannot be
    told here. `hints` are about what it takes, but another version would not.
    """

    wrong: str = ""
    unchecked: str = ""
    hints: tuple[str, ...] = ()


def judge_query(query: str, server: PromqlServer = ANY_SERVER) -> QueryJudgement:
    """What a server makes of a query whose `$names` are filled in."""
    reading = read_promql(query)
    if reading.wrong:
        return QueryJudgement(f"not PromQL: {reading.wrong}")
    features: list[Feature] = list(reading.features)
    if reading.only_metricsql and not server.reads_metricsql:
        return QueryJudgement(
            f"not PromQL: {reading.only_metricsql}; only VictoriaMetrics reads this"
        )
    try:
        tree = syntax_tree(reading.parsable)
    except ValueError as error:
        return _unparsed(" ".join(str(error).split()), reading, features, server)
    for found in _arguments(tree):
        if isinstance(found, str):
            return QueryJudgement(found)
        features.append(found)
    return _by_features(features, server)


def judge_anywhere(query: str) -> QueryJudgement:
    """What is wrong with a query whoever reads it; where that is known, `judge_query` says more."""
    return judge_query(query, PromqlServer(servers.VICTORIAMETRICS))


def _by_features(features: Iterable[Feature], server: PromqlServer) -> QueryJudgement:
    each = dict.fromkeys(features)
    refusals = [text for feature in each if (text := feature.refusal(server))]
    hints = tuple(text for feature in each if (text := feature.hint(server)))
    return QueryJudgement(refusals[0] if refusals else "", hints=hints)


def _unparsed(
    said: str, reading: Reading, features: Iterable[Feature], server: PromqlServer
) -> QueryJudgement:
    by_features = _by_features(features, server)
    if by_features.wrong:
        return by_features
    unknown = _UNKNOWN_FUNCTION.search(said)
    if server.reads_metricsql and not any(word in said for word in _STRUCTURE):
        return QueryJudgement(unchecked=f"MetricsQL is more than PromQL ({said})")
    if reading.newer_than_parser:
        return QueryJudgement(unchecked=f"its syntax is too new ({said})", hints=by_features.hints)
    if unknown is not None:
        known = [*FUNCTIONS, *_FUNCTIONS_OF_ALL]
        close = difflib.get_close_matches(unknown[1], known, 1)
        mend = f"; did you mean {close[0]}()?" if close else ""
        return QueryJudgement(f"not PromQL: unknown function {unknown[1]}(){mend}")
    return QueryJudgement(f"not PromQL: {said}")


_FUNCTIONS_OF_ALL = (
    *("abs", "absent", "absent_over_time", "avg_over_time", "ceil", "changes", "clamp"),
    *("clamp_max", "clamp_min", "count_over_time", "delta", "deriv", "exp", "floor"),
    *("histogram_quantile", "histogram_count", "histogram_fraction", "histogram_sum", "idelta"),
    *("increase", "irate", "label_join", "label_replace", "last_over_time", "ln", "log10"),
    *("log2", "max_over_time", "min_over_time", "predict_linear", "present_over_time", "rate"),
    *("quantile_over_time", "resets", "round", "scalar", "sgn", "sort", "sort_desc", "sqrt"),
    *("stddev_over_time", "stdvar_over_time", "sum_over_time", "time", "timestamp", "vector"),
)
"""To guess from what was meant."""


# ── arguments that are looked at only when a query runs ──────────────────────────────────────

_Finding = str | Feature
"""A mistake in every version, or what not every version knows."""


def _arguments(tree: p.Expr) -> list[_Finding]:
    found: list[_Finding] = []
    for node in every(tree):
        if isinstance(node, p.Call):
            found.extend(_call(node))
        elif isinstance(node, p.AggregateExpr) and isinstance(node.param, p.StringLiteral):
            found.extend(_made_label(str(node.param.val), str(node.op)))
    return found


def _call(node: p.Call) -> Iterator[_Finding]:
    name = str(node.func.name)
    if name not in {"label_replace", "label_join"}:
        return
    texts = [str(a.val) if isinstance(a, p.StringLiteral) else None for a in node.args]
    if texts[1] is not None:
        yield from _made_label(texts[1], name)
    regex = texts[4] if name == "label_replace" else None
    if regex is None:
        return
    wrong, loose = regex_mistake(regex), []
    if not wrong:
        loose = list(regex_features(regex))
    if servers.LOOSE_REGEX in loose:
        wrong = f"the regular expression {regex[:80]!r} is not closed"
    yield from [f"{name}(): {wrong}"] if wrong else loose


def _made_label(label: str, name: str) -> Iterator[_Finding]:
    if not label or "\ufffd" in label:
        yield f"{name}() makes a label {label!r}, which is no name"
    elif not _LABEL.fullmatch(label):
        yield servers.QUOTED_LABELS
