"""An update as JSON to a webhook: a status page, a bridge to another chat."""

from __future__ import annotations

import aiohttp

from daemon.adapters.http import Poster
from daemon.core.ports.notification import Message, Receipt


class WebhookChannel:
    """POSTs the fields of `Message`, signed like a page. An edit is the same `update` again with
    a higher `version`, for the receiver to replace."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, secret: str | None, timeout: float
    ) -> None:
        self._poster = Poster(session, "the webhook", timeout, signing=secret)
        self._url = url

    async def post(self, message: Message) -> Receipt:
        """Raises Temporary (429, 5xx, network) or Permanent."""
        content = {**vars(message), "at": message.at.isoformat()}
        status = await self._poster.post(self._url, content)
        return Receipt(f"answered {status}", message.update)

    async def edit(self, reference: str, message: Message) -> Receipt:
        """Post the new version."""
        return await self.post(message)
