"""How an effect ended, and the two kinds of failure that the stages know.

Adapters translate whatever their library raises into Temporary or Permanent; nothing else
reaches the stages.
"""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from daemon.core.values.units import Frozen

Result = Literal["done", "refused", "failed", "unknown"]
MeddlingReason = Literal["changed_meanwhile", "reverted"]
"""What an action says when somebody else changes its target; a person decides from then on."""
MEDDLED: frozenset[MeddlingReason] = frozenset(get_args(MeddlingReason))


class Outcome(Frozen):
    """How one run of an action ended.

    `done`: it changed what it meant to. `refused`: it changed nothing, on purpose. `failed`: it
    tried and could not. `unknown`: nobody can tell. `reason` is a word that can be counted: the
    daemon's own are enumerated, those of actions are theirs to choose, for anybody may write
    one. `detail` is a sentence for a person at 3 a.m., `facts` are plain values for the timeline.
    """

    result: Result
    reason: str
    detail: str
    facts: dict[str, str] = Field(default_factory=dict)


class Temporary(Exception):
    """It failed, and may work when tried again: a timeout, a 503, a refused connection."""


class Permanent(Exception):
    """It failed, and trying again is useless: a wrong address, a 400, a missing file."""
