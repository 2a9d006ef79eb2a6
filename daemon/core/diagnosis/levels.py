"""Which values of which label turned worse, where the problem is a value such as a latency.

A quantile or a mean has no parts that add up, so nobody's contribution can be reckoned. A value is
named if its own level surely turned worse (as `moved` judges it, corrected by Bonferroni for all
the values looked at) and the levels of nearly all others stayed; if many turned worse alike, none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from daemon.core.diagnosis.contribution import FALSE_NAMING, LIFT, MOST_NAMED
from daemon.core.diagnosis.moved import MIN_AFTER, MIN_BEFORE, chance_of_shift
from daemon.core.measurement.loss import scale

_LEAST = 0.1
"""A level that is worse by less than this part of itself is not told."""
_OTHERS = 0.5
"""No other value may have become worse by more than this part of what the named ones did."""


@dataclass(frozen=True)
class ValueLevels:
    """The levels with one value of a label, before the onset and after it."""

    value: str
    before: Sequence[float]
    after: Sequence[float]


@dataclass(frozen=True)
class WorseValues:
    """The values of a label that turned worse, with the levels of the worst; `rest_before` and
    `rest` are the medians of all others. `tested`: how many values of how many labels there
    were."""

    label: str
    values: tuple[str, ...]
    before: float
    after: float
    rest_before: float
    rest: float
    tested: int
    labels: int


@dataclass(frozen=True)
class LevelsFound:
    """Who turned worse, the plainest label first. `tested` and `labels`: what was looked at."""

    worse: tuple[WorseValues, ...]
    tested: int
    labels: tuple[str, ...]


def worse_values(levels: dict[str, Sequence[ValueLevels]], sign: float) -> LevelsFound:
    """Which values turned worse, by label; `sign` is −1 where a lower level is worse."""
    known = {label: [v for v in values if _enough(v)] for label, values in levels.items()}
    known = {label: values for label, values in known.items() if len(values) > 1}
    tested = sum(len(values) for values in known.values())
    found = [
        one
        for label, values in known.items()
        if (one := _worse(label, values, sign, tested, len(known))) is not None
    ]
    found.sort(key=lambda w: (len(w.values), -abs(w.after - w.before) / scale(w.before)))
    return LevelsFound(tuple(found), tested, tuple(known))


def _enough(one: ValueLevels) -> bool:
    return len(one.before) >= MIN_BEFORE and len(one.after) >= MIN_AFTER


def _worse(
    label: str, values: Sequence[ValueLevels], sign: float, tested: int, labels: int
) -> WorseValues | None:
    floor = _floor(values)

    def loss(one: ValueLevels) -> float:
        """How much worse it is, relative to what it was."""
        usual = median(one.before)
        return sign * (median(one.after) - usual) / max(scale(usual) if usual else 0.0, floor)

    ranked = sorted(values, key=loss, reverse=True)
    chosen: list[ValueLevels] = []
    for one in ranked:
        surely = chance_of_shift(one.before, one.after) <= FALSE_NAMING / tested
        if not surely or loss(one) < max(_LEAST, _OTHERS * loss(ranked[0])):
            break
        chosen.append(one)
    rest = ranked[len(chosen) :]
    if not chosen or len(chosen) > MOST_NAMED or not rest:
        return None
    least = loss(chosen[-1])
    if loss(rest[0]) > _OTHERS * least:
        return None
    if median(loss(one) for one in rest) > least / LIFT:
        return None
    return WorseValues(
        label=label,
        values=tuple(one.value for one in chosen),
        before=median(chosen[0].before),
        after=median(chosen[0].after),
        rest_before=median(median(one.before) for one in rest),
        rest=median(median(one.after) for one in rest),
        tested=tested,
        labels=labels,
    )


def _floor(values: Sequence[ValueLevels]) -> float:
    """What a level is measured by that was nearly nothing: the usual level of them all. Else who
    failed once would look better than who never did, though both fail alike now."""
    usual = [abs(median(one.before)) for one in values]
    return median(usual) or max(usual) or 1.0
