"""What the link in a page offers to its person, and what comes of their tap. Pure.

The page was written for one moment; what it offers is worked out from the incident as it is
when the link is opened, and once more when the button is pressed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from daemon.core.commands import COMMANDS
from daemon.core.incident import events as e
from daemon.core.incident.responders import Request
from daemon.core.incident.state import Incident, PageState
from daemon.core.incident.updates import UpdateState
from daemon.core.people.role_names import ROLE_NAMES
from daemon.core.people.roster import Roster
from daemon.core.reporting.page_text import told_now
from daemon.core.response.call_answers import (
    SUMMONS,
    DeclineCall,
    SnoozeCall,
    is_summoned,
)
from daemon.core.response.command import Command, CommandSituation, NotPossible
from daemon.core.response.commands import Acknowledge
from daemon.core.response.paging import STORM_PAGES
from daemon.core.response.role_commands import AnswerRequest
from daemon.core.response.roles import holder_text
from daemon.core.response.storm_commands import STORM_ANSWERED, AnswerStorm
from daemon.core.response.update_commands import USUAL_SNOOZE, SendUpdate, SnoozeUpdates
from daemon.core.values.units import clock_time

BUTTONS: Mapping[e.Asks, tuple[str, ...]] = {
    "acknowledge": ("ack", "decline", "snooze-5", "snooze-15"),
    "alive": ("ack",),
    "answer": ("yes", "no"),
    "send": ("send", "snooze"),
    "": (),
}
"""What the buttons of a page do, by what it asks."""


class LinkSpent(Exception):
    """There is nothing left to do by this link; the text says why, and what to do instead."""


class NoSuchPage(LookupError):
    """The incident has no such page."""


@dataclass(frozen=True)
class LinkForm:
    """What was sent: the button, and for a draft its text and the revision that was read, 0 for
    none."""

    button: str
    text: str = ""
    revision: int = 0


@dataclass(frozen=True)
class LinkOffer:
    """What may be done. `text`: what the page says, with the facts of now. `request` or `update` is
    what the page asks about, if it does. `summoned`: the person was called to come, and can say
    that they cannot. `storm`: it stands for all incidents of a storm."""

    person: str
    asks: e.Asks
    text: str
    request: Request | None = None
    update: UpdateState | None = None
    summoned: bool = False
    storm: bool = False


def offer(incident: Incident, page: str, roster: Roster) -> LinkOffer:
    """What the page's link offers now. Raises LinkSpent or NoSuchPage."""
    state = incident.pages.get(page)
    if state is None:
        raise NoSuchPage(f"incident {incident.id} has no page {page}")
    queued = state.queued
    spent = _why_spent(incident, state, roster)
    if spent:
        raise LinkSpent(spent)
    request = incident.people.requests.get(queued.about) if queued.asks == "answer" else None
    update = incident.updates.by_name.get(queued.about) if queued.asks == "send" else None
    summoned = queued.purpose in SUMMONS and is_summoned(incident, queued.person)
    storm = queued.purpose in STORM_PAGES
    text = told_now(incident, queued)
    return LinkOffer(queued.person, queued.asks, text, request, update, summoned, storm)


def _why_spent(incident: Incident, state: PageState, roster: Roster) -> str:
    queued, people = state.queued, incident.people
    storm = queued.purpose in STORM_PAGES
    if incident.closed is not None and not storm:
        return f"This incident is closed: {incident.closed.text}"
    if queued.page in people.used_links:
        return "This link has served; use the command line, or ask for a new page."
    if queued.person not in roster.people:
        return f"{queued.person} is not in the roster any more, so this link is nobody's."
    if roster.bars(queued.person):
        return f"{roster.bars(queued.person)}."
    if queued.asks == "answer":
        request = people.requests.get(queued.about)
        if request is None or not request.open:
            return f"This question is settled: {request.answer if request else 'withdrawn'}."
    elif queued.asks == "send":
        update = incident.updates.by_name.get(queued.about)
        if update is None or update.sent:
            by = update.released_by if update else ""
            return f"This update was sent already{f' by {by}' if by else ''}."
    elif state.campaign != people.campaign and not storm:
        return (
            "Command has been given up since this page was sent, so it does not count any more. "
            f"Use the newest page, or: stopgap ack {incident.id}"
        )
    return ""


@dataclass(frozen=True)
class UseLink(Command):
    """What a tap on a page's link does, and that the link has served.

    Raises LinkSpent, NoSuchPage beside NotPossible.
    """

    even_closed: ClassVar[bool] = True
    page: str
    form: LinkForm

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        offered = offer(incident, self.page, situation.roster)
        command = _command(offered, self.form)
        return (*command.apply(incident, situation), e.LinkUsed(page=self.page))


def _command(offered: LinkOffer, form: LinkForm) -> Command:
    if form.button not in BUTTONS[offered.asks]:
        raise NotPossible("this page has no such button; open the link again")
    if offered.request is not None:
        return AnswerRequest(offered.request.event.request, form.button == "yes")
    if offered.update is not None and form.button == "snooze":
        return SnoozeUpdates(offered.update.audience)
    if offered.update is not None:
        return SendUpdate(offered.update.draft.update, form.revision, form.text)
    if form.button == "decline":
        return DeclineCall()
    if form.button.startswith("snooze-"):
        return SnoozeCall(_snooze_of(form.button))
    return AnswerStorm() if offered.storm else Acknowledge()


def _snooze_of(button: str) -> timedelta:
    """For how long a button puts the call off, such as `snooze-15`."""
    return timedelta(minutes=int(button.partition("-")[2]))


def outcome(after: Incident, offered: LinkOffer, form: LinkForm, now: datetime) -> str:
    """What the tap has brought about, in a sentence."""
    if form.button == "send":
        return COMMANDS["send"].done
    if form.button == "snooze":
        until = clock_time(now + USUAL_SNOOZE)
        return f"Put off until {until}. What they must know at once is told all the same."
    if form.button == "decline":
        return "Noted: somebody else is called now. `stopgap ack` takes it after all."
    if form.button.startswith("snooze-"):
        again = clock_time(now + _snooze_of(form.button))
        return f"You are called again at {again}, unless enough have come. Others are called too."
    if offered.request is not None:
        role = offered.request.event.role
        return f"You said {form.button}. {ROLE_NAMES[role]}: {holder_text(after, role)}."
    if offered.storm:
        return STORM_ANSWERED
    if after.commander == offered.person:
        return "You are on it, and you are the Commander."
    return f"You are on it. The Commander is {after.commander or 'nobody yet'}."
