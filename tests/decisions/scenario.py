"""A written scenario: what it may say, and how it is played on the real daemon's code.

The daemon's intake, conductor and core run in accelerated time; the service, its metrics, the
people and the actions are played from the scenario. Times are of 23 November 2026, in UTC.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import pytest
import yaml
from pydantic import BeforeValidator, Field

from daemon.core.changes.suspects import REPORTED_PREFIX, Change
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.ports.actions import Refused
from daemon.core.recovery.autonomy import AutomaticDecision, AutonomyRecord, Judgement
from daemon.core.recovery.freeze_windows import FreezeWindows
from daemon.core.recovery.guardrails import ActionScope, Freeze
from daemon.core.response.command import NotPossible
from daemon.core.rules.matchers import parse_matcher
from daemon.core.rules.rule import Rule, load
from daemon.core.values.outcome import Outcome
from daemon.core.values.units import Duration, Frozen, Share, parse_duration
from tests import commanding
from tests.decisions.scraping import ScrapedService
from tests.fakes import START, Service, Spoiled
from tests.stories.stage import RULE, Daemon, Stage, alert, approval_of

HEALTHY = 0.002
"""The share of failing requests where a scenario does not say otherwise."""


def _seconds(value: object) -> float:
    """'14:03' or '14:03:20' (an earlier day: '-1d 14:03') as seconds since START."""
    text = str(value)
    days = 0
    if text.startswith("-"):
        back, _, text = text.partition(" ")
        days = int(back.removesuffix("d"))
    parts = [int(part) for part in text.split(":")]
    hours, minutes, seconds = (*parts, 0)[:3]
    at = datetime(2026, 11, 23, hours, minutes, seconds, tzinfo=UTC) + timedelta(days=days)
    return (at - START).total_seconds()


At = Annotated[float, BeforeValidator(_seconds)]


class RecurringSpec(Frozen):
    """Trouble that comes back, beside what `failing` and `latency` say: `lasts` long, once `every`
    so long, from `begin` to `until`."""

    begin: At
    until: At
    lasts: Duration
    every: Duration
    failing: Share | None = None
    latency: float | None = None


class ScrapesSpec(Frozen):
    """Prometheus sees no more than scrapes show: `missed` says from when to when all failed."""

    missed: dict[str, str] = Field(default_factory=dict)


class ServiceSpec(Frozen):
    """The service over time. `traffic` in requests a second.

    `monitoring`: fine, or from when on Prometheus is down, or what is wrong with its answers;
    `change_feed` the same of what sees deployments. `revisions` and `siblings`: the failing
    share of each revision, or of each other service, over time. `latency`: in seconds, for a
    rule that measures a `value`. Beside the ten other scrape targets there are `own_targets` of
    the service, of which `own_targets_down` are down from then on; a service that is measured by
    itself is not measured while all of them are. `services`: those that have series in Prometheus;
    with them, what sees deployments is the real watcher, on targets that tell what is live and
    nothing of before.
    """

    services_alerting_in_prometheus: int = 1
    services: tuple[str, ...] = ()
    own_targets: int = 0
    own_targets_down: dict[str, int] = Field(default_factory=dict)
    measured_by: Literal["load balancer", "itself"] = "load balancer"
    traffic: dict[str, float] = Field(default_factory=lambda: {"12:00": 50.0})
    failing: dict[str, Share] = Field(default_factory=lambda: {"12:00": HEALTHY})
    latency: dict[str, float] = Field(default_factory=dict)
    monitoring: dict[str, Literal["fine", "down", "stale", "most targets down"] | Spoiled] = Field(
        default_factory=dict
    )
    change_feed: dict[str, Literal["fine", "down"]] = Field(default_factory=dict)
    revisions: dict[str, dict[str, Share]] = Field(default_factory=dict)
    siblings: dict[str, dict[str, Share]] = Field(default_factory=dict)
    recurring: tuple[RecurringSpec, ...] = ()
    scrapes: ScrapesSpec | None = None


class NeighbourSpec(Frozen):
    """Another service, with a rule `NAME-success-rate` and a rollback of its own, whose target
    bears its name. `rule` replaces parts of that; `rollback_leaves`: the share of each service
    that fails after it. `alerts_in_prometheus`: when its alert became pending, if it did before
    Alertmanager told of it."""

    traffic: dict[str, float] = Field(default_factory=lambda: {"12:00": 50.0})
    failing: dict[str, Share] = Field(default_factory=lambda: {"12:00": HEALTHY})
    alerts_in_prometheus: At | None = None
    rule: dict[str, Any] = Field(default_factory=dict)
    rollback_leaves: dict[str, Share] = Field(default_factory=dict)


class ChangeSpec(Frozen):
    """A deployment that was seen, or a change that another system reported.

    `told`: when it became known, if that was later than when it was made.
    """

    at: At
    told: At | None = None
    what: str = "shop"
    to: str = "v2"
    was: str = "v1"
    still_rolling: bool = False
    reported_by: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    target: str = ""


class AlertSpec(Frozen):
    """What Alertmanager sends."""

    at: At
    service: str = "shop"
    state: Literal["firing", "resolved"] = "firing"


class ActionSpec(Frozen):
    """What an action does to the service: the share that fails after it, or its latency then.

    `prepares`: how long it looks at its target before it changes anything. `goes_back_from`: what
    is live; it goes back to what was measured healthy before, and refuses if there is nothing.
    """

    then_failing: Share | None = None
    then_latency: float | None = None
    prepares: Duration = timedelta(0)
    takes: Duration = parse_duration("5s")
    refuses: str = ""
    goes_back_from: str = ""
    ends: Literal["done", "failed", "unknown"] = "done"


class DeedSpec(Frozen):
    """What a person does; `not_possible` if they are to be told that they cannot."""

    at: At
    who: str = "ada"
    does: Literal["acknowledge", "approve", "start", "skip", "veto", "pause", "resume", "propose"]
    step: int = 0
    not_possible: bool = False


class FreezeSpec(Frozen):
    """A freeze that stands."""

    scope: str = "global"
    at: At = 0.0
    until: At | None = None
    thawed: At | None = None


class EarlierSpec(Frozen):
    """An action that another incident ran before."""

    target: str = "shop"
    at: At
    rule: str = "checkout-success-rate"
    team: str = "payments"
    domain: str = ""
    still_running: bool = False
    by_person: bool = False


class SettingsSpec(Frozen):
    """What differs from the defaults of these scenarios.

    `earlier_decisions`: what the rule's own decisions of the last days came to, the oldest first;
    `trusted_since`: a person gave it its autonomy back after them.
    """

    approved: bool = True
    approval_ends: At | None = None
    edited_since_approval: dict[str, Any] = Field(default_factory=dict)
    freezes: tuple[FreezeSpec, ...] = ()
    calendar: dict[str, Any] = Field(default_factory=dict)
    earlier: tuple[EarlierSpec, ...] = ()
    limits: dict[str, Any] = Field(default_factory=dict)
    marks: dict[str, Literal["healthy", "bad"]] = Field(default_factory=dict)
    earlier_decisions: tuple[Judgement, ...] = ()
    trusted_since: bool = False


class Expected(Frozen):
    """What must come of it. `acts`: which actions run, in order; those of a neighbour with its
    name: `rollback pay`.

    `incident`: which of the service's incidents is told of, if it has several.
    """

    should: Literal["act", "refrain"]
    verdict: str = "confirmed"
    acts: tuple[str, ...] = ()
    reasons: dict[int, str] = Field(default_factory=dict)
    verdicts: dict[int, str] = Field(default_factory=dict)
    asks: tuple[int, ...] = ()
    observes: tuple[int, ...] = ()
    phase: str = ""
    incident: int = 1


class Scenario(Frozen):
    """One scenario, as it is written."""

    scenario: str
    why: str = ""
    service: ServiceSpec = ServiceSpec()
    neighbours: dict[str, NeighbourSpec] = Field(default_factory=dict)
    changes: tuple[ChangeSpec, ...] = ()
    alerts: tuple[AlertSpec, ...]
    rule: dict[str, Any] = Field(default_factory=dict)
    actions: dict[str, ActionSpec] = Field(default_factory=dict)
    people: tuple[DeedSpec, ...] = ()
    settings: SettingsSpec = SettingsSpec()
    restarts: tuple[At, ...] = ()
    until: At
    expect: Expected


@dataclass(frozen=True)
class Played:
    """How it went, of the incident of the first alert's service."""

    incident: Incident
    acted: tuple[str, ...]
    refusals: dict[int, list[str]]
    observed: tuple[int, ...]
    incidents: int
    pages: int


