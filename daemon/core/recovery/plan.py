"""The recovery plan of an incident: the rule's alternatives, then what people have proposed
meanwhile, and what is known of each.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from daemon.core.incident.reasons import UnfitReason
from daemon.core.incident.state import Incident
from daemon.core.incident.step_state import StepState
from daemon.core.recovery.approved_content import changes_since, changes_text
from daemon.core.recovery.binding_content import accepted_hashes, content_hash
from daemon.core.recovery.concurrent import cause_of
from daemon.core.recovery.growth import passed_over
from daemon.core.recovery.guardrails import ActionScope, Guard, Limits, service_of
from daemon.core.rules.dependencies import RuleDependencies
from daemon.core.rules.query_templates import UnsafeLabel, render_params
from daemon.core.rules.rule import Rule, StepSpec
from daemon.core.values.drill_key import drill_of

NO_DEPENDENCIES = RuleDependencies()
"""No rule says what it depends on."""
PROPOSED_FROM = 101
"""The number of the first alternative that people propose; a rule's own never come so far."""


@dataclass(frozen=True)
class Outlook:
    """What the shell knows of a step: its target with the store's view of it, or why not.

    `live`: the newest item of the suspect's subject, if that is what the step aims at.
    """

    target: str = ""
    unfit: UnfitReason | Literal[""] = ""
    unfit_text: str = ""
    guard: Guard = field(default_factory=Guard)
    live: str = ""


def plan_of(incident: Incident, rule: Rule) -> dict[int, StepSpec]:
    """All alternatives by their number: the rule's, then those that people proposed."""
    proposed = {n: s.proposed for n, s in sorted(incident.steps.items()) if s.proposed is not None}
    return {**dict(enumerate(rule.recover, 1)), **proposed}


def content_of(incident: Incident, rule: Rule, number: int) -> str:
    """What a person's approval of a step is bound to. Raises KeyError if there is no such step."""
    return content_hash(rule, plan_of(incident, rule)[number])


def approval_voided(incident: Incident, rule: Rule, number: int) -> str:
    """Why a person's approval of a step in this incident does not hold for the step as it stands
    now, naming what was edited; empty if it holds. Raises KeyError if there is no such step."""
    state, spec = incident.step(number), plan_of(incident, rule)[number]
    if state.approved_content in accepted_hashes(rule, spec):
        return ""
    text = f"the rule was edited after {state.approved_by} approved the step"
    changes = changes_since(state.approved_saw, rule, spec) if state.approved_saw else []
    return f"{text}: {changes_text(changes)}" if changes else text


def open_steps(incident: Incident, rule: Rule) -> dict[int, StepSpec]:
    """The alternatives that may still be tried, in the order in which they are looked at.

    What a person starts now comes first, and goes on through a pause. While nothing is
    confirmed, and once diagnosis is open, only what people asked for is left.
    """
    plan = plan_of(incident, rule)
    waiting = {n: s for n, s in plan.items() if incident.step(n).status == "waiting"}
    ordered = {n: s for n, s in waiting.items() if incident.step(n).ordered_now}
    if incident.paused_by or incident.confirmed is None:
        return ordered
    if incident.diagnosis is not None:
        waiting = {n: s for n, s in waiting.items() if _asked_for(incident.step(n))}
    return {**ordered, **waiting}


def _asked_for(state: StepState) -> bool:
    """By people, or by evidence that came after diagnosis was opened."""
    return bool(state.approved_by) or state.proposed is not None or state.reopened


def looks_at_steps(incident: Incident) -> bool:
    """Whether its steps are looked at: nothing is over, at work or waiting for its verdict. While
    nothing is confirmed no verdict is waited for: a person may order the next step."""
    over = incident.closed is not None or incident.recovered_at is not None
    waits = incident.verifying is not None and incident.confirmed is not None
    return not (over or waits or incident.running is not None)


def viewed_steps(
    incident: Incident, rule: Rule, limits: Limits, now: datetime
) -> dict[int, StepSpec]:
    """The steps whose outlook a decision needs: the open ones, and those that may come back."""
    if not looks_at_steps(incident):
        return {}
    plan = plan_of(incident, rule)
    back = {n: plan[n] for n in passed_over(incident, limits, now) if n in plan}
    return {**open_steps(incident, rule), **back}


def scope_of(
    incident: Incident, rule: Rule, dependencies: RuleDependencies | None = None
) -> ActionScope:
    """What the incident's actions belong to. Without the `dependencies` of the rules in force
    nothing is known of its cause."""
    try:
        domain = str(render_params(rule.domain, incident.group_labels))
    except UnsafeLabel:
        domain = json.dumps(sorted(incident.group_labels.items()))  # a domain of its own
    cause = cause_of(incident, rule, dependencies) if dependencies is not None else None
    service, drill = service_of(incident.key), drill_of(incident.key)
    return ActionScope(rule.rule, incident.opened.team, service, domain, cause, drill)
