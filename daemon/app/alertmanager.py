"""Builds what there is of Alertmanager beside its webhook.

Its own API, the comparing of what that lists, and what knows the test alerts of `stopgap doctor`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aiohttp

from daemon.adapters.alertmanager import Alertmanager
from daemon.adapters.http_access import HttpAccess
from daemon.adapters.store import Store
from daemon.app.access import access_for, secret_reader
from daemon.app.clock import now
from daemon.config.active import ActiveConfig, Live
from daemon.config.settings import Settings
from daemon.core.ports.metrics import Peer
from daemon.core.reconciliation.probe_alerts import VALID_FOR
from daemon.instrumentation import Observer
from daemon.intake.intake import Intake
from daemon.intake.probes import Probes
from daemon.intake.receivers import Receivers
from daemon.intake.reconcile import ReconcilePace, Reconciler
from daemon.repository import IncidentRepository


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
