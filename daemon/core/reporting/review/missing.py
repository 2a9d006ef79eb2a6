"""What was missing in an incident, told by kind: what to mend before the next one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from daemon.core.incident import events as e
from daemon.core.incident.events import Entry
from daemon.core.incident.reasons import AskReason
from daemon.core.incident.state import Incident
from daemon.core.response.milestones import MilestoneReading

MissingKind = Literal[
    "rule",
    "confirmation",
    "plan",
    "approval",
    "changes",
    "measurement",
    "commander",
    "milestone",
    "update",
    "call",
    "team",
    "judgement",
]
"""`plan`: no step, or none that helped. `approval`: a step waited because of a missing or void one.
`changes`: deployments were not to be seen. `judgement`: the daemon was overruled, or undone."""
_UNAPPROVED: frozenset[AskReason] = frozenset(
    {"not_approved", "approval_void", "approval_expired", "approval_lapsed"}
)


class MissingItem(NamedTuple):
    """One thing, as a sentence that says what to mend."""

    kind: MissingKind
    text: str


def what_was_missing(
    incident: Incident, entries: Sequence[Entry], clock: Sequence[MilestoneReading] = ()
) -> list[MissingItem]:
    """All that was missing, the gravest first; `entries` is the journal, `clock` the milestones as
    they are read now."""
    late: dict[str, str] = {r.item: r.text for r in clock if r.state == "late"}
    missed = {item: item.replace("_", " ") for item in incident.missed}
    return [
        *_of_the_rule(incident, entries),
        *_of_the_people(incident, list({**missed, **late}.values())),
        *_of_the_judgement(incident),
    ]


def _of_the_rule(incident: Incident, entries: Sequence[Entry]) -> Iterator[MissingItem]:
    if not incident.rule:
        text = "a rule for these alerts; nothing could be measured or recovered"
        yield MissingItem("rule", f"{text}; stopgap init --from-prometheus proposes one")
        return
    problem = incident.problem
    if incident.confirmed is None and problem is not None:
        text = f"confirmation ({problem.reason}): look at the alert's threshold, or at the queries"
        yield MissingItem("confirmation", text)
    if problem is None:
        yield MissingItem("measurement", "a measurement: Prometheus was never read for it")
    unread = sum(_unreadable(entry.event) for entry in entries)
    if unread:
        text = f"{unread} measurements that could not be read; the timeline has the reasons"
        yield MissingItem("measurement", text)
    if not incident.steps and incident.confirmed is not None:
        yield MissingItem("plan", "a recovery step in the rule")
    elif incident.diagnosis is not None:
        text = f"a step that helped ({incident.diagnosis.reason}): {incident.diagnosis.text}"
        yield MissingItem("plan", text)
    for number, step in sorted(incident.steps.items()):
        if step.ask_reason in _UNAPPROVED:
            name = f"step {number}, {step.action}" if step.action else f"step {number}"
            text = f"a valid approval of {name} ({step.ask_reason}); stopgap approve gives one"
            yield MissingItem("approval", text)
        if "changes_unseen" in (step.refusal, step.ask_reason):
            yield MissingItem("changes", "sight of deployments: see changes: of the rule")


def _of_the_people(incident: Incident, late: Sequence[str]) -> Iterator[MissingItem]:
    if incident.acknowledged_at is None:
        yield MissingItem("commander", "a Commander: nobody responded")
    for text in late:
        yield MissingItem("milestone", f"in time: {text}")
    for name, update in incident.updates.by_name.items():
        if update.assignments > 1:
            text = f"update {name} in time: {update.assignments} people were asked to send it"
            yield MissingItem("update", text)
    if incident.defects:
        yield MissingItem("call", f"somebody being called, {len(incident.defects)} times")
    failed = [page for page in incident.pages.values() if page.failed_methods]
    if failed:
        people = ", ".join(sorted({page.queued.person for page in failed}))
        text = f"a way that works: {len(failed)} pages had one that failed (to {people})"
        yield MissingItem("call", text)
    for team, engaged in incident.people.engaged.items():
        if not engaged.answered_by:
            yield MissingItem("team", f"team {team}, which was called in: nobody came")


def _of_the_judgement(incident: Incident) -> Iterator[MissingItem]:
    for number, reason in incident.misjudgements.overruled.items():
        text = f"the right decision on step {number}: it was refused ({reason}), and people did it"
        yield MissingItem("judgement", text)
    for number in sorted(incident.misjudgements.undone):
        yield MissingItem("judgement", f"the right decision on step {number}: people undid it")


def _unreadable(event: e.Event) -> bool:
    return isinstance(event, e.RecoveryMeasured) and event.reading.state == "unreadable"
