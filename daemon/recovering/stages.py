"""A step that stopped midway waits here for its ruling: the metrics', or the Commander's word.

What was reached and what was ruled is journaled, so a restart goes on with it: a stage that is open
is measured anew, and what was ruled is not asked again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import structlog

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.incident.step_state import StepStage
from daemon.core.ports.actions import PartDone, StageRuling
from daemon.core.recovery.stages import PartReading, no_sign_in_time, rule_on_part
from daemon.core.recovery.verification import first_reading_at, pace
from daemon.core.rules.rule import Rule
from daemon.core.values.outcome import Temporary
from daemon.recovering.step_context import StepContext
from daemon.repository import IncidentRepository

_log = structlog.get_logger()

_LOOK_EVERY = timedelta(seconds=2)
"""Between two looks into the journal for a person's word."""


@dataclass(frozen=True)
class JournaledStages:
    """The rulings on one step: `daemon.core.ports.actions.Stages`."""

    repository: IncidentRepository
    step_context: StepContext
    rule: Rule | None
    incident: str
    number: int

    async def ruled(self) -> StageRuling | None:
        """What was ruled already. Raises Temporary if the journal cannot be read."""
        return _ruling((await self._load()).step(self.number).stage)

    async def rule_on(self, part: PartDone, limit: timedelta) -> StageRuling:
        """Wait for the ruling, at most `limit` from now. Without a journal the step is stopped when
        the time is over, and the outcome says why."""
        clock = asyncio.get_running_loop().time
        until = clock() + limit.total_seconds()
        readings: list[PartReading] = []
        while True:
            try:
                ruling = await self._look(part, limit, readings, clock() >= until)
            except Temporary as error:
                _log.warning("a stage waits for the journal", step=self.number, error=str(error))
                ruling = None
                if clock() >= until:
                    return StageRuling(False, f"the journal cannot be reached: {error}")
            if ruling is not None:
                return ruling
            await asyncio.sleep(_LOOK_EVERY.total_seconds())

    async def _look(
        self, part: PartDone, limit: timedelta, readings: list[PartReading], late: bool
    ) -> StageRuling | None:
        """Journal where it stands, measure if it is time, and journal what comes of it."""
        incident = await self._reached(part)
        step, problem = incident.step(self.number), incident.confirmed
        if step.stage is None or step.stage.ruling is not None:
            return _ruling(step.stage)
        ruled: e.StageRuled | None = None
        now = self.repository.clock()
        if self.rule is not None and problem is not None:
            begin = first_reading_at(self.rule, problem, step.stage.since)
            if readings:
                begin = readings[-1].whole.at + pace(self.rule, step.stage.since, now)
            if now >= begin:
                readings.append(await self.step_context.read_part(self.rule, incident, part))
                ruled = rule_on_part(self.rule, problem, step, readings)
        if ruled is None and late:
            ruled = no_sign_in_time(self.number, limit, readings)
        if ruled is None:
            return None
        word = ruled
        await self.repository.record(
            self.incident,
            lambda now: (word,) if now.step(self.number).at_stage else (),
            fenced=True,
        )
        return await self.ruled()  # a person may have been quicker

    async def _reached(self, part: PartDone) -> Incident:
        reached = e.StageReached(step=self.number, text=part.text, share=part.share, item=part.item)
        await self.repository.record(
            self.incident,
            lambda now: () if now.step(self.number).stage else (reached,),
            fenced=True,
        )
        return await self._load()

    async def _load(self) -> Incident:
        return await self.repository.load(self.incident)


def _ruling(stage: StepStage | None) -> StageRuling | None:
    if stage is None or stage.ruling is None:
        return None
    return StageRuling(stage.ruling.go_on, stage.ruling.text)
