"""Where an Alertmanager sends an alert, by its routing tree; and which labels a test alert needs so
that it goes to one receiver. Pure: the configuration as data in."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from daemon.core.alertmanager import Labels
from daemon.core.rules.matchers import Matcher, parse_matcher
from daemon.core.values.units import parse_duration

GROUP_WAIT = timedelta(seconds=30)
"""Alertmanager's own, where no route says another."""
_HANDED_DOWN = ("receiver", "group_by", "group_wait", "group_interval")
_PLAIN = re.compile(r"[\w:. -]+")


@dataclass(frozen=True)
class Leg:
    """One route that an alert takes: to which receiver, grouped by what, and after how long."""

    receiver: str
    group_by: tuple[str, ...]
    group_wait: timedelta


@dataclass(frozen=True)
class ProbePlan:
    """A test alert: its labels, the legs that it takes, and who else gets it: receivers that are
    not ours, and what else one of ours tells. `inhibits`: it may keep other alerts from being told
    while it fires."""

    labels: Labels
    legs: tuple[Leg, ...]
    others: tuple[str, ...]
    inhibits: bool

    @property
    def group_wait(self) -> timedelta:
        """The longest that one of its routes waits before it tells of a group."""
        return max((leg.group_wait for leg in self.legs), default=GROUP_WAIT)


def legs_of(config: Mapping[str, Any], labels: Mapping[str, str]) -> list[Leg]:
    """The routes that an alert with these labels takes. Raises ValueError for a matcher that
    cannot be read."""
    root = config.get("route")
    return [_leg(one) for one in _taken(root, {}, labels)] if isinstance(root, dict) else []


def plan_probe(
    config: Mapping[str, Any], ours: Collection[str], name: str, number: str
) -> ProbePlan | None:
    """The test alert called `name` that reaches one of our receivers and the fewest others; None
    if none can be thought of. `number` makes its groups new ones. Raises ValueError."""
    root = config.get("route")
    found: list[ProbePlan] = []
    for path in _paths(root, ()) if isinstance(root, dict) else ():
        matchers = [one for route in path for one in _matchers(route)]
        wanted = _labels_for([m for m in matchers if m.name != "alertname"], number)
        if wanted is None:
            continue
        given = {m.value for m in matchers if m.name == "alertname" and m.op == "="}
        labels = {**wanted, "alertname": min(given, default=name)}
        for leg in legs_of(config, labels):
            labels |= {n: number for n in leg.group_by if n != "..." and n not in labels}
        legs = legs_of(config, labels)
        if any(leg.receiver in ours for leg in legs):
            reached = {leg.receiver for leg in legs}
            beside = [one for name in reached & set(ours) for one in _beside_us(config, name)]
            others = tuple(sorted({*(reached - set(ours)), *beside}))
            found.append(ProbePlan(labels, tuple(legs), others, _inhibits(config, labels)))
    return min(found, key=lambda plan: (len(plan.others), plan.inhibits), default=None)


def _taken(
    route: Mapping[str, Any], inherited: Mapping[str, Any], labels: Mapping[str, str]
) -> Iterator[Mapping[str, Any]]:
    """The settings of the routes that an alert takes below this one, or of this one."""
    if not all(matcher.matches(labels) for matcher in _matchers(route)):
        return
    own = {key: route[key] for key in _HANDED_DOWN if route.get(key) is not None}
    settings, deeper = {**inherited, **own}, False
    for child in _several(route.get("routes")):
        below = list(_taken(child, settings, labels))
        yield from below
        deeper = deeper or bool(below)
        if below and not child.get("continue"):
            break
    if not deeper:
        yield settings


def _leg(settings: Mapping[str, Any]) -> Leg:
    by = settings.get("group_by")
    try:
        wait = parse_duration(settings.get("group_wait"))
    except ValueError:
        wait = GROUP_WAIT
    names = tuple(map(str, by)) if isinstance(by, list) else ()
    return Leg(str(settings.get("receiver", "")), names, wait)


def _paths(
    route: Mapping[str, Any], above: Sequence[Mapping[str, Any]]
) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Every route with those above it, from the root on."""
    path = (*above, route)
    yield path
    for child in _several(route.get("routes")):
        yield from _paths(child, path)


def _matchers(route: Mapping[str, Any], prefix: str = "") -> list[Matcher]:
    """What an alert must meet, in today's way of writing it and in that of before 0.22."""
    found = [parse_matcher(str(text)) for text in route.get(f"{prefix}matchers") or ()]
    equal, regex = route.get(f"{prefix}match"), route.get(f"{prefix}match_re")
    found += [Matcher(name=str(n), op="=", value=str(v)) for n, v in (equal or {}).items()]
    found += [Matcher(name=str(n), op="=~", value=str(v)) for n, v in (regex or {}).items()]
    return found


def _labels_for(matchers: Sequence[Matcher], number: str) -> Labels | None:
    """Labels that meet all of these; None if none were found."""
    names = dict.fromkeys(matcher.name for matcher in matchers)
    labels: Labels = {}
    for name in names:
        about = [matcher for matcher in matchers if matcher.name == name]
        tried = ["", number, *(text for one in about for text in _examples(one))]
        fits = [t for t in tried if all(one.matches({name: t} if t else {}) for one in about)]
        if not fits:
            return None
        if fits[0]:
            labels[name] = fits[0]
    return labels


def _examples(matcher: Matcher) -> Iterator[str]:
    """Values that may meet it: of a regular expression, each alternative that is plain text."""
    if matcher.op == "=":
        yield matcher.value
    elif matcher.op == "=~":
        for part in re.split(r"[|()]", matcher.value):
            plain = part.replace("\\", "").replace(".*", "").replace(".+", "x").strip("^$")
            if _PLAIN.fullmatch(plain):
                yield plain


def _beside_us(config: Mapping[str, Any], receiver: str) -> Iterator[str]:
    """What a receiver of ours tells beside us: one of its webhooks is ours, and one alone."""
    for one in _several(config.get("receivers")):
        if one.get("name") != receiver:
            continue
        for key, given in one.items():
            kind, _, end = key.rpartition("_")
            count = len(given) if end == "configs" and isinstance(given, list) else 0
            if kind == "webhook" and count > 1:
                yield f"{count - 1} more webhook{'s' if count > 2 else ''} of {receiver}"
            elif kind != "webhook" and count:
                yield f"{kind} of {receiver}"


def _inhibits(config: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    sources = [_matchers(rule, "source_") for rule in _several(config.get("inhibit_rules"))]
    return any(all(m.matches(labels) for m in matchers) for matchers in sources)


def _several(given: Any) -> list[dict[str, Any]]:
    return [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
