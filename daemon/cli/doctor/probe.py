"""Proof of the way from Alertmanager to the daemon: a test alert that the daemon recognises.

What Alertmanager's configuration says is no proof: newer versions hide the addresses of webhooks,
and no configuration tells that the token is right or the network open.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp

from daemon import app
from daemon.adapters.alertmanager import Alertmanager
from daemon.adapters.store import Store, open_store
from daemon.cli.client import own_url
from daemon.cli.doctor.context import Installation, parted
from daemon.core.alertmanager import Alert
from daemon.core.reconciliation.probe_alerts import PROBE_LABEL, PROBE_NOTE, signed_labels
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.units import printable
from daemon.onboarding.alert_routing import ProbePlan, plan_probe
from daemon.onboarding.findings import Finding, good, warning, wrong

_CHECK = "alertmanager"
_NAME = "StopgapTestAlert"
ARRIVES_WITHIN = timedelta(seconds=12)
"""It is dated so far back that no route waits for more alerts of its group."""
_LASTS = timedelta(minutes=2)
_EACH_SECONDS = 0.2
_OPTION = "`stopgap doctor --send-test-alert` sends it all the same"


@dataclass(frozen=True)
class RouteProof:
    """Whether the test alert arrived, and what there is to say of it."""

    arrived: bool
    finding: Finding


async def prove_route(
    installation: Installation,
    config: Mapping[str, Any],
    ours: Collection[str],
    peer: Alertmanager,
    *,
    guessed: bool,
) -> RouteProof:
    """Send a test alert that goes to one of our receivers, if it may be sent, and wait for it.

    `ours`: the receivers that lead to us; `guessed`: nothing says so but their names.
    """
    if installation.test_alert is False:
        return _untried("--no-test-alert")
    if not await _running(installation):
        return _untried(f"no daemon runs at {own_url(installation.settings)} that could take it")
    number = secrets.token_hex(6)
    try:
        plan = plan_probe(config, ours, f"{_NAME}_{number}", number)
    except ValueError as error:
        return _untried(f"its routes cannot be read: {printable(str(error))}")
    if plan is None:
        return _untried("no labels were found that its routes would send to us")
    why = _objection(plan, guessed=guessed and "stopgap" not in "".join(ours).casefold())
    if why and not installation.test_alert:
        return RouteProof(False, warning(_CHECK, f"its way to us was not tried: {why}", _OPTION))
    try:
        place = app.store_at(installation.settings, installation.environ)
        async with open_store(place, readonly=True) as store:
            return await _sent(store, peer, plan, number)
    except (Temporary, Permanent) as error:
        text, mend = parted(error)
        return RouteProof(False, wrong(_CHECK, f"its way to us could not be tried: {text}", mend))


def _untried(why: str) -> RouteProof:
    return RouteProof(False, good(_CHECK, f"no test alert was sent through it: {why}"))


def _objection(plan: ProbePlan, *, guessed: bool) -> str:
    """Why nobody should send it unasked; empty if anybody may."""
    if plan.others:
        others = ", ".join(map(printable, plan.others))
        return f"a test alert would also go to {others}"
    if plan.inhibits:
        return "while a test alert fires, an inhibit rule would keep others from being told"
    if guessed:
        return "it hides where its webhooks lead, so a test alert may go to somebody else"
    return ""


async def _running(installation: Installation) -> bool:
    url = f"{own_url(installation.settings)}/-/ready"
    timeout = aiohttp.ClientTimeout(total=5)
    try:
        async with installation.session.get(url, timeout=timeout, ssl=False) as answer:
            return answer.status == 200 and "Stopgap" in await answer.text()
    except (aiohttp.ClientError, TimeoutError, OSError, UnicodeDecodeError):
        return False


async def _sent(store: Store, peer: Alertmanager, plan: ProbePlan, number: str) -> RouteProof:
    """Send it, wait for it, and let it end. Raises Temporary or Permanent."""
    secret = (await store.keys.read()).signing.secret
    now, loop = app.now(), asyncio.get_running_loop()
    alert = Alert(
        status="firing",
        labels=signed_labels(plan.labels, number, secret, now),
        annotations={
            "summary": "A test of the way from Alertmanager to Stopgap by `stopgap doctor`: "
            "nothing is wrong, and it ends by itself."
        },
        starts_at=now - plan.group_wait - timedelta(seconds=1),
        ends_at=now + _LASTS,
    )
    began = loop.time()
    await peer.post(alert)
    try:
        if await _arrives(store, number):
            ours = {leg.receiver for leg in plan.legs} - set(plan.others)
            text = f"a test alert came through it by {', '.join(map(printable, sorted(ours)))} in "
            text += f"{loop.time() - began:.1f} s and paged nobody here"
            if plan.others:
                text += f"; it went to {', '.join(map(printable, plan.others))}, too"
            return RouteProof(True, good(_CHECK, text))
        placed = await peer.where(PROBE_LABEL, alert.labels[PROBE_LABEL])
    finally:
        await peer.post(alert.model_copy(update={"ends_at": app.now()}))
    seconds = f"{ARRIVES_WITHIN.total_seconds():.0f} s"
    text = f"a test alert was sent to it and did not come to us within {seconds}"
    if placed is None:
        return RouteProof(False, wrong(_CHECK, f"{text}: it does not list it", "look at its log"))
    who = ", ".join(placed.receivers) or "nobody"
    if placed.state == "suppressed":
        mend = "end that silence, or send the test alert again afterwards"
        return RouteProof(
            False, warning(_CHECK, f"{text}: it is silenced or inhibited there", mend)
        )
    mend = "look at its log, and at /metrics for alertmanager_notifications_failed_total: is the "
    mend += "webhook's address right, its token that of `auth.webhook_token`, the network open?"
    return RouteProof(False, wrong(_CHECK, f"{text}; it goes to {who}", mend))


async def _arrives(store: Store, number: str) -> bool:
    """Whether the daemon notes its arrival in time. Raises Temporary or Permanent."""
    try:
        async with asyncio.timeout(ARRIVES_WITHIN.total_seconds()):
            # Another process notes it: there is nothing here to wait for but time.
            while number not in await store.notes.read(PROBE_NOTE):  # noqa: ASYNC110
                await asyncio.sleep(_EACH_SECONDS)
    except TimeoutError:
        return False
    return True
