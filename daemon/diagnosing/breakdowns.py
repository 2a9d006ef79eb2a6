"""Ask for the rule's counts by each label that may tell something."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from daemon.core.diagnosis.breakdown import Breakdown
from daemon.core.diagnosis.by_label import (
    NotParted,
    Term,
    combined,
    failure_labels,
    inside,
    keeping,
    label_text,
    split_by,
    tells_how_it_ended,
    values_of,
    worth_parting,
)
from daemon.core.diagnosis.levels import ValueLevels
from daemon.core.diagnosis.periods import Periods, breakdown_of, levels_of, unplaced
from daemon.core.measurement.problem import Problem
from daemon.core.measurement.query_result import Unmeasurable, one_number
from daemon.core.measurement.samples import QueryAnswer
from daemon.core.measurement.threshold_assessment import leading_leaf
from daemon.core.rules.query_templates import (
    TemplateError,
    UnsafeLabel,
    render_query,
    selectors,
)
from daemon.core.rules.rule import Rule
from daemon.core.values.units import percent
from daemon.measuring.queries import Survey

MOST_LABELS = 10
_MOST_VALUES = 1000
"""A label of more values is not asked for."""
_MOST_UNPLACED = 0.05
"""A part of the failures as great as this may be left out."""
_SAMPLE = 500
"""So many series are looked at to learn which labels there are."""

_Counts = dict[str, dict[float, float]]


@dataclass
class LabelledCounts:
    """What was counted: the breakdowns, or the levels of a value; the query of each label, and why
    others are missing."""

    breakdowns: list[Breakdown] = field(default_factory=list)
    levels: dict[str, Sequence[ValueLevels]] = field(default_factory=dict)
    queries: dict[str, str] = field(default_factory=dict)
    limits: list[str] = field(default_factory=list)


async def labelled_counts(
    survey: Survey, rule: Rule, span: Periods, found: LabelledCounts, problem: Problem | None = None
) -> None:
    """Add all breakdowns to `found`, label by label; what cannot be had is a limit, no error.
    `problem` tells which of the conditions of a threshold is looked at."""
    spec = rule.problem
    survey = replace(survey, now=span.end)
    if spec.kind == "threshold":
        await _levels(survey, rule, leading_leaf(spec, problem).value or "", span, found)
        return
    if spec.bad is None or spec.total is None:
        await _levels(survey, rule, spec.value or "", span, found)
        return
    try:
        bad, total = (
            render_query(query, survey.labels, span.width) for query in (spec.bad, spec.total)
        )
        labels = await _chosen(survey, rule, inside(total), found)
        only = failure_labels(bad, total) | {
            one for one in labels if tells_how_it_ended(one) and one not in rule.diagnosis.labels
        }
    except (NotParted, TemplateError, UnsafeLabel, Unmeasurable, ValueError) as error:
        found.limits.append(f"the rule's counts cannot be parted by label: {error}")
        return
    for label in dict.fromkeys([*(one for one in labels if one not in only), *sorted(only)]):
        try:
            await _part(survey, (bad, total), label, span, found, failures_only=label in only)
        except (NotParted, Unmeasurable) as error:
            found.limits.append(f"not parted by {label}: {error}")


async def _levels(
    survey: Survey, rule: Rule, value: str, span: Periods, found: LabelledCounts
) -> None:
    """Add the levels of a value by each label."""
    try:
        query = render_query(value, survey.labels, span.width)
        chosen = selectors(query)[0]
        labels = await _chosen(survey, rule, chosen, found)
    except (TemplateError, UnsafeLabel, Unmeasurable, ValueError, IndexError) as error:
        found.limits.append(f"the rule's value cannot be asked for by label: {error}")
        return
    for label in labels:
        try:
            asked = keeping(query, label)
            answer = await survey.between(asked, None, span.first, span.end, span.width)
            _whole([answer])
        except (NotParted, Unmeasurable) as error:
            found.limits.append(f"not asked for by {label}: {error}")
            continue
        found.levels[label] = levels_of(answer, label, span)
        found.queries[label] = asked


async def _chosen(survey: Survey, rule: Rule, series: str, found: LabelledCounts) -> list[str]:
    """The labels to part by: those that the rule names, else those that tell something."""
    named = rule.diagnosis.labels
    if not named:
        return await _labels(survey, series, found)
    return [label for label in named if await _few_enough(survey, series, label, found)]


async def _labels(survey: Survey, series: str, found: LabelledCounts) -> list[str]:
    """The labels that these series have, those with something to compare."""
    answer = await survey.ask(f"topk({_SAMPLE}, {series})")
    values = values_of(answer)
    chosen = worth_parting(values, MOST_LABELS)
    many = len(worth_parting(values, len(values))) - len(chosen)
    if many > 0:
        found.limits.append(
            f"{many} more labels were not looked at; name those that matter in the rule's "
            "`diagnosis.labels`"
        )
    if len(answer.series) < _SAMPLE:
        return chosen
    return [label for label in chosen if await _few_enough(survey, series, label, found)]


async def _few_enough(survey: Survey, series: str, label: str, found: LabelledCounts) -> bool:
    count = one_number(await survey.ask(f"count(count by ({label_text(label)}) ({series}))")) or 0.0
    if count <= _MOST_VALUES:
        return True
    found.limits.append(
        f"{label} has {count:,.0f} values, over {_MOST_VALUES:,}: not parted; a coarser label of "
        "the same can be named in the rule's `diagnosis.labels`"
    )
    return False


async def _part(
    survey: Survey,
    queries: tuple[str, str],
    label: str,
    span: Periods,
    found: LabelledCounts,
    *,
    failures_only: bool,
) -> None:
    bad_terms = split_by(queries[0], label)
    total_terms = [] if failures_only else split_by(queries[1], label)
    bad, total = await asyncio.gather(
        _asked(survey, bad_terms, label, span), _asked(survey, total_terms, label, span)
    )
    if not failures_only and set(bad) == {""} and set(total) != {""}:
        raise NotParted("what counts the failures lacks this label")
    elsewhere = 0.0 if failures_only else unplaced(bad, total)
    if elsewhere > _MOST_UNPLACED:
        raise NotParted(
            f"{percent(elsewhere)} of the failures are at values that what counts all events has "
            "not; do `bad` and `total` name the same things alike?"
        )
    # A thousand values in a hundred bins would hold up everybody else for a moment.
    made = partial(breakdown_of, label, bad, total, span, failures_only=failures_only)
    found.breakdowns.append(await asyncio.to_thread(made))
    found.queries[label] = " ; ".join(term.query for term in (*bad_terms, *total_terms))


async def _asked(survey: Survey, terms: Sequence[Term], label: str, span: Periods) -> _Counts:
    answers = await asyncio.gather(
        *(survey.between(t.query, None, span.first, span.end, span.width) for t in terms)
    )
    _whole(answers)
    return await asyncio.to_thread(combined, list(zip(terms, answers, strict=True)), label)


def _whole(answers: Sequence[QueryAnswer]) -> None:
    """A partial answer would favour whoever it leaves out."""
    for answer in answers:
        if answer.warnings:
            raise NotParted(f"Prometheus warned that its answer is partial: {answer.warnings[0]}")
