"""Tells the service manager how the daemon does, and that it does its work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from daemon.adapters.service_manager import ServiceManager
from daemon.watching.liveness import Liveness

_log = structlog.get_logger()

LOOK_SECONDS = 10.0
"""How often it is looked, with or without a watchdog that waits for a sign."""


class ServiceReport:
    """`open_incidents` counts them; `trouble` says what is the matter with the store, empty if
    nothing is."""

    def __init__(
        self,
        manager: ServiceManager,
        liveness: Liveness,
        open_incidents: Callable[[], int],
        trouble: Callable[[], str],
    ) -> None:
        self._manager = manager
        self._liveness = liveness
        self._open_incidents = open_incidents
        self._trouble = trouble
        self._told = ""
        self._fault = ""
        self._stops = False

    async def run(self) -> None:
        """Say that it has started, and then again and again how it does, until cancelled.

        Ready with a store in trouble, too: a start that is not ready in time is undone, and
        whoever calls people about the store with it.
        """
        self._manager.ready()
        every = min(LOOK_SECONDS, (self._manager.watchdog or LOOK_SECONDS * 3) / 3)
        while True:
            self.look()
            await asyncio.sleep(every)

    def look(self) -> None:
        """Tell how it does, once. A daemon that is stuck says why and gives no sign, so that it is
        restarted; while it stops nothing is stuck, for that has a deadline of its own."""
        fault = "" if self._stops else self._liveness.fault()
        if not fault:
            self._manager.well()
        if fault != self._fault:
            if fault:
                _log.critical("the daemon is stuck; restart it", why=fault)
            else:
                _log.warning("the daemon is no longer stuck", was=self._fault)
        self._fault = fault
        self._tell(self._line())

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """The rules are read again inside."""
        self._manager.reloading()
        try:
            yield
        finally:
            self._manager.ready()

    def stopping(self, within: float) -> None:
        """It stops, within so many seconds."""
        self._stops = True
        self._manager.stopping(within)
        self._tell("stopping")

    def _line(self) -> str:
        if self._stops:
            return "stopping"
        count = self._open_incidents()
        incidents = f"{count} open incident{'' if count == 1 else 's'}"
        return "; ".join(filter(None, (incidents, self._fault, self._trouble())))

    def _tell(self, line: str) -> None:
        if line != self._told:
            self._manager.status(line)
        self._told = line
