"""Server-sent events: an open page is told that something has changed, and asks for itself again.

What is told is only that; the page that is then asked for is the one that everybody gets, so
that there are no two ways of showing the same thing.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.values.outcome import Temporary
from daemon.repository import IncidentRepository
from daemon.web.errors import HttpProblem
from daemon.web.site.layout import Frame

_MOST = 500
"""So many open pages are served; further ones stay as they are until they are loaded again."""
MOST_OF_ONE = 50
"""Of those so many are one person's, so that nobody takes them from all others."""
MOST_REMEMBERED = 2000
"""Of so many incidents the newest change is known; of older ones a page is asked for again."""
_VERSION = re.compile(r"([0-9a-z]{8})\.([0-9]{1,18})\.([0-9]{1,18})")
LULL = 0.5
"""Seconds after a change before a page is told of the next: in a storm many are told as one."""
LONGEST_LULL = 4.0
"""A page of many incidents costs much to make; while they change without a pause, it is told ever
less often, at last once in so many seconds."""
PING = 15
"""Seconds between signs of life, which proxies need to keep the connection."""


class PageVersion(NamedTuple):
    """What a page shows: the number of the newest change by the count of the process that made it,
    and how far the store had come (`shared`), which every replica counts alike."""

    maker: str
    number: int
    shared: int

    def __str__(self) -> str:
        return f"{self.maker}.{self.number}.{self.shared}"

    @classmethod
    def of(cls, text: str) -> PageVersion:
        """Read it; of anything else one that is older than all."""
        found = _VERSION.fullmatch(text)
        return cls(found[1], int(found[2]), int(found[3])) if found else cls("", 0, -1)


class ChangeCounter:
    """Counts changes, of one incident and of everything, and wakes whoever waits for the next.

    `version` tells whether something happened between a page's making and its listening. A page
    that another replica made is told by what both count alike: the entries of its incident, or of
    the whole store; with no other replica it was made before a restart, and is asked for again.
    """

    def __init__(self, repository: IncidentRepository) -> None:
        self._repository = repository
        self._maker = secrets.token_hex(4)
        self._version = 0
        self._of: dict[str, PageVersion] = {}
        self._rung = asyncio.Event()
        self._closed = asyncio.Event()
        repository.listeners.append(self._on_append)
        repository.onlookers.append(self._all_changed)
        repository.position_listeners.append(self._ring)

    def version(self, incident: str = "") -> PageVersion:
        """That of the newest change, of an incident or of anything."""
        if not incident:
            return PageVersion(self._maker, self._version, self._repository.position or 0)
        at_hand = self._repository.at_hand(incident)
        known = self._of.get(incident, PageVersion(self._maker, 0, 0))
        return known._replace(shared=max(known.shared, at_hand.seq if at_hand else 0))

    def close(self) -> None:
        """Let everybody go who waits."""
        self._closed.set()
        self._ring()

    async def lull(self, seconds: float) -> None:
        """Nothing is told for so long, or until this is closed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()

    async def after(self, seen: PageVersion, incident: str = "") -> PageVersion | None:
        """Wait for a version that is not the one seen; None once this is closed."""
        while not self._closed.is_set():
            now = self.version(incident)
            if self._is_news(now, seen):
                return now
            await self._rung.wait()
        return None

    def _is_news(self, now: PageVersion, seen: PageVersion) -> bool:
        if now.maker == seen.maker:
            return now.number != seen.number
        return self._repository.position is None or now.shared > seen.shared

    def _on_append(self, _: Incident | None, after: Incident, __: Sequence[e.Event]) -> None:
        self._version += 1
        self._of.pop(after.id, None)
        self._of[after.id] = PageVersion(self._maker, self._version, after.seq)
        if len(self._of) > MOST_REMEMBERED:
            self._of.pop(next(iter(self._of)))
        self._ring()

    def _all_changed(self) -> None:
        """Something that every page shows has changed."""
        self._version += 1
        for incident, known in self._of.items():
            self._of[incident] = known._replace(number=self._version)
        self._ring()

    def _ring(self) -> None:
        rung, self._rung = self._rung, asyncio.Event()
        rung.set()


class EventStreams:
    """The route."""

    def __init__(self, frame: Frame, changes: ChangeCounter) -> None:
        self._frame = frame
        self._changes = changes
        self._open: Counter[str] = Counter()

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        return [web.get("/live", self.listen)]

    async def listen(self, request: web.Request) -> web.StreamResponse:
        """Tell of changes until the page goes; `?since=` is the version that it shows."""
        who = (await self._frame.visitor(request)).person
        if self._open.total() >= _MOST or self._open[who] >= MOST_OF_ONE:
            raise HttpProblem(
                503, "Too many open pages", "This page stays as it is; load it again."
            )
        incident = request.query.get("incident", "")
        seen = PageVersion.of(request.query.get("since", ""))
        self._open[who] += 1
        try:
            async with sse_response(request, ping_interval=PING) as stream:
                await self._send_change(request, stream, seen, incident)
        except ConnectionError:
            return web.Response()  # which nobody is there to see
        else:
            return stream
        finally:
            self._open -= Counter((who,))  # whoever has none left is forgotten

    async def _send_change(
        self, request: web.Request, stream: EventSourceResponse, seen: PageVersion, incident: str
    ) -> None:
        """Until the page goes, its login ends or cannot be looked at, or the daemon stops."""
        lull = LULL
        with suppress(ConnectionResetError, HttpProblem, Temporary):
            while stream.is_connected():
                try:
                    async with asyncio.timeout(PING):
                        new = await self._changes.after(seen, incident)
                except TimeoutError:
                    new = seen  # nothing; are the page and its login still there?
                await self._frame.visitor(request)
                if new is None:
                    return
                if new != seen:
                    seen = new
                    await stream.send(str(seen), event="changed")
                    await self._changes.lull(lull)
                    storms = not incident and self._changes.version() != seen
                    lull = lull_after(lull, storms=storms)


def lull_after(lull: float, *, storms: bool) -> float:
    """The lull after the next change: longer if more had changed before this one was over."""
    return min(2 * lull, LONGEST_LULL) if storms else LULL
