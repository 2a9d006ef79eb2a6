"""What of one incident goes into the figures: a few numbers of its head row.

The figures of a large store are made of tens of thousands of incidents, whose rows take six times
the memory.
"""

from __future__ import annotations

from datetime import timedelta
from sys import intern
from typing import NamedTuple

from daemon.core.ports.journal import OpeningOutcome
from daemon.core.reporting.review.durations import durations_of


class CountedIncident(NamedTuple):
    """Times in seconds, None where there is none. `known`: False where an earlier stopgap wrote the
    row, so that nothing but the opening is known. `took` as of `seconds_to_recovery`."""

    rule: str
    team: str
    known: bool = False
    detect: float | None = None
    acknowledge: float | None = None
    recover: float | None = None
    recovered_by: str = ""
    took: float | None = None
    impact: float | None = None
    failed_requests: float | None = None
    overruled: tuple[str, ...] = ()
    undone: int = 0


def counted_incident(head: OpeningOutcome) -> CountedIncident:
    """What of it counts."""
    rule, team = intern(head.rule), intern(head.team)  # many have the same
    outcome = head.outcome
    if outcome is None:
        return CountedIncident(rule, team)
    times = durations_of(head.opened_at, outcome)
    return CountedIncident(
        rule,
        team,
        known=True,
        detect=_seconds(times.detect),
        acknowledge=_seconds(times.acknowledge),
        recover=_seconds(times.recover),
        recovered_by=intern(outcome.recovered_by),
        took=seconds_to_recovery(head),
        impact=_seconds(outcome.impact),
        failed_requests=outcome.failed_requests,
        overruled=outcome.overruled,
        undone=outcome.undone,
    )


def is_part(head: OpeningOutcome) -> bool:
    """Whether it was merged into another incident, which counts for both."""
    return head.outcome is not None and bool(head.outcome.merged_into)


def recovered_by_people(head: OpeningOutcome) -> bool:
    """Whether a person's word restored it, or somebody outside of the plan who had acknowledged."""
    outcome = head.outcome
    if outcome is None or outcome.restored_at is None:
        return False
    if outcome.recovered_by == "elsewhere":
        acknowledged = outcome.acknowledged_at
        return acknowledged is not None and acknowledged <= outcome.restored_at
    return outcome.recovered_by == "person"


def seconds_to_recovery(head: OpeningOutcome) -> float | None:
    """From the onset to proven recovery; from the end of the maintenance that held it."""
    outcome = head.outcome
    if outcome is None or outcome.restored_at is None:
        return None
    began = outcome.called_from or outcome.onset or head.opened_at
    return max((outcome.restored_at - began).total_seconds(), 0.0)


def _seconds(lasted: timedelta | None) -> float | None:
    return None if lasted is None else lasted.total_seconds()
