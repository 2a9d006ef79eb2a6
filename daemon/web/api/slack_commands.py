"""Slack's slash command: `/stopgap declare …`, signed as all that Slack sends is.

Slack wants an answer within three seconds and does not send a command again; what is said goes to
whoever typed it alone.
"""

from __future__ import annotations

import argparse
import shlex
from typing import Any, Literal, NoReturn
from urllib.parse import parse_qs

from pydantic import BaseModel

from daemon.core.response.command import NotPossible
from daemon.core.response.declaring import Declaration
from daemon.core.response.organizing import severity_named
from daemon.core.values.units import Frozen
from daemon.intake.declaring import already_open
from daemon.web.api.operation import ApiOperation, Call
from daemon.web.context import WebContext
from daemon.web.errors import HttpProblem

_TAG = "hooks"
USAGE = (
    "declare TITLE [--rule RULE --label name=value …] [--team TEAM] [--severity sev1…sev4] "
    "[--respond]"
)
_DASHES = {ord("—"): "--", ord("“"): '"', ord("”"): '"', ord("‘"): "'", ord("’"): "'"}
"""What phones make of what was typed."""


class SlackCommandForm(Frozen):
    """Slack's form. `text`: what was typed after the command; `trigger_id` tells it from others."""

    command: str
    text: str
    user_id: str
    trigger_id: str


class SlackCommandAnswer(BaseModel):
    """What whoever typed it reads."""

    response_type: Literal["ephemeral"] = "ephemeral"
    text: str


class _Unreadable(ValueError):
    """What was typed cannot be read; the text says what is wrong."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Unreadable(message)


class SlackCommands:
    """The rows."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def operations(self) -> list[ApiOperation]:
        """The rows of the table."""
        form = "application/x-www-form-urlencoded"
        path = "/api/v1/hooks/slack/commands"
        return [
            ApiOperation(
                "POST",
                path,
                self.slash_command,
                "slack",
                _TAG,
                sends=SlackCommandForm,
                sent_as=form,
            )
        ]

    async def slash_command(self, call: Call[None, None, bytes]) -> SlackCommandAnswer:
        """Take a slash command: declare an incident from Slack."""
        self._context.hooks.now.check_slack(
            call.request, call.sent, self._context.repository.clock()
        )
        fields = _fields(call.sent)
        command = fields.get("command") or "/stopgap"
        user = fields.get("user_id", "")
        people = self._context.roster().people
        person = next((n for n, p in people.items() if user and p.known_as.slack == user), "")
        if not person:
            who = user or "this user"
            text = (
                f"Slack user {who} is nobody in the roster: set people.NAME.known_as.slack to "
                f"{who}. Until then: stopgap declare TITLE"
            )
            return SlackCommandAnswer(text=text)
        try:
            declaration = read_command(fields.get("text", ""), person, fields.get("trigger_id", ""))
            text = await self._declared(declaration)
        except _Unreadable as error:
            text = f"{error}. Write it like: {command} {USAGE}"
        except NotPossible as error:
            text = f"Not possible: {error}. Write it like: {command} {USAGE}"
        return SlackCommandAnswer(text=text)

    async def _declared(self, declaration: Declaration) -> str:
        declared = await self._context.declare(declaration)
        incident = declared.incident
        if not declared.opened:
            return already_open(incident, incident.group_labels)
        measured = (
            f"{incident.rule} measures it"
            if incident.rule
            else "no rule measures it, and nothing will be done by itself"
        )
        whose = incident.opened.team or "the default policy"
        called = "you command it" if incident.commander else f"{whose} is being called"
        document = self._context.links.document(incident.id)
        return f"Declared as {incident.id}: {called}; {measured}. {document}"


def read_command(text: str, person: str, request: str) -> Declaration:
    """What was typed after the command. Raises ValueError, NotPossible with what is wrong."""
    try:
        words = shlex.split(text.translate(_DASHES))
    except ValueError as error:
        raise _Unreadable(f"this cannot be read: {error}") from None
    if not words or words[0] != "declare":
        raise _Unreadable("there is one command here, declare")
    parser = _Parser(add_help=False, exit_on_error=False, allow_abbrev=False)
    parser.add_argument("title", nargs="*")
    for name in ("--rule", "--team", "--severity"):
        parser.add_argument(name, default="")
    parser.add_argument("--label", action="append", default=[])
    parser.add_argument("--respond", action="store_true")
    try:
        given: Any = parser.parse_intermixed_args(words[1:])
    except argparse.ArgumentError as error:
        raise _Unreadable(str(error)) from None
    labels = dict(one.partition("=")[::2] for one in given.label)
    return Declaration(
        title=" ".join(given.title),
        person=person,
        via="slack",
        rule=given.rule,
        labels=labels,
        team=given.team,
        severity=severity_named(given.severity),
        respond=given.respond,
        request=request,
    )


def _fields(sent: bytes) -> dict[str, str]:
    """The form's fields, each once. Raises Problem 400."""
    try:
        found = parse_qs(sent.decode(), max_num_fields=40)
    except ValueError:
        raise HttpProblem(400, "Not a Slack command", "a form of Slack's is expected") from None
    return {name: values[0] for name, values in found.items()}
