"""Sets and lifts the silence in Alertmanager that belongs to an acknowledged incident.

The intent is in the journal before this begins. What is there already is looked for by its comment
first, so a crash between Alertmanager's answer and the journal makes no second one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.ports.alerts import Silencer, Silencing
from daemon.core.values.outcome import Permanent, Temporary
from daemon.repository import IncidentRepository

_log = structlog.get_logger()


@dataclass(frozen=True)
class Silences:
    """Where silences are set, and the address of an incident's page for their comment."""

    silencer: Silencer
    page: Callable[[str], str]


async def set_silence(repository: IncidentRepository, incident: str, silences: Silences) -> None:
    """Set or extend it as the journal wants it. Raises UnknownIncident."""
    current = await repository.load(incident)
    wanted = current.silence
    if wanted is None or not wanted.pending:
        return
    comment = (
        f"{_mark(current)} acknowledged by {current.commander or 'nobody'}; "
        f"ends by itself: {silences.page(incident)}"
    )
    event: e.Event
    try:
        standing = await silences.silencer.standing(_mark(current))
        silence, link = await silences.silencer.put(
            Silencing(wanted.matchers, wanted.until, comment), standing[0] if standing else None
        )
        event = e.SilenceSet(silence=silence, until=wanted.until, link=link)
    except (Temporary, Permanent) as error:
        event = _failure(error)
    await repository.report(incident, event)


async def lift_silence(repository: IncidentRepository, incident: str, silences: Silences) -> None:
    """End whatever stands of it. Raises UnknownIncident."""
    current = await repository.load(incident)
    event: e.Event
    try:
        for standing in await silences.silencer.standing(_mark(current)):
            await silences.silencer.end(standing.silence)
        event = e.SilenceLifted(text=_why(current))
    except (Temporary, Permanent) as error:
        event = _failure(error)
    await repository.report(incident, event)


def _mark(incident: Incident) -> str:
    """How the comment of its silence begins; no other's begins so."""
    return f"Stopgap {incident.id}:"


def _why(incident: Incident) -> str:
    if incident.closed is not None:
        return "the incident is closed"
    if not incident.commander:
        return "nobody commands"
    return "the problem came back" if incident.relapsed_at else "it is not wanted any more"


def _failure(error: Exception) -> e.SilenceFailed:
    _log.warning("a silence in Alertmanager failed", error=str(error))
    return e.SilenceFailed(error=str(error), last=isinstance(error, Permanent))
