"""Whether the service is well again, or an item ever was, by a confirmed problem's baseline."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from statistics import median

from daemon.core.changes.suspects import HealthMark
from daemon.core.measurement.assessment import severity_of
from daemon.core.measurement.baseline import MIN_BASELINE_EVENTS, MINUTE
from daemon.core.measurement.loss import Loss, counts_loss, value_loss
from daemon.core.measurement.onset import MIN_BASELINE_SAMPLES
from daemon.core.measurement.problem import Problem, ReadingReason, RecoveryReading
from daemon.core.rules.rule import ProblemSpec, VerifySpec

NEAR_BASELINE = 0.005
"""Share points off the baseline that still count as near, where the rule does not say."""


def read_recovery(
    spec: ProblemSpec,
    verify: VerifySpec,
    problem: Problem,
    level: float | None,
    counted: tuple[float, float] | None,
    now: datetime,
) -> RecoveryReading:
    """One reading after a step, against the baseline of the confirmed problem.

    `counted` is (bad, total) of the shortest window for counts, or (0, total) where a value
    rule counts its traffic; `level` is the value's median. Healthy needs the level near the
    baseline *and* under the threshold that confirms, with enough traffic. Impaired needs no more
    traffic than what confirms: an outage drives users away, and is no less one for that.
    """
    traffic = None if counted is None else counted[1] / (spec.windows[0] / MINUTE)
    missing = _too_little_traffic(spec, problem, verify, traffic)
    if missing is not None:
        return RecoveryReading(at=now, state="unreadable", reason=missing, traffic=traffic)
    if problem.baseline is None:
        return RecoveryReading(at=now, state="unreadable", reason="no_baseline", traffic=traffic)
    loss = _loss(spec, problem.baseline, level, counted)
    if loss is None:
        return RecoveryReading(at=now, state="unreadable", reason="empty_answer", traffic=traffic)
    limit = spec.confirm.loss(problem.baseline)
    impaired = loss.estimate >= limit
    certain = impaired and (loss.low is None or loss.low > 0)
    if _thin(spec, problem, verify, traffic) and not certain:
        reason: ReadingReason = "traffic_below_baseline"
        return RecoveryReading(at=now, state="unreadable", reason=reason, traffic=traffic)
    healthy = not impaired and loss.estimate <= _near(spec, verify, limit)
    return RecoveryReading(
        at=now,
        state="healthy" if healthy else "impaired" if impaired else "degraded",
        severity=severity_of(spec, loss.estimate) if impaired else "",
        reason="near_baseline" if healthy else "away_from_baseline",
        level=loss.level,
        loss=loss.estimate,
        low=loss.low,
        high=loss.high,
        traffic=traffic,
    )


def with_traffic(
    spec: ProblemSpec,
    verify: VerifySpec,
    problem: Problem,
    reading: RecoveryReading,
    counted: tuple[float, float] | None,
) -> RecoveryReading:
    """A reading of a threshold beside its traffic, (0, events) of the shortest window: with too
    little nothing is read; what is passed all the same, is."""
    traffic = None if counted is None else counted[1] / (spec.windows[0] / MINUTE)
    reading = reading.model_copy(update={"traffic": traffic})
    missing = _too_little_traffic(spec, problem, verify, traffic)
    if missing is None and reading.state != "impaired" and _thin(spec, problem, verify, traffic):
        missing = "traffic_below_baseline"
    if missing is None or reading.state == "unreadable":
        return reading
    return RecoveryReading(at=reading.at, state="unreadable", reason=missing, traffic=traffic)


def corrected(
    spec: ProblemSpec,
    problem: Problem,
    reading: RecoveryReading,
    newest: tuple[float, float] | None,
    value: float | None,
) -> RecoveryReading:
    """The reading, unless the newest scrapes show that the trouble is just over.

    The shortest window remembers it for as long as it is. `newest`: (bad, total) of the last half
    of that window; `value`: the newest sample of a value. What these cannot tell changes nothing.
    """
    if reading.state != "impaired" or problem.baseline is None:
        return reading
    limit = spec.confirm.loss(problem.baseline)
    if spec.value is not None:
        over = value is not None and value_loss(spec, problem.baseline, value).estimate < limit
    elif newest is None or newest[1] <= 0:
        over = False
    else:
        high = counts_loss(problem.baseline, *newest).high or 0.0
        over = high < max(limit, max(reading.loss or 0.0, problem.loss or 0.0) / 2)
    if not over:
        return reading
    update = {"state": "degraded", "severity": "", "reason": "newest_samples_well"}
    return reading.model_copy(update=update)


def judge_life(
    spec: ProblemSpec,
    problem: Problem,
    counted: tuple[float, float] | None,
    samples: Sequence[float],
) -> HealthMark | None:
    """Whether an item was healthy while it was live, against the confirmed problem's baseline.

    `counted` is its (bad, total) for counts; `samples` are the values for a value. None if that
    is too little to judge by, or lies between healthy and bad.
    """
    if problem.baseline is None:
        return None
    if spec.value is None:
        if counted is None or counted[1] < MIN_BASELINE_EVENTS:
            return None
        loss = counts_loss(problem.baseline, *counted)
    else:
        if len(samples) < MIN_BASELINE_SAMPLES:
            return None
        loss = value_loss(spec, problem.baseline, median(samples))
    limit = spec.confirm.loss(problem.baseline)
    if loss.estimate >= limit:
        return "bad"
    return "healthy" if loss.estimate <= limit / 2 else None


def _too_little_traffic(
    spec: ProblemSpec, problem: Problem, verify: VerifySpec, traffic: float | None
) -> ReadingReason | None:
    """Why nothing can be read from so few events a minute, however bad; None if it can."""
    if spec.total is not None and not traffic:
        return "no_traffic"
    if traffic is None or not _thin(spec, problem, verify, traffic):
        return None
    return "traffic_below_baseline" if traffic < spec.confirm.traffic else None


def _thin(spec: ProblemSpec, problem: Problem, verify: VerifySpec, traffic: float | None) -> bool:
    """Whether there are fewer events a minute than recovery takes to be believed."""
    if traffic is None:
        return False
    if problem.baseline_traffic is None:  # it is known for counts alone
        return traffic < spec.confirm.traffic
    return traffic < problem.baseline_traffic * verify.traffic


def _loss(
    spec: ProblemSpec,
    baseline: float,
    level: float | None,
    counted: tuple[float, float] | None,
) -> Loss | None:
    """None if there is nothing to compare."""
    if spec.value is None and counted is not None:
        return counts_loss(baseline, *counted)
    return None if level is None else value_loss(spec, baseline, level)


def _near(spec: ProblemSpec, verify: VerifySpec, limit: float) -> float:
    """How great a loss still counts as near the baseline."""
    if verify.near_baseline is not None:
        return verify.near_baseline
    return NEAR_BASELINE if spec.value is None else limit / 4
