"""Builds the calls that need no store: beside the running daemon, and for one that cannot start."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import aiohttp
import structlog

from daemon.adapters.emergency_file import EmergencyFile
from daemon.app.access import secret_reader
from daemon.app.actions import actions_for
from daemon.app.active_config import active_config
from daemon.app.clock import now
from daemon.app.notifiers import NotifierBuilder
from daemon.app.oncall import calendars_for
from daemon.app.outgoing import session_for
from daemon.app.rules import ruleset_for
from daemon.config.active import ActiveConfig, Live
from daemon.config.settings import Settings
from daemon.core.ports.store import StoreFailure, StoreTrouble
from daemon.core.values.outcome import Permanent
from daemon.core.values.yaml_document import Mistakes
from daemon.instrumentation import QUIET, Observer
from daemon.notifying.emergency import EmergencyCalls

_log = structlog.get_logger()


def emergency_for(
    settings: Settings,
    active: Live[ActiveConfig],
    observer: Observer = QUIET,
    first: Callable[[], bool] = lambda: True,
) -> EmergencyCalls:
    """The emergency calls about the store of these settings; `first`: whether this replica calls
    at once."""
    path = settings.beside_store
    return EmergencyCalls(
        active,
        EmergencyFile(path.with_name(f"{path.name}.emergency")),
        now,
        settings.external_url.rstrip("/"),
        observer,
        first,
    )


async def call_before_the_end(
    settings: Settings, environ: Mapping[str, str], error: BaseException
) -> None:
    """If it is the store that ends the daemon, call people about it: nobody else does."""
    failure = _store_failure(error)
    if failure is None or failure.fault == "held":  # a backup, say; the next start finds it free
        return
    async with session_for(settings) as session:
        try:
            config = _config(settings, environ, session)
        except (Permanent, Mistakes) as mistake:
            _log.error("nobody can be called about the store", why=str(mistake))
            return
        calls = emergency_for(settings, Live(config))
        await calls.recall()
        await calls.look(StoreTrouble(kind=failure.fault, text=str(failure)))


def _config(
    settings: Settings, environ: Mapping[str, str], session: aiohttp.ClientSession
) -> ActiveConfig:
    """The roster and its ways. Raises Mistakes or Permanent."""

    async def nobody_to_tell(_: bytes) -> None:
        return None

    ruleset = ruleset_for(settings, actions_for(settings))
    calendars = calendars_for(settings, environ, session, nobody_to_tell)
    if ruleset.roster is not None:
        calendars.recall(ruleset.roster)
    notifiers = NotifierBuilder(settings, session, secret_reader(settings, environ))
    return active_config(ruleset, settings.rules_dir, calendars, notifiers)


def _store_failure(error: BaseException) -> StoreFailure | None:
    """The failure of the store in it, if there is one."""
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_store_failure, error.exceptions)), None)
    return error if isinstance(error, StoreFailure) else None
