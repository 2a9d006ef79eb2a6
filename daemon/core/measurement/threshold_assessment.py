"""From a threshold evaluated over time to a Problem, to a reading of recovery, and to a mark of an
earlier time.

Confirmed only if the condition holds at the newest evaluation and at more than half of those of
the shortest window. What was usual is told where it is known, and decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from statistics import median

from daemon.core.changes.suspects import HealthMark
from daemon.core.measurement.assessment import need_traffic, severity_of
from daemon.core.measurement.baseline import MINUTE
from daemon.core.measurement.onset import MIN_BASELINE_SAMPLES
from daemon.core.measurement.problem import (
    Comparison,
    ConditionReading,
    Problem,
    ProblemReason,
    ReadingReason,
    RecoveryReading,
    RecoveryState,
)
from daemon.core.measurement.threshold import Evaluation, LeafSamples
from daemon.core.rules.rule import ProblemSpec
from daemon.core.rules.threshold_spec import Threshold, comparison_holds
from daemon.core.values.formats import number_text
from daemon.core.values.units import clock_time, format_duration, printable, quantity

_MOST_TOLD = 3
"""So many leaves of a joined threshold are told in a sentence."""
_LONGEST_QUERY = 60
"""Characters of a leaf's query in a sentence."""
_WELL = 0.05
"""An item under which the threshold was passed for this share of the time, or less, was healthy."""


def assess_threshold(
    spec: ProblemSpec,
    evaluation: Evaluation,
    traffic: Mapping[timedelta, float | None],
    now: datetime,
    slack: timedelta = timedelta(0),
) -> Problem:
    """Assess a threshold. `traffic`: the events of each window, where the rule counts them;
    `slack`: how much earlier the numbers may have been so than they show it. Raises Unmeasurable.
    """
    if spec.total is not None:
        need_traffic(spec, traffic)
    if evaluation.newest is None:
        raise evaluation.why_unreadable()
    held, _, evaluated = evaluation.held(spec.windows[0], now)
    reason: ProblemReason = "within_threshold"
    if evaluation.newest:
        reason = "threshold_passed" if 2 * held > evaluated else "threshold_not_held"
    problem = Problem(
        verdict="confirmed" if reason == "threshold_passed" else "not_confirmed",
        reason=reason,
        text=condition_text(spec, evaluation),
        at=now,
        symptom=spec.symptom,
        kind="threshold",
        windows=tuple(_windows(spec, evaluation, traffic, now)),
        conditions=tuple(_reading(one) for one in evaluation.leaves),
        leading=evaluation.leading(),
    )
    if reason == "threshold_passed":
        return _confirmed(spec, evaluation, problem, slack)
    if reason == "threshold_not_held":
        span = format_duration(spec.windows[0])
        only = f", but at {held} of the {evaluated} evaluations of the last {span} only"
        return problem.model_copy(update={"text": problem.text + only})
    return problem


def threshold_reading(
    spec: ProblemSpec, problem: Problem, evaluation: Evaluation, now: datetime
) -> RecoveryReading:
    """One reading after a step; `problem` is the confirmed one, whose leading leaf's number is the
    level. Healthy needs that the condition held at no evaluation of the shortest window, and that
    more than half of them say so."""
    held, not_held, evaluated = evaluation.held(spec.windows[0], now)
    newest = evaluation.newest
    state: RecoveryState
    reason: ReadingReason
    if newest is None:
        trouble = evaluation.why_unreadable()
        return RecoveryReading(at=now, state="unreadable", reason=trouble.reason)
    if newest:
        passed = 2 * held > evaluated
        state = "impaired" if passed else "degraded"
        reason = "threshold_passed" if passed else "threshold_not_held"
    elif held:
        state, reason = "degraded", "newest_samples_well"
    elif 2 * not_held > evaluated:
        state, reason = "healthy", "within_threshold"
    else:
        return RecoveryReading(at=now, state="unreadable", reason="empty_answer")
    amount = evaluation.judged[-1].excess or 0.0
    leaf = evaluation.leaves[evaluation.condition.leaves().index(leading_leaf(spec, problem))]
    return RecoveryReading(
        at=now,
        state=state,
        severity=severity_of(spec, amount) if state == "impaired" else "",
        reason=reason,
        level=_finite(leaf.number(-1)),
        loss=_finite(amount),
        text=condition_text(spec, evaluation),
    )


def leading_leaf(spec: ProblemSpec, problem: Problem | None) -> Threshold:
    """The leaf whose numbers stand for the problem, so that levels of one thing are compared; the
    first if none does, or the rule has it no more."""
    leaves, known = spec.condition.leaves(), problem.conditions if problem is not None else ()
    if problem is None or problem.leading >= len(known):
        return leaves[0]
    led = known[problem.leading]
    exact = [x for x in leaves if (x.value, x.describe()) == (led.query, led.bounds)]
    same = [x for x in leaves if x.value == led.query]
    return [*exact, *same, *leaves][0]


def worse_side(spec: ProblemSpec, problem: Problem | None) -> float:
    """1 where a higher number of the leading leaf is worse, −1 where a lower one is; where its
    bounds do not say, the side to which it left what was usual."""
    names = {name for name, _ in leading_leaf(spec, problem).bounds}
    if names <= {"above", "at_least"}:
        return 1.0
    if names <= {"below", "at_most"}:
        return -1.0
    if problem is None or problem.level is None or problem.baseline is None:
        return 1.0
    return -1.0 if problem.level < problem.baseline else 1.0


