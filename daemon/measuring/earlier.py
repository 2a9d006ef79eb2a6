"""When the problem of an incident stood before, as incidents of their own tell."""

from __future__ import annotations

from datetime import timedelta

from daemon.core.changes.precedent import Precedent
from daemon.core.incident.state import Incident
from daemon.core.ports.journal import IncidentSearch, Journal
from daemon.core.rules.rule import Rule

_LASTED = timedelta(days=1)
"""An incident that was opened so long before the look-back is not looked for."""
_MOST = 20


async def earlier_trouble(journal: Journal, rule: Rule, incident: Incident) -> list[Precedent]:
    """When the same alerts' problem stood within the rule's look-back from the opening and was
    verified to be over, the newest first."""
    since = incident.opened_at - rule.problem.baseline
    search = IncidentSearch(
        rule=incident.rule,
        key=incident.key,
        since=since - _LASTED,
        until=incident.opened_at,
        drills="with",
    )
    found = (head.outcome for head in await journal.heads(_MOST, search))
    trouble = [one.trouble for one in found if one is not None]
    return [one for one in trouble if one is not None and one.end > since]
