"""One attempt at one step: preflight → evidence → a last look → run.

Every await here may be the last: what a crash leaves behind is told apart by the journal. An
intent without a prepared step changed nothing; a prepared one is checked by its action.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from daemon.core.changes.live_periods import lives, merge_periods
from daemon.core.changes.suspects import Candidate, Change, last_healthy
from daemon.core.incident import events as e
from daemon.core.incident.reasons import attempt_ended
from daemon.core.incident.state import Incident
from daemon.core.ports.actions import Action, ActionContext, Lingers, Ready, Refused, Shows
from daemon.core.ports.replicas import must_act
from daemon.core.rules.rule import Rule
from daemon.core.values.outcome import Outcome, Permanent, Temporary
from daemon.instrumentation import SpanAttributes
from daemon.recovering.action_calls import ActionEnded, call_action, call_patiently
from daemon.recovering.preconditions import Preconditions
from daemon.recovering.stages import JournaledStages
from daemon.recovering.step_context import Findings, StepContext
from daemon.repository import IncidentRepository

_log = structlog.get_logger()

_SHOWN = 500
"""So many characters of each fact go into the evidence."""


@dataclass(frozen=True)
class Attempt:
    """One run of one step, from the preflight to the outcome."""

    repository: IncidentRepository
    step_context: StepContext
    rule: Rule | None
    number: int
    action: Action
    within: timedelta | None = None

    async def carry_out(self, incident: Incident) -> Outcome:
        """Prepare it, or after a restart look how far it came; then do it."""
        state = incident.step(self.number)
        params = self.action.Params.model_validate(dict(state.params))
        context = self._context(incident)
        if state.intent is None:
            prepared = await self._prepare(incident, params, context)
        else:
            prepared = await self._resume(incident, params, context, dict(state.intent))
        if isinstance(prepared, Outcome):
            return prepared
        must_act(self.repository.ownership, incident.id)
        with self._span("run") as span:
            outcome = await call_action(
                self.action.run(params, prepared, context), self.action.name
            )
            span["stopgap.result"], span["stopgap.reason"] = outcome.result, outcome.reason
        return outcome

    @property
    def _preconditions(self) -> Preconditions:
        return Preconditions(self.repository, self.step_context, self.rule, self.number)

    def _span(self, name: str) -> AbstractContextManager[SpanAttributes]:
        return self.step_context.tracer.span(name, {"stopgap.action": self.action.name})

    async def preflight(self, incident: Incident) -> Ready | Refused:
        """What it would do, or why it would not; nothing is changed. Raises ActionEnded."""
        params = self.action.Params.model_validate(dict(incident.step(self.number).params))
        context = self._context(incident)
        with self._span("preflight"):
            return await call_action(self.action.preflight(params, context), self.action.name)

    async def rehearse(self, incident: Incident) -> Outcome:
        """Go as far as it can without changing anything. `done`, with what it would do, if all
        that is asked at the moment of acting would have let it act. Raises ActionEnded."""
        ready = await self.preflight(incident)
        if isinstance(ready, Refused):
            return Outcome(result="refused", reason=ready.reason, detail=ready.text)
        params = self.action.Params.model_validate(dict(incident.step(self.number).params))
        context = self._context(incident)
        evidence, found = await self._evidence(incident, params, context)
        stopped = await self._preconditions.barred(incident, found)
        would = attempt_ended("done", "rehearsed", ready.summary)
        return stopped or self._preconditions.doubt(incident, evidence) or would

    async def _prepare(
        self, incident: Incident, params: Any, context: ActionContext
    ) -> dict[str, str] | Outcome:
        """Preflight, the evidence, and a last look; the intent is journaled before it is run."""
        action = self.action
        with self._span("preflight"):
            ready = await call_patiently(lambda: action.preflight(params, context), action.name)
        if isinstance(ready, Refused):
            return Outcome(result="refused", reason=ready.reason, detail=ready.text)
        summary, intent = ready.summary, dict(ready.intent)
        prepared = e.StepPrepared(step=self.number, summary=summary, intent=intent)
        return await self._last_look(incident, params, context, prepared) or intent

    async def _last_look(
        self, incident: Incident, params: Any, context: ActionContext, *prepared: e.StepPrepared
    ) -> Outcome | None:
        """Ask all of it once more, and journal the evidence with what follows if all is well."""
        evidence, found = await self._evidence(incident, params, context)
        held = self._preconditions
        closed = await held.barred(incident, found)
        stopped: list[Outcome] = []

        def look(now: Incident) -> tuple[e.Event, ...]:
            stopped[:] = filter(None, [closed or held.stopped(now) or held.doubt(now, evidence)])
            return (evidence,) if stopped else (evidence, *prepared)

        # Only its owner goes on from here, whatever has held this process up since it began.
        await self.repository.record(incident.id, look, fenced=True)
        return stopped[0] if stopped else None

    async def _resume(
        self, incident: Incident, params: Any, context: ActionContext, intent: dict[str, str]
    ) -> dict[str, str] | Outcome:
        """After a restart: did it come true?"""
        action = self.action
        try:
            with self._span("check"):
                landed = await call_patiently(
                    lambda: action.check(params, intent, context), action.name
                )
        except ActionEnded as blind:
            # It may have happened, so nothing else is tried before the metrics were asked.
            text = f"the daemon stopped while it ran, and its target cannot be looked at: {blind}"
            return attempt_ended("unknown", "interrupted", text)
        if landed == "done":
            return attempt_ended("done", "found_done", "done before the restart")
        if landed == "unknown":
            text = "the daemon stopped while it ran, and nobody can tell whether it happened"
            return attempt_ended("unknown", "interrupted", text)
        # What is half done is better ended than left; what has not begun is asked anew.
        if landed == "not_done":
            stale = self._preconditions.stale(incident)
            stopped = stale or await self._last_look(incident, params, context)
            if stopped is not None:
                return stopped
        await context.progress("carried on after a restart")
        return intent

    async def outlive(self, incident: Incident) -> None:
        """Wait until nothing is at work any more that another replica has begun: it may have
        begun it as late as its lease would have let it. The step's own time begins after that."""
        step, ownership = incident.step(self.number), self.repository.ownership
        if ownership.fence is None or step.begun_at is None:
            return
        if isinstance(self.action, Lingers):
            params = self.action.Params.model_validate(dict(step.params))
            until = step.begun_at + ownership.lease + self.action.lingers(params)
            left = (until - self.repository.clock()).total_seconds()
            if left > 0:
                _log.info("what another replica began may still be at work", seconds=round(left))
                await asyncio.sleep(left)

    async def _evidence(
        self, incident: Incident, params: Any, context: ActionContext
    ) -> tuple[e.EvidenceTaken, Findings]:
        """What is known now, before anything is changed, and what was found in the metrics. Not
        to know is evidence, too."""
        shown: Mapping[str, str] = {}
        if isinstance(self.action, Shows):
            try:
                shown = await self.action.show(params, context)
            except (Temporary, Permanent, TimeoutError) as error:
                shown = {"target": f"could not be looked at: {error}"}
            except Exception as error:
                _log.exception("an action crashed while it showed its target", step=self.number)
                shown = {"target": f"could not be looked at: {type(error).__name__}: {error}"}
        found = Findings(None, {}, "")
        if self.rule is not None and incident.confirmed is not None:
            found = await self.step_context.look(self.rule, incident)
        evidence = e.EvidenceTaken(
            step=self.number,
            reading=found.reading,
            answers=dict(found.answers),
            target={name: value[:_SHOWN] for name, value in shown.items()},
            monitoring=found.outage,
        )
        return evidence, found

    def _context(self, incident: Incident) -> ActionContext:
        target = incident.step(self.number).target
        journal = self.repository.journal
        problem = incident.confirmed
        healthy = None
        if problem is not None and problem.baseline_from and problem.baseline_until:
            healthy = (problem.baseline_from, problem.baseline_until)

        async def choose(live: str, history: Sequence[Change] = ()) -> Candidate:
            seen, marks = await asyncio.gather(journal.changes(target), journal.marks(target))
            known = merge_periods(seen, history)
            all_marks = dict(marks)
            if self.rule is not None and problem is not None:
                unknown = [life for life in lives(known) if life.item not in marks]
                all_marks |= await self.step_context.judge_revisions(self.rule, incident, unknown)
            return last_healthy(live, known, all_marks, healthy)

        async def progress(text: str) -> None:
            event = e.StepProgressed(step=self.number, text=text)
            try:
                await self.repository.record(incident.id, lambda _: (event,))
            except Temporary as error:
                # A half-done action is worse than a timeline without this line.
                _log.warning("progress not journaled", error=str(error))

        return ActionContext(
            token=f"{incident.id}/{self.number}",
            now=self.repository.clock(),
            choose=choose,
            progress=progress,
            expected=_expected(incident, self.number),
            incident=incident.id,
            step=self.number,
            within=self.within,
            suspect=_suspect(incident, self.number),
            must_act=partial(must_act, self.repository.ownership, incident.id),
            stages=JournaledStages(
                self.repository, self.step_context, self.rule, incident.id, self.number
            ),
        )


def _expected(incident: Incident, number: int) -> str:
    """The item that the step is to undo: the suspect, if it is one of this very target."""
    suspect = _suspect(incident, number)
    step = incident.step(number)
    if suspect is None or suspect.subject != step.target or step.approved_by:
        return ""
    return suspect.item


def _suspect(incident: Incident, number: int) -> Change | None:
    """The change that is blamed, if the step acts on what it changed."""
    suspect = incident.suspicion.change if incident.suspicion else None
    aimed = suspect is not None and suspect.aim == incident.step(number).target
    return suspect if aimed else None
