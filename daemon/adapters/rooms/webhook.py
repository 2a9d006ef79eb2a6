"""Rooms by a webhook, for chats that have no adapter of their own: Teams, Mattermost, Zulip, a
script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp

from daemon.adapters.http import Poster
from daemon.core.ports.rooms import Room, RoomDraft

_LENGTH = 500
"""Characters of an address or a key; a longer one is none."""


class WebhookRooms:
    """POSTs the fields of `RoomDraft` with `"event": "room.open"`, signed like a page, and at the
    end `{"event": "room.archive", "incident": …, "key": …}`.

    The answer may be JSON with `url`, `name`, `key` and `call`; what it lacks is not known. After
    a crash the same may come twice: the receiver knows it by its `incident`.
    """

    name = "webhook"

    def __init__(
        self, session: aiohttp.ClientSession, url: str, secret: str | None, timeout: float
    ) -> None:
        self._poster = Poster(session, "the webhook of rooms", timeout, signing=secret)
        self._url = url

    async def open(self, draft: RoomDraft) -> Room:
        """Raises Temporary (429, 5xx, network) or Permanent."""
        content = {"event": "room.open", **vars(draft), "at": draft.at.isoformat()}
        answer = await self._poster.ask(self._url, content)
        return Room(
            key=_word(answer, "key"),
            url=_address(answer, "url"),
            name=_word(answer, "name"),
            call=_address(answer, "call"),
        )

    async def archive(self, key: str, incident: str) -> None:
        """Raises Temporary (429, 5xx, network) or Permanent."""
        content = {"event": "room.archive", "incident": incident, "key": key}
        await self._poster.ask(self._url, content)


def _word(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    return value if isinstance(value, str) and len(value) <= _LENGTH else ""


def _address(answer: Mapping[str, Any], name: str) -> str:
    """An address of the web alone: people will tap on it."""
    value = _word(answer, name)
    sound = value.startswith(("https://", "http://")) and value.isprintable() and " " not in value
    return value if sound else ""
