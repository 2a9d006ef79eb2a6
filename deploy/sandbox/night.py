"""`make demo STORY=night`: a night on call, told in a moment, with all that reaches each phone.

The daemon's own code plays it in virtual time over parts in memory (`daemon.replaying`): the
metrics of `night/night.yaml`, the rule and the people beside it, and what those people do, here.
Ends with 0 only if the night ended as it should.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import structlog
from telling import Teller

from daemon.app.rule_cases import house_for
from daemon.config.settings import Settings
from daemon.core.alertmanager import own_alert
from daemon.core.cases.rule_case import RuleCase
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.recovery.commands import ApproveStep
from daemon.core.response.command import Command, CommandSituation, NotPossible
from daemon.core.response.commands import Acknowledge, Note
from daemon.core.response.learning_commands import AddFollowUp, RecordCause
from daemon.core.response.update_commands import SendUpdate
from daemon.core.rules.rule import incident_key
from daemon.core.values.yaml_document import one_document
from daemon.replaying.case_runner import CaseStage
from daemon.replaying.happenings import DeliveryArrives, PersonMoves
from daemon.replaying.virtual_daemon import VirtualDaemon
from daemon.replaying.virtual_time import run_virtually

KEY = incident_key("checkout-success-rate", {"service": "shop"})
STRUCK = 60
MOST_CALLS = 6
"""So often one person may be called about one storm: for those before the guard, and for it."""
NIGHT = Path(__file__).resolve().parent / "night"
TOLD = {
    "IncidentOpened",
    "ProblemDefined",
    "ResponderArrived",
    "CommanderAppointed",
    "ApprovalRequested",
    "StepApproved",
    "StepStarted",
    "StepVerified",
    "Recovered",
    "IncidentClosed",
    "CauseRecorded",
}


@dataclass(frozen=True)
class SendWhatWaits(Command):
    """Send the draft that waits for an audience, as it stands."""

    even_closed: ClassVar[bool] = True
    audience: str

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        waiting = incident.updates.open_draft(self.audience)
        if waiting is None:
            raise NotPossible(f"nothing waits to be sent to {self.audience}")
        return SendUpdate(waiting.draft.update).apply(incident, situation)


def moves(begins: datetime) -> Iterator[PersonMoves]:
    """What the people do."""

    def at(clock: str, person: str, command: Command) -> PersonMoves:
        hour, minute = map(int, clock.split(":"))
        moment = begins.replace(hour=hour, minute=minute) + timedelta(seconds=20)
        return PersonMoves(moment, person, command, key=KEY)

    yield at("02:53", "bo", Acknowledge())
    yield at("02:55", "bo", ApproveStep(2))
    yield at("02:56", "bo", SendWhatWaits("customers"))
    yield at("03:02", "bo", SendWhatWaits("customers"))
    yield at("03:07", "bo", Note("marketing opened the loyalty club at 02:44, all by itself"))
    yield at("03:09", "bo", RecordCause("the loyalty club's discount fails for carts over 100 €"))
    yield at(
        "03:10", "bo", AddFollowUp("Test discounts with large carts", "ada", date(2026, 12, 4))
    )


def storm(begins: datetime) -> Iterator[DeliveryArrives]:
    """Half an hour later a switch dies, and the services behind it alert within a minute."""
    breaks = begins.replace(hour=3, minute=50)
    for number in range(STRUCK):
        at = breaks + timedelta(seconds=number)
        labels = {"service": f"service-{number + 1:02}", "severity": "critical"}
        yield DeliveryArrives(at, own_alert("ServiceDown", labels, "It does not answer.", at, None))


def play_night() -> VirtualDaemon:
    """The daemon at the end of the night."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    settings = Settings()
    known = house_for(settings, NIGHT / "rules", restricted=False)
    house = replace(known, page_hold=settings.page_hold)
    case = one_document((NIGHT / "night.yaml").read_text(), "night.yaml").read(RuleCase)
    besides = [*moves(case.begins), *storm(case.begins)]
    return run_virtually(CaseStage(case, house, besides=besides).play)


@dataclass(frozen=True, order=True)
class Line:
    """Something that reached somebody."""

    at: datetime
    mark: str
    style: str
    text: str


def lines_of(daemon: VirtualDaemon) -> list[Line]:
    """All that was on somebody's screen, and what Stopgap did, by the clock."""
    found = [
        Line(page.at, "☎", "yellow", f"{person}'s phone: {page.title}\n{page.body}")
        for person, pager in daemon.pagers.items()
        for page in pager.pages
    ]
    found += [
        Line(post.at, "✉", "cyan", f"to {name}: {post.text}")
        for name, channel in daemon.channels.items()
        for post in channel.posts
    ]
    found += [
        Line(entry.at, "│", "blue", entry.event.describe())
        for entries in daemon.journal.entries.values()
        for entry in entries
        if entry.event.kind in TOLD
    ]
    return sorted(found)


def faults(daemon: VirtualDaemon) -> Iterator[str]:
    """What did not go as it should."""
    for refused in daemon.refused_moves:
        yield f"{refused.move.person} could not do what they wanted: {refused.text}"
    incident = next(one for one in daemon.incidents() if one.key == KEY)
    if incident.closed is None or incident.closed.reason != "recovered":
        yield "the incident did not end by a recovery"
    if incident.recovered_at is not None:
        for person in ("ada", "cy"):
            for page in daemon.pagers[person].pages:
                if page.incident == incident.id and page.at > incident.recovered_at:
                    yield f"{person} was woken after the recovery: {page.title}"
    for person, pager in daemon.pagers.items():
        calls = sum(page.incident != incident.id for page in pager.pages)
        if calls > MOST_CALLS:
            yield f"{person} was called {calls} times in the storm of {STRUCK} services"


def tell_night(teller: Teller) -> tuple[str, bool]:
    """Tell it. Returns the review of the incident, and whether all went as it should."""
    daemon = play_night()
    incident = next(one for one in daemon.incidents() if one.key == KEY)
    teller.heading("A night on call, in virtual time: all that reaches anybody")
    for line in lines_of(daemon):
        teller.line(line.at, line.mark, line.style, line.text)
    found = list(faults(daemon))
    for fault in found:
        teller.problem(fault)
    return daemon.reviews.texts.get(incident.id, ""), not found
