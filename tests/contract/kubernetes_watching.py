"""What the small API server remembers of its changes, and tells to those who watch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.contract.kubernetes_answers import KINDS, Refusal, selects
from tests.contract.kubernetes_pods import Raw, copied

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Event:
    """One change: ADDED, MODIFIED or DELETED, at that resourceVersion."""

    kind: str
    plural: str
    version: int
    raw: Raw


class Changes:
    """All changes since `oldest`, in the order of their resourceVersions. In here a second of
    `timeoutSeconds` takes a hundredth of one."""

    def __init__(self, version: int) -> None:
        self.oldest = version
        self._log: list[Event] = []
        self._told: dict[Key, Raw] = {}
        self._news = asyncio.Event()

    def note(self, objects: dict[Key, Raw], version: int) -> int:
        """Find what has changed, and number it; gives the newest resourceVersion."""
        for key in [key for key in self._told if key not in objects]:
            version += 1
            gone = self._told.pop(key)
            gone["metadata"]["resourceVersion"] = str(version)
            self._log.append(Event("DELETED", key[0], version, gone))
        for key, raw in objects.items():
            before = self._told.get(key)
            if raw == before or "metadata" not in raw:
                continue
            version += 1
            raw["metadata"]["resourceVersion"] = str(version)
            self._told[key] = copied(raw)
            kind = "ADDED" if before is None else "MODIFIED"
            self._log.append(Event(kind, key[0], version, self._told[key]))
        self._news.set()
        return version

    def forget(self, version: int) -> None:
        """Compact, as a server does every few minutes: who watches from before must list anew."""
        self.oldest, self._log = version, []

    async def since(self, query: Any, plural: str) -> AsyncIterator[Raw]:
        """The events that a watch is told, until its time is over."""
        asked = int(query.get("resourceVersion") or 0)
        if 0 < asked < self.oldest:
            text = f"too old resource version: {asked} ({self.oldest})"
            yield {"type": "ERROR", "object": Refusal(410, text).body}
            return
        if asked == 0:
            for key, raw in sorted(self._told.items()):
                if key[0] == plural and _wanted(query, raw):
                    yield {"type": "ADDED", "object": raw}
            asked = self._last()
        limit = float(query.get("timeoutSeconds") or 1800) / 100
        try:
            async with asyncio.timeout(limit):
                while True:
                    self._news.clear()
                    for event in [one for one in self._log if one.version > asked]:
                        asked = event.version
                        if event.plural == plural and _wanted(query, event.raw):
                            yield {"type": event.kind, "object": event.raw}
                    await self._news.wait()
        except TimeoutError:
            pass
        if query.get("allowWatchBookmarks") in ("1", "true"):
            metadata = {"resourceVersion": str(max(asked, self._last()))}
            kind = KINDS.get(plural, plural)
            yield {"type": "BOOKMARK", "object": {"kind": kind, "metadata": metadata}}

    def _last(self) -> int:
        return self._log[-1].version if self._log else self.oldest


def _wanted(query: Any, raw: Raw) -> bool:
    named = query.get("fieldSelector", "").removeprefix("metadata.name=")
    fits = selects(query.get("labelSelector", ""), raw["metadata"].get("labels", {}))
    return fits and named in ("", raw["metadata"]["name"])


async def stream(request: web.Request, changes: Changes, plural: str) -> web.StreamResponse:
    """Answer a watch: one JSON object a line."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    async for event in changes.since(request.query, plural):
        await response.write(json.dumps(event).encode() + b"\n")
    return response