@cache
def read(folder: Path) -> tuple[Scenario, ...]:
    """All scenarios of the folder, in the order of the files."""
    return tuple(
        Scenario.model_validate(document)
        for file in sorted(folder.glob("*.yaml"))
        for document in yaml.load_all(file.read_text(encoding="utf-8"), yaml.CSafeLoader)
        if document is not None
    )


async def play(scenario: Scenario, folder: Path) -> Played:
    """Play it from start to end."""
    stage = _stage(scenario, folder)
    moments = _moments(scenario)
    stops = [*scenario.restarts, scenario.until]
    for stop in stops:
        async with stage.daemon() as daemon:
            while moments and moments[0][0] <= stop:
                at, happening = moments.pop(0)
                await daemon.at(at)
                await _happen(daemon, happening)
            await daemon.at(stop)
    return await _outcome(scenario, stage)


def _stage(scenario: Scenario, folder: Path) -> Stage:
    rule = yaml.safe_load(RULE)
    rule = {**rule, **scenario.rule}
    stage = Stage(folder, rule_text=yaml.safe_dump(rule))
    if scenario.service.scrapes is not None:
        missed = scenario.service.scrapes.missed.items()
        stage.service = ScrapedService(missed=[(_seconds(a), _seconds(b)) for a, b in missed])
    stage.changes.clear()
    stage.journal.seen.clear()
    settings, service = scenario.settings, scenario.service
    for name, neighbour in scenario.neighbours.items():
        _joins(stage, name, neighbour)
    stage.approved = False
    if settings.approved:
        until = START + timedelta(seconds=settings.approval_ends or 30 * 86400)
        stage.approvals = [approval_of(r, n, until) for r in stage.rules for n in _steps(r)]
    if settings.edited_since_approval:
        edited = yaml.safe_dump({**rule, **settings.edited_since_approval})
        stage.rules = [r for r, _ in load(edited, "checkout.yaml")]
    stage.limits = replace(stage.limits, **{n: _limit(v) for n, v in settings.limits.items()})
    stage.windows = FreezeWindows.model_validate(settings.calendar or {})
    stage.service.alerting = service.services_alerting_in_prometheus
    stage.service.services = list(service.services)
    stage.sees_what_is_live_alone = bool(service.services)
    stage.service.errors = _steps_of(service.failing, HEALTHY)
    stage.service.rate = _steps_of(service.traffic, 50.0)
    stage.service.latency = _steps_of(service.latency, 0.2)
    stage.service.own_targets = service.own_targets
    stage.service.own_down = _steps_of(dict(service.own_targets_down), 0)
    stage.service.measures_itself = service.measured_by == "itself"
    stage.service.groups = {
        "revision": {n: _steps_of(s, HEALTHY) for n, s in service.revisions.items()},
        "service": {n: _steps_of(s, HEALTHY) for n, s in service.siblings.items()},
    }
    for trouble in service.recurring:
        _recurs(trouble, trouble.failing, stage.service.errors)
        _recurs(trouble, trouble.latency, stage.service.latency)
    for earlier in settings.earlier:
        stage.journal.ran_before(
            earlier.target,
            START + timedelta(seconds=earlier.at),
            ActionScope(earlier.rule, earlier.team, earlier.target, earlier.domain),
            running=earlier.still_running,
            by_person=earlier.by_person,
        )
    for item, mark in settings.marks.items():
        stage.journal.marked[("shop", item)] = mark
    if settings.earlier_decisions:
        record = _record(settings)
        stage.notes.words["autonomy of checkout-success-rate"] = (record.model_dump_json(),)
    for name, spec in scenario.actions.items():
        _prepare(stage, name, spec)
    return stage


