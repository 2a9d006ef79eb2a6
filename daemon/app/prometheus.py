"""Builds the Prometheus servers as rules ask them, and the one that is to read their queries."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import requests

from daemon.adapters.http_access import HttpAccess
from daemon.adapters.prometheus import Prometheus
from daemon.adapters.prometheus_session import QuerySession
from daemon.adapters.query_parser import QueryParser
from daemon.app.access import ReadsSecret, access_for, secret_reader
from daemon.config.access import AccessSettings
from daemon.config.sections import PrometheusServerSettings, prometheus_setting
from daemon.config.settings import Settings
from daemon.core.ports.metrics import Metrics, MetricsServers, NamedMetrics
from daemon.core.values.outcome import Permanent
from daemon.core.values.outgoing import OutgoingPolicy


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


def open_prometheus(
    setting: str,
    chosen: PrometheusServerSettings,
    secret: ReadsSecret,
    base: Path,
    outgoing: OutgoingPolicy,
) -> Prometheus:
    """A client of one Prometheus; close it. Raises Permanent if a secret, or a file of its TLS, is
    not there."""

    def access() -> HttpAccess:
        return access_for(setting, chosen.url, chosen, secret, base, outgoing)

    seconds = chosen.timeout.total_seconds()
    return Prometheus(
        access(), seconds, chosen.concurrency, chosen.method, access, chosen.given_flavour
    )


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
