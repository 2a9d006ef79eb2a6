"""The open follow-ups of all incidents in the journal, from their head rows alone."""

from __future__ import annotations

from datetime import date

from daemon.core.ports.journal import IncidentSearch
from daemon.core.reporting.follow_up_list import OpenFollowUp, open_follow_ups
from daemon.repository import IncidentRepository

MOST_LOOKED_AT = 2000
"""Of so many of the newest incidents that have any."""


async def read_follow_ups(
    repository: IncidentRepository, today: date, *, owner: str = "", team: str = ""
) -> list[OpenFollowUp]:
    """What is to be done, the first due first; `owner` and `team`: theirs alone. Raises Temporary,
    Permanent."""
    heads = await repository.journal.heads(
        MOST_LOOKED_AT, IncidentSearch(pending=True, drills="with")
    )
    return open_follow_ups(heads, today, owner=owner, team=team)
