"""A daemon in virtual time that holds drills: the shipped rules and scenarios, and its own code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from daemon.app.rule_cases import house_for
from daemon.app.watches import WATCHES, unrestricted
from daemon.conduct.executor import Stage
from daemon.config.active import ActiveConfig
from daemon.config.drill_settings import StagingTarget
from daemon.config.rules_folder import read_ruleset
from daemon.config.settings import Settings
from daemon.core.alertmanager import own_alert
from daemon.core.drills.scenario import DrillScenario
from daemon.core.drills.score import DrillReport, report_of
from daemon.core.incident.drill_mark import DrillMark
from daemon.core.incident.state import Incident
from daemon.core.measurement.samples import QueryAnswer
from daemon.core.recovery.approvals import Approval, Approvals
from daemon.core.response.command import Command
from daemon.core.rules.rule import RuleBook
from daemon.core.values.drill_key import drill_of
from daemon.drilling.house import DrillHouse
from daemon.drilling.runner import Drills
from daemon.replaying.case_runner import House
from daemon.replaying.happenings import DeliveryArrives, Happening, PersonMoves
from daemon.replaying.virtual_daemon import VirtualDaemon, World
from daemon.replaying.virtual_time import run_virtually

RULES = Path(__file__).parents[2] / "rules"
BEGINS = datetime(2026, 1, 5, 12, tzinfo=UTC)
HOUSE = house_for(Settings(), RULES, restricted=False)
SCENARIOS = read_ruleset([RULES], unrestricted(HOUSE.actions), WATCHES).drills.scenarios


class Untouched:
    """A Prometheus of which nobody may ask anything: it keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        self.asked.append(query)
        return QueryAnswer(query, [])

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        self.asked.append(query)
        return QueryAnswer(query, [])


class _NoFaults:
    def __init__(self) -> None:
        self.caused: list[tuple[Sequence[str], str]] = []

    async def cause(self, argv: Sequence[str], target: str) -> str:
        self.caused.append((argv, target))
        return ""


def approved(house: House) -> Approvals:
    """Standing approvals of every step."""
    until = BEGINS + timedelta(days=30)
    return Approvals(
        approvals=tuple(
            Approval.of(rule, number, "lead", BEGINS, until)
            for rule in house.rules.values()
            for number in range(1, len(rule.recover) + 1)
        )
    )


class DrillScene:
    """One daemon, which may be told to stop and start again (`daemon` is the present one)."""

    def __init__(
        self,
        *,
        house: House = HOUSE,
        targets: dict[str, StagingTarget] | None = None,
        scenarios: dict[str, DrillScenario] | None = None,
    ) -> None:
        self.metrics = Untouched()
        self.faults = _NoFaults()
        self.scenarios = scenarios or dict(SCENARIOS)
        self._house = house
        self._targets = targets or {}
        self.drills: Drills
        self.world = World(
            config=ActiveConfig(
                RuleBook(house.rules.values()),
                house.roster,
                approved(house),
                drills=self.scenarios,
            ),
            metrics=self.metrics,
            actions=house.actions,
            limits=house.limits,
            begins=BEGINS,
            restricted=False,
            sees=lambda of, _, __: bool(of.changes),
            drills=self._host,
        )
        self.daemon: VirtualDaemon

    def _host(self, daemon: VirtualDaemon, stage: Stage) -> Drills:
        real = replace(stage.dependencies, actions=self._house.actions)
        house = DrillHouse(daemon.repository, stage.active, real, self._targets, restricted=False)
        self.drills = Drills(
            house,
            daemon.notes,
            lambda run, body: daemon.intake.receive_drill(run, body),
            self.faults,
        )
        return self.drills

    def run(self, story: Callable[[DrillScene], Awaitable[None]]) -> DrillScene:
        """Let it happen; a defect that the daemon lived through fails."""

        async def told() -> None:
            async with self.running():
                await story(self)

        run_virtually(told)
        assert not self.daemon.crashes
        return self

    @asynccontextmanager
    async def running(self, before: VirtualDaemon | None = None) -> AsyncIterator[None]:
        """The daemon runs, over the store of an earlier one if there is one."""
        self.daemon = VirtualDaemon(self.world, before)
        async with self.daemon.running():
            await asyncio.sleep(0.001)
            yield

    async def until(self, mark: DrillMark, seconds: float) -> None:
        """Time passes until so long after the beginning of the drill."""
        left = mark.began_at + timedelta(seconds=seconds) - self.daemon.clock()
        await self.play(left.total_seconds())

    async def play(self, seconds: float, *happenings: Happening) -> None:
        """So much time passes, with these happenings."""
        await self.daemon.play(happenings, self.daemon.clock() + timedelta(seconds=seconds))

    async def moves(self, person: str, command: Command, mark: DrillMark) -> None:
        """Somebody does something in the newest open incident of a drill."""
        rows = [r for r in self.daemon.journal.rows.values() if drill_of(r.key) == mark.run]
        key = [row for row in rows if row.closed_at is None][-1].key
        await self.daemon.play(
            [PersonMoves(self.daemon.clock(), person, command, key)], self.daemon.clock()
        )

    def incidents(self, mark: DrillMark | None = None) -> list[Incident]:
        """Those of a drill, or the real ones, in the order of their opening."""
        run = mark.run if mark is not None else ""
        return [i for i in self.daemon.incidents() if drill_of(i.key) == run]

    def report(self, mark: DrillMark) -> DrillReport:
        """How the run went, by the journals."""
        rows = self.daemon.journal.rows.values()
        run = [row.incident for row in rows if drill_of(row.key) == mark.run]
        return report_of(mark, [self.daemon.journal.entries[incident] for incident in run])


def alerted(at: datetime, name: str = "CheckoutSuccessRateLow", **labels: str) -> DeliveryArrives:
    """Alertmanager tells of a real alert."""
    given = {"env": "sandbox", "service": "shop", **labels}
    return DeliveryArrives(at, own_alert(name, given, "real", at - timedelta(minutes=1), None))


def alert_body(scene: DrillScene, mark: DrillMark) -> bytes:
    """What the drill's script posts of its first alert."""
    run = scene.drills.stages.of(mark)
    return run.body_of(run.scenario.injects("alert")[0])


def missed(report: DrillReport) -> list[str]:
    """What was expected and did not come."""
    return [one.name for one in report.criteria if not one.met]
