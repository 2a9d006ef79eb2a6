"""Learn from what happened: the review of an incident, and its file once that is closed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import structlog

from daemon.core.incident.events import Event, IncidentClosed, ReviewWritten
from daemon.core.incident.state import Incident
from daemon.core.people.roster import Roster
from daemon.core.ports.journal import IncidentSearch
from daemon.core.reporting.review.durations import Trend, trend_of
from daemon.core.reporting.review.markdown import markdown
from daemon.core.reporting.review.model import Review, review_of
from daemon.core.response.rooms import archive_waits
from daemon.core.values.outcome import Permanent, Temporary
from daemon.repository import IncidentRepository, UnknownIncident

_log = structlog.get_logger()

LAST_WORD = timedelta(hours=2)
"""How long after its end an incident is still looked at for pagers and audiences to be told."""
TREND = 20
"""So many of a team's incidents are what the durations of the next one are compared with."""
_RECENT = 100
"""How many of the newest incidents a start looks through for a missing review."""
_MEASURABLE = timedelta(days=1)
"""So long after the end a start still asks for the samples that an incident was measured on."""


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


async def read_review(repository: IncidentRepository, incident: str, roster: Roster) -> Review:
    """The review of an incident as it stands, open ones too. Raises UnknownIncident, Temporary,
    Permanent."""
    entries = await repository.journal.read(incident)
    if not entries:
        raise UnknownIncident(f"there is no incident {incident}")
    opened = entries[0].event
    team = getattr(opened, "team", "")
    trend = await _trend(repository, team, entries[0].at) if team else None
    # A long timeline takes a while; alerts do not wait for it.
    return await asyncio.to_thread(review_of, entries, repository.clock(), roster, trend)


async def _trend(repository: IncidentRepository, team: str, before: datetime) -> Trend:
    search = IncidentSearch(status="closed", team=team, until=before)
    return trend_of(await repository.journal.heads(TREND, search))


async def write_review(
    repository: IncidentRepository, incident: str, reviews: KeepsReviews, roster: Roster
) -> None:
    """Write the review and journal where it is. Raises Temporary if it cannot be written."""
    review = await read_review(repository, incident, roster)
    revision = review.incident.learning.revision
    written = ReviewWritten(path=await reviews.keep(incident, markdown(review)), revision=revision)

    def news(now: Incident) -> Sequence[Event]:
        return () if now.review and now.learning.reviewed >= revision else (written,)

    await repository.record(incident, news)


async def renew_review(
    repository: IncidentRepository, incident: str, reviews: KeepsReviews, roster: Roster
) -> None:
    """Write the review of a closed incident anew if more was learned since it was written. Raises
    as `write_review`."""
    known = await repository.load(incident)
    if known.review and known.learning.unreviewed:
        await write_review(repository, incident, reviews, roster)


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
    """Recently closed incidents that a stop has kept from their review, from the record of their
    samples, from their last word or from the end of their room."""
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
        unrecorded = incident.problem is not None and not incident.recorded
        measurable = incident.closed_at is not None and now - incident.closed_at < _MEASURABLE
        tended = archive_waits(incident)
        if not incident.review or recent or (unrecorded and measurable) or tended:
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
