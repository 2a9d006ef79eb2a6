"""What pagers and chats report about us: who acknowledged, and who took it back.

A report is answered 202 once the journal has it. What is not ours is answered 202 too, for a
provider gives up on a hook that keeps refusing; a store that fails is 503, and it comes again.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal
from urllib.parse import parse_qs

from pydantic import BaseModel, RootModel

from daemon.core.incident.responders import PERSON_PREFIX
from daemon.core.response.call_answers import DeclineCall, SnoozeCall
from daemon.core.response.command import NotPossible
from daemon.core.response.paging import STORM_ALERT
from daemon.core.response.storm_commands import STORM_ANSWERED, AnswerStorm
from daemon.core.values.units import Frozen, clock_time
from daemon.repository import UnknownIncident
from daemon.web.api import pager_payloads
from daemon.web.api.operation import ApiOperation, Call, Handler, Hook
from daemon.web.context import WebContext
from daemon.web.errors import HttpProblem

_TAG = "hooks"


class HookTaken(Frozen):
    """What came of it; a report of something else is no error of the provider's."""

    noted: str


class SlackAnswer(RootModel[dict[Literal["text"], str]]):
    """What came of a tap; empty, if it was no button of ours."""


class SlackForm(Frozen):
    """Slack's form; `payload` is the interaction as JSON."""

    payload: str


class Inbound:
    """The rows; each has its provider's own credentials."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def operations(self) -> list[ApiOperation]:
        """The rows of the table."""
        hook = partial(_hook, status=202)
        form = "application/x-www-form-urlencoded"
        return [
            hook("pagerduty", self.pagerduty, pager_payloads.PagerDutyWebhook, needs="pagerduty"),
            hook("grafana-oncall", self.grafana_oncall, pager_payloads.GrafanaWebhook),
            hook("opsgenie", self.opsgenie, pager_payloads.OpsgenieWebhook),
            _hook("slack", self.slack, SlackForm, needs="slack", sent_as=form),
        ]

    async def pagerduty(self, call: Call[None, None, bytes]) -> HookTaken:
        """Take PagerDuty's V3 webhook."""
        self._context.hooks.now.check_pagerduty(call.request, call.sent)
        return await self._take(pager_payloads.pagerduty(call.sent, self._context.roster()))

    async def grafana_oncall(self, call: Call[None, None, bytes]) -> HookTaken:
        """Take Grafana OnCall's outgoing webhook."""
        self._context.hooks.now.check_grafana_oncall(call.request)
        now = self._context.repository.clock()
        return await self._take(
            pager_payloads.grafana_oncall(call.sent, self._context.roster(), now)
        )

    async def opsgenie(self, call: Call[None, None, bytes]) -> HookTaken:
        """Take the webhook of Opsgenie or Jira Service Management."""
        self._context.hooks.now.check_opsgenie(call.request)
        now = self._context.repository.clock()
        return await self._take(pager_payloads.opsgenie(call.sent, self._context.roster(), now))

    async def slack(self, call: Call[None, None, bytes]) -> SlackAnswer:
        """Take a tap on the button of a message of ours in Slack."""
        self._context.hooks.now.check_slack(
            call.request, call.sent, self._context.repository.clock()
        )
        interaction = pager_payloads.slack(_payload(call.sent), self._context.roster())
        if interaction is None:
            return SlackAnswer({})
        text = await self._tapped(interaction)
        # Slack shows nothing of what answers a tap; it wants to be told at an address of its own.
        await self._context.whisper(interaction.answer_url, text)
        return SlackAnswer({"text": text})

    async def _tapped(self, interaction: pager_payloads.SlackTap) -> str:
        """A tap happens now, so it is the command itself and no report of one. What came of it."""
        if not interaction.person:
            user = interaction.user or "this user"
            return (
                f"Slack user {user} is nobody in the roster: set people.NAME.known_as.slack to "
                f"{user}. Until then: stopgap ack {interaction.incident}"
            )
        storm = interaction.alert == STORM_ALERT
        command = AnswerStorm() if storm else interaction.command
        try:
            after = await self._context.carry_out(
                interaction.incident, command, interaction.person, "slack"
            )
        except (NotPossible, UnknownIncident) as error:
            return f"Not possible: {error}"
        if storm:
            return STORM_ANSWERED
        if isinstance(command, DeclineCall):
            return f"Noted: somebody else is called for {after.id}."
        if isinstance(command, SnoozeCall):
            until = clock_time(after.call_answers.snoozed[interaction.person].until)
            return f"You are called again for {after.id} at {until}, unless enough have come."
        if after.commander == interaction.person:
            return f"You respond to {after.id}, and you command it."
        return f"You respond to {after.id}; the Commander is {after.commander}."

    async def _take(self, reported: pager_payloads.PagerReport | None) -> HookTaken:
        if reported is None:
            return HookTaken(noted="this does not concern us")
        command, now = reported.command, self._context.repository.clock()
        if reported.alert and command.state == "unacknowledged":
            # One question called again; the incident itself is in the same hands as before.
            return HookTaken(noted="this takes back no acknowledgement of the incident")
        # What is reported hours later is no sign of life of that person now.
        stale = command.is_stale(now, self._context.roster().timing.stale_ack)
        person = "" if stale else command.person
        by = f"{PERSON_PREFIX}{person}" if person else command.source
        try:
            await self._context.carry_out(reported.incident, command, "", "webhook", by=by)
        except UnknownIncident:
            return HookTaken(noted="this is no incident of ours")
        return HookTaken(noted="taken")


def _payload(sent: bytes) -> str:
    """The form field `payload`. Raises Problem 400."""
    try:
        found = parse_qs(sent.decode(), max_num_fields=20).get("payload", [])
    except ValueError:
        found = []
    if len(found) != 1:
        raise HttpProblem(400, "Not a Slack payload", "a form with one field `payload` is expected")
    return found[0]


def _hook(
    provider: str, handler: Handler, sends: type[BaseModel], needs: Hook = "hook", **more: Any
) -> ApiOperation:
    path = f"/api/v1/hooks/{provider}"
    return ApiOperation("POST", path, handler, needs, _TAG, sends=sends, **more)
