"""What happens in a case, as happenings of a virtual daemon."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from daemon.core.alertmanager import Labels, own_alert
from daemon.core.cases.rule_case import GivenAlert, GivenMove, RuleCase, alert_labels
from daemon.core.changes.change import REPORTED_PREFIX, Change
from daemon.core.recovery.commands import (
    ApproveStep,
    ProposeStep,
    SkipStep,
    StartStepNow,
    VetoStep,
)
from daemon.core.recovery.guardrails import Freeze
from daemon.core.response.command import Command
from daemon.core.response.commands import (
    Acknowledge,
    Close,
    DeclareNoPlan,
    Leave,
    PauseAutomation,
    ResumeAutomation,
)
from daemon.core.rules.rule import Rule
from daemon.replaying.happenings import (
    ChangeArrives,
    DeliveryArrives,
    FreezeBegins,
    FreezeEnds,
    PersonMoves,
)

UNRULED_ALERT = "DrilledAlert"
"""The name of an alert that no rule knows, if its labels give it none."""
_AS_WRITTEN = "as written"
Move = PersonMoves | FreezeBegins | FreezeEnds


def labels_of(case: RuleCase, rule: Rule | None, alert: GivenAlert) -> Labels:
    """The labels of one of the case's alerts."""
    return {**alert_labels(case, rule), **alert.labels}


def given_changes(case: RuleCase, target: str) -> list[ChangeArrives]:
    """The changes, which are made on `target` where they do not say another."""
    found = []
    for given in case.changes:
        at, reported = case.begins + given.at, given.reported_by
        seen_on = given.target or target
        change = Change(
            subject=f"{REPORTED_PREFIX}{reported}:{given.to}" if reported else seen_on,
            item=given.to,
            previous=given.was,
            at=at,
            seen_by=reported or "watch",
            target=given.target if reported else "",
            labels=given.labels,
            rolling=given.rolling,
        )
        told = at if given.told is None else case.begins + given.told
        found.append(ChangeArrives(told, change))
    return found


def given_deliveries(case: RuleCase, rule: Rule | None) -> list[DeliveryArrives]:
    """What Alertmanager posts: each alert by itself. An end is that of the firing before it.
    Without a rule it is a drill's, of an alert that no rule knows."""
    began: dict[tuple[tuple[str, str], ...], datetime] = {}
    found = []
    for alert in sorted(case.alerts, key=lambda one: one.at):
        labels = labels_of(case, rule, alert)
        at, key = case.begins + alert.at, tuple(sorted(labels.items()))
        since = at - timedelta(minutes=1)
        if alert.since is not None:
            since = case.begins + alert.since
        elif alert.state == "resolved":
            since = began.get(key, since)
        began[key] = since
        name = labels.pop("alertname", rule.rule if rule is not None else UNRULED_ALERT)
        description = rule.description if rule is not None else ""
        ended = at if alert.state == "resolved" else None
        body = own_alert(name, labels, description or case.case, since, ended)
        found.append(DeliveryArrives(at, body))
    return found


def given_moves(case: RuleCase) -> list[Move]:
    """What people do, in the order of the case."""
    return [_move(case, move) for move in case.people]


_COMMANDS: Mapping[str, Callable[[GivenMove], Command]] = {
    "ack": lambda move: Acknowledge(),
    "leave": lambda move: Leave(),
    "pause": lambda move: PauseAutomation(move.reason or _AS_WRITTEN),
    "resume": lambda move: ResumeAutomation(),
    "approve": lambda move: ApproveStep(move.step or 0),
    "start": lambda move: StartStepNow(move.step or 0),
    "skip": lambda move: SkipStep(move.step or 0, move.reason or _AS_WRITTEN),
    "veto": lambda move: VetoStep(move.step or 0),
    "propose": lambda move: ProposeStep(move.action, move.params, move.within, move.reason),
    "no-plan": lambda move: DeclareNoPlan(move.reason or _AS_WRITTEN),
    "close": lambda move: Close(move.reason or _AS_WRITTEN),
}


def _move(case: RuleCase, move: GivenMove) -> Move:
    at = case.begins + move.at
    if move.does == "thaw":
        return FreezeEnds(at, move.scope, move.who)
    if move.does == "freeze":
        until = None if move.lasts is None else at + move.lasts
        reason = move.reason or _AS_WRITTEN
        return FreezeBegins(
            at, Freeze(scope=move.scope, reason=reason, by=move.who, at=at, until=until)
        )
    return PersonMoves(at, move.who, _COMMANDS[move.does](move))
