"""Slack as far as we talk with it: chat.postMessage and chat.update in, taps on buttons out."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from tests.doubles.serving import Double

TOKEN = "xoxb-secret-token"
SIGNING = "slack's own secret"
TEXTS = ("mrkdwn", "plain_text")
"""The types of text that a section may have; a button has plain text alone."""


class Slack(Double):
    """`messages` by (channel, ts), as they stand. `error`: what it refuses everything with."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: dict[tuple[str, str], dict[str, Any]] = {}
        self.error = ""

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/chat.postMessage", self.post),
            web.post("/api/chat.update", self.update),
        ]

    async def post(self, request: web.Request) -> web.Response:
        """A new message."""
        said = await self._said(request)
        if isinstance(said, web.Response):
            return said
        # A message to a user is one in the channel of the bot's talk with them.
        channel = said["channel"]
        channel = f"D{channel[1:]}" if channel.startswith("U") else channel
        ts = f"1764000000.{len(self.messages):06d}"
        self.messages[(channel, ts)] = said
        return web.json_response({"ok": True, "channel": channel, "ts": ts})

    async def update(self, request: web.Request) -> web.Response:
        """Another text for a message."""
        said = await self._said(request)
        if isinstance(said, web.Response):
            return said
        key = (said["channel"], said["ts"])
        if key not in self.messages:
            return web.json_response({"ok": False, "error": "message_not_found"})
        self.messages[key] = said
        return web.json_response({"ok": True, "channel": key[0], "ts": key[1]})

    async def _said(self, request: web.Request) -> dict[str, Any] | web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"ok": False, "error": "invalid_auth"})
        if self.error == "ratelimited":
            headers = {"Retry-After": "30"}
            return web.json_response(
                {"ok": False, "error": self.error}, status=429, headers=headers
            )
        if self.error:
            return web.json_response({"ok": False, "error": self.error})
        said: dict[str, Any] = await request.json()
        wrong = _wrong(said)
        return web.json_response({"ok": False, "error": wrong}) if wrong else said

    @staticmethod
    def tap(
        user: str, action: str, value: str, at: datetime, signing: str = SIGNING
    ) -> tuple[dict[str, str], bytes]:
        """Headers and body of a tap on a button."""
        payload = {
            "type": "block_actions",
            "user": {"id": user, "username": "x"},
            "actions": [{"action_id": action, "value": value, "type": "button"}],
        }
        return signed(urlencode({"payload": json.dumps(payload)}).encode(), at, signing)


def _wrong(said: dict[str, Any]) -> str:
    """Slack's word for what does not fit, or nothing."""
    blocks = said.get("blocks", [])
    if not said.get("channel"):
        return "channel_not_found"
    if not said.get("text") and not blocks:
        return "no_text"
    sections = [block["text"]["text"] for block in blocks if block["type"] == "section"]
    elements = [e for block in blocks if block["type"] == "actions" for e in block["elements"]]
    names = [element["action_id"] for element in elements]
    fits = (
        len(blocks) <= 50
        and all(b["text"]["type"] in TEXTS for b in blocks if b["type"] == "section")
        and all(element["text"]["type"] == "plain_text" for element in elements)
        and all(0 < len(text) <= 3000 for text in sections)
        and all(len(element["text"]["text"]) <= 75 for element in elements)
        and all(len(element.get("url", "")) <= 3000 for element in elements)
        and len(set(names)) == len(names)
    )
    return "" if fits else "invalid_blocks"


def signed(
    body: bytes, at: datetime, signing: str = SIGNING, timestamp: str | None = None
) -> tuple[dict[str, str], bytes]:
    """The body with Slack's signature."""
    stamp = timestamp if timestamp is not None else str(int(at.timestamp()))
    base = b"v0:" + stamp.encode() + b":" + body
    digest = hmac.new(signing.encode(), base, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={digest}",
    }
    return headers, body
