"""Plays a written case on a virtual daemon, and says what came out otherwise than expected."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from pydantic import ValidationError

from daemon.config.active import ActiveConfig
from daemon.core.cases.comparison import Mismatch, mismatches
from daemon.core.cases.given_answers import GivenAnswers
from daemon.core.cases.given_series import changed, pieces_of
from daemon.core.cases.rule_case import (
    GivenAction,
    RuleCase,
    alert_labels,
)
from daemon.core.changes.precedent import Precedent
from daemon.core.incident.events import Entry
from daemon.core.measurement.samples import QueryAnswer
from daemon.core.people.roster import Roster
from daemon.core.ports.actions import Action, ActionContext
from daemon.core.ports.metrics import Metrics
from daemon.core.recovery.approvals import Approval, Approvals
from daemon.core.recovery.freeze_windows import FreezeWindows
from daemon.core.recovery.guardrails import ActionScope, Limits
from daemon.core.rules.query_templates import UnsafeLabel, render_params
from daemon.core.rules.rule import Rule, RuleBook
from daemon.replaying.case_happenings import (
    given_changes,
    given_deliveries,
    given_moves,
    labels_of,
)
from daemon.replaying.happenings import Happening
from daemon.replaying.simulated_actions import Simulation
from daemon.replaying.virtual_daemon import VirtualDaemon, World
from daemon.replaying.virtual_time import run_virtually

_LAST = timedelta(seconds=1)
"""So much longer is played, for what happens at the last moment to have its effect."""


@dataclass(frozen=True)
class House:
    """What all cases of a folder are played with: the rules and who is called by them, what may be
    done, and how much of it. `restricted`: whether the settings that allow it are known.
    `max_ages`: by the servers that rules can name, instead of `max_age`."""

    rules: Mapping[str, Rule]
    roster: Roster
    approvals: Approvals
    freezes: FreezeWindows
    actions: Mapping[str, Action]
    limits: Limits
    outage: float
    max_age: timedelta
    restricted: bool = True
    page_hold: timedelta = timedelta(0)
    max_ages: Mapping[str, timedelta] = field(default_factory=dict)

    def age_for(self, rule: Rule) -> timedelta:
        """How old the samples may be that the rule is measured on."""
        return self.max_ages.get(rule.prometheus or "", self.max_age)


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

    def __init__(self, case: RuleCase, rule: Rule) -> None:
        monitored = sorted((at.total_seconds(), how) for at, how in case.monitoring.items())
        firing = [alert for alert in case.alerts if alert.state == "firing"]
        self._case = case
        self._answers = GivenAnswers(
            rule=rule,
            groups=_groups(case, rule),
            begins=case.begins,
            scrape=case.scrape.total_seconds(),
            pieces=pieces_of(case.series, case.interval) if case.series else {},
            monitoring=monitored,
            alerts=[
                (one.at.total_seconds(), labels_of(case, rule, one).get("service", ""))
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

    The case must have been found to fit the rules (`daemon.core.cases.case_checks`). Raises
    NothingScheduled if the daemon comes to a standstill.
    """
    began = time.perf_counter()
    stage = CaseStage(case, house, metrics)
    daemon = run_virtually(stage.play)
    found = mismatches(case, daemon.journal.entries)
    return CaseRun(
        mismatches=[*found, *_refused(case, stage.moves, daemon), *_crashed(case, daemon)],
        journals=daemon.journal.entries,
        minutes=case.end / timedelta(minutes=1),
        seconds=time.perf_counter() - began,
        unanswered=stage.metrics.unanswered,
    )


