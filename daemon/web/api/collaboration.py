"""Where people meet over an incident, and tickets with vendors, over HTTP."""

from __future__ import annotations

from pydantic import Field

from daemon.core.response.collaboration_commands import TICKET_LENGTH, OpenRoom, RecordTicket
from daemon.core.response.command import TEXT_LENGTH
from daemon.core.response.help_packet import vendor_ticket
from daemon.core.values.units import Frozen
from daemon.web.api.collaboration_view import vendor_views
from daemon.web.api.operation import ApiOperation, Call, IncidentPath, do, incident_operation
from daemon.web.api.schemas import IncidentAfter, VendorView
from daemon.web.context import WebContext
from daemon.web.errors import HttpProblem

_TAG = "collaboration"


class OneVendor(IncidentPath):
    """Which vendor of the roster, about which incident."""

    vendor: str = Field(max_length=100)


class VendorQuestion(Frozen):
    """What is wanted of them; left out, what one usually asks."""

    ask: str = Field(default="", max_length=TEXT_LENGTH)


class TicketDraft(Frozen):
    """The text of a ticket to copy: it goes outside, so it names no person, target or label."""

    vendor: VendorView
    text: str


class TicketBody(Frozen):
    """What the vendor calls the ticket that was opened with them."""

    ticket: str = Field(pattern=r"\S", max_length=TICKET_LENGTH)


class CollaborationOperations:
    """The rows."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def operations(self) -> list[ApiOperation]:
        """The rows of the table."""
        vendor = "vendors/{vendor}"
        return [
            incident_operation("POST", "room", self.open, _TAG),
            ApiOperation(
                "GET",
                f"/api/v1/incidents/{{id}}/{vendor}",
                self.draft,
                "viewer",
                _TAG,
                example={"ask": "is the zone eu-1b impaired?"},
            ),
            incident_operation(
                "POST", f"{vendor}/tickets", self.keep, _TAG, example={"ticket": "4711"}
            ),
        ]

    async def open(self, call: Call[IncidentPath, None, None]) -> IncidentAfter:
        """Open the incident's room and call, as the Commander; once more, if that failed."""
        return await do(self._context, call, OpenRoom())

    async def draft(self, call: Call[OneVendor, VendorQuestion, None]) -> TicketDraft:
        """The text of a ticket to a vendor, to copy.

        Nothing is sent, and nothing is recorded: whoever opens the ticket tells its number then.
        """
        context = self._context
        incident = await context.repository.load(call.at.id)
        config = context.config_of(incident)
        rule = config.rules.rules.get(incident.rule)
        views = {one.vendor: one for one in vendor_views(incident, config.roster, rule)}
        if call.at.vendor not in views:
            known = ", ".join(sorted(views)) or "none"
            text = f"no vendor {call.at.vendor!r}; `vendors` in the roster has {known}"
            raise HttpProblem(404, "No such vendor", text)
        vendor = config.roster.vendors[call.at.vendor]
        description = rule.description if rule is not None else ""
        text = vendor_ticket(incident, vendor, description, call.query.ask)
        return TicketDraft(vendor=views[call.at.vendor], text=text)

    async def keep(self, call: Call[OneVendor, None, TicketBody]) -> IncidentAfter:
        """Keep the number of a ticket that was opened with a vendor."""
        return await do(self._context, call, RecordTicket(call.at.vendor, call.sent.ticket))
