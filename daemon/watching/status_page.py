"""Keeps the public status page as the customers were told: written at each change, and regularly,
so that an old one shows that the daemon is away."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import structlog

from daemon.config.active import ActiveConfig, Live
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.ports.journal import IncidentSearch
from daemon.core.reporting.status_page.html import status_html
from daemon.core.reporting.status_page.model import (
    StatusPage,
    StatusPageSpec,
    StatusPart,
    audience_trouble,
    status_entries,
    status_page,
    status_part,
)
from daemon.core.values.outcome import Permanent, Temporary
from daemon.instrumentation import QUIET, Observer
from daemon.repository import IncidentRepository, UnknownIncident

_log = structlog.get_logger()

WRITTEN_EVERY = timedelta(minutes=5)
"""How often the page is written when nothing changes."""
_AGAIN = timedelta(seconds=30)
"""How soon it is tried again when it could not be written."""
_MOST = 1000
"""So many of the newest incidents a start looks through."""
_LONGEST = timedelta(days=30)
"""So much older than its history an incident may be to be looked at: it may have ended lately."""


class StatusPageKeeper:
    """Writes the page into `folder`. `page` is what it holds at this moment."""

    def __init__(
        self,
        repository: IncidentRepository,
        active: Live[ActiveConfig],
        spec: StatusPageSpec,
        folder: Path,
        observer: Observer = QUIET,
    ) -> None:
        self._repository = repository
        self._active = active
        self._spec = spec
        self._folder = folder
        self._observer = observer
        self._bell = asyncio.Event()
        self._parts: dict[str, StatusPart] = {}
        self._mark = secrets.token_hex(4)
        """In the names of its unfinished files: replicas may write into one folder."""
        repository.listeners.append(self._on_append)

    @property
    def trouble(self) -> str:
        """Why the page is not written; empty if it is."""
        return audience_trouble(self._active.now.roster, self._spec.audience)

    def page(self) -> StatusPage:
        """The page as it stands. Raises Permanent if its audience's updates are not public."""
        if self.trouble:
            raise Permanent(self.trouble)
        entries = status_entries(self._parts, self._spec)
        return status_page(entries, self._spec, self._repository.clock())

    async def run(self) -> None:
        """Write it at each change and every WRITTEN_EVERY, until cancelled."""
        begun = False
        while True:
            wait = WRITTEN_EVERY
            self._bell.clear()
            try:
                begun = begun or await self._begin()
                await self.write()
            except (Temporary, Permanent) as error:
                _log.error("the status page is not written", why=str(error))
                wait = _AGAIN
            except Exception:
                _log.exception("writing the status page crashed")
                self._observer.crashed("status_page")
                wait = _AGAIN
            try:
                async with asyncio.timeout(wait.total_seconds()):
                    await self._bell.wait()
            except TimeoutError:
                continue

    async def write(self) -> None:
        """Write it now. Raises Temporary if the folder takes nothing, Permanent if the audience is
        none whose updates are public."""
        page = self.page()
        files = {
            "status.json": page.model_dump_json(indent=1) + "\n",
            "index.html": status_html(page),
        }
        try:
            await asyncio.to_thread(_write, self._folder, files, self._mark)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise Temporary(
                f"`status_page.folder` in stopgap.yaml: cannot write {self._folder}: {why}"
            ) from error

    async def _begin(self) -> bool:
        """Find what was told before the start. Raises Temporary, Permanent."""
        since = self._repository.clock() - self._spec.history - _LONGEST
        for head in await self._repository.journal.heads(_MOST, IncidentSearch(since=since)):
            try:
                self._take(await self._repository.load(head.incident))
            except (UnknownIncident, ValueError):
                continue  # it has moved to the archive, or `audit verify` tells of it
        return True

    def _on_append(self, _: Incident | None, after: Incident, __: Sequence[e.Event]) -> None:
        if self._take(after):
            self._bell.set()

    def _take(self, incident: Incident) -> bool:
        """Whether that changes the page."""
        part = status_part(incident, self._spec)
        if part is None or part == self._parts.get(incident.id):
            return False
        self._parts[incident.id] = part
        return True


def _write(folder: Path, files: dict[str, str], mark: str) -> None:
    """Each in one piece: whoever reads has the old one or the new one."""
    if not folder.is_dir():
        folder.mkdir(parents=True)
        folder.chmod(0o755)  # as the files: for the web server that serves them
    for name, text in files.items():
        beside = folder / f".{name}.{mark}.tmp"
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.chmod(0o644)
        beside.replace(folder / name)
