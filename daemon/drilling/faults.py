"""Breaks a staging target for real, by a command that the settings allow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from pydantic import ValidationError

from daemon.core.changes.suspects import Candidate, Change
from daemon.core.ports.actions import Action, ActionContext, Refused
from daemon.core.values.drill_key import key_prefix
from daemon.core.values.outcome import Permanent, Temporary

_WITHIN_SECONDS = 60.0
_RUNS = "run_command"


class Faults(Protocol):
    """Breaks staging targets."""

    async def cause(self, argv: Sequence[str], target: str) -> str:
        """Run the command; returns why it could not be, empty if it was."""


class CommandFaults:
    """Runs the command as the action `run_command` does, and so under the same list of what is
    allowed (`commands: allow:` in stopgap.yaml)."""

    def __init__(self, actions: Mapping[str, Action], clock: Callable[[], datetime]) -> None:
        self._actions = actions
        self._clock = clock

    async def cause(self, argv: Sequence[str], target: str) -> str:
        """Run it, for a minute at most."""
        action = self._actions.get(_RUNS)
        if action is None:
            return f"there is no action {_RUNS}"
        try:
            params = action.Params.model_validate(
                {"argv": list(argv), "target": f"{key_prefix()}{target}"}
            )
            refused = action.allowed(params)
            if refused is not None:
                return refused
            context = ActionContext(
                token=f"{key_prefix()}{target}", now=self._clock(), choose=_none, progress=_quiet
            )
            async with asyncio.timeout(_WITHIN_SECONDS):
                ready = await action.preflight(params, context)
                if isinstance(ready, Refused):
                    return ready.text
                outcome = await action.run(params, dict(ready.intent), context)
        except ValidationError as error:
            return str(error.errors(include_url=False)[0]["msg"])
        except (Temporary, Permanent, TimeoutError) as error:
            return str(error) or f"it did not end within {_WITHIN_SECONDS:.0f}s"
        return "" if outcome.result == "done" else outcome.detail


async def _none(live: str, history: Sequence[Change] = ()) -> Candidate:
    return Candidate(item="", reason="no_healthy_item", text="a fault goes back to nothing")


async def _quiet(text: str) -> None:
    return None
