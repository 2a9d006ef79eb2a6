"""How much worse a level is than the baseline: the one formula that every judgement uses.

For counts a loss is in share points (0…1), for values it is relative to the baseline. Positive is
worse, whichever direction the metric has.
"""

from __future__ import annotations

from dataclasses import dataclass

from daemon.core.rules.rule import ProblemSpec
from daemon.core.values.significance import wilson


@dataclass(frozen=True)
class Loss:
    """A level and how much worse it is; `low` and `high` are the 99 % interval, if it has one."""

    level: float
    estimate: float
    low: float | None = None
    high: float | None = None


def direction(spec: ProblemSpec) -> float:
    """1 where a higher value is worse, −1 where a lower one is."""
    return 1.0 if spec.direction == "lower_is_better" else -1.0


def scale(baseline: float) -> float:
    """What a difference of values is divided by to be relative; a baseline of zero counts as 1."""
    return abs(baseline) or 1.0


def counts_loss(baseline: float, bad: float, total: float) -> Loss:
    """The loss of bad/total against a success share. Needs total > 0."""
    share, normal = wilson(bad, total), 1 - baseline
    return Loss(
        level=1 - share.estimate,
        estimate=share.estimate - normal,
        low=share.low - normal,
        high=share.high - normal,
    )


def value_loss(spec: ProblemSpec, baseline: float, level: float) -> Loss:
    """The loss of a value against its baseline."""
    return Loss(level, direction(spec) * (level - baseline) / scale(baseline))


def level_at(spec: ProblemSpec, baseline: float, loss: float) -> float:
    """The level that is so much worse than the baseline: what a chart draws as a threshold."""
    if spec.value is None:
        return baseline - loss
    return baseline + direction(spec) * loss * scale(baseline)
