"""PagerDuty by its Events API v2: trigger, acknowledge, resolve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp

from daemon.adapters.http import Poster, shortened
from daemon.core.incident.events.pages import Settled
from daemon.core.ports.notification import Page

SUMMARY = 1024
"""Characters; PagerDuty refuses more."""
DETAILS = 8_000
"""Characters of text; the whole event may have 512 KB."""
DEDUP_KEY = 255
_SEVERITY = {"sev1": "critical", "sev2": "error", "sev3": "warning", "sev4": "info"}
_URGENT = "error"
"""Of what was not measured yet: a lesser severity might ring nobody at night."""
_ACTIONS = {"acknowledged": "acknowledge", "resolved": "resolve"}
QUEUED = frozenset({202})


class PagerDutyPager:
    """One integration. 202 means queued there; that somebody was called is PagerDuty's word."""

    def __init__(
        self, session: aiohttp.ClientSession, routing_key: str, url: str, timeout: float
    ) -> None:
        self._poster = Poster(
            session,
            "PagerDuty",
            timeout,
            secrets=(routing_key,),
            taken=QUEUED,
            error_text=_error_text,
        )
        self._routing_key = routing_key
        self._url = url

    async def page(self, page: Page) -> str:
        """Trigger, with the facts of now. Raises Temporary (429, 5xx, network) or Permanent."""
        links = [{"href": page.link, "text": "The incident"}]
        if page.answer_link:
            links.insert(0, {"href": page.answer_link, "text": "Answer"})
        links += [{"href": url, "text": name} for name, url in page.links]
        first = page.body.partition("\n")[0]
        parts = dict.fromkeys(filter(None, (page.title, first)))
        payload = {
            "summary": shortened(" · ".join(parts), SUMMARY),
            "source": "stopgap",
            "severity": _SEVERITY.get(page.severity, _URGENT),
            "timestamp": page.at.isoformat(),
            "custom_details": {
                "incident": page.incident,
                "person": page.person,
                "page": page.page,
                "severity": page.severity or "not measured yet",
                "text": shortened(page.text, DETAILS),
            },
        }
        more = {"client": "Stopgap", "client_url": page.link, "links": links}
        return await self._send("trigger", page.dedup_key, {"payload": payload, **more})

    async def amend_alert(self, page: Page, proof: str) -> str:
        """Trigger once more: an open alert of that dedup key is updated, and rings nobody."""
        return await self.page(page)

    async def update_alert(self, dedup_key: str, state: Settled) -> str:
        """Acknowledge or resolve; PagerDuty drops it if no such alert is open."""
        return await self._send(_ACTIONS[state], dedup_key, {})

    async def _send(self, action: str, dedup_key: str, more: dict[str, Any]) -> str:
        key = dedup_key[:DEDUP_KEY]
        event = {
            "routing_key": self._routing_key,
            "event_action": action,
            "dedup_key": key,
            **more,
        }
        await self._poster.post(self._url, event)
        return f"queued; dedup key {key}"


def _error_text(refusal: Mapping[str, Any]) -> str:
    """`{"status": "invalid event", "message": "Event object is invalid", "errors": ["…"]}`."""
    errors = refusal.get("errors")
    listed = "; ".join(map(str, errors)) if isinstance(errors, list) else ""
    return listed or str(refusal.get("message") or "")
