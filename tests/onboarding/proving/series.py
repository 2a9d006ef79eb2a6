"""The series that an expression looks at, and how each may behave.

Everything comes from the expression alone: names and labels from its selectors, levels from its
numbers, shapes (a counter, a histogram, a slope) from the functions around a selector.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import promql_parser as p

from daemon.core.rules import promql
from daemon.core.rules.query_templates import matcher_operator

Labels = dict[str, str]
RATES = frozenset({"rate", "irate", "increase"})
SLOPES = frozenset({"predict_linear", "deriv", "delta", "idelta", "holt_winters"})
MOVES = frozenset({"changes", "resets", "stddev_over_time", "stdvar_over_time", "idelta", "delta"})


@dataclass(frozen=True)
class Source:
    """One selector: its series' labels, the functions around it (the innermost first), and what it
    needs of the past: `offset` and `reach` in seconds."""

    metric: str
    labels: Mapping[str, str]
    around: tuple[str, ...]
    offset: float
    reach: float
    shift: float = 0.0
    free: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """What its samples are."""
        inner = self.around[0] if self.around else ""
        if inner in RATES:
            histogram = any(name.startswith("histogram_quantile") for name in self.around)
            return "histogram" if histogram else "counter"
        if inner in SLOPES:
            return "slope"
        return "moving" if inner in MOVES else "level"


def sources(query: str, labels: Sequence[str]) -> list[Source]:
    """The selectors of a query, each once; `labels`: which the alert's group has."""
    tree = p.parse(query)
    found = list(_selectors(tree, (), 0.0, 0.0))
    universe = _universe(tree, labels)
    usual = _usual(tree, [node for node, *_ in found], universe)
    sources: dict[tuple[str, str], Source] = {}
    nodes = [node for node, *_ in found]
    for node, around, offset, reach in found:
        name = str(node.name or promql.equalities(node).get("__name__", "") or _named(node))
        made = _labels(node, name, nodes, universe, usual)
        key = (name, repr(sorted(made.items())))
        known = sources.get(key)
        if known is not None:
            around = known.around if known.around[:1] != () else around
            offset, reach = max(offset, known.offset), max(reach, known.reach)
        shift = offset if known is None else max(offset, known.shift)
        asked = {m.name for m in node.matchers.matchers}
        read = {source for sources in relabelled(query).values() for source in sources}
        free = tuple(n for n in made if n not in {*labels, *asked, *read})
        sources[key] = Source(name, made, around, offset, reach, shift, free)
    return list(sources.values())


def relabelled(query: str) -> dict[str, tuple[str, ...]]:
    """The labels that `label_replace` and `label_join` write, and those from which they do."""
    found = {}
    for node in promql.every(p.parse(query)):
        if promql.function(node) in {"label_replace", "label_join"}:
            texts = [str(argument.val) for argument in node.args[1:]]
            of_one = promql.function(node) == "label_replace"
            found[texts[0]] = (texts[2],) if of_one else tuple(texts[2:])
    return found


def _named(node: Any) -> str:
    named = [m for m in node.matchers.matchers if m.name == "__name__"]
    return sample(named[0].value) if named else "nameless"


def _selectors(
    node: Any, around: tuple[str, ...], offset: float, reach: float
) -> Iterator[tuple[Any, tuple[str, ...], float, float]]:
    node = promql.without_parens(node)
    if isinstance(node, p.VectorSelector):
        more = node.offset.total_seconds() if node.offset else 0.0
        yield node, around, offset + more, reach
    elif isinstance(node, p.MatrixSelector):
        yield from _selectors(
            node.vector_selector, around, offset, reach + node.range.total_seconds()
        )
    elif isinstance(node, p.SubqueryExpr):
        more = node.offset.total_seconds() if node.offset else 0.0
        yield from _selectors(node.expr, around, offset + more, reach + node.range.total_seconds())
    elif isinstance(node, p.BinaryExpr):
        for side in (node.lhs, node.rhs):
            yield from _selectors(side, around, offset, reach)
    elif isinstance(node, p.Call):
        for argument in node.args:
            yield from _selectors(argument, (promql.function(node), *around), offset, reach)
    elif isinstance(node, p.AggregateExpr | p.UnaryExpr):
        yield from _selectors(node.expr, around, offset, reach)
        if getattr(node, "param", None) is not None:
            yield from _selectors(node.param, around, offset, reach)


def _universe(tree: Any, labels: Sequence[str]) -> list[str]:
    """The labels that all series have: those of the group, and those that are spoken of."""
    found = dict.fromkeys(labels)
    ignored = {"le", "__name__", ""}
    for node in promql.every(tree):
        modifier = getattr(node, "modifier", None)
        if isinstance(node, p.AggregateExpr) and modifier is not None:
            if modifier.type == p.AggModifierType.By:
                found |= dict.fromkeys(modifier.labels)
        elif isinstance(node, p.BinaryExpr) and modifier is not None:
            matching = modifier.matching
            if matching is not None and matching.type == p.LabelModifierType.Include:
                found |= dict.fromkeys(matching.labels)
            elif matching is not None:
                ignored |= set(matching.labels)
            found |= dict.fromkeys(modifier.group_labels or ())
        elif promql.function(node) == "label_replace":
            found[str(node.args[3].val)] = None
        elif promql.function(node) == "label_join":
            found |= dict.fromkeys(str(argument.val) for argument in node.args[3:])
        elif isinstance(node, p.VectorSelector):
            found |= dict.fromkeys(m.name for m in node.matchers.matchers if m.value)
    return [name for name in found if name not in ignored]


