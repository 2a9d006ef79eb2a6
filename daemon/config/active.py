"""What is in force: the rules, the roster and the approvals, as the last sound reload read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, TypeVar

from daemon.core.drills.scenario import DrillScenario
from daemon.core.people.roster import Roster
from daemon.core.ports.notification import Channels, Ways
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.freeze_windows import FreezeWindows
from daemon.core.rules.dependencies import RuleDependencies
from daemon.core.rules.rule import RuleBook

_T = TypeVar("_T")


@dataclass(frozen=True)
class ActiveConfig:
    """Replaced as a whole, so that nobody sees one file's new version beside another's old one."""

    rules: RuleBook
    roster: Roster
    approvals: Approvals = field(default_factory=Approvals)
    ways: Ways = field(default_factory=dict)
    channels: Channels = field(default_factory=dict)
    freezes: FreezeWindows = field(default_factory=FreezeWindows)
    drills: Mapping[str, DrillScenario] = field(default_factory=dict)

    @cached_property
    def dependencies(self) -> RuleDependencies:
        """What the rules depend on."""
        return RuleDependencies(self.rules.rules.values())


class Live(Generic[_T]):
    """A cell whose value is in force: whoever holds it sees a replacement at the next look."""

    def __init__(self, value: _T) -> None:
        self._value = value

    @property
    def now(self) -> _T:
        """The value in force. For one piece of work, look once and keep what was seen."""
        return self._value

    def replace(self, value: _T) -> None:
        """Put another in force."""
        self._value = value


class Derived(Live[_T]):
    """What is in force at the moment, worked out of something else that is."""

    def __init__(self, derive: Callable[[], _T]) -> None:
        super().__init__(derive())
        self._derive = derive

    @property
    def now(self) -> _T:
        """The value in force."""
        return self._derive()
