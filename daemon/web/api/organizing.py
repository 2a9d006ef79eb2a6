"""Incidents as wholes: declared by hand, merged, split, related, given away, said how severe."""

from __future__ import annotations

from pydantic import Field

from daemon.core.measurement.problem import Severity
from daemon.core.response.command import TEXT_LENGTH, InvalidCommand
from daemon.core.response.declaring import DECLARED_TITLE_LENGTH, Declaration
from daemon.core.response.organizing import Merge, Reassign, Relate, SetSeverity, SplitAlerts
from daemon.core.values.units import Frozen
from daemon.intake.declaring import already_open, known_groups
from daemon.web.api.assistance import by_assistant
from daemon.web.api.operation import (
    ApiOperation,
    Call,
    IncidentPath,
    do,
    incident_operation,
    surface_of,
)
from daemon.web.api.schemas import IncidentAfter
from daemon.web.context import WebContext
from daemon.web.errors import HttpProblem

_TAG = "organizing"
IDEMPOTENCY_KEY = "Idempotency-Key"
"""The header by which the same declaration, sent again, is known; at most 200 characters."""
_MOST_LABELS = 20


class DeclareBody(Frozen):
    """What is wrong. With a `rule`, that measures it: `labels` must then be those of its
    `group_by`. `respond`: you respond to it, so that you command it and nobody is called."""

    title: str = Field(pattern=r"\S", max_length=DECLARED_TITLE_LENGTH)
    rule: str = Field(default="", max_length=63)
    labels: dict[str, str] = Field(default_factory=dict, max_length=_MOST_LABELS)
    team: str = Field(default="", max_length=100)
    severity: Severity = ""
    respond: bool = False


class SeverityBody(Frozen):
    """How severe it is; empty leaves it to what is measured. Less than before takes a reason."""

    severity: Severity
    reason: str = Field(default="", max_length=TEXT_LENGTH)


class OtherBody(Frozen):
    """Which other incident, and why."""

    incident: str = Field(max_length=100)
    reason: str = Field(default="", max_length=TEXT_LENGTH)


class SplitBody(Frozen):
    """Which of its alerts: by fingerprint, and all that have these labels, now and later."""

    alerts: tuple[str, ...] = Field(default=(), max_length=1000)
    labels: dict[str, str] = Field(default_factory=dict, max_length=_MOST_LABELS)
    title: str = Field(default="", max_length=DECLARED_TITLE_LENGTH)
    reason: str = Field(default="", max_length=TEXT_LENGTH)


class TeamBody(Frozen):
    """Whose it is from now on, and why."""

    team: str = Field(max_length=100)
    reason: str = Field(default="", max_length=TEXT_LENGTH)


class OneRule(Frozen):
    """Which rule, by its name."""

    rule: str = Field(max_length=63)


class RuleGroups(Frozen):
    """By which labels a rule tells its incidents apart, and the groups that are known: of its
    incidents so far, and of the series that it watches; the newest first."""

    rule: str
    group_by: tuple[str, ...]
    groups: tuple[dict[str, str], ...]


class OrganizingOperations:
    """The rows."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def operations(self) -> list[ApiOperation]:
        """The rows of the table."""
        other = {"incident": "1123-1404-ab2d9k", "reason": "the same database"}
        return [
            ApiOperation(
                "POST",
                "/api/v1/incidents",
                self.declare,
                "responder",
                _TAG,
                status=201,
                errors=(409,),
                tagged=True,
                example={
                    "title": "customers cannot pay",
                    "rule": "checkout-success-rate",
                    "labels": {"service": "checkout"},
                },
            ),
            ApiOperation(
                "GET", "/api/v1/rules/{rule}/groups", self.groups, "viewer", _TAG, errors=(404,)
            ),
            incident_operation(
                "POST",
                "severity",
                self.severity,
                _TAG,
                example={"severity": "sev1", "reason": "the hotline is flooded"},
            ),
            incident_operation("POST", "relate", self.relate, _TAG, example=other),
            incident_operation("POST", "merge", self.merge, _TAG, example=other),
            incident_operation(
                "POST", "split", self.split, _TAG, example={"labels": {"region": "eu"}}
            ),
            incident_operation(
                "POST", "reassign", self.reassign, _TAG, example={"team": "database"}
            ),
        ]

    async def declare(self, call: Call[None, None, DeclareBody]) -> IncidentAfter:
        """Declare an incident by hand.

        Its team is called as for an alert. Without a rule nothing is measured and nothing is done
        by itself. With the header `Idempotency-Key`, the same declaration sent again is the same
        incident. If the rule has it open for these labels, the answer is 409 and names that one.
        """
        given, key = call.sent, call.request.headers.get(IDEMPOTENCY_KEY, "")[:200]
        declaration = Declaration(
            title=given.title,
            person=call.person,
            via=surface_of(call.request),
            rule=given.rule,
            labels=given.labels,
            team=given.team,
            severity=given.severity,
            # An assistant is nobody who responds: a person is called whatever it says.
            respond=given.respond and not by_assistant(call.request),
            request=key,
        )
        try:
            declared = await self._context.declare(declaration)
        except InvalidCommand as error:
            raise HttpProblem(400, "Cannot be declared so", str(error)) from None
        incident = declared.incident
        if not declared.opened:
            text = already_open(incident, incident.group_labels)
            raise HttpProblem(409, "Open already", text, incident=incident.id)
        call.headers["ETag"] = f'"{incident.seq}"'
        return IncidentAfter(incident=self._context.view(incident))

    async def groups(self, call: Call[OneRule, None, None]) -> RuleGroups:
        """List the groups of a rule that are known, for whoever declares one of its incidents."""
        rule = self._context.rules().rules.get(call.at.rule)
        if rule is None:
            known = ", ".join(sorted(self._context.rules().rules)) or "none"
            text = f"no rule {call.at.rule!r} is in force; there are: {known}"
            raise HttpProblem(404, "No such rule", text)
        found = await known_groups(self._context.repository, rule, self._context.label_values(rule))
        return RuleGroups(rule=rule.rule, group_by=rule.group_by, groups=tuple(found))

    async def severity(self, call: Call[IncidentPath, None, SeverityBody]) -> IncidentAfter:
        """Say how severe it is; the higher of this and what is measured decides who is called."""
        return await do(self._context, call, SetSeverity(call.sent.severity, call.sent.reason))

    async def relate(self, call: Call[IncidentPath, None, OtherBody]) -> IncidentAfter:
        """Say that it has to do with another incident; each goes on by itself."""
        return await do(self._context, call, Relate(call.sent.incident, call.sent.reason))

    async def merge(self, call: Call[IncidentPath, None, OtherBody]) -> IncidentAfter:
        """Make it a part of another open incident, which takes its alerts and its people."""
        return await do(self._context, call, Merge(call.sent.incident, call.sent.reason))

    async def split(self, call: Call[IncidentPath, None, SplitBody]) -> IncidentAfter:
        """Make some of its alerts an incident of their own, which you respond to."""
        given = call.sent
        command = SplitAlerts(given.alerts, given.labels, given.title, given.reason)
        return await do(self._context, call, command)

    async def reassign(self, call: Call[IncidentPath, None, TeamBody]) -> IncidentAfter:
        """Give it to another team, whose policy is called; whoever is there stays."""
        return await do(self._context, call, Reassign(call.sent.team, call.sent.reason))
