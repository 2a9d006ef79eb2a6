"""What was learned from an incident, as it stands: its cause, and its follow-ups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated

from daemon.core.incident import events as e
from daemon.core.values.replace import replace
from daemon.core.values.units import AnyVersion, Frozen, Moment

ENDED: frozenset[e.FollowUpStatus] = frozenset({"done", "dropped"})
"""What a follow-up comes to in the end."""


class FollowUp(Frozen):
    """Something to be done after an incident. `reason` is why it is where it is.

    `due`: until the end of that day. `reminded`: the occasions of which its owner heard, each with
    the due day that it was about. `tracker`, `key` and `url` are those of its issue, if it has
    one; `failures`: tries to make it, the last at `failed_at`. `closed_there`: that its issue was
    closed is known, so whoever opens it again here has the last word.
    """

    number: int
    title: str
    owner: str
    due: date | None = None
    added_at: Moment
    added_by: str
    status: Annotated[e.FollowUpStatus, AnyVersion] = "open"
    reason: str = ""
    ended_at: Moment | None = None
    reminded: tuple[str, ...] = ()
    tracker: str = ""
    key: str = ""
    url: str = ""
    failures: int = 0
    failed_at: Moment | None = None
    given_up: bool = False
    closed_there: bool = False

    @property
    def open(self) -> bool:
        """Whether there is still something to do."""
        return self.status not in ENDED

    def overdue(self, today: date) -> bool:
        """Whether its day is over, and it is not done."""
        return self.open and self.due is not None and self.due < today

    def heard_of(self, occasion: e.ReminderOccasion) -> bool:
        """Whether its owner was reminded of its present due day on that occasion, or tried to."""
        return reminder_name(occasion, self.due) in self.reminded


@dataclass(frozen=True)
class Learning:
    """The cause as a person recorded it, the follow-ups by number, and what was decided about the
    rules.

    `revision` counts what was learned, and what else was added after the closing; `reviewed` is
    the revision that the written review has.
    """

    cause: e.CauseRecorded | None = None
    cause_at: datetime | None = None
    follow_ups: Mapping[int, FollowUp] = field(default_factory=dict)
    standards: tuple[e.StandardizationDecided, ...] = ()
    revision: int = 0
    reviewed: int = 0

    @property
    def open_follow_ups(self) -> tuple[FollowUp, ...]:
        """Those that are neither done nor dropped."""
        return tuple(one for one in self.follow_ups.values() if one.open)

    @property
    def unreviewed(self) -> bool:
        """Whether something was learned that a written review does not have."""
        return self.reviewed < self.revision


_ADDED_AFTERWARDS = (
    e.Noted,
    e.SentimentHeard,
    e.UpdateReleased,
    e.UpdateEdited,
    e.LastWordDismissed,
)


def added_afterwards(learning: Learning, event: e.Event) -> Learning:
    """After one more event of a closed incident: what people add besides what they learn counts,
    for its review has that, too. An update that goes out by itself is none of that."""
    by_itself = isinstance(event, e.UpdateReleased) and not event.person
    if by_itself or not isinstance(event, _ADDED_AFTERWARDS):
        return learning
    return replace(learning, revision=learning.revision + 1)


def reminder_name(occasion: e.ReminderOccasion, due: date | None) -> str:
    """What tells one reminder of a follow-up from the others."""
    return f"{occasion} {due}"


def learned(learning: Learning, at: datetime, event: e.LearningEvent) -> Learning:
    """What is known after one more of its events."""
    learning = replace(learning, revision=learning.revision + 1)
    match event:
        case e.CauseRecorded():
            return replace(learning, cause=event, cause_at=at)
        case e.StandardizationDecided():
            return replace(learning, standards=(*learning.standards, event))
        case e.FollowUpAdded():
            added = FollowUp(
                number=event.follow_up,
                title=event.title,
                owner=event.owner,
                due=event.due,
                added_at=at,
                added_by=event.person,
            )
            return replace(learning, follow_ups={**learning.follow_ups, added.number: added})
        case _:
            before = learning.follow_ups.get(event.follow_up)
            if before is None:
                return learning
            after = before.model_copy(update=_changes(before, at, event))
            return replace(learning, follow_ups={**learning.follow_ups, after.number: after})


_UNTRIED = {"failures": 0, "failed_at": None, "given_up": False}
"""A tracker is tried anew after whatever people do to a follow-up: they may have mended it."""


def _changes(
    before: FollowUp,
    at: datetime,
    event: e.FollowUpChanged
    | e.FollowUpMoved
    | e.FollowUpReminded
    | e.FollowUpPushed
    | e.FollowUpPushFailed,
) -> dict[str, object]:
    match event:
        case e.FollowUpChanged():
            # Who takes it over has heard of nothing yet.
            reminded = before.reminded if event.owner == before.owner else ()
            changed = {"title": event.title, "owner": event.owner, "due": event.due}
            return {**changed, "reminded": reminded, **_UNTRIED}
        case e.FollowUpMoved():
            ended_at = at if event.status in ENDED else None
            moved = {"status": event.status, "reason": event.reason, "ended_at": ended_at}
            return {**moved, **_UNTRIED, "closed_there": before.closed_there or bool(event.tracker)}
        case e.FollowUpReminded():
            name = reminder_name(event.occasion, event.due)
            return {"reminded": (*before.reminded, name)}
        case e.FollowUpPushed():
            return {"tracker": event.tracker, "key": event.key, "url": event.url}
        case e.FollowUpPushFailed():
            return {
                "failures": before.failures + 1,
                "failed_at": at,
                "given_up": event.last,
            }
