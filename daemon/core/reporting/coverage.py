"""Which alerts have a rule, and which of a rule's steps may run by themselves: told as values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from daemon.core.ports.journal import AlertSighting, RuleOpenings
from daemon.core.recovery.approvals import Approvals, ApprovalState
from daemon.core.recovery.autonomy import AutonomyRecord
from daemon.core.rules.rule import Mode, Rule
from daemon.core.values.units import Frozen, Moment, printable


class StepReport(Frozen):
    """A step of a rule's plan, and whether it may run by itself now.

    `standing` is that of its approval; `commander` where the rule leaves it to the Commander.
    `by` and `until` are those of the approval in force.
    """

    step: int
    action: str
    when: Literal["always", "suspect_change"]
    standing: ApprovalState | Literal["commander"]
    text: str
    by: str = ""
    until: Moment | None = None


class AutonomyReport(Frozen):
    """What a rule's newest automatic decisions came to (`daemon.core.recovery.autonomy`), and
    whether it still makes any: `withdrawn` says why it asks for each step, empty if it does not.
    `trusted_by` is who gave it its autonomy back the last time.
    """

    right: int
    wrong: int
    undone: int
    overruled: int
    withdrawn: str
    withdrawn_at: Moment | None = None
    trusted_by: str = ""
    trusted_at: Moment | None = None
    trusted_because: str = ""

    @classmethod
    def of(cls, record: AutonomyRecord) -> AutonomyReport:
        """The record in short."""
        counts, lost, given = record.counts, record.withdrawal, record.restoration
        return cls(
            right=counts["right"],
            wrong=counts["wrong"],
            undone=counts["undone"],
            overruled=counts["overruled"],
            withdrawn=lost.text if lost else "",
            withdrawn_at=lost.at if lost else None,
            trusted_by=given.person if given else "",
            trusted_at=given.at if given else None,
            trusted_because=given.reason if given else "",
        )


class RuleReport(Frozen):
    """A rule in force. `file` is relative to the folder of the rules. `mode` is what stands there;
    what it has lost of that is in `autonomy`."""

    rule: str
    description: str
    file: str
    mode: Mode
    team: str
    match: tuple[str, ...]
    group_by: tuple[str, ...]
    steps: tuple[StepReport, ...]
    incidents: int
    last_at: Moment | None
    autonomy: AutonomyReport


class AlertReport(Frozen):
    """An alert by its name: how many incidents it was in, and the last news of it.

    `rule` is the one that matched it; empty if none did, and then nothing is measured for it.
    `in_force`: whether that rule is still there.
    """

    alert: str
    rule: str
    incidents: int
    last_at: Moment
    last_incident: str
    in_force: bool


class Coverage(Frozen):
    """Which alerts had a rule since that time, which had none, and which rules had no alert."""

    since: Moment
    matched: tuple[AlertReport, ...]
    unmatched: tuple[AlertReport, ...]
    silent: tuple[str, ...]


def covered(
    sightings: Sequence[AlertSighting], rules: Mapping[str, Rule], since: datetime
) -> Coverage:
    """The alerts counted by name and rule, the newest first."""
    groups: dict[tuple[str, str], list[AlertSighting]] = defaultdict(list)
    for each in sightings:
        groups[each.alert, each.rule].append(each)
    reports = sorted(
        (_alert(alert, rule, group, rules) for (alert, rule), group in groups.items()),
        key=lambda report: (-report.last_at.timestamp(), report.alert, report.rule),
    )
    return Coverage(
        since=since,
        matched=tuple(report for report in reports if report.rule),
        unmatched=tuple(report for report in reports if not report.rule),
        silent=tuple(sorted(rules.keys() - {each.rule for each in sightings})),
    )


def _alert(
    alert: str, rule: str, group: Sequence[AlertSighting], rules: Mapping[str, Rule]
) -> AlertReport:
    last = max(group, key=lambda each: (each.at, each.incident))
    return AlertReport(
        alert=printable(alert),
        rule=rule,
        incidents=len(group),
        last_at=last.at,
        last_incident=last.incident,
        in_force=rule in rules,
    )


def rule_report(
    rule: Rule,
    file: str,
    approvals: Approvals,
    opened: RuleOpenings | None,
    autonomy: AutonomyRecord,
    now: datetime,
) -> RuleReport:
    """The rule, what may run by itself of it, what it has opened, and how that went."""
    return RuleReport(
        rule=rule.rule,
        description=rule.description,
        file=file,
        mode=rule.mode,
        team=rule.team,
        match=tuple(rule.model_dump(mode="json", include={"match"})["match"]),
        group_by=rule.group_by,
        steps=tuple(
            _step(rule, number, approvals, now) for number in range(1, len(rule.recover) + 1)
        ),
        incidents=opened.count if opened else 0,
        last_at=opened.last_at if opened else None,
        autonomy=AutonomyReport.of(autonomy),
    )


def _step(rule: Rule, number: int, approvals: Approvals, now: datetime) -> StepReport:
    spec = rule.step(number)
    approval_state: ApprovalState | Literal["commander"]
    if spec.approval == "commander":
        approval_state, text, entry = (
            "commander",
            "the rule leaves this step to the Commander",
            None,
        )
    else:
        approval_state, text = approvals.state_of(rule, number, now)
        entry = approvals.current(rule, number)
    return StepReport(
        step=number,
        action=spec.action,
        when=spec.when,
        standing=approval_state,
        text=text,
        by=entry.by if entry else "",
        until=entry.until if entry else None,
    )
