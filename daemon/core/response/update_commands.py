"""What people do about updates: draft, send, edit, put off."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.incident.updates import UpdateState
from daemon.core.people.roster import Roster
from daemon.core.response.command import (
    Command,
    CommandSituation,
    NotPossible,
    optional_text,
    required_text,
)
from daemon.core.response.update_schedule import new_draft
from daemon.core.values.units import clock_time

LONGEST_SNOOZE = timedelta(hours=4)
USUAL_SNOOZE = timedelta(minutes=15)
"""For how long a button puts updates off that does not ask for how long."""


@dataclass(frozen=True)
class DraftUpdate(Command):
    """Draft an update before it is due; a draft that waits is drafted anew."""

    even_closed: ClassVar[bool] = True
    audience: str

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        roster = situation.roster
        _require_audience(roster, self.audience)
        description = situation.rule.description if situation.rule else ""
        audience = roster.audiences[self.audience]
        drafted = new_draft(
            incident, self.audience, audience, description, "asked for by hand", situation.now
        )
        return (drafted.model_copy(update={"automatic": False}),)


@dataclass(frozen=True)
class SendUpdate(Command):
    """Send a draft, as it stands or in one's own words.

    `revision` is the draft that the person has read: if it has changed since, neither it nor
    one's own words are sent. None: whatever it is now. `text` None: as it stands.
    """

    even_closed: ClassVar[bool] = True
    update: str
    revision: int | None = None
    text: str | None = None

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        state = _update(incident, self.update)
        if state.sent:
            raise NotPossible(f"update {self.update} was sent already; `edit` changes it")
        if self.revision is not None and self.revision != state.draft.revision:
            raise NotPossible(
                "the draft has changed since you read it; read the new one, then send that"
            )
        text = state.text if self.text is None else required_text(self.text, "update")
        if text == state.text.strip():
            text = state.text
        return (e.UpdateReleased(update=self.update, text=text, person=situation.person),)


@dataclass(frozen=True)
class EditUpdate(Command):
    """Change an update that was sent; the channels that can are brought up to date."""

    even_closed: ClassVar[bool] = True
    update: str
    text: str

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        state = _update(incident, self.update)
        if not state.sent:
            raise NotPossible(f"update {self.update} was not sent yet; give your text with `send`")
        text = required_text(self.text, "update")
        if text == state.text:
            return ()
        version, person = state.version + 1, situation.person
        return (e.UpdateEdited(update=self.update, version=version, text=text, person=person),)


@dataclass(frozen=True)
class SnoozeUpdates(Command):
    """Put off the updates to an audience. What they must know at once is told all the same."""

    audience: str
    duration: timedelta = USUAL_SNOOZE
    reason: str = ""

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        _require_audience(situation.roster, self.audience)
        if not timedelta(0) < self.duration <= LONGEST_SNOOZE:
            raise NotPossible("a snooze lasts up to 4h; what is quiet for longer is forgotten")
        until = situation.now + self.duration
        reason = optional_text(self.reason) or f"until {clock_time(until)}"
        return (
            e.UpdatesSnoozed(
                audience=self.audience, until=until, person=situation.person, reason=reason
            ),
        )


def _require_audience(roster: Roster, name: str) -> None:
    if name not in roster.audiences:
        known = ", ".join(sorted(roster.audiences)) or "none"
        raise NotPossible(f"no audience {name!r}; the roster has {known}")


def _update(incident: Incident, update: str) -> UpdateState:
    state = incident.updates.by_name.get(update)
    if state is None:
        known = ", ".join(incident.updates.by_name) or "none yet"
        raise NotPossible(f"there is no update {update!r}; there are {known}")
    return state
