"""The composition root: builds everything, runs it in one TaskGroup, shuts down in order.

Shutdown closes the door first (no new webhooks), lets running recovery actions end within the
deadline, and only then cancels; what is cancelled is found again by the next start.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import structlog
from aiohttp import web

from daemon.adapters.alertmanager import Alertmanager
from daemon.adapters.pagers.apprise import AppriseChannel
from daemon.adapters.pagers.console import ConsolePager
from daemon.adapters.pagers.webhook import WebhookPager
from daemon.adapters.prometheus import Prometheus
from daemon.adapters.store import Store, open_store
from daemon.casebook import Casebook
from daemon.communicate import DEADLINE_SECONDS, Ways
from daemon.conduct import Conductor, Means, Standing
from daemon.core.document import Mistakes
from daemon.core.outcome import Permanent
from daemon.core.ports import Action, Limits, Pager, Watch
from daemon.core.roster import Contact, Roster
from daemon.core.rules import RuleBook
from daemon.core.units import Frozen
from daemon.intake import Intake
from daemon.learn import Reviews
from daemon.ruleset import Ruleset, read_ruleset
from daemon.settings import Settings, secret
from daemon.watch import Watcher
from daemon.web.api import House, web_application
from daemon.web.auth import Doorkeeper
from recovery_actions import catalogue
from recovery_actions.releases import DirectoryText, ReleaseWatch

log = structlog.get_logger()


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


async def serve(settings: Settings, environ: Mapping[str, str]) -> None:
    """Run the daemon until SIGTERM or SIGINT. Raises Mistakes or Permanent if it cannot start."""
    _configure_logging(settings)
    _calm_garbage_collector()
    stop = asyncio.Event()
    reload = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload.set)
    async with (
        open_store(
            store_path(settings),
            max_pending=settings.inbox.max_pending,
            remember=settings.inbox.remember,
        ) as store,
        aiohttp.ClientSession() as session,
        App(settings, environ, store, session) as app,
    ):
        await app.run(stop, reload)


class App:
    """Everything, put together."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        store: Store,
        session: aiohttp.ClientSession,
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._session = session
        self._actions = actions_for(settings)
        self._standing, self._doorkeeper = self._load()
        self._prometheus = _prometheus(settings, environ)
        self._book = Casebook(store.journal, now)
        self._watcher = Watcher(
            self._book, lambda: list(self._standing.rules.rules.values()), self._watch
        )
        self._intake = self._make_intake(store)
        self._conductor = Conductor(self._book, lambda: self._standing, self._means())
        self._ready = False

    async def __aenter__(self) -> App:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._prometheus.close()

    async def run(self, stop: asyncio.Event, reload: asyncio.Event) -> None:
        """Serve until `stop`; `reload` reads the rules again."""
        async with asyncio.TaskGroup() as group:
            async with self._server():
                # Nothing is done to the world before the address is ours.
                tasks = [
                    group.create_task(self._conductor.run(), name="conductor"),
                    group.create_task(self._intake.run(), name="intake"),
                    group.create_task(self._watcher.run(), name="watcher"),
                    group.create_task(self._reloads(reload), name="reloads"),
                ]
                self._ready = True
                await stop.wait()
                self._ready = False
                log.info("stopping: the door is closed")
            await self._conductor.drain(self._settings.shutdown)
            for task in tasks:
                task.cancel()
        log.info("stopped")

    @asynccontextmanager
    async def _server(self) -> AsyncIterator[None]:
        house = House(
            intake=self._intake,
            book=self._book,
            rules=lambda: self._standing.rules,
            doorkeeper=lambda: self._doorkeeper,
            ready=lambda: self._ready,
        )
        application = web_application(house, self._settings.inbox.max_body_bytes)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=5)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._settings.host, self._settings.port)
            try:
                await site.start()
            except OSError as error:
                raise Permanent(
                    f"cannot listen on {self._settings.listen}: {error.strerror}; "
                    "is another daemon running? `listen` in stopgap.yaml takes another address"
                ) from None
            log.info("listening", address=runner.addresses[0])
            yield
        finally:
            await runner.cleanup()

    async def _reloads(self, reload: asyncio.Event) -> None:
        while True:
            await reload.wait()
            reload.clear()
            try:
                self._standing, self._doorkeeper = self._load()
            except (Mistakes, Permanent) as error:
                log.error("the old rules stay in force: the new ones are broken", error=str(error))
                continue
            log.info("rules reloaded", rules=len(self._standing.rules.rules))
            self._book.ring_all()

    def _load(self) -> tuple[Standing, Doorkeeper]:
        rules, roster, approvals = ruleset_for(self._settings, self._actions).sound()
        standing = Standing(RuleBook(rules), roster, approvals, self._ways(roster))
        tokens = {
            name: self._secret(person.token)
            for name, person in roster.people.items()
            if person.token is not None
        }
        webhook = self._settings.auth.webhook_token
        return standing, Doorkeeper(tokens, self._secret(webhook) if webhook else None)

    def _ways(self, roster: Roster) -> Ways:
        return {
            name: [
                (f"{contact.method}-{number}", self._pager(contact))
                for number, contact in enumerate(person.contact, 1)
            ]
            for name, person in roster.people.items()
        }

    def _pager(self, contact: Contact) -> Pager:
        if contact.webhook is not None:
            signing = self._secret(contact.secret) if contact.secret else None
            url = self._secret(contact.webhook)
            return WebhookPager(self._session, url, signing, DEADLINE_SECONDS)
        if contact.apprise is not None:
            return AppriseChannel(self._secret(contact.apprise))
        return ConsolePager()

    def _watch(self, kind: str, params: Mapping[str, Any]) -> Watch:
        checked = WATCHES[kind].Params.model_validate(dict(params))
        return ReleaseWatch(checked.directory, self._settings.base)

    def _make_intake(self, store: Store) -> Intake:
        settings = self._settings
        source = None
        if settings.alertmanager.url is not None:
            source = Alertmanager(
                self._session,
                settings.alertmanager.url,
                settings.alertmanager.timeout.total_seconds(),
            )
        return Intake(
            store.inbox, self._book, lambda: self._standing.rules, source, settings.inbox.remember
        )

    def _means(self) -> Means:
        settings = self._settings
        recovery = settings.recovery
        return Means(
            metrics=self._prometheus,
            max_age=settings.prometheus.max_age,
            actions=self._actions,
            limits=Limits(recovery.cooldown, recovery.budget, recovery.budget_window),
            changes=self._watcher.changes,
            reviews=Reviews(settings.base / settings.reviews),
            link=settings.external_url.rstrip("/"),
        )

    def _secret(self, reference: str) -> str:
        return secret(reference, self._environ, self._settings.base)


def _prometheus(settings: Settings, environ: Mapping[str, str]) -> Prometheus:
    chosen = settings.prometheus
    token = secret(chosen.bearer_token, environ, settings.base) if chosen.bearer_token else None
    return Prometheus(chosen.url, chosen.timeout.total_seconds(), chosen.concurrency, token)


def store_path(settings: Settings) -> Path:
    """Where the store is."""
    return settings.base / settings.store


def _calm_garbage_collector() -> None:
    """Collect cycles seldom. Deliveries are many small objects without cycles; by default they
    make the collector walk everything over and over, at the cost of most of the intake's speed.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _configure_logging(settings: Settings) -> None:
    renderer: Any = structlog.processors.JSONRenderer()
    if settings.log.format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            getattr(logging, settings.log.level.upper())
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
