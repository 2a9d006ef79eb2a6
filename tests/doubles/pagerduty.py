"""PagerDuty as far as we talk with it: Events API v2 in, V3 webhooks out."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from tests.doubles.serving import Double

KEY = "R" * 32
LARGEST = 512 * 1024
SIGNING = "the webhook's own secret"


class PagerDuty(Double):
    """`alerts` by dedup key: the newest payload and the state; `opened` counts new alerts."""

    def __init__(self) -> None:
        super().__init__()
        self.alerts: dict[str, dict[str, Any]] = {}
        self.opened: list[str] = []
        self.events: list[dict[str, Any]] = []

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v2/enqueue", self.enqueue)]

    async def enqueue(self, request: web.Request) -> web.Response:
        """Take an event, as strictly as PagerDuty does."""
        body = await request.read()
        if len(body) > LARGEST:
            return web.Response(status=413, text="Request Entity Too Large")
        try:
            event = json.loads(body)
        except ValueError:
            event = None
        errors = self._wrong(event) if isinstance(event, dict) else ["the body is not JSON"]
        if errors:
            said = {"status": "invalid event", "message": "Event object is invalid"}
            return web.json_response({**said, "errors": errors}, status=400)
        if not event.get("dedup_key"):
            event["dedup_key"] = uuid.uuid4().hex
        self.events.append(event)
        self._apply(event)
        key = event["dedup_key"]
        said = {"status": "success", "message": "Event processed", "dedup_key": key}
        return web.json_response(said, status=202)

    def _wrong(self, event: dict[str, Any]) -> list[str]:
        errors = []
        if len(event.get("routing_key", "")) != 32:
            errors.append("Length of 'routing_key' is incorrect (should be 32 characters)")
        if len(event.get("dedup_key", "")) > 255:
            errors.append("'dedup_key' is too long")
        if event.get("event_action") not in {"trigger", "acknowledge", "resolve"}:
            errors.append("'event_action' is invalid")
        if event.get("event_action") != "trigger" and not event.get("dedup_key"):
            errors.append("'dedup_key' is missing or blank")
        if event.get("event_action") == "trigger":
            payload = event.get("payload", {})
            if not 0 < len(payload.get("summary", "")) <= 1024:
                errors.append("'payload.summary' must have 1 to 1024 characters")
            if payload.get("severity") not in {"critical", "error", "warning", "info"}:
                errors.append("'payload.severity' is invalid")
            if not payload.get("source"):
                errors.append("'payload.source' is missing")
        return errors

    def _apply(self, event: dict[str, Any]) -> None:
        """What is said of an alert that is not open is dropped; a trigger opens a new one."""
        key, action = event["dedup_key"], event["event_action"]
        alert = self.alerts.get(key)
        is_open = alert is not None and alert["state"] != "resolved"
        if action == "trigger":
            if not is_open:
                self.opened.append(key)
            state = alert["state"] if alert is not None and is_open else "triggered"
            self.alerts[key] = {"state": state, "payload": event["payload"], "event": event}
        elif alert is not None and is_open:
            alert["state"] = "acknowledged" if action == "acknowledge" else "resolved"

    @staticmethod
    def webhook(
        said: str,
        incident_key: str,
        agent: dict[str, Any] | None,
        occurred_at: datetime | None = None,
        event_id: str | None = None,
        signing: str = SIGNING,
    ) -> tuple[dict[str, str], bytes]:
        """Headers and body of a V3 webhook: `said` is `acknowledged`, `unacknowledged`, …"""
        identity = event_id or uuid.uuid4().hex
        body = json.dumps(
            {
                "event": {
                    "id": identity,
                    "event_type": f"incident.{said}",
                    "resource_type": "incident",
                    "occurred_at": (occurred_at or datetime.now(UTC)).isoformat(),
                    "agent": agent,
                    "client": None,
                    "data": {
                        "id": "PINC1",
                        "type": "incident",
                        "incident_key": incident_key,
                        "title": "shop",
                        "status": "acknowledged",
                        "assignees": [{"id": "PASSIGNED", "type": "user_reference"}],
                    },
                }
            }
        ).encode()
        digest = hmac.new(signing.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-PagerDuty-Signature": f"v1={digest}",
            "X-Webhook-Id": identity,
        }
        return headers, body


def user(identity: str) -> dict[str, Any]:
    """An agent who is a person."""
    return {"id": identity, "type": "user_reference", "summary": identity.title()}
