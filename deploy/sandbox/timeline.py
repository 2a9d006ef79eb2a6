"""The incident's timeline, as the daemon tells it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import Any

import aiohttp
from sandbox import LOOK_EVERY, Sandbox
from telling import Teller

RULE = "checkout-success-rate"
SERVICE = "shop"

Entry = dict[str, Any]


class Timeline:
    """Follows the rule's incident."""

    def __init__(self, sandbox: Sandbox, teller: Teller) -> None:
        self.sandbox = sandbox
        self.teller = teller
        self.incident = ""
        self.entries: list[Entry] = []

    async def follow(self) -> None:
        """Tell each new entry as it comes."""
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):  # it may be just being restarted
                await self.look()
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Read the timeline once."""
        if not self.incident:
            self.incident = await self._ours()
        if self.incident:
            answer = await self.sandbox.api("GET", f"incidents/{self.incident}")
            fresh = answer["timeline"][len(self.entries) :]
            self.entries = answer["timeline"]
            for entry in fresh:
                at = datetime.fromisoformat(entry["at"])
                self.teller.entry(at, entry["kind"], entry["by"], entry["text"])

    async def _ours(self) -> str:
        for head in (await self.sandbox.api("GET", "incidents"))["incidents"]:
            incident = (await self.sandbox.api("GET", f"incidents/{head['id']}"))["incident"]
            if incident["rule"] == RULE and incident["labels"]["service"] == SERVICE:
                return str(incident["id"])
        return ""

    def found(self, kind: str) -> list[Entry]:
        """The entries of that kind, oldest first."""
        return [entry for entry in self.entries if entry["kind"] == kind]

    def tells(self, text: str) -> bool:
        """Whether an entry says just that."""
        return any(entry["text"] == text for entry in self.entries)
