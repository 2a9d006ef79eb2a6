"""One run of a scenario: what its incidents are measured with, acted by, and who is called.

All of it follows from the mark in the opening of its incidents and from what their journals say,
so a run that a restart has cut is put together again as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from daemon.conduct.executor import ConductDependencies, Stage
from daemon.config.active import ActiveConfig, Derived
from daemon.core.cases.rule_case import GivenAction, alert_labels
from daemon.core.changes.suspects import Change
from daemon.core.drills.participants import roster_for
from daemon.core.drills.scenario import Inject, scenario_of
from daemon.core.drills.scenario_checks import scenario_mistakes
from daemon.core.incident.drill_mark import DrillMark
from daemon.core.incident.state import Incident
from daemon.core.measurement.samples import QueryAnswer
from daemon.core.ports.actions import Action, ActionContext
from daemon.core.ports.metrics import MetricsServers
from daemon.core.ports.notification import Pager, Ways
from daemon.core.rules.rule import Rule, RuleBook
from daemon.drilling.house import DrillHouse
from daemon.drilling.staged_actions import StagedAction, StagingAction
from daemon.drilling.staged_calls import PagerSilence, Uninvolved, failing
from daemon.intake.dispatch import PlayedDrill
from daemon.notifying.rooms import NO_PLACES
from daemon.replaying.case_happenings import given_changes, given_deliveries
from daemon.replaying.case_runner import GivenMetrics, approvals_of, first_target
from daemon.replaying.simulated_actions import Simulation


class NoMetrics:
    """The metrics of a drill without a rule, of which nobody asks anything."""

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        """Nothing."""
        return QueryAnswer(query, [])

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        """Nothing."""
        return QueryAnswer(query, [])


class PlayedRun:
    """The stage of one run. `rule` is the one under drill, as it was when the run began."""

    def __init__(self, mark: DrillMark, rule: Rule | None, house: DrillHouse) -> None:
        self.mark = mark
        self.rule = rule
        self.scenario = scenario_of(mark)
        self._house = house
        self._case = self.scenario.as_case(mark.began_at)
        self._ending = False
        self._seen: tuple[ActiveConfig, ActiveConfig] | None = None
        self.actions = self._actions()
        self._first = mark.run
        self.server = replace(house.real.servers.default, metrics=NoMetrics())
        self._given: GivenMetrics | None = None
        if rule is not None:
            labels = rule.group(alert_labels(self._case, rule))
            self._first = first_target(rule, labels, self.actions)
            if self.scenario.target:
                self.server = house.real.servers.of(rule)
            else:
                self._given = GivenMetrics(self._case, rule)
                self.server = replace(self.server, metrics=self._given)
        self._told = [one.change for one in given_changes(self._case, self._first)]
        self.stage = Stage(Derived(lambda: self.config), self._dependencies())

    def let_through(self) -> None:
        """It is ending: from now on no pager fails by the script, for its end must be heard."""
        self._ending = True
        self._seen = None

    @property
    def unfit(self) -> str:
        """Why the run cannot go on by the rules and the roster as they are now; empty if it can.
        Both may have been changed while the daemon was stopped."""
        if not any(name in self.config.ways for name in self.mark.blue):
            return f"nobody of its blue team ({', '.join(self.mark.blue)}) is in the roster now"
        if not self.scenario.rule:
            return ""
        if self.rule is None:
            return f"the rule {self.scenario.rule} was removed meanwhile"
        wrong = next(scenario_mistakes(self.scenario, self.rule, None), None)
        return f"the rule {self.rule.rule} was changed meanwhile: {wrong[1]}" if wrong else ""

    @property
    def ends_at(self) -> datetime:
        """When it is over at the latest."""
        return self.mark.began_at + self.scenario.lasts

    @property
    def intake(self) -> PlayedDrill:
        """What the dispatcher opens its incidents with."""
        return PlayedDrill(self.mark, RuleBook([self.rule] if self.rule is not None else []))

    # ── what is in force ─────────────────────────────────────────────────────────────────────

    @property
    def config(self) -> ActiveConfig:
        """What is in force in the drill: the rule under drill alone, and nobody but its people."""
        base = self._house.active.now
        if self._seen is None or self._seen[0] is not base:
            self._seen = (base, self._config(base))
        return self._seen[1]

    def _config(self, base: ActiveConfig) -> ActiveConfig:
        roster = roster_for(base.roster, self.mark)
        approvals = base.approvals
        if self.rule is not None and self.scenario.approvals != "file":
            approvals = approvals_of(self._case, self.rule, base.approvals, "the drill")
        return replace(
            base,
            rules=RuleBook([self.rule] if self.rule is not None else [], base.rules.files),
            roster=roster,
            approvals=approvals,
            ways=self._ways(base.ways),
            channels={name: base.channels[name] for name in roster.channels},
        )

    def _ways(self, ways: Ways) -> dict[str, Sequence[tuple[str, Pager]]]:
        clock = self._house.repository.clock
        found: dict[str, Sequence[tuple[str, Pager]]] = {}
        for person, named in ways.items():
            if person not in self.mark.blue:
                found[person] = (("none", Uninvolved(person)),)
                continue
            silences = self._silences(person)
            found[person] = (
                [(method, failing(pager, silences, clock)) for method, pager in named]
                if silences
                else named
            )
        return found

    def _silences(self, person: str) -> list[PagerSilence]:
        began, found = self.mark.began_at, list[PagerSilence]()
        for inject in self.scenario.injects("pager") if not self._ending else ():
            if inject.pager == person:
                until = self.ends_at if inject.lasts is None else began + inject.at + inject.lasts
                found.append(PagerSilence(began + inject.at, until))
        return found

    # ── what it is conducted with ────────────────────────────────────────────────────────────

    def _dependencies(self) -> ConductDependencies:
        return replace(
            self._house.real,
            servers=MetricsServers(self.server),
            actions=self.actions,
            changes=self._house.real.changes if self.scenario.target else self._changes,
            withdrawn=lambda _: "",
            places=NO_PLACES,
        )

    def _actions(self) -> dict[str, Action]:
        name, house = self.scenario.target, self._house
        if name:
            acts_on = house.targets[name].acts_on if name in house.targets else ()
            return {
                known: StagingAction(action, name, acts_on)
                for known, action in house.real.actions.items()
            }
        return {
            known: StagedAction(
                action, self._script, self, self.mark.run, restricted=house.restricted
            )
            for known, action in house.real.actions.items()
        }

    def _script(self, _: str, __: Any, context: ActionContext) -> Simulation:
        given = self.scenario.actions.get(context.step, GivenAction())

        def effect() -> None:
            self._act(given, self._house.repository.clock())

        return Simulation(given.ends, given.refuses, given.prepares, given.takes, effect)

    def _act(self, given: GivenAction, at: datetime) -> None:
        if self._given is not None:
            self._given.act(given, at)

    def recall(self, incidents: Sequence[Incident]) -> None:
        """Let what was done before a restart have its effect on the metrics again."""
        ended = [
            (step.finished_at, number)
            for incident in incidents
            for number, step in incident.steps.items()
            if step.acted and step.finished_at is not None
        ]
        for at, number in sorted(ended):
            self._act(self.scenario.actions.get(number, GivenAction()), at)

    # ── changes, and what is live ────────────────────────────────────────────────────────────

    async def _changes(self, _: Rule, incident: Incident) -> list[Change]:
        """What may concern the incident, of the drill's own changes."""
        now = self._house.repository.clock()
        told = [change for change in self._told if change.reported and change.at <= now]
        about = [change for change in told if incident.touched_by(change.labels)]
        seen = await self._house.repository.journal.changes(self._first)
        return sorted([*seen, *about], key=lambda change: change.at)

    def change_of(self, inject: Inject) -> Change:
        """The change that the script's inject tells of."""
        return self._told[self.scenario.injects("change").index(inject)]

    async def learn(self, change: Change) -> None:
        """It is seen, or reported, from now on. Raises Temporary."""
        if not change.reported:
            await self._house.repository.journal.saw_change(change)

    async def live(self, target: str) -> str:
        """The item that is live on an action's target; empty if nobody knows."""
        history = await self._house.repository.journal.changes(target)
        return history[-1].item if history else ""

    async def switch(self, target: str, item: str) -> None:
        """Another item is live there from now on, and is seen."""
        before, repository = await self.live(target), self._house.repository
        at = repository.clock()
        change = Change(subject=target, item=item, previous=before, at=at, seen_by="watch")
        await repository.journal.saw_change(change)

    # ── alerts ───────────────────────────────────────────────────────────────────────────────

    def body_of(self, inject: Inject) -> bytes:
        """What Alertmanager posts for the script's inject."""
        alerts = self.scenario.injects("alert")
        number = next(number for number, one in enumerate(alerts) if one is inject)
        return given_deliveries(self._case, self.rule)[number].body
