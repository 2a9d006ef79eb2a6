"""Opsgenie, and Jira Service Management's integrations of the same shape, by the Alert API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp

from daemon.adapters.http import Poster, shortened
from daemon.core.incident.events.pages import Settled
from daemon.core.ports.notification import Page

MESSAGE, DESCRIPTION, ALIAS = 130, 15_000, 512
PRIORITY = {"sev1": "P1", "sev2": "P2", "sev3": "P3", "sev4": "P4"}
_URGENT = "P1"
"""Of what was not measured yet."""
_ACTIONS = {"acknowledged": "acknowledge", "resolved": "close"}
ACCEPTED = frozenset({202})
UNKNOWN = frozenset({404})


class OpsgeniePager:
    """One API integration. 202 means accepted; Opsgenie works it off afterwards."""

    def __init__(
        self, session: aiohttp.ClientSession, api_key: str, url: str, timeout: float
    ) -> None:
        self._poster = Poster(
            session,
            "Opsgenie",
            timeout,
            headers={"Authorization": f"GenieKey {api_key}"},
            secrets=(api_key,),
            taken=ACCEPTED,
            error_text=_error_text,
        )
        self._url = url.rstrip("/") + "/v2/alerts"

    async def page(self, page: Page) -> str:
        """Create the alert; while it is open the same alias adds to its count. Raises Temporary
        (429, 5xx, network) or Permanent."""
        alert = {
            **_facts(page),
            "alias": page.dedup_key[:ALIAS],
            "source": "stopgap",
            "entity": page.incident,
            "details": {"incident": page.incident, "page": page.page, "person": page.person},
        }
        status = await self._poster.post(self._url, alert)
        return f"accepted ({status}); alias {alert['alias']}"

    async def amend_alert(self, page: Page, proof: str) -> str:
        """Change message, description and priority; the same alias would only be counted. An alert
        that it does not know any more is none to worry about."""
        alias = quote(page.dedup_key[:ALIAS], safe="")
        status = 0
        for field, value in _facts(page).items():
            url = f"{self._url}/{alias}/{field}?identifierType=alias"
            status = await self._poster.post(url, {field: value}, harmless=UNKNOWN, method="PUT")
        return "it knows no such alert" if status in UNKNOWN else f"accepted ({status})"

    async def update_alert(self, dedup_key: str, state: Settled) -> str:
        """Acknowledge or close; an alert that it does not know is none to worry about."""
        alias = quote(dedup_key[:ALIAS], safe="")
        url = f"{self._url}/{alias}/{_ACTIONS[state]}?identifierType=alias"
        status = await self._poster.post(url, {"source": "stopgap"}, harmless=UNKNOWN)
        return "it knows no such alert" if status in UNKNOWN else f"accepted ({status})"


def _facts(page: Page) -> dict[str, str]:
    """What an alert says of the incident."""
    links = "\n".join(filter(None, (page.answer_link, page.link, *page.link_lines)))
    # The end of a long text may be cut, the links must not be.
    room = max(DESCRIPTION - len(links) - 2, 1)
    return {
        "message": shortened(page.short or page.title, MESSAGE),
        "description": f"{shortened(page.text, room)}\n\n{links}",
        "priority": PRIORITY.get(page.severity, _URGENT),
    }


def _error_text(refusal: Mapping[str, Any]) -> str:
    """`{"message": "Request body is not processable.", "errors": {"message": "…"}}`."""
    errors = refusal.get("errors")
    listed = (
        "; ".join(f"{field}: {error}" for field, error in errors.items())
        if isinstance(errors, dict)
        else ""
    )
    return " ".join(filter(None, (str(refusal.get("message") or ""), listed)))