def _usual(tree: Any, nodes: Sequence[Any], universe: Sequence[str]) -> Labels:
    """The value of each label where a selector asks for none: what another one asks for, or what
    a `label_replace` can read."""
    usual: Labels = {}
    for node in promql.every(tree):
        if promql.function(node) == "label_replace":
            usual.setdefault(str(node.args[3].val), sample(str(node.args[4].val)))
    for node in nodes:
        for matcher in node.matchers.matchers:
            if matcher_operator(matcher) == "=" and matcher.value:
                usual.setdefault(matcher.name, matcher.value)
            elif matcher_operator(matcher) == "=~":
                usual.setdefault(matcher.name, sample(matcher.value))
    for name in universe:
        usual.setdefault(name, f"{name}1")
    return usual


def _labels(
    node: Any, name: str, nodes: Sequence[Any], universe: Sequence[str], usual: Labels
) -> Labels:
    asked = [m for m in node.matchers.matchers if m.name != "__name__"]
    made: Labels = {}
    for label in dict.fromkeys([*universe, *(m.name for m in asked)]):
        matchers = [m for m in asked if m.name == label]
        candidates = [usual.get(label, f"{label}1"), f"{label}1", "other", "ok", "200", "x"]
        if not matchers:
            # Another selector of the same metric may ask for one; this one has the rest.
            others = [
                m
                for n in nodes
                if n is not node and str(n.name) == name
                for m in n.matchers.matchers
                if m.name == label
            ]
            if others:
                candidates = [c for c in candidates if not all(_takes(m, c) for m in others)]
        for matcher in matchers:
            if matcher_operator(matcher) == "=":
                candidates.insert(0, matcher.value)
            if matcher_operator(matcher) == "=~":
                candidates.insert(0, sample(matcher.value))
        value = next((c for c in candidates if all(_takes(m, c) for m in matchers)), "")
        if value:
            made[label] = value
    missing = {
        m.name
        for n in nodes
        if n is not node and str(n.name) == name
        for m in n.matchers.matchers
        if m.name not in made and m.name not in {"le", "__name__"}
    }
    for label in sorted(missing):  # `total` beside `total{code=~"5.."}` counts the others
        others = [m for n in nodes if str(n.name) == name for m in n.matchers.matchers]
        mine = [m for m in others if m.name == label]
        if any(matcher_operator(m) in {"=", "=~"} for m in mine):
            made[label] = next(
                c for c in ("200", "ok", "other", "x") if not all(_takes(m, c) for m in mine)
            )
        else:
            made[label] = next(
                (c for m in mine for c in (sample(m.value),) if not _takes(m, c)), "other"
            )
    return made


def _takes(matcher: Any, value: str) -> bool:
    op = matcher_operator(matcher)
    if op in {"=", "!="}:
        return (value == matcher.value) == (op == "=")
    return bool(re.fullmatch(matcher.value, value)) == (op == "=~")


def sample(pattern: str) -> str:
    """A text that a regular expression matches."""
    try:
        made = "".join(_made(item) for item in parser.parse(pattern))
    except re.error:
        return "x"
    return made or "v1"


def _made(item: Any) -> str:
    op, what = str(item[0]), item[1]
    if op == "LITERAL":
        return chr(what)
    if op in {"ANY", "NOT_LITERAL"}:
        return "v"
    if op == "IN":
        return _member(what)
    if op == "BRANCH":
        return "".join(map(_made, what[1][0]))
    if op == "SUBPATTERN":
        return "".join(map(_made, what[3]))
    if op in {"MAX_REPEAT", "MIN_REPEAT"}:
        least, most, inner = what
        return "".join(map(_made, inner)) * max(least, min(1, most))
    return ""


def _member(what: Any) -> str:
    first = what[0]
    if str(first[0]) == "NEGATE":
        return "v"
    if str(first[0]) == "RANGE":
        return chr(first[1][0])
    if str(first[0]) == "CATEGORY":
        return "1" if "DIGIT" in str(first[1]) else "v"
    return chr(first[1])


# ── how they behave ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Course:
    """What a series does: `shape` and its numbers.

    level(v) · age(k): k seconds ago · rate(r) of a counter · slow(r, share) of a histogram, so
    many a second of which that share is slow · slope(v, s): v at the end, s a second · flap(a, b)
    by turns · step(a, b, d): b since d seconds · turn(a, b, d): a counter's
    rate is b since d seconds · left(a, d): no sample since d seconds · gone: no sample."""

    shape: str
    numbers: tuple[float, ...] = ()


