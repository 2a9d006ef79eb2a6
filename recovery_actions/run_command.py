"""`run_command`: run one command that the settings allow; a plan's door to scripts of your own.

    - action: run_command
      with: {argv: [/usr/local/bin/feature-flag, checkout-v2, "off"], timeout: 30s}

The command must be harmless to repeat, as every action must be; nobody but you can see to that.
It runs on the machine of the daemon: of several replicas on that of whichever conducts the
incident, so it has to be installed, and to do the same, on each of them.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from daemon.core.ports.actions import ActionContext, Landed, Ready, Refused
from daemon.core.values.outcome import Outcome
from daemon.core.values.units import Duration, Frozen
from recovery_actions.commands import (
    GRACE,
    Argv,
    PlainText,
    run_argv,
    shown_command,
    why_not_allowed,
    why_not_runnable,
)
from recovery_actions.reasons import NotReady, ending
from recovery_actions.workshop import Workshop


class RunCommandParams(Frozen):
    """`target` names what the command changes; commands that change the same thing share it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"argv": ["systemctl", "restart", "shop"]}]}
    )

    argv: Argv
    timeout: Duration = Field(default=timedelta(minutes=2), gt=timedelta(0))
    target: PlainText = ""


class RunCommand:
    """Run an allowed command in the folder of stopgap.yaml, without a shell."""

    name = "run_command"
    risk = "Stopgap cannot tell whether the command can be undone, nor what it touches"
    Params: type[BaseModel] = RunCommandParams

    def __init__(self, workshop: Workshop) -> None:
        self._allow = workshop.commands
        self._base = workshop.base
        self._umask = workshop.umask

    def allowed(self, params: RunCommandParams) -> str | None:
        """Why the settings do not allow this command, or None if they do."""
        return why_not_allowed(params.argv, self._allow)

    def target(self, params: RunCommandParams) -> str:
        """`target` as given; a command without one is its own target."""
        return params.target or "command:" + " ".join(params.argv)

    async def preflight(self, params: RunCommandParams, context: ActionContext) -> Ready | Refused:
        """Refuses with `command_not_allowed` or `program_missing`."""
        if obstacle := self.allowed(params):
            return NotReady("command_not_allowed", obstacle)
        if obstacle := why_not_runnable(params.argv, self._base):
            return NotReady("program_missing", obstacle)
        return Ready(f"run {shown_command(params.argv)}", {"command": shlex.join(params.argv)})

    async def run(
        self, params: RunCommandParams, intent: Mapping[str, str], context: ActionContext
    ) -> Outcome:
        """`done` on exit status 0; else `failed` with `exit_status`, `timeout` or `not_started`.

        A command that left the allow-list after preflight is refused: `command_not_allowed`.
        """
        if obstacle := self.allowed(params):
            return ending(result="refused", reason="command_not_allowed", detail=obstacle)
        context.must_act()
        ran = await run_argv(params.argv, params.timeout, self._base, self._umask)
        return ending(
            result="done" if ran.reason == "succeeded" else "failed",
            reason=ran.reason,
            detail=ran.text,
            facts={"output": ran.output} if ran.output else {},
        )

    def lingers(self, params: RunCommandParams) -> timedelta:
        """Until it is ended, if whoever started it still lives."""
        return params.timeout + GRACE

    async def check(
        self, params: RunCommandParams, intent: Mapping[str, str], context: ActionContext
    ) -> Landed:
        """Always `unknown`: what a command of yours has changed cannot be seen from outside."""
        return "unknown"
