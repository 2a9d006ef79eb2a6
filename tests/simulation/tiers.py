"""Whether each tier of the policy is called in its time while nobody takes an incident, be it by a
page of its own or by its storm's.

That somebody rang at all is not enough: of a storm, the incident that is called for by itself goes
on ringing while nobody of a later tier hears of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.response.paging import STORM_PAGES
from tests.simulation import setting
from tests.simulation.outside import Rang

TIER_PATIENCE = 60.0
"""Seconds within which a tier has rung, besides the waits of those before it and what the first
page may be held: what lets it rest after another page, a call that failed, and the watchdog."""


class Tiers:
    """Hears of what is written and what rings. `incidents`: all of them, as they stand."""

    def __init__(self, incidents: Mapping[str, Incident]) -> None:
        self._incidents = incidents
        self._storm_began: dict[str, float] = {}
        self._left: dict[str, float] = {}
        self._anew: dict[str, float] = {}
        """When people began to be called anew for an incident."""
        self._rings: dict[tuple[str, str], float] = {}
        """(storm or incident that rang, person) → when they did last."""

    def wrote(self, incident: str, event: e.Event, now: float) -> None:
        """This was added to its journal."""
        match event:
            case e.StormJoined():
                self._storm_began.setdefault(event.storm, now)
                self._left.pop(incident, None)
            case e.StormLeft():
                self._left.setdefault(incident, now)
            case e.CommandVacated() | e.Relapsed():
                self._anew[incident] = now
            case _:
                pass

    def rang(self, rang: Rang) -> None:
        """A phone rings."""
        page = self._incidents[rang.incident].pages.get(rang.page)
        if page is None:
            return
        of = page.queued.about if page.queued.purpose in STORM_PAGES else rang.incident
        self._rings[of, rang.person] = rang.at

    def late(
        self, since: Mapping[str, float], now: float, at: datetime, grace: Callable[[float], float]
    ) -> str:
        """Which tier was to be called for one of these by now, and was not; empty if all were.
        `since`: since when each waits. `grace`: until when a call that was due then may be late."""
        for name, waits_since in since.items():
            incident = self._incidents[name]
            if _spoken_for(incident):
                continue
            of, begins, due = self._begins(incident, waits_since, since)
            roster = setting.roster()
            for number, tier in enumerate(roster.tiers(incident.opened.team, at)):
                if now > grace(due) and not self._has_rung(incident, of, tier.people, begins):
                    return f"tier {number + 1} was never called for {name}, of {of}"
                due += tier.wait.total_seconds()
        return ""

    def _begins(
        self, incident: Incident, waits_since: float, since: Mapping[str, float]
    ) -> tuple[str, float, float]:
        """By whose pages it is called for, its storm's or its own; since when these count, and
        since when the tiers have waited for them."""
        known = incident.storm
        if known is None or known.left_at is not None:
            began = max(waits_since, self._anew.get(incident.id, 0.0))
            return incident.id, began, max(began, self._left.get(incident.id, 0.0))
        together = [
            other
            for other in map(self._incidents.__getitem__, since)
            if other.storm is not None
            and other.storm.storm == known.storm
            and other.opened.team == incident.opened.team
        ]
        anew = [self._anew.get(other.id, 0.0) for other in together]
        began = max(self._storm_began[known.storm], *anew)
        return known.storm, began, began

    def _has_rung(self, incident: Incident, of: str, people: Sequence[str], since: float) -> bool:
        """Whether one of these people was called, by the storm or for the incident itself."""
        rings = (self._rings.get((one, p), -1.0) for p in people for one in {of, incident.id})
        return not people or any(at >= since for at in rings)


def _spoken_for(incident: Incident) -> bool:
    """Whether somebody has answered, so that their answer decides who is called next."""
    answers = incident.call_answers
    return bool(incident.responders or answers.declined or answers.snoozed)