GONE = Course("gone")


@dataclass(frozen=True)
class State:
    """What all series do at a time: for each source, the courses of its series. `count`: so many
    series a source has."""

    courses: tuple[tuple[Course, ...], ...]

    def differs(self, other: State) -> int:
        """In how many series two states differ."""
        return sum(
            a != b
            for mine, theirs in zip(self.courses, other.courses, strict=True)
            for a, b in zip(mine, theirs, strict=False)
        ) + 5 * sum(
            len(mine) != len(theirs)
            for mine, theirs in zip(self.courses, other.courses, strict=True)
        )


@dataclass
class Guess:
    """States to try for an expression, by its own numbers."""

    query: str
    sources: Sequence[Source]
    random: Random
    levels: list[float] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    reaches: list[float] = field(default_factory=list)
    named: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        tree = p.parse(self.query)
        numbers = {float(n.val) for n in promql.every(tree) if isinstance(n, p.NumberLiteral)}
        folded = {
            abs(value)
            for n in promql.every(tree)
            if isinstance(n, p.BinaryExpr) and (value := promql.constant(n)) is not None
        }
        numbers |= folded
        finite = sorted(n for n in numbers if abs(n) < 1e12)
        self.named = finite
        products = {a * b for a in finite for b in finite if abs(a * b) < 1e12}
        quotients = {a / b for a in finite for b in finite if b}
        near = {n * f for n in (*finite, *products) for f in (0.5, 0.9, 1, 1.1, 2)}
        near |= {n + d for n in finite for d in (-1, 1)}
        self.levels = sorted({0.0, 1.0, 2.0, 10.0, 100.0, *near, *quotients})
        self.ages = [*sorted({n for n in near if n >= 30} | {30.0, 600.0}), -86400.0]
        self.ages += [-n for n in self.ages if n > 0]
        self.reaches = sorted({s.reach for s in self.sources if s.reach}) or [300.0]
        self.timed = any(promql.function(n) in {"time", "timestamp"} for n in promql.every(tree))

    def first(self) -> State:
        """A state out of nothing."""
        count = self.random.choice([1, 1, 1, 2, 3, self._some()])
        return State(tuple(self._courses(source, count) for source in self.sources))

    def next(self, state: State) -> State:
        """A state that differs in one source, or in one of its series."""
        index = self.random.randrange(len(self.sources))
        courses = [list(one) for one in state.courses]
        if self.random.random() < 0.6:
            courses[index] = list(self._courses(self.sources[index], len(courses[index])))
        else:
            number = self.random.randrange(len(courses[index]))
            courses[index][number] = self._course(self.sources[index])
        return State(tuple(map(tuple, courses)))

    def _some(self) -> int:
        counts = [int(n) + 1 for n in self.levels if 1 <= n <= 10]
        return self.random.choice(counts or [2])

    def _courses(self, source: Source, count: int) -> tuple[Course, ...]:
        one = self._course(source)
        if self.random.random() < 0.6:
            return (one,) * count
        other = self._course(source)
        part = self.random.randint(0, count)
        return tuple(one if n < part else other for n in range(count))

    def _course(self, source: Source) -> Course:
        random, kind = self.random, source.kind
        if random.random() < (0.25 if self._may_be_gone(source) else 0.03):
            return GONE
        ago = max(120.0, source.shift / 2 or source.reach / 4)
        if source.shift and random.random() < 0.25:
            return Course("left", (self._level() or 1.0, ago))
        turns = 0.5 if source.shift else 0.3 if source.reach > 900 else 0.0
        if kind == "counter" and random.random() < turns:
            turn = ago
            return Course("turn", (self._rate(source), self._rate(source), turn))
        if kind == "counter":
            return Course("rate", (self._rate(source),))
        if kind == "histogram":
            return Course("slow", (random.choice([1.0, 10.0]), random.choice([0.0, 0.5, 1.0])))
        if random.random() < turns:
            return Course("step", (self._level(), self._level(), ago))
        if kind == "slope" and random.random() < 0.8:
            level = self._level()
            spans = [*(abs(n) for n in self.ages), *self.reaches, 1.0, 1.0]
            speed = random.choice([-1, 1]) * (level or 1.0) / random.choice(spans)
            return Course("slope", (level, speed * random.choice([0.5, 1, 2])))
        if kind == "moving" and random.random() < 0.6:
            return Course("flap", (self._level(), self._level()))
        if self.timed and random.random() < 0.7:
            return Course("age", (random.choice(self.ages),))
        return Course("level", (self._level(),))

    def _may_be_gone(self, source: Source) -> bool:
        return "absent" in source.around or "absent_over_time" in source.around

    def _level(self) -> float:
        return self.random.choice(self.levels)

    def _rate(self, source: Source) -> float:
        rate = abs(self._level())
        if source.around[0] == "increase" or self.random.random() < 0.2:
            rate /= source.reach or 300.0
        return rate
