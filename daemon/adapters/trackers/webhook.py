"""Follow-ups to a webhook, for trackers that have no adapter of their own."""

from __future__ import annotations

import aiohttp

from daemon.adapters.http import Poster
from daemon.core.ports.trackers import Issue, IssueDraft


class WebhookTracker:
    """POSTs the fields of `IssueDraft`, signed like a page. After a crash the same may come twice:
    the receiver knows it by its `marker`. It cannot be asked what became of an issue, so whoever
    closes one there tells it here (`POST /api/v1/incidents/…/follow-ups/…/state`)."""

    name = "webhook"

    def __init__(
        self, session: aiohttp.ClientSession, url: str, secret: str | None, timeout: float
    ) -> None:
        self._poster = Poster(session, "the webhook of follow-ups", timeout, signing=secret)
        self._url = url

    async def push(self, draft: IssueDraft) -> Issue:
        """Deliver. Raises Temporary (429, 5xx, network) or Permanent."""
        due = None if draft.due is None else draft.due.isoformat()
        await self._poster.post(self._url, {**vars(draft), "due": due})
        return Issue("")
