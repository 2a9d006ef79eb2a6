"""Which rules' incidents fail because others do: `depends_on` of all rules, followed to its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from daemon.core.alertmanager import Labels
from daemon.core.rules.depends_on import Upstream, spell_upstream
from daemon.core.rules.matchers import Matcher
from daemon.core.rules.rule import Rule


class RuleDependencies:
    """The dependencies of all rules in force.

    A selector is compared with what all alerts of an incident have in common: the values that its
    rule's equality matchers demand, and its group's labels.
    """

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules = {rule.rule: rule for rule in rules}
        self._upstream: dict[str, tuple[Upstream, ...]] = {}

    def upstream(self, rule: str) -> tuple[Upstream, ...]:
        """What that rule depends on, also through others; empty for a rule that is not there."""
        if rule not in self._upstream:
            self._upstream[rule] = tuple(self._follow(rule))
        return self._upstream[rule]

    def depends(self, rule: str, on_rule: str, on_labels: Mapping[str, str]) -> bool:
        """Whether that rule depends on an incident of `on_rule` with these group labels."""
        found = self.upstream(rule)
        if not found:
            return False
        known = self._rules.get(on_rule)
        labels = {**(_demanded(known) if known else {}), **on_labels}
        return any(upstream.covers(on_rule, labels) for upstream in found)

    def recovers(self, rule: str) -> bool:
        """Whether that rule does anything about its incidents but to observe them."""
        known = self._rules.get(rule)
        return known is not None and known.mode != "observe" and bool(known.recover)

    def alert_matchers(self, rule: str) -> Mapping[str | None, Sequence[tuple[Matcher, ...]]]:
        """The alerts that tell of what that rule depends on, one sequence of matchers each, by the
        Prometheus that has them: that of the rule which is named, or the same as its own."""
        found: dict[str | None, list[tuple[Matcher, ...]]] = {}
        for upstream in self.upstream(rule):
            named = self._rules.get(upstream.rule)
            matchers = named.match if named else upstream.match
            server = (named or self._rules[rule]).prometheus
            if matchers:
                found.setdefault(server, []).append(matchers)
        return found

    def _follow(self, rule: str) -> Iterator[Upstream]:
        waiting, seen = [rule], {rule}
        told: set[Upstream] = set()
        while waiting:
            known = self._rules.get(waiting.pop())
            for upstream in known.depends_on if known else ():
                if upstream not in told:
                    told.add(upstream)
                    yield upstream
                more = [r.rule for r in self._rules.values() if _may_cover(upstream, r)]
                waiting += [name for name in more if name not in seen]
                seen.update(more)


def _demanded(rule: Rule) -> Labels:
    """The labels that all alerts of the rule have, whatever their group."""
    return {m.name: m.value for m in rule.match if m.op == "="}


def _may_cover(upstream: Upstream, rule: Rule) -> bool:
    """Whether incidents of the rule can be meant; what its groups are called nobody knows yet."""
    if upstream.rule:
        return upstream.rule == rule.rule
    labels = _demanded(rule)
    unknown = set(rule.group_by) - labels.keys()
    return all(m.name in unknown or m.matches(labels) for m in upstream.match)


def _surely_covers(upstream: Upstream, rule: Rule) -> bool:
    """Whether all incidents of the rule are meant, whatever their groups."""
    labels = _demanded(rule)
    unknown = set(rule.group_by) - labels.keys()
    return upstream.covers(rule.rule, labels) and not any(m.name in unknown for m in upstream.match)


def wrong_dependencies(
    rules: Sequence[Rule], names: Iterable[str]
) -> Iterator[tuple[str, int, str]]:
    """(rule, index in its `depends_on`, what is wrong): what is unknown, itself, or in a circle.

    `names`: all rules that are written down, also those that could not be read.
    """
    known = set(names)
    surely: dict[str, list[str]] = {}
    for rule in rules:
        for index, upstream in enumerate(rule.depends_on):
            covered = [other.rule for other in rules if _surely_covers(upstream, other)]
            surely.setdefault(rule.rule, []).extend(covered)
            wrong = _wrong(rule, upstream, covered, rules, known)
            if wrong:
                yield rule.rule, index, wrong
    apart = {name: {on for on in others if on != name} for name, others in surely.items()}
    try:
        TopologicalSorter(apart).prepare()
    except CycleError as error:
        circle: list[str] = list(error.args[1])[::-1]
        first = next(rule for rule in rules if rule.rule == circle[0])
        index = next(
            i for i, upstream in enumerate(first.depends_on) if _means(upstream, circle[1], rules)
        )
        way = " → ".join(circle)
        yield (
            first.rule,
            index,
            f"{way}: they depend on each other in a circle, so none would be recovered first; "
            "remove the entry on whose service the other does not call",
        )


def _wrong(
    rule: Rule, upstream: Upstream, covered: Sequence[str], rules: Sequence[Rule], known: set[str]
) -> str:
    if rule.rule in covered:
        return "the rule depends on itself; remove the entry, or name what its service calls"
    if upstream.rule and upstream.rule not in known:
        listed = ", ".join(sorted(known - {rule.rule})) or "none"
        return (
            f"there is no rule {upstream.rule!r}; known: {listed}; for incidents by their labels "
            "write a matcher: 'service=\"payments\"'"
        )
    readable = {other.rule for other in rules}
    if not upstream.rule and readable == known and not any(_may_cover(upstream, r) for r in rules):
        return (
            f"no rule opens incidents with {spell_upstream(upstream)}: a selector is compared with "
            "the rules' `group_by` labels and the equalities in their `match`; correct it, or name "
            "the rule"
        )
    return ""


def _means(upstream: Upstream, name: str, rules: Sequence[Rule]) -> bool:
    return any(rule.rule == name and _surely_covers(upstream, rule) for rule in rules)
