"""The recovery plan: the next step, or the enumerated reason why not.

The order of the questions is the order of their weight: does the step apply to this problem at
all, does anything forbid every action now, does it need a person. What is decided here is
checked once more by the store in the transaction that takes the target's lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from daemon.core.approvals import Approvals
from daemon.core.incident import Incident, StepState
from daemon.core.ports import Guard, Limits
from daemon.core.rules import Rule, StepSpec
from daemon.core.units import format_duration

APPROVAL_LASTS = timedelta(minutes=30)
"""For how long a person's approval of a step in an incident counts."""


@dataclass(frozen=True)
class Outlook:
    """What the shell knows of a step: its target with the store's view of it, or why not."""

    target: str = ""
    unfit: str = ""
    unfit_text: str = ""
    guard: Guard = field(default_factory=Guard)
    live: str = ""


@dataclass(frozen=True)
class Start:
    """Start it. `lifted`: a person approved, so cooldown and budget do not count."""

    step: int
    authority: str
    lifted: bool


@dataclass(frozen=True)
class Skip:
    """It does not apply here; look at the next alternative."""

    step: int
    reason: str
    text: str


@dataclass(frozen=True)
class Refuse:
    """Not now, whoever approves: frozen or locked. It is looked at again."""

    step: int
    reason: str
    text: str


@dataclass(frozen=True)
class Ask:
    """It needs the Commander's word."""

    step: int
    reason: str
    text: str


@dataclass(frozen=True)
class Exhausted:
    """No alternative is left."""


Next = Start | Skip | Refuse | Ask | Exhausted


def next_step(
    incident: Incident,
    rule: Rule,
    outlook: Mapping[int, Outlook],
    approvals: Approvals,
    limits: Limits,
    now: datetime,
) -> Next:
    """What to do about the first alternative that is still open."""
    for number, spec in enumerate(rule.recover, 1):
        state = incident.step(number)
        if state.status != "waiting":
            continue
        view = outlook[number]
        misfit = _misfit(number, spec, state, incident, view)
        if misfit is not None:
            return misfit
        forbidden = _forbidden(number, view.guard)
        if forbidden is not None:
            return forbidden
        changed = _changed_since(number, spec, incident, view)
        if state.approved_by:
            return _lapsed(number, rule, state, now) or Start(
                number, f"approved by {state.approved_by}", lifted=True
            )
        if changed is not None:
            return changed
        standing, text = approvals.standing(rule, number, now)
        if spec.approval == "commander":
            return Ask(number, "commander_decides", "the rule leaves this step to the Commander")
        if standing != "valid":
            return Ask(number, standing, text)
        return _guarded(number, incident, view.guard, limits, now) or Start(
            number, text, lifted=False
        )
    return Exhausted()


def _misfit(
    number: int, spec: StepSpec, state: StepState, incident: Incident, view: Outlook
) -> Skip | None:
    if view.unfit:
        return Skip(number, view.unfit, view.unfit_text)
    if spec.when == "always" or state.approved_by:
        return None
    suspicion = incident.suspicion
    if suspicion is None or suspicion.verdict == "none":
        text = suspicion.text if suspicion else "changes could not be read"
        return Skip(number, "no_suspect_change", text)
    if suspicion.verdict == "ambiguous":
        return Skip(number, "ambiguous_suspects", suspicion.text)
    if suspicion.change is None or suspicion.change.subject != view.target:
        return Skip(number, "suspect_is_elsewhere", suspicion.text)
    return None


def _changed_since(number: int, spec: StepSpec, incident: Incident, view: Outlook) -> Ask | None:
    """The suspect must still be what is live: people may have deployed a mend meanwhile."""
    suspect = incident.suspicion.change if incident.suspicion else None
    if spec.when != "suspect_change" or suspect is None or view.live in {"", suspect.item}:
        return None
    text = f"{suspect.item} was the suspect, but {view.live} is live now; a person decides"
    return Ask(number, "changed_since", text)


def _lapsed(number: int, rule: Rule, state: StepState, now: datetime) -> Ask | None:
    """A person's approval counts for what they saw, and for a while only."""
    if state.approved_content != rule.content_hash(number):
        text = f"the rule was edited after {state.approved_by} approved the step"
        return Ask(number, "approval_void", text)
    if state.approved_at is None or now - state.approved_at > APPROVAL_LASTS:
        text = f"{state.approved_by} approved it over {format_duration(APPROVAL_LASTS)} ago"
        return Ask(number, "approval_lapsed", text)
    return None


def _forbidden(number: int, guard: Guard) -> Refuse | None:
    if guard.freeze is not None:
        until = f" until {guard.freeze.until:%H:%M UTC}" if guard.freeze.until else ""
        text = f"frozen by {guard.freeze.by}{until}: {guard.freeze.reason}"
        return Refuse(number, "frozen", text)
    if guard.locked_by:
        return Refuse(number, "target_locked", f"incident {guard.locked_by} is acting on it")
    return None


def _guarded(
    number: int, incident: Incident, guard: Guard, limits: Limits, now: datetime
) -> Ask | None:
    if incident.relapses:
        return Ask(number, "relapsed", "it came back after a recovery; a person decides")
    if incident.last_verdict in {"partial", "inconclusive"}:
        text = f"the step before ended {incident.last_verdict}; a person decides"
        return Ask(number, f"after_{incident.last_verdict}", text)
    if guard.last_finished is not None and now - guard.last_finished < limits.cooldown:
        ago = format_duration(timedelta(seconds=round((now - guard.last_finished).total_seconds())))
        text = f"this target was acted on {ago} ago; within {format_duration(limits.cooldown)} "
        return Ask(number, "cooldown", text + "a person decides")
    if guard.started_in_window >= limits.budget:
        text = (
            f"{guard.started_in_window} actions in the last {format_duration(limits.budget_window)}"
            f"; the budget is {limits.budget}"
        )
        return Ask(number, "budget_spent", text)
    return None
