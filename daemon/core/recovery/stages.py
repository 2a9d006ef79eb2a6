"""A step that stops midway: does it go on, or is it taken back? By readings of what is back.

It goes on only with a sign that it helps: where the rule counts by revision, what came back is near
the baseline; else the loss of the whole has shrunk by at least half of what the part should take
off it. It is stopped if what came back is as bad as what confirms a problem, if all is worse than
before, or if there is no sign in time. Two readings in a row are asked for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from daemon.core.incident.events import StageReached, StageRuled
from daemon.core.incident.reasons import StageReason
from daemon.core.incident.step_state import StepState
from daemon.core.measurement.assessment import level_text
from daemon.core.measurement.problem import Problem, RecoveryReading
from daemon.core.recovery.verification import loss_before, worse_than_before
from daemon.core.rules.rule import Rule
from daemon.core.values.units import format_duration, percent

_IN_A_ROW = 2
_EXPECTED = 0.5
"""The part of what is to be expected of the first part of a step that counts as a sign."""


@dataclass(frozen=True)
class PartReading:
    """One measurement of a step that stopped midway. `own`: of what came back alone; None where
    nobody can tell it apart."""

    whole: RecoveryReading
    own: RecoveryReading | None = None


def rule_on_part(
    rule: Rule, problem: Problem, step: StepState, readings: Sequence[PartReading]
) -> StageRuled | None:
    """What the readings since the stage say; None while they do not say enough. `problem` is the
    confirmed one."""
    last = readings[-_IN_A_ROW:]
    if step.stage is None or len(last) < _IN_A_ROW:
        return None
    reached = step.stage.reached
    own = [one.own for one in last if one.own is not None]
    if len(own) == _IN_A_ROW and all(one.state != "unreadable" for one in own):
        return _by_own(rule, problem, step.number, reached, own)
    return _by_whole(rule, problem, step, [one.whole for one in last])


def no_sign_in_time(step: int, limit: timedelta, readings: Sequence[PartReading]) -> StageRuled:
    """The ruling when the time is over that a step may stand midway."""
    last = readings[-1].own or readings[-1].whole if readings else None
    seen = f"the last reading is {last.describe()}" if last else "nothing could be measured"
    text = f"nothing shows within {format_duration(limit)} that it helps; {seen}"
    return _ruled(step, False, "no_sign_in_time", text, [last] if last else [])


def _by_own(
    rule: Rule,
    problem: Problem,
    step: int,
    reached: StageReached,
    own: Sequence[RecoveryReading],
) -> StageRuled | None:
    item = reached.item or "what came back"
    shown = f"{item} alone: {rule.problem.symptom} {_levels(rule, problem, own[-1])}"
    if all(one.state == "healthy" for one in own):
        return _ruled(step, True, "part_is_well", f"{shown}, near the baseline", own)
    if all(one.state == "impaired" for one in own):
        text = f"{shown}, as bad as what confirms a problem"
        return _ruled(step, False, "part_is_no_better", text, own)
    return None


def _by_whole(
    rule: Rule, problem: Problem, step: StepState, whole: Sequence[RecoveryReading]
) -> StageRuled | None:
    assert step.stage is not None  # noqa: S101 - by rule_on_part
    share, number = step.stage.reached.share, step.number
    shown = f"{rule.problem.symptom} {_levels(rule, problem, whole[-1])}"
    measured = replace(step, readings=tuple(whole))
    if worse_than_before(rule, problem, measured):
        return _ruled(number, False, "made_it_worse", f"{shown}, worse than before", whole)
    if all(one.state == "healthy" for one in whole):
        return _ruled(number, True, "part_is_well", f"{shown}, near the baseline", whole)
    before = loss_before(rule, problem, measured, problem.onset_bounds[0])
    enough = before * (1 - share * _EXPECTED)
    if all(one.loss is not None and one.loss <= enough for one in whole):
        text = f"{shown}, better than before with {percent(share)} of it done"
        return _ruled(number, True, "part_is_better", text, whole)
    return None


def _levels(rule: Rule, problem: Problem, reading: RecoveryReading) -> str:
    def show(level: float | None) -> str:
        return "?" if level is None else level_text(rule.problem, level)

    return f"{show(reading.level)}, baseline {show(problem.baseline)}"


def _ruled(
    step: int, go_on: bool, reason: StageReason, text: str, readings: Sequence[RecoveryReading]
) -> StageRuled:
    return StageRuled(step=step, go_on=go_on, reason=reason, text=text, readings=tuple(readings))
