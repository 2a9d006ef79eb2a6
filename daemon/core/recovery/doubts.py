"""Why a step is asked about instead of started. Each question is None where there is no doubt."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.core.incident.events import Verdict
from daemon.core.incident.reasons import AskReason
from daemon.core.incident.state import Incident
from daemon.core.incident.step_state import StepState
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.concurrent import upstream_of
from daemon.core.recovery.growth import of_unknown_age, trouble_began
from daemon.core.recovery.guardrails import ActionScope, Limits
from daemon.core.recovery.plan import PROPOSED_FROM, Outlook, approval_voided
from daemon.core.recovery.step_answers import AskApproval
from daemon.core.rules.rule import Rule, StepSpec
from daemon.core.values.outcome import MEDDLED
from daemon.core.values.units import clock_time, format_duration

APPROVAL_LASTS = timedelta(minutes=30)
"""For how long a person's approval of a step in an incident counts."""
UPSTREAM_AWAITED = timedelta(minutes=3)
"""For so long an incident is waited for where Prometheus has an alert: its `for`, the grouping."""
ASK_AFTER: dict[Verdict, AskReason] = {
    "partial": "after_partial",
    "inconclusive": "after_inconclusive",
    "worse": "after_worse",
}
"""The verdicts on a step after which a person decides."""


def changed_since(
    number: int, spec: StepSpec, incident: Incident, view: Outlook
) -> AskApproval | None:
    """The suspect must still be what is live: people may have deployed a mend meanwhile."""
    suspect = incident.suspicion.change if incident.suspicion else None
    if spec.when != "suspect_change" or suspect is None or suspect.aim != view.target:
        return None
    if view.live in {"", suspect.item}:
        return None
    text = f"{suspect.item} was the suspect, but {view.live} is live now; a person decides"
    return AskApproval(number, "changed_since", text)


def somebodys_rollback(number: int, spec: StepSpec, incident: Incident) -> AskApproval | None:
    """Whoever went back had a reason that the metrics may not show: never the undo of an undo."""
    suspicion = incident.suspicion
    if spec.when != "suspect_change" or suspicion is None or not suspicion.returned:
        return None
    item = suspicion.change.item if suspicion.change else ""
    text = f"{item} had been live before, so the suspect is itself a rollback; a person decides"
    return AskApproval(number, "suspect_is_a_rollback", text)


def doubtful(number: int, spec: StepSpec, incident: Incident) -> AskApproval | None:
    """One change fits, but what is known does not convict it."""
    suspicion = incident.suspicion
    if spec.when != "suspect_change" or suspicion is None or not suspicion.doubt:
        return None
    return AskApproval(number, suspicion.doubt, f"{suspicion.text}; a person decides")


def cautious(number: int, incident: Incident) -> AskApproval | None:
    """What has happened in this incident that makes a person decide, from now on."""
    if incident.relapses:
        return AskApproval(number, "relapsed", "it came back after a recovery; a person decides")
    verdict = incident.last_verdict
    after = ASK_AFTER.get(verdict) if verdict is not None else None
    if after is not None:
        return AskApproval(number, after, f"the step before ended {verdict}; a person decides")
    outcomes = [step.outcome for step in incident.steps.values() if step.outcome is not None]
    if any(outcome.reason in MEDDLED for outcome in outcomes):
        text = "somebody else is changing the target just now; a person decides"
        return AskApproval(number, "changed_meanwhile", text)
    if any(step.ask_reason == "storm" for step in incident.steps.values()):
        # The others grow old, and the storm is still what this incident began in.
        return AskApproval(number, "storm", "it began in a storm of alerts; a person decides")
    if incident.step(number).taken_back == "storm":
        return AskApproval(number, "storm", "others began to alert just then; a person decides")
    if incident.step(number).taken_back == "monitoring_outage":
        text = "the monitoring was not to be believed when it should have started"
        return AskApproval(number, "monitoring_outage", f"{text}; a person decides")
    if incident.suspicion is not None and incident.suspicion.shared:
        return AskApproval(number, "shared_cause", f"{incident.suspicion.text}; a person decides")
    return None


