"""What somebody woken at night must see first: what the daemon does, what comes next, the plan.

Everything is told from the journal and the rule in force; nothing is judged here anew.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from daemon.core.incident import events as e
from daemon.core.incident.events import Entry
from daemon.core.incident.observation import observed_now, observing_text, would
from daemon.core.incident.reasons import EVIDENCE_REASONS
from daemon.core.incident.state import Incident
from daemon.core.incident.step_state import StepState
from daemon.core.incident.untold import untold
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.commands import StepCommandName, allowed_commands
from daemon.core.recovery.plan import PROPOSED_FROM, content_of, plan_of
from daemon.core.reporting.organized import organized_now
from daemon.core.reporting.step_briefing import NO_RISKS, StepBriefing, brief
from daemon.core.response.paging import without_rule
from daemon.core.rules.rule import Rule, StepSpec
from daemon.core.values.units import clock_time, format_duration, printable

Tone = Literal["plain", "asks", "runs", "good", "bad"]
"""How a line wants to be shown: `asks` waits for a person."""


@dataclass(frozen=True)
class PlanLine:
    """One alternative of the plan as people see it.

    `state` is one or two words, `why` a sentence; both may change with the next event. `content`
    is what an approval now would be bound to. `allowed`: what the Commander may do with it now;
    a veto is anybody's.
    """

    number: int
    action: str
    target: str
    parameters: tuple[tuple[str, str], ...]
    conditions: str
    state: str
    why: str
    tone: Tone
    allowed: tuple[StepCommandName, ...]
    content: str
    approved_by: str = ""
    proposed_by: str = ""
    reason: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    briefing: StepBriefing | None = None


def doing(incident: Incident) -> str:
    """What is being done now, in a sentence without a full stop."""
    running, verifying = incident.running, incident.verifying
    if incident.closed is not None:
        return f"nothing more: {printable(incident.closed.text)}"
    organized = organized_now(incident)
    if organized:
        return organized
    if running is not None:
        started = f", since {clock_time(running.started_at)}" if running.started_at else ""
        if running.at_stage and running.stage is not None:
            where = printable(running.stage.reached.text)
            return f"step {running.number} waits midway for the metrics: {where}"
        return f"step {running.number} is running: {_named(running)}{started}"
    if verifying is not None:
        return f"measuring whether step {verifying.number} helped: {_named(verifying)}"
    if incident.recovered_at is not None:
        return f"watching for a relapse since {clock_time(incident.recovered_at)}"
    if incident.paused_by:
        return f"measuring only: automation is paused by {incident.paused_by}"
    if not incident.rule:
        who = f"{incident.commander} commands" if incident.commander else "calling people"
        return f"{who}; {without_rule(incident)}, so nothing is measured"
    if incident.problem is None:
        return "measuring, to define the problem"
    if incident.confirmed is None:
        so_far = "measuring again and again; not confirmed so far"
        so_far += f" ({incident.problem.reason.replace('_', ' ')})"
        return f"{so_far}; {incident.suspicion.text}" if incident.suspicion else so_far
    waiting = awaiting_approval(incident)
    if waiting is not None:
        return f"waiting for the Commander to decide on step {waiting.number}"
    if incident.diagnosis is not None:
        owner = incident.people.holder("diagnosis")
        by = f"{owner} looks" if owner else "people look"
        why = incident.diagnosis.reason.replace("_", " ")
        over = f"{by} for the cause; fast recovery is over ({why})"
        likely = incident.causes.likeliest
        if likely is None:
            return over
        sure = "supported" if likely.state == "supported" else "likeliest so far"
        return f"{over}; {sure}: {printable(likely.text)}"
    return observing_text(incident) or "deciding how to recover"


def coming(incident: Incident, rule: Rule | None, now: datetime) -> str:
    """What the daemon will do next by itself, in a sentence without a full stop."""
    if incident.closed is not None:
        return _after_the_end(incident)
    if incident.organization.held is not None:
        until = f"{incident.organization.held.until:%Y-%m-%d %H:%M} UTC"
        return f"if it is still there at {until}, people are called as if it had just opened"
    if rule is None:
        return _without_the_rule(incident)
    if incident.recovered_at is not None:
        ends = incident.recovered_at + rule.verify.watch
        until = f"at {clock_time(ends)}" if ends > now else "soon"
        return f"if it stays healthy, the incident closes {until} and the review is written"
    current = incident.running or incident.verifying
    if current is not None:
        after = "its effect is measured" if incident.running else "the verdict"
        return f"{after}; {_otherwise(incident, rule, current.number)}"
    if incident.paused_by:
        return "nothing more starts by itself until somebody resumes"
    waiting = awaiting_approval(incident)
    if waiting is not None:
        return f"nothing starts before somebody approves, skips or vetoes step {waiting.number}"
    if incident.confirmed is None and rule.mode == "observe":
        return "nothing is touched: the rule only observes, and says what it would do"
    if incident.confirmed is None:
        return "nothing is touched unless the metrics confirm the problem"
    if incident.diagnosis is not None:
        if _may_come_back(incident):
            return (
                "updates and measuring go on; a step starts if people ask for it, or if what "
                "becomes known makes one fit"
            )
        return "updates and measuring go on; a step starts only if people ask for it"
    if observed_now(incident) is not None:
        return "nothing starts by itself, for the rule only observes; measuring and updates go on"
    following = _following(incident, rule, 0)
    return f"step {following[0]} is looked at: {following[1].action}" if following else "diagnosis"


def _without_the_rule(incident: Incident) -> str:
    gone = "; its rule is not in force any more: nothing is measured" if incident.rule else ""
    if incident.commander:
        return f"nothing by itself{gone}; everything is yours"
    return f"people are called until somebody commands{gone}; everything else is yours"


def _after_the_end(incident: Incident) -> str:
    if incident.organization.merged_into:
        return f"it goes on as part of {incident.organization.merged_into}"
    if not incident.review:
        return "the review is written"
    audiences = ", ".join(untold(incident))
    if audiences:
        return (
            f"somebody tells {audiences} that it is over, or says why not: "
            f"stopgap update {incident.id}"
        )
    todo = len(incident.learning.open_follow_ups)
    follow_ups = f"{todo} follow-up{' is' if todo == 1 else 's are'} open" if todo else "nothing"
    return f"{follow_ups}; the review is there"


def _may_come_back(incident: Incident) -> bool:
    """Whether a step was passed over for want of evidence, and nothing has acted yet."""
    states = incident.steps.values()
    passed = any(s.status == "skipped" and s.refusal in EVIDENCE_REASONS for s in states)
    return passed and not any(s.acted or s.approved_by or s.proposed is not None for s in states)


def awaiting_approval(incident: Incident) -> StepState | None:
    """The step that waits for the Commander's word; the first, if several do."""
    if incident.recovered_at is not None or incident.closed is not None:
        return None
    states = (state for _, state in sorted(incident.steps.items()))
    return next((state for state in states if state.awaits_approval), None)


