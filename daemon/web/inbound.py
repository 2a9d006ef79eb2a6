"""What pagers and chats report about us: who acknowledged, and who took it back.

A report is answered 202 once the journal has it. What is not ours is answered 202 too, for a
provider gives up on a hook that keeps refusing; a store that fails is 503, and it comes again.
"""

from __future__ import annotations

from urllib.parse import parse_qs

from aiohttp import web

from daemon.casebook import UnknownIncident
from daemon.core import deeds
from daemon.core.crew import PERSON
from daemon.core.roles import NotPossible
from daemon.web import reports
from daemon.web.house import House, raw_body
from daemon.web.problems import Problem


class Inbound:
    """The routes; each has its provider's own credentials."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        return [
            web.post("/api/v1/hooks/pagerduty", self.pagerduty),
            web.post("/api/v1/hooks/grafana-oncall", self.grafana_oncall),
            web.post("/api/v1/hooks/opsgenie", self.opsgenie),
            web.post("/api/v1/hooks/slack", self.slack),
        ]

    async def pagerduty(self, request: web.Request) -> web.Response:
        """PagerDuty's V3 webhook."""
        sent = await raw_body(request)
        self._house.hooks().check_pagerduty(request, sent)
        return await self._take(reports.pagerduty(sent, self._house.roster()))

    async def grafana_oncall(self, request: web.Request) -> web.Response:
        """Grafana OnCall's outgoing webhook."""
        self._house.hooks().check_grafana_oncall(request)
        sent, now = await raw_body(request), self._house.book.clock()
        return await self._take(reports.grafana_oncall(sent, self._house.roster(), now))

    async def opsgenie(self, request: web.Request) -> web.Response:
        """The webhook of Opsgenie or Jira Service Management."""
        self._house.hooks().check_opsgenie(request)
        sent, now = await raw_body(request), self._house.book.clock()
        return await self._take(reports.opsgenie(sent, self._house.roster(), now))

    async def slack(self, request: web.Request) -> web.Response:
        """A tap on the button of a message of ours."""
        sent = await raw_body(request)
        self._house.hooks().check_slack(request, sent, self._house.book.clock())
        tap = reports.slack(_payload(sent), self._house.roster())
        if tap is None:
            return web.json_response({})
        text = await self._tapped(tap)
        # Slack shows nothing of what answers a tap; it wants to be told at an address of its own.
        await self._house.whisper(tap.answer_url, text)
        return web.json_response({"text": text})

    async def _tapped(self, tap: reports.Tap) -> str:
        """A tap happens now, so it is the deed itself and no report of one. What came of it."""
        if not tap.person:
            user = tap.user or "this user"
            return (
                f"Slack user {user} is nobody in the roster: set people.NAME.known_as.slack to "
                f"{user}. Until then: stopgap ack {tap.incident}"
            )
        try:
            after = await self._house.book.record(
                tap.incident,
                lambda i: deeds.acknowledge(i, tap.person, "slack"),
                by=f"{PERSON}{tap.person}",
            )
        except (NotPossible, UnknownIncident) as error:
            return f"Not possible: {error}"
        if after.commander == tap.person:
            return f"You respond to {after.id}, and you command it."
        return f"You respond to {after.id}; the Commander is {after.commander}."

    async def _take(self, told: reports.Told | None) -> web.Response:
        if told is None:
            return _noted("this does not concern us")
        report, now = told.report, self._house.book.clock()
        if told.alert and report.said == "unacknowledged":
            # One question called again; the incident itself is in the same hands as before.
            return _noted("this takes back no acknowledgement of the incident")
        stale = self._house.roster().timing.stale_ack
        # What is reported hours later is no sign of life of that person now.
        lately = now - report.occurred_at <= stale
        by = f"{PERSON}{report.person}" if report.person and lately else report.source
        try:
            await self._house.book.record(
                told.incident, lambda i: deeds.heard(i, report, now, stale), by=by
            )
        except UnknownIncident:
            return _noted("this is no incident of ours")
        return _noted("taken")


def _payload(sent: bytes) -> str:
    """The form field `payload`. Raises Problem 400."""
    try:
        found = parse_qs(sent.decode(), max_num_fields=20).get("payload", [])
    except ValueError:
        found = []
    if len(found) != 1:
        raise Problem(400, "Not a Slack payload", "a form with one field `payload` is expected")
    return found[0]


def _noted(text: str) -> web.Response:
    return web.json_response({"noted": text}, status=202)
