"""What can have happened to a step of the recovery plan."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from daemon.core.measurement.problem import RecoveryReading
from daemon.core.values.outcome import Outcome
from daemon.core.values.units import Duration, Frozen

Verdict = Literal["recovered", "partial", "unchanged", "worse", "inconclusive", "self_recovered"]


class ApprovalRequested(Frozen):
    """The step waits for the Commander's word."""

    kind: Literal["ApprovalRequested"] = "ApprovalRequested"
    step: int
    reason: str
    text: str


class StepApproved(Frozen):
    """A person approved the step as it stood: `content` is its hash (`plan.content_of`).

    `first`: they start it now, whatever the plan's order, its conditions and the metrics say.
    """

    kind: Literal["StepApproved"] = "StepApproved"
    step: int
    person: str
    content: str
    first: bool = False


class StepProposed(Frozen):
    """A person added an alternative to the plan; it waits for the Commander's word."""

    kind: Literal["StepProposed"] = "StepProposed"
    step: int
    person: str
    action: str
    params: dict[str, Any]
    within: Duration
    reason: str = ""


class StepVetoed(Frozen):
    """A person forbade the step; it will not run in this incident."""

    kind: Literal["StepVetoed"] = "StepVetoed"
    step: int
    person: str


class StepRefused(Frozen):
    """The daemon would not start the step, and this is why. It may later."""

    kind: Literal["StepRefused"] = "StepRefused"
    step: int
    reason: str
    text: str


class StepSkipped(Frozen):
    """The step does not apply to this problem, or a `person` passed it over; the next one is
    looked at."""

    kind: Literal["StepSkipped"] = "StepSkipped"
    step: int
    reason: str
    text: str
    person: str = ""


class StepObserved(Frozen):
    """The rule only observes: this is what would have been done now, and was not.

    `reason` is empty if it would have started; else why the Commander would have been asked, or
    what its own preflight or the last look refused (`rehearsed`).
    """

    kind: Literal["StepObserved"] = "StepObserved"
    step: int
    action: str
    target: str
    reason: str
    text: str
    rehearsed: bool = False


class StepStarted(Frozen):
    """The step has taken its target's lock. Nothing is changed before StepPrepared."""

    kind: Literal["StepStarted"] = "StepStarted"
    step: int
    action: str
    target: str
    params: dict[str, Any]
    authority: str


class EvidenceTaken(Frozen):
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


class StepPrepared(Frozen):
    """Preflight passed; this is what will now be done. The world may change from here on."""

    kind: Literal["StepPrepared"] = "StepPrepared"
    step: int
    summary: str
    intent: dict[str, str]


class StepProgressed(Frozen):
    """The action says how far it is."""

    kind: Literal["StepProgressed"] = "StepProgressed"
    step: int
    text: str


class StepFinished(Frozen):
    """The action ended and gave back its target's lock."""

    kind: Literal["StepFinished"] = "StepFinished"
    step: int
    outcome: Outcome


class StepVerified(Frozen):
    """What the metrics say the step has achieved."""

    kind: Literal["StepVerified"] = "StepVerified"
    step: int
    verdict: Verdict
    text: str
