"""The composition root: builds everything, runs it in one TaskGroup, shuts down in order.

Shutdown closes the door first (no new webhooks), lets running recovery actions end within their
share of its one deadline (`daemon.app.shutdown`), and only then cancels; what is cancelled is
found again by the next start.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from importlib.metadata import version

from daemon.adapters.service_manager import ServiceManager
from daemon.adapters.store import open_store
from daemon.app.access import access_for, secret_reader
from daemon.app.actions import actions_for, workshop_for
from daemon.app.alertmanager import alertmanager_access, alertmanagers_for
from daemon.app.allocation import few_arenas
from daemon.app.clock import now
from daemon.app.components import Components
from daemon.app.daemon import run_daemon
from daemon.app.emergency import call_before_the_end
from daemon.app.logs import configure_logging
from daemon.app.oncall import build_oncall, read_calendars
from daemon.app.opening import open_patiently, store_at
from daemon.app.outgoing import literal_refusals, outgoing_places, session_for
from daemon.app.prometheus import open_prometheus, prometheus_for, query_parser_for
from daemon.app.rules import judges_for, ruleset_for
from daemon.app.shutdown import CLIENTS, CONNECTIONS, TRACED, Shutdown
from daemon.app.tracing import tracer_for
from daemon.app.watches import WATCHES, listing_watches, unrestricted
from daemon.config.audit_keys import keyring_for
from daemon.config.settings import Settings

__all__ = [
    "WATCHES",
    "access_for",
    "actions_for",
    "alertmanager_access",
    "alertmanagers_for",
    "build_oncall",
    "judges_for",
    "listing_watches",
    "literal_refusals",
    "now",
    "open_prometheus",
    "outgoing_places",
    "prometheus_for",
    "query_parser_for",
    "read_calendars",
    "ruleset_for",
    "secret_reader",
    "serve",
    "store_at",
    "unrestricted",
    "workshop_for",
]

SWITCH_SECONDS = 0.0005
"""So soon a thread that is busy lets the others go on. By Python's own 5 ms a writer waits as long
after each answer of the database while the event loop is busy, and all replicas wait for it; and
the loop waits as long after each of its own while a long list is read."""
PRIVATE = 0o077
"""The umask: what the daemon writes is its own. The commands that it runs get the one before."""


async def serve(settings: Settings, environ: Mapping[str, str], *, new_store: bool = False) -> None:
    """Run the daemon until SIGTERM or SIGINT. `new_store` begins anew where the store is missing.

    Raises Mistakes or Permanent if it cannot start, Temporary if its disk fails; people are called
    first if the store is the reason.
    """
    configure_logging(settings)
    umask = os.umask(PRIVATE)
    try:
        await _serve(settings, environ, umask, new_store=new_store)
    except BaseException as error:
        await call_before_the_end(settings, environ, error)
        raise


async def _serve(
    settings: Settings, environ: Mapping[str, str], umask: int, *, new_store: bool
) -> None:
    _calm_garbage_collector()
    few_arenas()
    sys.setswitchinterval(SWITCH_SECONDS)
    # Where the daemon stood when systemd's watchdog ended it (SIGABRT) is worth knowing.
    faulthandler.enable()
    shutdown, reload = Shutdown(settings.shutdown), asyncio.Event()
    shutdown.listen()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload.set)
    async with AsyncExitStack() as stack:
        opening = partial(
            open_store,
            store_at(settings, environ),
            new=new_store,
            max_pending=settings.inbox.max_pending,
            remember=settings.inbox.remember,
            keyring=keyring_for(settings, environ),
            beside=settings.beside_store,
        )
        store = await open_patiently(shutdown, stack, opening)
        if store is None:
            return
        tracing = tracer_for(settings, version("stopgap"))
        tracer = await shutdown.enter(stack, "traces", tracing, TRACED)
        session = await shutdown.enter(stack, "http client", session_for(settings), CONNECTIONS)
        manager = ServiceManager(environ)
        built = Components(settings, environ, store, session, tracer, umask, manager)
        components = await shutdown.enter(stack, "clients", built, CLIENTS)
        await run_daemon(components, shutdown, reload)


def _calm_garbage_collector() -> None:
    """Collect cycles seldom. Deliveries are many small objects without cycles; by default they
    make the collector walk everything over and over, at the cost of most of the intake's speed.
    """
    gc.freeze()
    gc.enable()
    gc.set_threshold(50_000, 20, 50)
