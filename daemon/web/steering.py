"""What steers recovery: the plan of an incident, freezes, reported changes, observed decisions."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web
from pydantic import AwareDatetime, Field

from daemon.core import promotion, steering
from daemon.core.guardrails import GLOBAL, Freeze
from daemon.core.rules import StepSpec
from daemon.core.suspects import REPORTED, Change
from daemon.core.units import Duration, Frozen, parse_duration
from daemon.web.house import House, body
from daemon.web.people import Why
from daemon.web.problems import Problem

SHOWN_AHEAD = timedelta(days=14)
"""How far ahead the freezes of the calendar are shown."""
AHEAD = timedelta(minutes=5)
"""How far the clock of a reporting system may be ahead of ours."""
LOOKED_AT = 1000
"""So many of the newest incidents are looked through for observed decisions."""


class Freezing(Frozen):
    """A freeze: why, of what, and `for` how long; without it, until it is thawed."""

    reason: str = Field(default="", max_length=500)
    scope: str = Field(default=GLOBAL, max_length=300)
    last: Duration | None = Field(default=None, alias="for", gt=timedelta(0))


class Reported(Frozen):
    """A change that another system reports: what became live, and what it concerns.

    `labels` are those of the incidents that it may explain, such as `service`; further ones that
    alerts do not have (`component`) name a part of it; without any it may explain all. `target`
    names an action's target, if this changed it. `at` defaults to now.
    """

    item: str = Field(pattern=r"\S", max_length=200)
    labels: dict[str, str] = Field(default_factory=dict, max_length=20)
    source: str = Field(default="api", pattern=r"\S", max_length=100)
    previous: str = Field(default="", max_length=200)
    target: str = Field(default="", max_length=300)
    text: str = Field(default="", max_length=500)
    at: AwareDatetime | None = None


class Proposal(Frozen):
    """An alternative from the catalogue of actions, with its parameters."""

    action: str = Field(max_length=100)
    params: dict[str, Any] = Field(default_factory=dict, alias="with")
    within: Duration = Field(default=parse_duration("10m"), gt=timedelta(0))
    reason: str = Field(default="", max_length=500)


class Steering:
    """The routes."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        one = "/api/v1/incidents/{id}/steps"
        step = f"{one}/{{step:\\d{{1,3}}}}"
        return [
            web.post(one, self.propose),
            web.post(f"{step}/approve", self.approve),
            web.post(f"{step}/start", self.start),
            web.post(f"{step}/skip", self.skip),
            web.post(f"{step}/veto", self.veto),
            web.get("/api/v1/actions", self.actions),
            web.post("/api/v1/changes", self.report),
            web.get("/api/v1/changes", self.changes),
            web.get("/api/v1/observed", self.observed),
            web.get("/api/v1/freeze", self.frozen),
            web.put("/api/v1/freeze", self.freeze),
            web.delete("/api/v1/freeze", self.thaw),
        ]

    async def approve(self, request: web.Request) -> web.Response:
        """The Commander allows a step."""
        who, step = await self._house.person(request), int(request.match_info["step"])
        rules = self._house.rules().rules
        return await self._house.deed(
            request, who, lambda i: steering.approve(i, rules.get(i.rule), step, who)
        )

    async def start(self, request: web.Request) -> web.Response:
        """The Commander starts a step now, out of turn."""
        who, step = await self._house.person(request), int(request.match_info["step"])
        rules = self._house.rules().rules
        return await self._house.deed(
            request, who, lambda i: steering.start(i, rules.get(i.rule), step, who)
        )

    async def skip(self, request: web.Request) -> web.Response:
        """The Commander passes a step over."""
        who, step = await self._house.person(request), int(request.match_info["step"])
        rules, given = self._house.rules().rules, await body(request, Why)
        return await self._house.deed(
            request, who, lambda i: steering.skip(i, rules.get(i.rule), step, who, given.reason)
        )

    async def veto(self, request: web.Request) -> web.Response:
        """A person forbids a step."""
        who, step = await self._house.person(request), int(request.match_info["step"])
        rules = self._house.rules().rules
        return await self._house.deed(
            request, who, lambda i: steering.veto(i, rules.get(i.rule), step, who)
        )

    async def propose(self, request: web.Request) -> web.Response:
        """A responder adds an alternative to the plan."""
        who, given = await self._house.person(request), await body(request, Proposal)
        incident = await self._house.book.load(request.match_info["id"])
        spec = StepSpec.model_validate({"action": given.action, "with": given.params})
        unfit = self._house.unfit(spec, incident)
        if unfit:
            raise Problem(400, "Not a step", unfit)
        rules = self._house.rules().rules
        return await self._house.deed(
            request,
            who,
            lambda i: steering.propose(
                i,
                rules.get(i.rule),
                given.action,
                given.params,
                given.within,
                given.reason,
                who,
            ),
        )

    async def actions(self, request: web.Request) -> web.Response:
        """The catalogue: each action's name, what it does, and the schema of its parameters."""
        await self._house.person(request, "viewer")
        listed = [
            {
                "action": name,
                "text": (type(action).__doc__ or "").strip().partition("\n")[0],
                "params": action.Params.model_json_schema(by_alias=True),
            }
            for name, action in sorted(self._house.actions.items())
        ]
        return web.json_response({"actions": listed})

    # ── changes ──────────────────────────────────────────────────────────────────────────────

    async def report(self, request: web.Request) -> web.Response:
        """Another system, such as CI/CD, reports that something was changed."""
        self._house.doorkeeper().sender(request)
        given = await body(request, Reported)
        now = self._house.book.clock()
        at = given.at or now
        if at > now + AHEAD:
            text = f"`at` is {at.isoformat()}, in the future (here it is {now.isoformat()})"
            raise Problem(400, "Bad time", text)
        about = given.target or json.dumps(sorted(given.labels.items()), ensure_ascii=False)
        change = Change(
            subject=f"{REPORTED}{given.source}:{about}",
            item=given.item,
            previous=given.previous,
            at=at,
            seen_by=given.source,
            text=given.text,
            target=given.target,
            labels=given.labels,
        )
        await self._house.book.journal.saw_change(change)
        return web.json_response({"change": change.model_dump(mode="json")}, status=201)

    async def changes(self, request: web.Request) -> web.Response:
        """What was reported in the last day, the newest first."""
        await self._house.person(request, "viewer")
        since = self._house.book.clock() - timedelta(days=1)
        found = await self._house.book.journal.reported(since)
        listed = [change.model_dump(mode="json") for change in reversed(found)]
        return web.json_response({"changes": listed})

    # ── observed decisions ───────────────────────────────────────────────────────────────────

    async def observed(self, request: web.Request) -> web.Response:
        """What rules in the mode `observe` would have done, against what people did; `?rule=`."""
        await self._house.person(request, "viewer")
        journal, wanted = self._house.book.journal, request.query.get("rule")
        decisions: list[promotion.Observed] = []
        for head in await journal.heads(LOOKED_AT):
            rule = json.loads(head.key)[0]
            if not rule or wanted not in {None, rule}:
                continue
            entries = await journal.read(head.incident)
            found = promotion.observed(entries)
            if found:
                changes = [c for d in found for c in await journal.changes(d.target)]
                decisions += promotion.observed(entries, changes)
        return web.json_response(
            {
                "steps": [
                    {**tally.model_dump(mode="json"), "advice": tally.advice}
                    for tally in promotion.tallies(decisions)
                ],
                "decisions": [decision.model_dump(mode="json") for decision in decisions],
            }
        )

    # ── freezes ──────────────────────────────────────────────────────────────────────────────

    async def frozen(self, request: web.Request) -> web.Response:
        """The freezes in force, by hand and by the calendar, and those that the calendar has
        ahead."""
        await self._house.person(request, "viewer")
        now = self._house.book.clock()
        windows = self._house.freezes().upcoming(now, now + SHOWN_AHEAD)
        standing = await self._house.freezes_now()
        return web.json_response(
            {
                "freezes": [freeze.model_dump(mode="json") for freeze in standing],
                "ahead": [f.model_dump(mode="json") for f in windows if f.at > now],
            }
        )

    async def freeze(self, request: web.Request) -> web.Response:
        """No action in that scope starts until it is thawed."""
        person = await self._house.person(request)
        given = await body(request, Freezing)
        if not given.reason.strip():
            raise Problem(400, "Why?", "a freeze needs a `reason`, for whoever meets it tonight")
        scope = self._house.scope(given.scope)
        now = self._house.book.clock()
        until = _end(now, given.last)
        freeze = Freeze(scope=scope, reason=given.reason, by=person, at=now, until=until)
        await self._house.book.journal.freeze(freeze)
        return web.json_response({"freeze": freeze.model_dump(mode="json")})

    async def thaw(self, request: web.Request) -> web.Response:
        """Lift the freeze of a scope, `?scope=`; open incidents look again at once."""
        person = await self._house.person(request)
        book = self._house.book
        scope = request.query.get("scope", GLOBAL)
        lifted = await book.journal.thaw(scope, person, book.clock())
        book.ring_all()
        return web.json_response({"thawed": lifted})


def _end(now: datetime, last: timedelta | None) -> datetime | None:
    try:
        return None if last is None else now + last
    except OverflowError:
        raise Problem(400, "Bad request", "for: that is longer than any time") from None
