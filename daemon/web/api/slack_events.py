"""What Slack's Events API tells of an incident's room: a message that was pinned or marked there.

Slack wants its answer within three seconds, and tells the same again until it has one; the timeline
takes each message once, whatever is told twice.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, model_validator

from daemon.core.people.roster import Roster
from daemon.core.ports.rooms import RoomMessage, TendsRooms
from daemon.core.response.collaboration_commands import NoteFromRoom
from daemon.core.response.command import NotPossible
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.units import Frozen, printable
from daemon.notifying.room_index import RoomIndex
from daemon.notifying.rooms import slack_user
from daemon.web.api.operation import ApiOperation, Call
from daemon.web.api.request_parsing import read_json
from daemon.web.context import WebContext

_log = structlog.get_logger()

_SLACK = "slack"
_TITLE = "Not an event of Slack"
_PATIENCE = 2.3
"""Seconds for fetching a message; Slack waits three for the whole answer."""
_NOTE_LENGTH = 1000
_LOOKED_AT = {"pin_added", "reaction_added"}


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class SlackItem(_Event):
    """What was marked. `ts` tells a message from the others of its channel."""

    type: str = ""
    channel: str = ""
    ts: str = ""


class SlackPinned(_Event):
    """A message that was pinned; Slack names it within, or beside, its content."""

    ts: str = ""


class SlackPinItem(SlackItem):
    """What was pinned."""

    message: SlackPinned = SlackPinned()


class SlackEvent(_Event):
    """What happened: `pin_added` or `reaction_added`; whatever else is not looked at."""

    type: str = ""
    user: str = ""
    reaction: str = ""
    channel_id: str = ""
    item: SlackPinItem = SlackPinItem()

    @model_validator(mode="before")
    @classmethod
    def _looked_at(cls, given: Any) -> Any:
        """Of other events nothing but the type: their fields of these names are of any shape."""
        if not isinstance(given, dict) or given.get("type") in _LOOKED_AT:
            return given
        return {"type": str(given.get("type", ""))}


class SlackAuthorization(_Event):
    """For whom it is told."""

    user_id: str = ""
    is_bot: bool = False


class SlackEventBody(_Event):
    """A request of the Events API, as far as it is looked at."""

    type: Literal["url_verification", "event_callback"] | str
    challenge: str = Field(default="", max_length=500)
    event_id: str = ""
    event: SlackEvent = SlackEvent()
    authorizations: tuple[SlackAuthorization, ...] = ()


class SlackEventAnswer(Frozen):
    """`challenge` as Slack sent it, when the address is set up; `noted`: what came of an event."""

    challenge: str = ""
    noted: str = ""


class SlackEvents:
    """The row; Slack's signature is its credential."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._index = RoomIndex(context.repository)

    def operations(self) -> list[ApiOperation]:
        """The rows of the table."""
        path = "/api/v1/hooks/slack/events"
        return [ApiOperation("POST", path, self.take, "slack", "hooks", sends=SlackEventBody)]

    async def take(self, call: Call[None, None, bytes]) -> SlackEventAnswer:
        """Take an event of Slack: a message pinned or marked in the room of an incident."""
        now = self._context.repository.clock()
        self._context.hooks.now.check_slack(call.request, call.sent, now)
        told = read_json(call.sent, SlackEventBody, _TITLE)
        if told.type == "url_verification":
            return SlackEventAnswer(challenge=told.challenge)
        return SlackEventAnswer(noted=await self._noted(told))

    async def _noted(self, told: SlackEventBody) -> str:
        """What came of it."""
        event, item = told.event, told.event.item
        if not self._marks(event):
            return "this marks no message"
        if any(a.is_bot and a.user_id == event.user for a in told.authorizations):
            return "this is our own mark"
        channel = item.channel or event.channel_id
        message = item.ts or item.message.ts
        incident = await self._index.find(_SLACK, channel) if channel and message else None
        if incident is None:
            return "this is no room of an incident that is open or was just closed"
        key, known = f"{channel}:{message}", incident.collaboration
        if key in known.noted or key == known.greeting:
            return "this stands in the timeline already"
        found = await self._fetched(channel, message)
        if found is None or found.own:
            return "this is no message of somebody else"
        return await self._note(incident.id, event.user, key, found)

    def _marks(self, event: SlackEvent) -> bool:
        if event.type == "pin_added":
            return event.item.type == "message"
        # A hand of another colour is the same mark: `+1::skin-tone-2`.
        marked = event.type == "reaction_added" and event.item.type == "message"
        return marked and event.reaction.partition("::")[0] in self._context.marks

    async def _fetched(self, channel: str, message: str) -> RoomMessage | None:
        """The message. Raises Temporary, upon which Slack tells of it again."""
        rooms: object = self._context.places.rooms
        if not isinstance(rooms, TendsRooms):
            return None
        try:
            async with asyncio.timeout(_PATIENCE):
                return await rooms.message(channel, message)
        except TimeoutError:
            raise Temporary("Slack does not tell the message in time") from None
        except Permanent as error:
            _log.warning("a marked message cannot be read", error=str(error))
            return None

    async def _note(self, incident: str, user: str, key: str, message: RoomMessage) -> str:
        roster = self._context.roster()
        people = {slack_user(roster, name): name for name in roster.people}
        marker, author = people.get(user, ""), people.get(message.user, "")
        text = " ".join(printable(_named(message.text, roster)).split())[:_NOTE_LENGTH]
        if not text:
            return "this has no words"
        who = printable(message.user)[:100]
        command = NoteFromRoom(author, who, text, key, message.link)
        by = "" if marker else _SLACK
        try:
            await self._context.carry_out(incident, command, marker, "webhook", by=by)
        except NotPossible as error:
            return f"not possible: {error}"
        return "taken"


def _named(text: str, roster: Roster) -> str:
    """The text with people's names for what Slack calls them."""
    for name in roster.people:
        user = slack_user(roster, name)
        if user:
            text = re.sub(rf"@{re.escape(user)}\b", f"@{name}", text)
    return text
