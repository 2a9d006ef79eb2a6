"""The port of a recovery action, and what it is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel

from daemon.core.changes.suspects import Candidate, Change
from daemon.core.values.outcome import Outcome


class Choose(Protocol):
    """Names the item of a target to go back to."""

    async def __call__(self, live: str, history: Sequence[Change] = ()) -> Candidate:
        """The newest item but `live` that was measured healthy while it was live, or why there
        is none. `history`: what the action itself can tell of when each item became live,
        oldest first; it is taken together with what was seen and measured before."""


@dataclass(frozen=True)
class PartDone:
    """How far an action has come that stops midway: `share` of the whole (between 0 and 1) is at
    `item` now. `text` completes a sentence: '1 of 4 pods is back at v1'."""

    text: str
    share: float
    item: str = ""


@dataclass(frozen=True)
class StageRuling:
    """Whether an action that stopped midway goes on, or takes back what it did, and why."""

    go_on: bool
    text: str


class Stages(Protocol):
    """Rules on an action that stops midway, by the metrics or by the Commander's word. What was
    ruled stays so after a restart."""

    async def ruled(self) -> StageRuling | None:
        """What was ruled already, before a restart perhaps; None if nothing was."""

    async def rule_on(self, part: PartDone, limit: timedelta) -> StageRuling:
        """Wait for the ruling, at most `limit`: without a sign that it helps, it is to stop."""


def may_always() -> None:
    """There is no other replica."""


@dataclass(frozen=True)
class ActionContext:
    """What an action may know and use.

    `token` is unique to this step and stays the same after a restart; `incident` is its
    incident, `step` its number in the plan. `expected` is the item that must be live for the step
    to make sense; empty if any will do. `progress` writes to the timeline. `within` is how long the
    run may take in all, None if nobody says; `suspect` the change that is blamed, if it is one of
    this target. `stages` rules on what stops midway; None where nobody measures. `must_act` is
    asked right before each thing that is done to the world: it raises once another replica may be
    at it, and nothing is to be done then.
    """

    token: str
    now: datetime
    choose: Choose
    progress: Callable[[str], Awaitable[None]]
    expected: str = ""
    incident: str = ""
    step: int = 0
    within: timedelta | None = None
    suspect: Change | None = None
    stages: Stages | None = None
    must_act: Callable[[], None] = may_always


@dataclass(frozen=True)
class Ready:
    """Preflight passed: what will be done, in one sentence, and the plain values to do it by.

    `intent` is journaled before anything changes, and given back to `run` and `check`. The keys
    `from` and `to`, where present, name the items switched between; verification marks them.
    `label` is the summary for a button, in a few words; without it the two items are.
    """

    summary: str
    intent: Mapping[str, str] = field(default_factory=dict)
    label: str = ""


@dataclass(frozen=True)
class Refused:
    """Preflight did not pass: the action's own word for it, and the sentence for a person."""

    reason: str
    text: str


Landed = Literal["done", "half_done", "not_done", "unknown"]
"""`half_done`: it has begun to change the world, and running it again will end it well."""


class Action(Protocol):
    """One way of changing the world; one file in `recovery_actions` each."""

    name: str
    Params: type[BaseModel]

    def allowed(self, params: Any) -> str | None:
        """Why the settings do not allow these parameters, or None if they do."""

    def target(self, params: Any) -> str:
        """What is being changed: the key of the lock, and the subject of its changes."""

    async def preflight(self, params: Any, context: ActionContext) -> Ready | Refused:
        """Look, change nothing, and say what would be done. Raises Temporary or Permanent."""

    async def run(self, params: Any, intent: Mapping[str, str], context: ActionContext) -> Outcome:
        """Do what `intent` says; doing it again is harmless. Cancelling it leaves a state that
        `check` understands."""

    async def check(self, params: Any, intent: Mapping[str, str], context: ActionContext) -> Landed:
        """Tell from the outside world whether the intent came true; used after a crash."""


@runtime_checkable
class Shows(Protocol):
    """An action that can show the state of its target, for the evidence before acting."""

    async def show(self, params: Any, context: ActionContext) -> Mapping[str, str]:
        """What stands there now (live item, replicas, pods, …) as short plain texts; changes
        nothing, holds no secret. Raises Temporary or Permanent."""


@runtime_checkable
class Lingers(Protocol):
    """An action of which something may still be at work after the daemon that ran it is gone."""

    def lingers(self, params: Any) -> timedelta:
        """So long after `run` has begun, at most. Another replica looks at the target no sooner."""


@runtime_checkable
class DeclaresRisk(Protocol):
    """An action that says in one line what can be undone of it, and what it touches besides."""

    risk: str


NO_RISK_DECLARED = "the action does not say whether it can be undone"


def risk_of(action: object) -> str:
    """What an action declares of its risk, in one line."""
    return action.risk if isinstance(action, DeclaresRisk) else NO_RISK_DECLARED


@runtime_checkable
class GoesBack(Protocol):
    """An action that goes back to the item which `ActionContext.choose` names. Nothing but its
    simulation asks for this."""

    goes_back: bool
