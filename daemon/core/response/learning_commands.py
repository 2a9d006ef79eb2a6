"""What people do to learn from an incident: say its cause, and what is to be done about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import ClassVar, get_args

from daemon.core.incident import events as e
from daemon.core.incident.learning import FollowUp
from daemon.core.incident.state import Incident
from daemon.core.people.roster import Roster
from daemon.core.response.command import (
    Command,
    CommandSituation,
    NotPossible,
    optional_text,
    required_text,
)

TITLE_LENGTH = 200
"""Characters of a follow-up's title; trackers take so many."""
CHANGE_LENGTH = 200
MOST_FOLLOW_UPS = 50
"""Of one incident: what is more than that is a project, and belongs into a tracker."""


@dataclass(frozen=True)
class RecordCause(Command):
    """Say what the cause was; the review has it then.

    `change` names the change that it was. Of the category `change` and without a name it is the
    suspect, if there is one.
    """

    even_closed: ClassVar[bool] = True
    text: str
    category: e.CauseCategory = "unknown"
    change: str = ""

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        text, change = required_text(self.text, "cause"), self.change.strip()
        if self.category not in get_args(e.CauseCategory):
            known = ", ".join(get_args(e.CauseCategory))
            raise NotPossible(f"{self.category!r} is no category of causes; it is one of {known}")
        if len(change) > CHANGE_LENGTH:
            raise NotPossible(f"the change has {len(change)} characters; {CHANGE_LENGTH} at most")
        suspect = incident.suspicion.change if incident.suspicion else None
        if not change and self.category == "change" and suspect is not None:
            change = suspect.item
        recorded = e.CauseRecorded(
            person=situation.person, text=text, category=self.category, change=change
        )
        return () if recorded == incident.learning.cause else (recorded,)


@dataclass(frozen=True)
class DecideStandardization(Command):
    """Say what the rules learn from the incident: that they were changed, or why they are not."""

    even_closed: ClassVar[bool] = True
    standard: e.StandardKind = "other"
    applied: bool = False
    rule: str = ""
    path: str = ""
    reason: str = ""

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        if self.standard not in get_args(e.StandardKind):
            known = ", ".join(get_args(e.StandardKind))
            raise NotPossible(f"{self.standard!r} is nothing that rules learn; one of {known}")
        reason = self.reason.strip() if self.applied else required_text(self.reason, "reason")
        if len(incident.learning.standards) >= MOST_FOLLOW_UPS:
            raise NotPossible(f"{MOST_FOLLOW_UPS} such decisions are recorded already")
        decided = e.StandardizationDecided(
            standard=self.standard,
            applied=self.applied,
            rule=self.rule,
            path=self.path,
            reason=reason,
            person=situation.person,
        )
        return () if decided in incident.learning.standards else (decided,)


@dataclass(frozen=True)
class AddFollowUp(Command):
    """Say what is to be done. `owner` is whoever adds it, if nobody is named; `due` is the last day
    for it, None if none is named: then nobody is reminded."""

    even_closed: ClassVar[bool] = True
    title: str
    owner: str = ""
    due: date | None = None

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        known = incident.learning.follow_ups
        if len(known) >= MOST_FOLLOW_UPS:
            raise NotPossible(
                f"the incident has {len(known)} follow-ups, which is the most; drop what nobody "
                "will do, or put the rest into your tracker"
            )
        added = e.FollowUpAdded(
            follow_up=max(known, default=0) + 1,
            title=_title(self.title),
            owner=_owner(self.owner or situation.person, situation.roster),
            due=self.due,
            person=situation.person,
        )
        return (added,)


@dataclass(frozen=True)
class ChangeFollowUp(Command):
    """Give a follow-up other words, another owner or another day; what is None stays."""

    even_closed: ClassVar[bool] = True
    number: int
    title: str | None = None
    owner: str | None = None
    due: date | None = None

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        known = _open(incident, self.number)
        owner = known.owner if self.owner is None else _owner(self.owner, situation.roster)
        changed = e.FollowUpChanged(
            follow_up=known.number,
            title=known.title if self.title is None else _title(self.title),
            owner=owner,
            due=known.due if self.due is None else self.due,
            person=situation.person,
        )
        same = (changed.title, changed.owner, changed.due) == (known.title, known.owner, known.due)
        return () if same else (changed,)


@dataclass(frozen=True)
class MoveFollowUp(Command):
    """Say how far a follow-up is. To drop it takes a reason; what had ended can be opened again."""

    even_closed: ClassVar[bool] = True
    number: int
    status: e.FollowUpStatus
    reason: str = ""

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        known, reason = _follow_up(incident, self.number), optional_text(self.reason)
        if self.status not in get_args(e.FollowUpStatus):
            states = ", ".join(get_args(e.FollowUpStatus))
            raise NotPossible(f"{self.status!r} is no state of a follow-up; it is one of {states}")
        if self.status == "dropped" and not reason:
            raise NotPossible("say why it is dropped: whoever meets the same incident will ask")
        if (self.status, reason) == (known.status, known.reason):
            return ()
        moved = e.FollowUpMoved(
            follow_up=known.number, status=self.status, reason=reason, person=situation.person
        )
        return (moved,)


def _title(given: str) -> str:
    title = " ".join(required_text(given, "follow-up").split())
    if len(title) > TITLE_LENGTH:
        raise NotPossible(
            f"the follow-up has {len(title)} characters, {TITLE_LENGTH} at most; a note on the "
            "timeline takes the rest"
        )
    return title


def _owner(name: str, roster: Roster) -> str:
    if name not in roster.people:
        known = ", ".join(sorted(roster.people))
        raise NotPossible(f"{name!r} is not in the roster, which has {known}")
    barred = roster.bars(name)
    if barred:  # they could not say that it is done
        raise NotPossible(barred)
    return name


def _follow_up(incident: Incident, number: int) -> FollowUp:
    found = incident.learning.follow_ups.get(number)
    if found is None:
        known = ", ".join(map(str, incident.learning.follow_ups)) or "none yet"
        raise NotPossible(f"there is no follow-up {number}; there are {known}")
    return found


def _open(incident: Incident, number: int) -> FollowUp:
    found = _follow_up(incident, number)
    if not found.open:
        raise NotPossible(f"follow-up {number} is {found.status}; open it again to change it")
    return found