class CaseStage:
    """One case, put into a world of its own. `besides`: what else happens than is written."""

    def __init__(
        self,
        case: RuleCase,
        house: House,
        metrics: CaseMetrics | None = None,
        besides: Sequence[Happening] = (),
    ) -> None:
        self.case = case
        self.rule = rule = house.rules[case.rule]
        self.metrics: CaseMetrics = metrics or GivenMetrics(case, rule)
        self._house = house
        self._target = first_target(rule, rule.group(alert_labels(case, rule)), house.actions)
        self.moves = given_moves(case)
        self._happenings: list[Happening]
        self._happenings = [
            *given_changes(case, self._target),
            *given_deliveries(case, rule),
            *self.moves,
            *besides,
        ]

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
                max_age=house.age_for(rule),
                page_hold=house.page_hold,
                trouble=[
                    Precedent(begin=case.begins + one.began, end=case.begins + one.over)
                    for one in case.trouble
                ],
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
            await daemon.play(self._happenings, case.begins + case.end + _LAST)
        return daemon

    def _script(self, _: str, __: Any, context: ActionContext) -> Simulation:
        given = self.case.actions.get(context.step, GivenAction())

        def effect() -> None:
            at = self.case.begins + timedelta(seconds=asyncio.get_running_loop().time())
            self.metrics.act(given, at)

        return Simulation(given.ends, given.refuses, given.prepares, given.takes, effect)


def _groups(case: RuleCase, rule: Rule) -> list[dict[str, str]]:
    """The group labels of the case's alerts, each once."""
    groups = (rule.group(labels_of(case, rule, alert)) for alert in case.alerts)
    return [dict(pairs) for pairs in dict.fromkeys(tuple(group.items()) for group in groups)]


def first_target(rule: Rule, labels: Mapping[str, str], actions: Mapping[str, Action]) -> str:
    """What the plan's first step acts on, which is where changes are seen, whatever the settings
    allow; a plan without a step that fits has the name of its rule."""
    return next(iter(targets_of(rule, labels, actions, steps=1)), rule.rule)


def targets_of(
    rule: Rule, labels: Mapping[str, str], actions: Mapping[str, Action], steps: int | None = None
) -> set[str]:
    """What the plan's steps act on, or its first `steps`; those that do not fit are left out."""
    found = set()
    for spec in rule.recover[:steps]:
        try:
            action = actions[spec.action]
            params = action.Params.model_validate(render_params(spec.params, labels))
            found.add(action.target(params))
        except (KeyError, UnsafeLabel, ValidationError):
            continue
    return found


def approvals_of(
    case: RuleCase, rule: Rule, standing: Approvals, by: str = "the case"
) -> Approvals:
    """The approvals that count. Those of the file do whatever their dates: a case has its own.
    `by`: who approves where all steps are approved."""
    at, until = case.begins - timedelta(days=1), case.begins + timedelta(days=366)
    if case.approvals == "none":
        return Approvals()
    if case.approvals == "file":
        entries = (one.model_copy(update={"at": at, "until": until}) for one in standing.approvals)
        return Approvals(approvals=tuple(entries))
    steps = range(1, len(rule.recover) + 1)
    approved = steps if case.approvals == "all" else sorted({*steps} & {*case.approvals})
    return Approvals(approvals=tuple(Approval.of(rule, n, by, at, until) for n in approved))


def _refused(case: RuleCase, moves: Sequence[Happening], daemon: VirtualDaemon) -> list[Mismatch]:
    """People who were told that it cannot be done, or were not, otherwise than written."""
    found = []
    for index, (given, move) in enumerate(zip(case.people, moves, strict=True)):
        texts = [refused.text for refused in daemon.refused_moves if refused.move is move]
        place = ("people", index)
        if texts and not given.refused:
            wanted = f"{given.who} does {given.does}"
            found.append(Mismatch(place, given.at, wanted, "refused", texts[0]))
        if not texts and given.refused:
            wanted = f"{given.who} is refused {given.does}"
            found.append(Mismatch((*place, "refused"), given.at, wanted, "it was done"))
    return found


def _crashed(case: RuleCase, daemon: VirtualDaemon) -> list[Mismatch]:
    """A defect of the daemon's own is never what a case expects."""
    parts = ", ".join(dict.fromkeys(daemon.crashes))
    if not parts:
        return []
    text = "a defect of Stopgap: `stopgap test -v` shows it; please report it"
    return [Mismatch((), case.end, "no crash", f"crashed: {parts}", text)]
