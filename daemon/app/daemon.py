"""The daemon's parts, built from the bottom up: each gets what stands already."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import date, timedelta
from functools import partial
from importlib.metadata import version
from typing import Any

import aiohttp
import structlog

from daemon.adapters.alertmanager import Alertmanagers, ClusterSilencer
from daemon.adapters.change_sources.metric_watches import METRIC_WATCHES
from daemon.adapters.heartbeat import Heartbeat
from daemon.adapters.service_manager import ServiceManager
from daemon.adapters.slack import Whisperer
from daemon.adapters.store import SCHEMA, FileArchive, Store
from daemon.app.active_config import Configuration
from daemon.app.auth import authenticator_for
from daemon.app.builders import (
    alertmanagers_for,
    calendars_for,
    limits_for,
    metrics_servers,
    named,
    probes_for,
    prometheus_servers_for,
    reconciler_for,
    secret_reader,
    sources_for,
    workshop_for,
)
from daemon.app.clock import now
from daemon.app.drills import Drilling
from daemon.app.emergency import emergency_for
from daemon.app.follow_ups import follow_ups_for, last_word_for, timing_for
from daemon.app.notifiers import NotifierBuilder
from daemon.app.outgoing import refuse_literally
from daemon.app.reload import Reloader
from daemon.app.replicas import ReplicaPlace
from daemon.app.rooms import marks_of, places_for
from daemon.app.server import certificate_for, serving
from daemon.app.service import ServiceReport
from daemon.app.sharing import duties_for, is_shared, news_for, topics_of
from daemon.app.shutdown import DRAINED, LEFT, Shutdown
from daemon.app.status_page import status_page_for
from daemon.app.warming import warm_up
from daemon.app.watches import existing_targets, watch_for
from daemon.conduct.conductor import Conductor
from daemon.conduct.executor import ConductDependencies, Stage
from daemon.config.pending_settings import pending_settings
from daemon.config.rules_folder import Ruleset
from daemon.config.settings import Settings
from daemon.core.people.oncall_changes import OncallOverride
from daemon.core.rules.rule import Rule
from daemon.instrumentation import Tracer
from daemon.intake.intake import Intake
from daemon.measuring.chart_data import trace
from daemon.notifying.maintenance import MaintenanceKeeper
from daemon.notifying.notifier import DEADLINE_SECONDS
from daemon.notifying.oncall_desk import OncallDesk
from daemon.notifying.silences import Silences
from daemon.notifying.storms import StormKeeper
from daemon.notifying.watchdog import Watchdog
from daemon.recovering.autonomy import AutonomyKeeper
from daemon.reporting.figures import RecentFigures
from daemon.reporting.follow_ups import read_follow_ups
from daemon.reporting.reviews import Reviews, Veterans
from daemon.reporting.status import StatusReport, StoreReport
from daemon.repository import IncidentRepository
from daemon.telemetry import Telemetry, WatchedMetrics
from daemon.watching.changes import Watcher
from daemon.watching.heartbeat import beat
from daemon.watching.label_values import LabelValues
from daemon.watching.liveness import Liveness
from daemon.watching.retention import expire, retain
from daemon.watching.store_health import StoreWatch
from daemon.web.application import WebContext
from daemon.web.links.signed_links import SignedLinks
from recovery_actions import catalogue

_log = structlog.get_logger()


class Daemon:
    """Everything, put together. `umask` is what the commands of actions get."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        store: Store,
        session: aiohttp.ClientSession,
        tracer: Tracer,
        umask: int,
        manager: ServiceManager,
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._secret = secret_reader(settings, environ)
        refuse_literally(settings, self._secret)
        self._store = store
        self._session = session
        self._tracer = tracer
        self._version = version("stopgap")
        self._started_at = now()
        self._replica = ReplicaPlace(
            settings,
            store,
            self._version,
            lambda: self._observer,
            lambda: self._active.now,
        )
        self._ready = False
        self._certificate = certificate_for(settings)
        self._workshop = workshop_for(settings, environ, umask)
        self._actions = catalogue(self._workshop)
        self._calendars = calendars_for(
            settings,
            environ,
            session,
            self._receive_own_alert,
            tells=lambda: self._duties.mine("calendars"),
        )
        notifiers = NotifierBuilder(settings, session, self._secret)
        overrides: list[OncallOverride] = []
        self._configuration = Configuration(
            settings, self._actions, self._calendars, notifiers, self._secret, overrides
        )
        self._active = self._configuration.active
        self._repository = IncidentRepository(
            store.journal, now, store.debts, self._replica.ownership
        )
        self._oncall = OncallDesk(
            store.oncall,
            overrides,
            self._active,
            now,
            self._repository.ring_all,
            settings.external_url.rstrip("/"),
        )
        self._telemetry = Telemetry(self._repository, lambda: self._active.now.roster)
        self._observer = self._telemetry.flow
        store.listeners.append(self._observer.transaction)
        self._duties = duties_for(
            store, self._replica.fence.replica, self._observer, settings.replica.lease
        )
        self._reviews = Reviews(settings.base / settings.reviews)
        self._build_surroundings(manager)
        self._build_stages()

    def _build_surroundings(self, manager: ServiceManager) -> None:
        """What the stages stand on: links, metrics, peers, changes, the store's health."""
        settings, store = self._settings, self._store
        self._links = SignedLinks(
            lambda: store.keys.current,
            settings.external_url.rstrip("/"),
            now,
            settings.auth.key_grace,
        )
        self._places = places_for(settings, self._session, self._secret, lambda: store.keys.current)
        self._prometheus = prometheus_servers_for(settings, self._environ)
        self._servers = metrics_servers(
            settings,
            {
                name: WatchedMetrics(server, self._observer, self._tracer, name)
                for name, server in self._prometheus.items()
            },
        )
        self._alertmanagers = alertmanagers_for(settings, self._environ, self._session)
        self._values = LabelValues(
            store.notes,
            self._rules,
            self._servers,
            lambda kind, params: existing_targets(kind, params, settings.base),
            now,
        )
        self._watcher = Watcher(
            self._repository,
            self._rules,
            lambda rule, kind, params: watch_for(rule, kind, params, self._workshop, self._servers),
            self._values,
            METRIC_WATCHES,
        )
        self._health = StoreWatch(
            store.condition, store.inbox, settings.inbox.max_age, self._observer
        )
        self._liveness = Liveness(store.condition, lambda now: self._conductor.pulse.fault(now))
        self._service = ServiceReport(
            manager,
            self._liveness,
            lambda: sum(incident.closed is None for incident in self._repository.known),
            self._health.why_not,
        )
        self._veterans = Veterans(self._repository)
        self._autonomy = AutonomyKeeper(self._repository, store.notes, self._active)
        self._storms = StormKeeper(self._repository, limits_for(settings))
        self._maintenance = MaintenanceKeeper(
            self._repository,
            store.maintenance,
            store.notes,
            self._active,
            self._observer,
            tells=lambda: self._duties.mine("maintenance"),
        )
        self._reloader = Reloader(
            self._configuration.read,
            self._take,
            now,
            self._observer,
            settings.base,
            lambda: pending_settings(settings, self._environ, self._judge_addresses),
            self._service.reloading,
        )

    def _judge_addresses(self, written: Settings) -> None:
        """What the next start would refuse of them. Raises Permanent."""
        refuse_literally(written, secret_reader(written, self._environ))

    def _build_stages(self) -> None:
        """What runs: intake, conductor, watchdog, emergency calls, the comparing."""
        settings, store = self._settings, self._store
        self._intake = Intake(
            store.inbox,
            self._repository,
            lambda: self._active.now.rules,
            Alertmanagers(self._alertmanagers) if self._alertmanagers else None,
            settings.inbox.remember,
            self._observer,
            self._tracer,
            self._health.why_not,
            lambda run: self._drilling.drills.played(run),
            self._storms,
            probes_for(store),
        )
        stage = Stage(self._active, self._conduct_dependencies())
        self._drilling = Drilling(
            settings,
            self._repository,
            stage,
            store.notes,
            self._intake.receive_drill,
            self._receive_own_alert,
        )
        drills = self._drilling.drills
        self._reconciler = reconciler_for(
            settings,
            self._alertmanagers,
            store,
            self._intake,
            self._repository,
            self._active,
            self._observer,
        )
        self._follow_ups = follow_ups_for(
            settings,
            self._session,
            self._secret,
            self._repository,
            self._active,
            self._reviews,
            self._observer,
        )
        self._last_word = last_word_for(settings, self._repository, self._active, self._observer)
        self._status_page = status_page_for(
            settings, self._repository, self._active, self._observer
        )
        self._conductor = Conductor(
            self._repository, self._active, stage.dependencies, drills.stage, self._look_back
        )
        self._replica.serve(self._repository, self._conductor, self._intake)
        self._watchdog = Watchdog(
            self._repository,
            self._active,
            self._links,
            self._observer,
            drills.config_of,
            self._storms.storm_of,
        )
        self._emergency = emergency_for(
            settings, self._active, self._observer, lambda: self._duties.held_last("emergency")
        )
        topics = topics_of(
            store,
            self._repository,
            self._maintenance,
            self._oncall,
            self._autonomy,
            self._values,
            drills,
        )
        self._news = news_for(store, self._repository, topics, self._observer)
        if self._news is not None and self._replica.keeper is not None:
            self._replica.keeper.catch_up = self._news.catch_up
        self._telemetry.watch_learning(
            RecentFigures(self._repository),
            lambda: read_follow_ups(self._repository, self._today()),
        )
        self._telemetry.watch(
            sources_for(
                store,
                self._version,
                self._active,
                ready=self._takes_alerts,
                tasks=lambda: self._conductor.tasks,
                store_trouble=self._health.trouble,
                withdrawn=self._autonomy.withdrawn,
                replicas=self._replica.last_survey,
            )
        )

    async def __aenter__(self) -> Daemon:
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._prometheus.values():
            server.close()
        await self._workshop.close()

    async def run(self, shutdown: Shutdown, reload: asyncio.Event) -> None:
        """Serve until `shutdown` is asked for; `reload` reads the rules again."""
        signing = self._store.keys.current.signing
        _log.info("links are signed", key=signing.id, made=signing.made_at, by=signing.made_by)
        self._calendars.recall(self._active.now.roster)
        await self._replica.begin()
        if self._news is not None:
            await self._news.begin()
        await self._oncall.begin()
        for orphan in self._oncall.orphans():
            _log.warning("an override is laid over nothing", what=orphan)
        await self._autonomy.begin()
        await self._storms.begin()
        await self._maintenance.begin()
        if not self._duties.shared:
            await self._drilling.drills.begin()
        async with asyncio.TaskGroup() as group:
            async with self._server(shutdown):
                # Nothing is done to the world before the address is ours.
                parts = self._parts(reload).items()
                tasks = {name: group.create_task(part, name=name) for name, part in parts}
                self._liveness.watch(tasks)
                service = group.create_task(self._service.run(), name="service manager")
                self._ready = True
                warming = group.create_task(warm_up(), name="warming up")
                await shutdown.requested.wait()
                self._ready = False
                self._service.stopping(shutdown.left())
                _log.info("stopping: the door is closed")
                # Beside the closing of the door: nothing more may start meanwhile.
                within = timedelta(seconds=shutdown.left(DRAINED))
                draining = group.create_task(self._conductor.drain(within), name="drain")
            await draining
            # What was ours goes to the others now, and not when the lease ends.
            await shutdown.step("replica", self._replica.leave(), LEFT)
            for task in (service, warming, *tasks.values()):
                task.cancel()
        _log.info("stopped")

    async def _look_back(self) -> None:
        """Learn from the newest incidents, most of them closed, what decisions have to know and no
        alert has to wait for. Raises Temporary, Permanent."""
        await self._autonomy.catch_up()
        await self._veterans.begin()

    def _parts(self, reload: asyncio.Event) -> dict[str, Coroutine[Any, Any, None]]:
        """What runs side by side as long as the daemon does."""
        parts = {
            "conductor": self._conductor.run(),
            "intake": self._intake.run(),
            "watcher": self._duties.hold("changes", self._watcher.run),
            "label values": self._values.run(),
            "autonomy": self._autonomy.run(),
            "maintenance": self._maintenance.run(),
            "follow-ups": self._duties.hold("follow-ups", self._follow_ups.run),
            "last word": self._duties.hold("last word", self._last_word.run),
            "watchdog": self._watchdog.run(),
            "store": self._health.run(),
            "emergency": self._emergency.run(self._health.trouble),
            "calendars": self._calendars.run(
                lambda: self._active.now.roster, self._repository.ring_all
            ),
            "reloads": self._reloader.run(reload),
        }
        if self._replica.keeper is not None:
            parts["lease"] = self._replica.keeper.run()
        if self._news is not None:
            parts |= {"duties": self._duties.run(), "news": self._news.run()}
        parts |= self._drilling.parts(self._duties)
        retention = self._settings.retention
        parts["records"] = expire(self._store.records, retention.records, now, self._observer)
        if retention.keep is not None:
            archive = FileArchive(self._store.journal, self._settings.base / retention.archive)
            work = partial(retain, archive, retention.keep, now, self._observer)
            parts["retention"] = self._duties.hold("retention", work)
        if self._status_page is not None:
            parts["status page"] = self._status_page.run()
        if self._reconciler is not None:
            parts["reconciler"] = self._duties.hold("reconciler", self._reconciler.run)
        chosen = self._settings.heartbeat
        if chosen.url is not None:
            parts["heartbeat"] = beat(
                self._repository,
                self._watchdog,
                self._heartbeat(chosen.url),
                chosen.every,
                self._observer,
                lambda: self._health.why_not() or self._liveness.fault(),
            )
        return parts

    def _heartbeat(self, reference: str) -> Callable[[], Awaitable[None]]:
        """Tells the dead man's switch that all is well, and how far the journal has come."""
        heartbeat = Heartbeat(self._session, self._secret(reference), DEADLINE_SECONDS)

        async def send() -> None:
            await heartbeat.send(await self._store.journal.anchor())

        return send

    def _today(self) -> date:
        """The day by which follow-ups are due."""
        return timing_for(self._settings).today(now())

    def _takes_alerts(self) -> bool:
        return self._ready and not self._health.trouble()

    def _rules(self) -> list[Rule]:
        return list(self._active.now.rules.rules.values())

    async def _receive_own_alert(self, alert: bytes) -> None:
        """An alert of our own goes the way of all alerts."""
        await self._intake.receive(alert)

    @asynccontextmanager
    async def _server(self, shutdown: Shutdown) -> AsyncIterator[None]:
        context = WebContext(
            intake=self._intake,
            repository=self._repository,
            active=self._active,
            authenticator=authenticator_for(
                self._settings,
                self._store,
                self._session,
                self._secret,
                self._active,
                self._configuration.secrets,
            ),
            ready=lambda: self._ready,
            hooks=self._configuration.hooks,
            links=self._links,
            keys=self._store.keys,
            metrics=self._telemetry.scrape,
            veterans=self._veterans.of,
            autonomy=self._autonomy,
            whisper=Whisperer(self._session, self._settings.slack.url).whisper,
            overview=self._status_report(),
            assistants=self._store.assistants,
            reload=self._reloader.reload,
            today=self._today,
            observer=self._observer,
            store_trouble=self._health.why_not,
            stuck=self._liveness.fault,
            actions=self._actions,
            trace=lambda incident, rule, entries: trace(
                self._drilling.drills.metrics_of(incident, self._servers.of(rule).metrics),
                incident,
                rule,
                entries,
                now(),
            ),
            config_for_drill=self._drilling.drills.config_of,
            drills=self._drilling.desk,
            places=self._places,
            marks=marks_of(self._settings),
            label_values=self._values.of,
            oncall=self._oncall,
            maintenance=self._maintenance,
            storms=lambda: self._storms.storms,
            replicas=self._replica.register,
            duties=self._store.duties if is_shared(self._store) else None,
            replica_name=self._replica.fence.replica,
            status_page=self._status_page.page if self._status_page else None,
        )
        async with serving(self._settings, context, self._certificate, shutdown):
            yield

    def _take(self, ruleset: Ruleset) -> list[str]:
        """Put what a reload has read in force; what people must know of it beside."""
        if self._certificate is not None:
            self._certificate.look()
        self._configuration.take(ruleset)
        self._values.look_again()
        self._autonomy.look_again()
        self._repository.ring_all()
        page = self._status_page.trouble if self._status_page is not None else ""
        return [*self._oncall.orphans(), *filter(None, (page,))]

    def _status_report(self) -> StatusReport:
        return StatusReport(
            repository=self._repository,
            inbox=self._store.inbox,
            active=self._active,
            ready=self._takes_alerts,
            loading=lambda: self._reloader.last,
            version=self._version,
            started_at=self._started_at,
            store=StoreReport(kind=self._store.kind, name=self._store.name, schema_version=SCHEMA),
            actions=len(self._actions),
            autonomy=self._autonomy.record,
            peers={
                **{f"prometheus {name}".strip(): one for name, one in self._prometheus.items()},
                **named(self._alertmanagers),
            },
            calendars=lambda: self._calendars.reports(self._active.now.roster),
            store_trouble=self._health.why_not,
            needs=lambda name: name != "prometheus" or self._asks_unnamed(),
        )

    def _asks_unnamed(self) -> bool:
        """Whether the Prometheus without a name is asked by any rule in force."""
        rules = self._active.now.rules.rules.values()
        return "" in self._settings.prometheus.asked([rule.prometheus for rule in rules])

    def _conduct_dependencies(self) -> ConductDependencies:
        settings = self._settings
        return ConductDependencies(
            servers=self._servers,
            actions=self._actions,
            limits=limits_for(settings),
            outage=settings.recovery.outage,
            changes=self._watcher.of,
            reviews=self._reviews,
            links=self._links,
            withdrawn=self._autonomy.withdrawn,
            maintenance=lambda: self._maintenance.windows,
            observer=self._observer,
            tracer=self._tracer,
            diagnosis=settings.diagnosis,
            places=self._places,
            storm_of=self._storms.storm_of,
            gathers=self._storms.gathers,
            silences=self._silences(),
            silence_for=settings.alertmanager.silence_acknowledged,
            page_hold=settings.page_hold,
        )

    def _silences(self) -> Silences | None:
        if not self._alertmanagers:
            return None
        silencer = ClusterSilencer(self._alertmanagers)
        return Silences(silencer, lambda incident: f"{self._links.root}/incidents/{incident}")
