"""What concerns the automation of all incidents: freezes, reported changes, observed decisions."""

from __future__ import annotations

import json
from datetime import timedelta

from pydantic import AwareDatetime, Field

from daemon.core.changes.suspects import REPORTED_PREFIX, Change
from daemon.core.recovery.freeze_windows import ScopeName
from daemon.core.recovery.guardrails import GLOBAL, Freeze
from daemon.core.reporting import observe_report
from daemon.core.reporting.coverage import AutonomyReport
from daemon.core.values.units import Frozen
from daemon.intake.late_changes import tell_incidents
from daemon.recovering.autonomy import NotWithdrawn
from daemon.web.api.operation import ApiOperation, Call
from daemon.web.api.request_parsing import Lasting
from daemon.web.context import WebContext
from daemon.web.errors import HttpProblem

_TAG = "automation"
_AHEAD = timedelta(minutes=5)
"""How far the clock of a reporting system may be ahead of ours."""


class Freezing(Frozen):
    """A freeze: why, of what, and `for` how long; without it, until it is thawed."""

    reason: str = Field(pattern=r"\S", max_length=500, description="for whoever meets it tonight")
    scope: ScopeName = Field(default=GLOBAL, max_length=300)
    last: Lasting | None = Field(default=None, alias="for")


class Reported(Frozen):
    """A change that another system reports: what became live, and what it concerns.

    `labels` are those of the incidents that it may explain, such as `service`; without any it
    may explain all. `target` names an action's target, if this changed it. `at` defaults to now.
    """

    item: str = Field(pattern=r"\S", max_length=200)
    labels: dict[str, str] = Field(default_factory=dict, max_length=20)
    source: str = Field(default="api", pattern=r"\S", max_length=100)
    previous: str = Field(default="", max_length=200)
    target: str = Field(default="", max_length=300)
    text: str = Field(default="", max_length=500)
    at: AwareDatetime | None = None


class Scoped(Frozen):
    """Which freeze: `global`, `team:NAME` or `service:NAME`."""

    scope: str = Field(default=GLOBAL, max_length=300)


class FreezeState(Frozen):
    """The freeze as it stands."""

    freeze: Freeze


class Thawed(Frozen):
    """Whether there was a freeze to lift."""

    thawed: bool


class FreezeList(Frozen):
    """The freezes in force, by hand and by the calendar, and those the calendar has ahead."""

    freezes: tuple[Freeze, ...]
    ahead: tuple[Freeze, ...]


class ChangeView(Frozen):
    """The change as it is remembered."""

    change: Change


class ChangeList(Frozen):
    """What was reported, the newest first."""

    changes: tuple[Change, ...]


class Which(Frozen):
    """Of which rule; of all, if left out."""

    rule: str | None = Field(default=None, max_length=200)


class Observations(Frozen):
    """The decisions counted by rule, each incident once; by step; and each of them."""

    rules: tuple[observe_report.RuleTally, ...]
    steps: tuple[observe_report.Tally, ...]
    decisions: tuple[observe_report.Observed, ...]


class RulePath(Frozen):
    """Which rule, by its name."""

    rule: str = Field(max_length=63)


class Trusting(Frozen):
    """Why the rule is trusted again."""

    reason: str = Field(pattern=r"\S", max_length=500, description="for whoever reads it later")


class Trusted(Frozen):
    """How the rule's autonomy stands."""

    autonomy: AutonomyReport


