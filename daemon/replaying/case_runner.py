"""Plays a written case on a virtual daemon, and says what came out otherwise than expected."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from pydantic import ValidationError

from daemon.config.active import ActiveConfig
from daemon.core.alertmanager import own_alert
from daemon.core.cases.comparison import Mismatch, mismatches
from daemon.core.cases.given_answers import GivenAnswers
from daemon.core.cases.given_series import changed, pieces_of
from daemon.core.cases.rule_case import (
    GivenAction,
    GivenAlert,
    GivenChange,
    GivenMove,
    RuleCase,
    alert_labels,
)
from daemon.core.changes.change import REPORTED_PREFIX, Change
from daemon.core.incident.events import Entry
from daemon.core.measurement.samples import QueryAnswer
from daemon.core.people.roster import Roster
from daemon.core.ports.actions import Action, ActionContext
from daemon.core.ports.metrics import Metrics
from daemon.core.recovery.approvals import Approval, Approvals
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
from daemon.core.rules.query_templates import UnsafeLabel, render_params
from daemon.core.rules.rule import Rule, RuleBook
from daemon.replaying.happenings import (
    ChangeArrives,
    DeliveryArrives,
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


class CaseMetrics(Metrics, Protocol):
    """A Prometheus whose series the end of an action may change."""

    def act(self, action: GivenAction, at: datetime) -> None:
        """The action has ended; from `at` on the series are what it makes of them."""

    @property
    def unanswered(self) -> Sequence[str]:
        """The queries that had no answer, because nothing is known of what they ask."""


class GivenMetrics:
    """`CaseMetrics` of the series that the case gives for the rule's own queries."""

    def __init__(self, case: RuleCase, rule: Rule, labels: Sequence[Mapping[str, str]]) -> None:
        monitored = sorted((at.total_seconds(), how) for at, how in case.monitoring.items())
        firing = [alert for alert in case.alerts if alert.state == "firing"]
        self._case = case
        self._answers = GivenAnswers(
            rule=rule,
            groups=[dict(group) for group in labels],
            begins=case.begins,
            scrape=case.scrape.total_seconds(),
            pieces=pieces_of(case.series, case.interval) if case.series else {},
            monitoring=monitored,
            alerts=[
                (one.at.total_seconds(), _labels_of(case, rule, one).get("service", ""))
                for one in firing
            ],
        )

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        return self._answers.instant(query, at)

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        return self._answers.series(query, start, end, step)

    def act(self, action: GivenAction, at: datetime) -> None:
        if action.then is None:
            return
        since = (at - self._case.begins).total_seconds()
        before = self._answers.pieces
        self._answers.change(changed(before, since, action.then, self._case.interval))

    @property
    def unanswered(self) -> Sequence[str]:
        return sorted(self._answers.unanswered)


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
        groups = [rule.group(_labels_of(case, rule, alert)) for alert in case.alerts]
        known = [dict(pairs) for pairs in dict.fromkeys(tuple(g.items()) for g in groups)]
        self.metrics: CaseMetrics = metrics or GivenMetrics(case, rule, known)
        self._house = house
        self._target = _target(rule, rule.group(alert_labels(case, rule)), house.actions)

    async def play(self) -> VirtualDaemon:
        """The daemon as it is at the end of the case."""
        case, rule, house = self.case, self.rule, self._house
        daemon = VirtualDaemon(
            World(
                config=ActiveConfig(
                    RuleBook([rule]),
                    house.roster,
                    _approvals(case, rule, house.approvals),
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
        changes = [self._change(change) for change in self.case.changes]
        moves = [_move(self.case, move) for move in self.case.people]
        return [*changes, *self._deliveries(), *moves]

    def _change(self, given: GivenChange) -> ChangeArrives:
        at, target = self.case.begins + given.at, given.target or self._target
        reported = given.reported_by
        change = Change(
            subject=f"{REPORTED_PREFIX}{reported}:{given.to}" if reported else target,
            item=given.to,
            previous=given.was,
            at=at,
            seen_by=reported or "watch",
            target=target if reported else "",
            labels=given.labels,
            rolling=given.rolling,
        )
        told = at if given.told is None else self.case.begins + given.told
        return ChangeArrives(told, change)

    def _deliveries(self) -> list[Happening]:
        began: dict[tuple[tuple[str, str], ...], datetime] = {}
        found: list[Happening] = []
        for alert in sorted(self.case.alerts, key=lambda one: one.at):
            labels = _labels_of(self.case, self.rule, alert)
            at, key = self.case.begins + alert.at, tuple(sorted(labels.items()))
            since = at - timedelta(minutes=1)
            if alert.since is not None:
                since = self.case.begins + alert.since
            elif alert.state == "resolved":
                since = began.get(key, since)
            began[key] = since
            name = labels.pop("alertname", self.rule.rule)
            summary = self.rule.description or self.case.case
            ended = at if alert.state == "resolved" else None
            found.append(DeliveryArrives(at, own_alert(name, labels, summary, since, ended)))
        return found


def _labels_of(case: RuleCase, rule: Rule, alert: GivenAlert) -> dict[str, str]:
    return {**alert_labels(case, rule), **alert.labels}


def _target(rule: Rule, labels: Mapping[str, str], actions: Mapping[str, Action]) -> str:
    """What the plan's first step acts on, which is where changes are seen, whatever the settings
    allow; a plan without a step that fits has the name of its rule."""
    for spec in rule.recover[:1]:
        try:
            action = actions[spec.action]
            return action.target(action.Params.model_validate(render_params(spec.params, labels)))
        except (KeyError, UnsafeLabel, ValidationError):
            break
    return rule.rule


def _approvals(case: RuleCase, rule: Rule, standing: Approvals) -> Approvals:
    """The approvals that count. Those of the file do whatever their dates: a case has its own."""
    at, until = case.begins - timedelta(days=1), case.begins + timedelta(days=366)
    if case.approvals == "none":
        return Approvals()
    if case.approvals == "file":
        entries = (one.model_copy(update={"at": at, "until": until}) for one in standing.approvals)
        return Approvals(approvals=tuple(entries))
    steps = range(1, len(rule.recover) + 1)
    return Approvals(approvals=tuple(Approval.of(rule, n, "the case", at, until) for n in steps))


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


def _move(case: RuleCase, move: GivenMove) -> Happening:
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
        happening = _move(case, move)
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
