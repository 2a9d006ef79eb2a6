"""Actions that change nothing: the real ones judge parameters and target, the rest is scripted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from daemon.core.ports.actions import Action, ActionContext, GoesBack, Landed, Ready, Refused
from daemon.core.values.outcome import Outcome


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Simulation:
    """How one run of an action goes.

    It looks for `prepares` at its target, and refuses if it `refuses` (the action's own word);
    else it works for `takes` and ends. `effect` is called the moment before it has ended.
    """

    ends: Literal["done", "failed", "unknown"] = "done"
    refuses: str = ""
    prepares: timedelta = timedelta(0)
    takes: timedelta = timedelta(seconds=5)
    effect: Callable[[], None] = _nothing


class Targets(Protocol):
    """What is live on the targets of a virtual daemon."""

    async def live(self, target: str) -> str:
        """The item that is live there; empty if nobody knows."""

    async def switch(self, target: str, item: str) -> None:
        """Another item is live there from now on, and is seen."""


Script = Callable[[str, Any, ActionContext], Simulation]
"""How a run goes: of the action of that name, with these parameters, for that step."""


class SimulatedAction:
    """An action of the catalogue of which only `Params`, `allowed` and `target` are real; without
    `restricted`, everything is allowed, for nobody knows what the settings allow.

    One that goes back (`daemon.core.ports.actions.GoesBack`) asks for the item to go back to, as
    it would in earnest, and refuses with `no_healthy_item` or `changed_meanwhile`.
    """

    def __init__(
        self, real: Action, script: Script, targets: Targets, *, restricted: bool = True
    ) -> None:
        self.name = real.name
        self.Params: type[BaseModel] = real.Params
        self.allowed: Callable[[Any], str | None] = real.allowed if restricted else lambda _: None
        self.target = real.target
        self._goes_back = isinstance(real, GoesBack)
        self._script = script
        self._targets = targets

    async def preflight(self, params: Any, context: ActionContext) -> Ready | Refused:
        """Refuse as scripted, or for want of something to go back to."""
        simulation = self._script(self.name, params, context)
        await asyncio.sleep(simulation.prepares.total_seconds())
        if simulation.refuses:
            return Refused(simulation.refuses, f"{self.name} refuses: {simulation.refuses}")
        target = self.target(params)
        if not self._goes_back:
            return Ready(f"{self.name} on {target} (simulated)")
        live = await self._targets.live(target)
        if context.expected not in {"", live}:
            text = f"{context.expected} was to be rolled back, but {live or 'nothing'} is live"
            return Refused("changed_meanwhile", text)
        candidate = await context.choose(live)
        if candidate.reason == "no_healthy_item":
            return Refused("no_healthy_item", candidate.text)
        summary = f"{self.name} on {target} from {live} to {candidate.item} (simulated)"
        return Ready(summary, {"from": live, "to": candidate.item})

    async def run(self, params: Any, intent: Mapping[str, str], context: ActionContext) -> Outcome:
        """Take the scripted time, and end as scripted."""
        simulation = self._script(self.name, params, context)
        await asyncio.sleep(simulation.takes.total_seconds())
        if simulation.ends == "done" and "to" in intent:
            await self._targets.switch(self.target(params), intent["to"])
        simulation.effect()
        detail = f"{self.name} ended {simulation.ends} (simulated)"
        return Outcome(result=simulation.ends, reason=simulation.ends, detail=detail)

    async def check(self, params: Any, intent: Mapping[str, str], context: ActionContext) -> Landed:
        """A virtual daemon is not restarted in the middle; if it were, nothing was done."""
        return "not_done"
