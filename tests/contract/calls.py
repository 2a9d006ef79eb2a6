"""What the suites of pagers and channels share: a page, an update, and who takes any POST."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from daemon.core.ports.notification import Message, Page, Reminder
from tests.doubles.serving import Double

AT = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
INCIDENT = "1124-0200-abcd"
SECRET = "s3cr3t-9f8e7d"
HURRY = 0.2
"""Seconds that somebody has who will not answer anyway."""


def reminder() -> Reminder:
    """Word to Ada that something is due."""
    title = "Follow-up due today: test it"
    return Reminder(INCIDENT, "ada", title, "It is due.", "http://stopgap/i")


def page(**more: Any) -> Page:
    """A page to Ada."""
    given = {
        "incident": INCIDENT,
        "page": "r0.t0.ada",
        "person": "ada",
        "title": "shop: success rate 99.1 % → 90.3 %",
        "text": "shop: success rate 99.1 % → 90.3 % · rollback is running",
        "severity": "sev2",
        "link": "http://stopgap/d/x",
        "at": AT,
        "dedup_key": INCIDENT,
        "answer_link": "http://stopgap/a/x",
    }
    return Page(**{**given, **more})


def message(**more: Any) -> Message:
    """An update to the audience of support."""
    given = {
        "incident": INCIDENT,
        "update": "u1",
        "version": 1,
        "audience": "support",
        "title": "shop is degraded",
        "text": "shop is degraded (sev2)\nOne order in ten fails since 14:03 UTC.",
        "severity": "sev2",
        "stage": "recovery",
        "link": "http://stopgap/d/x",
        "at": AT,
    }
    return Message(**{**given, **more})


class Anything(Double):
    """Takes every POST with 202, or answers with `refusal`: a status and its JSON."""

    def __init__(self) -> None:
        super().__init__()
        self.refusal: tuple[int, Any] | None = None

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/{path:.*}", self.take)]

    async def take(self, _: web.Request) -> web.Response:
        """Whatever it is."""
        if self.refusal is not None:
            status, said = self.refusal
            return web.json_response(said, status=status)
        return web.json_response({"ok": True, "channel": "U1", "ts": "1.2"}, status=202)

    def body(self, number: int = -1) -> Any:
        """What was sent."""
        return json.loads(self.asked[number]["body"])


def nobody() -> str:
    """An address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"
