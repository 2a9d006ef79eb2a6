"""What the alerts said of themselves, and where they led."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.core.incident.alert_words import alert_links, alert_words
from daemon.core.incident.state import Incident
from daemon.core.reporting.review.document import Block, Bullets, Paragraph, Section


def alert_sections(incident: Incident) -> tuple[Section, ...]:
    """One section, or none where the alerts say nothing but their names."""
    blocks = tuple(_blocks(incident))
    return (Section("The alert's own words", blocks),) if blocks else ()


def _blocks(incident: Incident) -> Iterator[Block]:
    for words in alert_words(incident):
        said = ": ".join(filter(None, (words.alert, words.summary, words.description)))
        if said != words.alert:
            yield Paragraph(said)
    links = tuple(f"{link.name}: {link.url}" for link in alert_links(incident))
    if links:
        yield Bullets(links)
