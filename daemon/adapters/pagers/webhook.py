"""A generic webhook pager: the page as JSON, signed if there is a secret."""

from __future__ import annotations

import aiohttp

from daemon.adapters.http import Poster
from daemon.core.ports.notification import Page


class WebhookPager:
    """POSTs a page; 2xx is the proof of delivery.

    The body holds the fields of `Page`. All calls to respond to an incident have the same
    `dedup_key`. The signature is `v1=` and the hex HMAC-SHA256 of the body. The URL may hold a
    secret, so no error names it.
    """

    def __init__(
        self, session: aiohttp.ClientSession, url: str, secret: str | None, timeout: float
    ) -> None:
        self._poster = Poster(session, "the webhook", timeout, signing=secret)
        self._url = url

    async def page(self, page: Page) -> str:
        """Deliver. Temporary: 429, 5xx and network errors; Permanent: any other refusal."""
        content = {**vars(page), "at": page.at.isoformat()}
        return f"answered {await self._poster.post(self._url, content)}"