def decidable(
    incident: Incident, rule: Rule | None
) -> list[tuple[StepState, tuple[StepCommandName, ...]]]:
    """The steps that a person should decide on now, with what may be done: those that wait for the
    Commander, and the one that still prepares."""
    found = [
        (state, allowed_commands(incident, rule, number))
        for number, state in sorted(incident.steps.items())
        if state.status == "running" or state.awaits_approval
    ]
    return [(state, allowed) for state, allowed in found if allowed]


Stoppable = Literal["", "idle", "at_work"]
"""Whether a pause would stop anything: nothing at all; nothing just now; what is at work or would
start by itself."""


def stoppable(incident: Incident, rule: Rule | None) -> Stoppable:
    """What a pause of the automation would stop. `rule` is the one in force."""
    if incident.closed is not None or incident.paused_by or rule is None:
        return ""
    states = incident.steps.values()
    ordered = any(s.status == "waiting" and s.approved_by and not s.asking for s in states)
    if incident.running is not None or (ordered and incident.recovered_at is None):
        return "at_work"
    if rule.mode == "observe" or not rule.recover:
        return ""
    over = incident.recovered_at is not None or incident.diagnosis is not None
    waits = awaiting_approval(incident) is not None or incident.organization.held is not None
    by_itself = rule.mode == "automatic" and not over and not waits
    return "at_work" if by_itself else "idle"


def plan_lines(
    incident: Incident,
    rule: Rule | None,
    entries: Sequence[Entry],
    approvals: Approvals,
    now: datetime,
    risks: Mapping[str, str] = NO_RISKS,
) -> list[PlanLine]:
    """The whole plan, with what has come of each alternative. `entries` is the journal; `risks`:
    what each action declares.

    A step that the rule has no more is shown as it was.
    """
    specs: dict[int, StepSpec | None] = dict.fromkeys(sorted(incident.steps))
    if rule is not None:
        specs |= plan_of(incident, rule)
    sentences = _last_sentences(entries)
    return [
        replace(
            _line(incident, rule, number, specs[number], sentences.get(number, ""), approvals, now),
            briefing=brief(incident.step(number), specs[number], risks),
        )
        for number in sorted(specs)
    ]


def _last_sentences(entries: Sequence[Entry]) -> dict[int, str]:
    """The newest sentence about each step that did not start."""
    sentences: dict[int, str] = {}
    for event in (entry.event for entry in entries):
        if isinstance(event, e.StepApproved):
            sentences.pop(event.step, None)  # what it was asked for is settled
        if isinstance(event, e.StepRefused | e.ApprovalRequested | e.StepSkipped | e.StepObserved):
            sentences[event.step] = event.text
    return sentences


