"""Has it recovered? Readings after a step become one of six verdicts.

A step gets credit only for what happened after it: windows start after the action and its
settle time. `recovered` needs readings near the baseline, with traffic, for the whole hold time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.incident.events import Verdict
from daemon.core.incident.state import Incident
from daemon.core.incident.step_state import StepState
from daemon.core.measurement.assessment import level_text
from daemon.core.measurement.problem import Problem, RecoveryReading, RecoveryState
from daemon.core.rules.rule import ProblemSpec, Rule
from daemon.core.values.units import format_duration

IMPROVED = 0.5
"""A loss that shrank to this part of what it was counts as an improvement."""

_LEAST_WORSE = 0.1
"""A threshold that is passed by less than this part of it more is passed as before."""

THINNEST = 0.1
"""The smallest part of a window full of trouble from which the whole is reckoned."""

SLOWEST = timedelta(minutes=10)
"""An incident that stays open for days is measured so often, no less and no more."""


@dataclass(frozen=True)
class Ruling:
    """A verdict with its sentence, or (verdict None) when to read again."""

    verdict: Verdict | None
    text: str
    again_at: datetime


def pace(rule: Rule, since: datetime, now: datetime) -> timedelta:
    """How long to wait between measurements: often at first, ever less often as time passes."""
    shortest = rule.problem.windows[0]
    slow = max(shortest / 2, (now - since) / 10, timedelta(seconds=1))
    return min(slow, max(SLOWEST, shortest))


def first_reading_at(rule: Rule, problem: Problem, finished_at: datetime) -> datetime:
    """When the shortest window holds nothing from before the step and its settle time, also where
    the metrics are behind."""
    return finished_at + rule.verify.settle + problem.behind + rule.problem.windows[0]


def rule_on(rule: Rule, problem: Problem, step: StepState, now: datetime) -> Ruling:
    """Judge a step by its readings so far; `problem` is the confirmed one."""
    finished = step.finished_at or now
    first = first_reading_at(rule, problem, finished)
    if not step.readings:
        return Ruling(None, "", first)
    again = max(step.readings[-1].at + pace(rule, finished, now), first)
    last = step.readings[-1]
    good = _healthy_since(rule, finished, [(r.at, r.state) for r in step.readings])
    if good is not None:
        held = last.at - good
        if held >= rule.verify.hold:
            return Ruling(_credit(step), _text(rule.problem, problem, last, held), now)
        return Ruling(None, "", min(again, good + rule.verify.hold))
    if worse_than_before(rule, problem, step):
        return Ruling("worse", _text(rule.problem, problem, last), now)
    # Unreadable gets one more hold time before a person is called; so does a slow start.
    patience = first + rule.verify.hold * (2 if last.state == "unreadable" else 1)
    if last.at < patience:
        return Ruling(None, "", again)
    if last.state == "unreadable":
        return Ruling(
            "inconclusive",
            f"{last.reason.replace('_', ' ')}: recovery can be neither seen nor denied",
            now,
        )
    # Had the trouble begun as early as can be, the windows before the step were fullest of it.
    before = loss_before(rule, problem, step, problem.onset_bounds[0])
    improved = last.loss is not None and last.loss <= before * IMPROVED and before > 0
    return Ruling("partial" if improved else "unchanged", _text(rule.problem, problem, last), now)


def recovered_alone(incident: Incident, rule: Rule) -> bool:
    """Whether the metrics were healthy for the hold time although no step was at work."""
    return healthy_for(incident, rule) >= rule.verify.hold


def healthy_for(incident: Incident, rule: Rule) -> timedelta:
    """How long the newest measurements have been healthy without a break."""
    since = _healthy_since(rule, incident.opened_at, incident.recent)
    return timedelta(0) if since is None else incident.recent[-1][0] - since


def _healthy_since(
    rule: Rule, begin: datetime, measured: Sequence[tuple[datetime, RecoveryState]]
) -> datetime | None:
    """Where the streak of healthy measurements begins that lasts until the newest.

    What nobody measured was not healthy: a gap much longer than the pace breaks the streak.
    """
    since = None
    for at, state in reversed(measured):
        if state != "healthy":
            break
        gap = rule.problem.windows[0] + 2 * pace(rule, begin, at)
        if since is not None and since - at > gap:
            break
        since = at
    return since


def loss_before(rule: Rule, problem: Problem, step: StepState, began: datetime | None) -> float:
    """The loss before the step, as the shortest window shows it once it is full of the trouble.

    What was measured soon after the onset holds healthy time too; that it grows afterwards is
    nobody's doing. `began`: when the trouble is taken to have begun, None if nobody knows.
    """
    seen = [(problem.at, problem.loss or 0.0)]
    reading = step.evidence.reading if step.evidence else None
    if reading is not None and reading.loss is not None:
        seen.append((reading.at, reading.loss))
    if began is None or problem.kind != "counts":  # a median is not diluted, it jumps
        return max(loss for _, loss in seen)
    full = rule.problem.windows[0]
    parts = [(loss, (at - began) / full) for at, loss in seen]
    return max(min(1.0, loss / min(1.0, max(part, THINNEST))) for loss, part in parts)


def worse_than_before(rule: Rule, problem: Problem, step: StepState) -> bool:
    """Two readings in a row, worse than before the step by the threshold that confirms."""
    latest = problem.onset and problem.onset + (problem.onset_within or timedelta(0))
    before = loss_before(rule, problem, step, latest)
    limit = rule.problem.confirm.loss(problem.baseline or 0.0)
    if problem.kind == "threshold":  # no rise is asked for: as much again as it was passed by
        limit = max(before, _LEAST_WORSE)
    last = step.readings[-2:]
    return len(last) == 2 and all(
        r.state == "impaired"
        and r.loss is not None
        and r.loss >= before + limit
        and (r.low is None or r.low > before)
        for r in last
    )


def _credit(step: StepState) -> Verdict:
    # What failed, or what nobody knows to have happened, gets no credit.
    done = step.outcome is not None and step.outcome.result == "done"
    return "recovered" if done else "self_recovered"


def _text(
    spec: ProblemSpec, problem: Problem, reading: RecoveryReading, held: timedelta | None = None
) -> str:
    def show(level: float | None) -> str:
        return "?" if level is None else level_text(spec, level)

    text = f"{spec.symptom} {show(problem.level)} → {show(reading.level)}"
    if problem.bounds:
        text += f", a problem if {problem.bounds}"
    else:
        text += f", baseline {show(problem.baseline)}"
    if held is None:
        return text
    return f"{text}, held for {format_duration(timedelta(seconds=round(held.total_seconds())))}"
