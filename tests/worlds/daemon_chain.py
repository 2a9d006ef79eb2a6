"""The daemon's own way through one draw: its decisions, measurements and suspicion, over time.

What `conduct` does with a journal and servers is done here with a folded incident and the samples
of a draw: the effects of each decision are carried out at once, then the moment moves on to when
the decision asks to be made again.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from daemon.core.changes.suspects import Change
from daemon.core.decide import settle_decision
from daemon.core.decision import Effect, MeasureProblem, ReadRecovery, RunStep
from daemon.core.incident import events as e
from daemon.core.incident.fold import apply_event
from daemon.core.incident.state import Incident
from daemon.core.measurement.problem import RecoveryReading
from daemon.core.recovery.growth import may_grow
from daemon.core.recovery.lifecycle import withheld
from daemon.core.recovery.plan import Outlook, viewed_steps
from daemon.core.recovery.situation import Surroundings
from daemon.core.rules.rule import Rule
from daemon.core.values.outcome import Outcome
from daemon.measuring.evidence import assess, reassess
from daemon.measuring.queries import Survey
from daemon.measuring.verify import read_recovery_now
from tests.core.build import (
    ALERTS,
    COUNTS,
    HOUR,
    LIMITS,
    NOW,
    ROSTER,
    STEPS,
    TARGET,
    VALUE,
    approved,
    make_incident,
    make_rule,
    opening,
)
from tests.worlds.outcome import Decided
from tests.worlds.prometheus import DrawnPrometheus
from tests.worlds.world import HORIZON, Draw

RULES = {
    kind: make_rule(problem=problem, recover=STEPS[:1])
    for kind, problem in (("counts", COUNTS), ("value", VALUE))
}
"""One step: roll the suspect back by itself. What it does not apply to, is for people."""
MAX_AGE = timedelta(minutes=2)
"""The age up to which samples are believed, as the settings have it by default."""
LOOK_AGAIN = timedelta(seconds=15)
"""When to decide again where a decision does not say."""
PREFLIGHT = timedelta(seconds=2)
"""How long an action looks at its target before the last look at the metrics."""
_MOST_TURNS = 1000


def daemon_decides(draw: Draw) -> Decided:
    """What the daemon does from the alert on until it acts, or until the horizon."""
    if draw.alert_at is None:
        return Decided("wait", why="no alert")
    return asyncio.run(_DaemonRun(draw, draw.alert_at).decided())


class _DaemonRun:
    """One incident of the daemon."""

    def __init__(self, draw: Draw, begin: float) -> None:
        self.draw = draw
        self.rule: Rule = RULES[draw.world.kind]
        self.metrics = DrawnPrometheus(draw)
        self.now = datetime.fromtimestamp(begin, UTC)
        self.untold = [k for k in draw.deployed if k.since > begin]
        self.ends = self.now + timedelta(seconds=HORIZON)
        self.approvals = approved(self.rule, 1, until=NOW + HOUR)
        self.incident: Incident = make_incident((self.now, opening()), (self.now, ALERTS))
        self.asked: Decided | None = None
        self.acted: Decided | None = None

    async def decided(self) -> Decided:
        """Decide and measure until it acts; what it asked meanwhile counts if it never does."""
        for _ in range(_MOST_TURNS):
            if self.now > self.ends or self.incident.closed is not None:
                break
            facts, decision = settle_decision(
                self.incident, self.rule, self._surroundings(), self.now
            )
            self._record(*facts)
            worked = [await self._carry_out(effect) for effect in decision.effects]
            if self.acted is not None:
                return self.acted
            if any(worked):
                continue
            later = decision.wake_at or self.now + LOOK_AGAIN
            self._pass(max(later, self.now + timedelta(seconds=1)))
        else:
            raise AssertionError(f"{self.draw.world.name}: the daemon decides without end")
        if self.asked is not None:
            return self.asked
        problem = self.incident.problem
        return Decided("wait", why="" if problem is None else problem.reason)

    def _pass(self, until: datetime) -> None:
        """Let time pass until then, or until the next deployment becomes known."""
        told = [k for k in self.untold if k.since <= until.timestamp()]
        if not told:
            self.now = until
            return
        first = min(told, key=lambda k: k.since)
        self.untold.remove(first)
        # At the end of the microsecond, for only then it is known.
        at = datetime.fromtimestamp(first.since, UTC) + timedelta(microseconds=1)
        self.now = max(self.now, at)
        self._record(e.ChangeReported(change=first.change, told_at=self.now))

    def _surroundings(self) -> Surroundings:
        suspicion = self.incident.suspicion
        change = suspicion.change if suspicion is not None else None
        subject = TARGET if change is None or change.aim != TARGET else change.subject
        live = [c.item for c in self.draw.known(self.now.timestamp()) if c.subject == subject]
        views = {
            number: Outlook(target=TARGET, live=live[-1] if live else "")
            for number in viewed_steps(self.incident, self.rule, LIMITS, self.now)
        }
        return Surroundings(ROSTER, self.approvals, LIMITS, views)

    def _record(self, *events: e.Event) -> None:
        for event in events:
            self.incident = apply_event(self.incident, self.now, event, e.DAEMON)
            if isinstance(event, e.ApprovalRequested | e.DiagnosisOpened) and self.asked is None:
                self.asked = Decided("ask", self.now.timestamp(), why=self._reason(event))
        self.incident = replace(self.incident, seq=self.incident.seq + len(events))

    def _reason(self, event: e.Event) -> str:
        """Why a person is asked: the reason of the question, or why the step did not apply."""
        if isinstance(event, e.ApprovalRequested):
            return event.reason
        return self.incident.step(1).refusal

    async def _carry_out(self, effect: Effect) -> bool:
        """Whether there was something to do; what concerns people is left to them."""
        match effect:
            case MeasureProblem():
                self._record(await assess(self._survey(), self.rule, self._changes()))
            case ReadRecovery(step):
                await self._read(step)
            case RunStep(step):
                await self._run(step, effect.authority)
            case _:
                return False
        return True

    def _survey(self) -> Survey:
        labels = self.incident.group_labels
        return Survey(self.metrics, self.rule.problem, labels, self.now, MAX_AGE)

    def _changes(self) -> list[Change]:
        return self.draw.known(self.now.timestamp())

    async def _read(self, step: int) -> None:
        """As `Executor` takes a reading, and weighs the changes again."""
        self._record(e.RecoveryMeasured(step=step, reading=await self._reading()))
        if not step and may_grow(self.incident, LIMITS, self.now):
            news = await reassess(self._survey(), self.rule, self.incident, self._changes(), ())
            self._record(*(() if news is None else (news,)))

    async def _reading(self) -> RecoveryReading:
        assert self.incident.confirmed is not None
        return await read_recovery_now(self._survey(), self.rule.verify, self.incident.confirmed)

    async def _run(self, step: int, authority: str) -> None:
        """The last look of an attempt; if it still shows the problem, the daemon acts."""
        self.now += PREFLIGHT
        reading = await self._reading()
        if reading.state == "impaired":
            suspicion = self.incident.suspicion
            change = suspicion.change if suspicion is not None else None
            self.acted = Decided("act", self.now.timestamp(), change)
            return
        reason, text = withheld(reading.state)
        self._record(
            e.StepStarted(
                step=step,
                action=self.rule.step(step).action,
                target=TARGET,
                params={},
                authority=authority,
            ),
            e.EvidenceTaken(step=step, reading=reading),
            e.StepFinished(
                step=step, outcome=Outcome(result="refused", reason=reason, detail=text)
            ),
        )
