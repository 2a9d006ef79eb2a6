"""For the commands that read the store by themselves, whether the daemon runs or not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from daemon import app
from daemon.adapters.store import Store, open_store
from daemon.cli.client import CommandFailure
from daemon.config.audit_keys import keyring_for
from daemon.config.settings import Settings, environment
from daemon.core.values.outcome import Permanent, Temporary

_T = TypeVar("_T")


def reading(settings: Settings, ask: Callable[[Store], Awaitable[_T]]) -> _T:
    """What the store answers, beside a running daemon. Raises Failure."""

    async def work() -> _T:
        keyring = keyring_for(settings, environment())
        async with open_store(app.store_path(settings), readonly=True, keyring=keyring) as store:
            return await ask(store)

    try:
        return asyncio.run(work())
    except (Permanent, Temporary) as error:
        raise CommandFailure(str(error)) from None
