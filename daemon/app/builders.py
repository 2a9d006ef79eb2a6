"""The parts that both the daemon and the command line build from the settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import requests
import structlog

from daemon.adapters.alertmanager import Alertmanager
from daemon.adapters.calendar_feeds import Feeds
from daemon.adapters.http_access import HttpAccess
from daemon.adapters.prometheus import Prometheus
from daemon.adapters.prometheus_session import QuerySession
from daemon.adapters.query_parser import QueryParser
from daemon.adapters.store import Store, StorePlace, open_store, store_is_there, store_place
from daemon.app.access import access_for, open_prometheus
from daemon.app.clock import now
from daemon.app.outgoing import session_for
from daemon.app.watches import WATCHES
from daemon.config.access import AccessSettings
from daemon.config.active import ActiveConfig, Live
from daemon.config.rules_folder import Ruleset, read_ruleset
from daemon.config.sections import ClusterSettings, prometheus_setting
from daemon.config.settings import Settings, secret
from daemon.core.people.calendar_report import CalendarReport
from daemon.core.people.oncall_changes import OncallOverride, ShiftSwap
from daemon.core.people.oncall_report import oncall_view
from daemon.core.people.roster import Roster
from daemon.core.ports.actions import Action
from daemon.core.ports.metrics import Metrics, MetricsServers, NamedMetrics, Peer
from daemon.core.ports.replicas import ReplicaSurvey
from daemon.core.ports.store import StoreTrouble
from daemon.core.reconciliation.probe_alerts import VALID_FOR
from daemon.core.recovery.guardrails import Freeze, Limits
from daemon.core.rules.promql_dialect.judging import judge_query
from daemon.core.rules.promql_dialect.servers import PromqlServer
from daemon.core.rules.query_templates import Judge, JudgeFor
from daemon.core.values.outcome import Permanent, Temporary
from daemon.instrumentation import Observer
from daemon.intake.intake import Intake
from daemon.intake.probes import Probes
from daemon.intake.receivers import Receivers
from daemon.intake.reconcile import ReconcilePace, Reconciler
from daemon.notifying.notifier import DEADLINE_SECONDS
from daemon.repository import IncidentRepository
from daemon.telemetry import Sources
from daemon.watching.calendar_feeds import Calendars
from recovery_actions import catalogue
from recovery_actions.workshop import ArgoCD, Cluster, GitHosting, Workshop

_log = structlog.get_logger()


def secret_reader(settings: Settings, environ: Mapping[str, str]) -> Callable[[str], str]:
    """Reads what a reference of these settings names; it raises Permanent if that is not there."""
    return lambda reference: secret(reference, environ, settings.base)


def actions_for(settings: Settings) -> Mapping[str, Action]:
    """The catalogue of actions under these settings."""
    return catalogue(workshop_for(settings, {}))


def workshop_for(settings: Settings, environ: Mapping[str, str], umask: int = -1) -> Workshop:
    """What actions are built with; `umask` is what their commands get."""
    kubernetes, argocd = settings.kubernetes, settings.argocd

    def cluster(chosen: ClusterSettings) -> Cluster:
        found = chosen.kubeconfig or kubernetes.kubeconfig
        path = None if found is None else settings.base / found.expanduser()
        return Cluster(path, chosen.context, chosen.timeout)

    return Workshop(
        base=settings.base,
        commands=settings.commands.allow,
        hosts=settings.http.allow,
        cluster=cluster(kubernetes),
        clusters={name: cluster(one) for name, one in kubernetes.clusters.items()},
        argocd=ArgoCD(argocd.url, argocd.token, argocd.timeout),
        git=GitHosting(**dict(settings.git)),
        options=settings.actions,
        umask=umask,
        secret=secret_reader(settings, environ),
        outgoing=settings.outgoing.policy,
    )


def limits_for(settings: Settings) -> Limits:
    """How much automation is allowed."""
    recovery = settings.recovery
    budgets = recovery.budgets
    return Limits(
        cooldown=recovery.cooldown,
        flap=recovery.flap,
        budgets={
            "rule": budgets.rule,
            "team": budgets.team,
            "domain": budgets.domain,
            "global": recovery.budget,
        },
        budget_window=recovery.budget_window,
        storm=recovery.storm,
        storm_window=recovery.storm_window,
        onset_age=recovery.onset_age,
    )


def ruleset_for(settings: Settings, actions: Mapping[str, Any]) -> Ruleset:
    """The rule folder that the settings name, read and checked."""
    return read_ruleset(
        [settings.rules_dir], actions, WATCHES, settings.names, judges_for(settings)
    )


def judges_for(settings: Settings) -> JudgeFor:
    """Who judges the rules' queries where no server is asked: this program, by the flavour that
    the settings give of each server."""

    def judge_for(server: str | None) -> Judge:
        chosen = settings.prometheus.every.get(server or "")
        flavour = None if chosen is None else chosen.given_flavour
        given = partial(judge_query, server=PromqlServer(flavour)) if flavour is not None else None
        return given or judge_query

    return judge_for


def alertmanagers_for(
    settings: Settings, environ: Mapping[str, str], session: aiohttp.ClientSession
) -> list[Alertmanager]:
    """Alertmanager's own API, of each peer; none if the settings name none. Raises Permanent if a
    secret, or a file of its TLS, is not there."""
    timeout = settings.alertmanager.timeout.total_seconds()
    return [
        Alertmanager(session, alertmanager_access(settings, environ, url), timeout)
        for url in settings.alertmanager.peers
    ]


def alertmanager_access(settings: Settings, environ: Mapping[str, str], url: str) -> HttpAccess:
    """How a peer of Alertmanager is reached. Raises Permanent."""
    secret = secret_reader(settings, environ)
    policy = settings.outgoing.policy
    return access_for("alertmanager", url, settings.alertmanager, secret, settings.base, policy)


def named(peers: Sequence[Alertmanager]) -> Mapping[str, Peer | None]:
    """The peers by what the system page calls them; none is a name too, for what is missing."""
    if len(peers) <= 1:
        return {"alertmanager": next(iter(peers), None)}
    return {f"alertmanager {peer.name}": peer for peer in peers}


def reconciler_for(
    settings: Settings,
    peers: Sequence[Alertmanager],
    store: Store,
    intake: Intake,
    repository: IncidentRepository,
    active: Live[ActiveConfig],
    observer: Observer,
) -> Reconciler | None:
    """Compares what Alertmanager lists with the incidents; None if its API is not known."""
    if not peers:
        return None
    chosen = settings.alertmanager
    receivers = Receivers(chosen.receiver, store.notes)
    intake.listeners.append(receivers.on_delivery)
    return Reconciler(
        peers,
        receivers,
        intake,
        store.inbox,
        repository,
        lambda: active.now.rules,
        ReconcilePace(chosen.reconcile, chosen.settle),
        observer,
    )


def probes_for(store: Store) -> Probes:
    """Knows the test alerts of `stopgap doctor`, which signs them with the store's keys."""
    return Probes(lambda: store.keys.current.secrets(now(), VALID_FOR), store.notes, now)


