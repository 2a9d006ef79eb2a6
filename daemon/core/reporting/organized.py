"""How people have organized an incident, in sentences: for its page and the review."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.core.incident.state import Incident
from daemon.core.values.units import printable


def organized_now(incident: Incident) -> str:
    """What is done now because of that, in a sentence without a full stop; empty if it changes
    nothing."""
    known = incident.organization
    if known.merging is not None:
        return f"being merged into {known.merging.into}; nothing else is done about it"
    if known.held is not None:
        until = f"{known.held.until:%Y-%m-%d %H:%M} UTC"
        return (
            f"held by maintenance until {until}: measuring goes on, nobody is called and nothing "
            f"starts by itself ({known.held.by}: {printable(known.held.reason)})"
        )
    return ""


def organized_lines(incident: Incident) -> Iterator[tuple[str, str]]:
    """(heading, sentence) of all that people have made of it, and the maintenance."""
    known = incident.organization
    if known.declared is not None:
        yield "Declared", f"by {known.declared.person}: {printable(known.declared.title)}"
    said = known.severity
    if said is not None and said.severity:
        measured = known.severity_measured or "not established"
        why = f": {printable(said.reason)}" if said.reason else ""
        yield "Severity", f"{said.severity} by {said.person} (measured: {measured}){why}"
    if known.merged_into:
        yield "Merged into", known.merged_into
    for absorbed in known.absorbed.values():
        yield "Merged into it", f"{absorbed.other}: {printable(absorbed.title)}"
    if known.split_from is not None:
        title = printable(known.split_from.title)
        yield "Split off from", f"{known.split_from.other}: {title}"
    for split in known.split_off.values():
        yield "Split off", f"{split.incident}: {printable(split.title)}"
    for related in known.related.values():
        why = f" ({printable(related.reason)})" if related.reason else ""
        yield "Related to", f"{related.other}: {printable(related.title)}{why}"


def linked_incidents(incident: Incident) -> list[str]:
    """The other incidents that it is linked with."""
    known = incident.organization
    source = [known.split_from.other] if known.split_from else []
    merged = [known.merged_into] if known.merged_into else []
    return [*merged, *source, *known.absorbed, *known.split_off, *known.related]
