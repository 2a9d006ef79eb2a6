"""The last word to the customers: who is reminded that nobody has said it is over, and how often;
and who says that it is not needed.

It follows the calls of `update_schedule`, which end with the incident. What comes here wakes
nobody: it goes by mail or chat, a few times, and then stands on the page alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.incident.untold import over_since, untold
from daemon.core.people.roster import Roster
from daemon.core.response.command import Command, CommandSituation, NotPossible, required_text
from daemon.core.response.follow_ups import ReminderTiming

FIRST_REMINDER = timedelta(minutes=15)
"""So long after the end somebody who was there is reminded at whatever hour, for they are awake."""
REMINDER_GAP = timedelta(hours=4)
"""Between two reminders; those after the first come in working hours alone."""
MOST_REMINDERS = 3
"""After so many nobody is reminded any more."""


@dataclass(frozen=True)
class LastWordReminder:
    """Whom to remind of which audience, and of the update that waits; empty while none is drafted.
    `number`: which of the reminders it is, from 1. `person` is empty if there is nobody."""

    audience: str
    person: str
    update: str
    number: int


def last_word_reminders(
    incident: Incident, roster: Roster, timing: ReminderTiming, now: datetime
) -> list[LastWordReminder]:
    """Who should be reminded now. Drills have no customers."""
    ended_at = over_since(incident)
    if ended_at is None or incident.drill is not None:
        return []
    person = _whose(incident, roster)
    due = []
    for audience in untold(incident):
        before = incident.last_word.reminders_since(audience, ended_at)
        if audience not in roster.audiences or len(before) >= MOST_REMINDERS:
            continue
        if not before:
            there = person in incident.responders and now < ended_at + REMINDER_GAP
            comes = now >= ended_at + FIRST_REMINDER and (there or timing.awake(now))
        else:
            comes = now >= before[-1] + REMINDER_GAP and timing.awake(now)
        if comes:
            draft = incident.updates.open_draft(audience)
            update = draft.draft.update if draft is not None else ""
            due.append(LastWordReminder(audience, person, update, len(before) + 1))
    return due


def last_word_owed(incident: Incident, roster: Roster) -> bool:
    """Whether there may still be somebody to remind, now or later."""
    ended_at = over_since(incident)
    return ended_at is not None and any(
        name in roster.audiences
        and len(incident.last_word.reminders_since(name, ended_at)) < MOST_REMINDERS
        for name in untold(incident)
    )


@dataclass(frozen=True)
class DismissLastWord(Command):
    """Say that an audience needs no word that it is over, and why; nobody is reminded any more."""

    even_closed: ClassVar[bool] = True
    audience: str
    reason: str

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        waiting = untold(incident)
        if self.audience not in waiting:
            raise NotPossible(_nothing_to_dismiss(incident, self.audience))
        reason = required_text(self.reason, "reason")
        return (
            e.LastWordDismissed(audience=self.audience, person=situation.person, reason=reason),
        )


def _nothing_to_dismiss(incident: Incident, audience: str) -> str:
    if over_since(incident) is None:
        return "the trouble goes on; `snooze` puts the next update off"
    waiting = ", ".join(untold(incident))
    whose = f"; these wait for it: {waiting}" if waiting else ""
    return f"the audience {audience!r} waits for no word that it is over{whose}"


def _whose(incident: Incident, roster: Roster) -> str:
    """The Communicator, the Commander, who was there first; else the team's lead."""
    people, team = incident.people, roster.teams.get(incident.opened.team)
    leads = team.commanders if team is not None else ()
    order = (people.holder("communicator"), incident.commander, *incident.responders, *leads)
    return next((one for one in order if one and one in roster.people), "")