def vague(number: int, incident: Incident, view: Outlook) -> AskApproval | None:
    """What may still be at work on the target must not be joined by something else."""
    for step in incident.steps.values():
        if step.target == view.target and step.outcome and step.outcome.result == "unknown":
            text = (
                f"nobody knows whether step {step.number} is still at work on {step.target} "
                f"({step.outcome.reason}); a person decides"
            )
            return AskApproval(number, "after_unknown", text)
    return None


def commanders(number: int, spec: StepSpec, rule: Rule) -> AskApproval | None:
    if spec.approval == "commander":
        text = "it was proposed" if number >= PROPOSED_FROM else "the rule leaves this step to you"
        return AskApproval(number, "commander_decides", f"{text}; the Commander decides")
    if rule.mode == "approve":
        return AskApproval(
            number, "mode_approve", "the rule is in the mode `approve`: each step is asked"
        )
    return None


def distrusted(number: int, rule: Rule, withdrawn: str) -> AskApproval | None:
    """A rule whose own decisions went wrong acts by a person's word alone."""
    if not withdrawn:
        return None
    text = f"the rule has lost its autonomy: {withdrawn}; the Commander decides"
    return AskApproval(
        number, "autonomy_withdrawn", f"{text}. `stopgap trust {rule.rule} WHY` gives it back"
    )


def unapproved(number: int, rule: Rule, approvals: Approvals, now: datetime) -> AskApproval | None:
    approval_state, text = approvals.state_of(rule, number, now)
    return None if approval_state == "valid" else AskApproval(number, approval_state, text)


def lapsed(
    number: int, incident: Incident, rule: Rule, state: StepState, now: datetime
) -> AskApproval | None:
    """A person's approval counts for what they saw, and for a while only."""
    if changed := approval_voided(incident, rule, number):
        return AskApproval(number, "approval_void", changed)
    if state.approved_at is None or now - state.approved_at > APPROVAL_LASTS:
        text = f"{state.approved_by} approved it over {format_duration(APPROVAL_LASTS)} ago"
        return AskApproval(number, "approval_lapsed", text)
    return None


def aged(number: int, incident: Incident, limits: Limits, now: datetime) -> AskApproval | None:
    """Nothing starts by itself for trouble that nobody met for long."""
    # What maintenance held counts from when it was released: nobody was to meet it before.
    since = incident.organization.released_at
    began, seen = trouble_began(incident), of_unknown_age(incident)
    if seen is not None and since is None:
        text = (
            f"the threshold was passed already at {clock_time(seen)}, as far back as can be seen, "
            "and nobody knows since when; a person decides"
        )
        return AskApproval(number, "too_old", text)
    age = now - (began if since is None else max(began, since))
    if age > limits.onset_age:
        text = (
            f"the trouble began {format_duration(timedelta(seconds=round(age.total_seconds())))} "
            f"ago, over {format_duration(limits.onset_age)}; a person decides"
        )
        return AskApproval(number, "too_old", text)
    return None


def upstream_alerts(
    number: int, state: StepState, scope: ActionScope, view: Outlook, now: datetime
) -> AskApproval | None:
    """What Prometheus alone knew of at the last look has no incident yet: it is waited for."""
    if state.taken_back != "upstream_alerting" or state.taken_back_at is None:
        return None
    if scope.cause and upstream_of(scope.cause, view.guard.concurrent):
        return None  # its incident is there, and was no reason to wait
    at = clock_time(state.taken_back_at)
    alerts = f"what this rule depends on began to alert in Prometheus before {at}"
    if now < state.taken_back_at + UPSTREAM_AWAITED:
        return AskApproval(number, "upstream_first", f"{alerts}; its incident is waited for")
    text = f"{alerts}, and no incident came of it; a person decides"
    return AskApproval(number, "upstream_unresolved", text)
