"""What somebody who was called answers beside coming."""

from __future__ import annotations

from pydantic import Field

from daemon.core.response.call_answers import SNOOZES, DeclineCall, SnoozeCall
from daemon.core.values.units import Frozen
from daemon.web.api.operation import ApiOperation, Call, IncidentPath, do, incident_operation
from daemon.web.api.people import ReasonBody
from daemon.web.api.request_parsing import Lasting
from daemon.web.api.schemas import IncidentAfter
from daemon.web.context import WebContext

_TAG = "people"


class SnoozedCall(Frozen):
    """`for` how long the call is put off, from 1m to 1h; left out, 5m."""

    last: Lasting | None = Field(default=None, alias="for")


class CallAnswerOperations:
    """The rows; each wants the person's own token."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def operations(self) -> list[ApiOperation]:
        """The rows of the table."""
        train, quarter = {"reason": "I am on a train"}, {"for": "15m"}
        return [
            incident_operation("POST", "decline", self.decline, _TAG, example=train),
            incident_operation("POST", "snooze-call", self.snooze, _TAG, example=quarter),
        ]

    async def decline(self, call: Call[IncidentPath, None, ReasonBody]) -> IncidentAfter:
        """Say that you cannot come: whoever is next is called at once."""
        return await do(self._context, call, DeclineCall(call.sent.reason))

    async def snooze(self, call: Call[IncidentPath, None, SnoozedCall]) -> IncidentAfter:
        """Be called again after a while; the policy goes on meanwhile."""
        return await do(self._context, call, SnoozeCall(call.sent.last or SNOOZES[0]))
