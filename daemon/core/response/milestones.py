"""The milestones of the first ten minutes of an incident: what they must bring, and by when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from daemon.core.decision import Decision
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.people.roster import Roster
from daemon.core.response.paging import delivered_pages, direct_page, headline
from daemon.core.response.role_requests import roles_needed_since
from daemon.core.values.units import format_duration

Milestone = Literal[
    "quantified", "document", "commander", "first_update", "communicator", "recovery_decision"
]
MILESTONES: dict[Milestone, tuple[str, timedelta]] = {
    "quantified": ("the problem is quantified", timedelta(minutes=1)),
    "document": ("the document is in people's hands", timedelta(minutes=2)),
    "commander": ("somebody commands", timedelta(minutes=5)),
    "first_update": ("the first update is out", timedelta(minutes=5)),
    "communicator": ("somebody communicates", timedelta(minutes=5)),
    "recovery_decision": ("how to recover is decided", timedelta(minutes=10)),
}
"""Each with its words and its time after the opening."""

MilestoneState = Literal["met", "late", "running", "not_needed"]


@dataclass(frozen=True)
class MilestoneReading:
    """One item of one incident. `took` is None until it is there."""

    item: Milestone
    text: str
    due_at: datetime
    done_at: datetime | None
    took: timedelta | None
    state: MilestoneState


def read_clock(incident: Incident, roster: Roster, now: datetime) -> list[MilestoneReading]:
    """The clock as it stands. An incident that ended sooner needs no more of it."""
    readings = []
    for item, (text, within) in MILESTONES.items():
        done_at = reached_at(incident, item)
        due_at = _due_at(incident, item, within, done_at)
        took = None if done_at is None else max(done_at - incident.clock_from, timedelta(0))
        state: MilestoneState
        if done_at is not None:
            state = "met" if done_at <= due_at else "late"
        elif not _needed(incident, item, roster, due_at):
            state = "not_needed"
        else:
            state = "late" if now >= due_at else "running"
        readings.append(MilestoneReading(item, text, due_at, done_at, took, state))
    return readings


def overdue_milestones(incident: Incident, roster: Roster, now: datetime) -> Decision:
    """Record what is late and was not noted yet, page the one who can mend it, and wake when the
    next milestone falls due."""
    due = Decision()
    if incident.closed is not None:
        return due
    for reading in read_clock(incident, roster, now):
        if reading.state == "running":
            due |= Decision(wake_at=reading.due_at)
        if reading.state != "late" or reading.done_at or reading.item in incident.missed:
            continue
        within = format_duration(MILESTONES[reading.item][1])
        late = f"late: {reading.text}, due within {within}"
        missed = e.DeadlineMissed(item=reading.item, text=late)
        text = f"{late}. {_remedy(incident, reading.item)} {headline(incident)}"
        owner = _owner(incident, reading.item)
        # After the recovery it is worth a line in the review, and nobody's sleep.
        restored = incident.recovered_at is not None
        page = () if restored else direct_page(incident, owner, "milestone", text, reading.item)
        due |= Decision(record=(missed, *page))
    return due


def reached_at(incident: Incident, item: Milestone) -> datetime | None:
    """When the milestone was reached; None if it is not yet."""
    moments: list[datetime | None]
    match item:
        case "quantified":
            return incident.measured_at
        case "document":
            moments = [page.delivered_at for page in delivered_pages(incident.pages.values())]
            moments += [update.released_at for update in incident.updates.by_name.values()]
            if incident.organization.split_from is not None:
                moments.append(incident.acknowledged_at)  # nobody is called: who split it off is in
        case "commander":
            return incident.acknowledged_at
        case "first_update":
            moments = [update.released_at for update in incident.updates.by_name.values()]
        case "communicator":
            return incident.first_communicator_at
        case "recovery_decision":
            moments = [incident.decided_at, incident.recovered_at]
    return min((at for at in moments if at is not None), default=None)


def _due_at(
    incident: Incident, item: Milestone, within: timedelta, done_at: datetime | None
) -> datetime:
    """So long after the opening; what was not needed by then, so long after it came to be."""
    due_at = incident.clock_from + within
    needed_at: datetime | None = None
    match item:
        case "first_update" | "communicator":
            needed_at = incident.severity_rose_at
        case "recovery_decision":
            needed_at = incident.confirmed_at
        case _:
            pass
    if needed_at is None or needed_at <= due_at or item in incident.missed:
        return due_at
    return due_at if done_at is not None and done_at <= needed_at else needed_at + within


def _needed(incident: Incident, item: Milestone, roster: Roster, due_at: datetime) -> bool:
    ended = incident.closed_at or incident.recovered_at
    if ended is not None and ended <= due_at and item != "quantified":
        return False
    match item:
        case "quantified":
            return bool(incident.rule)
        case "document" | "commander":
            return True
        case "first_update":
            return any(
                audience.concerned(incident.severity_for(audience.wording))
                for audience in roster.audiences.values()
            )
        case "communicator":
            severe = bool(incident.severity) and incident.severity <= roster.timing.staffed_from
            return severe or "communicator" in roles_needed_since(incident, roster)
        case "recovery_decision":
            return incident.confirmed is not None


def _owner(incident: Incident, item: Milestone) -> str:
    """Who can mend it: the role it belongs to, else the Commander. Without one, the escalation
    is calling already."""
    people = incident.people
    if item == "first_update":
        return people.holder("communicator") or incident.commander
    if item == "recovery_decision":
        return people.holder("fast_recovery") or incident.commander
    return incident.commander


def _remedy(incident: Incident, item: Milestone) -> str:
    match item:
        case "quantified":
            return "Look at Prometheus and at the rule's queries."
        case "first_update":
            return f"`stopgap update {incident.id}` shows the draft and sends it."
        case "communicator":
            return f"Name one: `stopgap role {incident.id} communicator PERSON`."
        case "recovery_decision":
            return f"Approve a step, or say that no plan fits: `stopgap no-plan {incident.id} WHY`."
        case _:
            return ""
