"""Define and quantify: the rule's queries → measurements → a Problem."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from daemon.core.changes.precedent import Precedent
from daemon.core.changes.suspects import Change
from daemon.core.measurement.assessment import assess_counts, assess_value, unmeasured
from daemon.core.measurement.problem import Problem
from daemon.core.measurement.query_result import (
    Unmeasurable,
    counts,
    one_number,
)
from daemon.core.measurement.threshold_assessment import assess_threshold
from daemon.core.values.units import Frozen
from daemon.measuring.explain import sparse_scrapes
from daemon.measuring.history import counts_history, value_history
from daemon.measuring.own_targets import explain_silence
from daemon.measuring.queries import Survey
from daemon.measuring.threshold_history import threshold_now


async def define(
    survey: Survey, changes: Sequence[Change], trouble: Sequence[Precedent] = ()
) -> Problem:
    """Measure now; `trouble`: when the same problem stood before and was over. What the metrics
    cannot tell is a verdict too, never an exception."""
    spec = survey.spec
    measure = {"counts": _counts, "value": _value, "threshold": _threshold}[spec.kind]
    fresh, problem, impact, sentiment = await asyncio.gather(
        _require_fresh(survey),
        measure(survey, changes, trouble),
        survey.impacts(spec.impact),
        survey.impacts(spec.sentiment),
        return_exceptions=True,
    )
    for failure in (fresh, problem, impact, sentiment):
        if isinstance(failure, BaseException) and not isinstance(failure, Unmeasurable):
            raise failure
    # A monitoring outage explains an empty answer, so freshness has the first word.
    for failed in (fresh, problem):
        if isinstance(failed, Unmeasurable):
            failed = await sparse_scrapes(survey, failed)
            failed = await explain_silence(survey, changes, failed)
            problem = unmeasured(spec, failed, survey.now)
            break
    assert isinstance(problem, Frozen)  # noqa: S101 - narrowed above
    measured = {
        "impact": impact,
        "sentiment": sentiment,
        "queries": tuple(survey.query_log),
        "behind": await _behind(survey),
        "prometheus": survey.server_name,
    }
    return problem.model_copy(update=measured)


async def _behind(survey: Survey) -> timedelta:
    try:
        return (await survey.server()).behind
    except Unmeasurable:
        return timedelta(0)


async def _counts(
    survey: Survey, changes: Sequence[Change], trouble: Sequence[Precedent]
) -> Problem:
    spec = survey.spec
    bad, total = spec.bad or "", spec.total or ""
    readings = [survey.instant(query, width) for width in spec.windows for query in (bad, total)]
    history, answers = await asyncio.gather(counts_history(survey), asyncio.gather(*readings))
    windows = {
        width: counts(answers[2 * index], answers[2 * index + 1])
        for index, width in enumerate(spec.windows)
    }
    return assess_counts(spec, windows, history, survey.now, changes, trouble)


async def _value(
    survey: Survey, changes: Sequence[Change], trouble: Sequence[Precedent]
) -> Problem:
    spec = survey.spec
    history, traffic = await asyncio.gather(value_history(survey), _traffic(survey))
    windows = {
        width: [value for at, value in history if at > (survey.now - width).timestamp()]
        for width in spec.windows
    }
    return assess_value(spec, windows, traffic, history, survey.now, changes, trouble)


async def _threshold(
    survey: Survey, _changes: Sequence[Change], _trouble: Sequence[Precedent]
) -> Problem:
    """A threshold is passed or not, whatever was before."""
    (evaluation, slack), traffic = await asyncio.gather(threshold_now(survey), _events(survey))
    return assess_threshold(survey.spec, evaluation, traffic, survey.now, slack)


async def _require_fresh(survey: Survey) -> None:
    """Of a threshold each leaf is, or is not, by itself."""
    if survey.spec.kind != "threshold":
        await survey.require_fresh()


async def _traffic(survey: Survey) -> dict[timedelta, float | None]:
    """The events a minute of each window, where the rule counts them."""
    counted = await _events(survey)
    return {
        width: None if count is None else count / (width.total_seconds() / 60)
        for width, count in counted.items()
    }


async def _events(survey: Survey) -> dict[timedelta, float | None]:
    """The events of each window, where the rule counts them."""
    spec = survey.spec
    if spec.total is None:
        return {}
    totals = await asyncio.gather(*(survey.instant(spec.total, w) for w in spec.windows))
    counted = [one_number(answer) for answer in totals]
    return dict(zip(spec.windows, counted, strict=True))
