"""E-mail and chat through apprise. For telling people, never as the only pager."""

from __future__ import annotations

import asyncio

from apprise import Apprise, NotifyType

from daemon.core.outcome import Permanent, Temporary
from daemon.core.ports import Page


class AppriseChannel:
    """Sends a page to one apprise URL (mailto://, slack://, …), which is a secret."""

    def __init__(self, url: str) -> None:
        self._apprise = Apprise()
        if not self._apprise.add(url):
            raise Permanent("apprise does not know this kind of URL; see its list of services")

    async def page(self, page: Page) -> str:
        """Deliver. apprise tells no reason for a failure, so each is Temporary."""
        body = f"{page.text}\n\n{page.link}"
        sent = await asyncio.to_thread(
            self._apprise.notify, body=body, title=page.title, notify_type=NotifyType.FAILURE
        )
        if not sent:
            raise Temporary("apprise could not deliver it")
        return "accepted by apprise"
