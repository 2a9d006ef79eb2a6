"""What makes an incident a drill, and what became of it as one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from daemon.core.measurement.problem import Severity
from daemon.core.values.units import Frozen, Moment

DrillEnding = Literal["finished", "aborted", "interrupted"]
"""Played to its end; stopped by a person or by a real incident; cut off by a stop of the daemon."""


class DrillMark(Frozen):
    """Which drill an incident belongs to; it stands in its opening, and nowhere else.

    `run` is the id of the run, `scenario` the drill's name, `by` who started it. `blue` respond,
    `observers` see the script; `audiences` are told, and nobody else. `document` is the scenario
    as it was played, so that a run goes on after a restart, and is scored, by what it was.
    """

    run: str
    scenario: str
    title: str
    by: str
    began_at: Moment
    blue: tuple[str, ...]
    observers: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    document: Mapping[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class DrillState:
    """How the drill ended that an incident belongs to; nothing while it goes on, or in earnest.

    `promoted`: a real incident is handled as that severe, to practise; `measured` is how severe
    the metrics say it is, as far as they do.
    """

    ending: DrillEnding | Literal[""] = ""
    ended_at: datetime | None = None
    text: str = ""
    promoted: Severity = ""
    measured: Severity = ""
