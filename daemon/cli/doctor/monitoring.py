"""Checks of Prometheus, and of what the rules ask it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from daemon import app
from daemon.adapters.http_access import HttpAccess
from daemon.adapters.prometheus import Prometheus
from daemon.adapters.prometheus_flavour import BUILD_INFORMATION
from daemon.cli.doctor.context import Installation, parted
from daemon.cli.http import fetch
from daemon.config.sections import prometheus_setting
from daemon.core.measurement.query_result import Unmeasurable, one_number
from daemon.core.rules.query_templates import selectors
from daemon.core.rules.rule import Rule
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.units import parse_duration, printable
from daemon.onboarding.alertmanager_config import LOOPBACK
from daemon.onboarding.findings import (
    Finding,
    for_anybody,
    good,
    judge_answers,
    judge_clock,
    judge_names,
    judge_targets,
    judge_windows,
    main_queries,
    warning,
    wrong,
)
from daemon.onboarding.server_findings import (
    hint_findings,
    judge_alerting,
    judge_lag,
    judge_server,
)


async def check_prometheus(installation: Installation) -> AsyncIterator[Finding]:
    """Whether each server answers, agrees on the time, and scrapes."""
    names = _servers_asked(installation)
    for found in await asyncio.gather(*(_checked(installation, name) for name in names)):
        for finding in found:
            yield finding


def _servers_asked(installation: Installation) -> Sequence[str]:
    return installation.settings.prometheus.asked([rule.prometheus for rule in installation.rules])


async def _checked(installation: Installation, name: str) -> list[Finding]:
    """What there is to say of one server."""
    place = f"prometheus {name}" if name else "prometheus"
    try:
        return [replace(one, check=place) async for one in _check_server(installation, name)]
    except (Temporary, Permanent) as error:
        text, mend = parted(error)
        return [wrong(place, text, mend or f"look at `{prometheus_setting(name)}`")]


async def _check_server(installation: Installation, name: str) -> AsyncIterator[Finding]:
    chosen, setting = installation.settings.prometheus.every[name], prometheus_setting(name)
    access = _access(installation, name)
    before = app.now()
    try:
        seconds = chosen.timeout.total_seconds()
        answer = await fetch(installation.session, access, BUILD_INFORMATION, seconds)
    except (Temporary, Permanent) as error:
        text, mend = parted(error)
        yield wrong("prometheus", text, mend or f"set `{setting}.url`; is it running?")
        return
    after = app.now()
    yield good("prometheus", f"{access.address} answers, {_version(answer.data)}")
    if chosen.url.startswith("http:") and access.sent and not _near(chosen.url):
        text = "what we prove ourselves with goes to it in plain text"
        yield warning("prometheus", text, f"write https in `{setting}.url`")
    if answer.at is not None:
        yield judge_clock(_apart(answer.at, before, after))
    metrics = app.prometheus_for(installation.settings, installation.environ, name)
    try:
        up, down = await asyncio.gather(
            _count(metrics, "count(up == 1)"), _count(metrics, "count(up == 0)")
        )
        if metrics.gets:
            text = "it refuses queries as forms, so one that is long for an address fails"
            mend = f"let POST pass on /api/v1/query and query_range, or set `{setting}.method: get`"
            yield warning("prometheus", text, mend)
    finally:
        metrics.close()
    yield judge_targets(up, down, installation.settings.recovery.outage)


async def check_server(installation: Installation) -> AsyncIterator[Finding]:
    """Which kind of server answers, how far its answers are behind, and where its alerts are."""
    names = _servers_asked(installation)
    for found in await asyncio.gather(*(_kind_of(installation, name) for name in names)):
        for finding in found:
            yield finding


async def _kind_of(installation: Installation, name: str) -> list[Finding]:
    """What there is to say of the kind of one server; nothing if it answers no query, which the
    other check says."""
    settings, environ = installation.settings, installation.environ
    chosen = settings.prometheus.every[name]
    given = chosen.given_flavour
    try:
        asked = app.prometheus_for(settings, environ, name)
        unbiased = app.prometheus_for(settings, environ, name, finding_out=True)
    except Permanent:
        return []
    try:
        await asked.instant("vector(1)", app.now())
        server, found = await asyncio.gather(asked.server(), unbiased.server())
        plainly, ours = await asyncio.gather(
            asked.newest(plainly=True), asked.newest(plainly=False)
        )
        judged = [
            judge_server(server, found, given),
            judge_lag(server, _age(plainly), _age(ours), chosen.max_age),
            judge_alerting(server, await _rule_groups(installation, name)),
        ]
    except (Temporary, Permanent, TimeoutError):
        return []
    finally:
        asked.close()
        unbiased.close()
    place = f"prometheus {name}" if name else "prometheus"
    return [replace(one, check=place) for one in judged if one is not None]


def _near(url: str) -> bool:
    return urlsplit(url).hostname in LOOPBACK


async def check_queries(installation: Installation) -> AsyncIterator[Finding]:
    """Whether each rule's queries return something now, scraped often enough."""
    rules: dict[str, list[Rule]] = {}
    for rule in installation.rules:
        rules.setdefault(rule.prometheus or "", []).append(rule)
    known = installation.settings.prometheus.every
    asked = (_asked(installation, name, rules[name]) for name in rules if name in known)
    reports = [report for found in await asyncio.gather(*asked) for report in found]
    for found in reports:
        for finding in found:
            yield finding
    well = sum(all(one.state == "ok" for one in found) for found in reports)
    if well:
        yield good("rules", f"the queries of {well} of {len(reports)} return something now")


