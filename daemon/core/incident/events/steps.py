"""What can have happened to a step of the recovery plan."""

from __future__ import annotations

from abc import ABC
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from daemon.core.incident.events.base import BaseEvent, EventGroup
from daemon.core.incident.events.dry_runs import StepRehearsed
from daemon.core.incident.events.stages import StageReached, StageRuled
from daemon.core.incident.reasons import AskReason, AutonomyLoss, RefusalReason
from daemon.core.measurement.problem import RecoveryReading
from daemon.core.values.outcome import Outcome
from daemon.core.values.units import AnyVersion, Duration

Verdict = Literal["recovered", "partial", "unchanged", "worse", "inconclusive", "self_recovered"]


class _AboutStep(BaseEvent, ABC):
    group: ClassVar[EventGroup] = "recovery"


class ApprovalRequested(_AboutStep):
    """The step waits for the Commander's word."""

    kind: Literal["ApprovalRequested"] = "ApprovalRequested"
    step: int
    reason: Annotated[AskReason, AnyVersion]
    text: str

    def describe(self) -> str:
        return f"approval wanted: {self.text}"


class StepApproved(_AboutStep):
    """A person approved the step as it stood: `content` is its hash (`plan.content_of`), `saw`
    what stood there by field (`approved_content.seen_fields`; empty in old entries).

    `first`: they start it now, whatever the plan's order, its conditions and the metrics say.
    """

    kind: Literal["StepApproved"] = "StepApproved"
    step: int
    person: str
    content: str
    first: bool = False
    saw: dict[str, str] = Field(default_factory=dict)

    def describe(self) -> str:
        return f"step {self.step} {'started' if self.first else 'approved'} by {self.person}"


