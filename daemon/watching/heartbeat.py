"""The dead man's switch: while all is well a URL of the user's choice hears from us."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog

from daemon.core.values.outcome import Permanent, Temporary
from daemon.instrumentation import QUIET, Observer
from daemon.notifying.watchdog import WATCHDOG_EVERY, Watchdog
from daemon.repository import IncidentRepository

_log = structlog.get_logger()


async def beat(
    repository: IncidentRepository,
    auditor: Watchdog,
    send: Callable[[], Awaitable[None]],
    every: timedelta,
    observer: Observer = QUIET,
    store_trouble: Callable[[], str] = lambda: "",
) -> None:
    """Send, again and again, while the store is well and answers, and the auditor finds no fault.

    What is silent is noticed at the other end: that is the point of it.
    """
    began = repository.clock()
    while True:
        try:
            why_not = store_trouble() or await trouble(repository, auditor, began)
            if why_not:
                _log.error("no heartbeat is sent", why=why_not)
                observer.heartbeat("withheld")
            else:
                await send()
                observer.heartbeat("sent")
        except (Temporary, Permanent) as error:
            _log.warning("the heartbeat did not arrive", error=str(error))
            observer.heartbeat("failed")
        except Exception:
            _log.exception("the heartbeat crashed; going on")
            observer.crashed("heartbeat")
        await asyncio.sleep(every.total_seconds())


async def trouble(
    repository: IncidentRepository, auditor: Watchdog, began: datetime | None = None
) -> str:
    """Why this daemon must not be believed to be well; empty if it may. `began`: since when the
    auditor should have looked."""
    try:
        await repository.journal.open_heads()
    except (Temporary, Permanent) as error:
        return str(error)
    looked_at = auditor.looked_at or began
    if looked_at is not None and repository.clock() - looked_at > 4 * WATCHDOG_EVERY:
        return "the auditor has not looked at the incidents for a while"
    if auditor.troubled:
        return f"nobody is called for incident {auditor.troubled[0]}"
    return ""
