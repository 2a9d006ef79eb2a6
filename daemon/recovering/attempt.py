"""One attempt at one step: preflight → evidence → a last look → run.

Every await here may be the last: what a crash leaves behind is told apart by the journal. An
intent without a prepared step changed nothing; a prepared one is checked by its action.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import structlog

from daemon.core.changes.live_periods import lives, merge_periods
from daemon.core.changes.suspects import Candidate, Change, last_healthy
from daemon.core.incident import events as e
from daemon.core.incident.reasons import AttemptReason
from daemon.core.incident.state import Incident
from daemon.core.ports.actions import Action, ActionContext, Lingers, Ready, Refused, Shows
from daemon.core.ports.replicas import NotOurs, NotOwner, must_act
from daemon.core.recovery.concurrent import concurrence, upstream_of
from daemon.core.recovery.growth import unweighed_change
from daemon.core.recovery.guardrails import GLOBAL, ActionScope, Freeze, Guard, stormy
from daemon.core.recovery.lifecycle import freshness, withheld
from daemon.core.recovery.plan import approval_voided, plan_of, scope_of
from daemon.core.rules.rule import Rule
from daemon.core.values.outcome import Outcome, Permanent, Result, Temporary
from daemon.core.values.units import format_duration
from daemon.instrumentation import SpanAttributes
from daemon.recovering.stages import JournaledStages
from daemon.recovering.step_context import Findings, StepContext
from daemon.repository import IncidentRepository

_log = structlog.get_logger()

_T = TypeVar("_T")

_PATIENCE = 30.0
"""Seconds within which a target that could not be looked at just then is looked at again."""

_SHOWN = 500
"""So many characters of each fact go into the evidence."""


class ActionEnded(Exception):
    """The action itself came to an end; what the store raises is something else."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


async def _called(answer: Awaitable[_T], action: str) -> _T:
    """Ask other people's code. Raises Ended whatever way it fails."""
    try:
        return await answer
    except (Temporary, Permanent) as error:
        text = str(error)
        raise ActionEnded(attempt_ended("failed", "action_failed", text)) from error
    except (NotOwner, NotOurs):
        raise  # it has not ended: whoever conducts the incident looks how far it came
    except TimeoutError as error:
        raise ActionEnded(
            attempt_ended("unknown", "action_timed_out", f"{action}: {error}")
        ) from error
    except Exception as error:
        _log.exception("an action crashed", action=action)
        text = f"{type(error).__name__}: {error}"
        raise ActionEnded(attempt_ended("unknown", "action_crashed", text)) from error


