"""Checks of Prometheus, and of what the rules ask it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from daemon import app
from daemon.adapters.prometheus import Prometheus
from daemon.cli.doctor.context import Installation, parted
from daemon.cli.http import fetch, shown_url
from daemon.core.measurement.query_result import Unmeasurable, one_number
from daemon.core.rules.query_templates import selectors
from daemon.core.rules.rule import Rule
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.units import parse_duration, printable
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
    wrong,
)


async def check_prometheus(installation: Installation) -> AsyncIterator[Finding]:
    """Whether it answers, agrees on the time, and scrapes."""
    chosen = installation.settings.prometheus
    base, bearer = chosen.url.rstrip("/"), installation.known(chosen.bearer_token)
    seconds, trust = chosen.timeout.total_seconds(), app.prometheus_trust(installation.settings)
    before = app.now()
    try:
        url = f"{base}/api/v1/status/buildinfo"
        answer = await fetch(installation.session, url, seconds, bearer, trust)
    except (Temporary, Permanent) as error:
        text, mend = parted(error)
        yield wrong("prometheus", text, mend or "set `prometheus.url`; is it running?")
        return
    after = app.now()
    yield good("prometheus", f"{shown_url(base)} answers, {_version(answer.data)}")
    if answer.at is not None:
        yield judge_clock(_apart(answer.at, before, after))
    metrics = app.prometheus_for(installation.settings, installation.environ)
    try:
        up, down = await asyncio.gather(
            _count(metrics, "count(up == 1)"), _count(metrics, "count(up == 0)")
        )
    finally:
        metrics.close()
    yield judge_targets(up, down, installation.settings.recovery.outage)


async def check_queries(installation: Installation) -> AsyncIterator[Finding]:
    """Whether each rule's queries return something now, scraped often enough."""
    metrics = app.prometheus_for(installation.settings, installation.environ)
    try:
        await metrics.instant("vector(1)", app.now())
        version = await metrics.version()
        intervals = await _intervals(installation)
        reports = [
            (rule, await _answers(metrics, rule, intervals, installation))
            for rule in installation.rules
        ]
    except Temporary:
        return  # the other check says so
    finally:
        metrics.close()
    for rule, found in reports:
        names = judge_names(rule, version)
        if names is not None:
            yield names
        for finding in found:
            yield finding
    well = sum(not found for _, found in reports)
    if well:
        yield good("rules", f"the queries of {well} of {len(reports)} return something now")


async def _answers(
    metrics: Prometheus, rule: Rule, intervals: Mapping[str, timedelta], installation: Installation
) -> list[Finding]:
    """What is wrong with a rule's queries. Raises Temporary."""
    silent: list[str] = []
    refused: dict[str, str] = {}
    scrapes: list[timedelta] = []
    for name, template in main_queries(rule.problem).items():
        try:
            query = for_anybody(template, rule.group_by, rule.problem.windows[0])
            answer = await metrics.instant(f"count({query})", app.now())
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
            refused[name] = "it takes longer than `prometheus.timeout`"
    findings = judge_answers(rule.rule, silent, refused)
    windows = judge_windows(rule, scrapes, installation.settings.prometheus.max_age)
    return [*findings, windows] if windows is not None else findings


async def _intervals(installation: Installation) -> dict[str, timedelta]:
    """How often each job is scraped; empty if that is not told."""
    chosen = installation.settings.prometheus
    url = f"{chosen.url.rstrip('/')}/api/v1/targets?state=active"
    bearer, seconds = installation.known(chosen.bearer_token), chosen.timeout.total_seconds()
    found: dict[str, timedelta] = {}
    try:
        trust = app.prometheus_trust(installation.settings)
        answer = await fetch(installation.session, url, seconds, bearer, trust)
        for target in answer.data["data"]["activeTargets"]:
            job = str(target["labels"].get("job", ""))
            interval = parse_duration(target["scrapeInterval"])
            found[job] = max(interval, found.get(job, interval))
    except (Temporary, Permanent, KeyError, TypeError, ValueError, AttributeError):
        return {}
    return found


async def _count(metrics: Prometheus, query: str) -> int:
    try:
        return int(one_number(await metrics.instant(query, app.now())) or 0)
    except (Unmeasurable, TimeoutError):
        raise Temporary(f"`{query}` is not answered; is it overloaded?") from None


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
