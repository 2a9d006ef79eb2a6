"""The actions of a drill: simulated, on targets that are nobody's; or, where the settings name a
staging target, real ones on nothing else."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from daemon.core.ports.actions import Action, ActionContext, Landed, Ready, Refused
from daemon.core.values.drill_key import key_prefix
from daemon.core.values.outcome import Outcome
from daemon.replaying.simulated_actions import Script, SimulatedAction, Targets


class StagedAction(SimulatedAction):
    """A simulated action of one run. Its target is the run's own, so that no lock, cooldown or
    mark of the real one is touched."""

    def __init__(
        self, real: Action, script: Script, targets: Targets, run: str, *, restricted: bool
    ) -> None:
        super().__init__(real, script, targets, restricted=restricted)
        aim = real.target
        self.target = lambda params: f"{key_prefix(run)}{aim(params)}"


class StagingAction:
    """A real action that may touch these targets, and no other."""

    def __init__(self, real: Action, name: str, acts_on: Collection[str]) -> None:
        self.name = real.name
        self.Params = real.Params
        self.target = real.target
        self._real = real
        self._staging = name
        self._acts_on = acts_on

    def allowed(self, params: Any) -> str | None:
        """Why it may not be done; None if it may."""
        target = self._real.target(params)
        if target not in self._acts_on:
            return (
                f"a drill on {self._staging} may not act on {target}; if that is a part of it, "
                f"name it in stopgap.yaml under `drills: targets: {self._staging}: acts_on:`"
            )
        return self._real.allowed(params)

    async def preflight(self, params: Any, context: ActionContext) -> Ready | Refused:
        """As the real one; it is asked for again whether it may."""
        refused = self.allowed(params)
        if refused is not None:
            return Refused("not_allowed", refused)
        return await self._real.preflight(params, context)

    async def run(self, params: Any, intent: Mapping[str, str], context: ActionContext) -> Outcome:
        """As the real one."""
        return await self._real.run(params, intent, context)

    async def check(self, params: Any, intent: Mapping[str, str], context: ActionContext) -> Landed:
        """As the real one."""
        return await self._real.check(params, intent, context)
