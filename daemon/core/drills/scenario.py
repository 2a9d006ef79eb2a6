"""A scenario of a drill, as it is written: `rules/drills/*.yaml`.

    drill: bad-deployment
    title: A release that fails
    why: the everyday case; everybody should know how it feels
    rule: checkout-success-rate
    labels: {service: shop}
    series:
      total: {per_minute: '600'}
      bad: {share: '0.002x2 0.3'}
    script:
      - {at: 110s, change: v42, was: v41}
      - {at: 2m, alert: firing}
    actions:
      1: {then: {bad: {share: '0.002'}}}
    lasts: 15m
    expect: {commander: 5m, recovery: 10m}

Times are counted from the beginning of the drill, in real time. Series, alerts, changes and
actions are written as in cases of rules (`daemon.core.cases.rule_case`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from daemon.core.alertmanager import Labels
from daemon.core.cases.given_series import GivenSeries
from daemon.core.cases.rule_case import (
    At,
    GivenAction,
    GivenAlert,
    GivenChange,
    MonitoringState,
    Never,
    RuleCase,
)
from daemon.core.incident.drill_mark import DrillMark
from daemon.core.people.role_names import Role
from daemon.core.values.units import Duration, Frozen, format_duration, parse_duration, unset

DRILL_NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"
_KINDS = ("alert", "change", "monitoring", "public", "pager", "fault")
_GOES_WITH: Mapping[str, tuple[str, ...]] = {
    "labels": ("alert", "change"),
    "was": ("change",),
    "reported_by": ("change",),
    "lasts": ("pager",),
}
_PLAYED = Never(phase=("closed",))
"""What a scenario seen as a case expects; it is scored, and not held to it."""


class Inject(Frozen):
    """What the script brings about at `at`: one of

    `alert`: Alertmanager says that it fires, or is resolved; `labels` are added to the drill's.
    `change`: that went live in the place of `was`; with `reported_by` another system says so, of
    what has these `labels`. `monitoring`: how Prometheus is from then on. `public`: what people
    outside say. `pager`: that person's pagers fail, for as long as it `lasts`. `fault`: a command
    that breaks the drill's staging `target` for real, as program and arguments.
    """

    at: At
    alert: Literal["firing", "resolved"] | None = None
    labels: Labels = Field(default_factory=dict)
    change: str | None = Field(default=None, min_length=1)
    was: str = ""
    reported_by: str = ""
    monitoring: MonitoringState | None = None
    public: str | None = Field(default=None, min_length=1, max_length=1000)
    pager: str | None = Field(default=None, min_length=1)
    lasts: Duration | None = None
    fault: tuple[str, ...] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _one(self) -> Inject:
        given = [name for name in _KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"says {found}; it brings about one of {', '.join(_KINDS)}")
        for name, kinds in _GOES_WITH.items():
            if name in self.model_fields_set and given[0] not in kinds:
                raise ValueError(f"`{name}` goes with {' and '.join(kinds)}, not {given[0]}")
        return self

    @property
    def kind(self) -> str:
        """Which of them it is."""
        return next(name for name in _KINDS if getattr(self, name) is not None)

    def describe(self) -> str:
        """It in one line, for those who see the script."""
        match self.kind:
            case "alert":
                named = ", ".join(f"{name}={value}" for name, value in self.labels.items())
                return f"the alert is {self.alert}" + (f" ({named})" if named else "")
            case "change":
                by = f", told by {self.reported_by}" if self.reported_by else ""
                return f"{self.change} goes live" + (f" after {self.was}" if self.was else "") + by
            case "monitoring":
                return f"the monitoring is {self.monitoring}"
            case "public":
                return f"heard outside: {self.public}"
            case "pager":
                until = f" for {format_duration(self.lasts)}" if self.lasts else ""
                return f"the pagers of {self.pager} fail{until}"
            case _:
                return f"fault: {' '.join(self.fault or ())}"


class Participants(Frozen):
    """Who takes part, each a person, a schedule (whoever is on call) or a team (its owners).

    `blue` respond; left out, everybody whom the team's policy calls now. `observers` see the
    script and are not called.
    """

    blue: tuple[str, ...] = ()
    observers: tuple[str, ...] = ()


class Expected(Frozen):
    """What good looks like; what is left out is not scored.

    `commander`, `communicator`, `first_update`, `decision`: within so long after the first
    incident opened somebody commands, somebody communicates, an update is out, how to recover is
    decided. `cadence`: the longest pause between two updates while it is not restored.
    `takeover`: somebody else commands within so long after the first did. `recovery`: every
    incident measured as recovered within so long. `roles`: held by somebody.
    `diagnosis`: words of which one is in the suspect, the diagnosis or what people noted.
    `no_action`: nothing was done to any target. `clock`: no item of the ten-minute clock late.
    """

    commander: Duration | None = None
    communicator: Duration | None = None
    first_update: Duration | None = None
    decision: Duration | None = None
    cadence: Duration | None = None
    takeover: Duration | None = None
    recovery: Duration | None = None
    roles: tuple[Role, ...] = ()
    diagnosis: tuple[str, ...] = ()
    no_action: bool = False
    clock: bool = False


class DrillScenario(Frozen):
    """One scenario.

    `why`: what is practised. `brief`: what the observers do, which the blue team does not read.
    `rule` is the rule under drill; empty, the alert is one that no rule knows. `interval` is the
    time between two values of a series, `scrape` that between two scrapes. `actions`: how a
    step's simulated action goes, and what the series are then. `target`: a staging target of the
    settings; then metrics and actions are real, and nothing else may be acted on (a red team).
    `audiences` are told; none but these. `approvals`: which automatic steps count as approved.
    The drill ends after `lasts`, or as soon as all its incidents are closed and the script is at
    its end.
    """

    drill: str = Field(pattern=DRILL_NAME, max_length=60)
    title: str = Field(min_length=1, max_length=120)
    why: str = ""
    brief: str = ""
    rule: str = ""
    labels: Labels = Field(default_factory=dict)
    interval: Annotated[Duration, Field(gt=timedelta(0))] = parse_duration("1m")
    scrape: Annotated[Duration, Field(gt=timedelta(0))] = parse_duration("15s")
    series: GivenSeries | None = None
    script: tuple[Inject, ...] = Field(min_length=1)
    actions: dict[int, GivenAction] = Field(default_factory=dict)
    target: str = ""
    roles: Participants = unset(Participants)
    audiences: tuple[str, ...] = ()
    approvals: Literal["all", "none", "file"] = "all"
    lasts: Annotated[Duration, Field(gt=timedelta(0), le=timedelta(hours=8))] = parse_duration(
        "30m"
    )
    expect: Expected = unset(Expected)

    def injects(self, kind: str) -> list[Inject]:
        """Those of that kind, in order."""
        return [one for one in self.in_order if one.kind == kind]

    @property
    def in_order(self) -> list[Inject]:
        """The script by time; of two at one moment the one that is written first."""
        return sorted(self.script, key=lambda one: one.at)

    def as_case(self, begins: datetime) -> RuleCase:
        """What it gives, as a case of its rule that begins then."""
        return RuleCase(
            case=self.title,
            rule=self.rule,
            begins=begins,
            interval=self.interval,
            scrape=self.scrape,
            labels=self.labels,
            series=self.series,
            monitoring={one.at: one.monitoring for one in self.script if one.monitoring},
            changes=tuple(_change(one) for one in self.injects("change")),
            alerts=tuple(
                GivenAlert(at=one.at, state=one.alert, labels=one.labels)
                for one in self.injects("alert")
                if one.alert is not None
            ),
            actions=self.actions,
            approvals=self.approvals,
            until=self.lasts,
            never=_PLAYED,
        )

    def document(self) -> dict[str, Any]:
        """It as plain values, of which `DrillScenario.model_validate` makes it again."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def scenario_of(mark: DrillMark) -> DrillScenario:
    """What was, or is, played in the run with that mark. Of one that another version wrote, and
    this one cannot read, there is only that it was."""
    try:
        return DrillScenario.model_validate(mark.document)
    except ValidationError:
        alone = Inject(at=timedelta(0), alert="firing")
        return DrillScenario(drill="unreadable", title=mark.title[:120] or "?", script=(alone,))


def _change(inject: Inject) -> GivenChange:
    return GivenChange(
        at=inject.at,
        to=inject.change or "",
        was=inject.was,
        reported_by=inject.reported_by,
        labels=inject.labels,
    )
