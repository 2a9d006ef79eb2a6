"""What the link in a page offers to its person, and what comes of their tap. Pure.

The page was written for one moment; what it offers is worked out from the incident as it is
when the link is opened, and once more when the button is pressed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.incident import events as e
from daemon.core.incident.responders import Request
from daemon.core.incident.state import Incident, PageState
from daemon.core.incident.updates import UpdateState
from daemon.core.people.role_names import ROLE_NAMES
from daemon.core.people.roster import Roster
from daemon.core.response import commands as deeds
from daemon.core.response import roles
from daemon.core.response.roles import NotPossible
from daemon.core.values.units import clock_time

_VIA = "link"
PUT_OFF = timedelta(minutes=15)
DEEDS: Mapping[e.Asks, tuple[str, ...]] = {
    "acknowledge": ("ack",),
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
    """What was sent: the button, and for a draft its text and the revision that was read."""

    deed: str
    text: str = ""
    revision: str = ""


@dataclass(frozen=True)
class LinkOffer:
    """What may be done. `request` or `update` is what the page asks about, if it does."""

    person: str
    asks: e.Asks
    told: str
    request: Request | None = None
    update: UpdateState | None = None


def offer(incident: Incident, page: str, roster: Roster) -> LinkOffer:
    """What the page's link offers now. Raises Over or NoSuchPage."""
    state = incident.pages.get(page)
    if state is None:
        raise NoSuchPage(f"incident {incident.id} has no page {page}")
    queued = state.queued
    why = _why_over(incident, state, roster)
    if why:
        raise LinkSpent(why)
    request = incident.crew.requests.get(queued.about) if queued.asks == "answer" else None
    update = incident.word.updates.get(queued.about) if queued.asks == "send" else None
    return LinkOffer(queued.person, queued.asks, queued.text, request, update)


def _why_over(incident: Incident, state: PageState, roster: Roster) -> str:
    queued, crew = state.queued, incident.crew
    if incident.closed is not None:
        return f"This incident is closed: {incident.closed.text}"
    if queued.page in crew.used_links:
        return "This link has served; use the command line, or ask for a new page."
    if queued.person not in roster.people:
        return f"{queued.person} is not in the roster any more, so this link is nobody's."
    if roster.bars(queued.person):
        return f"{roster.bars(queued.person)}."
    if queued.asks == "answer":
        request = crew.requests.get(queued.about)
        if request is None or not request.open:
            return f"This question is settled: {request.answer if request else 'withdrawn'}."
    elif queued.asks == "send":
        update = incident.word.updates.get(queued.about)
        if update is None or update.sent:
            by = update.released_by if update else ""
            return f"This update was sent already{f' by {by}' if by else ''}."
    elif state.campaign != crew.campaign:
        return (
            "Command has been given up since this page was sent, so it does not count any more. "
            f"Use the newest page, or: stopgap ack {incident.id}"
        )
    return ""


def carry_out(
    incident: Incident, page: str, form: LinkForm, roster: Roster, now: datetime
) -> Sequence[e.Event]:
    """The events of a tap, and that the link has served. Raises Over, NotPossible, NoSuchPage."""
    offered = offer(incident, page, roster)
    if form.deed not in DEEDS[offered.asks]:
        raise NotPossible("this page has no such button; open the link again")
    return (*_done(incident, offered, form, roster, now), e.LinkUsed(page=page))


def _done(
    incident: Incident, offered: LinkOffer, form: LinkForm, roster: Roster, now: datetime
) -> Sequence[e.Event]:
    person = offered.person
    if offered.request is not None:
        return roles.answer_request(
            incident,
            offered.request.event.request,
            person,
            accept=form.deed == "yes",
            now=now,
            patience=roster.timing.answer,
        )
    if offered.update is not None and form.deed == "snooze":
        audience = offered.update.audience
        return deeds.snooze(incident, roster, audience, person, PUT_OFF, "", now)
    if offered.update is not None:
        return _sent(incident, offered.update, person, form)
    return deeds.acknowledge(incident, person, _VIA)


def _sent(
    incident: Incident, update: UpdateState, person: str, form: LinkForm
) -> Sequence[e.Event]:
    revision = update.draft.revision
    if form.revision != str(revision):
        raise NotPossible("the draft has changed while you read it; this is the new one")
    text = form.text.replace("\r\n", "\n")  # forms end their lines as mail does
    if text.strip() == update.text.strip():
        return deeds.send(incident, update.draft.update, person, revision, None)
    if len(text) > deeds.NOTE_LENGTH:
        raise NotPossible(f"that is too long: {len(text)} of {deeds.NOTE_LENGTH} characters")
    return deeds.send(incident, update.draft.update, person, revision, text)


def outcome(after: Incident, offered: LinkOffer, form: LinkForm, now: datetime) -> str:
    """What the tap has brought about, in a sentence."""
    if form.deed == "send":
        return "The update goes out now."
    if form.deed == "snooze":
        until = clock_time(now + PUT_OFF)
        return f"Put off until {until}. What they must know at once is told all the same."
    if offered.request is not None:
        role = offered.request.event.role
        return f"You said {form.deed}. {ROLE_NAMES[role]}: {roles.holder_text(after, role)}."
    if after.commander == offered.person:
        return "You are on it, and you are the Commander."
    return f"You are on it. The Commander is {after.commander or 'nobody yet'}."
