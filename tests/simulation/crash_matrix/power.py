"""The power of a daemon's machine, which fails at one point of a story.

Whatever leaves the daemon (an append, a page, an action) passes a point before it happens and
another after it has happened, whose answer the daemon has not seen. Where the power fails, nothing
of that daemon happens any more, cleaning up included: that is what tells a kill from a stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

When = Literal["before", "after"]
Naming = Callable[..., str]
"""What an operation is called, by its arguments; empty if it is no point of the story."""


@dataclass(frozen=True)
class Point:
    """A moment at which a daemon may die. `life`: which daemon of the story it is, from 0."""

    life: int
    when: When
    what: str

    def __str__(self) -> str:
        return f"{self.when} {self.what}" + (f" (daemon {self.life + 1})" if self.life else "")


@dataclass
class Power:
    """Knows the points that a story passes, and fails at those at which `fails` says so."""

    fails: Callable[[Point], bool] = lambda point: False
    passed: list[Point] = field(default_factory=list)
    deaths: list[Point] = field(default_factory=list)
    on: bool = True
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    at_death: Callable[[], None] = lambda: None
    """Called at the moment of each death."""
    life: int = 0
    """Which daemon runs: so many have died before it."""
    changes: int = 0
    """How often store or world have changed so far."""

    def point(self, when: When, what: str) -> None:
        """Pass a point. Raises CancelledError in a daemon that is dead, now or already."""
        self.needed()
        self.changes += when == "after"
        here = Point(self.life, when, what)
        self.passed.append(here)
        if self.fails(here):
            self.deaths.append(here)
            self.fail()
            raise asyncio.CancelledError

    def fail(self) -> None:
        """It fails here and now."""
        self.on = False
        self.at_death()
        self.gone.set()

    def needed(self) -> None:
        """Raises CancelledError in a daemon that is dead."""
        if not self.on:
            raise asyncio.CancelledError

    def back(self) -> None:
        """It is on again, for the next daemon."""
        self.on, self.life = True, self.life + 1
        self.gone.clear()

    def supply(self, thing: Any, **named: Naming) -> None:
        """Let each of these operations of a thing pass a point before it and one after it; a dead
        daemon reaches none of them."""
        for name, naming in named.items():
            setattr(thing, name, self._supplied(getattr(thing, name), naming))

    def _supplied(self, operation: Callable[..., Any], naming: Naming) -> Callable[..., Any]:
        async def supplied(*arguments: Any, **more: Any) -> Any:
            what = naming(*arguments, **more)
            if not what:
                self.needed()
                return await operation(*arguments, **more)
            self.point("before", what)
            answer = await operation(*arguments, **more)
            self.point("after", what)
            return answer

        return supplied
