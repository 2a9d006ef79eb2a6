"""What the API says of where people meet over an incident, and of who else could help."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from daemon.core.incident.collaboration import RoomPlace
from daemon.core.incident.events.collaboration import room_failure
from daemon.core.incident.state import Incident
from daemon.core.people.roster import Roster
from daemon.core.response.external_help import HelpSuggestion, vendors_for
from daemon.core.rules.rule import Rule
from daemon.web.api.schemas import PlaceView, RoomView, SuggestedTeam, VendorView


def collaboration_view(
    incident: Incident, roster: Roster, rule: Rule | None, helpers: Sequence[HelpSuggestion]
) -> dict[str, Any]:
    """The fields of `IncidentView` about it."""
    return {
        "meeting": room_view(incident),
        "help": tuple(SuggestedTeam(**vars(one)) for one in helpers),
        "vendors": vendor_views(incident, roster, rule),
    }


def room_view(incident: Incident) -> RoomView | None:
    """Where people meet; None while nobody has asked for that."""
    known = incident.collaboration
    if known.requested is None:
        return None
    return RoomView(
        requested_by=known.requested.person,
        room=_place(known.room),
        call=_place(known.call),
        archived_at=known.archived_at,
        troubles=tuple(
            room_failure(deed, trouble.error, last=trouble.given_up)
            for deed, trouble in known.troubles.items()
        ),
    )


def vendor_views(incident: Incident, roster: Roster, rule: Rule | None) -> tuple[VendorView, ...]:
    """The vendors, those first to whom something of the incident points."""
    return tuple(
        VendorView(
            vendor=name,
            name=roster.vendors[name].name,
            what=roster.vendors[name].what,
            because=because,
            ways=roster.vendors[name].ways,
            tickets=tuple(
                one.ticket for one in incident.collaboration.tickets if one.vendor == name
            ),
        )
        for name, because in vendors_for(incident, roster, rule).items()
    )


def _place(place: RoomPlace | None) -> PlaceView | None:
    if place is None:
        return None
    return PlaceView(service=place.service, name=place.name, url=place.url)
