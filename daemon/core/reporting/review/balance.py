"""What went well in an incident, and what went badly, by the facts; the latter by kind, so that it
is known what to mend before the next one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from daemon.core.incident import events as e
from daemon.core.incident.events import Entry
from daemon.core.incident.reasons import AskReason
from daemon.core.incident.state import Incident
from daemon.core.incident.step_state import StepState
from daemon.core.incident.untold import untold
from daemon.core.reporting.review.durations import durations
from daemon.core.reporting.review.words import (
    after,
    as_sentence,
    in_words,
    listed,
    plural,
    step_name,
    without_codes,
)
from daemon.core.response.milestones import MILESTONES, MilestoneReading
from daemon.core.response.paging import delivered_pages, without_rule

LapseKind = Literal[
    "rule",
    "confirmation",
    "plan",
    "approval",
    "changes",
    "measurement",
    "detection",
    "commander",
    "milestone",
    "update",
    "call",
    "team",
    "judgement",
    "refusal",
    "step",
    "relapse",
]
"""`plan`: no step, or none that helped. `approval`: a step waited because of a missing or void one.
`changes`: deployments were not to be seen. `judgement`: the daemon was overruled, or undone.
`refusal`: a step was held back. `step`: one failed, or did not help."""
_UNAPPROVED: Mapping[AskReason, str] = {
    "not_approved": "nobody had approved it beforehand",
    "approval_void": "what had been approved was edited since",
    "approval_expired": "its approval had run out",
    "approval_lapsed": "its approval had lapsed",
}
_ASKED_BY_RULE: frozenset[AskReason] = frozenset({"commander_decides", "mode_approve"})
"""Whoever wrote the rule wanted people to be asked."""
_SOON = timedelta(minutes=3)
"""What is noticed within that time is noticed early."""
_LATE = timedelta(minutes=5)
"""What is noticed later than that is noticed late."""
_SHORT_WAIT = timedelta(minutes=1)
"""A step that waits for less than this waits for nobody."""


class Lapse(NamedTuple):
    """One thing that went badly, as a sentence; where it can be mended, it says how."""

    kind: LapseKind
    text: str


def what_went_well(incident: Incident, clock: Sequence[MilestoneReading] = ()) -> list[str]:
    """What went well, as sentences, in the order of its time; `clock` is the milestones."""
    return list(_well(incident, clock))


def what_went_badly(
    incident: Incident, entries: Sequence[Entry], clock: Sequence[MilestoneReading] = ()
) -> list[Lapse]:
    """What went badly, the gravest first; `entries` is the journal, `clock` the milestones as they
    are read now."""
    return [
        *_of_the_rule(incident, entries),
        *_of_the_plan(incident, entries),
        *_of_the_people(incident, clock),
        *_of_the_updates(incident),
        *_of_the_judgement(incident),
    ]


def _well(incident: Incident, clock: Sequence[MilestoneReading]) -> Iterator[str]:
    took = durations(incident)
    if took.detect is not None and took.detect <= _SOON:
        yield f"The problem was noticed {_later(took.detect)} it had begun."
    delivered = [page.delivered_at for page in delivered_pages(incident.pages.values())]
    first = min((at for at in delivered if at is not None), default=None)
    if first is not None and first - incident.opened_at <= _SHORT_WAIT:
        yield f"The first call got through {after(first - incident.opened_at)}."
    needed = [reading for reading in clock if reading.state != "not_needed"]
    came = incident.acknowledged_at is not None  # what ended before somebody had to needs nobody
    if came and needed and all(reading.state == "met" for reading in needed):
        yield "Everything that the first ten minutes ask for was there in time."
    winner = incident.steps.get(incident.recovered_by)
    if winner is not None and incident.recovered_at is not None:
        if winner.automatic:
            yield "Stopgap restored service by itself; nobody had to act for that."
        if sum(step.acted for step in incident.steps.values()) == 1:
            yield f"The first step that was taken, {step_name(winner)}, restored service."
    told = [name for name in _audiences(incident) if _told_of_the_end(incident, name)]
    if told:
        was = "audience was" if len(told) == 1 else "audiences were"
        yield f"The {was} told that it is over: {listed(told)}."


def _of_the_rule(incident: Incident, entries: Sequence[Entry]) -> Iterator[Lapse]:
    if not incident.rule:
        nothing = "so nothing could be measured or recovered"
        known = incident.organization
        if known.declared is not None or known.split_from is not None:
            yield Lapse("rule", f"{without_rule(incident).capitalize()}, {nothing}.")
            return
        text = f"No rule matches these alerts, {nothing}"
        yield Lapse("rule", f"{text}; stopgap init --from-prometheus proposes one.")
        return
    problem = incident.problem
    if problem is None:
        yield Lapse("measurement", "Nothing was measured: Prometheus was never read for it.")
    elif incident.confirmed is None:
        why = as_sentence(f"The metrics did not confirm a problem: {problem.text}")
        yield Lapse("confirmation", f"{why} Look at the alert's threshold, or at the queries.")
    unread = sum(_unreadable(entry.event) for entry in entries)
    if unread:
        verb = "measurement" if unread == 1 else "measurements"
        text = f"{unread} {verb} could not be read; the full timeline has the reasons."
        yield Lapse("measurement", text)
    detect = durations(incident).detect
    if detect is not None and detect > _LATE:
        text = f"The problem was noticed only {_later(detect)} it had begun"
        yield Lapse("detection", f"{text}: look at the alert's threshold and its for: time.")
    if not incident.steps and incident.confirmed is not None:
        yield Lapse("plan", "The rule has no recovery step.")


def _of_the_plan(incident: Incident, entries: Sequence[Entry]) -> Iterator[Lapse]:
    for number, step in sorted(incident.steps.items()):
        yield from _of_the_step(incident, number, step, entries)
    if incident.diagnosis is not None and incident.steps:
        text = "No step restored service, so people had to look for the cause"
        yield Lapse("plan", as_sentence(f"{text}: {incident.diagnosis.text}"))
    if incident.relapses:
        times = "once" if incident.relapses == 1 else plural(incident.relapses, "time")
        yield Lapse("relapse", f"The problem came back {times} after it had seemed over.")


def _of_the_step(
    incident: Incident, number: int, step: StepState, entries: Sequence[Entry]
) -> Iterator[Lapse]:
    name = f"Step {number}" + (f" ({step_name(step)})" if step.action else "")
    if "changes_unseen" in (step.refusal, step.ask_reason):
        text = f"{name} could not be judged, for deployments were not to be seen"
        yield Lapse("changes", f"{text}: look at changes: in the rule.")
    for reason, text in _asked_for(number, entries).items():
        if reason in _ASKED_BY_RULE:
            continue
        if reason in _UNAPPROVED:
            told = f"{name} had to be asked for: {_UNAPPROVED[reason]}"
            yield Lapse("approval", f"{told}; stopgap approve gives an approval.")
        else:
            why = without_codes(text).partition(" waits for approval: ")[2] or without_codes(text)
            yield Lapse("refusal", as_sentence(f"{name} was not started by itself: {why}"))
    for text in _held_back(number, entries):
        yield Lapse("refusal", as_sentence(f"{name} was held back: {without_codes(text)}"))
    waited = _waited(number, entries)
    if waited is not None and waited >= _SHORT_WAIT:
        yield Lapse("approval", f"{name} waited {in_words(waited)} for somebody's approval.")
    if step.outcome is not None and step.outcome.result != "done":
        yield Lapse("step", as_sentence(f"{name} did not come to its end: {step.outcome.detail}"))
    elif step.verdict not in (None, "recovered", "self_recovered"):
        yield Lapse("step", as_sentence(f"{name} did not restore service: {step.verdict_text}"))


def _of_the_people(incident: Incident, clock: Sequence[MilestoneReading]) -> Iterator[Lapse]:
    if incident.acknowledged_at is None and not incident.organization.merged_into:
        yield Lapse("commander", "Nobody responded.")
    read = {reading.item: reading for reading in clock if reading.state == "late"}
    for item, reading in read.items():
        if item == "commander" and incident.acknowledged_at is None:
            continue
        due = in_words(reading.due_at - incident.opened_at)
        came = "it never came" if reading.took is None else f"it came {after(reading.took)}"
        yield Lapse("milestone", f"Late: {reading.text} (due within {due}; {came}).")
    in_time = {reading.item for reading in clock if reading.state == "met"}
    for item, (text, _) in MILESTONES.items():
        if item in incident.missed and item not in read and item not in in_time:
            yield Lapse("milestone", f"Late: {text}.")
    if incident.defects:
        times = plural(len(incident.defects), "time")
        yield Lapse("call", f"Nobody was being called although nobody had come, {times}.")
    failed = [page for page in incident.pages.values() if page.failed_methods]
    if failed:
        people = listed(sorted({page.queued.person for page in failed}))
        calls = plural(len(failed), "call")
        yield Lapse("call", f"{calls} to {people} failed in at least one way.")
    for team, engaged in incident.people.engaged.items():
        if not engaged.answered_by:
            yield Lapse("team", f"The team {team} was called in, and nobody came.")


def _of_the_updates(incident: Incident) -> Iterator[Lapse]:
    for name, update in incident.updates.by_name.items():
        if update.assignments > 1:
            text = f"{update.assignments} people were asked in turn to send the update {name}."
            yield Lapse("update", text)
        for channel, has in update.deliveries.items():
            if update.sent and has.given_up >= update.version:
                yield Lapse("update", f"The update {name} did not get through to {channel}.")
    for audience in untold(incident):
        yield Lapse("update", f"The audience {audience} was never told that it is over.")


def _of_the_judgement(incident: Incident) -> Iterator[Lapse]:
    for number in sorted(incident.misjudgements.overruled):
        text = f"Step {number} was refused, and people took it all the same."
        yield Lapse("judgement", text)
    for number in sorted(incident.misjudgements.undone):
        yield Lapse("judgement", f"Step {number} was taken, and people undid it.")


def _asked_for(step: int, entries: Sequence[Entry]) -> dict[AskReason, str]:
    """Why people were asked for the step, each reason once, with its newest sentence."""
    found = [x.event for x in entries if isinstance(x.event, e.ApprovalRequested)]
    return {event.reason: event.text for event in found if event.step == step}


def _held_back(step: int, entries: Sequence[Entry]) -> list[str]:
    """Why it was not started although nobody was asked, each reason once."""
    asked = _asked_for(step, entries)
    found = {}
    for event in (entry.event for entry in entries):
        known = isinstance(event, e.StepRefused) and event.step == step
        if isinstance(event, e.StepRefused) and known and event.reason != "awaiting_onset":
            found[event.reason] = event.text
    return [text for reason, text in found.items() if reason not in asked]


def _waited(step: int, entries: Sequence[Entry]) -> timedelta | None:
    """How long it waited from the first question to the first approval."""
    asked_at: datetime | None = None
    for entry in entries:
        event = entry.event
        if isinstance(event, e.ApprovalRequested) and event.step == step and asked_at is None:
            asked_at = entry.at
        if isinstance(event, e.StepApproved) and event.step == step and asked_at is not None:
            return entry.at - asked_at
    return None


def _audiences(incident: Incident) -> list[str]:
    return list(dict.fromkeys(update.audience for update in incident.updates.by_name.values()))


def _told_of_the_end(incident: Incident, audience: str) -> bool:
    last = incident.updates.last_sent(audience)
    return last is not None and last.draft.stage == "late" and audience not in untold(incident)


def _later(value: timedelta) -> str:
    return "as soon as" if value < timedelta(seconds=1) else f"{in_words(value)} after"


def _unreadable(event: e.Event) -> bool:
    return isinstance(event, e.RecoveryMeasured) and event.reading.state == "unreadable"
