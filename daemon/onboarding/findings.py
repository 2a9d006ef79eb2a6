"""What `stopgap doctor` finds: judgements of what was asked of the world. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Literal

from daemon.config.sections import prometheus_setting
from daemon.core.measurement.flavours import MetricsServer
from daemon.core.rules import promql
from daemon.core.rules.query_templates import UnsafeLabel, render_query
from daemon.core.rules.rule import ProblemSpec, Rule
from daemon.core.rules.threshold_spec import threshold_queries
from daemon.core.values.units import format_duration, printable

FindingState = Literal["ok", "warning", "wrong"]
SCRAPES = 4
"""So many scrapes should fit into the shortest window."""
CLOCK_WARNING, CLOCK_WRONG = timedelta(seconds=5), timedelta(seconds=30)
FREE_WARNING, FREE_WRONG = 1 << 30, 100 << 20
"""Bytes left on the disk of the store."""
_ANYBODY = "stopgap0anybody"
CALM = frozenset(
    {
        *("no_healthy_item", "no_history", "at_bound", "not_rolling"),
        *("already_live", "already_scaled", "already_so", "already_aborted"),
        *("already_reverted", "commit_unknown"),
    }
)
"""Refusals of a preflight that are as it should be while nothing is broken."""
BROKEN = frozenset(
    {
        *("forbidden", "not_configured", "command_not_allowed", "host_not_allowed"),
        *("no_such_cluster", "no_such_workload", "no_such_release", "no_such_application"),
        *("no_directory", "not_a_release_directory", "not_writable", "program_missing"),
        *("secret_unreadable", "dry_run_failed", "not_in_parts"),
        *("repository_not_allowed", "direct_not_allowed", "other_repository"),
        *("refused_by_git_host", "managed_by_applicationset"),
    }
)
"""Refusals that no incident would lift."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: how it stands, and how to mend it (empty if it is well)."""

    state: FindingState
    check: str
    text: str
    mend: str = ""


def good(check: str, text: str) -> Finding:
    """It is well."""
    return Finding("ok", check, text)


def warning(check: str, text: str, mend: str) -> Finding:
    """It works, but not as well as it should."""
    return Finding("warning", check, text, mend)


def wrong(check: str, text: str, mend: str) -> Finding:
    """It does not work."""
    return Finding("wrong", check, text, mend)


def judge_clock(ahead: timedelta) -> Finding:
    """How far Prometheus's clock is `ahead` of ours; it tells whole seconds alone."""
    far = abs(ahead)
    text = f"its clock and ours are {format_duration(far)} apart"
    if far >= CLOCK_WRONG:
        return wrong("prometheus", text, "set both by NTP; samples would count as stale")
    if far >= CLOCK_WARNING:
        return warning("prometheus", text, "set both by NTP")
    return good("prometheus", "its clock agrees with ours")


def judge_targets(up: int, down: int, outage: float) -> Finding:
    """How many scrape targets answer; from the share `outage` the monitoring is not believed."""
    total = up + down
    text = f"{up} of {total} scrape targets answer"
    if total == 0:
        return wrong("prometheus", "it scrapes nothing", "look at its scrape_configs")
    if down / total >= outage:
        mend = "mend the targets; while so many are down nothing is recovered by itself"
        return wrong("prometheus", text, mend)
    return good("prometheus", text)


def judge_windows(rule: Rule, scrapes: Collection[timedelta], max_age: timedelta) -> Finding | None:
    """Whether the rule's windows hold enough scrapes of what it measures; None if they do."""
    slowest = max(scrapes, default=timedelta(0))
    shortest = rule.problem.windows[0]
    place = f"rule {rule.rule}"
    if SCRAPES * slowest > shortest:
        text = f"its window of {format_duration(shortest)} holds fewer than {SCRAPES} scrapes: what"
        text = f"{text} it measures is scraped every {format_duration(slowest)}"
        mend = f"start `windows` with {format_duration(SCRAPES * slowest)} or more"
        return warning(place, text, mend)
    if 2 * slowest > max_age:
        text = f"what it measures is scraped every {format_duration(slowest)}"
        text = f"{text}, and older samples than {format_duration(max_age)} count as an outage"
        setting = f"{prometheus_setting(rule.prometheus)}.max_age"
        mend = f"set `{setting}` to {format_duration(SCRAPES * slowest)}"
        return warning(place, text, mend)
    return None