async def _called_patiently(ask: Callable[[], Awaitable[_T]], action: str) -> _T:
    """As `_called`, for what changes nothing: a hiccup of the target's server is sat out."""

    # No retry library: tenacity and stamina keep deadlines by the machine's clock, not the loop's.
    async def patiently() -> _T:
        clock, pause = asyncio.get_running_loop().time, 1.0
        begin = clock()
        while True:
            try:
                return await ask()
            except Temporary as error:
                if clock() - begin + pause > _PATIENCE:
                    raise
                _log.info("asking again", action=action, error=str(error), seconds=pause)
            await asyncio.sleep(pause)
            pause *= 2

    return await _called(patiently(), action)


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
            outcome = await _called(self.action.run(params, prepared, context), self.action.name)
            span["stopgap.result"], span["stopgap.reason"] = outcome.result, outcome.reason
        return outcome

    def _span(self, name: str) -> AbstractContextManager[SpanAttributes]:
        return self.step_context.tracer.span(name, {"stopgap.action": self.action.name})

    async def preflight(self, incident: Incident) -> Ready | Refused:
        """What it would do, or why it would not; nothing is changed. Raises ActionEnded."""
        params = self.action.Params.model_validate(dict(incident.step(self.number).params))
        context = self._context(incident)
        with self._span("preflight"):
            return await _called(self.action.preflight(params, context), self.action.name)

    async def rehearse(self, incident: Incident) -> Outcome:
        """Go as far as it can without changing anything. `done`, with what it would do, if all
        that is asked at the moment of acting would have let it act. Raises Ended."""
        ready = await self.preflight(incident)
        if isinstance(ready, Refused):
            return Outcome(result="refused", reason=ready.reason, detail=ready.text)
        params = self.action.Params.model_validate(dict(incident.step(self.number).params))
        context = self._context(incident)
        evidence, found = await self._evidence(incident, params, context)
        stopped = await self._barred(incident, found)
        would = attempt_ended("done", "rehearsed", ready.summary)
        return stopped or self._doubt(incident, evidence) or would

    async def _prepare(
        self, incident: Incident, params: Any, context: ActionContext
    ) -> dict[str, str] | Outcome:
        """Preflight, the evidence, and a last look; the intent is journaled before it is run."""
        action = self.action
        with self._span("preflight"):
            ready = await _called_patiently(lambda: action.preflight(params, context), action.name)
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
        closed = await self._barred(incident, found)
        stopped: list[Outcome] = []

        def look(now: Incident) -> tuple[e.Event, ...]:
            stopped[:] = filter(None, [closed or self._stopped(now) or self._doubt(now, evidence)])
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
                landed = await _called_patiently(
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
            stopped = self._stale(incident) or await self._last_look(incident, params, context)
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

    async def _barred(self, incident: Incident, found: Findings) -> Outcome | None:
        """Whether a freeze, or others that have begun to alert, keep it from acting."""
        state, now = incident.step(self.number), self.repository.clock()
        journal, limits = self.repository.journal, self.step_context.limits
        if state.approved_by or self.rule is None:
            return self._frozen(incident, await journal.freezes(now), now)
        scope = scope_of(incident, self.rule, self.step_context.dependencies())
        guard = await journal.guard(state.target, incident.id, scope, limits, now)
        frozen = self._frozen(incident, [guard.freeze] if guard.freeze else [], now)
        return frozen or self._others(scope, guard, found, now)

    def _frozen(
        self, incident: Incident, in_force: Sequence[Freeze], now: datetime
    ) -> Outcome | None:
        """Whether a freeze has come since the step was started."""
        scopes: Sequence[str] = (GLOBAL, f"team:{incident.opened.team}")
        if self.rule is not None:
            scopes = scope_of(incident, self.rule).freezes
        concerning = [freeze for freeze in in_force if freeze.scope in scopes]
        closed = self.step_context.closed(scopes, now)
        for freeze in (*concerning, *filter(None, [closed])):
            text = f"frozen by {freeze.by} before anything was changed: {freeze.reason}"
            return attempt_ended("refused", "frozen", text)
        return None

    def _others(
        self, scope: ActionScope, guard: Guard, found: Findings, now: datetime
    ) -> Outcome | None:
        """Whether others have begun to alert, by the store or by Prometheus, which knows first."""
        limits = self.step_context.limits
        # Its own start is counted by now, and its own lock is held: only others are asked for.
        text = stormy(replace(guard, alerting=max(guard.alerting, found.alerting)), limits)
        if text:
            return attempt_ended("refused", "storm", text)
        if scope.cause is None:
            return None
        concurrent = concurrence(scope.cause, guard.concurrent, now)
        if concurrent is not None:
            return attempt_ended("refused", *concurrent)
        if found.upstream_alerting and not upstream_of(scope.cause, guard.concurrent):
            text = "what this rule depends on has an alert in Prometheus and no incident yet"
            return attempt_ended("refused", "upstream_alerting", text)
        return None

    def _stopped(self, now: Incident) -> Outcome | None:
        """Whether a person has stopped it, or taken back what allows it, by now."""
        state = now.step(self.number)
        if state.vetoed_by:
            text = f"vetoed by {state.vetoed_by} before anything was changed"
            return attempt_ended("refused", "vetoed", text)
        if now.paused_by and not state.ordered:
            text = f"paused by {now.paused_by} before anything was changed"
            return attempt_ended("refused", "paused", text)
        rule = self.step_context.rules().get(now.rule)
        if rule is None or self.number not in plan_of(now, rule):
            text = "its rule was removed before anything was changed"
            return attempt_ended("refused", "approval_void", text)
        if state.approved_by:
            void = approval_voided(now, rule, self.number)
        elif rule.mode != "automatic":
            void = f"the rule's mode became `{rule.mode}` before anything was changed"
        elif withdrawn := self.step_context.withdrawn(rule.rule):
            text = f"the rule lost its autonomy before anything was changed: {withdrawn}"
            return attempt_ended("refused", "autonomy_withdrawn", text)
        else:
            approval_state, text = self.step_context.approvals().state_of(
                rule, self.number, self.repository.clock()
            )
            void = "" if approval_state == "valid" else text
        if void:
            return attempt_ended("refused", "approval_void", void)
        if state.approved_by or plan_of(now, rule)[self.number].when != "suspect_change":
            return None
        unweighed = unweighed_change(now)
        text = f"before anything was changed {unweighed} became known; it is weighed first"
        return attempt_ended("refused", "change_unweighed", text) if unweighed else None

    def _doubt(self, now: Incident, evidence: e.EvidenceTaken) -> Outcome | None:
        """Whether the metrics, looked at once more, still ask for it; a person may know better."""
        if now.step(self.number).ordered:
            return None
        if evidence.monitoring:
            text = f"{evidence.monitoring}: the monitoring is not believed, so nothing is touched"
            return attempt_ended("refused", "monitoring_outage", text)
        state = evidence.reading.state if evidence.reading else "unreadable"
        if state == "impaired":
            return None
        reason, text = withheld(state)
        return attempt_ended("refused", reason, text)

    def _stale(self, incident: Incident) -> Outcome | None:
        """An intent older than a measurement may be: what it rests on must be measured anew."""
        started = incident.step(self.number).started_at or incident.opened_at
        age = self.repository.clock() - started
        if self.rule is not None and age <= freshness(self.rule):
            return None
        shown = format_duration(timedelta(seconds=round(age.total_seconds())))
        text = f"prepared {shown} ago and never begun; the problem is measured again first"
        return attempt_ended("refused", "stale_intent", text)

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


def attempt_ended(result: Result, reason: AttemptReason, detail: str) -> Outcome:
    """How an attempt ended that its action did not end itself."""
    return Outcome(result=result, reason=reason, detail=detail)
