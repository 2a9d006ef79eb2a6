"""Short ways to say what a test of the core is about: rules, incidents, traffic, measurements."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from daemon.core.alertmanager import Alert
from daemon.core.changes.suspects import Change, Suspicion
from daemon.core.incident import events as e
from daemon.core.incident.fold import fold
from daemon.core.incident.page_identity import Purpose
from daemon.core.incident.state import Incident
from daemon.core.measurement.assessment import assess_counts, assess_value
from daemon.core.measurement.problem import (
    Comparison,
    Problem,
    ProblemReason,
    ProblemVerdict,
    RecoveryReading,
)
from daemon.core.measurement.samples import QueryAnswer, Series
from daemon.core.people.roster import Roster
from daemon.core.recovery.approvals import Approval, Approvals
from daemon.core.recovery.approved_content import seen_fields
from daemon.core.recovery.binding_content import content_hash
from daemon.core.recovery.guardrails import Limits
from daemon.core.rules.rule import ProblemSpec, Rule, incident_key
from daemon.core.values.outcome import Outcome, Result
from daemon.core.values.significance import Bin

NOW = datetime(2026, 3, 1, 14, 10, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
TARGET = "release:shop"
LIMITS = Limits(
    cooldown=30 * MINUTE,
    flap=24 * HOUR,
    budgets={"rule": 3, "team": 4, "domain": 3, "global": 5},
    budget_window=HOUR,
    storm=4,
    storm_window=5 * MINUTE,
)

COUNTS: dict[str, Any] = {
    "symptom": "success rate",
    "bad": 'sum(increase(errors{service="$service"}[$window]))',
    "total": 'sum(increase(requests{service="$service"}[$window]))',
    "windows": ["1m", "5m"],
    "baseline": "45m",
    "confirm": {"drop": "1%", "traffic": "30/m"},
    "severity": {"sev1": "20%", "sev2": "5%", "sev3": "1%"},
}
VALUE: dict[str, Any] = {
    "symptom": "latency",
    "value": 'max(latency{service="$service"})',
    "windows": ["1m", "5m"],
    "baseline": "45m",
    "confirm": {"rise": "50%"},
}
STEPS: list[dict[str, Any]] = [
    {
        "action": "release_rollback",
        "with": {"directory": "shop"},
        "when": "suspect_change",
        "approval": "automatic",
    },
    {"action": "run_command", "with": {"argv": ["off"]}, "approval": "commander"},
]
RULE: dict[str, Any] = {
    "rule": "checkout",
    "match": ['alertname="CheckoutFails"'],
    "group_by": ["service"],
    "team": "shop",
    "problem": COUNTS,
    "changes": {"releases": {"directory": "shop"}},
    "recover": STEPS,
    "verify": {"settle": "1m", "hold": "3m", "near_baseline": "0.5%", "watch": "30m"},
}
ROSTER = Roster.model_validate(
    {
        "people": {
            name: {"name": name.title(), "contact": [{"console": True}]}
            for name in ("ada", "bo", "cy")
        },
        "teams": {"shop": {"owners": ["ada"], "lead": "bo", "policy": "shop"}},
        "policies": {
            "shop": {"tiers": [{"notify": ["ada"], "wait": "5m"}, {"notify": ["bo", "cy"]}]},
            "twice": {"tiers": [{"notify": ["ada"], "wait": "5m"}], "repeat": 1},
        },
        "default_policy": "shop",
    }
)
EVERYTHING: dict[str, Any] = {
    "people": {
        name: {"name": name.title(), "contact": [{"console": True}]}
        for name in ("ada", "bo", "cy", "dee", "eve", "fay", "gus", "hal")
    },
    "teams": {
        "shop": {
            "owners": ["ada", "eve"],
            "lead": "bo",
            "stability_owner": "cy",
            "experts": ["dee"],
            "policy": "shop",
        },
        "mysql": {"owners": ["hal", "gus"], "policy": "mysql"},
    },
    "policies": {
        "shop": {"tiers": [{"notify": ["ada"], "wait": "5m"}, {"notify": ["fay", "gus"]}]},
        "mysql": {"tiers": [{"notify": ["hal"], "wait": "4m"}, {"notify": ["gus"]}]},
    },
    "default_policy": "shop",
    "ladder": {"sev2": ["bo"], "sev1": ["gus", "bo"]},
    "channels": {"room": {"console": True}, "mail": {"console": True}},
    "audiences": {
        "team": {"channels": ["room", "mail"], "send": "automatic"},
        "public": {"channels": ["room"], "from": "sev2", "wording": "public"},
    },
}
HOUSE = Roster.model_validate(EVERYTHING)
"""A roster with everything: ada and eve own the shop, bo leads it, cy looks after its stability,
dee knows it; fay and gus are on call after ada; hal is of another team."""


def make_roster(**changes: Any) -> Roster:
    """HOUSE with parts of it changed."""
    return Roster.model_validate({**EVERYTHING, **changes})


def ago(minutes: float) -> datetime:
    """A moment before NOW."""
    return NOW - timedelta(minutes=minutes)


def counts_spec(**changes: Any) -> ProblemSpec:
    return ProblemSpec.model_validate({**COUNTS, **changes})


def value_spec(**changes: Any) -> ProblemSpec:
    return ProblemSpec.model_validate({**VALUE, **changes})


def make_rule(**changes: Any) -> Rule:
    return Rule.model_validate({**RULE, **changes})


def first_hash(rule: Rule) -> str:
    """What an approval of its first step is bound to."""
    return content_hash(rule, rule.step(1))


def approved(rule: Rule, *steps: int, until: datetime = NOW + HOUR) -> Approvals:
    """Standing approvals of these steps, as they are now."""
    entries = tuple(
        Approval(
            rule=rule.rule,
            step=step,
            action=rule.step(step).action,
            content=content_hash(rule, rule.step(step)),
            by="ada",
            at=ago(60),
            until=until,
        )
        for step in steps
    )
    return Approvals(approvals=entries)


# ── measurements ─────────────────────────────────────────────────────────────────────────────


def answer(*values: float, query: str = "q", warnings: Sequence[str] = ()) -> QueryAnswer:
    """An instant answer: one series for each value."""
    series = [Series({"n": str(i)}, [(NOW.timestamp(), v)]) for i, v in enumerate(values)]
    return QueryAnswer(query, series, warnings)


def poisson(chance: random.Random, mean: float) -> int:
    if mean > 200:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, chance.random()
    while product > limit:
        count += 1
        product *= chance.random()
    return count


@dataclass(frozen=True)
class Traffic:
    """A service's history as the rule's queries would show it at NOW."""

    windows: dict[timedelta, tuple[float, float] | None]
    history: list[Bin]


def simulate(
    spec: ProblemSpec,
    seed: int,
    per_minute: float,
    *shares: tuple[float, float],
    span: timedelta | None = None,
) -> Traffic:
    """Poisson traffic in which each (minutes ago, share) says from when on which share fails."""
    chance = random.Random(seed)  # noqa: S311 - a simulation
    step = spec.windows[0] / 4
    look_back = spec.baseline if span is None else span
    points = int(look_back / step) + 1
    cells = points + int(spec.windows[-1] / step)
    bad, total = [0.0], [0.0]  # running sums
    for cell in range(cells):
        until_now = (cells - cell) * step / MINUTE
        share = 0.0
        for begins, level in shares:
            # A cell that holds the switch takes part of both regimes.
            part = min(max((begins - (until_now - step / MINUTE)) / (step / MINUTE), 0.0), 1.0)
            share = share * (1 - part) + level * part
        mean = per_minute * (step / MINUTE)
        failed = poisson(chance, mean * share)
        bad.append(bad[-1] + failed)
        total.append(total[-1] + failed + poisson(chance, mean * (1 - share)))

    def window(end: int, width: timedelta) -> tuple[float, float]:
        begin = end - round(width / step)
        return bad[end] - bad[begin], total[end] - total[begin]

    ends = range(cells - points + 1, cells + 1)
    history = [
        Bin((NOW - (cells - end) * step).timestamp(), *window(end, spec.windows[0])) for end in ends
    ]
    return Traffic({width: window(cells, width) for width in spec.windows}, history)


def assessed(
    spec: ProblemSpec,
    seed: int,
    per_minute: float,
    *shares: tuple[float, float],
    changes: Sequence[Change] = (),
) -> Problem:
    """The assessment of simulated traffic."""
    seen = simulate(spec, seed, per_minute, *shares)
    return assess_counts(spec, seen.windows, seen.history, NOW, changes)


def steady(spec: ProblemSpec, per_minute: float, *shares: tuple[float, float]) -> Traffic:
    """Traffic without chance: every cell holds its expectation."""
    width = spec.windows[0]
    step = width / 4
    points = int(spec.baseline / step)

    def failed(begin: float, end: float) -> float:
        """Between so many minutes ago and so many minutes ago."""
        sum_, edges = 0.0, [*shares[1:], (-math.inf, 0.0)]
        for (start, share), (stop, _) in zip(shares, edges, strict=True):
            sum_ += share * per_minute * max(0.0, min(begin, start) - max(end, stop))
        return sum_

    def window(end: float, size: timedelta) -> tuple[float, float]:
        return failed(end + size / MINUTE, end), per_minute * (size / MINUTE)

    history = [
        Bin((NOW - n * step).timestamp(), *window(n * step / MINUTE, width))
        for n in range(points, -1, -1)
    ]
    return Traffic({size: window(0.0, size) for size in spec.windows}, history)


def samples(
    spec: ProblemSpec, seed: int, noise: float, *levels: tuple[float, float]
) -> tuple[dict[timedelta, list[float]], list[tuple[float, float]]]:
    """(windows, history) of a value with Gaussian noise; levels as in `simulate`."""
    chance = random.Random(seed)  # noqa: S311 - a simulation
    step = spec.windows[0] / 4
    history = []
    for n in range(int(spec.baseline / step), -1, -1):
        at = n * step / MINUTE
        level = [value for begins, value in levels if begins >= at][-1]
        history.append(((NOW - n * step).timestamp(), chance.gauss(level, noise)))
    windows = {
        width: [v for at, v in history if at >= (NOW - width).timestamp()] for width in spec.windows
    }
    return windows, history


def assessed_value(
    spec: ProblemSpec, seed: int, noise: float, *levels: tuple[float, float]
) -> Problem:
    windows, history = samples(spec, seed, noise, *levels)
    return assess_value(spec, windows, {}, history, NOW)


def make_problem(
    verdict: ProblemVerdict = "confirmed",
    reason: ProblemReason = "loss_exceeds_threshold",
    *,
    at: datetime = NOW,
    loss: float = 0.2,
    baseline: float = 0.99,
    **more: Any,
) -> Problem:
    window = Comparison(
        window=MINUTE,
        level=baseline - loss,
        loss=loss,
        low=loss - 0.02,
        high=loss + 0.02,
        traffic=600.0,
        exceeds=True,
        significant=True,
    )
    return Problem.model_validate(
        {
            "verdict": verdict,
            "reason": reason,
            "text": "success rate 99.0 % → 79.0 %",
            "at": at,
            "symptom": "success rate",
            "windows": (window,),
            "baseline": baseline,
            "baseline_from": at - 45 * MINUTE,
            "baseline_until": at - 5 * MINUTE,
            "baseline_traffic": 600.0,
            "onset": at - 4 * MINUTE,
            "onset_within": 30 * SECOND,
            "failed_per_minute": 126.0,
            "severity": "sev1" if verdict == "confirmed" else "",
            **more,
        }
    )


def healthy(at: datetime, loss: float = 0.0) -> RecoveryReading:
    return RecoveryReading(
        at=at, state="healthy", reason="near_baseline", level=0.99 - loss, loss=loss, traffic=600.0
    )


def impaired(at: datetime, loss: float = 0.2, *, spread: float = 0.02) -> RecoveryReading:
    return RecoveryReading(
        at=at,
        state="impaired",
        reason="away_from_baseline",
        level=0.99 - loss,
        loss=loss,
        low=loss - spread,
        high=loss + spread,
        traffic=600.0,
    )


def unreadable(at: datetime, reason: str = "prometheus_unreachable") -> RecoveryReading:
    return RecoveryReading(at=at, state="unreadable", reason=reason)


# ── changes and incidents ────────────────────────────────────────────────────────────────────


def make_change(
    item: str, at: datetime, previous: str = "", subject: str = TARGET, seen_by: str = "releases"
) -> Change:
    return Change(subject=subject, item=item, previous=previous, at=at, seen_by=seen_by)


def blamed(subject: str = TARGET) -> Suspicion:
    change = make_change("v2", ago(5), "v1", subject)
    return Suspicion(verdict="suspect", text="v2 came just before", change=change)


def make_alert(status: str = "firing", /, **labels: str) -> Alert:
    return Alert.model_validate(
        {
            "status": status,
            "labels": {"alertname": "CheckoutFails", "service": "checkout", **labels},
            "startsAt": ago(2),
        }
    )


def opening(rule: str = "checkout", team: str = "shop") -> e.IncidentOpened:
    return e.IncidentOpened(
        key=incident_key(rule, {"service": "checkout"}),
        rule=rule,
        group_labels={"service": "checkout"},
        title="CheckoutFails",
        team=team,
    )


def page_queued(
    page: str = "r0.t0.ada",
    person: str = "ada",
    purpose: Purpose = "escalation",
    round_: int = 0,
    tier: int = 0,
) -> e.PageQueued:
    return e.PageQueued(
        page=page, person=person, purpose=purpose, text="come", round=round_, tier=tier
    )


ALERTS = e.AlertsReceived(alerts=(make_alert(),))
ACKNOWLEDGED = (
    e.ResponderArrived(person="ada", via="cli"),
    e.CommanderAppointed(person="ada", reason="the first responder"),
)


def delivered(page: str = "r0.t0.ada", method: str = "console") -> e.PageDelivered:
    """A pager took the page."""
    return e.PageDelivered(page=page, method=method, proof="taken")


def failed(page: str = "r0.t0.ada", *, last: bool = True, temporary: bool = False) -> e.PageFailed:
    """One way did not work."""
    return e.PageFailed(
        page=page, method="webhook", error="refused", last=last, temporary=temporary
    )


def came(person: str, via: str = "cli") -> e.ResponderArrived:
    return e.ResponderArrived(person=person, via=via)


def commands(person: str) -> e.CommanderAppointed:
    return e.CommanderAppointed(person=person, reason="the first responder")


def started(step: int = 1, target: str = TARGET) -> e.StepStarted:
    return e.StepStarted(
        step=step, action="release_rollback", target=target, params={}, authority="pre-approved"
    )


def step_approved(rule: Rule, step: int = 1, person: str = "ada") -> e.StepApproved:
    """A person's word on a step as it stands."""
    saw = seen_fields(rule, rule.step(step))
    return e.StepApproved(
        step=step, person=person, content=content_hash(rule, rule.step(step)), saw=saw
    )


