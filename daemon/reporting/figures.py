"""The figures of the incidents in the journal, from their head rows alone."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from daemon.core.ports.journal import IncidentSearch, ListCursor
from daemon.core.reporting.figures import USUAL_PERIOD, YEAR, Figures, FiguresTally
from daemon.repository import IncidentRepository

_MOST = 50_000
"""So many of the newest incidents are counted; more than that are opened by no team in a year."""
_PORTION = 1000
_FRESH = timedelta(minutes=5)
"""For so long figures are shown again before they are worked out anew."""


async def read_figures(
    repository: IncidentRepository, period: timedelta, until: datetime
) -> Figures:
    """The figures of the period that ends then. Raises Temporary, Permanent."""
    tally = FiguresTally(until - period, until)
    whole = until - 2 * period
    left = await _add(repository, tally, IncidentSearch(since=whole, until=until), _MOST)
    # Of what is older only recoveries by people count.
    older = IncidentSearch(since=until - YEAR, until=whole, by_people=True)
    if until - YEAR < whole:
        await _add(repository, tally, older, left)
    return await asyncio.to_thread(tally.figures)


async def _add(
    repository: IncidentRepository, tally: FiguresTally, search: IncidentSearch, most: int
) -> int:
    """Count the newest incidents that fit, at most so many; how many more might have been."""
    while most > 0:
        # A portion at a time: the whole of it takes seconds, and others read and are served.
        found = await repository.journal.outcomes(min(_PORTION, most), search)
        tally.add(found)
        most -= len(found)
        if len(found) < _PORTION:
            break
        last = found[-1]
        cursor = ListCursor(opened_at=last.opened_at, incident=last.incident)
        search = search.model_copy(update={"after": cursor})
    return most


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
