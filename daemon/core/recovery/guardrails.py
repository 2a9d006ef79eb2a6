"""What may stand in the way of every action, whatever it is: one judgement, made of counts.

The plan asks it to decide; the store asks it once more, on counts of its own, inside the
transaction that takes the target's lock. So between the answer and the act there is no gap.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal, Protocol

from daemon.core.alertmanager import Labels
from daemon.core.incident.reasons import AWAITED, Hindrance
from daemon.core.recovery.concurrent import Cause, ConcurrentIncident, concurrence
from daemon.core.rules.label_names import service_in
from daemon.core.values.drill_key import plain_key
from daemon.core.values.units import Frozen, Moment, clock_time, format_duration

GLOBAL = "global"
"""The scope of a freeze that concerns everything."""

KEYS_READ = 256
"""So many keys are kept with their service: each judgement reads those of all incidents beside."""

Level = Literal["rule", "team", "domain", "global"]
"""What a budget counts: the actions of one rule, one team, one failure domain, or all."""


class Freeze(Frozen):
    """No action starts while this stands. `scope`: `global`, `team:NAME` or `service:NAME`."""

    scope: str
    reason: str
    by: str
    at: Moment
    until: Moment | None = None


def is_scope(text: str) -> bool:
    """Whether a freeze can have that scope."""
    kind, _, name = text.partition(":")
    return text == GLOBAL or (kind in {"team", "service"} and bool(name.strip()))


@dataclass(frozen=True)
class ActionScope:
    """What an action belongs to: its rule, team, service and failure domain (may be empty).

    `cause`: since when its incident fails, and what is suspected; None if nobody knows. `drill`:
    the run that it belongs to, for what is real and each drill know nothing of each other.
    """

    rule: str
    team: str
    service: str
    domain: str = ""
    cause: Cause | None = None
    drill: str = ""

    @property
    def freezes(self) -> tuple[str, ...]:
        """The scopes of the freezes that concern it."""
        return (GLOBAL, f"team:{self.team}", f"service:{self.service}")

    def name(self, level: Level) -> str:
        """What it is called at that level; empty if it has no place there."""
        names = {"rule": self.rule, "team": self.team, "domain": self.domain, "global": GLOBAL}
        return names[level]


@dataclass(frozen=True)
class Limits:
    """How much automation is allowed.

    `cooldown`: after another incident's action on the target. `flap`: within it, a second
    recovery of the same target needs a person. `budgets`: automatic starts within `budget_window`
    at each level. `storm`: so many services alerting within `storm_window` mean a shared cause.
    `onset_age`: trouble that began longer ago needs a person.
    """

    cooldown: timedelta
    flap: timedelta
    budgets: Mapping[Level, int]
    budget_window: timedelta
    storm: int
    storm_window: timedelta
    onset_age: timedelta = timedelta(hours=1)


@dataclass(frozen=True)
class Guard:
    """The store's view of a target for one incident.

    `last_finished` and `last_incident`: the newest action of *another* incident on the target;
    the alternatives of one plan do not cool each other down. `started` counts automatic starts
    of the same rule, team, domain, and of all, within the budget window, whatever became of them;
    what a person approved or started is their own, and no budget's.
    `alerting`: the services, this one included, whose incidents opened within the storm window.
    `concurrent`: the incidents, no more than MOST_CONCURRENT, that may share the onset and do not
    blame the same change; none in a storm, which weighs more.
    """

    freeze: Freeze | None = None
    locked_by: str = ""
    last_finished: datetime | None = None
    last_incident: str = ""
    started: Mapping[Level, int] = field(default_factory=dict)
    alerting: int = 1
    concurrent: tuple[ConcurrentIncident, ...] = ()


@dataclass(frozen=True)
class Hindered:
    """An enumerated reason, and the numbers. `absolute`: whoever approves."""

    reason: Hindrance
    text: str
    absolute: bool = False

    @property
    def passes(self) -> bool:
        """Whether it is over by itself, so that nobody need be asked."""
        return self.reason in AWAITED


@lru_cache(maxsize=KEYS_READ)
def service_of(key: str) -> str:
    """The service that an incident's key (`rules.incident_key`) speaks of.

    That is its label `service` or `service.name`; else all its group's values; else the name of
    its rule. A key of another kind speaks for itself; that of a drill speaks of what it would in
    earnest.
    """
    key = plain_key(key)
    try:
        rule, labels = json.loads(key)
        named = dict(labels)
        return str(service_in(named)[1] or " ".join(filter(None, named.values())) or rule or key)
    except (TypeError, ValueError):
        return key


def group_of(key: str) -> Labels:
    """The group labels in an incident's key (`rules.incident_key`); none in one of another kind."""
    try:
        _, labels = json.loads(plain_key(key))
        return dict(labels)
    except (TypeError, ValueError):
        return {}