def each_minute(
    make: Callable[[datetime], RecoveryReading], begin: datetime, minutes: float
) -> list[RecoveryReading]:
    """Readings from `begin` on, one a minute, and one at the very end."""
    whole = [begin + n * MINUTE for n in range(int(minutes) + 1)]
    end = begin + minutes * MINUTE
    return [make(at) for at in [*whole, *([end] if end > whole[-1] else [])]]


def finished(step: int = 1, result: Result = "done", reason: str = "switched") -> e.StepFinished:
    return e.StepFinished(step=step, outcome=Outcome(result=result, reason=reason, detail="so"))


def entries(
    *events: e.Event | tuple[datetime, e.Event], opened: datetime | None = None
) -> list[e.Entry]:
    """A journal: the opening, then these events; one without a moment happens at NOW."""
    begin = ago(1) if opened is None else opened
    told = [event if isinstance(event, tuple) else (NOW, event) for event in events]
    if not (told and isinstance(told[0][1], e.IncidentOpened)):
        told.insert(0, (begin, opening()))
    return [
        e.Entry(incident="0301-1409", seq=seq, at=at, by=e.DAEMON, event=event, digest="")
        for seq, (at, event) in enumerate(told, 1)
    ]


def make_incident(
    *events: e.Event | tuple[datetime, e.Event], opened: datetime | None = None
) -> Incident:
    """The fold of `entries`."""
    return fold(entries(*events, opened=opened))


def confirmed(
    problem: Problem | None = None, suspicion: Suspicion | None = None
) -> e.ProblemDefined:
    return e.ProblemDefined(problem=problem or make_problem(), suspicion=suspicion or blamed())
