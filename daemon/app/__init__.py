"""The composition root: builds everything, runs it in one TaskGroup, shuts down in order.

Shutdown closes the door first (no new webhooks), lets running recovery actions end within the
deadline, and only then cancels; what is cancelled is found again by the next start.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import aiohttp
import structlog
from aiohttp import web

from daemon.adapters.alertmanager import Alertmanagers
from daemon.adapters.heartbeat import Heartbeat
from daemon.adapters.slack import Whisperer
from daemon.adapters.store import SCHEMA, Store, open_store
from daemon.app.active_config import standing_for
from daemon.app.auth import authenticator_for, doorkeeper_for, hooks_for
from daemon.app.builders import (
    WATCHES,
    actions_for,
    alertmanagers_for,
    calendars_for,
    limits_for,
    named,
    now,
    oncall,
    prometheus_for,
    reconciler_for,
    ruleset_for,
    sources_for,
    store_path,
    watch_for,
    workshop_for,
)
from daemon.app.logs import configure_logging
from daemon.app.notifiers import Reach
from daemon.app.reload import Reloader
from daemon.app.tracing import tracer_for
from daemon.conduct.conductor import Conductor
from daemon.conduct.executor import Means, Standing
from daemon.config.rules_folder import Ruleset
from daemon.config.settings import Settings, secret
from daemon.core.ports.changes import Watch
from daemon.core.values.outcome import Permanent
from daemon.instrumentation import Tracer
from daemon.intake.intake import Intake
from daemon.measuring.chart_data import trace
from daemon.notifying.notifier import DEADLINE_SECONDS
from daemon.notifying.watchdog import Auditor
from daemon.reporting.reviews import Reviews, Veterans
from daemon.reporting.status import Overview, StoreReport
from daemon.repository import Casebook
from daemon.telemetry import Telemetry, WatchedMetrics
from daemon.watching.changes import Watcher
from daemon.watching.heartbeat import beat
from daemon.web.application import House, web_application
from daemon.web.auth.secrets import Doorkeeper
from daemon.web.auth.webhook_secrets import Hooks
from daemon.web.links.signed_links import SignedLinks
from recovery_actions import catalogue

__all__ = [
    "WATCHES",
    "actions_for",
    "alertmanagers_for",
    "now",
    "oncall",
    "prometheus_for",
    "ruleset_for",
    "serve",
    "store_path",
    "workshop_for",
]

log = structlog.get_logger()


async def serve(settings: Settings, environ: Mapping[str, str]) -> None:
    """Run the daemon until SIGTERM or SIGINT. Raises Mistakes or Permanent if it cannot start."""
    configure_logging(settings)
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
        tracer_for(settings, version("stopgap")) as tracer,
        App(settings, environ, store, session, tracer) as app,
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
        tracer: Tracer,
    ) -> None:
        self._settings = settings
        self._tracer = tracer
        self._version = version("stopgap")
        self._environ = environ
        self._session = session
        self._workshop = workshop_for(settings, environ)
        self._actions = catalogue(self._workshop)
        self._book = Casebook(store.journal, now)
        self._links = SignedLinks(store.key, settings.external_url.rstrip("/"), now)
        self._reach = Reach(settings, session, self._secret)
        self._calendars = calendars_for(settings, environ, session, self._cover)
        self._started_at = now()
        self._standing, self._doorkeeper, self._hooks = self._load(self._read())
        self._authenticator = authenticator_for(
            settings,
            store,
            session,
            self._secret,
            lambda: self._standing.roster,
            lambda: self._doorkeeper,
        )
        self._telemetry = Telemetry(
            self._book,
            sources_for(
                store,
                self._version,
                lambda: self._standing,
                ready=lambda: self._ready,
                tasks=lambda: self._conductor.tasks,
            ),
        )
        self._observer = self._telemetry.flow
        store.listeners.append(self._observer.transaction)
        self._reloader = Reloader(self._read, self._take, now, self._observer, settings.base)
        self._prometheus = prometheus_for(settings, environ)
        self._metrics = WatchedMetrics(self._prometheus, self._observer, tracer)
        self._veterans = Veterans(self._book)
        self._watcher = Watcher(
            self._book, lambda: list(self._standing.rules.rules.values()), self._watch
        )
        self._alertmanagers = alertmanagers_for(settings, session)
        self._intake = Intake(
            store.inbox,
            self._book,
            lambda: self._standing.rules,
            Alertmanagers(self._alertmanagers) if self._alertmanagers else None,
            settings.inbox.remember,
            self._observer,
            tracer,
        )
        self._reconciler = reconciler_for(
            settings,
            self._alertmanagers,
            store,
            self._intake,
            self._book,
            lambda: self._standing,
            self._observer,
        )
        self._overview = self._look_over(store)
        self._conductor = Conductor(self._book, lambda: self._standing, self._means())
        self._auditor = Auditor(
            self._book,
            lambda: self._standing.roster,
            lambda: self._standing.ways,
            self._links,
            self._observer,
        )
        self._ready = False

    async def __aenter__(self) -> App:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._prometheus.close()
        await self._workshop.close()

    async def run(self, stop: asyncio.Event, reload: asyncio.Event) -> None:
        """Serve until `stop`; `reload` reads the rules again."""
        self._calendars.recall(self._standing.roster)
        await self._veterans.begin()
        async with asyncio.TaskGroup() as group:
            async with self._server():
                # Nothing is done to the world before the address is ours.
                tasks = [
                    group.create_task(part, name=name) for name, part in self._parts(reload).items()
                ]
                self._ready = True
                await stop.wait()
                self._ready = False
                log.info("stopping: the door is closed")
            await self._conductor.drain(self._settings.shutdown)
            for task in tasks:
                task.cancel()
        log.info("stopped")

    def _parts(self, reload: asyncio.Event) -> dict[str, Coroutine[Any, Any, None]]:
        """What runs side by side as long as the daemon does."""
        parts = {
            "conductor": self._conductor.run(),
            "intake": self._intake.run(),
            "watcher": self._watcher.run(),
            "auditor": self._auditor.run(),
            "calendars": self._calendars.run(lambda: self._standing.roster, self._book.ring_all),
            "reloads": self._reloader.run(reload),
        }
        if self._reconciler is not None:
            parts["reconciler"] = self._reconciler.run()
        chosen = self._settings.heartbeat
        if chosen.url is not None:
            url = self._secret(chosen.url)
            heartbeat = Heartbeat(self._session, url, DEADLINE_SECONDS)
            parts["heartbeat"] = beat(
                self._book, self._auditor, heartbeat.send, chosen.every, self._observer
            )
        return parts

    async def _cover(self, alarm: bytes) -> None:
        """An alert of our own goes the way of all alerts."""
        await self._intake.receive(alarm)

    @asynccontextmanager
    async def _server(self) -> AsyncIterator[None]:
        house = House(
            intake=self._intake,
            book=self._book,
            rules=lambda: self._standing.rules,
            authenticator=self._authenticator,
            ready=lambda: self._ready,
            roster=lambda: self._standing.roster,
            hooks=lambda: self._hooks,
            links=self._links,
            metrics=self._telemetry.scrape,
            veterans=self._veterans.of,
            whisper=Whisperer(self._session, self._settings.slack.url).whisper,
            overview=self._overview,
            reload=self._reloader.reload,
            observer=self._observer,
            actions=self._actions,
            freezes=lambda: self._standing.freezes,
            approvals=lambda: self._standing.approvals,
            trace=lambda incident, rule, entries: trace(
                self._metrics, incident, rule, entries, now()
            ),
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

    def _read(self) -> Ruleset:
        return ruleset_for(self._settings, self._actions)

    def _take(self, ruleset: Ruleset) -> None:
        """Put what a reload has read in force."""
        self._standing, self._doorkeeper, self._hooks = self._load(ruleset)
        self._calendars.recall(self._standing.roster)
        self._book.ring_all()

    def _load(self, ruleset: Ruleset) -> tuple[Standing, Doorkeeper, Hooks]:
        settings = self._settings
        standing = standing_for(ruleset, settings.rules_dir, self._calendars, self._reach)
        doorkeeper = doorkeeper_for(settings, standing.roster, self._secret)
        return standing, doorkeeper, hooks_for(settings, self._secret)

    def _watch(self, kind: str, params: Mapping[str, Any]) -> Watch:
        return watch_for(kind, params, self._workshop, self._metrics)

    def _look_over(self, store: Store) -> Overview:
        return Overview(
            book=self._book,
            inbox=store.inbox,
            roster=lambda: self._standing.roster,
            rules=lambda: self._standing.rules,
            approvals=lambda: self._standing.approvals,
            ready=lambda: self._ready,
            loading=lambda: self._reloader.last,
            version=self._version,
            started_at=self._started_at,
            store=StoreReport(kind="sqlite", name=self._settings.store.name, schema_version=SCHEMA),
            actions=len(self._actions),
            peers={"prometheus": self._prometheus, **named(self._alertmanagers)},
            calendars=lambda: self._calendars.reports(self._standing.roster),
        )

    def _means(self) -> Means:
        settings = self._settings
        return Means(
            metrics=self._metrics,
            max_age=settings.prometheus.max_age,
            actions=self._actions,
            limits=limits_for(settings),
            outage=settings.recovery.outage,
            changes=self._watcher.of,
            reviews=Reviews(settings.base / settings.reviews),
            links=self._links,
            observer=self._observer,
            tracer=self._tracer,
        )

    def _secret(self, reference: str) -> str:
        return secret(reference, self._environ, self._settings.base)


def _calm_garbage_collector() -> None:
    """Collect cycles seldom. Deliveries are many small objects without cycles; by default they
    make the collector walk everything over and over, at the cost of most of the intake's speed.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
