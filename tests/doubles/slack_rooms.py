"""Slack's channels as its documentation has them: made, filled, kept, archived, and what is pinned.

What the Web API answers is by https://docs.slack.dev/reference/methods: names are unique also among
archived channels, an archived one takes nothing more, whoever is in it cannot be invited again.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiohttp import web

from tests.doubles.slack import SIGNING, TOKEN, Slack, signed

BOT, BOT_ID = "U0BOT00", "B0BOT00"
SITE = "https://acme.slack.com/"
_NAME = re.compile(r"[a-z0-9_-]{1,80}")


@dataclass
class Channel:
    """One channel; `pinned` are the messages that are."""

    id: str
    name: str
    creator: str
    is_private: bool = False
    is_archived: bool = False
    topic: str = ""
    members: set[str] = field(default_factory=set)
    messages: list[dict[str, Any]] = field(default_factory=list)
    pinned: list[str] = field(default_factory=list)


class Refusal(Exception):
    """`{"ok": false, "error": …}`, with what else stands there."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.body = {"ok": False, "error": error, **more}


class SlackWorkspace(Slack):
    """A workspace with channels and users.

    `users`: who there is; `refuses`: the error that inviting this user gives. `limited`: so often a
    method answers 429, with a rest of `rest` seconds. `lost`: methods whose next answer is lost
    after the deed is done. `scopes`: methods that lack one, and its name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.channels: dict[str, Channel] = {}
        self.users = {BOT, "U0ADA00", "U0BO000"}
        self.refuses: dict[str, str] = {}
        self.limited: dict[str, int] = {}
        self.rest = 30
        self.lost: set[str] = set()
        self.scopes: dict[str, str] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.page = 2
        self.granted: str | None = None
        """What the bot may do, as the header of each answer says; None: no header says so."""
        self._ts = 0

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", "/api/{method}", self.serve)]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Any method, by its name."""
        method = request.match_info["method"]
        sent = await _sent(request)
        self.calls.append((method, sent))
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"ok": False, "error": "invalid_auth"})
        if self.limited.get(method, 0) > 0:
            self.limited[method] -= 1
            refused = {"ok": False, "error": "ratelimited"}
            return web.json_response(refused, status=429, headers={"Retry-After": str(self.rest)})
        try:
            if self.error:
                raise Refusal(self.error)
            if method in self.scopes:
                raise Refusal("missing_scope", needed=self.scopes[method], provided="chat:write")
            answer = {"ok": True, **getattr(self, f"_{method.replace('.', '_')}")(sent)}
        except Refusal as refusal:
            answer = refusal.body
        if method in self.lost:
            self.lost.discard(method)
            assert request.transport is not None
            request.transport.close()
        told = {} if self.granted is None else {"x-oauth-scopes": self.granted}
        return web.json_response(answer, headers=told)

    def called(self, method: str) -> list[dict[str, Any]]:
        """What was sent to a method, each time."""
        return [sent for name, sent in self.calls if name == method]

    def writes(self, channel: str, user: str, text: str, thread: str = "") -> str:
        """Somebody writes a message; its `ts`."""
        self._ts += 1
        message = {
            "type": "message",
            "user": user,
            "text": text,
            "ts": f"1764000000.{self._ts:06d}",
        }
        if thread:
            message["thread_ts"] = thread
        self.channels[channel].messages.append(message)
        return str(message["ts"])

    # ── the methods ──────────────────────────────────────────────────────────────────────────

    def _auth_test(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"url": SITE, "team": "acme", "user_id": BOT, "bot_id": BOT_ID}

    def _conversations_create(self, sent: dict[str, Any]) -> dict[str, Any]:
        name = str(sent["name"])
        if len(name) > 80:
            raise Refusal("invalid_name_maxlength")
        if not _NAME.fullmatch(name):
            raise Refusal("invalid_name_specials")
        if any(one.name == name for one in self.channels.values()):
            raise Refusal("name_taken")
        made = Channel(f"C0INC{len(self.channels):02d}", name, BOT, _true(sent.get("is_private")))
        made.members.add(BOT)
        self.channels[made.id] = made
        return {"channel": _shown(made)}

    def _users_conversations(self, sent: dict[str, Any]) -> dict[str, Any]:
        wanted = str(sent["types"]).split(",")
        found = [
            one
            for one in self.channels.values()
            if BOT in one.members
            and not (one.is_archived and _true(sent.get("exclude_archived")))
            and ("private_channel" if one.is_private else "public_channel") in wanted
        ]
        begin = int(sent.get("cursor") or 0)
        end = begin + min(self.page, int(sent["limit"]))
        cursor = str(end) if end < len(found) else ""
        listed = [_shown(one) for one in found[begin:end]]
        return {"channels": listed, "response_metadata": {"next_cursor": cursor}}

    def _conversations_invite(self, sent: dict[str, Any]) -> dict[str, Any]:
        channel = self._channel(sent)
        for user in str(sent["users"]).split(","):
            if user == BOT:
                raise Refusal("cant_invite_self")
            if user in channel.members:
                raise Refusal("already_in_channel")
            if user in self.refuses:
                raise Refusal(self.refuses[user])
            if user not in self.users:
                raise Refusal("user_not_found")
            channel.members.add(user)
        return {"channel": _shown(channel)}

    def _conversations_setTopic(self, sent: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        channel = self._channel(sent)
        if len(sent["topic"]) > 250:
            raise Refusal("too_long")
        channel.topic = sent["topic"]
        return {"channel": _shown(channel)}

    def _conversations_archive(self, sent: dict[str, Any]) -> dict[str, Any]:
        channel = self.channels.get(str(sent["channel"]))
        if channel is None:
            raise Refusal("channel_not_found")
        if channel.is_archived:
            raise Refusal("already_archived")
        channel.is_archived = True
        return {}

    def _conversations_history(self, sent: dict[str, Any]) -> dict[str, Any]:
        found = [m for m in self._readable(sent).messages if m.get("thread_ts", m["ts"]) == m["ts"]]
        return {"messages": _within(found, sent)}

    def _conversations_replies(self, sent: dict[str, Any]) -> dict[str, Any]:
        messages = self._readable(sent).messages
        named = next((m for m in messages if m["ts"] == sent["ts"]), None)
        if named is None:
            raise Refusal("thread_not_found")
        return {"messages": _within([named], sent)}

    def _chat_postMessage(self, sent: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        channel = self._channel(sent)
        ts = self.writes(channel.id, BOT, str(sent["text"]))
        channel.messages[-1] |= {"bot_id": BOT_ID, "blocks": sent.get("blocks", [])}
        return {"channel": channel.id, "ts": ts}

    def _pins_add(self, sent: dict[str, Any]) -> dict[str, Any]:
        channel, ts = self._channel(sent), str(sent["timestamp"])
        if ts in channel.pinned:
            raise Refusal("already_pinned")
        if all(message["ts"] != ts for message in channel.messages):
            raise Refusal("message_not_found")
        channel.pinned.append(ts)
        return {}

    def _readable(self, sent: dict[str, Any]) -> Channel:
        channel = self.channels.get(str(sent["channel"]))
        if channel is None:
            raise Refusal("channel_not_found")
        if BOT not in channel.members:
            raise Refusal("not_in_channel")
        return channel

    def _channel(self, sent: dict[str, Any]) -> Channel:
        channel = self._readable(sent)
        if channel.is_archived:
            raise Refusal("is_archived")
        return channel

    # ── what it tells ────────────────────────────────────────────────────────────────────────

    @staticmethod
    def event(
        event: dict[str, Any], at: datetime, number: int = 1, signing: str = SIGNING
    ) -> tuple[dict[str, str], bytes]:
        """Headers and body of an event; `number` makes its id."""
        body = {
            "type": "event_callback",
            "team_id": "T0ACME",
            "api_app_id": "A0STOPGAP",
            "event_id": f"Ev{number:08d}",
            "event_time": int(at.timestamp()),
            "event": event,
            "authorizations": [{"team_id": "T0ACME", "user_id": BOT, "is_bot": True}],
        }
        headers, sent = signed(json.dumps(body).encode(), at, signing)
        return {**headers, "Content-Type": "application/json"}, sent


def pin_added(user: str, channel: str, ts: str) -> dict[str, Any]:
    """A message was pinned."""
    item = {"type": "message", "channel": channel, "created_by": user, "message": {"ts": ts}}
    return {"type": "pin_added", "user": user, "channel_id": channel, "item": item}


def reaction_added(user: str, reaction: str, channel: str, ts: str) -> dict[str, Any]:
    """A message was marked."""
    item = {"type": "message", "channel": channel, "ts": ts}
    return {"type": "reaction_added", "user": user, "reaction": reaction, "item": item}


async def _sent(request: web.Request) -> dict[str, Any]:
    """What was sent, by whichever of its ways."""
    if request.content_type == "application/json":
        found: dict[str, Any] = await request.json()
        return found
    return {**request.query, **(await request.post())}


def _true(value: Any) -> bool:
    return str(value).lower() in {"1", "true"}


def _shown(channel: Channel) -> dict[str, Any]:
    return {
        "id": channel.id,
        "name": channel.name,
        "creator": channel.creator,
        "is_private": channel.is_private,
        "is_archived": channel.is_archived,
    }


def _within(messages: list[dict[str, Any]], sent: dict[str, Any]) -> list[dict[str, Any]]:
    """The newest first, between `oldest` and `latest`, which count if they are `inclusive`."""
    oldest, latest = sent.get("oldest") or "0", sent.get("latest") or "9"
    inclusive = _true(sent.get("inclusive"))
    found = [
        m
        for m in messages
        if oldest < m["ts"] < latest or (inclusive and m["ts"] in {oldest, latest})
    ]
    return found[::-1][: int(sent.get("limit") or 100)]
