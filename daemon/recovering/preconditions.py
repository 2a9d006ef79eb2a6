"""What must hold still at the moment of acting: asked once more, after the step was decided on.

Since then a freeze, a veto, an edited rule, others that alert, or the recovery itself may have
come. Each answers with the outcome that the attempt ends with before anything was changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from daemon.core.incident import events as e
from daemon.core.incident.reasons import attempt_ended
from daemon.core.incident.state import Incident
from daemon.core.recovery.concurrent import concurrence, upstream_of
from daemon.core.recovery.growth import unweighed_change
from daemon.core.recovery.guardrails import GLOBAL, ActionScope, Freeze, Guard, stormy
from daemon.core.recovery.lifecycle import freshness, withheld
from daemon.core.recovery.plan import approval_voided, plan_of, scope_of
from daemon.core.rules.rule import Rule
from daemon.core.values.outcome import Outcome
from daemon.core.values.units import format_duration
from daemon.recovering.step_context import Findings, StepContext
from daemon.repository import IncidentRepository


@dataclass(frozen=True)
class Preconditions:
    """Those of one step; each gives None while it holds."""

    repository: IncidentRepository
    step_context: StepContext
    rule: Rule | None
    number: int

    async def barred(self, incident: Incident, found: Findings) -> Outcome | None:
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

    def stopped(self, now: Incident) -> Outcome | None:
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

    def doubt(self, now: Incident, evidence: e.EvidenceTaken) -> Outcome | None:
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

    def stale(self, incident: Incident) -> Outcome | None:
        """An intent older than a measurement may be: what it rests on must be measured anew."""
        started = incident.step(self.number).started_at or incident.opened_at
        age = self.repository.clock() - started
        if self.rule is not None and age <= freshness(self.rule):
            return None
        shown = format_duration(timedelta(seconds=round(age.total_seconds())))
        text = f"prepared {shown} ago and never begun; the problem is measured again first"
        return attempt_ended("refused", "stale_intent", text)
