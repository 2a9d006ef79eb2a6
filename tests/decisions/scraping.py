"""The service of a scenario as Prometheus sees it: by scrapes, of which some may have failed."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from daemon.core.measurement.samples import QueryAnswer, Series
from tests.fakes import START, Service
from tests.worlds.prometheus import increase
from tests.worlds.world import Samples

INTERVAL = 15
"""Seconds between scrapes; `Service` tells the same pace."""
PHASE = 4
"""The scrapes are so many seconds after each quarter of a minute."""
_COUNTED = 1e6
"""What the counters show at the beginning of a window: they are not newly born."""


@dataclass
class ScrapedService(Service):
    """A service of which nothing is known but what was scraped.

    `missed`: (begin, end) in seconds since START; no scrape in between succeeded.
    """

    missed: Sequence[tuple[float, float]] = field(default_factory=list)

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        answer = await super().instant(query, at)
        if re.match(r"(max|min)\(timestamp\(", query) and not self.stale:
            scraped = START.timestamp() + self._last((at - START).total_seconds())
            return QueryAnswer(query, [Series({}, [(at.timestamp(), scraped)])])
        return self._without_unseen(answer)

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        return self._without_unseen(await super().series(query, start, end, step))

    def _without_unseen(self, answer: QueryAnswer) -> QueryAnswer:
        if self.spoiled:
            return answer
        seen = [
            Series(s.labels, [(at, value) for at, value in s.samples if not math.isnan(value)])
            for s in answer.series
        ]
        return replace(answer, series=[s for s in seen if s.samples])

    def _count(
        self, query: str, now: float, errors: list[tuple[float, float]] | None = None
    ) -> float:
        """What Prometheus makes of the scrapes; NaN where it has no sample."""
        last = self._last(now)
        if query.startswith("latency"):
            return super()._count(query, last) if self._succeeded(last) else math.nan
        window = re.search(r"\[(?:(\d+)m)?(?:(\d+)s)?\]", query)
        assert window is not None, query
        width = int(window[1] or 0) * 60 + int(window[2] or 0)
        scrapes = [last - n * INTERVAL for n in range(width // INTERVAL + 2)][::-1]
        scrapes = [at for at in scrapes if now - width < at and self._succeeded(at)]
        counted = [_COUNTED + self._happened(query, scrapes[0], at, errors) for at in scrapes]
        found = increase(Samples(scrapes, counted), now, width)
        return math.nan if found is None else found

    def _succeeded(self, at: float) -> bool:
        return not any(begin < at < end for begin, end in self.missed)

    @staticmethod
    def _last(now: float) -> float:
        """The newest scrape."""
        return (now - PHASE) // INTERVAL * INTERVAL + PHASE