def _line(
    incident: Incident,
    rule: Rule | None,
    number: int,
    spec: StepSpec | None,
    sentence: str,
    approvals: Approvals,
    now: datetime,
) -> PlanLine:
    state = incident.step(number)
    shown, why, tone = _standing(incident, rule, state, spec, sentence, approvals, now)
    params = state.params or (spec.params if spec else {})
    known = rule is not None and spec is not None
    return PlanLine(
        number=number,
        action=state.action or (spec.action if spec else "?"),
        target=printable(state.target),
        parameters=tuple((name, _shown(value)) for name, value in params.items()),
        conditions=_conditions(spec, rule),
        state=shown,
        why=printable(why),
        tone=tone,
        allowed=allowed_commands(incident, rule, number),
        content=content_of(incident, rule, number) if rule is not None and known else "",
        approved_by=state.approved_by,
        proposed_by=state.proposed_by,
        reason=state.refusal or state.ask_reason,
        started_at=state.started_at,
        finished_at=state.finished_at,
    )


def _standing(
    incident: Incident,
    rule: Rule | None,
    state: StepState,
    spec: StepSpec | None,
    sentence: str,
    approvals: Approvals,
    now: datetime,
) -> tuple[str, str, Tone]:
    """(state, why, tone) of a step."""
    if state.verdict is not None:
        good = state.verdict == "recovered"
        return state.verdict.replace("_", " "), state.verdict_text, "good" if good else "bad"
    if state.at_stage and state.stage is not None:
        text = f"{state.stage.reached.text}; it goes on once the metrics show that it helps, or by "
        return "waits midway", f"{text}the Commander's word", "runs"
    if state.status == "running":
        return "running", state.summary or f"under way ({state.authority})", "runs"
    if state.outcome is not None and state.status == "finished":
        if state.acted:
            return "measuring", f"{state.summary or state.outcome.detail}; its effect shows", "runs"
        return f"refused: {state.outcome.reason}", state.outcome.detail, "bad"
    if state.status == "vetoed":
        return "vetoed", f"vetoed by {state.vetoed_by}", "plain"
    if state.status == "skipped":
        return "skipped", sentence, "plain"
    if incident.closed is not None or incident.recovered_at is not None:
        return "not needed", sentence, "plain"
    if state.approved_by and not state.asking:
        state_text = "ordered" if state.ordered else "approved"
        return (
            state_text,
            sentence or f"{state_text} by {state.approved_by}; it starts next",
            "runs",
        )
    if state.ask_reason:
        return "needs approval", sentence, "asks"
    if state.refusal:
        return "waits", sentence, "asks"
    if state.observation is not None:
        text = f"Stopgap {would(state.observation)}; it is yours to do"
        return "yours to do", text, "asks"
    return "in reserve", _permission(rule, state.number, spec, approvals, now), "plain"


def _permission(
    rule: Rule | None, number: int, spec: StepSpec | None, approvals: Approvals, now: datetime
) -> str:
    """Whether the step would start by itself, as the rule and the approvals stand."""
    if rule is None or spec is None:
        return "the rule that had this step is not in force any more"
    if number >= PROPOSED_FROM or spec.approval == "commander":
        return "the Commander decides when it is its turn"
    if rule.mode != "automatic":
        return f"the rule's mode is `{rule.mode}`, so it does not start by itself"
    return approvals.state_of(rule, number, now)[1]


def _conditions(spec: StepSpec | None, rule: Rule | None) -> str:
    if spec is None or rule is None:
        return ""
    parts = ["only if one change is the suspect"] if spec.when == "suspect_change" else []
    return "; ".join([*parts, f"within {format_duration(spec.within)}"])


def _otherwise(incident: Incident, rule: Rule, number: int) -> str:
    following = _following(incident, rule, number)
    if following is None:
        return "if it did not help, diagnosis opens and more people are called"
    return f"if it did not help, step {following[0]} is looked at: {following[1].action}"


def _following(incident: Incident, rule: Rule, number: int) -> tuple[int, StepSpec] | None:
    """The next alternative that is still open."""
    plan = plan_of(incident, rule)
    open_ = [n for n in plan if n != number and incident.step(n).status == "waiting"]
    return (open_[0], plan[open_[0]]) if open_ else None


def _shown(value: object) -> str:
    """A parameter for people: a command as it is typed, the rest as it is."""
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return printable(shlex.join(value))
    return printable(str(value))


def _named(step: StepState) -> str:
    return f"{step.action} on {printable(step.target)}" if step.target else step.action
