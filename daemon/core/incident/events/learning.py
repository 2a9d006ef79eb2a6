"""What people learned from the incident: its cause, and what is to be done about it."""

from __future__ import annotations

from abc import ABC
from datetime import date
from typing import Annotated, ClassVar, Literal

from daemon.core.incident.events.base import BaseEvent, EventGroup
from daemon.core.values.units import AnyVersion

CauseCategory = Literal[
    "change",
    "configuration",
    "capacity",
    "dependency",
    "infrastructure",
    "data",
    "security",
    "monitoring",
    "unknown",
]
"""What kind of cause it was. `change`: a deployment or release; `monitoring`: nothing was broken
but what watches it."""
FollowUpStatus = Literal["open", "in_progress", "done", "dropped"]
"""How far a follow-up is; `dropped` has a reason."""
StandardKind = Literal["new_rule", "threshold", "alternative", "dependency", "other"]
"""What the rules learn: one where none matched; an earlier word; a step that a person used; what a
rule depends on; or something else."""
ReminderOccasion = Literal["before", "due"]
"""Some days before the due day, or on it."""


class _AboutLearning(BaseEvent, ABC):
    group: ClassVar[EventGroup] = "learning"


class CauseRecorded(_AboutLearning):
    """A person says what the cause was; a later one replaces it.

    `change` is the item of the change that it was; empty if it was none, or none that is known.
    """

    kind: Literal["CauseRecorded"] = "CauseRecorded"
    person: str
    text: str
    category: Annotated[CauseCategory, AnyVersion]
    change: str = ""

    def describe(self) -> str:
        change = f", {self.change}" if self.change else ""
        return f"cause by {self.person} ({self.category}{change}): {self.text}"


class StandardizationDecided(_AboutLearning):
    """What the rules were to learn from it: they were changed (`path` is the file), or, for a
    reason, they were not."""

    kind: Literal["StandardizationDecided"] = "StandardizationDecided"
    standard: Annotated[StandardKind, AnyVersion]
    applied: bool
    rule: str = ""
    path: str = ""
    reason: str = ""
    person: str

    def describe(self) -> str:
        what = f"{self.standard.replace('_', ' ')}{f' in {self.path}' if self.path else ''}"
        why = f": {self.reason}" if self.reason else ""
        if self.applied:
            return f"the rules learned from it, by {self.person}: {what}{why}"
        return f"the rules stay as they are, by {self.person} ({what}){why}"


class FollowUpAdded(_AboutLearning):
    """Something is to be done, by `owner` until the end of the day `due` (None: no day is named).

    `follow_up` counts those of the incident from 1.
    """

    kind: Literal["FollowUpAdded"] = "FollowUpAdded"
    follow_up: int
    title: str
    owner: str
    due: date | None = None
    person: str

    def describe(self) -> str:
        return f"follow-up {self.follow_up} for {_whose(self.owner, self.due)}: {self.title}"


class FollowUpChanged(_AboutLearning):
    """Its words, its owner or its due day are these from now on."""

    kind: Literal["FollowUpChanged"] = "FollowUpChanged"
    follow_up: int
    title: str
    owner: str
    due: date | None = None
    person: str

    def describe(self) -> str:
        whose = _whose(self.owner, self.due)
        return f"follow-up {self.follow_up} changed by {self.person}, for {whose}: {self.title}"


class FollowUpMoved(_AboutLearning):
    """How far it is from now on, by a person's word or, if `tracker` is named, by what happened
    to its issue there."""

    kind: Literal["FollowUpMoved"] = "FollowUpMoved"
    follow_up: int
    status: Annotated[FollowUpStatus, AnyVersion]
    reason: str = ""
    person: str = ""
    tracker: str = ""

    def describe(self) -> str:
        by = f"in {self.tracker}" if self.tracker else f"by {self.person}"
        why = f": {self.reason}" if self.reason else ""
        return f"follow-up {self.follow_up} is {self.status.replace('_', ' ')}, {by}{why}"


class FollowUpReminded(_AboutLearning):
    """Its owner was reminded of the due day; `method` is empty where they could not be, and
    `proof` says why."""

    kind: Literal["FollowUpReminded"] = "FollowUpReminded"
    follow_up: int
    occasion: Annotated[ReminderOccasion, AnyVersion]
    due: date
    person: str
    method: str
    proof: str

    def describe(self) -> str:
        if not self.method:
            return f"{self.person} was not reminded of follow-up {self.follow_up}: {self.proof}"
        return (
            f"{self.person} was reminded of follow-up {self.follow_up}, due {self.due}, "
            f"by {self.method}: {self.proof}"
        )


class FollowUpPushed(_AboutLearning):
    """It is an issue of that tracker by now: `key` finds it there again, `url` shows it."""

    kind: Literal["FollowUpPushed"] = "FollowUpPushed"
    follow_up: int
    tracker: str
    key: str
    url: str = ""

    def describe(self) -> str:
        return f"follow-up {self.follow_up} is {self.key or 'known'} in {self.tracker} {self.url}"


class FollowUpPushFailed(_AboutLearning):
    """The tracker did not take it. `last`: it is not tried again before people change it."""

    kind: Literal["FollowUpPushFailed"] = "FollowUpPushFailed"
    follow_up: int
    tracker: str
    error: str
    last: bool

    def describe(self) -> str:
        ends = "; it is not tried again" if self.last else ""
        return f"follow-up {self.follow_up} did not reach {self.tracker}: {self.error}{ends}"


def _whose(owner: str, due: date | None) -> str:
    return owner if due is None else f"{owner}, due {due}"


LearningEvent = (
    CauseRecorded
    | StandardizationDecided
    | FollowUpAdded
    | FollowUpChanged
    | FollowUpMoved
    | FollowUpReminded
    | FollowUpPushed
    | FollowUpPushFailed
)
