"""Find earlier trouble that was about as bad as the present one, however long ago."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from daemon.core.changes.precedent import Precedent
from daemon.core.measurement.baseline import MINUTE
from daemon.core.measurement.loss import value_loss
from daemon.core.measurement.problem import Problem
from daemon.core.measurement.threshold import Evaluation
from daemon.core.rules.rule import ProblemSpec
from daemon.core.values.significance import Bin

AS_BAD = 0.5
"""From this part of the present loss on, earlier trouble was about as bad."""
OVER = 0.25
"""Down to this part of it, it was over."""
_SURE = 10.0
"""Earlier trouble must be so much likelier (in logarithms) than what is usual. Chance reaches that
with at most e⁻¹⁰, of however few events (Chernoff); a day holds well over a thousand looks."""


@dataclass(frozen=True)
class _Look:
    """What was seen from `begin` to `end`; a value is one look of which `total` is 0."""

    begin: float
    end: float
    loss: float
    bad: float = 0.0
    total: float = 0.0


def counts_precedents(
    spec: ProblemSpec, problem: Problem, history: Iterable[Bin]
) -> list[Precedent]:
    """Earlier stretches whose counts surely were about as bad; `history` is oldest first, bins
    of the shortest window that do not overlap."""
    if problem.baseline is None:
        return []
    width, usual = spec.windows[0].total_seconds(), 1 - problem.baseline
    looks = [
        _Look(b.end - width, b.end, b.bad / b.total - usual, b.bad, b.total)
        for b in history
        if b.total > 0
    ]
    return _precedents(spec, problem, looks)


def value_precedents(
    spec: ProblemSpec, problem: Problem, history: Iterable[tuple[float, float]]
) -> list[Precedent]:
    """Earlier stretches in which the value was about as bad; `history` is oldest first."""
    if problem.baseline is None:
        return []
    width = spec.windows[0].total_seconds()
    losses = [(at, value_loss(spec, problem.baseline, value).estimate) for at, value in history]
    return _precedents(spec, problem, [_Look(at - width, at, loss) for at, loss in losses])


def threshold_precedents(
    spec: ProblemSpec, problem: Problem, evaluation: Evaluation
) -> list[Precedent]:
    """Earlier stretches in which the threshold was passed."""
    width = spec.windows[0].total_seconds()
    looks = [
        _Look(at - width, at, float(one.holds))
        for at, one in zip(evaluation.moments, evaluation.judged, strict=True)
        if one.holds is not None
    ]
    return _found(problem, looks, least=1.0, over=0.0)


def _precedents(spec: ProblemSpec, problem: Problem, looks: Sequence[_Look]) -> list[Precedent]:
    """The stretches as bad as now."""
    if problem.loss is None or problem.baseline is None:
        return []
    least = max(AS_BAD * problem.loss, spec.confirm.loss(problem.baseline))
    return _found(problem, looks, least, OVER * problem.loss)


def _found(problem: Problem, looks: Sequence[_Look], least: float, over: float) -> list[Precedent]:
    """The stretches with a loss of `least` that were over, at a loss of `over` or less, before the
    present trouble began. One look by itself may be a hiccup; several such are none."""
    if problem.onset_quantiles is None:
        return []
    began = problem.onset_quantiles[0].timestamp()
    earlier = [look for look in looks if look.end <= began]
    well = [look.end for look in earlier if look.loss <= over]
    episodes = [
        episode
        for episode in _episodes(earlier, least)
        if _sure(episode, _usual(problem)) and well and well[-1] > episode[-1].end
    ]
    if len(episodes) < 2 and all(len(episode) < 2 for episode in episodes):
        return []
    return [
        Precedent(
            begin=datetime.fromtimestamp(episode[0].begin, UTC),
            end=datetime.fromtimestamp(episode[-1].end, UTC),
        )
        for episode in episodes
    ]


def _episodes(looks: Sequence[_Look], least: float) -> list[list[_Look]]:
    """The looks as bad as that, parted where there were others between them; one may be."""
    episodes: list[list[_Look]] = []
    others = 2
    for look in looks:
        if look.loss < least:
            others += 1
            continue
        if others < 2:
            episodes[-1].append(look)
        else:
            episodes.append([look])
        others = 0
    return episodes


def _sure(episode: Sequence[_Look], usual: float) -> bool:
    """Whether that is more than chance. Of a value two looks are, for each is a sample of its
    own; counts must pass by all that they counted."""
    bad, total = sum(look.bad for look in episode), sum(look.total for look in episode)
    if not total:
        return len(episode) > 1
    share = bad / total
    if share <= usual:
        return False
    gain = bad * math.log(share / usual)
    if bad < total:
        gain += (total - bad) * math.log((1 - share) / (1 - usual))
    return gain > _SURE


def _usual(problem: Problem) -> float:
    """The share of bad events in the baseline; half an event of it if there was none."""
    begin, until, events = problem.baseline_from, problem.baseline_until, 1.0
    if begin is not None and until is not None:
        events = max(events, (problem.baseline_traffic or 0.0) * ((until - begin) / MINUTE))
    return max(1 - (problem.baseline or 0.0), 0.5 / events)
