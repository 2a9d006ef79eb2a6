"""Reading the rules again while running, by SIGHUP or `POST /-/reload`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from datetime import datetime
from pathlib import Path

import structlog

from daemon.config.pending_settings import PendingSettings
from daemon.config.rules_folder import Ruleset
from daemon.core.values.outcome import Permanent
from daemon.core.values.yaml_document import Mistakes
from daemon.instrumentation import Observer
from daemon.reporting.status import Loading

_log = structlog.get_logger()


class Reloader:
    """Reads, and takes what was read if it is sound; one reload at a time.

    `read` may take its time and runs in a thread; `take` puts the rules in force, all or
    nothing, and tells what people must know of it beside.
    Both raise Mistakes or Permanent. `last` is how it stands; paths in it are relative to `base`.
    `pending`: what of the settings only a restart puts in force; it may read, too. `announced` is
    entered as long as a reload takes.
    """

    def __init__(
        self,
        read: Callable[[], Ruleset],
        take: Callable[[Ruleset], Sequence[str]],
        clock: Callable[[], datetime],
        observer: Observer,
        base: Path,
        pending: Callable[[], PendingSettings] = PendingSettings,
        announced: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._read = read
        self._take = take
        self._clock = clock
        self._observer = observer
        self._base = base
        self._pending = pending
        self._announced = announced
        self._lock = asyncio.Lock()
        self._notes: Sequence[str] = ()
        self.last = Loading(at=clock())

    async def run(self, requested: asyncio.Event) -> None:
        """Reload at each SIGHUP, until cancelled."""
        while True:
            await requested.wait()
            requested.clear()
            try:
                await self.reload("SIGHUP")
            except Exception:
                _log.exception("reloading crashed; the old rules stay in force")

    async def reload(self, by: str) -> Loading:
        """Read everything again. What is broken changes nothing, and is in the answer."""
        async with self._lock, self._announcing():
            mistakes = await self._try(by)
            settings = await asyncio.to_thread(self._pending)
            if settings.changed:
                _log.warning("changed settings wait for a restart", settings=settings.changed)
            now = self._clock()
            if mistakes:
                message = "\n".join(mistakes).replace(f"{self._base}/", "")
                at = self.last.at
                self.last = Loading(at=at, failed_at=now, error=message, settings=settings)
            else:
                self.last = Loading(at=now, settings=settings, notes=tuple(self._notes))
            self._observer.reloaded(now.timestamp(), ok=not mistakes)
            return self.last

    @asynccontextmanager
    async def _announcing(self) -> AsyncIterator[None]:
        with self._announced():
            yield

    async def _try(self, by: str) -> list[str]:
        """Returns what is wrong; every mistake is a line of the log, too."""
        mistakes: list[str] = []
        try:
            ruleset = await asyncio.to_thread(self._read)
            self._notes = self._take(ruleset)
        except Mistakes as error:
            mistakes = [str(mistake) for mistake in error.mistakes]
        except Permanent as error:
            mistakes = [str(error)]
        else:
            _log.info("rules reloaded", by=by, rules=len(ruleset.rules))
            for note in self._notes:
                _log.warning("to be mended after the reload", what=note)
        for mistake in mistakes:
            _log.error("the old rules stay in force: the new ones are broken", by=by, error=mistake)
        return mistakes
