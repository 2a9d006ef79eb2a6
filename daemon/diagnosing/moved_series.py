"""Ask for the series that may have moved: the rule's own, and the service's other metrics."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace

from daemon.core.diagnosis.moved import SeriesCandidate, SeriesMoves, moves
from daemon.core.diagnosis.periods import Periods
from daemon.core.measurement.query_result import Unmeasurable, finite_samples
from daemon.core.rules.query_templates import TemplateError, quote, render_query, vector_selectors
from daemon.core.rules.rule import Rule
from daemon.core.values.units import format_duration
from daemon.measuring.queries import Survey

MOST_SERIES = 30
_COUNTER = re.compile(r"_(?:total|count|sum)$")
_PLAIN = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_RUNTIME = re.compile(
    r"(?:go|process|python|jvm|tomcat|logback|nodejs|dotnet|ruby|php|promhttp|prometheus|otel"
    r"|net_conntrack|cadvisor|container)_|up$"
)
_NO_SERIES = re.compile(r"_(?:bucket|created|info)$|^(?:ALERTS|ALERTS_FOR_STATE|scrape_.*)$")


async def moved_series(
    survey: Survey, rule: Rule, span: Periods, left: int, limits: list[str]
) -> SeriesMoves:
    """What moved at the onset, of at most so many series as queries are `left`."""
    survey = replace(survey, now=span.end)
    named = list(_of_rule(rule))
    discovered: list[tuple[str, str]] = []
    if left > len(named) + 1:
        discovered = await _of_service(survey, rule, span, limits)
    chosen = [*named, *discovered][: min(MOST_SERIES, max(0, left - 1))]
    if len(named) + len(discovered) > len(chosen):
        limits.append(
            f"{len(named) + len(discovered) - len(chosen)} further series of the service were not "
            "looked at; name those that matter in the rule's `diagnosis.series`"
        )
    asked = await asyncio.gather(*(_candidate(survey, name, q, span) for name, q in chosen))
    found = [one for one in asked if one is not None]
    return moves(found, span.onset_from.timestamp(), span.onset_until.timestamp())


def _of_rule(rule: Rule) -> Iterator[tuple[str, str]]:
    """(name, template) of what the rule knows beside its problem."""
    problem = rule.problem
    if problem.total is not None:
        yield "traffic", problem.total
    yield from problem.impact.items()
    yield from problem.sentiment.items()
    for query in rule.diagnosis.series:
        yield query, query


async def _of_service(
    survey: Survey, rule: Rule, span: Periods, limits: list[str]
) -> list[tuple[str, str]]:
    """(name, query) of the metrics that have the labels of the incident's group."""
    held = ",".join(f"{n}={quote(v)}" for n, v in survey.labels.items() if v)
    if not held:
        return []
    try:
        answer = await survey.ask(f"count by (__name__) ({{{held}}})")
    except Unmeasurable as trouble:
        limits.append(f"the service's own metrics cannot be listed: {trouble}")
        return []
    known = _asked_already(survey, rule, span)
    names = {series.labels.get("__name__", "") for series in answer.series} - known - {""}
    # There are dozens of those that every runtime has; what is the service's own tells more.
    ranked = sorted(names, key=lambda name: (bool(_RUNTIME.match(name)), name))
    width = format_duration(span.width)
    return [(n, _asking(n, held, width)) for n in ranked if not _NO_SERIES.search(n)]


def _asking(name: str, held: str, width: str) -> str:
    """The query for a metric as one series; `held`: the matchers."""
    plain = _PLAIN.fullmatch(name)
    selector = f"{name}{{{held}}}" if plain else f"{{__name__={quote(name)},{held}}}"
    return f"sum(rate({selector}[{width}]))" if _COUNTER.search(name) else f"avg({selector})"


def _asked_already(survey: Survey, rule: Rule, span: Periods) -> set[str]:
    """The metrics of the problem itself, which moved by its definition."""
    found: set[str] = set()
    for template in rule.problem.queries:
        try:
            query = render_query(template, survey.labels, span.width)
            found |= {selector.name or "" for selector in vector_selectors(query)}
        except ValueError:
            continue  # what cannot be read was told when the counts were parted
    return found


async def _candidate(
    survey: Survey, name: str, template: str, span: Periods
) -> SeriesCandidate | None:
    try:
        query = render_query(template, survey.labels, span.width)
        answer = await survey.between(query, None, span.first, span.end, span.width)
        return SeriesCandidate(name, query, finite_samples(answer))
    except (Unmeasurable, TemplateError, ValueError):
        return None  # no number, several series, no answer: it is none of the candidates
