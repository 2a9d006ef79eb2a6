"""Which values the labels that a rule's `changes:` name have: found before an incident has one.

A deployment is told from what was live before it, so a target must be watched before its first
incident. The values stand in the series that the rule measures: `service="$service"` in one of
its queries says which label of a series holds what `$service` will be.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import promql_parser
from pydantic import Field

from daemon.core.alertmanager import Labels
from daemon.core.rules.query_templates import (
    UnsafeLabel,
    matcher_operator,
    names_in,
    quote,
    render_params,
    render_query,
    vector_selectors,
)
from daemon.core.rules.rule import Rule
from daemon.core.values.units import Frozen, Moment

MOST_VALUES = 500
"""So many values of a rule's labels are watched."""
FORGOTTEN_AFTER = timedelta(days=14)
"""A value that nothing has had for so long is not watched any more."""
_STAND_IN = "stopgap0"
"""What a label's value begins with in a query that is only looked at."""


def watched_names(rule: Rule) -> tuple[str, ...]:
    """The labels that the rule's `changes:` name, sorted; none if they are of one target."""
    return tuple(sorted(names_in(rule.changes)))


@dataclass(frozen=True)
class ValuesQuery:
    """PromQL whose answer has one series for each combination of values; `sources` maps the
    rule's labels to those of the series."""

    query: str
    sources: Mapping[str, str]

    def values_in(self, series: Iterable[Mapping[str, str]]) -> list[Labels]:
        """The combinations by the labels of the answer's series, in the order of their values."""
        found = [
            {name: labels.get(source, "") for name, source in self.sources.items()}
            for labels in series
        ]
        return sorted((labels for labels in found if all(labels.values())), key=_key)


def values_query(rule: Rule) -> ValuesQuery | None:
    """How the values of `watched_names` are asked for; None if no query of the rule selects by
    all of these labels, each alone in its quotes (`service="$service"`)."""
    names = watched_names(rule)
    stand_ins = {name: f"{_STAND_IN}{name}" for name in rule.group_by}
    problem = rule.problem
    for template in (problem.total, *problem.values, problem.bad):
        for selector in _selectors(template or "", stand_ins, rule) if names else ():
            found = _query_of(selector, names, stand_ins)
            if found is not None:
                return found
    return None


def undiscoverable(rule: Rule, listing: Collection[str]) -> str:
    """Why the values of the labels in the rule's `changes:` cannot be found before an incident
    has them, and the mend; empty if they can. `listing`: the kinds of watch whose targets can be
    listed (`daemon.core.ports.changes.ListsTargets`)."""
    names = watched_names(rule)
    listed = any(
        kind in listing and names_in(params) == set(names) for kind, params in rule.changes.items()
    )
    if not names or listed or values_query(rule) is not None:
        return ""
    shown = " and ".join(f"${name}" for name in names)
    wanted = ",".join(f'{name}="${name}"' for name in names)
    return (
        f"the values of {shown} cannot be found, so a target is watched only once an incident had "
        "it, and the first bad deployment of each is not rolled back; select by them in "
        f"`problem.total` or `problem.value`, each alone in its quotes: {{{wanted}}}"
    )


def fit_for(rule: Rule, values: Sequence[Labels]) -> list[Labels]:
    """Those that may stand in the parameters of the rule's `changes:`."""
    fit: list[Labels] = []
    for labels in values:
        try:
            render_params(rule.changes, labels)
        except UnsafeLabel:
            continue
        fit.append(labels)
    return fit


class KnownValue(Frozen):
    """One combination of label values, and when something last had it."""

    labels: dict[str, str]
    seen: Moment


class KnownValues(Frozen):
    """What is known of one rule's labels; of its `names` as the rule had them then."""

    names: tuple[str, ...]
    values: tuple[KnownValue, ...] = Field(default=())

    def of(self, names: Collection[str]) -> list[Labels]:
        """The combinations; none if the rule names other labels by now."""
        return [known.labels for known in self.values] if set(names) == set(self.names) else []

    def seeing(
        self, found: Sequence[Labels], now: datetime, *, displacing: bool = False
    ) -> KnownValues:
        """With what was found at `now`, and without what nothing has had for long.

        At most MOST_VALUES are kept: what is there already stays, and what is new finds no place,
        unless it is `displacing` the one that was not seen for the longest time.
        """
        kept = {
            _key(known.labels): known
            for known in self.values
            if now - known.seen <= FORGOTTEN_AFTER or known.labels in found
        }
        for labels in found:
            key = _key(labels)
            if key not in kept and len(kept) >= MOST_VALUES:
                if not displacing:
                    continue
                del kept[min(kept, key=lambda other: kept[other].seen)]
            kept[key] = KnownValue(labels=dict(labels), seen=now)
        return KnownValues(names=self.names, values=tuple(kept[key] for key in sorted(kept)))


def _key(labels: Labels) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def _selectors(
    template: str, stand_ins: Mapping[str, str], rule: Rule
) -> list[promql_parser.VectorSelector]:
    try:
        return vector_selectors(render_query(template, stand_ins, rule.problem.windows[0]))
    except ValueError:
        return []  # `stopgap check` says what is wrong with it


def _query_of(
    selector: promql_parser.VectorSelector, names: Sequence[str], stand_ins: Mapping[str, str]
) -> ValuesQuery | None:
    sources: dict[str, str] = {}
    others: list[str] = []
    for matcher in selector.matchers.matchers:
        operator = matcher_operator(matcher)
        of = [name for name, value in stand_ins.items() if value in matcher.value]
        whole = [name for name in of if stand_ins[name] == matcher.value]
        if whole and operator in {"=", "=~"} and whole[0] in names:
            sources.setdefault(whole[0], matcher.name)
        elif not of:
            others.append(f"{matcher.name}{operator}{quote(matcher.value)}")
    if set(sources) != set(names):
        return None
    there = [f'{source}!=""' for source in dict.fromkeys(sources.values())]
    labels = ", ".join(dict.fromkeys(sources.values()))
    inner = ",".join([*others, *there])
    counted = f"count by ({labels}) ({selector.name or ''}{{{inner}}})"
    # One more than is watched, so that it shows when there are more.
    return ValuesQuery(f"topk({MOST_VALUES + 1}, {counted})", sources)
