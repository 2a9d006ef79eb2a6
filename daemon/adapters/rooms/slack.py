"""An incident's room as a Slack channel, by the bot: made, filled, kept and archived.

A channel's name is made of the incident's id, so whoever crashed while it was made finds it again:
Slack gives a name once, and what it answers `name_taken` is looked for among the bot's own.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daemon.adapters.slack import (
    TEXT,
    SlackRefusal,
    ask_slack,
    bold,
    escaped,
    fitted,
    granted_scopes,
    plain_words,
    section,
    unescaped,
)
from daemon.core.ports.rooms import Invited, Room, RoomDraft, RoomMessage
from daemon.core.values.outcome import Permanent, Temporary

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient

CHANNEL_NAME = 80
"""Characters of a channel's name."""
CHANNEL_TOPIC = 250
"""Characters of a channel's topic."""
_ROOM_SCOPES = {
    False: "channels:manage channels:read channels:history",
    True: "groups:write groups:read groups:history",
}
"""What the bot needs for public rooms, and for private ones."""
_MORE_SCOPES = "chat:write pins:read pins:write reactions:read"
"""What it needs besides."""
_NAMES = 5
"""So many names are tried: the wanted one, and that with a number behind it."""
_PAGE, _MOST_PAGES = 200, 100
_LATEST = 100
"""Among so many of the newest messages the first one is looked for: the room is new then."""
_THERE = {"already_in_channel", "cant_invite_self"}
_THEIR_OWN = {
    "user_not_found": "Slack does not know that user: is `known_as.slack` right?",
    "users_not_found": "Slack does not know that user: is `known_as.slack` right?",
    "cant_invite": "Slack does not let the bot invite them; ask them to join",
    "user_is_restricted": "a guest cannot join channels; ask an admin of Slack",
    "user_is_ultra_restricted": "a guest cannot join channels; ask an admin of Slack",
    "ura_max_channels": "a guest cannot join more channels; ask an admin of Slack",
    "user_disabled": "their account in Slack is deactivated",
    "user_team_not_in_channel": "they are of another workspace",
    "org_user_not_in_team": "they are not in this workspace",
}
"""What is wrong with one user, and with no other."""


@dataclass(frozen=True)
class _Bot:
    """Who we are there. `site`: where the workspace is, with a final slash."""

    user: str
    bot: str
    site: str


