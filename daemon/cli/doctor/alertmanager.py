"""Checks of Alertmanager: its way to us, and what its API lets us see beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import yaml

from daemon import app
from daemon.adapters.alertmanager import Alertmanager
from daemon.cli.doctor.context import Installation, parted
from daemon.cli.doctor.probe import prove_route
from daemon.cli.http import fetch
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.units import format_duration, printable
from daemon.onboarding.alertmanager_config import Ours, judge_routing, reached_by
from daemon.onboarding.findings import Finding, good, warning, wrong

CHECK = "alertmanager"


@dataclass(frozen=True)
class _Peer:
    """What one peer tells of itself. `cluster`: how many peers it knows, itself included."""

    url: str
    config: Any
    cluster: int


async def check_alertmanager(installation: Installation) -> AsyncIterator[Finding]:
    """Whether it answers, its alerts reach us as they should, and we can look at what it lists."""
    urls = installation.settings.alertmanager.peers
    if not urls:
        text = (
            "its address is not known: an outage soon after a silence is not told for a whole "
            "repeat_interval and pages nobody, an alert that ends under a silence stays open here, "
            "and its way to us cannot be looked at"
        )
        mend = "set `alertmanager.url`, or `alertmanager.urls` with every peer of a cluster"
        yield warning(CHECK, text, mend)
        return
    found: list[_Peer] = []
    for url in urls:
        peer, finding = await _check_peer(installation, url)
        yield finding
        if peer is not None:
            found.append(peer)
    if not found:
        return
    for finding in _peers(found, urls):
        yield finding
    ours, first = _ours(installation), found[0]
    proof = None
    names, guessed = reached_by(first.config, ours)
    chosen = installation.settings.alertmanager.receiver
    names = [chosen] if chosen else names
    if names:
        guessed = guessed and not chosen
        access = app.alertmanager_access(installation.settings, installation.environ, first.url)
        api = Alertmanager(installation.session, access, _timeout(installation))
        proof = await prove_route(installation, first.config, names, api, guessed=guessed)
        yield proof.finding
    proven = proof is not None and proof.arrived
    findings = dict.fromkeys(
        one for peer in found for one in judge_routing(peer.config, ours, proven=proven)
    )
    for finding in findings:
        yield finding
    if isinstance(first.config, dict):
        yield await _listed(installation, first.config, ours)


def _timeout(installation: Installation) -> float:
    return installation.settings.alertmanager.timeout.total_seconds()


async def _check_peer(installation: Installation, url: str) -> tuple[_Peer | None, Finding]:
    seconds = _timeout(installation)
    try:
        access = app.alertmanager_access(installation.settings, installation.environ, url)
        status = (await fetch(installation.session, access, "/api/v2/status", seconds)).data
        config = yaml.safe_load(status["config"]["original"])
        version = printable(str(status["versionInfo"]["version"]))
        cluster = len(status["cluster"].get("peers") or ())
    except (Temporary, Permanent) as error:
        text, mend = parted(error)
        return None, wrong(CHECK, text, mend or "correct `alertmanager.url`; is it running?")
    except (KeyError, TypeError, AttributeError, yaml.YAMLError):
        text = f"{access.address} answers otherwise than an Alertmanager"
        return None, wrong(CHECK, text, "correct `alertmanager.url`")
    return _Peer(url, config, cluster), good(CHECK, f"{access.address} answers, version {version}")


def _peers(found: Sequence[_Peer], urls: Sequence[str]) -> list[Finding]:
    """Whether we know every peer of the cluster."""
    cluster = max(peer.cluster for peer in found)
    if cluster > len(urls):
        text = f"it is a cluster of {cluster} peers, and the settings name {len(urls)}"
        mend = "name all in `alertmanager.urls`: one alone may not have heard of every alert"
        return [warning(CHECK, text, mend)]
    return [good(CHECK, f"{len(found)} of {len(urls)} peers answer")] if len(urls) > 1 else []


async def _listed(installation: Installation, config: Mapping[str, Any], ours: Ours) -> Finding:
    """Whether what it lists for our receiver can be compared with the incidents."""
    chosen = installation.settings.alertmanager
    known = [str(one.get("name")) for one in config.get("receivers") or ()]
    names = [chosen.receiver] if chosen.receiver else reached_by(config, ours)[0]
    if chosen.receiver and chosen.receiver not in known:
        text = f"it has no receiver {printable(chosen.receiver)}, so nothing is compared"
        mend = f"correct `alertmanager.receiver`; it has {', '.join(map(printable, known))}"
        return wrong(CHECK, text, mend)
    if not names:
        text = "which receiver is ours will be learned from the first notification"
        return warning(CHECK, text, "or set `alertmanager.receiver`")
    peers = app.alertmanagers_for(installation.settings, installation.environ, installation.session)
    for peer in peers:
        try:
            look = await peer.look(names)
        except (Temporary, Permanent) as error:
            text, mend = parted(error)
            continue
        who = ", ".join(map(printable, names))
        if look.timed & set(names):
            text = f"the routes to {who} have time intervals, and this version does not show what "
            text += "they mute: an outage after a silence is not taken in"
            return warning(CHECK, text, "use Alertmanager 0.28 or newer")
        count = len({one.alert.identity for one in look.listed})
        every = format_duration(chosen.reconcile)
        text = (
            f"it lists {_count(count)} for {who}, which is compared with the incidents each {every}"
        )
        return good(CHECK, text)
    return wrong(CHECK, text, mend or "look why `/api/v2/alerts/groups` is not answered")


def _count(alerts: int) -> str:
    return "1 alert" if alerts == 1 else f"{alerts} alerts"


def _ours(installation: Installation) -> Ours:
    settings = installation.settings
    external = urlsplit(settings.external_url)
    port = external.port or {"https": 443}.get(external.scheme, 80)
    own = f"{settings.host}:{settings.port}"
    return Ours(
        addresses=tuple(dict.fromkeys((own, f"{external.hostname}:{port}"))),
        token=settings.auth.webhook_token is not None,
        remember=settings.inbox.remember,
        tls=own if settings.tls.on else "",
        certificates=bool(settings.auth.webhook_certificates),
    )
