"""One simulation: a scenario, from the first start of the daemon to the end of the quiet after it.

outcome = simulate(scenario_of(7))
outcome.violation   # None, or which invariant does not hold
"""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any
from unittest.mock import patch

import structlog

from daemon.conduct import leases
from daemon.core.changes.suspects import Change
from daemon.watching import news
from tests.coarse_onsets import coarse_onsets
from tests.fakes import START
from tests.replicas import LEASE
from tests.simulation.aimed import AimedFaults
from tests.simulation.loop import Life, NoProgress, SimulationLoop
from tests.simulation.outside import Outside
from tests.simulation.referee import Referee, Violation
from tests.simulation.replica import Replica
from tests.simulation.scenario import END, FAULTS_END, Fault, FaultKind, Scenario
from tests.simulation.script import Script
from tests.simulation.store import Disk, new_database

LOOK_EVERY = 5.0
FAILOVER = LEASE.total_seconds() + 5.0
"""Seconds within which another replica has taken over what one that is gone conducted."""
_STORE_AWAY: frozenset[FaultKind] = frozenset({"disk full", "disk fails", "disk slow"})
"""While one of these is in force, what was done is written down late, and leases may end."""
_HOLDS_UP: frozenset[FaultKind] = _STORE_AWAY | {
    "prometheus slow",
    "prometheus down",
    "pager down",
    "pager broken",
    "pager slow",
    "pager loses answers",
}
"""While one of these is in force, calls may be late."""


@dataclass
class Outcome:
    """How it went. `digest` is the same for the same scenario, whenever and wherever it is run."""

    scenario: Scenario
    violation: Violation | None
    digest: str
    kinds: Counter[str]
    met: set[str]
    crashes: int
    steps: int
    trace: list[str] = field(default_factory=list)


class _Stop(Exception):
    """An invariant does not hold: there is no need to go on."""


def simulate(scenario: Scenario, *, traced: bool = False) -> Outcome:
    """Run it. `traced`: keep in words what happened."""
    if scenario.sql:
        new_database()  # before anything is drawn: it is made once, for all
    with _reproducible(scenario.order_seed):
        simulation = _Simulation(scenario, traced=traced)
        try:
            return simulation.run()
        finally:
            simulation.loop.bury()


