"""What the first incident needs and no start does: loaded when the daemon is ready, beside its
work, so that neither waits for it."""

from __future__ import annotations

from importlib import import_module

import structlog

from daemon.adapters.daemon_threads import DaemonThreads
from daemon.core.incident.events import build_validators

_LATE = ("daemon.diagnosing.gather",)

_log = structlog.get_logger()


async def warm_up() -> None:
    """Load it in a thread. What fails here fails again, and is told, where it is needed."""
    try:
        await DaemonThreads("warming up", 1).run(_load)
    except Exception as error:  # a broken installation
        _log.warning("something could not be loaded in advance", why=str(error))


def _load() -> None:
    build_validators()
    for module in _LATE:
        import_module(module)
