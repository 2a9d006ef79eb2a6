"""The section `rooms` of stopgap.yaml: where people meet over an incident, and when that opens."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from daemon.core.people.audiences import SeverityName
from daemon.core.people.contact_methods import Reference
from daemon.core.values.units import Duration, Frozen, parse_duration

CALL_FIELDS = ("incident", "secret")
"""What the address of a call may name in braces."""


def _template(text: str) -> str:
    if not re.match(r"https?://\S+$", text):
        raise ValueError("write the address of a call: https://meet.jit.si/stopgap-{incident}")
    left = text
    for name in CALL_FIELDS:
        left = left.replace("{" + name + "}", "")
    if "{" in left or "}" in left:
        known = " and ".join("{" + name + "}" for name in CALL_FIELDS)
        raise ValueError(f"only {known} may stand in braces")
    return text


CallTemplate = Annotated[str, Field(max_length=300), AfterValidator(_template)]
"""The address of a call, with `{incident}` and `{secret}` for what is filled in."""


class SlackRoomSettings(Frozen):
    """A Slack channel for each incident, by the bot of `slack.token`. `prefix` begins its name.
    `private`: only whoever is invited sees it. `marks`: the reactions by which a message comes to
    the timeline, as pinning does."""

    prefix: str = Field(default="inc-", pattern=r"^[a-z0-9_-]{0,20}$")
    private: bool = False
    marks: tuple[Annotated[str, Field(pattern=r"^[a-z0-9_+'-]{1,100}$")], ...] = ("memo", "stopgap")


class RoomWebhook(Frozen):
    """A URL that opens rooms; with `secret` what is posted there is signed."""

    url: Reference
    secret: Reference | None = None


class RoomSettings(Frozen):
    """Where people meet: a room by `slack` or by `webhook`, and a `call`.

    `open_from`: the least severity from which they open by themselves; without it a person opens
    them. `archive_after`: the room ends so long after its incident; None keeps it.
    """

    open_from: SeverityName | None = None
    slack: SlackRoomSettings | None = None
    webhook: RoomWebhook | None = None
    call: CallTemplate | None = None
    archive_after: Duration | None = Field(default=parse_duration("24h"), ge=timedelta(0))

    @model_validator(mode="after")
    def _sound(self) -> RoomSettings:
        if self.slack is not None and self.webhook is not None:
            raise ValueError("give `slack` or `webhook`, not both: an incident has one room")
        nothing = self.slack is None and self.webhook is None and self.call is None
        if self.open_from is not None and nothing:
            raise ValueError("`open_from` opens nothing without `slack`, `webhook` or `call`")
        return self
