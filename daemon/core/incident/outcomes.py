"""What the world has answered, and whether that is news to an incident.

An outcome may be written down late: the store was full, or the daemon died after its side file
had it. By then the incident may know it already.
"""

from __future__ import annotations

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident


def is_news(incident: Incident, event: e.Event) -> bool:
    """Whether the incident does not know this outcome yet."""
    match event:
        case e.PageDelivered():
            page = incident.pages.get(event.page)
            return page is not None and page.pending
        case e.PageFailed():
            page = incident.pages.get(event.page)
            untried = page is not None and event.method not in page.failed_methods
            return page is not None and page.pending and untried
        case e.PageAmended() | e.PageNotAmended():
            page = incident.pages.get(event.page)
            return page is not None and not page.amendment.over
        case e.UpdatePublished() | e.UpdateFailed():
            update = incident.updates.by_name.get(event.update)
            return update is not None and update.delivery(event.channel).version < event.version
        case e.StepFinished():
            return incident.step(event.step).status == "running"
        case e.ReviewWritten():
            return not incident.review or incident.learning.unreviewed
        case _:
            return True
