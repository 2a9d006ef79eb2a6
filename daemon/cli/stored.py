"""For the commands that read the store by themselves, whether the daemon runs or not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from daemon import app
from daemon.adapters.store import (
    Store,
    archived,
    check_archive,
    open_store,
    read_archived,
    store_is_there,
)
from daemon.cli.client import CommandFailure
from daemon.config.audit_keys import keyring_for
from daemon.config.settings import Settings, environment
from daemon.core.incident.events import Entry
from daemon.core.values.outcome import Permanent, Temporary

_T = TypeVar("_T")


def has_store(settings: Settings) -> bool:
    """Whether there is anything to read: a daemon has run with these settings. Raises
    CommandFailure."""
    try:
        return store_is_there(app.store_at(settings, environment()))
    except Permanent as error:
        raise CommandFailure(str(error)) from None


def reading(settings: Settings, ask: Callable[[Store], Awaitable[_T]]) -> _T:
    """What the store answers, beside a running daemon. Raises CommandFailure."""

    async def work() -> _T:
        keyring = keyring_for(settings, environment())
        place = app.store_at(settings, environment())
        async with open_store(place, readonly=True, keyring=keyring) as store:
            return await ask(store)

    try:
        return asyncio.run(work())
    except (Permanent, Temporary) as error:
        raise CommandFailure(str(error)) from None


def read_archive(settings: Settings, incident: str) -> Sequence[Entry]:
    """The journal of an archived incident from its file, which is checked first; empty if it is
    not archived. Raises CommandFailure."""
    found = reading(settings, lambda store: archived(store.journal))
    named = [each for each in found if each.incident == incident][-1:]
    folder = settings.base / settings.retention.archive
    for broken in check_archive(folder, named, keyring_for(settings, environment())):
        raise CommandFailure(f"{broken}\n  → {broken.mend}")
    return read_archived(folder, named[0]) if named else ()