class StepProposed(_AboutStep):
    """A person added an alternative to the plan; it waits for the Commander's word."""

    kind: Literal["StepProposed"] = "StepProposed"
    step: int
    person: str
    action: str
    params: dict[str, Any]
    within: Duration
    reason: str = ""

    def describe(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        return f"step {self.step} proposed by {self.person}: {self.action}{why}"


class StepVetoed(_AboutStep):
    """A person forbade the step; it will not run in this incident."""

    kind: Literal["StepVetoed"] = "StepVetoed"
    step: int
    person: str

    def describe(self) -> str:
        return f"step {self.step} vetoed by {self.person}"


class StepRefused(_AboutStep):
    """The daemon would not start the step, and this is why. It may later."""

    kind: Literal["StepRefused"] = "StepRefused"
    step: int
    reason: Annotated[RefusalReason, AnyVersion]
    text: str

    def describe(self) -> str:
        return f"step {self.step} not started ({self.reason}): {self.text}"


class StepSkipped(_AboutStep):
    """The step does not apply to this problem, or a `person` passed it over; the next one is
    looked at.

    `reason` is the plan's (`SkipReason`), or what the action itself said when it was rehearsed.
    """

    kind: Literal["StepSkipped"] = "StepSkipped"
    step: int
    reason: str
    text: str
    person: str = ""

    def describe(self) -> str:
        by = f" by {self.person}" if self.person else ""
        return f"step {self.step} skipped{by} ({self.reason}): {self.text}"


class StepReopened(_AboutStep):
    """A step that was passed over for want of evidence applies by what is known now."""

    kind: Literal["StepReopened"] = "StepReopened"
    step: int
    text: str

    def describe(self) -> str:
        return f"step {self.step} is looked at again: {self.text}"


class StepObserved(_AboutStep):
    """The rule only observes: this is what would have been done now, and was not.

    `reason` is empty if it would have started; else why the Commander would have been asked, or
    what its own preflight or the last look refused (`rehearsed`), in the action's own words.
    """

    kind: Literal["StepObserved"] = "StepObserved"
    step: int
    action: str
    target: str
    reason: str
    text: str
    rehearsed: bool = False

    def describe(self) -> str:
        asks = "would be refused" if self.rehearsed else "would ask"
        would = f"{asks} ({self.reason})" if self.reason else "would start"
        what = f"{self.action} on {self.target}: {self.text}"
        return f"observed only: step {self.step} {would}: {what}"


class StepStarted(_AboutStep):
    """The step has taken its target's lock. Nothing is changed before StepPrepared."""

    kind: Literal["StepStarted"] = "StepStarted"
    step: int
    action: str
    target: str
    params: dict[str, Any]
    authority: str

    def describe(self) -> str:
        return f"step {self.step} started: {self.action} on {self.target} ({self.authority})"


class EvidenceTaken(_AboutStep):
    """What was known at the very moment of acting, before anything was changed.

    `answers` maps each query to Prometheus's answer in short, `target` what stood at the
    target; `monitoring` says why the metrics were not believed, empty if they were.
    """

    kind: Literal["EvidenceTaken"] = "EvidenceTaken"
    step: int
    reading: RecoveryReading | None = None
    answers: dict[str, str] = Field(default_factory=dict)
    target: dict[str, str] = Field(default_factory=dict)
    monitoring: str = ""

    def describe(self) -> str:
        measured = self.reading.describe() if self.reading else "not measured"
        text = f"evidence before step {self.step}: {measured}"
        if self.monitoring:
            text += f"; the monitoring is not believed: {self.monitoring}"
        stands = "; ".join(f"{name} {value}" for name, value in self.target.items())
        return f"{text}; {stands}" if stands else text


class StepPrepared(_AboutStep):
    """Preflight passed; this is what will now be done. The world may change from here on."""

    kind: Literal["StepPrepared"] = "StepPrepared"
    step: int
    summary: str
    intent: dict[str, str]

    def describe(self) -> str:
        return f"step {self.step} will {self.summary}"


class StepProgressed(_AboutStep):
    """The action says how far it is."""

    kind: Literal["StepProgressed"] = "StepProgressed"
    step: int
    text: str

    def describe(self) -> str:
        return f"step {self.step}: {self.text}"


class StepFinished(_AboutStep):
    """The action ended and gave back its target's lock."""

    kind: Literal["StepFinished"] = "StepFinished"
    step: int
    outcome: Outcome

    def describe(self) -> str:
        ended = self.outcome
        return f"step {self.step} {ended.result} ({ended.reason}): {ended.detail}"


class StepVerified(_AboutStep):
    """What the metrics say the step has achieved."""

    kind: Literal["StepVerified"] = "StepVerified"
    step: int
    verdict: Verdict
    text: str

    def describe(self) -> str:
        return f"step {self.step} verified: {self.verdict}: {self.text}"


class AutonomyWithdrawn(_AboutStep):
    """What came of the step is why its rule asks for each step from now on, in all incidents."""

    kind: Literal["AutonomyWithdrawn"] = "AutonomyWithdrawn"
    step: int
    reason: Annotated[AutonomyLoss, AnyVersion]
    text: str

    def describe(self) -> str:
        return f"the rule asks for each step from now on ({self.reason}): {self.text}"


class AutonomyRestored(_AboutStep):
    """A person trusts the rule again, which had lost its autonomy over this step."""

    kind: Literal["AutonomyRestored"] = "AutonomyRestored"
    step: int
    person: str
    reason: str

    def describe(self) -> str:
        return f"the rule acts by itself again, by the word of {self.person}: {self.reason}"


StepEvent = (
    ApprovalRequested
    | StepApproved
    | StepProposed
    | StepVetoed
    | StepRefused
    | StepSkipped
    | StepReopened
    | StepObserved
    | StepRehearsed
    | StepStarted
    | EvidenceTaken
    | StepPrepared
    | StepProgressed
    | StageReached
    | StageRuled
    | StepFinished
    | StepVerified
    | AutonomyWithdrawn
    | AutonomyRestored
)


def step_refused(event: BaseEvent) -> bool:
    """Whether it says that an action ended before it changed anything."""
    return isinstance(event, StepFinished) and event.outcome.result == "refused"