def sources_for(
    store: Store,
    version: str,
    active: Live[ActiveConfig],
    ready: Callable[[], bool],
    tasks: Callable[[], tuple[int, int]],
    store_trouble: Callable[[], StoreTrouble | None],
    withdrawn: Callable[[str], str],
    replicas: Callable[[], ReplicaSurvey | None],
) -> Sources:
    """Where the gauges of `/metrics` come from."""

    async def freezes() -> list[Freeze]:
        moment = now()
        windows = active.now.freezes.upcoming(moment, moment + timedelta(microseconds=1))
        return [*await store.journal.freezes(moment), *windows]

    return Sources(
        version=version,
        clock=now,
        ready=ready,
        rules=lambda: active.now.rules.rules,
        roster=lambda: active.now.roster,
        tasks=tasks,
        backlog=store.inbox.backlog,
        oldest=store.inbox.oldest,
        freezes=freezes,
        store_trouble=store_trouble,
        withdrawn=withdrawn,
        replicas=replicas,
    )


def store_at(settings: Settings, environ: Mapping[str, str]) -> StorePlace:
    """Where the store is. Raises Permanent."""
    return store_place(settings.store, settings.base, secret_reader(settings, environ))


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


def prometheus_for(
    settings: Settings,
    environ: Mapping[str, str],
    server: str | None = None,
    *,
    finding_out: bool = False,
) -> Prometheus:
    """The metrics of the server of that name, or of the rules that name none. `finding_out`: its
    flavour is asked for, whatever the settings say. Raises Permanent if there is none, or a secret
    or a file of its TLS is not there."""
    chosen = settings.prometheus.every.get(server or "")
    if chosen is None:
        known = ", ".join(settings.prometheus.servers) or "none"
        raise Permanent(f"there is no {server!r} in `prometheus.servers`; known: {known}")
    if finding_out:
        chosen = chosen.model_copy(update={"flavour": "auto"})
    secret = secret_reader(settings, environ)
    policy = settings.outgoing.policy
    return open_prometheus(prometheus_setting(server), chosen, secret, settings.base, policy)


def query_parser_for(
    settings: Settings,
    environ: Mapping[str, str],
    server: str | None = None,
    url: str | None = None,
    reached: AccessSettings | None = None,
) -> QueryParser:
    """The server that is to read the rules' queries: the settings' own of that name, or the one at
    `url`, which gets none of their secrets and is `reached` as is said here. Raises Permanent if a
    secret, or a file of its TLS, is not there."""
    chosen = settings.prometheus.every[server or ""]
    secret = secret_reader(settings, environ)
    policy = settings.outgoing.policy
    if url is None:
        setting = prometheus_setting(server)
        access = access_for(setting, chosen.url, chosen, secret, settings.base, policy)
        session = QuerySession(access, chosen.method)
    else:
        given = reached or AccessSettings()
        access = access_for("--against", url, given, secret, settings.base, policy)
        session = QuerySession(access)
    seconds = chosen.timeout.total_seconds()

    def send(method: str, path: str, form: Mapping[str, str]) -> requests.Response:
        return session.request(method, f"{access.address}{path}", form, timeout=seconds)

    return QueryParser(access.address, send)


def prometheus_servers_for(
    settings: Settings, environ: Mapping[str, str]
) -> Mapping[str, Prometheus]:
    """Every server by its name; the one of the rules that name none has the empty name. Raises
    Permanent as `prometheus_for` does."""
    return {name: prometheus_for(settings, environ, name) for name in settings.prometheus.every}


def metrics_servers(settings: Settings, metrics: Mapping[str, Metrics]) -> MetricsServers:
    """The servers as rules ask them; `metrics` by the names of the settings."""
    chosen = settings.prometheus.every
    every = {name: NamedMetrics(one, chosen[name].max_age, name) for name, one in metrics.items()}
    return MetricsServers(every[""], {name: one for name, one in every.items() if name})
