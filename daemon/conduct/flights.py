"""The effects of one incident that are under way, and those that rest after a failure.

They rest by the loop's clock: no correction of the wall clock makes that longer or shorter.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from daemon.core.decision import Effect, RunStep

REST = timedelta(seconds=2)
"""How long a failed effect rests before it may be started again."""


def effect_key(effect: Effect) -> Effect:
    """What tells effects apart: a step is one, by whatever right it is run."""
    return RunStep(effect.step) if isinstance(effect, RunStep) else effect


@dataclass
class Flight:
    """The effects of one incident, by their keys."""

    tasks: dict[Effect, asyncio.Task[None]] = field(default_factory=dict)
    resting: dict[Effect, float] = field(default_factory=dict)

    def rest(self, key: Effect, pause: timedelta = REST) -> None:
        """It is not started again for so long."""
        self.resting[key] = _now() + pause.total_seconds()

    def wake_rested(self) -> None:
        """What has rested may be started again."""
        now = _now()
        self.resting = {key: until for key, until in self.resting.items() if now < until}

    def next_end(self, pause: timedelta | None = None) -> float | None:
        """Seconds until a pause that begins now or the first rest is over; None without any."""
        ends = [max(0.0, until - _now()) for until in self.resting.values()]
        return min(ends if pause is None else [*ends, pause.total_seconds()], default=None)


def _now() -> float:
    return asyncio.get_running_loop().time()
