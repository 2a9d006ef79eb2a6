"""A case of a rule, as it is written: `rules/cases/*.yaml`.

    case: A bad deployment is rolled back
    rule: checkout-success-rate
    labels: {service: checkout}
    series:
      total: {per_minute: '600x90'}
      bad: {share: '0.002x60 0.2x30'}
    changes:
      - {at: 59m, to: v42, was: v41}
    alerts:
      - {at: 62m}
    actions:
      1: {then: {bad: {share: '0.002'}}}
    expect:
      - {at: 63m, verdict: confirmed, suspect: v42, starts: [1], pages: [ada]}
      - {at: 80m, verdicts: {1: recovered}}

Times are counted from the beginning of the case, at which the daemon starts. All keys are told in
`rules/README.md`, and to editors by `stopgap test --schema`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from daemon.core.alertmanager import Labels
from daemon.core.cases.given_series import GivenSeries, Notation
from daemon.core.incident.events.steps import Verdict
from daemon.core.incident.state import Phase
from daemon.core.measurement.problem import ProblemReason, ProblemVerdict, Severity
from daemon.core.recovery.guardrails import GLOBAL
from daemon.core.rules.rule import Rule
from daemon.core.values.units import Duration, Frozen, format_duration, parse_duration, unset

BEGINS = datetime(2026, 1, 5, 12, tzinfo=UTC)
"""When a case begins if it does not say: a Monday at noon."""
_LONGEST = timedelta(days=31)
_STEPS = frozenset({"approve", "start", "skip", "veto"})

Place = tuple[str | int, ...]
"""Where something stands in a case."""


def _at(value: object) -> timedelta:
    if value == 0 or value == "0":
        return timedelta(0)
    at = parse_duration(value)
    if at > _LONGEST:
        raise ValueError(f"is later than {format_duration(_LONGEST)} after the beginning")
    return at


At = Annotated[
    timedelta,
    BeforeValidator(_at),
    PlainSerializer(format_duration),
    WithJsonSchema(
        {"type": ["string", "integer"], "description": "after the beginning: 0, 62m, 1h2m30s"}
    ),
]


MonitoringState = Literal["fine", "down", "targets down", "partial"]
"""Prometheus is there; or is not; or scrapes nothing; or says that its answers are partial."""


class GivenChange(Frozen):
    """A deployment, or another change: at `at`, `to` became live in the place of `was`.

    It is made on what step 1 acts on, unless `target` names another. `told`: when it became known,
    if that was later. One that another system reported (`reported_by`) needs no `changes:` in the
    rule; `labels` say what it concerns, and it is on no target unless it names one.
    """

    at: At
    to: str = Field(min_length=1)
    was: str = ""
    target: str = ""
    told: At | None = None
    reported_by: str = ""
    labels: Labels = Field(default_factory=dict)
    rolling: bool = False


class GivenAlert(Frozen):
    """What Alertmanager tells: that the alert of the rule fires, or is over. `labels` are added to
    those of the case. `since`: when it began, by itself a minute before."""

    at: At
    state: Literal["firing", "resolved"] = "firing"
    since: At | None = None
    labels: Labels = Field(default_factory=dict)


class GivenMove(Frozen):
    """What a person does, in the words of the command line. `step` goes with approve, start, skip
    and veto; `action`, `with` and `within` with propose; `scope` and `lasts` with freeze and thaw.
    `refused`: they are to be told that it cannot be done."""

    at: At
    who: str
    does: Literal[
        "ack",
        "leave",
        "pause",
        "resume",
        "approve",
        "start",
        "skip",
        "veto",
        "propose",
        "no-plan",
        "close",
        "freeze",
        "thaw",
    ]
    step: int | None = Field(default=None, ge=1)
    action: str = ""
    params: dict[str, Any] = Field(default_factory=dict, alias="with")
    within: Duration = parse_duration("10m")
    scope: str = GLOBAL
    lasts: Duration | None = None
    reason: str = ""
    refused: bool = False

    @model_validator(mode="after")
    def _complete(self) -> GivenMove:
        if (self.does in _STEPS) != (self.step is not None):
            text = "is missing" if self.does in _STEPS else "goes with approve, start, skip, veto"
            raise ValueError(f"`step` {text}")
        if (self.does == "propose") != bool(self.action):
            raise ValueError("`action` goes with `does: propose`, and is needed there")
        return self


class GivenAction(Frozen):
    """How a step's action goes, by its number in the plan; without a word it is done in 5 seconds
    and changes nothing of the series.

    `then`: what the series are from its end on, counted from there; what is not given goes on.
    `prepares`: how long it looks at its target first. `refuses`: its own word for why not.
    """

    then: GivenSeries | None = None
    then_raw: dict[str, Notation] = Field(default_factory=dict)
    ends: Literal["done", "failed", "unknown"] = "done"
    refuses: str = ""
    prepares: Duration = timedelta(0)
    takes: Duration = parse_duration("5s")


class EarlierAction(Frozen):
    """An action of another incident before: `ago` before the case begins. On what step 1 acts on,
    unless `target` names another target."""

    ago: Duration
    target: str = ""
    still_running: bool = False
    by_person: bool = False


class GivenTrouble(Frozen):
    """When the same problem stood as an incident of its own that was verified to have recovered."""

    began: At
    over: At


class Expectation(Frozen):
    """What must be so at a moment; what is left out does not matter.

    `incidents`: how many the rule has opened. The others are of one of them, the first or number
    `incident`: the `verdict`, `reason`, `statement` (each text is part of it) and `severity` of
    the problem; the `suspect` (what was changed to, or `none`); which steps have started
    (`starts`, in order), were asked about (`asks`), were written down by a rule that only observes
    (`observes`); why a step was not started, or was skipped or refused, last (`refuses`); what
    became of the problem after a step (`verdicts`); who was called (`pages`); the `commander`; the
    `phase`.
    """

    at: At
    incidents: int | None = Field(default=None, ge=0)
    incident: int = Field(default=1, ge=1)
    verdict: ProblemVerdict | None = None
    reason: ProblemReason | None = None
    statement: str | tuple[str, ...] | None = None
    severity: Severity | None = None
    suspect: str | None = None
    starts: tuple[int, ...] | None = None
    refuses: dict[int, str] | None = None
    asks: tuple[int, ...] | None = None
    observes: tuple[int, ...] | None = None
    verdicts: dict[int, Verdict] | None = None
    pages: tuple[str, ...] | None = None
    commander: str | None = None
    phase: Phase | None = None


class Never(Frozen):
    """What must not come about in any incident of the case, from beginning to end.

    `starts` and `asks`: these steps, or `any`. `pages`: these people, or `any`.
    """

    starts: Literal["any"] | tuple[int, ...] = ()
    asks: Literal["any"] | tuple[int, ...] = ()
    pages: Literal["any"] | tuple[str, ...] = ()
    severity: tuple[Severity, ...] = ()
    phase: tuple[Phase, ...] = ()


class RuleCase(Frozen):
    """One case.

    `series` gives what the rule's queries answer; `raw` gives raw series instead, on which the
    queries are evaluated by a real Prometheus (`stopgap test --promql`). `interval` is the time
    between two values of a series, `scrape` that between two scrapes. `approvals`: which automatic
    steps count as approved: all, none, these, or those whose content stands in approvals.yaml.
    `freezes`: whether freezes.yaml is in force.
    """

    case: str = Field(min_length=1, max_length=120)
    why: str = ""
    rule: str
    begins: datetime = BEGINS
    interval: Annotated[Duration, Field(gt=timedelta(0))] = parse_duration("1m")
    scrape: Annotated[Duration, Field(gt=timedelta(0))] = parse_duration("15s")
    labels: Labels = Field(default_factory=dict)
    series: GivenSeries | None = None
    raw: dict[str, Notation] = Field(default_factory=dict)
    monitoring: dict[At, MonitoringState] = Field(default_factory=dict)
    changes: tuple[GivenChange, ...] = ()
    alerts: tuple[GivenAlert, ...] = ()
    people: tuple[GivenMove, ...] = ()
    actions: dict[int, GivenAction] = Field(default_factory=dict)
    earlier: tuple[EarlierAction, ...] = ()
    trouble: tuple[GivenTrouble, ...] = ()
    approvals: Literal["all", "none", "file"] | tuple[int, ...] = "all"
    freezes: Literal["file", "none"] = "file"
    until: At | None = None
    expect: tuple[Expectation, ...] = ()
    never: Never = unset(Never)

    @property
    def end(self) -> timedelta:
        """When it ends: as it says, else with the last that is expected of it."""
        if self.until is not None:
            return self.until
        happens = [one.at for given in (self.alerts, self.people, self.changes) for one in given]
        return max([*happens, *(one.at for one in self.expect)], default=timedelta(0))


def alert_labels(case: RuleCase, rule: Rule | None) -> Labels:
    """The labels of the case's alerts: those that the rule's matchers ask for, and the case's."""
    asked = {m.name: m.value for m in rule.match if m.op == "="} if rule is not None else {}
    return {**asked, **case.labels}
