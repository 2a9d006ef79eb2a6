"""Builds the on-call calendars, and tells who is on call where no daemon does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from daemon.adapters.calendar_feeds import Feeds
from daemon.adapters.store import open_store, store_is_there
from daemon.app.access import secret_reader
from daemon.app.actions import actions_for
from daemon.app.clock import now
from daemon.app.opening import store_at
from daemon.app.outgoing import session_for
from daemon.app.rules import ruleset_for
from daemon.config.settings import Settings
from daemon.core.people.calendar_report import CalendarReport
from daemon.core.people.oncall_changes import OncallOverride, ShiftSwap
from daemon.core.people.oncall_report import oncall_view
from daemon.core.people.roster import Roster
from daemon.core.values.outcome import Permanent, Temporary
from daemon.notifying.notifier import DEADLINE_SECONDS
from daemon.watching.calendar_feeds import Calendars

_log = structlog.get_logger()


def calendars_for(
    settings: Settings,
    environ: Mapping[str, str],
    session: aiohttp.ClientSession,
    alarm: Callable[[bytes], Awaitable[None]],
    folder: Path | None = None,
    tells: Callable[[], bool] = lambda: True,
) -> Calendars:
    """The on-call calendars that the roster names, their files in `folder` or that of the rules;
    copies of feeds are kept beside the store. `tells`: whether this replica raises alarms."""
    return Calendars(
        feeds=Feeds(session, settings.base / settings.calendars, DEADLINE_SECONDS, now),
        folder=folder or settings.rules_dir,
        secret=secret_reader(settings, environ),
        clock=now,
        alarm=alarm,
        tells=tells,
    )


async def build_oncall(
    settings: Settings, environ: Mapping[str, str], at: datetime
) -> tuple[dict[str, Any], Mapping[str, str]]:
    """Who is called at that moment, without a daemon; and the calendars that had trouble.

    Raises Mistakes, or Permanent if a secret is not there.
    """

    _, roster, _ = ruleset_for(settings, actions_for(settings)).sound()
    async with session_for(settings) as session:
        calendars = calendars_for(settings, environ, session, _nobody_to_tell)
        await calendars.renew(roster, at)
    overrides, swaps = await _stored_changes(settings, environ, at)
    known = roster.knowing(calendars.shifts, overrides)
    reports = calendars.reports(roster, at)
    return oncall_view(known, at, swaps, reports), calendars.troubles


async def read_calendars(
    settings: Settings, environ: Mapping[str, str], roster: Roster, folder: Path
) -> list[CalendarReport]:
    """What the calendars of a roster in `folder` say, as far as it is on this disk: files, and the
    copies of feeds. Asks nothing of the net."""
    async with session_for(settings) as session:
        calendars = calendars_for(settings, environ, session, _nobody_to_tell, folder)
        calendars.recall(roster)
        return calendars.reports(roster)


async def _nobody_to_tell(_: bytes) -> None:
    return None


async def _stored_changes(
    settings: Settings, environ: Mapping[str, str], at: datetime
) -> tuple[Sequence[OncallOverride], Sequence[ShiftSwap]]:
    """The overrides that the daemon of these settings has set, and the swaps that wait for an
    answer; none where it never ran."""
    try:
        place = store_at(settings, environ)
        if not store_is_there(place):
            return (), ()
        async with open_store(place, readonly=True) as store:
            waiting = [swap for swap in await store.oncall.swaps() if swap.lapses_at > now()]
            return await store.oncall.overrides(at), waiting
    except (Temporary, Permanent) as error:
        _log.warning("overrides and swaps are left out", why=str(error))
        return (), ()
