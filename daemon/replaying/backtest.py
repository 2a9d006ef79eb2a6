"""A rule over the past of a Prometheus: when it would have acted, and against what.

Each time at which an alert of the rule fired is lived through by a virtual daemon, which asks that
Prometheus about the past. What its steps would have changed stays as it was: what is told of is the
first decision, not what would have come of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby

from daemon.config.active import ActiveConfig
from daemon.core.alertmanager import own_alert
from daemon.core.cases.comparison import opened_by
from daemon.core.cases.decisions import RecordedDecision, decisions
from daemon.core.changes.change import Change
from daemon.core.incident import events as e
from daemon.core.ports.metrics import Metrics
from daemon.core.recovery.approvals import Approval, Approvals
from daemon.core.rules.query_templates import matcher_text
from daemon.core.rules.rule import Rule, RuleBook
from daemon.core.values.units import format_duration
from daemon.replaying.case_runner import House
from daemon.replaying.happenings import ChangeArrives, DeliveryArrives
from daemon.replaying.virtual_daemon import VirtualDaemon, World
from daemon.replaying.virtual_time import run_virtually

_STEP = timedelta(minutes=1)
"""How closely the alerts of the past are looked at."""
_AT_ONCE = 10_000
"""Samples of a series that Prometheus answers with in one go; it refuses more than 11,000."""
_APART = timedelta(minutes=10)
"""What fires again so soon is the same episode."""
_LIVED = timedelta(minutes=15)
"""So much of each episode is lived through; by then it is decided."""
_BEFORE = timedelta(minutes=1)
_PRECISION = timedelta(seconds=1)
"""How exactly it is known when an alert fired."""


@dataclass(frozen=True)
class Episode:
    """That alerts of the rule fired for one group: their labels, from when until when."""

    labels: Mapping[str, str]
    begin: datetime
    end: datetime


@dataclass(frozen=True)
class Backtested:
    """What the rule would have done in one episode. `statement`: the problem, as it was measured;
    `acts`: what it would have started, empty if nothing; `why_not`: why it did not, if so."""

    episode: Episode
    verdict: str
    statement: str
    acts: tuple[RecordedDecision, ...]
    asks: tuple[RecordedDecision, ...]
    why_not: str


async def alert_episodes(
    metrics: Metrics, rule: Rule, since: datetime, until: datetime
) -> list[Episode]:
    """When alerts of the rule fired, by what Prometheus kept of them, oldest first. Raises
    Temporary, Permanent, TimeoutError."""
    # Over the whole step, for an alert may have fired for less than that.
    query = f"max_over_time({_firing(rule)}[{format_duration(_STEP)}])"
    seen: dict[tuple[tuple[str, str], ...], set[float]] = {}
    # Of whole minutes, so that who asks again is told the same.
    begin = since.replace(second=0, microsecond=0)
    while begin < until:
        end = min(begin + _AT_ONCE * _STEP, until)
        answer = await metrics.series(query, begin, end, _STEP)
        for series in answer.series:
            hidden = {"__name__", "alertstate"}
            labels = tuple(sorted((n, v) for n, v in series.labels.items() if n not in hidden))
            seen.setdefault(labels, set()).update(at for at, _ in series.samples)
        begin = end + _STEP
    return [await _dated(metrics, rule, one) for one in _episodes(rule, seen)]


def _firing(rule: Rule) -> str:
    """What selects the alerts of the rule that fire."""
    matchers = "".join(f",{matcher_text(m.name, m.op, m.value)}" for m in rule.match)
    return f'ALERTS{{alertstate="firing"{matchers}}}'


async def _dated(metrics: Metrics, rule: Rule, episode: Episode) -> Episode:
    """The episode with its beginning to the second."""
    answer = await metrics.series(_firing(rule), episode.begin - _STEP, episode.begin, _PRECISION)
    group = rule.group(episode.labels)
    first = [one.samples[0][0] for one in answer.series if rule.group(one.labels) == group]
    at = min(first, default=episode.begin.timestamp())
    return replace(episode, begin=datetime.fromtimestamp(at, UTC))


def _episodes(
    rule: Rule, seen: Mapping[tuple[tuple[str, str], ...], Iterable[float]]
) -> list[Episode]:
    """Those of one group that follow each other closely are one."""
    moments = [
        (tuple(sorted(rule.group(dict(labels)).items())), at, labels)
        for labels, times in seen.items()
        for at in times
    ]
    found: list[Episode] = []
    for _, group in groupby(sorted(moments), key=lambda one: one[0]):
        last: Episode | None = None
        for _, seconds, labels in group:
            at = datetime.fromtimestamp(seconds, UTC)
            if last is not None and at - last.end <= _APART:
                last = replace(last, end=at)
                found[-1] = last
            else:
                last = Episode(dict(labels), at, at)
                found.append(last)
    return sorted(found, key=lambda one: one.begin)


def backtest(
    rule: Rule,
    house: House,
    metrics: Metrics,
    changes: Sequence[Change],
    episode: Episode,
    now: datetime,
) -> Backtested:
    """Live through one episode as if the rule were automatic and its steps approved. What comes
    after `now` nobody knows. Raises Temporary, Permanent, TimeoutError."""
    rule = rule.model_copy(update={"mode": "automatic"})
    begins = episode.begin - _BEFORE
    until = min(episode.begin + _LIVED, now)
    world = World(
        config=ActiveConfig(RuleBook([rule]), house.roster, _approved(rule, begins)),
        metrics=metrics,
        actions=house.actions,
        limits=house.limits,
        begins=begins,
        restricted=house.restricted,
        outage=house.outage,
        max_age=house.age_for(rule),
    )
    labels = dict(episode.labels)
    name = labels.pop("alertname", rule.rule)
    alert = own_alert(name, labels, rule.description or rule.rule, episode.begin, None)

    async def live() -> VirtualDaemon:
        daemon = VirtualDaemon(world)
        async with daemon.running():
            # What was changed after the alert is what was done about it.
            before = episode.begin - _PRECISION
            told = [ChangeArrives(one.at, one) for one in changes if one.at < before]
            await daemon.play([*told, DeliveryArrives(episode.begin, alert)], until)
        return daemon

    journals = run_virtually(live).journal.entries.values()
    ours = [entries for entries in journals if opened_by(entries, rule.rule)]
    return _told(episode, ours[0] if ours else ())


def _approved(rule: Rule, at: datetime) -> Approvals:
    steps = range(1, len(rule.recover) + 1)
    until = at + timedelta(days=1)
    return Approvals(approvals=tuple(Approval.of(rule, n, "backtest", at, until) for n in steps))


def _told(episode: Episode, entries: Sequence[e.Entry]) -> Backtested:
    """The first thing that it does or asks is what counts; the past goes on as it went."""
    defined = [x.event.problem for x in entries if isinstance(x.event, e.ProblemDefined)]
    problem = max(defined, key=lambda one: one.verdict == "confirmed", default=None)
    made = decisions(entries)
    acts = tuple(one for one in made if ": started, " in one.word)[:1]
    asks = tuple(one for one in made if "approval wanted" in one.word)[:1]
    refusals = [one for one in made if one.word.startswith("step ") and one not in (*acts, *asks)]
    why = ""
    if not acts:
        why = (
            refusals[-1].text if refusals else (problem.text if problem else "nothing was measured")
        )
    return Backtested(
        episode=episode,
        verdict=problem.verdict if problem else "not measured",
        statement=problem.text if problem else "",
        acts=acts,
        asks=asks if not acts else (),
        why_not=why,
    )