def judge_preflight(check: str, description: str, reason: str, text: str) -> Finding | None:
    """What a step's preflight refused while all is well; None if that is as it should be."""
    if reason in CALM:
        return None
    message = f"{description} would be refused ({reason}): {text}"
    if reason in BROKEN:
        return wrong(check, message, "mend it, or the step can never run")
    return warning(check, message, "is it meant to be so? If not, mend it or take another action")


def judge_disk(free: int) -> Finding:
    """The bytes that are left where the store is."""
    left = f"{free / (1 << 30):.1f} GB" if free >= 1 << 30 else f"{free >> 20} MB"
    text = f"{left} are free on its disk"
    if free < FREE_WRONG:
        return wrong("store", text, "make room: without it alerts are answered 503")
    if free < FREE_WARNING:
        return warning("store", text, "make room")
    return good("store", text)


def for_anybody(template: str, labels: Collection[str], window: timedelta) -> str:
    """A rule's query whatever the labels of the incident are. Raises ValueError."""
    try:
        query = render_query(template, dict.fromkeys(labels, _ANYBODY), window)
    except UnsafeLabel as error:
        raise ValueError(str(error)) from None
    exact = re.compile(rf"""(?<![!=~])=\s*("[^"]*{_ANYBODY}[^"]*"|'[^']*{_ANYBODY}[^']*')""")
    return exact.sub(lambda match: f"=~{match[1]}", query).replace(_ANYBODY, ".+")


def main_queries(spec: ProblemSpec) -> Mapping[str, str]:
    """The queries without whose answer nothing is measured. `bad` is none of them: that nothing
    fails is no mistake."""
    queries = {"total": spec.total, "value": spec.value}
    if spec.threshold is not None and spec.value is None:
        written = spec.threshold.model_dump(mode="json", by_alias=True)
        named = threshold_queries(written)
        queries |= {".".join(map(str, place)): str(query) for place, query in named}
    return {name: query for name, query in queries.items() if query is not None}


def judge_names(rule: Rule, server: MetricsServer) -> list[Finding]:
    """Whether the server has labels of the names that the rule's queries quote; nothing if it
    may."""
    if server.flavour != "prometheus" or not server.version.startswith(("1.", "2.")):
        return []
    names: list[str] = []
    for template in (*main_queries(rule.problem).values(), rule.problem.bad or ""):
        try:
            query = for_anybody(template, rule.group_by, rule.problem.windows[0])
            names += promql.unusual_names(promql.parsed(query))
        except ValueError:
            continue  # `stopgap check` says what is wrong with it
    if not names:
        return []
    shown = ", ".join(map(printable, dict.fromkeys(names)))
    text = f"its queries name {shown}, and {printable(server.title)} has no such names"
    mend = "names of any text came with Prometheus 3.0: update it, or use the names that it has"
    return [wrong(f"rule {rule.rule}", text, mend)]


def judge_answers(
    rule: str,
    silent: Sequence[str],
    refused: Mapping[str, str],
    partial: Mapping[str, str] = MappingProxyType({}),
) -> list[Finding]:
    """What a rule's queries return now: which are `silent`, and which are `refused` or answered in
    part, and why."""
    place = f"rule {rule}"
    found = [
        wrong(place, f"`{name}` is refused: {why}", f"mend `problem.{name}`")
        for name, why in refused.items()
    ]
    for name, why in partial.items():
        text = f"the answer of `{name}` is partial, so the problem could not be measured: {why}"
        found.append(wrong(place, text, "look at what Prometheus reads from: a store is away"))
    for name in silent:
        text = f"`{name}` returns nothing now, so the problem could not be measured"
        mend = "look at it in Prometheus: is a metric or a label spelled otherwise?"
        found.append(warning(place, text, mend))
    return found
