"""A page by mail."""

from __future__ import annotations

from daemon.adapters.mail import PostOffice
from daemon.core.ports.notification import Page, Reminder
from daemon.core.values.drill_key import marked_subject


class MailPager:
    """Writes to one address."""

    def __init__(self, post_office: PostOffice, address: str) -> None:
        self._post_office = post_office
        self._address = address

    async def page(self, page: Page) -> str:
        """Raises Temporary or Permanent."""
        lines = [page.body, ""]
        if page.answer_link:
            lines += ["Answer:", page.answer_link, ""]
        lines += ["Everything:", page.link]
        lines += ["", *page.link_lines] if page.links else []
        subject = marked_subject(f"[{page.severity or 'page'}]", page.title)
        return await self._post_office.send(
            [self._address], subject, "\n".join(lines), page.incident
        )

    async def remind(self, reminder: Reminder) -> str:
        """Raises Temporary or Permanent."""
        text = f"{reminder.text}\n\nEverything:\n{reminder.link}"
        return await self._post_office.send(
            [self._address], reminder.title, text, reminder.incident
        )
