"""Grafana OnCall by a formatted-webhook integration."""

from __future__ import annotations

import aiohttp

from daemon.adapters.http import Poster
from daemon.core.incident.events.pages import Settled
from daemon.core.ports.notification import Page


class GrafanaOncallPager:
    """One integration; its URL is the secret."""

    def __init__(self, session: aiohttp.ClientSession, url: str, timeout: float) -> None:
        self._poster = Poster(session, "Grafana OnCall", timeout)
        self._url = url

    async def page(self, page: Page) -> str:
        """Raise the alert, or add to it. Raises Temporary (429, 5xx, network) or Permanent."""
        links = "\n".join(filter(None, (page.answer_link, *page.link_lines)))
        message = f"{page.text}\n\n{links}".strip()
        alert = {
            "alert_uid": page.dedup_key,
            "title": page.title,
            "message": message,
            "state": "alerting",
            "link_to_upstream_details": page.link,
        }
        return f"answered {await self._poster.post(self._url, alert)}"

    async def amend_alert(self, page: Page, proof: str) -> str:
        """Add to the alert group that is open, which rings nobody anew."""
        return await self.page(page)

    async def update_alert(self, dedup_key: str, state: Settled) -> str:
        """Resolve. A formatted webhook cannot acknowledge, so that is not sent at all."""
        if state == "acknowledged":
            return "nothing sent: its webhook cannot acknowledge"
        alert = {"alert_uid": dedup_key, "state": "ok"}
        return f"answered {await self._poster.post(self._url, alert)}"
