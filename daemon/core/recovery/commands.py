"""What people do to the recovery plan: approve, start, skip, veto, continue, stop, propose.

`ALLOWED` says which of them a step takes. The commands check it, and everything that shows a step
to people reads it, so that nothing is offered that is refused, and nothing refused that is offered.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import ValidationError

from daemon.core.incident import events as e
from daemon.core.incident.reasons import EVIDENCE_REASONS, SKIPPED_BY_PERSON
from daemon.core.incident.state import Incident
from daemon.core.incident.step_state import StepStatus
from daemon.core.recovery.approved_content import seen_fields
from daemon.core.recovery.plan import PROPOSED_FROM, content_of, plan_of
from daemon.core.response.command import (
    Command,
    CommandSituation,
    InvalidCommand,
    NotPossible,
    optional_text,
)
from daemon.core.rules.rule import Rule, StepSpec

MOST_PROPOSED = 20
"""So many alternatives may be proposed in one incident."""
USUAL_DEADLINE: timedelta = StepSpec.model_fields["within"].default
"""How long a proposed step may take if nothing else is said."""

StepCommandName = Literal["approve", "start", "skip", "veto", "continue", "stop"]

ALLOWED: Mapping[StepStatus, tuple[StepCommandName, ...]] = {
    "waiting": ("approve", "start", "skip", "veto"),
    "skipped": ("start", "skip", "veto"),
    "running": ("veto", "continue", "stop"),
    "vetoed": (),
    "finished": (),
}
"""What a step of each status takes; `allowed_commands` adds what the incident has to say."""

_REFUSALS: Mapping[StepCommandName, str] = {
    "approve": "only a waiting step can be approved",
    "start": "to do it again, `propose` the same",
    "skip": "only a waiting step can be skipped",
    "veto": "a veto comes too late, but `pause` does not",
    "continue": "only a step that waits midway can be continued",
    "stop": "only a step that waits midway can be stopped",
}


def allowed_commands(
    incident: Incident, rule: Rule | None, step: int
) -> tuple[StepCommandName, ...]:
    """What may be done to a step as the incident stands; nothing to one that the plan has not.

    The Commander may do all of it, every responder may veto. `rule` is the one in force.
    """
    if incident.closed is not None or rule is None or step not in plan_of(incident, rule):
        return ()
    found = ALLOWED[incident.step(step).status]
    return tuple(name for name in found if not _hindrance(incident, step, name))


def _hindrance(incident: Incident, step: int, name: StepCommandName) -> str:
    """Why a step whose status takes the command still does not; empty if it does."""
    state, running = incident.step(step), incident.running
    if name == "start" and incident.recovered_at is not None:
        return "service is recovered; a step is started again only if it relapses"
    if name == "start" and running is not None:
        return f"step {running.number} is running; one at a time"
    if name == "skip" and state.status == "skipped" and state.refusal not in EVIDENCE_REASONS:
        return f"step {step} is skipped already"
    if name == "veto" and state.status == "running" and state.vetoed_by:
        return f"step {step} was vetoed by {state.vetoed_by} already"
    if name == "veto" and state.intent is not None:
        return f"step {step} is {state.status}; {_REFUSALS[name]}"
    if name in {"continue", "stop"} and state.status == "running" and not state.at_stage:
        return f"step {step} is running and waits at no stage; {_REFUSALS[name]}"
    return ""


@dataclass(frozen=True)
class StepCommand(Command):
    """What is done to one step of the plan, by its number."""

    name: ClassVar[StepCommandName]
    step: int

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        rule = _rule_of(incident, situation.rule, self.step)
        if self._is_done(incident):
            return ()
        self._require_allowed(incident)
        return self._decided(incident, rule, situation.person)

    def _is_done(self, incident: Incident) -> bool:
        """Whether all is so already."""
        return False

    def _require_allowed(self, incident: Incident) -> None:
        """Raises NotPossible unless the step takes it now."""
        status = incident.step(self.step).status
        hindrance = _hindrance(incident, self.step, self.name)
        if hindrance:
            raise NotPossible(hindrance)
        if status == "vetoed" and self.name == "start":
            raise NotPossible(
                f"step {self.step} was vetoed; if that is over, `propose` the same again"
            )
        if self.name not in ALLOWED[status]:
            raise NotPossible(f"step {self.step} is {status}; {_REFUSALS[self.name]}")

    @abstractmethod
    def _decided(self, incident: Incident, rule: Rule, person: str) -> tuple[e.Event, ...]:
        """The events, once it may be done."""


@dataclass(frozen=True)
class _Approval(StepCommand):
    """`content`: what the person has read of the step; None if they did not say."""

    first: ClassVar[bool] = False
    content: str | None = None

    def _decided(self, incident: Incident, rule: Rule, person: str) -> tuple[e.Event, ...]:
        content = content_of(incident, rule, self.step)
        if self.content is not None and self.content != content:
            raise NotPossible(f"step {self.step} was edited while you read it; read it again")
        approved = e.StepApproved(
            step=self.step,
            person=person,
            content=content,
            first=self.first,
            saw=seen_fields(rule, plan_of(incident, rule)[self.step]),
        )
        return (approved,)


@dataclass(frozen=True)
class ApproveStep(_Approval):
    """Allow a step to run when its turn comes; only the Commander may."""

    name: ClassVar[StepCommandName] = "approve"
    commander_only: ClassVar[str] = "approve a step"


@dataclass(frozen=True)
class StartStepNow(_Approval):
    """Start a step now, out of turn and against its conditions; only the Commander may.

    A freeze, the target's lock and the action's own preflight still hold.
    """

    name: ClassVar[StepCommandName] = "start"
    commander_only: ClassVar[str] = "start a step"
    first: ClassVar[bool] = True


@dataclass(frozen=True)
class SkipStep(StepCommand):
    """Pass a step over, so that the next alternative is looked at; only the Commander may."""

    name: ClassVar[StepCommandName] = "skip"
    commander_only: ClassVar[str] = "skip a step"
    reason: str = ""

    def _is_done(self, incident: Incident) -> bool:
        # What was passed over for want of evidence would come back with more of it.
        step = incident.step(self.step)
        return step.status == "skipped" and step.refusal not in EVIDENCE_REASONS

    def _decided(self, incident: Incident, rule: Rule, person: str) -> tuple[e.Event, ...]:
        text = optional_text(self.reason) or "no reason given"
        return (e.StepSkipped(step=self.step, reason=SKIPPED_BY_PERSON, text=text, person=person),)


@dataclass(frozen=True)
class VetoStep(StepCommand):
    """Forbid a step for this incident; every responder may stop the automation.

    One that still prepares, and has changed nothing, is stopped.
    """

    name: ClassVar[StepCommandName] = "veto"

    def _is_done(self, incident: Incident) -> bool:
        state = incident.step(self.step)
        # One that prepared may have been taken back for another reason, and waits again.
        stopping = state.status == "running" and bool(state.vetoed_by)
        return state.status == "vetoed" or stopping

    def _decided(self, incident: Incident, rule: Rule, person: str) -> tuple[e.Event, ...]:
        return (e.StepVetoed(step=self.step, person=person),)


@dataclass(frozen=True)
class _Ruling(StepCommand):
    go_on: ClassVar[bool]

    def _decided(self, incident: Incident, rule: Rule, person: str) -> tuple[e.Event, ...]:
        text = f"{person} said so"
        ruled = e.StageRuled(
            step=self.step, go_on=self.go_on, reason="person", text=text, person=person
        )
        return (ruled,)


@dataclass(frozen=True)
class ContinueStep(_Ruling):
    """Have a step that waits midway go on to its end; only the Commander may."""

    name: ClassVar[StepCommandName] = "continue"
    commander_only: ClassVar[str] = "continue a step"
    go_on: ClassVar[bool] = True


@dataclass(frozen=True)
class StopStep(_Ruling):
    """Have a step that waits midway take back what it did; only the Commander may."""

    name: ClassVar[StepCommandName] = "stop"
    commander_only: ClassVar[str] = "stop a step"
    go_on: ClassVar[bool] = False


@dataclass(frozen=True)
class ProposeStep(Command):
    """Add an alternative from the catalogue; it runs once the Commander approves it.

    The number is the next free one from PROPOSED_FROM on. Only responders who are here propose.
    """

    action: str
    params: Mapping[str, Any] = field(default_factory=dict)
    within: timedelta = USUAL_DEADLINE
    reason: str = ""

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        misfit = situation.misfit(self._spec())
        if misfit:
            raise InvalidCommand(misfit)
        if situation.rule is None:
            raise NotPossible("no rule measures this incident, so no recovery could be verified")
        if situation.person not in incident.responders:
            raise NotPossible("acknowledge the incident first; its responders propose alternatives")
        before = [n for n, state in incident.steps.items() if state.proposed is not None]
        if len(before) >= MOST_PROPOSED:
            raise NotPossible(f"{MOST_PROPOSED} alternatives were proposed already; that is enough")
        return (
            e.StepProposed(
                step=max(before, default=PROPOSED_FROM - 1) + 1,
                person=situation.person,
                action=self.action,
                params=dict(self.params),
                within=self.within,
                reason=optional_text(self.reason),
            ),
        )

    def _spec(self) -> StepSpec:
        given = {"action": self.action, "with": self.params, "within": self.within}
        try:
            return StepSpec.model_validate(given)
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in wrong["loc"])
            raise InvalidCommand(f"{place}: {wrong['msg']}") from None


def _rule_of(incident: Incident, rule: Rule | None, step: int) -> Rule:
    """The rule, if its plan or the people's proposals have that step. Raises NotPossible."""
    if rule is None and incident.rule:
        raise NotPossible(f"the rule {incident.rule} is not in force any more, so no step starts")
    numbers = plan_of(incident, rule) if rule else {}
    if rule is None or step not in numbers:
        listed = ", ".join(map(str, numbers)) or "no step"
        raise NotPossible(f"there is no step {step}; the plan has {listed}")
    return rule
