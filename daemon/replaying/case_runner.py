"""Plays a written case on a virtual daemon, and says what came out otherwise than expected."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from daemon.config.active import ActiveConfig
from daemon.core.cases.comparison import Mismatch, mismatches
from daemon.core.cases.rule_case import (
    GivenAction,
    GivenMove,
    RuleCase,
    alert_labels,
)
from daemon.core.incident.events import Entry
from daemon.core.people.roster import Roster
from daemon.core.ports.actions import Action, ActionContext
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.commands import (
    ApproveStep,
    ProposeStep,
    SkipStep,
    StartStepNow,
    VetoStep,
)
from daemon.core.recovery.freeze_windows import FreezeWindows
from daemon.core.recovery.guardrails import ActionScope, Freeze, Limits
from daemon.core.response.command import Command
from daemon.core.response.commands import (
    Acknowledge,
    Close,
    DeclareNoPlan,
    Leave,
    PauseAutomation,
    ResumeAutomation,
)
from daemon.core.rules.rule import Rule, RuleBook
from daemon.replaying.case_world import (
    CaseMetrics,
    GivenMetrics,
    approvals_of,
    change_of,
    deliveries_of,
    first_target,
    groups_of,
)
from daemon.replaying.happenings import (
    FreezeBegins,
    FreezeEnds,
    Happening,
    PersonMoves,
)
from daemon.replaying.simulated_actions import Simulation
from daemon.replaying.virtual_daemon import VirtualDaemon, World
from daemon.replaying.virtual_time import run_virtually

_LAST = timedelta(seconds=1)
"""So much longer is played, for what happens at the last moment to have its effect."""
_AS_WRITTEN = "as written"


@dataclass(frozen=True)
class House:
    """What all cases of a folder are played with: the rules and who is called by them, what may be
    done, and how much of it. `restricted`: whether the settings that allow it are known."""

    rules: Mapping[str, Rule]
    roster: Roster
    approvals: Approvals
    freezes: FreezeWindows
    actions: Mapping[str, Action]
    limits: Limits
    outage: float
    max_age: timedelta
    restricted: bool = True


@dataclass(frozen=True)
class CaseRun:
    """How a case went. `unanswered`: queries for which it gave nothing; `seconds` of real time."""

    mismatches: Sequence[Mismatch]
    journals: Mapping[str, Sequence[Entry]]
    minutes: float
    seconds: float
    unanswered: Sequence[str] = ()


def run_case(case: RuleCase, house: House, metrics: CaseMetrics | None = None) -> CaseRun:
    """Play it from beginning to end. `metrics` answers in the place of the case's series.

    The case must have been found to fit the rules (`case_mistakes`). Raises NothingScheduled if
    the daemon comes to a standstill.
    """
    began = time.perf_counter()
    stage = _Stage(case, house, metrics)
    daemon = run_virtually(stage.play)
    found = mismatches(case, daemon.journal.entries)
    return CaseRun(
        mismatches=[*found, *_refused(case, daemon), *_crashed(case, daemon)],
        journals=daemon.journal.entries,
        minutes=case.end / timedelta(minutes=1),
        seconds=time.perf_counter() - began,
        unanswered=stage.metrics.unanswered,
    )


class _Stage:
    """One case, put into a world of its own."""

    def __init__(self, case: RuleCase, house: House, metrics: CaseMetrics | None) -> None:
        self.case = case
        self.rule = rule = house.rules[case.rule]
        self.metrics: CaseMetrics = metrics or GivenMetrics(case, rule, groups_of(case, rule))
        self._house = house
        self._target = first_target(rule, rule.group(alert_labels(case, rule)), house.actions)

    async def play(self) -> VirtualDaemon:
        """The daemon as it is at the end of the case."""
        case, rule, house = self.case, self.rule, self._house
        daemon = VirtualDaemon(
            World(
                config=ActiveConfig(
                    RuleBook([rule]),
                    house.roster,
                    approvals_of(case, rule, house.approvals),
                    freezes=house.freezes if case.freezes == "file" else FreezeWindows(),
                ),
                metrics=self.metrics,
                actions=house.actions,
                limits=house.limits,
                begins=case.begins,
                script=self._script,
                restricted=house.restricted,
                sees=lambda of, _, __: bool(of.changes),
                outage=house.outage,
                max_age=house.max_age,
            )
        )
        service = alert_labels(case, rule).get("service", "")
        for earlier in case.earlier:
            daemon.journal.ran_before(
                earlier.target or self._target,
                case.begins - earlier.ago,
                ActionScope(rule.rule, rule.team, service, rule.domain),
                running=earlier.still_running,
                by_person=earlier.by_person,
            )
        async with daemon.running():
            await daemon.play(self._happenings(), case.begins + case.end + _LAST)
        return daemon

    def _script(self, _: str, __: Any, context: ActionContext) -> Simulation:
        given = self.case.actions.get(context.step, GivenAction())

        def effect() -> None:
            at = self.case.begins + timedelta(seconds=asyncio.get_running_loop().time())
            self.metrics.act(given, at)

        return Simulation(given.ends, given.refuses, given.prepares, given.takes, effect)

    def _happenings(self) -> list[Happening]:
        changes = [change_of(self.case, change, self._target) for change in self.case.changes]
        moves = [move_of(self.case, move) for move in self.case.people]
        return [*changes, *deliveries_of(self.case, self.rule), *moves]


_COMMANDS: Mapping[str, Callable[[GivenMove], Command]] = {
    "ack": lambda move: Acknowledge(),
    "leave": lambda move: Leave(),
    "pause": lambda move: PauseAutomation(move.reason or _AS_WRITTEN),
    "resume": lambda move: ResumeAutomation(),
    "approve": lambda move: ApproveStep(move.step or 0),
    "start": lambda move: StartStepNow(move.step or 0),
    "skip": lambda move: SkipStep(move.step or 0, move.reason or _AS_WRITTEN),
    "veto": lambda move: VetoStep(move.step or 0),
    "propose": lambda move: ProposeStep(move.action, move.params, move.within, move.reason),
    "no-plan": lambda move: DeclareNoPlan(move.reason or _AS_WRITTEN),
    "close": lambda move: Close(move.reason or _AS_WRITTEN),
}


def move_of(case: RuleCase, move: GivenMove) -> Happening:
    """What a person of the case does, and when."""
    at = case.begins + move.at
    if move.does == "thaw":
        return FreezeEnds(at, move.scope, move.who)
    if move.does == "freeze":
        until = None if move.lasts is None else at + move.lasts
        reason = move.reason or _AS_WRITTEN
        return FreezeBegins(
            at, Freeze(scope=move.scope, reason=reason, by=move.who, at=at, until=until)
        )
    return PersonMoves(at, move.who, _COMMANDS[move.does](move))


def _refused(case: RuleCase, daemon: VirtualDaemon) -> list[Mismatch]:
    """People who were told that it cannot be done, or were not, otherwise than written."""
    told = {
        (one.move.at, one.move.person, one.move.command): one.text for one in daemon.refused_moves
    }
    found = []
    for index, move in enumerate(case.people):
        happening = move_of(case, move)
        if not isinstance(happening, PersonMoves):
            continue
        text = told.get((happening.at, happening.person, happening.command))
        place = ("people", index)
        if text is not None and not move.refused:
            found.append(Mismatch(place, move.at, f"{move.who} does {move.does}", "refused", text))
        if text is None and move.refused:
            wanted = f"{move.who} is refused {move.does}"
            found.append(Mismatch((*place, "refused"), move.at, wanted, "it was done"))
    return found


def _crashed(case: RuleCase, daemon: VirtualDaemon) -> list[Mismatch]:
    """A defect of the daemon's own is never what a case expects."""
    parts = ", ".join(dict.fromkeys(daemon.crashes))
    if not parts:
        return []
    text = "a defect of Stopgap: `stopgap test -v` shows it; please report it"
    return [Mismatch((), case.end, "no crash", f"crashed: {parts}", text)]
