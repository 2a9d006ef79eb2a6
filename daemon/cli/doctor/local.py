"""Checks of what is on this machine: settings, rules, secrets, the store, the address."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import stat
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from daemon import app
from daemon.adapters.store import (
    CHECKED_AT_START,
    PostgresAddress,
    StorePlace,
    audit_incident,
    must_not_be_missing,
    open_store,
)
from daemon.app.tracing import require_tracing
from daemon.cli.client import own_url
from daemon.cli.doctor.context import Installation, parted
from daemon.config.audit_keys import keyring_for
from daemon.config.secrets import missing_secrets, secret_references
from daemon.core.values.outcome import Temporary
from daemon.onboarding.alertmanager_config import LOOPBACK
from daemon.onboarding.findings import Finding, good, judge_disk, warning, wrong

MOST_MISTAKES = 5
_VERSION = re.compile(r'^stopgap_build_info\{[^}]*version="([^"]*)"', re.MULTILINE)


async def check_settings(installation: Installation) -> AsyncIterator[Finding]:
    """Whether people can use the links that they get, and what the settings want is installed."""
    settings = installation.settings
    host = urlsplit(settings.external_url).hostname or ""
    if host in LOOPBACK:
        text = f"the links in pages lead to {settings.external_url}, which only this machine has"
        yield warning("settings", text, "set `external_url` to how people's phones reach it")
    else:
        yield good("settings", f"the links in pages lead to {settings.external_url}")
    auth = settings.auth
    if not (auth.webhook_token or auth.webhook_certificates or auth.webhook_signing_secret):
        text = "anybody on this machine can deliver alerts"
        yield warning("settings", text, "set `auth.webhook_token`, and give it to Alertmanager")
    require_tracing(settings)


async def check_rules_folder(installation: Installation) -> AsyncIterator[Finding]:
    """Mistakes in the files; steps that wait for an approval."""
    ruleset, rules = installation.ruleset, installation.rules
    for mistake in ruleset.mistakes[:MOST_MISTAKES]:
        yield wrong("rules", str(mistake), "mend it; `stopgap check` lists all mistakes")
    more = len(ruleset.mistakes) - MOST_MISTAKES
    if more > 0:
        yield wrong("rules", f"{more} more mistakes", "`stopgap check` lists them")
    if not rules and not ruleset.mistakes:
        text = "there are no rules: alerts call people, but nothing is measured"
        yield warning("rules", text, "`stopgap init --from-prometheus URL` proposes some")
    if not ruleset.mistakes and rules:
        observing = sum(rule.mode == "observe" for rule in rules)
        text = f"{len(rules)} rule{'' if len(rules) == 1 else 's'}, the roster: no mistake"
        yield good("rules", f"{text}; {observing} only observe" if observing else text)
    for rule in rules:
        for number, step in enumerate(rule.recover, 1):
            approval_state, text = ruleset.approvals.state_of(rule, number, app.now())
            text = text.partition("; see ")[0]
            if (step.approval, rule.mode) == (
                "automatic",
                "automatic",
            ) and approval_state != "valid":
                mend = f"look at it, then: stopgap approve {rule.rule} --step {number}"
                yield warning(f"rule {rule.rule}", f"step {number} ({step.action}): {text}", mend)


async def check_secrets(installation: Installation) -> AsyncIterator[Finding]:
    """Whether each secret that is named can be read, and by nobody else."""
    settings, roster = installation.settings, installation.roster
    named = dict(secret_references(settings))
    missing = list(missing_secrets(settings, installation.environ, settings))
    if roster is not None:
        named |= dict(secret_references(roster, ("roster",)))
        missing += missing_secrets(roster, installation.environ, settings, ("roster",))
    for place, why, mend in missing:
        yield wrong("secrets", f"{place}: {why}", mend)
    unread = {one.place for one in missing}
    for place, reference in named.items():
        if place in unread or not reference.startswith("file:"):
            continue
        if _public(installation, reference):
            path = reference.removeprefix("file:")
            text = f"{place}: others on this machine can read {path}"
            yield warning("secrets", text, f"chmod 600 {path}")
    if named and not missing:
        yield good("secrets", f"{len(named)} of {len(named)} can be read")


async def check_store_health(installation: Installation) -> AsyncIterator[Finding]:
    """The database: ours, of this version, whole; a file also writable, with room on its disk."""
    place = app.store_at(installation.settings, installation.environ)
    if isinstance(place, PostgresAddress):
        async for finding in _look_into(installation, place, thorough=False):
            yield finding
        return
    path, folder = place, place.parent
    if not folder.is_dir():
        yield wrong("store", f"there is no folder {folder}", f"mkdir -p {folder}")
        return
    if not os.access(folder, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.W_OK)):
        text = f"{path} cannot be written by this user"
        yield wrong("store", text, "run this as the daemon's user, or change the owner")
    yield judge_disk(shutil.disk_usage(folder).free)
    try:
        must_not_be_missing(path)
    except Temporary as error:
        yield wrong("store", *parted(error))
        return
    if not path.exists():
        yield good("store", f"{path} will be made at the first start")
        return
    async for finding in _look_into(
        installation, path, thorough=path.stat().st_size <= CHECKED_AT_START
    ):
        yield finding


async def _look_into(
    installation: Installation, place: StorePlace, *, thorough: bool
) -> AsyncIterator[Finding]:
    """What is in it; `thorough`: it is read through. Raises Temporary, Permanent."""
    keyring = keyring_for(installation.settings, installation.environ)
    async with open_store(place, readonly=True, keyring=keyring) as store:
        if thorough:
            await store.condition.recheck()
        for text in store.condition.faults.values():
            yield wrong("store", *parted(Temporary(text)))
        heads = await store.journal.heads(1)
        breaks = await audit_incident(store.journal, heads[0].incident) if heads else []
        count = len(await store.journal.open_heads())
    for found in breaks:
        yield wrong("store", str(found), f"`stopgap audit verify`; {found.mend}")
    if not breaks:
        how = "its newest incident is whole" if heads else "it has no incident yet"
        rest = "" if thorough else "; `stopgap store check` looks through all of it"
        yield good("store", f"{place}: {how}; open: {count}{rest}")


async def check_address(installation: Installation) -> AsyncIterator[Finding]:
    """Whether the address is free, or has a ready daemon of this version."""
    settings = installation.settings
    url = own_url(settings)
    timeout = aiohttp.ClientTimeout(total=5)
    try:
        # It is asked by an address that its certificate need not have; another check looks at that.
        async with installation.session.get(f"{url}/-/ready", timeout=timeout, ssl=False) as answer:
            text, status = await answer.text(), answer.status
        async with installation.session.get(f"{url}/metrics", timeout=timeout, ssl=False) as answer:
            running = _VERSION.search(await answer.text())
    except (aiohttp.ClientError, TimeoutError, OSError, UnicodeDecodeError) as error:
        refused = not isinstance(error, aiohttp.ClientConnectorError)
        if settings.tls.client_certificates == "required" and refused:
            text = f"{url} wants to see a certificate, so it was not asked whether it is ready"
            yield warning("daemon", text, f"ask {url}/-/ready with one")
            return
        yield _free(settings.host, settings.port)
        return
    if status == 503 and "starting up or shutting down" in text:
        yield warning("daemon", f"the one at {url} is not ready", "look at its log")
    elif status == 503 and _detail(text):
        yield wrong("daemon", f"the one at {url} takes no alerts", _detail(text))
    elif status != 200 or "Stopgap" not in text:
        mend = "`listen` in stopgap.yaml takes another address"
        yield wrong("daemon", f"something else answers at {url}", mend)
    elif running is not None and running[1] != version("stopgap"):
        text = f"version {running[1]} runs at {url}; this is {version('stopgap')}"
        yield warning("daemon", text, "restart it")
    else:
        yield good("daemon", f"it runs at {url} and is ready")


def _detail(problem: str) -> str:
    """What a problem document of ours says; empty if it is none."""
    try:
        found = json.loads(problem)
        return str(found["detail"]) if found["title"] == "Not ready" else ""
    except (ValueError, KeyError, TypeError):
        return ""


def _free(host: str, port: int) -> Finding:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            text = f"cannot listen on {host}:{port}: {error.strerror}"
            return wrong("daemon", text, "`listen` in stopgap.yaml takes another address")
    return good("daemon", f"none runs; {host}:{port} is free")


def _public(installation: Installation, reference: str) -> bool:
    path = installation.settings.base / Path(reference.removeprefix("file:"))
    return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