def judge_threshold_life(evaluation: Evaluation) -> HealthMark | None:
    """Whether an item was healthy while it was live: over its life the threshold was hardly ever
    passed, or mostly. None if too little is known, or it lies between."""
    states = [one.holds for one in evaluation.judged if one.holds is not None]
    if len(states) < MIN_BASELINE_SAMPLES:
        return None
    share = sum(states) / len(states)
    if share > 1 / 2:
        return "bad"
    return "healthy" if share <= _WELL else None


def condition_text(spec: ProblemSpec, evaluation: Evaluation) -> str:
    """The numbers beside their bounds: "memory in use 96.2, above 90"; of a joined threshold the
    leaves by which it holds, or all that do not."""
    holds = bool(evaluation.newest)
    told = evaluation.holding() if holds else range(len(evaluation.leaves))
    chosen = [evaluation.leaves[number] for number in told]
    if not spec.condition.parts:
        return f"{spec.symptom} {_beside(chosen[0], holds=holds)}"
    parts = [f"{_short(one.leaf)} {_beside(one)}" for one in chosen[:_MOST_TOLD]]
    if len(chosen) > _MOST_TOLD:
        parts.append(f"{len(chosen) - _MOST_TOLD} more")
    passed = "" if holds else "the threshold is not passed: "
    return f"{spec.symptom}: {passed}{'; '.join(parts)}"


def _beside(one: LeafSamples, *, holds: bool | None = None) -> str:
    """A leaf's newest number and its bounds, with so many digits that it is seen which it is."""
    number = one.number(-1)
    if number is None:
        return "cannot be read"
    held = one.holds(-1) if holds is None else holds
    return f"{_spelled(one.leaf, number)}, {'' if held else 'not '}{one.leaf.describe()}"


def _spelled(leaf: Threshold, number: float) -> str:
    if not math.isfinite(number):
        return number_text(number)
    spelled = (quantity(number), *(f"{number:,.{digits}g}" for digits in (4, 6, 10)))
    held = comparison_holds(leaf, number)
    fitting = (
        text for text in spelled if comparison_holds(leaf, float(text.replace(",", ""))) == held
    )
    return next(fitting, repr(number))


def _short(leaf: Threshold) -> str:
    query = printable(" ".join((leaf.value or "").split()))
    return query if len(query) <= _LONGEST_QUERY else f"{query[: _LONGEST_QUERY - 1]}…"


def _confirmed(
    spec: ProblemSpec, evaluation: Evaluation, problem: Problem, slack: timedelta
) -> Problem:
    """With the onset, what was usual before it, and the severity."""
    since = evaluation.held_since(spec.windows[0])
    severity = severity_of(spec, evaluation.judged[-1].excess or 0.0)
    if since.after is None:
        first = evaluation.moments[0]
        throughout = since.by - first <= spec.windows[0].total_seconds()
        begun_by = datetime.fromtimestamp(since.by, UTC)
        when = f" for longer than {format_duration(spec.baseline)}"
        if not throughout:
            when = f" since {clock_time(begun_by)} or longer"
        update = {"text": problem.text + when, "begun_by": begun_by, "severity": severity}
        return problem.model_copy(update=update)
    earliest, latest = since.after - slack.total_seconds(), since.by
    middle = (earliest + latest) / 2
    quartile = earliest + (latest - earliest) / 4
    onset = datetime.fromtimestamp(middle, UTC)
    update = {
        "text": f"{problem.text} since {clock_time(onset)}",
        "onset": onset,
        "onset_within": timedelta(seconds=math.ceil(latest - middle)),
        "onset_quantiles": tuple(
            datetime.fromtimestamp(at, UTC) for at in (earliest, quartile, latest)
        ),
        "severity": severity,
    }
    before = evaluation.before(earliest)
    if len(before) >= MIN_BASELINE_SAMPLES:
        usual = median(number for _, number in before)
        update |= {
            "text": f"{update['text']} (usually {quantity(usual)})",
            "baseline": usual,
            "baseline_from": datetime.fromtimestamp(before[0][0], UTC),
            "baseline_until": datetime.fromtimestamp(earliest, UTC),
        }
    return problem.model_copy(update=update)


def _windows(
    spec: ProblemSpec,
    evaluation: Evaluation,
    traffic: Mapping[timedelta, float | None],
    now: datetime,
) -> Iterable[Comparison]:
    leaf = evaluation.leaves[evaluation.leading()]
    for width in spec.windows:
        indexes = evaluation.within(width, now)
        if width == spec.windows[0]:
            indexes = indexes[-1:]
        levels = [n for i in indexes if (n := leaf.number(i)) is not None]
        amounts = [a for i in indexes if (a := evaluation.judged[i].excess) is not None]
        level, amount = median(levels or [math.nan]), median(amounts or [0.0])
        if not (math.isfinite(level) and math.isfinite(amount)):
            return  # what is infinite is told by the sentence
        held, _, evaluated = evaluation.held(width, now)
        events = traffic.get(width)
        yield Comparison(
            window=width,
            level=level,
            loss=amount,
            low=None,
            high=None,
            traffic=None if events is None else events / (width / MINUTE),
            exceeds=2 * held > evaluated,
            significant=True,
        )


def _reading(one: LeafSamples) -> ConditionReading:
    return ConditionReading(
        query=one.leaf.value or "",
        bounds=one.leaf.describe(),
        level=_finite(one.number(-1)),
        holds=one.holds(-1),
    )


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
