"""An action's own code is called here: anybody may write one, and whatever it does ends in words.

What an action raises is its outcome; what the store raises, or a lease that is lost, is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from daemon.core.incident.reasons import attempt_ended
from daemon.core.ports.replicas import NotOurs, NotOwner
from daemon.core.values.outcome import Outcome, Permanent, Temporary

_log = structlog.get_logger()

_T = TypeVar("_T")

_PATIENCE = 30.0
"""Seconds within which a target that could not be looked at just then is looked at again."""


class ActionEnded(Exception):
    """The action itself came to an end; what the store raises is something else."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


async def call_action(answer: Awaitable[_T], action: str) -> _T:
    """Ask other people's code. Raises ActionEnded whatever way it fails."""
    try:
        return await answer
    except (Temporary, Permanent) as error:
        text = str(error)
        raise ActionEnded(attempt_ended("failed", "action_failed", text)) from error
    except (NotOwner, NotOurs):
        raise  # it has not ended: whoever conducts the incident looks how far it came
    except TimeoutError as error:
        raise ActionEnded(
            attempt_ended("unknown", "action_timed_out", f"{action}: {error}")
        ) from error
    except Exception as error:
        _log.exception("an action crashed", action=action)
        text = f"{type(error).__name__}: {error}"
        raise ActionEnded(attempt_ended("unknown", "action_crashed", text)) from error


async def call_patiently(ask: Callable[[], Awaitable[_T]], action: str) -> _T:
    """As `call_action`, for what changes nothing: a hiccup of the target's server is sat out."""

    # No retry library: tenacity and stamina keep deadlines by the machine's clock, not the loop's.
    async def patiently() -> _T:
        clock, pause = asyncio.get_running_loop().time, 1.0
        begin = clock()
        while True:
            try:
                return await ask()
            except Temporary as error:
                if clock() - begin + pause > _PATIENCE:
                    raise
                _log.info("asking again", action=action, error=str(error), seconds=pause)
            await asyncio.sleep(pause)
            pause *= 2

    return await call_action(patiently(), action)
