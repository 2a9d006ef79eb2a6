"""A generic webhook pager: the page as JSON, signed if there is a secret."""

from __future__ import annotations

from typing import Any

import aiohttp

from daemon.adapters.http import Poster
from daemon.core.ports.notification import Page, Reminder


class WebhookPager:
    """POSTs a page; 2xx is the proof of delivery.

    The body holds the fields of `Page`, and `event`: page. All calls to respond to an incident have
    the same `dedup_key`. The signature is `v1=` and the hex HMAC-SHA256 of the body. The URL may
    hold a secret, so no error names it.
    """

    def __init__(
        self, session: aiohttp.ClientSession, url: str, secret: str | None, timeout: float
    ) -> None:
        self._poster = Poster(session, "the webhook", timeout, signing=secret)
        self._url = url

    async def page(self, page: Page) -> str:
        """Deliver. Temporary: 429, 5xx and network errors; Permanent: any other refusal."""
        return await self._send({"event": "page", **vars(page), "at": page.at.isoformat()})

    async def _send(self, content: dict[str, Any]) -> str:
        return f"answered {await self._poster.post(self._url, content)}"


class RemindingWebhook(WebhookPager):
    """One that knows from `event` what must not ring, and so can be told that too."""

    async def remind(self, reminder: Reminder) -> str:
        """Deliver; the body holds the fields of `Reminder`. Raises as `page`."""
        return await self._send({"event": "reminder", **vars(reminder)})
