"""Measure what speaks for and against the suspects: old against new, and the siblings.

What cannot be measured is left out of the facts, and so speaks neither for nor against anybody.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from daemon.core.changes.comparison import OwnTargetsDown
from daemon.core.changes.suspects import (
    Change,
    Contrast,
    Facts,
    OnsetBounds,
    Sibling,
    Suspicion,
    suspect,
    unseen,
)
from daemon.core.measurement.problem import Problem
from daemon.core.measurement.query_result import Unmeasurable
from daemon.core.measurement.samples import QueryAnswer
from daemon.core.rules.query_templates import TemplateError
from daemon.core.rules.rule import Comparing, Rule
from daemon.measuring.look_back import look_back
from daemon.measuring.own_targets import own_targets, own_targets_down
from daemon.measuring.queries import Survey

_log = structlog.get_logger()

LEAST_WINDOW = timedelta(seconds=10)
"""A shorter window than this holds no two samples of anybody's Prometheus."""

Counts = dict[str, tuple[float, float]]


async def weigh_changes(
    survey: Survey,
    rule: Rule,
    changes: Sequence[Change],
    problem: Problem,
    blind: str = "",
    known: Suspicion | None = None,
) -> Suspicion:
    """Which of the changes is to blame for the problem.

    `blind`: why changes cannot be seen. `known`: what was found when they were weighed last.
    """
    facts = await suspect_facts(survey, rule, changes, problem)
    found = _suspicion(changes, problem, facts, survey.now)
    # The look back is long: only who is about to be blamed for the first time is worth it, and
    # whoever it may clear of a doubt.
    settled = known is not None and known.verdict == "suspect" and known.change == found.change
    if found.verdict == "suspect" and not settled:
        back = await look_back(survey, problem)
        facts = facts.model_copy(update={"precedents": back.precedents})
        again = _suspicion(changes, problem, facts, survey.now)
        lifted = known is not None and known.doubt == "seen_before" and not again.doubt
        if known is not None and lifted and not back.complete and known.change == again.change:
            again = known  # what could not be seen this time lifts no doubt
        found = again
    return unseen(found, blind) if blind else found


def _suspicion(
    changes: Sequence[Change], problem: Problem, facts: Facts, now: datetime
) -> Suspicion:
    bounds = OnsetBounds(*problem.onset_quantiles) if problem.onset_quantiles else None
    within = problem.onset_within or timedelta(0)
    return suspect(changes, problem.onset, within, facts, now, bounds)


async def suspect_facts(
    survey: Survey, rule: Rule, changes: Sequence[Change], problem: Problem
) -> Facts:
    """Ask the rule's queries about suspects. Trouble of any kind is a fact less, no exception."""
    window = _window(survey, problem)
    contrast: Contrast | None = None
    siblings: dict[str, Sibling] = {}
    if window is not None and problem.onset is not None:
        contrast, siblings = await asyncio.gather(
            _contrast(survey, rule, window) if changes else _nothing(),
            _siblings(survey, rule, window, problem.onset),
        )
    down = await _own_targets_down(survey) if changes else None
    counted = problem.kind == "counts" and problem.baseline is not None
    known = Facts(
        contrast=contrast,
        siblings=siblings,
        labels=dict(survey.labels),
        own_down=down,
        usual=max(0.0, 1 - (problem.baseline or 0.0)) if counted else None,
    )
    drop = rule.problem.confirm.drop
    return known if drop is None else known.model_copy(update={"drop": drop})


async def _own_targets_down(survey: Survey) -> OwnTargetsDown | None:
    try:
        own = await own_targets(survey)
        return await own_targets_down(survey, own) if own is not None else None
    except Unmeasurable as trouble:
        _log.info("the service's own targets cannot be seen", error=str(trouble))
        return None


def _window(survey: Survey, problem: Problem) -> timedelta | None:
    """The shortest window, cut so that it holds nothing from before the onset; None if too little
    is left: a revision that was gone by then would look healthy beside one that was not."""
    if problem.onset is None:
        return None
    after = survey.now - problem.onset - (problem.onset_within or timedelta(0))
    whole = timedelta(seconds=math.floor(after.total_seconds()))
    window = min(survey.spec.windows[0], whole)
    return window if window >= min(LEAST_WINDOW, survey.spec.windows[0]) else None


async def _contrast(survey: Survey, rule: Rule, window: timedelta) -> Contrast | None:
    comparing = rule.suspects.revisions
    found = {} if comparing is None else await counts_by_label(survey, comparing, window)
    # One revision alone can be compared with nothing.
    return Contrast(counts=found) if len(found) > 1 else None


async def _nothing() -> None:
    return None


async def _siblings(
    survey: Survey, rule: Rule, window: timedelta, onset: datetime
) -> dict[str, Sibling]:
    comparing = rule.suspects.siblings
    if comparing is None:
        return {}
    usual = survey.spec.windows[0]
    before = replace(survey, now=onset - usual, query_log={})
    then, now = await asyncio.gather(
        counts_by_label(before, comparing, usual), counts_by_label(survey, comparing, window)
    )
    own = set(survey.labels.values())
    names = (then.keys() & now.keys()) - own
    return {name: Sibling(then=then[name], now=now[name]) for name in sorted(names)}


async def counts_by_label(survey: Survey, comparing: Comparing, window: timedelta) -> Counts:
    """(bad, total) by label; empty if either query has no answer to rely on."""
    try:
        bad, total = await asyncio.gather(
            survey.instant(comparing.bad, window), survey.instant(comparing.total, window)
        )
    except (Unmeasurable, TemplateError) as trouble:
        _log.info("suspects cannot be compared", label=comparing.label, error=str(trouble))
        return {}
    return _by_label(bad, total, comparing.label)


def _by_label(bad: QueryAnswer, total: QueryAnswer, label: str) -> Counts:
    """A name with no failures has no series in `bad`; one with a number that cannot be is left
    out. A partial answer would favour whoever it leaves out."""
    if bad.warnings or total.warnings:
        return {}
    failed, all_ = _summed(bad, label), _summed(total, label)
    found = {}
    for name, events in all_.items():
        failures = failed.get(name, 0.0)
        # increase() extrapolates each series by itself, so bad may exceed total by a little.
        if events > 0 and 0 <= failures <= events * 1.05 + 2:  # also False for NaN
            found[name] = (min(failures, events), events)
    return found


def _summed(answer: QueryAnswer, label: str) -> Mapping[str, float]:
    found: dict[str, float] = {}
    for series in answer.series:
        name = series.labels.get(label, "")
        if name and series.samples:
            value = series.samples[-1][1]
            found[name] = found.get(name, 0.0) + (value if math.isfinite(value) else math.nan)
    return found