class SlackRooms:
    """Rooms in one workspace. `private`: only whoever is invited sees them."""

    name = "slack"

    def __init__(self, client: AsyncWebClient, *, private: bool) -> None:
        self._client = client
        self._private = private
        self._known: _Bot | None = None

    async def missing_scopes(self) -> tuple[str, ...]:
        """What the bot may not do, and must; none if Slack does not say. Raises Temporary or
        Permanent."""
        granted = await granted_scopes(self._client)
        needed = f"{_MORE_SCOPES} {_ROOM_SCOPES[self._private]}".split()
        return () if granted is None else tuple(one for one in needed if one not in granted)

    async def open(self, draft: RoomDraft) -> Room:
        """Raises Temporary or Permanent, in Slack's own word."""
        for number in range(1, _NAMES + 1):
            name = channel_name(draft.name, number)
            try:
                made = await self._ask(
                    self._client.conversations_create(name=name, is_private=self._private)
                )
            except SlackRefusal as refusal:
                if refusal.code != "name_taken":
                    raise
                found = await self._own_channel(name)
                if found is None:
                    continue
                return await self._room(found)
            return await self._room(_mapping(made.get("channel")))
        raise Permanent(f"{_NAMES} names like {channel_name(draft.name, 1)} are taken in Slack")

    async def greet(self, key: str, draft: RoomDraft) -> str:
        """Raises Temporary or Permanent, in Slack's own word."""
        message = await self._greeting(key, draft.incident)
        if not message:
            words = section(bold(draft.title), draft.text)
            sent = await self._ask(
                self._client.chat_postMessage(
                    channel=key,
                    text=fitted(f"{draft.incident}: {draft.title}: {draft.text}", TEXT),
                    blocks=[words, _signed(draft)],
                    unfurl_links=False,
                    unfurl_media=False,
                )
            )
            message = str(sent.get("ts", ""))
        try:
            await self._ask(self._client.pins_add(channel=key, timestamp=message))
        except SlackRefusal as refusal:
            if refusal.code != "already_pinned":
                raise
        return _key(key, message)

    async def invite(self, key: str, users: Sequence[str]) -> Invited:
        """One by one, so that nobody stays outside for another's sake. Raises Permanent for what
        is wrong with the channel or the bot."""
        invited: list[str] = []
        refused: dict[str, str] = {}
        for user in users:
            try:
                await self._ask(self._client.conversations_invite(channel=key, users=user))
            except SlackRefusal as refusal:
                if refusal.code in _THEIR_OWN:
                    refused[user] = _THEIR_OWN[refusal.code]
                    continue
                if refusal.code not in _THERE:
                    raise
            except Temporary as trouble:
                return Invited(tuple(invited), refused, trouble)
            invited.append(user)
        return Invited(tuple(invited), refused)

    async def set_topic(self, key: str, topic: str) -> None:
        """Raises Temporary or Permanent, in Slack's own word."""
        setting = self._client.conversations_setTopic(
            channel=key, topic=fitted(topic, CHANNEL_TOPIC)
        )
        await self._ask(setting)

    async def archive(self, key: str, incident: str) -> None:
        """Raises Temporary or Permanent, in Slack's own word."""
        try:
            await self._ask(self._client.conversations_archive(channel=key))
        except SlackRefusal as refusal:
            # Whoever has deleted or archived it did what was to be done.
            if refusal.code not in {"already_archived", "channel_not_found", "is_archived"}:
                raise

    async def message(self, key: str, message: str) -> RoomMessage | None:
        """Raises Temporary or Permanent, in Slack's own word."""
        bounds: dict[str, Any] = {"latest": message, "oldest": message, "inclusive": True}
        found = await self._messages(
            self._client.conversations_history(channel=key, limit=1, **bounds)
        )
        if not any(one.get("ts") == message for one in found):  # what answers stands in its thread
            found = await self._messages(
                self._client.conversations_replies(channel=key, ts=message, limit=10, **bounds)
            )
        bot = await self._bot()
        for one in found:
            if one.get("ts") == message:
                return RoomMessage(
                    user=str(one.get("user") or one.get("username") or ""),
                    text=unescaped(str(one.get("text") or "")),
                    link=f"{bot.site}archives/{key}/p{message.replace('.', '')}",
                    own=_is(bot, one),
                )
        return None

    async def _greeting(self, key: str, incident: str) -> str:
        """The first message, if it stands there."""
        bot = await self._bot()
        for one in await self._messages(
            self._client.conversations_history(channel=key, limit=_LATEST)
        ):
            if _is(bot, one) and incident in str(one.get("text")):
                return str(one.get("ts", ""))
        return ""

    async def _messages(self, asking: Any) -> list[Mapping[str, Any]]:
        try:
            answer = await self._ask(asking)
        except SlackRefusal as refusal:
            if refusal.code in {"thread_not_found", "message_not_found"}:
                return []
            raise
        listed = answer.get("messages")
        return [_mapping(one) for one in listed] if isinstance(listed, list) else []

    async def _own_channel(self, name: str) -> Mapping[str, Any] | None:
        """The open channel of that name that the bot made."""
        bot = await self._bot()
        async for channel in self._channels():
            if channel.get("name") == name and channel.get("creator") == bot.user:
                return channel
        return None

    async def _channels(self) -> AsyncIterator[Mapping[str, Any]]:
        """The channels that the bot is in, and it is in all that it made; a workspace may have
        many thousands besides."""
        cursor = ""
        for _ in range(_MOST_PAGES):
            answer = await self._ask(
                self._client.users_conversations(
                    types="public_channel,private_channel",
                    exclude_archived=True,
                    limit=_PAGE,
                    cursor=cursor,
                )
            )
            listed = answer.get("channels")
            for channel in listed if isinstance(listed, list) else []:
                yield _mapping(channel)
            cursor = str(_mapping(answer.get("response_metadata")).get("next_cursor") or "")
            if not cursor:
                return

    async def _room(self, channel: Mapping[str, Any]) -> Room:
        key = str(channel.get("id") or "")
        if not key:
            raise Temporary("Slack gave a channel without an id; see slack.url")
        site = (await self._bot()).site
        return Room(key, f"{site}archives/{key}", f"#{channel.get('name', '')}")

    async def _bot(self) -> _Bot:
        if self._known is None:
            who = await self._ask(self._client.auth_test())
            site = str(who.get("url") or "https://slack.com/")
            self._known = _Bot(
                str(who.get("user_id") or ""),
                str(who.get("bot_id") or ""),
                f"{site.rstrip('/')}/",
            )
        return self._known

    async def _ask(self, asking: Any) -> Mapping[str, Any]:
        """A page in the place of an answer, of a proxy or of Slack's while it is worked on, is no
        refusal: it passes, and nobody else opens the room meanwhile."""
        try:
            return await ask_slack(self._client, asking)
        except SlackRefusal as refusal:
            if refusal.code != "status 200":
                raise
            raise Temporary("Slack gave an answer that is none; see slack.url") from None


def channel_name(wanted: str, number: int) -> str:
    """The name as Slack takes it: lower case letters, digits, hyphens and underscores, 80
    characters at most; from the second on with its number."""
    suffix = f"-{number}" if number > 1 else ""
    name = re.sub(r"[^a-z0-9_]+", "-", wanted.lower()).strip("-") or "incident"
    return name[: CHANNEL_NAME - len(suffix)].rstrip("-") + suffix


def _signed(draft: RoomDraft) -> dict[str, Any]:
    """By which incident it is: whoever crashed finds the message by it."""
    text = f"{escaped(draft.incident)} · <{escaped(draft.link)}|everything about it>"
    text += f" · <{escaped(draft.call)}|the call>" if draft.call else ""
    return {"type": "context", "elements": [plain_words(text)]}


def _key(channel: str, message: str) -> str:
    return f"{channel}:{message}"


def _is(bot: _Bot, message: Mapping[str, Any]) -> bool:
    """Whether the bot wrote it."""
    by = message.get("user"), message.get("bot_id")
    return bool(bot.user and by[0] == bot.user) or bool(bot.bot and by[1] == bot.bot)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