def _joins(stage: Stage, name: str, spec: NeighbourSpec) -> None:
    """The neighbour with its rule; the service's own rule speaks of `shop` alone from now on."""
    own, rule = stage.rules[0], yaml.safe_load(RULE)
    if own.rule not in stage.watched:
        shops = parse_matcher('service="shop"')
        stage.rules[0] = own.model_copy(update={"match": (*own.match, shops)})
        stage.watched[own.rule] = "shop"
    target = {"action": "rollback", "with": {"target": name}}
    rule |= {
        "rule": f"{name}-success-rate",
        "match": [*rule["match"], f'service="{name}"'],
        "changes": {"releases": {"directory": name}},
        "recover": [{**target, "when": "suspect_change", "approval": "automatic"}],
        **spec.rule,
    }
    stage.rules += [read for read, _ in load(yaml.safe_dump(rule), f"{name}.yaml")]
    stage.watched[rule["rule"]] = name
    other = Service(errors=_steps_of(spec.failing, HEALTHY), rate=_steps_of(spec.traffic, 50.0))
    other.alerts_from = spec.alerts_in_prometheus
    stage.service.others[name] = other

    def rolled_back() -> None:
        for service, share in spec.rollback_leaves.items():
            now = asyncio.get_running_loop().time()
            stage.service.others.get(service, stage.service).fails(share, now)

    stage.actions["rollback"].effects[name] = rolled_back


