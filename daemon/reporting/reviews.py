"""Learn from what happened: write the review of a closed incident."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import structlog

from daemon.core.incident.events import Event, IncidentClosed, ReviewWritten
from daemon.core.incident.state import Incident
from daemon.core.ports.journal import IncidentSearch
from daemon.core.reporting.review import markdown
from daemon.core.values.outcome import Permanent, Temporary
from daemon.repository import IncidentRepository, UnknownIncident

_log = structlog.get_logger()

LAST_WORD = timedelta(hours=2)
"""How long after its end an incident is still looked at for pagers and audiences to be told."""
_RECENT = 100
"""How many of the newest incidents a start looks through for a missing review."""


class KeepsReviews(Protocol):
    """Where reviews are written."""

    async def keep(self, incident: str, text: str) -> str:
        """Write one incident's review, in Markdown; returns how people find it. Raises
        Temporary."""


@dataclass(frozen=True)
class Reviews:
    """A folder of reviews."""

    folder: Path

    def path(self, incident: str) -> Path:
        """The file of one incident's review."""
        return self.folder / f"{incident}.md"

    async def keep(self, incident: str, text: str) -> str:
        """Write it; returns its file, beginning with the folder's name. Raises Temporary."""
        path = self.path(incident)
        try:
            await asyncio.to_thread(_write, path, text)
        except OSError as error:
            raise Temporary(f"cannot write the review {path.name}: {error.strerror}") from error
        return f"{path.parent.name}/{path.name}"


async def write_review(
    repository: IncidentRepository, incident: str, reviews: KeepsReviews
) -> None:
    """Write the review and journal where it is. Raises Temporary if it cannot be written."""
    text = markdown(await repository.journal.read(incident))
    written = ReviewWritten(path=await reviews.keep(incident, text))
    await repository.record(incident, lambda i: () if i.review else (written,))


class Veterans:
    """Who has executed each rule's plan before: approved a step of it, or owned its recovery."""

    def __init__(self, repository: IncidentRepository) -> None:
        self._repository = repository
        self._by_rule: dict[str, dict[str, None]] = {}
        repository.listeners.append(self._on_append)

    async def begin(self) -> None:
        """Learn from the recent incidents, the oldest first."""
        for head in reversed(await self._repository.journal.heads(_RECENT)):
            if head.closed_at is None:
                continue
            with suppress(Permanent, ValueError):  # unreadable: `unfinished` tells of it
                self._learn(await self._repository.load(head.incident))

    def of(self, rule: str) -> tuple[str, ...]:
        """Those of the latest incident first."""
        return tuple(reversed(self._by_rule.get(rule, {})))

    def _on_append(self, _: Incident | None, after: Incident, events: Sequence[Event]) -> None:
        if after.drill is None and any(isinstance(event, IncidentClosed) for event in events):
            self._learn(after)

    def _learn(self, incident: Incident) -> None:
        people = [step.approved_by for step in incident.steps.values() if step.acted]
        known = self._by_rule.setdefault(incident.rule, {})
        for person in filter(None, (*people, incident.people.holder("fast_recovery"))):
            known.pop(person, None)
            known[person] = None


async def unfinished(repository: IncidentRepository) -> list[str]:
    """Recently closed incidents that a stop has kept from their review or their last word."""
    missing = []
    for head in await repository.journal.heads(_RECENT, IncidentSearch(drills="with")):
        if head.closed_at is None:
            continue
        try:
            incident = await repository.load(head.incident)
        except UnknownIncident:
            continue  # it has moved to the archive meanwhile
        except (Permanent, ValueError) as error:
            # An entry that this version cannot read; `stopgap audit verify` tells more.
            _log.error("a closed incident is unreadable", incident=head.incident, error=str(error))
            continue
        now = repository.clock()
        recent = incident.closed_at is not None and now - incident.closed_at < LAST_WORD
        if not incident.review or recent:
            missing.append(head.incident)
    return missing


def _write(path: Path, text: str) -> None:
    # Private: who is to read the document has a link to it, that nobody else can guess.
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_suffix(".tmp")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
