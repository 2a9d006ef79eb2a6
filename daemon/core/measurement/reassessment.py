"""Whether a later measurement of a confirmed problem tells more than the one that is known."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.core.measurement.loss import direction, level_at
from daemon.core.measurement.problem import Problem
from daemon.core.rules.rule import ProblemSpec


def better_founded(spec: ProblemSpec, known: Problem, later: Problem) -> bool:
    """Whether `later` may take the place of `known`, whose baseline recovery is verified against.

    It must be confirmed, with an onset, and with a baseline where it is compared with one. The
    look-back moves on with time, so without more ado the onset would creep after it and the
    baseline would drift into the trouble. Therefore:

    - the latest moment at which it can have begun does not rise: it was that bad by then. While no
      onset is known this is the moment of the known measurement. Only an onset that is known
      better than before may be a little later.
    - the baseline is not worse than the known one by half of what confirms a problem; it may be
      longer, or end earlier.
    """
    if later.verdict != "confirmed" or later.onset is None:
        return False
    if later.baseline is None and spec.kind != "threshold":
        return False
    slack = spec.windows[0] if _uncertainty(later) < _uncertainty(known) else timedelta(0)
    if _latest_onset(later) > min(_latest_onset(known) + slack, known.at):
        return False
    if spec.kind == "threshold" or known.baseline is None or later.baseline is None:
        return True  # a threshold is compared with no baseline
    return not _worse(spec, known.baseline, later.baseline)


def onset_moved(known: Problem, later: Problem) -> bool:
    """Whether the two date the onset differently by more than the known uncertainty."""
    if known.onset is None or later.onset is None:
        return known.onset != later.onset
    return abs(later.onset - known.onset) > (known.onset_within or timedelta(0))


def _latest_onset(problem: Problem) -> datetime:
    return problem.onset_bounds[1] or problem.at


def _uncertainty(problem: Problem) -> timedelta:
    """How long the interval of the onset is."""
    begin, end = problem.onset_bounds
    return timedelta.max if begin is None or end is None else end - begin


def _worse(spec: ProblemSpec, known: float, later: float) -> bool:
    """Whether a baseline is worse than the known one by half of what confirms a problem."""
    limit = level_at(spec, known, spec.confirm.loss(known) / 2)
    return later < limit if spec.value is None else direction(spec) * (later - limit) > 0
