"""The part of an incident's page about its room, its call, and who else could help."""

from __future__ import annotations

from typing import Any

from daemon.core.incident.state import Incident
from daemon.core.response.help_packet import vendor_ticket
from daemon.core.rules.rule import Rule
from daemon.web.api.collaboration_view import room_view, vendor_views
from daemon.web.context import WebContext


def together(
    context: WebContext, incident: Incident, rule: Rule | None, person: str
) -> dict[str, Any]:
    """What the template `together.html` shows to that person."""
    roster = context.config_of(incident).roster
    description = rule.description if rule is not None else ""
    return {
        "places": context.places.policy,
        "meeting": room_view(incident),
        "helpers": context.help_for(incident, person),
        "vendors": [
            (view, vendor_ticket(incident, roster.vendors[view.vendor], description, ""))
            for view in vendor_views(incident, roster, rule)
        ],
    }
