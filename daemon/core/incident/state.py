"""The incident: the fold of its events. Nothing about it is known that is not in its journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from daemon.core.alertmanager import Alert, Labels
from daemon.core.changes.suspects import Suspicion
from daemon.core.incident import events as e
from daemon.core.incident.alert_silence import AlertSilence
from daemon.core.incident.amendments import Amendment
from daemon.core.incident.call_answers import CallAnswers
from daemon.core.incident.collaboration import Collaboration
from daemon.core.incident.diagnosis import IncidentDiagnosis
from daemon.core.incident.drill_mark import DrillMark, DrillState
from daemon.core.incident.headline import headline_of, statement_of
from daemon.core.incident.impact import ImpactTally
from daemon.core.incident.last_word import LastWord
from daemon.core.incident.learning import Learning
from daemon.core.incident.misjudgements import Misjudgements
from daemon.core.incident.organization import Organization, worse
from daemon.core.incident.page_identity import Purpose
from daemon.core.incident.responders import IncidentPeople
from daemon.core.incident.step_state import StepState, untouched
from daemon.core.incident.storm_membership import StormMembership
from daemon.core.incident.updates import IncidentUpdates
from daemon.core.measurement.problem import Problem, RecoveryReading, RecoveryState, Severity
from daemon.core.values.drill_key import marked, unmarked

Phase = Literal[
    "defining",
    "observing",
    "deciding",
    "recovering",
    "verifying",
    "diagnosing",
    "watching",
    "closed",
]

RECENT_READINGS = 50
"""How many of the newest measurements are kept for judging a streak."""


@dataclass(frozen=True)
class PageState:
    """One call to one person. `occasion`: which of its purpose; `campaign` and `jumps`: those of
    the people when it was queued. `proof`: what the pager answered."""

    queued: e.PageQueued
    at: datetime
    occasion: int = 0
    campaign: int = 0
    jumps: int = 0
    failed_methods: tuple[str, ...] = ()
    worth_trying: bool = False
    delivered_at: datetime | None = None
    delivered_by: str = ""
    proof: str = ""
    given_up: bool = False
    amendment: Amendment = field(default_factory=Amendment)

    def is_for(self, purpose: Purpose, about: str = "") -> bool:
        """Whether that is what the person was called for."""
        return self.queued.purpose == purpose and self.queued.about == about

    @property
    def pending(self) -> bool:
        """Whether somebody still has to deliver it."""
        return self.delivered_at is None and not self.given_up


@dataclass(frozen=True)
class PagerAlertState:
    """How far a pager that keeps state was told. `failures`: tries at the next state."""

    state: e.Settled | Literal[""] = ""
    at: datetime | None = None
    failures: int = 0
    failed_at: datetime | None = None
    given_up: e.Settled | Literal[""] = ""


@dataclass(frozen=True)
class Incident:
    """One incident as it stands after `seq` events.

    `told_weighed`: how many of the changes that were told there were when they were weighed last.
    `alertmanager_url`: where the Alertmanager that told of it last is reached.
    `recorded`: its samples are kept, for replays.
    `diagnosis`: why people look for the cause; `causes`: what was found out about it. `storm`: the
    one that it is of, if any; `silence`: ours in Alertmanager, while it is acknowledged. `format`:
    the highest of its entries'; `beyond`: the kinds of those that this version cannot read.
    """

    id: str
    opened_at: datetime
    opened: e.IncidentOpened
    seq: int = 0
    format: int = 1
    beyond: tuple[str, ...] = ()
    alerts: Mapping[str, Alert] = field(default_factory=dict)
    alerts_changed_at: datetime | None = None
    alertmanager_url: str = ""
    incomplete: bool = False
    suppressed: tuple[e.Suppression, ...] = ()
    problem: Problem | None = None
    confirmed: Problem | None = None
    confirmed_at: datetime | None = None
    suspicion: Suspicion | None = None
    told: tuple[e.ChangeReported, ...] = ()
    told_weighed: int = 0
    recent: tuple[tuple[datetime, RecoveryState], ...] = ()
    reading: RecoveryReading | None = None
    refired: int = 0
    impaired_in_a_row: int = 0
    measured_at: datetime | None = None
    severity: Severity = ""
    severity_rose_at: datetime | None = None
    people: IncidentPeople = field(default_factory=IncidentPeople)
    updates: IncidentUpdates = field(default_factory=IncidentUpdates)
    last_word: LastWord = field(default_factory=LastWord)
    pages: Mapping[str, PageState] = field(default_factory=dict)
    pager_states: Mapping[tuple[str, str, str], PagerAlertState] = field(default_factory=dict)
    defects: tuple[datetime, ...] = ()
    sentiment: tuple[e.SentimentHeard, ...] = ()
    sentiment_at: datetime | None = None
    sentiment_measured_at: datetime | None = None
    missed: Mapping[str, datetime] = field(default_factory=dict)
    decided_at: datetime | None = None
    first_communicator_at: datetime | None = None
    steps: Mapping[int, StepState] = field(default_factory=dict)
    recovered_at: datetime | None = None
    recovered_by: int = 0
    relapses: int = 0
    relapsed_at: datetime | None = None
    diagnosis: e.DiagnosisOpened | None = None
    diagnosed_at: datetime | None = None
    causes: IncidentDiagnosis = field(default_factory=IncidentDiagnosis)
    paused_by: str = ""
    closed: e.IncidentClosed | None = None
    closed_at: datetime | None = None
    review: str = ""
    recorded: bool = False
    impact: ImpactTally = field(default_factory=ImpactTally)
    misjudgements: Misjudgements = field(default_factory=Misjudgements)
    learning: Learning = field(default_factory=Learning)
    drill_state: DrillState = field(default_factory=DrillState)
    collaboration: Collaboration = field(default_factory=Collaboration)
    organization: Organization = field(default_factory=Organization)
    call_answers: CallAnswers = field(default_factory=CallAnswers)
    storm: StormMembership | None = None
    silence: AlertSilence | None = None

    @property
    def clock_from(self) -> datetime:
        """When people's clock began to run: the opening, or the end of the maintenance that held
        its calls."""
        return self.organization.released_at or self.opened_at

    @property
    def evidence(self) -> tuple[datetime, RecoveryState] | None:
        """The newest measurement: when, and what it showed."""
        return self.recent[-1] if self.recent else None

    @property
    def unweighed(self) -> bool:
        """Whether a change was told since the changes were weighed last."""
        return len(self.told) > self.told_weighed

    @property
    def key(self) -> str:
        """What at most one open incident may have."""
        return self.opened.key

    @property
    def drill(self) -> DrillMark | None:
        """The drill that it belongs to; None in earnest."""
        return self.opened.drill

    @property
    def rule(self) -> str:
        """The name of its rule; empty if no rule matched its alerts."""
        return self.opened.rule

    @property
    def group_labels(self) -> Labels:
        """The labels that tell it from other incidents of its rule."""
        return self.opened.group_labels

    @property
    def commander(self) -> str:
        """Who commands; empty if nobody does."""
        return self.people.holder("commander")

    @property
    def responders(self) -> tuple[str, ...]:
        """Who is there, in the order of their coming."""
        return self.people.responders

    @property
    def acknowledged_at(self) -> datetime | None:
        """When the first person came."""
        return self.people.acknowledged_at

    @property
    def title(self) -> str:
        """Its headline as it stands: now, worst, since when, how it ended; the alert while nothing
        can be measured. A drill's says first that it is one, and no other does."""
        return self._marked(headline_of(self))

    @property
    def statement(self) -> str:
        """What the problem was found to be, which stays when the numbers change; marked as the
        title is."""
        return self._marked(statement_of(self))

    def _marked(self, text: str) -> str:
        return unmarked(text) if self.drill is None else marked(text)

    def severity_for(self, wording: Literal["internal", "public"]) -> Severity:
        """Its severity to an audience of that wording: what is practised is not the public's."""
        if wording == "internal" or not self.drill_state.promoted:
            return self.severity
        said = self.organization.severity
        return worse(self.drill_state.measured, said.severity if said is not None else "")

    @property
    def phase(self) -> Phase:
        """Where it stands, in one word."""
        if self.closed is not None:
            return "closed"
        if self.recovered_at is not None:
            return "watching"
        if self.running is not None:
            return "recovering"
        if self.verifying is not None:
            return "verifying"
        if self.diagnosis is not None:
            return "diagnosing"
        if self.confirmed is not None:
            return "deciding"
        return "defining" if self.problem is None else "observing"

    @property
    def stage(self) -> e.StageOfSteps:
        """Early: nothing was decided yet. Middle: recovery or diagnosis. Late: restored."""
        if self.closed is not None or self.recovered_at is not None:
            return "late"
        if any(step.started_at for step in self.steps.values()) or self.diagnosis is not None:
            return "middle"
        return "early"

    @property
    def running(self) -> StepState | None:
        """The step that has started and not finished."""
        return next((s for s in self.steps.values() if s.status == "running"), None)

    @property
    def verifying(self) -> StepState | None:
        """The step that has acted and has no verdict yet."""
        return next((s for s in self.steps.values() if s.acted and s.verdict is None), None)

    @property
    def last_verdict(self) -> e.Verdict | None:
        """The verdict on the step that acted last."""
        acted = [s for s in self.steps.values() if s.verdict is not None and s.finished_at]
        return max(acted, key=lambda s: s.finished_at or self.opened_at).verdict if acted else None

    @property
    def all_resolved(self) -> bool:
        """Whether Alertmanager says of every alert that it is over. A hint, no more."""
        if self.incomplete or not self.alerts:
            return False
        return all(alert.status == "resolved" for alert in self.alerts.values())

    def concerned_by(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels speak of it: all are its group's, or one of its alerts'. No label
        at all speaks of everything."""
        group = self.group_labels
        ours = [group, *({**alert.labels, **group} for alert in self.alerts.values())]
        return any(labels.items() <= known.items() for known in ours)

    def touched_by(self, labels: Mapping[str, str]) -> bool:
        """Whether a change with these labels may touch it.

        Beside those that speak of it these are the labels of which some are its group's and none
        contradicts: what it does not know of (`component`) may be a part of it.
        """
        group = self.group_labels
        known = [{**alert.labels, **group} for alert in self.alerts.values()] or [group]
        part = bool(labels.items() & group.items()) and any(
            all(ours.get(name, value) == value for name, value in labels.items()) for ours in known
        )
        return part or self.concerned_by(labels)

    def step(self, number: int) -> StepState:
        """The state of a step, also of one that nothing has happened to."""
        return self.steps.get(number) or untouched(number)