async def _asked(
    installation: Installation, name: str, rules: Sequence[Rule]
) -> Sequence[list[Finding]]:
    """What is wrong with the queries of each of the rules of one server; nothing if it answers no
    query, which the other check says."""
    try:
        metrics = app.prometheus_for(installation.settings, installation.environ, name)
    except Permanent:
        return ()
    try:
        await metrics.instant("vector(1)", app.now())
        intervals = await _intervals(installation, name)
        server = await metrics.server()
        return [
            [
                *judge_names(rule, server),
                *await _answers(metrics, rule, intervals, installation),
            ]
            for rule in rules
        ]
    except (Temporary, Permanent, TimeoutError):
        return ()
    finally:
        metrics.close()


async def _answers(
    metrics: Prometheus, rule: Rule, intervals: Mapping[str, timedelta], installation: Installation
) -> list[Finding]:
    """What is wrong with a rule's queries. Raises Temporary."""
    silent: list[str] = []
    refused: dict[str, str] = {}
    partial: dict[str, str] = {}
    hints: list[str] = []
    scrapes: list[timedelta] = []
    for name, template in main_queries(rule.problem).items():
        try:
            query = for_anybody(template, rule.group_by, rule.problem.windows[0])
            answer = await metrics.instant(f"count({query})", app.now())
            hints += answer.hints
            if answer.warnings:
                partial[name] = answer.warnings[0]
                continue
            if not answer.series:
                silent.append(name)
                continue
            for chosen in selectors(query):
                jobs = await metrics.instant(f"group by (job) ({chosen})", app.now())
                found = (intervals.get(series.labels.get("job", "")) for series in jobs.series)
                scrapes += [interval for interval in found if interval is not None]
        except (Permanent, ValueError) as error:
            refused[name] = parted(error)[0]
        except TimeoutError:
            setting = prometheus_setting(rule.prometheus)
            refused[name] = f"it takes longer than `{setting}.timeout`"
    findings = judge_answers(rule.rule, silent, refused, partial)
    findings += hint_findings(rule.rule, hints)
    server = installation.settings.prometheus.every[rule.prometheus or ""]
    windows = judge_windows(rule, scrapes, server.max_age)
    return [*findings, windows] if windows is not None else findings


async def _intervals(installation: Installation, name: str) -> dict[str, timedelta]:
    """How often each job is scraped; empty if that is not told."""
    found: dict[str, timedelta] = {}
    try:
        answer = await _fetched(installation, name, "/api/v1/targets?state=active")
        for target in answer["data"]["activeTargets"]:
            job = str(target["labels"].get("job", ""))
            interval = parse_duration(target["scrapeInterval"])
            found[job] = max(interval, found.get(job, interval))
    except (Temporary, Permanent, KeyError, TypeError, ValueError, AttributeError):
        return {}
    return found


async def _count(metrics: Prometheus, query: str) -> int:
    try:
        return int(one_number(await metrics.instant(query, app.now())) or 0)
    except Unmeasurable as error:
        mend = "look there; while its answers are partial nothing is measured"
        raise Temporary(f"`{query}`: {error.text}; {mend}") from None
    except TimeoutError:
        raise Temporary(f"`{query}` is not answered in time; is it overloaded?") from None


async def _rule_groups(installation: Installation, name: str) -> int:
    """How many groups of rules it tells; 0 if it does not."""
    try:
        return len((await _fetched(installation, name, "/api/v1/rules"))["data"]["groups"])
    except (Temporary, Permanent, KeyError, TypeError):
        return 0


async def _fetched(installation: Installation, name: str, path: str) -> Any:
    """What that server answers, as JSON. Raises Temporary or Permanent."""
    seconds = installation.settings.prometheus.every[name].timeout.total_seconds()
    return (await fetch(installation.session, _access(installation, name), path, seconds)).data


def _access(installation: Installation, name: str) -> HttpAccess:
    """How that server is reached. Raises Permanent."""
    chosen, base = installation.settings.prometheus.every[name], installation.settings.base
    setting = prometheus_setting(name)
    policy = installation.settings.outgoing.policy
    return app.access_for(setting, chosen.url, chosen, installation.secret, base, policy)


def _age(newest: datetime | None) -> timedelta | None:
    return None if newest is None else app.now() - newest


def _apart(theirs: datetime, before: datetime, after: datetime) -> timedelta:
    """How far their clock is ahead: it tells whole seconds of a moment between the two."""
    if before - timedelta(seconds=1) <= theirs <= after:
        return timedelta(0)
    return theirs - (after if theirs > after else before)


def _version(payload: Any) -> str:
    try:
        return f"version {printable(str(payload['data']['version']))}"
    except (KeyError, TypeError):
        return "and does not tell its version"
