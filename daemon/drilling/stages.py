"""The stages of all runs that somebody asks for: those under way, and those of ended drills, whose
incidents are still looked at."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import TYPE_CHECKING

from daemon.core.drills.scenario import scenario_of
from daemon.core.incident.drill_mark import DrillMark
from daemon.core.rules.rule import Rule
from daemon.drilling.house import DrillHouse

if TYPE_CHECKING:
    from daemon.drilling.played import PlayedRun

MakesRun = Callable[[DrillMark, Rule | None, DrillHouse], "PlayedRun"]
"""Sets the stage of a run."""
_MOST_ENDED = 20
"""So many stages are kept beside those that are under way."""


class DrillStages:
    """Sets stages, each once. A run under way has one stage from its beginning to its end, which
    knows what its actions have done."""

    def __init__(self, house: DrillHouse) -> None:
        self._house = house
        self._own: dict[str, Rule] = {}
        self._makers: dict[str, MakesRun] = {}
        self._set: dict[str, PlayedRun] = {}

    def knows(self, drill: str, rule: Rule, make: MakesRun) -> None:
        """A drill of the daemon's own, by a rule that no file holds; `make` sets its stage."""
        self._own[rule.rule] = rule
        self._makers[drill] = make

    def rule(self, name: str) -> Rule | None:
        """The rule of that name, in force or the daemon's own."""
        return self._own.get(name) or self._house.active.now.rules.rules.get(name)

    def of(self, mark: DrillMark) -> PlayedRun:
        """The stage of the run with that mark."""
        if mark.run not in self._set:
            rule = self.rule(scenario_of(mark).rule)
            make = self._makers.get(mark.scenario, _played_run)
            self._set[mark.run] = make(mark, rule, self._house)
        return self._set[mark.run]

    def prune(self, under_way: Container[str]) -> None:
        """Drop the oldest stages of what is over."""
        ended = [run for run in self._set if run not in under_way]
        for run in ended[:-_MOST_ENDED]:
            del self._set[run]


def _played_run(mark: DrillMark, rule: Rule | None, house: DrillHouse) -> PlayedRun:
    """Of a drill from a file. What plays drills is loaded for the first."""
    from daemon.drilling.played import PlayedRun

    return PlayedRun(mark, rule, house)
