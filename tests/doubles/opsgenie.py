"""Opsgenie as far as we talk with it: the Alert API in, alert webhooks out."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from tests.doubles.serving import Double

KEY = "opsgenie's-own-api-key"
LIMITS = {"message": 130, "alias": 512, "description": 15_000, "entity": 512, "source": 100}
PRIORITIES = {"P1", "P2", "P3", "P4", "P5"}


class Opsgenie(Double):
    """`alerts` by alias: the newest of that name, with `status`, `acknowledged` and `count`.

    Like Opsgenie it says 202 at once, and drops what concerns no open alert afterwards. With
    `strict` it looks first and answers 404.
    """

    def __init__(self, *, strict: bool = False) -> None:
        super().__init__()
        self.strict = strict
        self.alerts: dict[str, dict[str, Any]] = {}
        self.opened: list[str] = []

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v2/alerts", self.create),
            web.post("/v2/alerts/{name}/{action:acknowledge|close}", self.act),
            web.put("/v2/alerts/{name}/{field:message|description|priority}", self.change),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """Open an alert, or count it once more while one of that alias is open."""
        refused = _stranger(request)
        if refused is not None:
            return refused
        try:
            said = await request.json()
        except ValueError:
            return _refusal(422, "Request body is not processable.", {"json": "not JSON"})
        errors = _wrong(said)
        if errors:
            return _refusal(422, "Request body is not processable.", errors)
        alias = said.get("alias") or uuid.uuid4().hex
        alert = self.alerts.get(alias)
        if alert is not None and alert["status"] == "open":
            alert["count"] += 1
            return _accepted()
        self.opened.append(alias)
        self.alerts[alias] = {
            **said,
            "id": str(uuid.uuid4()),
            "status": "open",
            "acknowledged": False,
            "count": 1,
        }
        return _accepted()

    async def change(self, request: web.Request) -> web.Response:
        """Change one field of an alert that is open; nobody is called by it."""
        refused = _stranger(request)
        if refused is not None:
            return refused
        name, field = request.match_info["name"], request.match_info["field"]
        alert = self.alerts.get(name) if request.query.get("identifierType") == "alias" else None
        said = await request.json()
        errors = _wrong({"message": "x", **said})
        if field not in said or errors:
            return _refusal(422, "Request body is not processable.", errors or {field: "missing"})
        if alert is None or alert["status"] != "open":
            return _refusal(404, "Alert does not exist", {}) if self.strict else _accepted()
        alert[field] = said[field]
        return _accepted()

    async def act(self, request: web.Request) -> web.Response:
        """Acknowledge or close. Without `identifierType=alias` the name is taken for an id."""
        refused = _stranger(request)
        if refused is not None:
            return refused
        name = request.match_info["name"]
        if request.query.get("identifierType") == "alias":
            alert = self.alerts.get(name)
        else:
            alert = next((a for a in self.alerts.values() if a["id"] == name), None)
        if alert is None or alert["status"] != "open":
            return _refusal(404, "Alert does not exist", {}) if self.strict else _accepted()
        if request.match_info["action"] == "close":
            alert["status"] = "closed"
        else:
            alert["acknowledged"] = True
        return _accepted()

    @staticmethod
    def webhook(
        action: str,
        alias: str,
        username: str,
        user_id: str = "",
        at: datetime | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[dict[str, str], bytes]:
        """Headers and body of a webhook: `action` is `Acknowledge`, `Close`, … `headers` are
        those that its settings add, a secret say: Opsgenie signs nothing."""
        moment = at or datetime.now(UTC)
        body = {
            "action": action,
            "alert": {
                "alertId": "4f8e4b9e-2a3b-4a54-8f3e-5c0f3e2f6f55-1764000000000",
                "alias": alias,
                "message": "shop",
                "username": username,
                "userId": user_id,
                "updatedAt": int(moment.timestamp() * 1000) * 1_000_000,
                "createdAt": int(moment.timestamp() * 1000),
                "source": "stopgap",
            },
            "source": {"name": "", "type": "web"},
            "integrationId": "37c8f316-17c6-49d7-899b-9c7e540c048d",
            "integrationName": "Stopgap",
            "integrationType": "Webhook",
        }
        return {"Content-Type": "application/json", **(headers or {})}, json.dumps(body).encode()


def _stranger(request: web.Request) -> web.Response | None:
    if request.headers.get("Authorization") == f"GenieKey {KEY}":
        return None
    return _refusal(401, "Could not authenticate", {})


def _wrong(said: Any) -> dict[str, str]:
    if not isinstance(said, dict) or not said.get("message"):
        return {"message": "Message can not be empty."}
    errors = {
        name: f"must have at most {most} characters"
        for name, most in LIMITS.items()
        if len(said.get(name, "").encode("utf-16-le")) > 2 * most
    }
    if said.get("priority", "P3") not in PRIORITIES:
        errors["priority"] = "should be one of P1, P2, P3, P4, P5"
    if not all(isinstance(value, str) for value in said.get("details", {}).values()):
        errors["details"] = "must be a map of strings"
    return errors


def _accepted() -> web.Response:
    said = {"result": "Request will be processed", "took": 0.3, "requestId": str(uuid.uuid4())}
    return web.json_response(said, status=202)


def _refusal(status: int, message: str, errors: dict[str, str]) -> web.Response:
    said: dict[str, Any] = {"message": message, "took": 0.0, "requestId": str(uuid.uuid4())}
    return web.json_response({**said, "errors": errors} if errors else said, status=status)
