"""What can have happened to an update: drafted, released, published, edited; or put off."""

from __future__ import annotations

from abc import ABC
from typing import Annotated, ClassVar, Literal

from daemon.core.incident.events.base import BaseEvent, EventGroup
from daemon.core.incident.events.kept_updates import UpdateKept
from daemon.core.values.units import AnyVersion, Moment, clock_time

StageOfSteps = Literal["early", "middle", "late"]
"""Early: nothing was decided yet. Middle: recovery or diagnosis. Late: restored."""


class _AboutUpdates(BaseEvent, ABC):
    group: ClassVar[EventGroup] = "updates"


class UpdateDrafted(_AboutUpdates):
    """The daemon wrote an update from the facts. A later draft of the same update replaces it.

    `update` is `<audience>.<number>`. `because` says what made it due. `facts` is what it was
    drafted from, in short: while that stays the same, so does the draft. `public`: it is in public
    wording; an earlier stopgap did not say.
    """

    kind: Literal["UpdateDrafted"] = "UpdateDrafted"
    update: str
    audience: str
    revision: int
    stage: Annotated[StageOfSteps, AnyVersion]
    text: str
    because: str
    facts: str
    automatic: bool
    public: bool = False

    def describe(self) -> str:
        return f"update {self.update} drafted ({self.because})"


class UpdateAssigned(_AboutUpdates):
    """This person is asked to send the update; the one before did not."""

    kind: Literal["UpdateAssigned"] = "UpdateAssigned"
    update: str
    person: str
    reason: str

    def describe(self) -> str:
        return f"update {self.update} is {self.person}'s to send: {self.reason}"


class UpdateReleased(_AboutUpdates):
    """The update goes out with this text; `person` is empty if nobody had to tap."""

    kind: Literal["UpdateReleased"] = "UpdateReleased"
    update: str
    text: str
    person: str

    def describe(self) -> str:
        by = f"sent by {self.person}" if self.person else "sent"
        return f"update {self.update} {by}: {self.text}"


class UpdateEdited(_AboutUpdates):
    """The text of a sent update was changed; `version` counts from 1, the first being as sent."""

    kind: Literal["UpdateEdited"] = "UpdateEdited"
    update: str
    version: int
    text: str
    person: str

    def describe(self) -> str:
        return f"update {self.update} changed by {self.person}: {self.text}"


class UpdatePublished(_AboutUpdates):
    """A channel has this version. `reference` is what finds it again; `proof` its answer."""

    kind: Literal["UpdatePublished"] = "UpdatePublished"
    update: str
    version: int
    channel: str
    proof: str
    reference: str = ""

    def describe(self) -> str:
        version = f" (version {self.version})" if self.version > 1 else ""
        return f"update {self.update}{version} is in {self.channel}: {self.proof}"


class UpdateFailed(_AboutUpdates):
    """A channel did not take this version. `last`: it is not tried again."""

    kind: Literal["UpdateFailed"] = "UpdateFailed"
    update: str
    version: int
    channel: str
    error: str
    last: bool

    def describe(self) -> str:
        return f"update {self.update} did not reach {self.channel}: {self.error}"


class UpdatesSnoozed(_AboutUpdates):
    """No update to this audience is due before `until`, by this person's word."""

    kind: Literal["UpdatesSnoozed"] = "UpdatesSnoozed"
    audience: str
    until: Moment
    person: str
    reason: str

    def describe(self) -> str:
        until = clock_time(self.until)
        return f"updates to {self.audience} put off to {until} by {self.person}: {self.reason}"


UpdateEvent = (
    UpdateDrafted
    | UpdateAssigned
    | UpdateReleased
    | UpdateEdited
    | UpdatePublished
    | UpdateFailed
    | UpdateKept
    | UpdatesSnoozed
)
