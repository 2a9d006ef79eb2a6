"""What people can ask of drills, and what they are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from daemon.core.drills.calendar import UpcomingDrill
from daemon.core.drills.report import DrillRun
from daemon.core.drills.score import DrillReport
from daemon.core.incident.drill_mark import DrillMark
from daemon.core.values.units import Duration, Frozen


class DrillRefused(Exception):
    """The drill cannot be held, or not now; the text says why, and what would mend it."""


class UnknownDrill(LookupError):
    """There is no such drill, or no such run; the text says which there are."""


class DrillRow(Frozen):
    """A drill that can be held. `rule` is empty for an alert that no rule knows, `target` unless it
    is held on a staging target for real. `last`: its newest run."""

    drill: str
    title: str
    why: str
    rule: str
    target: str
    lasts: Duration
    expects: int
    last: DrillRun | None = None


class DrillOverview(Frozen):
    """All drills, those under way, what the calendar has, and whether incidents are promoted for
    practice, in words."""

    drills: tuple[DrillRow, ...]
    under_way: tuple[DrillRun, ...]
    upcoming: tuple[UpcomingDrill, ...]
    promotion: str


class DrillDesk(Protocol):
    """Lists, holds, stops and reports drills. Everything may raise Temporary."""

    async def overview(self) -> DrillOverview:
        """Everything at a glance."""

    async def start(self, drill: str, person: str) -> DrillMark:
        """Hold it now, by that person's word. Raises UnknownDrill, DrillRefused."""

    async def abort(self, run: str, person: str) -> None:
        """Stop it, by that person's word. Raises DrillRefused if it does not go on."""

    async def report(self, run: str) -> DrillReport:
        """How the run went, or goes. Raises UnknownDrill."""

    async def trend(self, drill: str) -> list[DrillRun]:
        """All runs of the drill that are known, oldest first."""

    async def script(self, run: str, person: str) -> Sequence[str]:
        """What the script brings about and when, for those who may see it: its observers, and
        everybody once it is over. Raises UnknownDrill."""
