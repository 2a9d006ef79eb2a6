"""How far a step of the plan has come in one incident: asked for, started, done, verified.

It is the fold of the step's own events (`fold_steps`); what the step is to do stands in the rule,
or in what a person has proposed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

from daemon.core.incident import events as e
from daemon.core.incident.dry_run import DryRun
from daemon.core.incident.reasons import AskReason, TakenBackReason
from daemon.core.measurement.problem import RecoveryReading
from daemon.core.rules.rule import StepSpec
from daemon.core.values.outcome import Outcome

StepStatus = Literal["waiting", "vetoed", "skipped", "running", "finished"]


@dataclass(frozen=True)
class StepStage:
    """Where a step stopped midway, since when, and what was ruled then; None while it is open."""

    since: datetime
    reached: e.StageReached
    ruling: e.StageRuled | None = None


@dataclass(frozen=True)
class StepState:
    """One alternative of the plan, as far as it has come.

    `refusal` and `observed` can be the action's own words; None: nothing was observed,
    and `observation` is all of it.
    `refusal_text`: the sentence with which the daemon last said why it would not start it.
    `ask_reason`: why people were last asked to approve it; `asking`: nobody has since, or what they
    gave does not count any more. `approvals`: how often people have approved it. `reopened`: it was
    passed over, and applies by what became known later. `dry_run`: the newest, made
    while people are asked. `stage`: where it stopped midway. `begun_at`: when its run has last
    begun, or gone on after a restart; what it does to the world does not begin before.
    """

    number: int
    status: StepStatus = "waiting"
    action: str = ""
    target: str = ""
    proposed: StepSpec | None = None
    proposed_by: str = ""
    refusal: str = ""
    refusal_text: str = ""
    reopened: bool = False
    ask_reason: AskReason | Literal[""] = ""
    asking: bool = False
    observed: str | None = None
    observation: e.StepObserved | None = None
    rehearsed: bool = False
    dry_run: DryRun | None = None
    approved_by: str = ""
    approved_at: datetime | None = None
    approvals: int = 0
    approved_content: str = ""
    approved_saw: Mapping[str, str] = field(default_factory=dict)
    ordered: bool = False
    vetoed_by: str = ""
    taken_back: TakenBackReason | Literal[""] = ""
    taken_back_at: datetime | None = None
    evidence: e.EvidenceTaken | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    authority: str = ""
    automatic: bool = False
    withdrew_autonomy: bool = False
    started_at: datetime | None = None
    summary: str = ""
    intent: Mapping[str, str] | None = None
    begun_at: datetime | None = None
    stage: StepStage | None = None
    finished_at: datetime | None = None
    outcome: Outcome | None = None
    readings: tuple[RecoveryReading, ...] = ()
    verdict: e.Verdict | None = None
    verdict_at: datetime | None = None
    verdict_text: str = ""

    @property
    def ordered_now(self) -> bool:
        """Whether a person starts it now, and has not been asked again since."""
        return self.ordered and not self.asking

    @property
    def at_stage(self) -> bool:
        """Whether it waits midway for the metrics, or for a person's word."""
        return self.status == "running" and self.stage is not None and self.stage.ruling is None

    @property
    def acted(self) -> bool:
        """Whether it may have changed the world, so that its effect must be measured."""
        return self.outcome is not None and self.outcome.result != "refused"

    @property
    def so_far(self) -> str:
        """What has come of it, for a sentence: the verdict, or how far it is."""
        if self.verdict:
            return self.verdict.replace("_", " ")
        if self.outcome is None:
            going_on = "waiting midway for the metrics" if self.at_stage else "being carried out"
            return going_on if self.status == "running" else self.status
        result = self.outcome.result
        return "done, its effect is being measured" if result == "done" else result

    @property
    def awaits_approval(self) -> bool:
        """Whether it waits for the Commander's word."""
        return self.status == "waiting" and self.asking


@lru_cache(maxsize=256)
def untouched(number: int) -> StepState:
    """A step that nothing has happened to. Made once: each decision asks for the state of every
    step, several times."""
    return StepState(number)
