"""The parts that both the daemon and the command line build from the settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from daemon.adapters.feeds import Feeds
from daemon.adapters.prometheus import Prometheus
from daemon.calendars import Calendars
from daemon.communicate import DEADLINE_SECONDS
from daemon.core.oncall import oncall_view
from daemon.core.ports import Action
from daemon.core.units import Frozen
from daemon.ruleset import Ruleset, read_ruleset
from daemon.settings import Settings, secret
from recovery_actions import catalogue
from recovery_actions.releases import DirectoryText


class ReleasesWatchKind:
    """`changes: {releases: {directory: …}}`."""

    class Params(Frozen):
        """The folder with `releases/` and `current`."""

        directory: DirectoryText


WATCHES: Mapping[str, Any] = {"releases": ReleasesWatchKind}


def now() -> datetime:
    """The clock; nobody else has one."""
    return datetime.now(UTC)


def actions_for(settings: Settings) -> dict[str, Action]:
    """The catalogue of actions under these settings."""
    return catalogue(settings.commands.allow, settings.base)


def ruleset_for(settings: Settings, actions: Mapping[str, Any]) -> Ruleset:
    """The rule folder that the settings name, read and checked."""
    return read_ruleset([settings.rules_dir], actions, WATCHES)


def store_path(settings: Settings) -> Path:
    """Where the store is."""
    return settings.base / settings.store


def calendars_for(
    settings: Settings,
    environ: Mapping[str, str],
    session: aiohttp.ClientSession,
    alarm: Callable[[bytes], Awaitable[None]],
) -> Calendars:
    """The on-call calendars that the roster names; copies of feeds are kept beside the store."""
    return Calendars(
        feeds=Feeds(session, settings.base / settings.calendars, DEADLINE_SECONDS, now),
        folder=settings.rules_dir,
        secret=lambda reference: secret(reference, environ, settings.base),
        clock=now,
        alarm=alarm,
    )


async def oncall(
    settings: Settings, environ: Mapping[str, str], at: datetime
) -> tuple[dict[str, Any], Mapping[str, str]]:
    """Who is called at that moment, without a daemon; and the calendars that had trouble.

    Raises Mistakes, or Permanent if a secret is not there.
    """

    async def nobody_to_tell(_: bytes) -> None:
        return None

    _, roster, _ = ruleset_for(settings, actions_for(settings)).sound()
    async with aiohttp.ClientSession() as session:
        calendars = calendars_for(settings, environ, session, nobody_to_tell)
        await calendars.renew(roster, at)
    return oncall_view(roster.knowing(calendars.shifts), at), calendars.troubles


def prometheus_for(settings: Settings, environ: Mapping[str, str]) -> Prometheus:
    """The metrics. Raises Permanent if its secret is not there."""
    chosen = settings.prometheus
    token = secret(chosen.bearer_token, environ, settings.base) if chosen.bearer_token else None
    return Prometheus(chosen.url, chosen.timeout.total_seconds(), chosen.concurrency, token)
