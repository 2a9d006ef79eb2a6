"""What an earlier run has left to conduct, and which of it is looked at first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import structlog

from daemon.conduct.flights import REST
from daemon.core.ports.journal import Head
from daemon.core.values.drill_key import is_drill_incident
from daemon.core.values.outcome import Permanent, Temporary
from daemon.reporting import reviews
from daemon.repository import IncidentRepository

_log = structlog.get_logger()
_Found = TypeVar("_Found")


async def left_behind(
    repository: IncidentRepository, prepare: Callable[[], Awaitable[None]] | None
) -> list[str]:
    """Our incidents that an earlier run has left open, and all that it has left unfinished, as soon
    as the store can be read and `prepare` is done. What is unreadable for good is told and done
    without: whoever is called for the rest matters more."""
    while True:
        try:
            if prepare is not None:
                await _or_without("what earlier incidents teach", prepare(), None)
            heads: Sequence[Head] = await _or_without(
                "the open incidents", repository.journal.open_heads(), ()
            )
            ours = list(filter(repository.ownership.owns, most_urgent_first(heads)))
            await repository.load_together(ours)
            closed = await _or_without("unfinished reviews", reviews.unfinished(repository), [])
        except Temporary as error:
            _log.error("the store fails; trying again", error=str(error))
            await asyncio.sleep(REST.total_seconds())
        else:
            return [*ours, *closed]


async def _or_without(what: str, reading: Awaitable[_Found], nothing: _Found) -> _Found:
    try:
        return await reading
    except (Permanent, ValueError) as error:
        text = "a part of the store is unreadable at the start; going on without it"
        _log.error(text, part=what, error=str(error), mend="`stopgap store check`")
        return nothing


def most_urgent_first(heads: Iterable[Head]) -> list[str]:
    """The incidents to which nobody has come and that go on, those first whose next look is longest
    overdue; then the others likewise, and drills last."""
    ordered = sorted(heads, key=lambda h: (*_waits_less(h), h.wake_at or h.opened_at, h.incident))
    return [head.incident for head in ordered]


def _waits_less(head: Head) -> tuple[bool, bool]:
    facts = head.outcome
    attended = facts is not None and (facts.acknowledged_at or facts.restored_at) is not None
    return is_drill_incident(head.incident), attended
