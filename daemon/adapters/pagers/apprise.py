"""A page through apprise. For telling people, never as the only pager."""

from __future__ import annotations

from daemon.adapters.apprise import AppriseSender
from daemon.core.ports.notification import Page, Reminder


class ApprisePager:
    """Sends to one apprise URL (mailto://, slack://, …), which is a secret."""

    def __init__(self, url: str) -> None:
        self._sender = AppriseSender(url)

    async def page(self, page: Page) -> str:
        """Raises Temporary: apprise tells no reason for a failure."""
        links = f"{page.answer_link}\n{page.link}".strip()
        return await self._sender.send(page.title, f"{page.text}\n\n{links}", failure=True)

    async def remind(self, reminder: Reminder) -> str:
        """Raises Temporary: apprise tells no reason for a failure."""
        text = f"{reminder.text}\n\n{reminder.link}"
        return await self._sender.send(reminder.title, text, failure=False)
