"""A service that fails since its first request: what it always did is not what is normal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from daemon.core.measurement.baseline import Baseline
from daemon.core.measurement.problem import Problem
from daemon.core.rules.rule import ProblemSpec
from daemon.core.values.significance import Bin
from daemon.core.values.units import clock_time, percent


def unless_never_well(
    spec: ProblemSpec, problem: Problem, history: Sequence[Bin], baseline: Baseline, now: datetime
) -> Problem:
    """The problem of counts as it was assessed; of a service that was never seen well, one that is
    compared with nothing, and so neither confirmed nor healthy."""
    drop = spec.confirm.drop or 0.0
    since = _first_seen(spec, history, now)
    if since is None or baseline.target is not None or problem.onset is not None:
        return problem
    failing = all(1 - window.level >= drop for window in problem.windows)
    if not failing or baseline.bad == 0 or baseline.bad / baseline.total < drop:
        return problem
    text = f"{spec.symptom} {percent(problem.windows[0].level)} since its first request at "
    return problem.model_copy(
        update={
            "reason": "no_baseline",
            "text": f"{text}{clock_time(since)}: nothing to compare with; give the rule a `target`",
            "baseline": None,
            "baseline_from": None,
            "baseline_until": None,
            "baseline_traffic": None,
        }
    )


def _first_seen(spec: ProblemSpec, history: Sequence[Bin], now: datetime) -> datetime | None:
    """When the first request was seen; None if it is older than the look-back."""
    first = next((b.end for b in history if b.total > 0), None)
    edge = now - spec.baseline + 2 * spec.windows[0]  # the look-back may begin a bin too late
    if first is None or first <= edge.timestamp():
        return None
    return datetime.fromtimestamp(first, UTC)
