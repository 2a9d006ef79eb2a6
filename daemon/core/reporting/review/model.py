"""What a review is made of: the incident, and what is worked out from its journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from daemon.core.incident.events import Entry, ResponderArrived
from daemon.core.incident.fold import fold
from daemon.core.incident.state import Incident
from daemon.core.people.roster import Roster
from daemon.core.reporting.chart import journaled_levels
from daemon.core.reporting.review.balance import Lapse, what_went_badly, what_went_well
from daemon.core.reporting.review.durations import Durations, Trend, durations
from daemon.core.response.milestones import MilestoneReading, read_clock


@dataclass(frozen=True)
class Review:
    """The review of one incident. `levels` is the symptom as the daemon measured it.

    `trend`: of the team's incidents before it; None where that was not asked for, and so is
    `clock` where the roster is not at hand.
    """

    incident: Incident
    entries: Sequence[Entry]
    durations: Durations
    well: tuple[str, ...]
    badly: tuple[Lapse, ...]
    levels: tuple[tuple[datetime, float], ...]
    trend: Trend | None = None
    clock: tuple[MilestoneReading, ...] | None = None

    def when(self, at: datetime) -> str:
        """The time of day (UTC) for a line of the document, with its day if that is another than
        the one on which the incident was opened."""
        opened = self.incident.opened_at.astimezone(UTC).date()
        day = at.astimezone(UTC).date()
        time = f"{at.astimezone(UTC):%H:%M:%S}"
        return time if day == opened else f"{day.isoformat()} {time}"

    @property
    def responders(self) -> tuple[str, ...]:
        """Whoever came, also those who have left since, in the order of their coming."""
        arrived = (x.event for x in self.entries if isinstance(x.event, ResponderArrived))
        return tuple(dict.fromkeys(event.person for event in arrived))

    @property
    def first_responder(self) -> str:
        """Who came first; empty if nobody did."""
        return next(iter(self.responders), "")


def review_of(
    entries: Sequence[Entry],
    now: datetime,
    roster: Roster | None = None,
    trend: Trend | None = None,
) -> Review:
    """The review of a journal as it stands."""
    incident = fold(entries)
    clock = None if roster is None else tuple(read_clock(incident, roster, now))
    return Review(
        incident=incident,
        entries=entries,
        durations=durations(incident),
        well=tuple(what_went_well(incident, clock or ())),
        badly=tuple(what_went_badly(incident, entries, clock or ())),
        levels=tuple(journaled_levels(entries)),
        trend=trend,
        clock=clock,
    )
