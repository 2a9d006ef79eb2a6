"""The figures of the incidents in the journal, from their head rows alone."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from daemon.core.ports.journal import IncidentSearch
from daemon.core.reporting.figures import USUAL_PERIOD, YEAR, Figures, figures
from daemon.repository import IncidentRepository

_MOST = 50_000
"""So many of the newest incidents are counted; more than that are opened by no team in a year."""
_FRESH = timedelta(minutes=5)
"""For so long figures are shown again before they are worked out anew."""


async def read_figures(
    repository: IncidentRepository, period: timedelta, until: datetime
) -> Figures:
    """The figures of the period that ends then. Raises Temporary, Permanent."""
    since = until - max(YEAR, 2 * period)
    heads = await repository.journal.heads(_MOST, IncidentSearch(since=since, until=until))
    return await asyncio.to_thread(figures, heads, until - period, until)


class RecentFigures:
    """The figures of USUAL_PERIOD until now, for whoever asks often: worked out every few minutes
    at the most."""

    def __init__(self, repository: IncidentRepository) -> None:
        self._repository = repository
        self._known: Figures | None = None

    async def __call__(self) -> Figures:
        """Raises Temporary, Permanent."""
        now = self._repository.clock()
        if self._known is None or now - self._known.until >= _FRESH:
            self._known = await read_figures(self._repository, USUAL_PERIOD, now)
        return self._known
