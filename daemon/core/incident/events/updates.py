"""What can have happened to an update: drafted, released, published, edited; or put off."""

from __future__ import annotations

from typing import Literal

from daemon.core.values.units import Frozen, Moment


class UpdateDrafted(Frozen):
    """The daemon wrote an update from the facts. A later draft of the same update replaces it.

    `update` is `<audience>.<number>`. `because` says what made it due. `facts` is what it was
    drafted from, in short: while that stays the same, so does the draft.
    """

    kind: Literal["UpdateDrafted"] = "UpdateDrafted"
    update: str
    audience: str
    revision: int
    stage: str
    text: str
    because: str
    facts: str
    automatic: bool


class UpdateAssigned(Frozen):
    """This person is asked to send the update; the one before did not."""

    kind: Literal["UpdateAssigned"] = "UpdateAssigned"
    update: str
    person: str
    reason: str


class UpdateReleased(Frozen):
    """The update goes out with this text; `person` is empty if nobody had to tap."""

    kind: Literal["UpdateReleased"] = "UpdateReleased"
    update: str
    text: str
    person: str


class UpdateEdited(Frozen):
    """The text of a sent update was changed; `version` counts from 1, the first being as sent."""

    kind: Literal["UpdateEdited"] = "UpdateEdited"
    update: str
    version: int
    text: str
    person: str


class UpdatePublished(Frozen):
    """A channel has this version. `reference` is what finds it again; `proof` its answer."""

    kind: Literal["UpdatePublished"] = "UpdatePublished"
    update: str
    version: int
    channel: str
    proof: str
    reference: str = ""


class UpdateFailed(Frozen):
    """A channel did not take this version. `last`: it is not tried again."""

    kind: Literal["UpdateFailed"] = "UpdateFailed"
    update: str
    version: int
    channel: str
    error: str
    last: bool


class UpdatesSnoozed(Frozen):
    """No update to this audience is due before `until`, by this person's word."""

    kind: Literal["UpdatesSnoozed"] = "UpdatesSnoozed"
    audience: str
    until: Moment
    person: str
    reason: str
