"""How long each part of an incident took, and how long it usually takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from daemon.core.incident.outcome_facts import OutcomeFacts, outcome_facts
from daemon.core.incident.state import Incident
from daemon.core.ports.journal import Head
from daemon.core.values.units import format_duration


@dataclass(frozen=True)
class Durations:
    """How long each part took; None where it did not happen.

    `detect`: onset to opening. `acknowledge`: opening to the first person. `decide`: opening to the
    first step that started, or to the diagnosis. `mitigate`: opening to the end of the action that
    restored service. `recover`: opening to proven recovery. Where maintenance held the calls, its
    end counts as the opening, but for the detection.
    """

    detect: timedelta | None
    acknowledge: timedelta | None
    decide: timedelta | None
    mitigate: timedelta | None
    recover: timedelta | None

    def shown(self) -> dict[str, str]:
        """Each for people: '1m12s', or '–'."""
        return {name: duration_text(value) for name, value in vars(self).items()}


PARTS = tuple(Durations.__dataclass_fields__)
"""Their names, in the order in which they happen."""


@dataclass(frozen=True)
class Trend:
    """The medians of so many incidents before, by part; a part that none of them had is missing."""

    incidents: int
    medians: Mapping[str, timedelta]


def durations(incident: Incident) -> Durations:
    """Work the durations out of the incident."""
    return durations_of(incident.opened_at, outcome_facts(incident))


def durations_of(opened_at: datetime, outcome: OutcomeFacts) -> Durations:
    """The durations of an incident that was opened then and came to that."""

    def since(begin: datetime | None, end: datetime | None) -> timedelta | None:
        return None if begin is None or end is None else max(end - begin, timedelta(0))

    begin = outcome.called_from or opened_at
    return Durations(
        detect=since(outcome.onset, opened_at),
        acknowledge=since(begin, outcome.acknowledged_at),
        decide=since(begin, outcome.decided_at),
        mitigate=since(begin, outcome.mitigated_at),
        recover=since(begin, outcome.restored_at),
    )


def trend_of(heads: Iterable[Head]) -> Trend:
    """The trend of these incidents; those of which nothing is known do not count."""
    outcomes = [(h.opened_at, h.outcome) for h in heads if h.outcome is not None]
    known = [durations_of(at, outcome) for at, outcome in outcomes if not outcome.merged_into]
    values = {part: [v for one in known if (v := getattr(one, part)) is not None] for part in PARTS}
    return Trend(len(known), {part: median(some) for part, some in values.items() if some})


def duration_text(value: timedelta | None) -> str:
    """A duration in whole seconds, for people; '–' where there is none."""
    if value is None:
        return "–"
    return format_duration(timedelta(seconds=round(value.total_seconds())))
