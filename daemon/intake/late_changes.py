"""A change that becomes known while incidents are open goes to those that it may concern."""

from __future__ import annotations

from collections.abc import Callable

from daemon.core.changes.suspects import Change
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.recovery.growth import takes_change
from daemon.core.values.drill_key import drill_of
from daemon.repository import IncidentRepository


async def tell_incidents(
    repository: IncidentRepository,
    change: Change,
    concerns: Callable[[Incident], bool],
    drill: str = "",
) -> tuple[str, ...]:
    """Write it down in each open incident that it concerns, which weighs the changes at once.
    `drill`: the run that the change is of; what is real and each drill have changes of their own.

    Returns the ids of these. Told twice, it is written down once. Raises Temporary.
    """
    told = e.ChangeReported(change=change, told_at=repository.clock())
    found = []
    for head in await repository.journal.open_heads():
        if drill_of(head.key) == drill and concerns(await repository.load(head.incident)):
            await repository.record(
                head.incident, lambda i: (told,) if takes_change(i, change) else ()
            )
            found.append(head.incident)
    return tuple(found)