class _Simulation:
    """Everything of one run."""

    def __init__(self, scenario: Scenario, *, traced: bool) -> None:
        self.scenario = scenario
        self.loop = SimulationLoop(scenario.order_seed, scenario.order)
        self.outside = Outside(scenario, self.loop)
        self.disk = Disk(self._true_time, sql=scenario.sql, replicas=scenario.replicas)
        self.lives: list[Life] = []
        self.deployed: list[Change] = []
        self.trace: list[str] = []
        self.digest = 0
        self.calm_since = 0.0
        self.referee = Referee(self.outside, self.lives)
        self.replicas = [
            Replica(number, self.outside, self.disk, self.deployed, self._defect)
            for number in range(scenario.replicas)
        ]
        self._tell = self._trace if traced else self._note
        self.script = Script(self.outside, self.replicas, self.referee, self.deployed, self._tell)
        self.aimed = AimedFaults(
            self.outside, self.replicas, self.script.happens, self._jump_one, self._tell
        )
        self._connect()

    def _true_time(self) -> datetime:
        """The time by the store's clock, which is right."""
        return START + timedelta(seconds=self.loop.now)

    def _connect(self) -> None:
        outside, referee, disk, loop = self.outside, self.referee, self.disk, self.loop
        outside.told = referee.told = self._tell
        outside.rang, outside.ran, outside.posted = referee.rang, referee.ran, referee.posted
        disk.committed = referee.committed
        disk.failing = self.aimed.disk_fails
        disk.full = lambda: outside.fault("disk full") is not None
        disk.wrote = outside.did = self.aimed.did
        disk.asked = self.aimed.asked
        referee.may_begin = disk.may_begin
        referee.store_away_until = self._store_away_until
        referee.owed = lambda replica: disk.owed.get(replica, ())
        disk.before_commit = self.aimed.before_commit
        disk.after_commit = self.aimed.after_commit
        loop.on_death = self._died
        loop.thread_delay = self.aimed.thread_delay
        referee.frozen_by(self._frozen)

    def run(self) -> Outcome:
        """All of it."""
        try:
            self.loop.run_until_complete(self._night())
        except _Stop:
            pass
        except NoProgress as stuck:
            self.referee.fail("no defect of ours", str(stuck))
        for fault in self.loop.faults:
            self.referee.fail("no defect of ours", fault)
        return Outcome(
            self.scenario,
            self.referee.violation,
            f"{(self.digest ^ self.loop.digest) & (2**64 - 1):016x}",
            self.referee.kinds,
            set(self.outside.met),
            sum(life.ended for life in self.lives),
            self.loop.steps,
            self.trace,
        )

    # ── what is told of it ───────────────────────────────────────────────────────────────────

    def _note(self, text: str) -> None:
        # Of text the hash is not the same in another process, unless PYTHONHASHSEED is.
        self.digest = hash((self.digest, self.loop.now, len(text), sum(text.encode())))

    def _trace(self, text: str) -> None:
        self._note(text)
        self.trace.append(f"{self.loop.now:8.2f}  {text}")

    def _defect(self, text: str) -> None:
        self.referee.fail("no defect of ours", text)

    # ── lives ────────────────────────────────────────────────────────────────────────────────

    def _begin(self, replica: Replica) -> None:
        life = Life(len(self.lives), replica.number)
        self.lives.append(life)
        if not self.outside.calm:
            counts = sorted(
                f.count
                for f in self.scenario.faults
                if f.kind == "crash at a step" and f.count > replica.steps
            )
            life.dies_at_step = counts[0] - replica.steps if counts else None
        self._tell(f"replica {replica.number} starts ({life})")
        replica.begin(life)

    def _away(self, fault: Fault) -> None:
        """One replica stands still or does not reach the store; the others and the world go on."""
        replica, suspended = self.replicas[int(fault.what)], fault.kind == "replica suspended"
        # One that is asleep cannot be suspended, and may find itself cut off when it wakes.
        if replica.life is None or (suspended and replica.life.asleep):
            return
        self._tell(f"{replica.life}: {fault.kind} for {fault.lasts:.1f} s")
        replica.away(self.loop.now, self.loop.now + fault.lasts)
        replica.life.was_away.append((self.loop.now, self.loop.now + fault.lasts))
        if suspended:
            self.outside.met.add("replica suspended")
            self.loop.suspend(replica.life, fault.lasts)

    def _died(self, life: Life) -> None:
        replica = self.replicas[life.replica]
        if replica.running:
            replica.away(self.loop.now, None)
        replica.steps += life.steps
        replica.life, replica.running = None, False
        if life.steps == life.dies_at_step:
            self.outside.met.add("crash at a step")
        self._tell(f"{life} dies")
        late = next((f for f in self.scenario.faults if f.kind == "restart late"), None)
        if late:
            self.outside.met.add("restart late")
        pause = 1.0 + self.outside.dice.random() * 5 + (late.size if late else 0.0)
        if not self.outside.calm:
            pause = max(1.0, min(pause, FAULTS_END - self.loop.now))
        self.loop.outside(pause, lambda: self._begin(replica))

    def _frozen(self, team: str, service: str) -> str:
        found = {"global", f"team:{team}", f"service:{service}"} & self.disk.frozen()
        return min(found, default="")

    # ── the night ────────────────────────────────────────────────────────────────────────────

    async def _night(self) -> None:
        later = next((f.at for f in self.scenario.faults if f.kind == "second replica"), 0.0)
        for replica in self.replicas:
            self.loop.outside(later * replica.number, partial(self._begin, replica))
        if self.scenario.replicas > 1:
            self.outside.met.add("second replica")
        timers: list[tuple[float, Callable[[], Any]]] = [
            (item.at, lambda item=item: asyncio.ensure_future(self.script.happens(item)))  # type: ignore[misc]
            for item in self.scenario.script
            if item.kind != "reaction"
        ]
        for fault in self.scenario.faults:
            if fault.what not in {"", *(str(replica.number) for replica in self.replicas)}:
                continue
            if fault.kind.endswith(("clock forward", "clock back")):
                timers.append((fault.at, partial(self._jump, fault)))
            elif fault.kind in {"replica suspended", "replica cut off"}:
                timers.append((fault.at, partial(self._away, fault)))
        timers.append((FAULTS_END, self._calm_down))
        for at, do in timers:
            self.loop.outside(at, do)
        while self.loop.now < END:
            await asyncio.sleep(LOOK_EVERY)
            self.referee.look(self._calm())
            if self.referee.violation:
                raise _Stop
            if self.outside.calm and self._is_over():
                break
        await self._at_the_end()

    def _is_over(self) -> bool:
        """Whether nothing is left to happen: all is closed, and the review written."""
        known = self.referee.incidents.values()
        script = self.scenario.script
        if script and script[-1].at > self.loop.now - LOOK_EVERY:
            return False
        if not all(replica.running for replica in self.replicas) or self.disk.unprocessed():
            return False
        return bool(known) and all(one.closed is not None and one.review for one in known)

    def _calm(self) -> float:
        """Since when nothing is in the way of a call."""
        now = self.loop.now
        if not self.outside.calm:
            self.calm_since = max(self.calm_since, self._ended(_HOLDS_UP))
        self.calm_since = max(self.calm_since, min(self.aimed.held_up_until, now))
        for replica in self.replicas:
            self.calm_since = max(self.calm_since, min(now, self._made_up_for(replica)))
        return self.calm_since

    def _ended(self, kinds: Collection[FaultKind]) -> float:
        """Until when one of these was last in force, as of now."""
        now = self.loop.now
        ends = [f.at + f.lasts for f in self.scenario.faults if f.kind in kinds and f.at <= now]
        return max((min(end, now) for end in ends), default=0.0)

    def _store_away_until(self) -> float:
        return max(self._ended(_STORE_AWAY), min(self.aimed.held_up_until, self.loop.now))

    def _made_up_for(self, replica: Replica) -> float:
        """When nothing is in the way any more of what that replica conducted: it is there, or
        another one that was there all the time has taken over."""
        gone, back = replica.gone, replica.known_since if replica.running else math.inf
        others = [other for other in self.replicas if other is not replica and other.running]
        if gone is not None and any(
            other.known_since <= gone and (other.gone is None or other.back < gone)
            for other in others
        ):
            return min(max(back, replica.back), gone + FAILOVER)
        return max(back, replica.back)

    def _calm_down(self) -> None:
        self._tell("nothing goes wrong any more")
        self.outside.calm = True
        self.calm_since = max(self.calm_since, self.loop.now)
        for replica in self.replicas:
            if replica.life is not None:
                replica.life.dies_at_step = None

    def _jump(self, fault: Fault) -> None:
        self.outside.met.add(fault.kind)
        seconds = fault.size if fault.kind.endswith("forward") else -fault.size
        concerned = [one for one in self.replicas if fault.what in {"", str(one.number)}]
        self._clocks_jump(concerned, fault.what or "of all", seconds)

    def _jump_one(self, number: int, seconds: float) -> None:
        self._clocks_jump([self.replicas[number]], str(number), seconds)

    def _clocks_jump(self, concerned: Sequence[Replica], whose: str, seconds: float) -> None:
        self._tell(f"the clock {whose} jumps by {seconds:+.0f} s")
        for replica in concerned:
            replica.clock_offset += seconds
        offsets = [replica.clock_offset for replica in self.replicas]
        self.referee.apart = max(self.referee.apart, max(offsets) - min(offsets))
        # What waits by the clock waits so much longer.
        self.calm_since = max(self.calm_since, self.loop.now + max(0.0, -seconds))

    async def _at_the_end(self) -> None:
        self.referee.at_the_end(self.disk)
        for replica in self.replicas:
            if replica.running:
                for known in replica.repository.known:
                    self.referee.remembered(known, known.id in replica.repository.owing)


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """Whatever else would differ from run to run is drawn from the seed, or is silent."""
    letters = Random(f"letters {seed}")  # noqa: S311 - reproducible
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    collecting = gc.isenabled()
    gc.disable()
    try:
        with (
            coarse_onsets(),
            # What another replica has written is looked for less often: a third of all time.
            patch.object(news, "NEWS_SECONDS", 4.0),
            patch.object(leases, "_LOOK_EVERY", timedelta(seconds=4)),
            patch.object(secrets, "choice", letters.choice),
            patch.object(
                secrets, "token_hex", lambda n=16: f"{letters.getrandbits(8 * n):0{2 * n}x}"
            ),
        ):
            yield
    finally:
        if collecting:
            gc.enable()
