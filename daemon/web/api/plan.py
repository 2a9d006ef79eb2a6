"""What steers the recovery of one incident: its plan, and the catalogue of what can be proposed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import Field

from daemon.core.recovery import commands as steering
from daemon.core.rules.rule import StepSpec
from daemon.core.values.units import Frozen
from daemon.web.api.operation import Call, Now, OneIncident, Operation, deed, do
from daemon.web.api.people import Why
from daemon.web.api.request_parsing import Count, Lasting
from daemon.web.context import House
from daemon.web.errors import Problem

ROOM = "plan"


class Proposal(Frozen):
    """An alternative from the catalogue of actions, with its parameters."""

    action: str = Field(max_length=100)
    params: dict[str, Any] = Field(default_factory=dict, alias="with")
    within: Lasting = Field(default=timedelta(minutes=10), json_schema_extra={"default": "10m"})
    reason: str = Field(default="", max_length=500)


class OneStep(OneIncident):
    """Which step of which incident; what people proposed begins at 101."""

    step: Count = Field(ge=0, le=999)


class ActionView(Frozen):
    """An action: what it does, and the JSON Schema of its parameters."""

    action: str
    text: str
    params: dict[str, Any]


class Catalogue(Frozen):
    """All actions, by name."""

    actions: tuple[ActionView, ...]


class Steering:
    """The rows."""

    def __init__(self, house: House) -> None:
        self._house = house

    def operations(self) -> list[Operation]:
        """The rows of the table."""
        step = "steps/{step}"
        proposal = {
            "action": "http_call",
            "with": {"url": "https://flags.example/loyalty/off"},
            "within": "2m",
            "reason": "the loyalty service is slow",
        }
        return [
            deed("POST", "steps", self.propose, ROOM, example=proposal),
            deed("POST", f"{step}/approve", self.approve, ROOM),
            deed("POST", f"{step}/start", self.start, ROOM),
            deed("POST", f"{step}/skip", self.skip, ROOM, example={"reason": "it is not that"}),
            deed("POST", f"{step}/veto", self.veto, ROOM),
            Operation("GET", "/api/v1/actions", self.actions, "viewer", ROOM),
        ]

    async def approve(self, call: Call[OneStep, None, None]) -> Now:
        """Allow a step, as the Commander."""
        who, step, rules = call.person, call.at.step, self._house.rules().rules
        return await do(
            self._house, call, lambda i: steering.approve(i, rules.get(i.rule), step, who)
        )

    async def start(self, call: Call[OneStep, None, None]) -> Now:
        """Start a step now, out of turn, as the Commander."""
        who, step, rules = call.person, call.at.step, self._house.rules().rules
        return await do(
            self._house, call, lambda i: steering.start(i, rules.get(i.rule), step, who)
        )

    async def skip(self, call: Call[OneStep, None, Why]) -> Now:
        """Pass a step over, as the Commander."""
        who, step, rules = call.person, call.at.step, self._house.rules().rules
        why = call.sent.reason
        return await do(
            self._house, call, lambda i: steering.skip(i, rules.get(i.rule), step, who, why)
        )

    async def veto(self, call: Call[OneStep, None, None]) -> Now:
        """Forbid a step."""
        who, step, rules = call.person, call.at.step, self._house.rules().rules
        return await do(self._house, call, lambda i: steering.veto(i, rules.get(i.rule), step, who))

    async def propose(self, call: Call[OneIncident, None, Proposal]) -> Now:
        """Add an alternative to the plan, as a responder."""
        who, given = call.person, call.sent
        incident = await self._house.book.load(call.at.id)
        spec = StepSpec.model_validate({"action": given.action, "with": given.params})
        unfit = self._house.unfit(spec, incident)
        if unfit:
            raise Problem(400, "Not a step", unfit)
        rules = self._house.rules().rules
        return await do(
            self._house,
            call,
            lambda i: steering.propose(
                i,
                rules.get(i.rule),
                given.action,
                given.params,
                given.within,
                given.reason,
                who,
            ),
        )

    async def actions(self, call: Call[None, None, None]) -> Catalogue:
        """List the catalogue of actions, with the schema of their parameters."""
        listed = (
            ActionView(
                action=name,
                text=(type(action).__doc__ or "").strip().partition("\n")[0],
                params=action.Params.model_json_schema(by_alias=True),
            )
            for name, action in sorted(self._house.actions.items())
        )
        return Catalogue(actions=tuple(listed))
