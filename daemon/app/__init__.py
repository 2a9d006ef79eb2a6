"""The composition root: builds everything, runs it in one TaskGroup, shuts down in order.

Shutdown closes the door first (no new webhooks), lets running recovery actions end within the
deadline, and only then cancels; what is cancelled is found again by the next start.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import aiohttp
import structlog

from daemon.adapters.alertmanager import Alertmanagers
from daemon.adapters.heartbeat import Heartbeat
from daemon.adapters.slack import Whisperer
from daemon.adapters.store import SCHEMA, FileArchive, Store, open_store
from daemon.app.active_config import standing_for
from daemon.app.auth import authenticator_for, doorkeeper_for, hooks_for
from daemon.app.builders import (
    WATCHES,
    actions_for,
    alertmanagers_for,
    build_oncall,
    calendars_for,
    limits_for,
    named,
    now,
    prometheus_for,
    prometheus_trust,
    reconciler_for,
    ruleset_for,
    sources_for,
    store_path,
    trust_for,
    watch_for,
    workshop_for,
)
from daemon.app.emergency import call_before_the_end, emergency_for
from daemon.app.logs import configure_logging
from daemon.app.notifiers import NotifierBuilder
from daemon.app.reload import Reloader
from daemon.app.server import certificate_for, serving
from daemon.app.tracing import tracer_for
from daemon.conduct.conductor import Conductor
from daemon.conduct.executor import ActiveConfig, Executors
from daemon.config.audit_keys import keyring_for
from daemon.config.rules_folder import Ruleset
from daemon.config.settings import Settings, secret
from daemon.core.ports.changes import Watch
from daemon.instrumentation import Tracer
from daemon.intake.intake import Intake
from daemon.measuring.chart_data import trace
from daemon.notifying.notifier import DEADLINE_SECONDS
from daemon.notifying.watchdog import Watchdog
from daemon.reporting.reviews import Reviews, Veterans
from daemon.reporting.status import StatusReport, StoreReport
from daemon.repository import IncidentRepository
from daemon.telemetry import Telemetry, WatchedMetrics
from daemon.watching.changes import Watcher
from daemon.watching.heartbeat import beat
from daemon.watching.retention import retain
from daemon.watching.store_health import StoreWatch
from daemon.web.application import WebContext
from daemon.web.auth.secrets import SecretCheck
from daemon.web.auth.webhook_secrets import Hooks
from daemon.web.links.signed_links import SignedLinks
from recovery_actions import catalogue

__all__ = [
    "WATCHES",
    "actions_for",
    "alertmanagers_for",
    "build_oncall",
    "now",
    "prometheus_for",
    "prometheus_trust",
    "ruleset_for",
    "serve",
    "store_path",
    "trust_for",
    "workshop_for",
]

_log = structlog.get_logger()

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
    stop = asyncio.Event()
    reload = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload.set)
    async with (
        open_store(
            store_path(settings),
            new=new_store,
            max_pending=settings.inbox.max_pending,
            remember=settings.inbox.remember,
            keyring=keyring_for(settings, environ),
        ) as store,
        aiohttp.ClientSession() as session,
        tracer_for(settings, version("stopgap")) as tracer,
        App(settings, environ, store, session, tracer, umask) as app,
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
        umask: int,
    ) -> None:
        self._settings = settings
        self._tracer = tracer
        self._version = version("stopgap")
        self._environ = environ
        self._session = session
        self._certificate = certificate_for(settings)
        self._workshop = workshop_for(settings, environ, umask)
        self._actions = catalogue(self._workshop)
        self._journal = store.journal
        self._repository = IncidentRepository(store.journal, now, store.debts)
        self._keys = store.keys
        self._links = SignedLinks(
            lambda: store.keys.current,
            settings.external_url.rstrip("/"),
            now,
            settings.auth.key_grace,
        )
        self._reach = NotifierBuilder(settings, session, self._secret)
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
            self._repository,
            sources_for(
                store,
                self._version,
                lambda: self._standing,
                ready=self._takes_alerts,
                tasks=lambda: self._conductor.tasks,
                store_trouble=lambda: self._health.trouble(),
            ),
        )
        self._observer = self._telemetry.flow
        store.listeners.append(self._observer.transaction)
        self._health = StoreWatch(
            store.condition, store.inbox, settings.inbox.max_age, self._observer
        )
        self._emergency = emergency_for(settings, lambda: self._standing, self._observer)
        self._reloader = Reloader(self._read, self._take, now, self._observer, settings.base)
        self._prometheus = prometheus_for(settings, environ)
        self._metrics = WatchedMetrics(self._prometheus, self._observer, tracer)
        self._veterans = Veterans(self._repository)
        self._watcher = Watcher(
            self._repository, lambda: list(self._standing.rules.rules.values()), self._watch
        )
        self._alertmanagers = alertmanagers_for(settings, session)
        self._intake = Intake(
            store.inbox,
            self._repository,
            lambda: self._standing.rules,
            Alertmanagers(self._alertmanagers) if self._alertmanagers else None,
            settings.inbox.remember,
            self._observer,
            tracer,
            self._health.why_not,
        )
        self._reconciler = reconciler_for(
            settings,
            self._alertmanagers,
            store,
            self._intake,
            self._repository,
            lambda: self._standing,
            self._observer,
        )
        self._overview = self._look_over(store)
        self._conductor = Conductor(self._repository, lambda: self._standing, self._means())
        self._auditor = Watchdog(
            self._repository,
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
        signing = self._keys.current.signing
        _log.info("links are signed", key=signing.id, made=signing.made_at, by=signing.made_by)
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
                _log.info("stopping: the door is closed")
            await self._conductor.drain(self._settings.shutdown)
            for task in tasks:
                task.cancel()
        _log.info("stopped")

    def _parts(self, reload: asyncio.Event) -> dict[str, Coroutine[Any, Any, None]]:
        """What runs side by side as long as the daemon does."""
        parts = {
            "conductor": self._conductor.run(),
            "intake": self._intake.run(),
            "watcher": self._watcher.run(),
            "auditor": self._auditor.run(),
            "store": self._health.run(),
            "emergency": self._emergency.run(self._health.trouble),
            "calendars": self._calendars.run(
                lambda: self._standing.roster, self._repository.ring_all
            ),
            "reloads": self._reloader.run(reload),
        }
        kept = self._settings.retention
        if kept.keep is not None:
            archive = FileArchive(self._journal, self._settings.base / kept.archive)
            parts["retention"] = retain(archive, kept.keep, now, self._observer)
        if self._reconciler is not None:
            parts["reconciler"] = self._reconciler.run()
        chosen = self._settings.heartbeat
        if chosen.url is not None:
            url = self._secret(chosen.url)
            heartbeat = Heartbeat(self._session, url, DEADLINE_SECONDS)

            async def send() -> None:
                await heartbeat.send(await self._journal.anchor())

            parts["heartbeat"] = beat(
                self._repository,
                self._auditor,
                send,
                chosen.every,
                self._observer,
                self._health.why_not,
            )
        return parts

    def _takes_alerts(self) -> bool:
        return self._ready and not self._health.trouble()

    async def _cover(self, alarm: bytes) -> None:
        """An alert of our own goes the way of all alerts."""
        await self._intake.receive(alarm)

    @asynccontextmanager
    async def _server(self) -> AsyncIterator[None]:
        context = WebContext(
            intake=self._intake,
            repository=self._repository,
            rules=lambda: self._standing.rules,
            authenticator=self._authenticator,
            ready=lambda: self._ready,
            roster=lambda: self._standing.roster,
            hooks=lambda: self._hooks,
            links=self._links,
            keys=self._keys,
            metrics=self._telemetry.scrape,
            veterans=self._veterans.of,
            whisper=Whisperer(self._session, self._settings.slack.url).whisper,
            overview=self._overview,
            reload=self._reloader.reload,
            observer=self._observer,
            store_trouble=self._health.why_not,
            actions=self._actions,
            freezes=lambda: self._standing.freezes,
            approvals=lambda: self._standing.approvals,
            trace=lambda incident, rule, entries: trace(
                self._metrics, incident, rule, entries, now()
            ),
        )
        async with serving(self._settings, context, self._certificate):
            yield

    def _read(self) -> Ruleset:
        return ruleset_for(self._settings, self._actions)

    def _take(self, ruleset: Ruleset) -> None:
        """Put what a reload has read in force."""
        if self._certificate is not None:
            self._certificate.look()
        self._standing, self._doorkeeper, self._hooks = self._load(ruleset)
        self._calendars.recall(self._standing.roster)
        self._repository.ring_all()

    def _load(self, ruleset: Ruleset) -> tuple[ActiveConfig, SecretCheck, Hooks]:
        settings = self._settings
        standing = standing_for(ruleset, settings.rules_dir, self._calendars, self._reach)
        doorkeeper = doorkeeper_for(settings, standing.roster, self._secret)
        return standing, doorkeeper, hooks_for(settings, self._secret)

    def _watch(self, kind: str, params: Mapping[str, Any]) -> Watch:
        return watch_for(kind, params, self._workshop, self._metrics)

    def _look_over(self, store: Store) -> StatusReport:
        return StatusReport(
            repository=self._repository,
            inbox=store.inbox,
            roster=lambda: self._standing.roster,
            rules=lambda: self._standing.rules,
            approvals=lambda: self._standing.approvals,
            ready=self._takes_alerts,
            loading=lambda: self._reloader.last,
            version=self._version,
            started_at=self._started_at,
            store=StoreReport(kind="sqlite", name=self._settings.store.name, schema_version=SCHEMA),
            actions=len(self._actions),
            peers={"prometheus": self._prometheus, **named(self._alertmanagers)},
            calendars=lambda: self._calendars.reports(self._standing.roster),
            store_trouble=self._health.why_not,
        )

    def _means(self) -> Executors:
        settings = self._settings
        return Executors(
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
