"""A page through apprise. For telling people, never as the only pager."""

from __future__ import annotations

from daemon.adapters.apprise import AppriseSender
from daemon.core.ports.notification import Page, Reminder
from daemon.core.values.outgoing import OutgoingPolicy

_ROOM = 500
"""Characters: what takes fewer is a text message, and gets the short form."""


class ApprisePager:
    """Sends to one apprise URL (mailto://, slack://, …), which is a secret, where `outgoing` lets
    it lead."""

    def __init__(self, url: str, outgoing: OutgoingPolicy) -> None:
        self._sender = AppriseSender(url, outgoing, paced=False)

    async def page(self, page: Page) -> str:
        """Raises Temporary; Permanent if the service redirects."""
        if self._sender.room < _ROOM:
            link = page.answer_link or page.link
            return await self._sender.send("", f"{page.short}\n{link}", failure=True)
        links = "\n".join(filter(None, (page.answer_link, page.link, *page.link_lines)))
        return await self._sender.send(page.title, f"{page.body}\n\n{links}", failure=True)

    async def remind(self, reminder: Reminder) -> str:
        """Raises Temporary; Permanent if the service redirects."""
        if self._sender.room < _ROOM:
            return await self._sender.send("", f"{reminder.title}\n{reminder.link}", failure=False)
        text = f"{reminder.text}\n\n{reminder.link}"
        return await self._sender.send(reminder.title, text, failure=False)
