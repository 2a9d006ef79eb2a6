"""Find earlier trouble that was about as bad as the present one, however long ago."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from daemon.core.changes.precedent import Precedent
from daemon.core.measurement.loss import counts_loss, value_loss
from daemon.core.measurement.problem import Problem
from daemon.core.rules.rule import ProblemSpec
from daemon.core.values.significance import Bin

AS_BAD = 0.5
"""From this part of the present loss on, earlier trouble was about as bad."""
OVER = 0.25
"""Down to this part of it, it was over."""
_ONE_EPISODE = 5
"""Looks as bad with no more than so many looks between them are the same trouble."""


@dataclass(frozen=True)
class _Look:
    begin: float
    end: float
    loss: float
    sure: bool


def counts_precedents(
    spec: ProblemSpec, problem: Problem, history: Iterable[Bin]
) -> list[Precedent]:
    """Earlier stretches whose counts surely were about as bad; `history` is oldest first, bins
    that do not overlap, each a shortest window long unless it says otherwise."""
    baseline, width = problem.baseline, spec.windows[0].total_seconds()
    marks: list[_Look] = []
    for current in history:
        if baseline is None or current.total <= 0:
            continue
        loss = counts_loss(baseline, current.bad, current.total)
        sure = loss.low is not None and loss.low > 0
        begin = current.end - width if current.begin is None else current.begin
        marks.append(_Look(begin, current.end, loss.estimate, sure))
    return _episodes(spec, problem, marks)


def value_precedents(
    spec: ProblemSpec, problem: Problem, history: Iterable[tuple[float, float]]
) -> list[Precedent]:
    """Earlier stretches in which the value was about as bad; `history` is oldest first."""
    if problem.baseline is None:
        return []
    width = spec.windows[0].total_seconds()
    losses = [(at, value_loss(spec, problem.baseline, value).estimate) for at, value in history]
    return _episodes(spec, problem, [_Look(at - width, at, loss, True) for at, loss in losses])


def _episodes(spec: ProblemSpec, problem: Problem, looks: Sequence[_Look]) -> list[Precedent]:
    """The stretches as bad as now that were over before the present trouble began. One look by
    itself may be a hiccup; several such are none."""
    if problem.onset_quantiles is None or problem.loss is None or problem.baseline is None:
        return []
    began = problem.onset_quantiles[0].timestamp()
    least = max(AS_BAD * problem.loss, spec.confirm.loss(problem.baseline))
    earlier = [look for look in looks if look.end <= began]
    episodes: list[list[int]] = []
    for index, look in enumerate(earlier):
        if not (look.sure and look.loss >= least):
            continue
        if episodes and index - episodes[-1][-1] <= _ONE_EPISODE:
            episodes[-1].append(index)
        else:
            episodes.append([index])
    over = [n for n, look in enumerate(earlier) if look.loss <= OVER * problem.loss]
    ended = [e for e in episodes if over and over[-1] > e[-1]]
    if len(ended) < 2 and all(len(e) < 2 for e in ended):
        return []
    return [
        Precedent(
            begin=datetime.fromtimestamp(earlier[e[0]].begin, UTC),
            end=datetime.fromtimestamp(earlier[e[-1]].end, UTC),
        )
        for e in ended
    ]