class Automation:
    """The rows."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def operations(self) -> list[ApiOperation]:
        """The rows of the table."""
        freeze, changes = "/api/v1/freeze", "/api/v1/changes"
        reported = {
            "item": "v2.4.1",
            "previous": "v2.4.0",
            "labels": {"service": "checkout"},
            "source": "ci",
        }
        return [
            ApiOperation("GET", freeze, self.frozen, "viewer", _TAG),
            ApiOperation(
                "PUT",
                freeze,
                self.freeze,
                "responder",
                _TAG,
                example={"reason": "we move the database", "for": "2h"},
            ),
            ApiOperation(
                "DELETE", freeze, self.thaw, "responder", _TAG, example={"scope": "team:payments"}
            ),
            ApiOperation(
                "POST",
                changes,
                self.report,
                "webhook",
                _TAG,
                status=201,
                example=reported,
                scope="changes",
            ),
            ApiOperation("GET", changes, self.changes, "viewer", _TAG),
            ApiOperation("GET", "/api/v1/observed", self.observed, "viewer", _TAG),
            ApiOperation(
                "POST",
                "/api/v1/rules/{rule}/trust",
                self.trust,
                "responder",
                _TAG,
                errors=(404, 409),
                example={"reason": "the health check that misled it is mended"},
            ),
        ]

    async def report(self, call: Call[None, None, Reported]) -> ChangeView:
        """Report, as CI/CD or another system, that something was changed.

        Open incidents that it may concern weigh their changes again at once.
        """
        given, now = call.sent, self._context.repository.clock()
        at = given.at or now
        if at > now + _AHEAD:
            text = f"`at` is {at.isoformat()}, in the future (here it is {now.isoformat()})"
            raise HttpProblem(400, "Bad time", text)
        about = given.target or json.dumps(sorted(given.labels.items()), ensure_ascii=False)
        change = Change(
            subject=f"{REPORTED_PREFIX}{given.source}:{about}",
            item=given.item,
            previous=given.previous,
            at=at,
            seen_by=given.source,
            text=given.text,
            target=given.target,
            labels=given.labels,
        )
        repository = self._context.repository
        known = await repository.journal.changes(change.subject)
        await repository.journal.saw_change(change)
        if not any((one.item, one.at) == (change.item, change.at) for one in known):
            await tell_incidents(repository, change, lambda i: i.touched_by(change.labels))
        return ChangeView(change=change)

    async def changes(self, call: Call[None, None, None]) -> ChangeList:
        """List what was reported in the last day, the newest first."""
        since = self._context.repository.clock() - timedelta(days=1)
        found = await self._context.repository.journal.reported(since)
        return ChangeList(changes=tuple(reversed(found)))

    async def observed(self, call: Call[None, Which, None]) -> Observations:
        """Compare what rules in the mode `observe` would have done with what people did."""
        decisions = await self._context.overview.observed(call.query.rule)
        return Observations(
            rules=tuple(observe_report.rule_tallies(decisions)),
            steps=tuple(observe_report.tallies(decisions)),
            decisions=tuple(decisions),
        )

    async def trust(self, call: Call[RulePath, None, Trusting]) -> Trusted:
        """Give a rule that lost its autonomy the right back to act by itself.

        What is known of its decisions by now is not held against it again.
        """
        rule = call.at.rule
        if rule not in self._context.rules().rules:
            raise HttpProblem(404, "No such rule", f"there is no rule {rule!r} in force")
        try:
            record = await self._context.autonomy.trust(rule, call.person, call.sent.reason)
        except NotWithdrawn as error:
            raise HttpProblem(409, "Trusted already", str(error)) from None
        return Trusted(autonomy=AutonomyReport.of(record))

    async def frozen(self, call: Call[None, None, None]) -> FreezeList:
        """List the freezes in force, and those that the calendar has ahead."""
        in_force, ahead = await self._context.freezes_now(), self._context.freezes_ahead()
        return FreezeList(freezes=tuple(in_force), ahead=tuple(ahead))

    async def freeze(self, call: Call[None, None, Freezing]) -> FreezeState:
        """Stop all automation in a scope: no action starts until it is thawed."""
        given = call.sent
        freeze = await self._context.freeze(given.scope, given.reason, call.person, given.last)
        return FreezeState(freeze=freeze)

    async def thaw(self, call: Call[None, Scoped, None]) -> Thawed:
        """Lift the freeze of a scope; open incidents look again at once."""
        return Thawed(thawed=await self._context.thaw(call.query.scope, call.person))