def hindered(
    guard: Guard, limits: Limits, scope: ActionScope, now: datetime, *, lifted: bool
) -> Hindered | None:
    """What stands in the way now, the weightiest first.

    `lifted`: a person approved, which lifts everything but a freeze and the lock.
    """
    if guard.freeze is not None:
        return Hindered("frozen", frozen_text(guard.freeze), absolute=True)
    if guard.locked_by:
        text = f"incident {guard.locked_by} is acting on the same target"
        return Hindered("target_locked", text, absolute=True)
    if lifted:
        return None
    if text := stormy(guard, limits):
        return Hindered("storm", text)
    return (
        _concurrent(guard, scope, now)
        or _too_soon(guard, limits, now)
        or _spent(guard, limits, scope)
    )


def services_of(keys: Iterable[str], *known: str) -> int:
    """How many services these incidents' keys speak of, and those that are known besides."""
    return len({*known, *map(service_of, keys)})


def is_storm(services: int, limits: Limits) -> bool:
    """Whether so many services that began to alert within the storm window have a shared cause:
    nothing starts by itself then, and people are called once for all of them."""
    return services >= limits.storm


class Keyed(Protocol):
    """What has an incident's key."""

    @property
    def key(self) -> str:
        """As `rules.incident_key` makes it."""
        ...


def is_told_as_one(incidents: Collection[Keyed], limits: Limits) -> bool:
    """Whether people are called once for all of these: for a storm, and for more of them than its
    services would be, of however few, since each would ring by itself."""
    # Their number first: of hundreds no key is read.
    return len(incidents) > limits.storm or is_storm(services_of(i.key for i in incidents), limits)


def stormy(guard: Guard, limits: Limits) -> str:
    """Why this is a storm, with the numbers; empty if it is none."""
    if not is_storm(guard.alerting, limits):
        return ""
    return (
        f"{guard.alerting} services began to alert within "
        f"{format_duration(limits.storm_window)} ({limits.storm} are a storm): "
        "a shared cause is likelier than that many bad deployments; a person decides"
    )


def _concurrent(guard: Guard, scope: ActionScope, now: datetime) -> Hindered | None:
    if scope.cause is None:
        return None
    found = concurrence(scope.cause, guard.concurrent, now)
    return Hindered(*found) if found else None


def frozen_text(freeze: Freeze) -> str:
    """A freeze in a sentence: who, since when, until when, why."""
    what = "" if freeze.scope == GLOBAL else f"{freeze.scope.replace(':', ' ')} is "
    end = freeze.until
    until = f" until {end.astimezone(UTC):%Y-%m-%d} {clock_time(end)}" if end else ""
    return f"{what}frozen by {freeze.by} since {clock_time(freeze.at)}{until}: {freeze.reason}"


def _too_soon(guard: Guard, limits: Limits, now: datetime) -> Hindered | None:
    if guard.last_finished is None:
        return None
    since = now - guard.last_finished
    ago = format_duration(timedelta(seconds=round(since.total_seconds())))
    acted = f"incident {guard.last_incident} acted on this target {ago} ago"
    if since < limits.cooldown:
        text = f"{acted}; the cooldown is {format_duration(limits.cooldown)}; a person decides"
        return Hindered("cooldown", text)
    if since < limits.flap:
        text = (
            f"{acted}; a second recovery within {format_duration(limits.flap)} means that the "
            "first did not last; a person decides"
        )
        return Hindered("second_recovery", text)
    return None


def _spent(guard: Guard, limits: Limits, scope: ActionScope) -> Hindered | None:
    for level, budget in limits.budgets.items():
        count = guard.started.get(level, 0)
        if scope.name(level) and count >= budget:
            of = "in all" if level == "global" else f"of {level} {scope.name(level)}"
            text = (
                f"{count} actions {of} started by themselves in the last "
                f"{format_duration(limits.budget_window)}; the budget is {budget}; "
                "a person decides"
            )
            return Hindered("budget_spent", text)
    return None
