"""What a case gives, as the daemon meets it: its metrics, deliveries, changes and approvals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from pydantic import ValidationError

from daemon.core.alertmanager import own_alert
from daemon.core.cases.given_answers import GivenAnswers
from daemon.core.cases.given_series import changed, pieces_of
from daemon.core.cases.rule_case import (
    GivenAction,
    GivenAlert,
    GivenChange,
    RuleCase,
    alert_labels,
)
from daemon.core.changes.change import REPORTED_PREFIX, Change
from daemon.core.measurement.samples import QueryAnswer
from daemon.core.ports.actions import Action
from daemon.core.ports.metrics import Metrics
from daemon.core.recovery.approvals import Approval, Approvals
from daemon.core.rules.query_templates import UnsafeLabel, render_params
from daemon.core.rules.rule import Rule
from daemon.replaying.happenings import ChangeArrives, DeliveryArrives

UNRULED_ALERT = "DrilledAlert"
"""The name of an alert that no rule knows, if its labels give it none."""


class CaseMetrics(Metrics, Protocol):
    """A Prometheus whose series the end of an action may change."""

    def act(self, action: GivenAction, at: datetime) -> None:
        """The action has ended; from `at` on the series are what it makes of them."""

    @property
    def unanswered(self) -> Sequence[str]:
        """The queries that had no answer, because nothing is known of what they ask."""


class GivenMetrics:
    """`CaseMetrics` of the series that the case gives for the rule's own queries."""

    def __init__(self, case: RuleCase, rule: Rule, labels: Sequence[Mapping[str, str]]) -> None:
        monitored = sorted((at.total_seconds(), how) for at, how in case.monitoring.items())
        firing = [alert for alert in case.alerts if alert.state == "firing"]
        self._case = case
        self._answers = GivenAnswers(
            rule=rule,
            groups=[dict(group) for group in labels],
            begins=case.begins,
            scrape=case.scrape.total_seconds(),
            pieces=pieces_of(case.series, case.interval) if case.series else {},
            monitoring=monitored,
            alerts=[
                (one.at.total_seconds(), labels_of(case, rule, one).get("service", ""))
                for one in firing
            ],
        )

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        return self._answers.instant(query, at)

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        return self._answers.series(query, start, end, step)

    def act(self, action: GivenAction, at: datetime) -> None:
        if action.then is None:
            return
        since = (at - self._case.begins).total_seconds()
        before = self._answers.pieces
        self._answers.change(changed(before, since, action.then, self._case.interval))

    @property
    def unanswered(self) -> Sequence[str]:
        return sorted(self._answers.unanswered)


def change_of(case: RuleCase, given: GivenChange, first: str) -> ChangeArrives:
    """When a change becomes known, and which; `first` is what it is made on by default."""
    at, target = case.begins + given.at, given.target or first
    reported = given.reported_by
    change = Change(
        subject=f"{REPORTED_PREFIX}{reported}:{given.to}" if reported else target,
        item=given.to,
        previous=given.was,
        at=at,
        seen_by=reported or "watch",
        target=target if reported else "",
        labels=given.labels,
        rolling=given.rolling,
    )
    told = at if given.told is None else case.begins + given.told
    return ChangeArrives(told, change)


def deliveries_of(case: RuleCase, rule: Rule | None) -> list[DeliveryArrives]:
    """What Alertmanager posts for the alerts of the case; without a rule, of a drill."""
    began: dict[tuple[tuple[str, str], ...], datetime] = {}
    found: list[DeliveryArrives] = []
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
        summary = (rule.description if rule is not None else "") or case.case
        ended = at if alert.state == "resolved" else None
        found.append(DeliveryArrives(at, own_alert(name, labels, summary, since, ended)))
    return found


def groups_of(case: RuleCase, rule: Rule) -> list[dict[str, str]]:
    """The groups of the alerts of the case, by which its incidents are told apart, each once."""
    groups = [rule.group(labels_of(case, rule, alert)) for alert in case.alerts]
    return [dict(pairs) for pairs in dict.fromkeys(tuple(g.items()) for g in groups)]


def labels_of(case: RuleCase, rule: Rule | None, alert: GivenAlert) -> dict[str, str]:
    """All labels of an alert of the case."""
    return {**alert_labels(case, rule), **alert.labels}


def first_target(rule: Rule, labels: Mapping[str, str], actions: Mapping[str, Action]) -> str:
    """What the plan's first step acts on, which is where changes are seen, whatever the settings
    allow; a plan without a step that fits has the name of its rule."""
    for spec in rule.recover[:1]:
        try:
            action = actions[spec.action]
            return action.target(action.Params.model_validate(render_params(spec.params, labels)))
        except (KeyError, UnsafeLabel, ValidationError):
            break
    return rule.rule


def approvals_of(case: RuleCase, rule: Rule, standing: Approvals) -> Approvals:
    """The approvals that count. Those of the file do whatever their dates: a case has its own."""
    at, until = case.begins - timedelta(days=1), case.begins + timedelta(days=366)
    if case.approvals == "none":
        return Approvals()
    if case.approvals == "file":
        entries = (one.model_copy(update={"at": at, "until": until}) for one in standing.approvals)
        return Approvals(approvals=tuple(entries))
    steps = range(1, len(rule.recover) + 1)
    return Approvals(approvals=tuple(Approval.of(rule, n, "the case", at, until) for n in steps))
