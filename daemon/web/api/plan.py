"""What steers the recovery of one incident: its plan, and the catalogue of what can be proposed."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from daemon.core.ports.actions import risk_of
from daemon.core.recovery.commands import (
    USUAL_DEADLINE,
    ApproveStep,
    ContinueStep,
    ProposeStep,
    SkipStep,
    StartStepNow,
    StopStep,
    VetoStep,
)
from daemon.core.recovery.proposal_examples import example_options
from daemon.core.response.command import Command
from daemon.core.values.units import Frozen
from daemon.web.api.operation import (
    ApiOperation,
    Call,
    IncidentPath,
    carried_out,
    do,
    incident_operation,
)
from daemon.web.api.people import ReasonBody
from daemon.web.api.request_parsing import Count, Lasting
from daemon.web.api.schemas import IncidentAfter
from daemon.web.context import WebContext

_TAG = "plan"


class StepProposal(Frozen):
    """An alternative from the catalogue of actions, with its parameters."""

    action: str = Field(max_length=100)
    params: dict[str, Any] = Field(default_factory=dict, alias="with")
    within: Lasting = Field(default=USUAL_DEADLINE, json_schema_extra={"default": "10m"})
    reason: str = Field(default="", max_length=500)


class OneStep(IncidentPath):
    """Which step of which incident; what people proposed begins at 101."""

    step: Count = Field(ge=0, le=999)


class ActionView(Frozen):
    """An action: what it does, the JSON Schema of its parameters, what it declares of its risk.

    `example`: the parameters of one, as `stopgap propose` takes them.
    """

    action: str
    text: str
    params: dict[str, Any]
    risk: str
    example: str


class StepAfter(IncidentAfter):
    """The incident as it is after that. `waits`: why the step does not start although it may, and
    until when what was said counts; empty if nothing is known to hold it up."""

    waits: str


class Catalogue(Frozen):
    """All actions, by name."""

    actions: tuple[ActionView, ...]


class PlanOperations:
    """The rows."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def operations(self) -> list[ApiOperation]:
        """The rows of the table."""
        step = "steps/{step}"
        proposal = {
            "action": "http_call",
            "with": {"url": "https://flags.example/loyalty/off"},
            "within": "2m",
            "reason": "the loyalty service is slow",
        }
        return [
            incident_operation("POST", "steps", self.propose, _TAG, example=proposal),
            incident_operation("POST", f"{step}/approve", self.approve, _TAG),
            incident_operation("POST", f"{step}/start", self.start, _TAG),
            incident_operation(
                "POST", f"{step}/skip", self.skip, _TAG, example={"reason": "it is not that"}
            ),
            incident_operation("POST", f"{step}/veto", self.veto, _TAG),
            incident_operation("POST", f"{step}/continue", self.go_on, _TAG),
            incident_operation("POST", f"{step}/stop", self.stop, _TAG),
            ApiOperation("GET", "/api/v1/actions", self.actions, "viewer", _TAG),
        ]

    async def approve(self, call: Call[OneStep, None, None]) -> StepAfter:
        """Allow a step, as the Commander."""
        return await self._let(call, ApproveStep(call.at.step))

    async def start(self, call: Call[OneStep, None, None]) -> StepAfter:
        """Start a step now, out of turn, as the Commander.

        Held up, by a freeze or the lock of its target, the order counts for 20 seconds; then the
        Commander is asked again.
        """
        return await self._let(call, StartStepNow(call.at.step))

    async def _let(self, call: Call[OneStep, None, None], command: Command) -> StepAfter:
        after = await carried_out(self._context, call, command)
        waits = await self._context.held_up(after, call.at.step)
        return StepAfter(incident=self._context.view(after), waits=waits)

    async def skip(self, call: Call[OneStep, None, ReasonBody]) -> IncidentAfter:
        """Pass a step over, as the Commander."""
        return await do(self._context, call, SkipStep(call.at.step, call.sent.reason))

    async def veto(self, call: Call[OneStep, None, None]) -> IncidentAfter:
        """Forbid a step."""
        return await do(self._context, call, VetoStep(call.at.step))

    async def go_on(self, call: Call[OneStep, None, None]) -> IncidentAfter:
        """Have a step that waits midway go on to its end, as the Commander."""
        return await do(self._context, call, ContinueStep(call.at.step))

    async def stop(self, call: Call[OneStep, None, None]) -> IncidentAfter:
        """Have a step that waits midway take back what it did, as the Commander."""
        return await do(self._context, call, StopStep(call.at.step))

    async def propose(self, call: Call[IncidentPath, None, StepProposal]) -> IncidentAfter:
        """Add an alternative to the plan, as a responder."""
        given = call.sent
        proposal = ProposeStep(given.action, given.params, given.within, given.reason)
        return await do(self._context, call, proposal)

    async def actions(self, call: Call[None, None, None]) -> Catalogue:
        """List the catalogue of actions, with the schema of their parameters."""
        listed = (
            ActionView(
                action=name,
                text=(type(action).__doc__ or "").strip().partition("\n")[0],
                params=action.Params.model_json_schema(by_alias=True),
                risk=risk_of(action),
                example=example_options(action.Params.model_json_schema(by_alias=True)),
            )
            for name, action in sorted(self._context.actions.items())
        )
        return Catalogue(actions=tuple(listed))