def _record(settings: SettingsSpec) -> AutonomyRecord:
    decisions = [
        AutomaticDecision(
            incident=f"earlier-{number}",
            step=1,
            action="rollback",
            at=START - timedelta(days=9 - number),
            judgement=judgement,
        )
        for number, judgement in enumerate(settings.earlier_decisions)
    ]
    record = AutonomyRecord().learning(decisions).judged(START)
    return record.trusted("cy", "it is mended", START) if settings.trusted_since else record


def _limit(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


def _steps(rule: Rule) -> range:
    return range(1, len(rule.recover) + 1)


def _steps_of(written: dict[str, float], before: float) -> list[tuple[float, float]]:
    return [(-864000.0, before), *((_seconds(at), value) for at, value in written.items())]


def _recurs(spec: RecurringSpec, height: float | None, steps: list[tuple[float, float]]) -> None:
    """Add that to the steps, and after each time what they begin with."""
    if height is None:
        return
    lasts, every = spec.lasts.total_seconds(), spec.every.total_seconds()
    usual = steps[0][1]
    for number in range(math.ceil((spec.until - spec.begin) / every)):
        begin = spec.begin + number * every
        steps += [(begin, height), (begin + lasts, usual)]


def _change(spec: ChangeSpec) -> Change:
    at = START + timedelta(seconds=spec.at)
    if spec.reported_by:
        return Change(
            subject=f"{REPORTED_PREFIX}{spec.reported_by}:{spec.what}",
            item=spec.to,
            previous=spec.was,
            at=at,
            seen_by=spec.reported_by,
            target=spec.target,
            labels=spec.labels,
        )
    return Change(
        subject=spec.what,
        item=spec.to,
        previous=spec.was,
        at=at,
        seen_by="watch",
        rolling=spec.still_rolling,
    )


def _prepare(stage: Stage, name: str, spec: ActionSpec) -> None:
    action = stage.actions[name]
    action.takes = spec.takes.total_seconds()
    action.goes_back_from = spec.goes_back_from
    action.prepares = spec.prepares.total_seconds()
    if spec.refuses:
        action.refuse = Refused(spec.refuses, f"it refuses: {spec.refuses}")
    if spec.ends != "done":
        action.outcome = Outcome(result=spec.ends, reason=spec.ends, detail=f"it ended {spec.ends}")
    share, latency = spec.then_failing, spec.then_latency

    def effect() -> None:
        now = asyncio.get_running_loop().time()
        if share is not None:
            stage.service.fails(share, now)
        if latency is not None:
            stage.service.latency.append((now, latency))

    if share is not None or latency is not None:
        action.effect = effect


Happening = AlertSpec | ChangeSpec | DeedSpec | FreezeSpec | str


def _moments(scenario: Scenario) -> list[tuple[float, Happening]]:
    """Everything that happens while the daemon runs, in order."""
    found: list[tuple[float, Happening]] = [
        (max(c.at if c.told is None else c.told, 0.0), c) for c in scenario.changes
    ]
    found += [(alert.at, alert) for alert in scenario.alerts]
    found += [(deed.at, deed) for deed in scenario.people]
    found += [(_seconds(at), state) for at, state in scenario.service.monitoring.items()]
    feed = scenario.service.change_feed
    found += [(_seconds(at), f"change feed {state}") for at, state in feed.items()]
    for freeze in scenario.settings.freezes:
        found.append((max(freeze.at, 0.0), freeze))
        if freeze.thawed is not None:
            found.append((freeze.thawed, f"thaw {freeze.scope}"))
    return sorted(found, key=lambda moment: moment[0])


async def _happen(daemon: Daemon, happening: Happening) -> None:
    stage = daemon.stage
    match happening:
        case AlertSpec(at=at, service=service, state=state):
            ended = at if state == "resolved" else None
            await daemon.receives(alert(state, service, started=at - 60, ended=ended))
        case ChangeSpec():
            await daemon.told(_change(happening))
        case DeedSpec():
            await _deed(daemon, happening)
        case FreezeSpec(scope=scope, at=at, until=until):
            await stage.journal.freeze(
                Freeze(
                    scope=scope,
                    reason="as written",
                    by="cy",
                    at=START + timedelta(seconds=at),
                    until=None if until is None else START + timedelta(seconds=until),
                )
            )
        case str() if happening.startswith("thaw "):
            now = START + timedelta(seconds=asyncio.get_running_loop().time())
            await stage.journal.thaw(happening.removeprefix("thaw "), "cy", now)
            daemon.repository.ring_all()
        case str() if happening.startswith("change feed "):
            stage.feed_down = "connection refused" if happening.endswith("down") else ""
        case str():
            stage.service.down = "connection refused" if happening == "down" else ""
            stage.service.stale = happening == "stale"
            stage.service.targets_down = 8 if happening == "most targets down" else 0
            stage.service.spoiled = happening if happening in get_args(Spoiled) else ""


async def _deed(daemon: Daemon, spec: DeedSpec) -> None:
    if spec.not_possible:
        with pytest.raises(NotPossible):
            await _done(daemon, spec)
    else:
        await _done(daemon, spec)


async def _done(daemon: Daemon, spec: DeedSpec) -> None:
    who, rule = spec.who, daemon.stage.rules[0]
    if spec.does == "acknowledge":
        await daemon.acknowledges(who)
        return
    if spec.does == "propose":
        arguments: tuple[Any, ...] = ("flag_off", {"target": "shop"}, timedelta(minutes=5), "", who)
        await daemon.does(commanding.propose, rule, *arguments, who=who)
        return
    if spec.does in {"pause", "resume"}:
        more = ("as written",) if spec.does == "pause" else ()
        await daemon.does(getattr(commanding, spec.does), who, *more, who=who)
        return
    more = ("as written",) if spec.does == "skip" else ()
    await daemon.does(getattr(commanding, spec.does), rule, spec.step, who, *more, who=who)


async def _outcome(scenario: Scenario, stage: Stage) -> Played:
    incidents = await stage.incidents()
    service = scenario.alerts[0].service
    ours = [i for i in incidents if i.group_labels.get("service") == service]
    incident = ours[scenario.expect.incident - 1]
    events = [entry.event for entry in stage.journal.entries[incident.id]]
    ran = sorted(
        (at, f"{name} {target}" if target in scenario.neighbours else name)
        for name, action in stage.actions.items()
        for at, target in zip(action.began_at, action.targets, strict=True)
    )
    return Played(
        incident=incident,
        acted=tuple(name for _, name in ran),
        refusals=_refusals(events),
        observed=tuple(ev.step for ev in events if isinstance(ev, e.StepObserved)),
        incidents=len(incidents),
        pages=sum(len(phone.pages) for phone in stage.phones.values()),
    )


def _refusals(events: Sequence[Any]) -> dict[int, list[str]]:
    """Why each step was not started, skipped or stopped at the last moment, in order."""
    found: dict[int, list[str]] = {}
    for event in events:
        if isinstance(event, e.StepRefused | e.StepSkipped):
            found.setdefault(event.step, []).append(event.reason)
        if isinstance(event, e.StepFinished) and event.outcome.result == "refused":
            found.setdefault(event.step, []).append(event.outcome.reason)
        if isinstance(event, e.StepObserved) and event.reason:
            found.setdefault(event.step, []).append(event.reason)
    return found


__all__ = ["Played", "Scenario", "play", "read"]
