"""Grafana OnCall as far as we talk with it: a formatted webhook in, outgoing webhooks out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from tests.doubles.serving import Double

TOKEN = "the-integration's-own-token"


class GrafanaOncall(Double):
    """`groups` by alert_uid: the newest alert group of that name, `firing` or `resolved`.

    A group that is open takes further alerts of its name; an alert after that opens a new one,
    but an `ok` never does. It knows no acknowledgement.
    """

    def __init__(self) -> None:
        super().__init__()
        self.groups: dict[str, dict[str, Any]] = {}
        self.opened: list[str] = []

    @property
    def integration(self) -> str:
        """The address of the integration, which holds its token."""
        return f"{self.url}/integrations/v1/formatted_webhook/{TOKEN}/"

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/integrations/v1/formatted_webhook/{token}/", self.alert)]

    async def alert(self, request: web.Request) -> web.Response:
        """Take an alert; whatever JSON it is, as OnCall does."""
        if request.match_info["token"] != TOKEN:
            return web.Response(status=403, text="Integration key was not found.")
        try:
            said = await request.json()
        except ValueError:
            return web.Response(status=400, text="Bad Request")
        uid, over = said.get("alert_uid", ""), said.get("state", "").upper() == "OK"
        group = self.groups.get(uid)
        if group is not None and group["state"] != "resolved":
            group["alerts"].append(said)
            group["state"] = "resolved" if over else group["state"]
        elif not over:
            self.opened.append(uid)
            self.groups[uid] = {"state": "firing", "alerts": [said]}
        return web.Response(text="Ok.")

    @staticmethod
    def webhook(
        said: str,
        alert_uid: str,
        user: dict[str, str] | None,
        at: datetime | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[dict[str, str], bytes]:
        """Headers and body of an outgoing webhook: `said` is `acknowledge`, `resolve`, … `user`
        is None when nobody did it. `headers` are those that its settings add, a secret say:
        OnCall signs nothing."""
        moment = (at or datetime.now(UTC)).isoformat()
        body = {
            "event": {"type": said, "time": moment},
            "user": user,
            "alert_group": {"id": "I68T24C13IFW1", "title": "shop", "state": f"{said}d"},
            "alert_group_id": "I68T24C13IFW1",
            "alert_payload": {"alert_uid": alert_uid, "title": "shop", "state": "alerting"},
            "integration": {"id": "CRV8A5MXC751A", "type": "formatted_webhook"},
            "users_to_be_notified": [],
            "responses": {},
        }
        return {"Content-Type": "application/json", **(headers or {})}, json.dumps(body).encode()


def person(identity: str, username: str, email: str) -> dict[str, str]:
    """Somebody who did something in OnCall."""
    return {"id": identity, "username": username, "email": email}
