"""What stood around the incident: how people organized it, where they met, whom they called in."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.core.incident.state import Incident
from daemon.core.reporting.organized import organized_lines
from daemon.core.reporting.review.document import Bullets, Section
from daemon.core.response.rooms import place_links


def around_section(incident: Incident) -> Section | None:
    """None where there was nothing of it."""
    lines = tuple(_lines(incident))
    return Section("Around it", (Bullets(lines),)) if lines else None


def _lines(incident: Incident) -> Iterator[str]:
    yield from (f"{heading}: {text}" for heading, text in organized_lines(incident))
    yield from (f"{name}: {url}" for name, url in place_links(incident).items())
    for team, engaged in incident.people.engaged.items():
        answer = f"{engaged.answered_by} came" if engaged.answered_by else "nobody came"
        yield f"Team {team} was called in: {answer}"
    for ticket in incident.collaboration.tickets:
        yield f"Ticket with {ticket.vendor}: {ticket.ticket}, opened by {ticket.person}"
    for sentiment in incident.sentiment[-5:]:
        yield f"Heard outside ({sentiment.source}): {sentiment.text}"
