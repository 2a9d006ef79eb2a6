"""Where the store is, and its opening: a database that restarts with us is given a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress

import structlog

from daemon.adapters.store import Store, StorePlace, store_place
from daemon.app.access import secret_reader
from daemon.app.shutdown import Shutdown
from daemon.config.settings import Settings
from daemon.core.ports.store import StoreDown

_log = structlog.get_logger()

AWAY_SECONDS = 20.0
"""So long a database that is away at the start is waited for before people are called about it:
after a reboot at night it may only come up later than we do. Not longer, for whoever looks whether
we live ends us meanwhile."""
_AGAIN_SECONDS = 2.0


def store_at(settings: Settings, environ: Mapping[str, str]) -> StorePlace:
    """Where the store is. Raises Permanent."""
    return store_place(settings.store, settings.base, secret_reader(settings, environ))


async def open_patiently(
    shutdown: Shutdown,
    stack: AsyncExitStack,
    opening: Callable[[], AbstractAsyncContextManager[Store]],
) -> Store | None:
    """The store, entered on the stack; None if a stop was asked for while its server was away.
    Raises what opening raises."""
    loop = asyncio.get_running_loop()
    until = loop.time() + AWAY_SECONDS
    while True:
        try:
            return await shutdown.enter(stack, "store", opening(), share=1.0)
        except StoreDown as error:
            if error.fault != "away" or loop.time() >= until:
                raise
            _log.warning(
                "the database is away; trying again before anybody is called", why=f"{error}"
            )
        with suppress(TimeoutError):
            async with asyncio.timeout(_AGAIN_SECONDS):
                await shutdown.requested.wait()
            return None
