"""Takes up what other replicas have changed: within about a second, and at once where a hint comes.

Asking is the truth; a hint only says that it is worth asking now. While the store cannot be read,
nothing is taken up, and all of it is as soon as it can: no news is missed, only late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from daemon.core.ports.news import Hears, NewsFeed, NewsHint, NewsPosition
from daemon.core.values.outcome import Permanent, Temporary
from daemon.instrumentation import QUIET, Observer
from daemon.repository import IncidentRepository, Unheard, UnknownIncident

_log = structlog.get_logger()

NEWS_SECONDS = 1.0
"""How often the store is asked."""
_SOONEST = 0.2
"""So long after a look at the soonest: hints come in crowds, and one look sees all of it."""


class NewsKeeper:
    """Asks one store, and tells the repository and whoever else has something of it in memory.

    `topics`: who takes up what has changed, by how its topics begin.
    """

    def __init__(
        self,
        feed: NewsFeed,
        repository: IncidentRepository,
        topics: Mapping[str, Hears],
        hint: NewsHint | None = None,
        observer: Observer = QUIET,
    ) -> None:
        self._feed = feed
        self._repository = repository
        self._topics = topics
        self._hint = hint
        self._observer = observer
        self._bell = asyncio.Event()
        self._position: NewsPosition | None = None
        self._late = False
        self._unheard: dict[str, None] = {}
        self._looking = asyncio.Lock()

    async def begin(self) -> None:
        """From now on nothing is missed; before anything is read that is kept in memory. Raises
        Temporary, Permanent."""
        self._position = await self._feed.begin()
        heads = await self._repository.journal.open_heads()
        self._repository.appends.begin({head.incident: head.seq for head in heads})
        self._repository.reach(self._position.number)

    async def run(self) -> None:
        """Look every second, and at each hint; until cancelled."""
        async with asyncio.TaskGroup() as group:
            if self._hint is not None:
                group.create_task(self._hint.run(self._bell.set), name="news hint")
            while True:
                await self.catch_up()
                await asyncio.sleep(_SOONEST)
                try:
                    async with asyncio.timeout(NEWS_SECONDS - _SOONEST):
                        await self._bell.wait()
                except TimeoutError:
                    pass
                self._bell.clear()

    async def look(self) -> None:
        """Take up all that is new. Raises Temporary, Permanent; what was not taken up then is the
        next time."""
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        if self._position is None:
            await self.begin()
        assert self._position is not None  # noqa: S101 - by begin
        while True:
            news = await self._feed.since(self._position)
            self._unheard |= dict.fromkeys(sorted(news.topics))
            ahead = await self._repository.read_ahead(news.grown)
            for incident, ends in news.grown.items():
                await self._hear(incident, ends, ahead.get(incident))
            more = news.position.number > self._position.number
            self._position = news.position
            for topic in list(self._unheard):
                await self._hear_of(topic)
                del self._unheard[topic]
            self._repository.reach(news.position.number)
            if not more:
                return

    async def catch_up(self) -> None:
        """Look; what goes wrong is told in the log alone, and is tried again at the next look."""
        try:
            await self.look()
        except (Temporary, Permanent) as error:
            if not self._late:
                _log.warning("what other replicas do is not known just now", error=str(error))
            self._late = True
        except Exception:
            _log.exception("taking up what other replicas did crashed; going on")
            self._observer.crashed("news")
        else:
            self._late = False

    async def _hear(self, incident: str, ends: Sequence[int], ahead: Unheard | None) -> None:
        try:
            await self._repository.hear(incident, ends, ahead)
        except (UnknownIncident, Permanent, ValueError) as error:
            # `stopgap audit verify` tells more; the others are heard of all the same.
            _log.error("an incident is unreadable", incident=incident, error=str(error))

    async def _hear_of(self, topic: str) -> None:
        for name, hears in self._topics.items():
            if topic.startswith(name):
                await hears(topic)
