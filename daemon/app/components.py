"""The components of the daemon, built from the bottom up: each gets what stands already."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import partial
from importlib.metadata import version

import aiohttp

from daemon.adapters.alertmanager import Alertmanagers, ClusterSilencer
from daemon.adapters.change_sources.metric_watches import METRIC_WATCHES
from daemon.adapters.service_manager import ServiceManager
from daemon.adapters.store import Store
from daemon.app.access import secret_reader
from daemon.app.actions import limits_for, workshop_for
from daemon.app.active_config import Configuration
from daemon.app.alertmanager import alertmanagers_for, probes_for, reconciler_for
from daemon.app.clock import now
from daemon.app.drills import Drilling
from daemon.app.emergency import emergency_for
from daemon.app.follow_ups import follow_ups_for, last_word_for, timing_for
from daemon.app.gauges import sources_for
from daemon.app.notifiers import NotifierBuilder
from daemon.app.oncall import calendars_for
from daemon.app.outgoing import refuse_literally
from daemon.app.prometheus import metrics_servers, prometheus_servers_for
from daemon.app.reload import Reloader
from daemon.app.replicas import ReplicaPlace
from daemon.app.rooms import places_for
from daemon.app.server import certificate_for
from daemon.app.service import ServiceReport
from daemon.app.sharing import duties_for, news_for, topics_of
from daemon.app.status_page import status_page_for
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
from daemon.measuring.earlier import earlier_trouble
from daemon.notifying.maintenance import MaintenanceKeeper
from daemon.notifying.oncall_desk import OncallDesk
from daemon.notifying.silences import Silences
from daemon.notifying.storms import StormKeeper
from daemon.notifying.watchdog import Watchdog
from daemon.recovering.autonomy import AutonomyKeeper
from daemon.reporting.figures import RecentFigures
from daemon.reporting.follow_ups import read_follow_ups
from daemon.reporting.reviews import Reviews, Veterans
from daemon.repository import IncidentRepository
from daemon.telemetry import Telemetry, WatchedMetrics
from daemon.watching.changes import Watcher
from daemon.watching.label_values import LabelValues
from daemon.watching.liveness import Liveness
from daemon.watching.store_health import StoreWatch
from daemon.web.links.signed_links import SignedLinks
from recovery_actions import catalogue


class Components:
    """All of them, put together. `ready`: the daemon runs, and is not being stopped. `umask`: what
    the commands of actions get."""

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
        self.settings = settings
        self._environ = environ
        self.secret = secret_reader(settings, environ)
        refuse_literally(settings, self.secret)
        self.store = store
        self.session = session
        self._tracer = tracer
        self.version = version("stopgap")
        self.started_at = now()
        self.replica = ReplicaPlace(
            settings,
            store,
            self.version,
            lambda: self.observer,
            lambda: self.active.now,
        )
        self.ready = False
        self.certificate = certificate_for(settings)
        self._workshop = workshop_for(settings, environ, umask)
        self.actions = catalogue(self._workshop)
        self.calendars = calendars_for(
            settings,
            environ,
            session,
            self._receive_own_alert,
            tells=lambda: self.duties.mine("calendars"),
        )
        notifiers = NotifierBuilder(settings, session, self.secret)
        overrides: list[OncallOverride] = []
        self.configuration = Configuration(
            settings, self.actions, self.calendars, notifiers, self.secret, overrides
        )
        self.active = self.configuration.active
        self.repository = IncidentRepository(
            store.journal, now, store.debts, self.replica.ownership
        )
        self.oncall = OncallDesk(
            store.oncall,
            overrides,
            self.active,
            now,
            self.repository.ring_all,
            settings.external_url.rstrip("/"),
        )
        self.telemetry = Telemetry(self.repository, lambda: self.active.now.roster)
        self.observer = self.telemetry.flow
        store.listeners.append(self.observer.transaction)
        self.duties = duties_for(
            store, self.replica.fence.replica, self.observer, settings.replica.lease
        )
        self._reviews = Reviews(settings.base / settings.reviews)
        self._build_surroundings(manager)
        self._build_stages()

    def _build_surroundings(self, manager: ServiceManager) -> None:
        """What the stages stand on: links, metrics, peers, changes, the store's health."""
        settings, store = self.settings, self.store
        self.links = SignedLinks(
            lambda: store.keys.current,
            settings.external_url.rstrip("/"),
            now,
            settings.auth.key_grace,
        )
        self.places = places_for(settings, self.session, self.secret, lambda: store.keys.current)
        self.prometheus = prometheus_servers_for(settings, self._environ)
        self.servers = metrics_servers(
            settings,
            {
                name: WatchedMetrics(server, self.observer, self._tracer, name)
                for name, server in self.prometheus.items()
            },
        )
        self.alertmanagers = alertmanagers_for(settings, self._environ, self.session)
        self.values = LabelValues(
            store.notes,
            self._rules,
            self.servers,
            lambda kind, params: existing_targets(kind, params, settings.base),
            now,
        )
        self.watcher = Watcher(
            self.repository,
            self._rules,
            lambda rule, kind, params: watch_for(rule, kind, params, self._workshop, self.servers),
            self.values,
            METRIC_WATCHES,
        )
        self.health = StoreWatch(
            store.condition, store.inbox, settings.inbox.max_age, self.observer
        )
        self.liveness = Liveness(store.condition, lambda now: self.conductor.pulse.fault(now))
        self.service = ServiceReport(
            manager,
            self.liveness,
            lambda: sum(incident.closed is None for incident in self.repository.known),
            self.health.why_not,
        )
        self.veterans = Veterans(self.repository)
        self.autonomy = AutonomyKeeper(self.repository, store.notes, self.active)
        self.storms = StormKeeper(self.repository, limits_for(settings))
        self.maintenance = MaintenanceKeeper(
            self.repository,
            store.maintenance,
            store.notes,
            self.active,
            self.observer,
            tells=lambda: self.duties.mine("maintenance"),
        )
        self.reloader = Reloader(
            self.configuration.read,
            self._take,
            now,
            self.observer,
            settings.base,
            lambda: pending_settings(settings, self._environ, self._judge_addresses),
            self.service.reloading,
        )

    def _judge_addresses(self, written: Settings) -> None:
        """What the next start would refuse of them. Raises Permanent."""
        refuse_literally(written, secret_reader(written, self._environ))

    def _build_stages(self) -> None:
        """What runs: intake, conductor, watchdog, emergency calls, the comparing."""
        settings, store = self.settings, self.store
        self.intake = Intake(
            store.inbox,
            self.repository,
            lambda: self.active.now.rules,
            Alertmanagers(self.alertmanagers) if self.alertmanagers else None,
            settings.inbox.remember,
            self.observer,
            self._tracer,
            self.health.why_not,
            lambda run: self.drilling.drills.played(run),
            self.storms,
            probes_for(store),
        )
        stage = Stage(self.active, self._conduct_dependencies())
        self.drilling = Drilling(
            settings,
            self.repository,
            stage,
            store.notes,
            self.intake.receive_drill,
            self._receive_own_alert,
        )
        drills = self.drilling.drills
        self.reconciler = reconciler_for(
            settings,
            self.alertmanagers,
            store,
            self.intake,
            self.repository,
            self.active,
            self.observer,
        )
        self.follow_ups = follow_ups_for(
            settings,
            self.session,
            self.secret,
            self.repository,
            self.active,
            self._reviews,
            self.observer,
        )
        self.last_word = last_word_for(settings, self.repository, self.active, self.observer)
        self.status_page = status_page_for(settings, self.repository, self.active, self.observer)
        self.conductor = Conductor(
            self.repository, self.active, stage.dependencies, drills.stage, self._look_back
        )
        self.replica.serve(self.repository, self.conductor, self.intake)
        self.watchdog = Watchdog(
            self.repository,
            self.active,
            self.links,
            self.observer,
            drills.config_of,
            self.storms.storm_of,
        )
        self.emergency = emergency_for(
            settings, self.active, self.observer, lambda: self.duties.held_last("emergency")
        )
        topics = topics_of(
            store,
            self.repository,
            self.maintenance,
            self.oncall,
            self.autonomy,
            self.values,
            drills,
        )
        self.news = news_for(store, self.repository, topics, self.observer)
        if self.news is not None and self.replica.keeper is not None:
            self.replica.keeper.catch_up = self.news.catch_up
        self.telemetry.watch_learning(
            RecentFigures(self.repository),
            lambda: read_follow_ups(self.repository, self.today()),
        )
        self.telemetry.watch(
            sources_for(
                store,
                self.version,
                self.active,
                ready=self.takes_alerts,
                tasks=lambda: self.conductor.tasks,
                store_trouble=self.health.trouble,
                withdrawn=self.autonomy.withdrawn,
                replicas=self.replica.last_survey,
            )
        )

    async def _look_back(self) -> None:
        """Learn from the newest incidents, most of them closed, what decisions have to know and no
        alert has to wait for. Raises Temporary, Permanent."""
        await self.autonomy.catch_up()
        await self.veterans.begin()

    def today(self) -> date:
        """The day by which follow-ups are due."""
        return timing_for(self.settings).today(now())

    def takes_alerts(self) -> bool:
        """Whether an alert that comes now is taken."""
        return self.ready and not self.health.trouble()

    def _rules(self) -> list[Rule]:
        return list(self.active.now.rules.rules.values())

    async def _receive_own_alert(self, alert: bytes) -> None:
        """An alert of our own goes the way of all alerts."""
        await self.intake.receive(alert)

    def _take(self, ruleset: Ruleset) -> list[str]:
        """Put what a reload has read in force; what people must know of it beside."""
        if self.certificate is not None:
            self.certificate.look()
        self.configuration.take(ruleset)
        self.values.look_again()
        self.autonomy.look_again()
        self.repository.ring_all()
        page = self.status_page.trouble if self.status_page is not None else ""
        return [*self.oncall.orphans(), *filter(None, (page,))]

    def _conduct_dependencies(self) -> ConductDependencies:
        settings = self.settings
        return ConductDependencies(
            servers=self.servers,
            actions=self.actions,
            limits=limits_for(settings),
            outage=settings.recovery.outage,
            changes=self.watcher.of,
            earlier=partial(earlier_trouble, self.repository.journal),
            reviews=self._reviews,
            links=self.links,
            withdrawn=self.autonomy.withdrawn,
            maintenance=lambda: self.maintenance.windows,
            observer=self.observer,
            tracer=self._tracer,
            diagnosis=settings.diagnosis,
            places=self.places,
            storm_of=self.storms.storm_of,
            gathers=self.storms.gathers,
            silences=self._silences(),
            silence_for=settings.alertmanager.silence_acknowledged,
            page_hold=settings.page_hold,
        )

    def _silences(self) -> Silences | None:
        if not self.alertmanagers:
            return None
        silencer = ClusterSilencer(self.alertmanagers)
        return Silences(silencer, lambda incident: f"{self.links.root}/incidents/{incident}")

    async def __aenter__(self) -> Components:
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self.prometheus.values():
            server.close()
        await self._workshop.close()
