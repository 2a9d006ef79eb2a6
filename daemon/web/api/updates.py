"""The updates of an incident over HTTP: look at them, draft, send, edit, put off."""

from __future__ import annotations

from pydantic import Field

from daemon.core.incident.untold import untold
from daemon.core.response.command import TEXT_LENGTH
from daemon.core.response.last_word import DismissLastWord
from daemon.core.response.update_commands import (
    DraftUpdate,
    EditUpdate,
    SendUpdate,
    SnoozeUpdates,
)
from daemon.core.values.units import Frozen, Whole
from daemon.web.api.incident_view import updates_view
from daemon.web.api.operation import ApiOperation, Call, IncidentPath, do, incident_operation
from daemon.web.api.request_parsing import Lasting
from daemon.web.api.schemas import IncidentAfter, UpdateView
from daemon.web.api.stamp import Stamp
from daemon.web.context import WebContext

_TAG = "updates"


class AudiencePath(Frozen):
    """The audience of a draft."""

    audience: str = Field(max_length=100)


class Sending(Frozen):
    """One's own words, and the revision of the draft that was read; neither: as it stands.

    If the draft has changed since that revision, nothing is sent.
    """

    text: str | None = Field(default=None, max_length=TEXT_LENGTH)
    revision: Whole | None = None


class Edited(Frozen):
    """The new text of an update that was sent."""

    text: str = Field(max_length=TEXT_LENGTH)


class Snoozing(Frozen):
    """Which audience hears nothing `for` how long, and why."""

    audience: str = Field(max_length=100)
    last: Lasting = Field(alias="for")
    reason: str = Field(default="", max_length=500)


class Dismissal(Frozen):
    """Which audience needs no word that it is over, and why."""

    audience: str = Field(max_length=100)
    reason: str = Field(max_length=TEXT_LENGTH)


class OneUpdate(IncidentPath):
    """Which update of which incident, such as `internal.1`."""

    update: str


class UpdateList(Frozen):
    """The updates in the order of their drafting; which audiences were put off until when; and
    which were never told that it is over."""

    updates: tuple[UpdateView, ...]
    snoozed: dict[str, Stamp]
    untold: tuple[str, ...]


class UpdateOperations:
    """The rows; each wants the person's own token."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def operations(self) -> list[ApiOperation]:
        """The rows of the table."""
        update = "updates/{update}"
        later = {"audience": "internal", "for": "20m", "reason": "nothing new before that"}
        return [
            ApiOperation("GET", "/api/v1/incidents/{id}/updates", self.listed, "viewer", _TAG),
            incident_operation(
                "POST", "updates", self.draft, _TAG, example={"audience": "internal"}
            ),
            incident_operation("POST", f"{update}/send", self.send, _TAG, example={"revision": 1}),
            incident_operation(
                "PUT", update, self.edit, _TAG, example={"text": "Payments work again."}
            ),
            incident_operation("POST", "snooze", self.snooze, _TAG, example=later),
            incident_operation(
                "POST",
                "dismiss",
                self.dismiss,
                _TAG,
                example={"audience": "customers", "reason": "support has called all of them"},
            ),
        ]

    async def listed(self, call: Call[IncidentPath, None, None]) -> UpdateList:
        """All updates of an incident, drafts among them."""
        incident = await self._context.repository.load(call.at.id)
        updates = updates_view(incident, self._context.config_of(incident).roster)
        return UpdateList(
            updates=updates, snoozed=dict(incident.updates.snoozed), untold=untold(incident)
        )

    async def draft(self, call: Call[IncidentPath, None, AudiencePath]) -> IncidentAfter:
        """Draft an update now."""
        return await do(self._context, call, DraftUpdate(call.sent.audience))

    async def send(self, call: Call[OneUpdate, None, Sending]) -> IncidentAfter:
        """Send a draft."""
        given = call.sent
        return await do(self._context, call, SendUpdate(call.at.update, given.revision, given.text))

    async def edit(self, call: Call[OneUpdate, None, Edited]) -> IncidentAfter:
        """Change an update that was sent."""
        return await do(self._context, call, EditUpdate(call.at.update, call.sent.text))

    async def snooze(self, call: Call[IncidentPath, None, Snoozing]) -> IncidentAfter:
        """Put the updates to an audience off."""
        given = call.sent
        return await do(
            self._context, call, SnoozeUpdates(given.audience, given.last, given.reason)
        )

    async def dismiss(self, call: Call[IncidentPath, None, Dismissal]) -> IncidentAfter:
        """Say that an audience needs no word that it is over, and why."""
        given = call.sent
        return await do(self._context, call, DismissLastWord(given.audience, given.reason))
