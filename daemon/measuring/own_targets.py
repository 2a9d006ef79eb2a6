"""The scrape targets of the service itself. When they are down, that may be its own failure.

They are told by what the targets are called: those with the group's label on `up`
(`up{service="shop"}`), and those of a job of that name (`up{job="shop"}`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from daemon.core.changes.change import Change
from daemon.core.changes.comparison import OwnTargetsDown
from daemon.core.changes.scoring import SUSPECT_WINDOW, span_words
from daemon.core.measurement.query_result import Unmeasurable, finite_samples, one_number
from daemon.core.rules.query_templates import UnsafeLabel, quote, render_query, selectors
from daemon.core.values.units import clock_time, format_duration, printable
from daemon.measuring.queries import Survey

_MOST = 20
"""Of more kinds of targets than that nobody can say whose they are."""
_POINTS = 900
"""So many moments are looked at to find since when they are down."""
_MOSTLY = 0.75
"""Down for this share of a stretch of time is down since its beginning: what crashes comes up in
between, and what missed one scrape before was not down."""
_NAMED = re.compile(r'[{,]service="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class OwnTargets:
    """The service's own targets: an expression that selects their `up`, and their jobs."""

    up: str
    jobs: tuple[str, ...]


async def own_targets(survey: Survey) -> OwnTargets | None:
    """The targets of the incident's own service that there were within the baseline's look-back;
    None if none can be told from those of others. Raises Unmeasurable."""
    identity, name = _identity(survey)
    if not identity:
        return None
    back = format_duration(survey.spec.baseline)
    chosen = [_selector(identity), *([_selector({"job": name})] if name else [])]
    kept = ", ".join(sorted({"job", *survey.labels, *identity}))
    past = " or ".join(f"last_over_time({one}[{back}])" for one in chosen)
    answer = await survey.ask(f"group by ({kept}) ({past})")
    ours = [s.labels for s in answer.series if s.labels.get("job") and _ours(s.labels, survey)]
    if not ours or len(ours) > _MOST or answer.warnings:
        return None
    names = sorted({"job", *survey.labels, *identity})
    each = sorted({_selector({n: labels.get(n, "") for n in names}) for labels in ours})
    return OwnTargets(f"({' or '.join(each)})", tuple(sorted({labels["job"] for labels in ours})))


async def own_targets_down(survey: Survey, own: OwnTargets) -> OwnTargetsDown | None:
    """How many of them are down now, and since when; None if all are up, or none is known any
    more. Raises Unmeasurable."""
    down = one_number(await survey.ask(f"count({own.up} == 0) or vector(0)")) or 0.0
    known = one_number(await survey.ask(f"count({own.up})")) or 0.0
    if not down or not known:
        return None
    span = survey.spec.baseline
    step = max(span / _POINTS, timedelta(seconds=1))
    query = f"count({own.up} == 0) or vector(0)"
    history = finite_samples(await survey.ask_over(query, span, step))
    return OwnTargetsDown(down=int(down), known=int(known), since=_since(history))


async def explain_silence(
    survey: Survey, changes: Sequence[Change], trouble: Unmeasurable
) -> Unmeasurable:
    """The trouble, or, if it is that all of the service's own targets are down, that: since when,
    and after which change."""
    if trouble.reason not in {"targets_down", "empty_answer"}:
        return trouble
    try:
        own = await own_targets(survey)
        found = await own_targets_down(survey, own) if own is not None else None
    except Unmeasurable:
        return trouble
    if own is None or found is None or found.down < found.known:
        return trouble
    jobs = ", ".join(map(printable, own.jobs))
    text = f"the service's own targets (job {jobs}) are down{_when(found.since, changes)}"
    text += "; nothing independent measures it, so nothing is done by itself"
    return Unmeasurable("no_data", "own_targets_down", text)


def _when(since: datetime | None, changes: Sequence[Change]) -> str:
    if since is None:
        return " for longer than the look-back"
    told = f" since {clock_time(since)}"
    before = [c for c in changes if timedelta(0) <= since - c.at <= SUSPECT_WINDOW]
    if before:
        last = max(before, key=lambda change: change.at)
        lead = span_words(since - last.at)
        told += f", {lead} after {printable(last.subject)} → {printable(last.item)}"
    return told


def _identity(survey: Survey) -> tuple[Mapping[str, str], str]:
    """The labels by which its targets are known, and its name, if these are one."""
    labels = {name: value for name, value in survey.labels.items() if value}
    if "service" in labels:
        return {"service": labels["service"]}, labels["service"]
    if labels:
        return labels, next(iter(labels.values())) if len(labels) == 1 else ""
    width = survey.spec.windows[0]
    try:
        rendered = [render_query(query, survey.labels, width) for query in survey.spec.main]
        chosen = [one for query in rendered for one in selectors(query)]
    except UnsafeLabel:
        return {}, ""
    named = {found for one in chosen for found in _NAMED.findall(one)}
    if len(named) != 1 or "\\" in (name := named.pop()):
        return {}, ""
    return {"service": name}, name


def _ours(found: Mapping[str, str], survey: Survey) -> bool:
    """Whether no label of such targets speaks of another group."""
    return all(found.get(n, "") in {"", value} for n, value in survey.labels.items())


def _selector(labels: Mapping[str, str]) -> str:
    inner = ",".join(f"{name}={quote(value)}" for name, value in labels.items())
    return f"up{{{inner}}}"


def _since(history: Sequence[tuple[float, float]]) -> datetime | None:
    """Since when some have been down most of the time; None if longer than the history goes."""
    begin: float | None = None
    times_down = 0
    for count, (at, down) in enumerate(reversed(history), start=1):
        times_down += bool(down)
        if down and times_down >= _MOSTLY * count:
            begin = at
    if begin is None or begin == history[0][0]:
        return None
    return datetime.fromtimestamp(begin, UTC)
