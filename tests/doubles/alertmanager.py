"""A stand-in for Alertmanager's API: what it lists, as version 0.25 answers it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from tests.doubles.serving import Double

CONFIG = """
route: {receiver: default, routes: [{receiver: stopgap, matchers: ['team="shop"']}]}
receivers: [{name: default}, {name: stopgap}]
"""


def firing(
    labels: Mapping[str, str],
    starts: str = "2026-11-23T14:02:00.123Z",
    *,
    silenced: str = "",
    inhibited: str = "",
    **status: Any,
) -> dict[str, Any]:
    """An alert as it is listed."""
    by = {"silencedBy": [silenced] if silenced else [], "inhibitedBy": [inhibited]}
    by["inhibitedBy"] = [inhibited] if inhibited else []
    return {
        "annotations": {"summary": "it fails"},
        "startsAt": starts,
        "endsAt": "2026-11-23T14:06:00.000Z",
        "updatedAt": "2026-11-23T14:02:00.000Z",
        "fingerprint": f"fp-{labels.get('service', 'x')}",
        "labels": {"alertname": "Fails", **labels},
        "receivers": [{"name": "stopgap"}],
        "status": {"state": "suppressed" if any(map(any, by.values())) else "active", **by}
        | status,
    }


class FakeAlertmanager(Double):
    """Lists `groups`: (receiver, group labels, alerts); started `age` ago."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: list[tuple[str, dict[str, str], list[dict[str, Any]]]] = []
        self.silences: dict[str, dict[str, Any]] = {}
        self.age = timedelta(hours=1)
        self.config = CONFIG
        self.cluster = 0
        self.filters: list[str] = []
        """What the list of alerts was last asked for by."""
        self.posted: list[dict[str, Any]] = []
        self.on_post: Callable[[dict[str, Any]], Awaitable[None]] | None = None
        """What becomes of an alert that somebody posts."""
        self.lists_posted = ""
        """The state in which it lists what was posted, if it does."""

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v2/status", self._status),
            web.get("/api/v2/alerts", self._alerts),
            web.post("/api/v2/alerts", self._post),
            web.get("/api/v2/alerts/groups", self._groups),
            web.get("/api/v2/silence/{id}", self._silence),
            web.get("/api/v2/silences", self._all_silences),
            web.post("/api/v2/silences", self._set_silence),
            web.delete("/api/v2/silence/{id}", self._end_silence),
        ]

    async def _status(self, _: web.Request) -> web.Response:
        began = (datetime.now(UTC) - self.age).isoformat(timespec="milliseconds")
        return web.json_response(
            {
                "cluster": {"status": "ready", "peers": [{}] * self.cluster},
                "config": {"original": self.config},
                "uptime": began.replace("+00:00", "Z"),
                "versionInfo": {"version": "0.25.0"},
            }
        )

    async def _alerts(self, request: web.Request) -> web.Response:
        self.filters = request.query.getall("filter", [])
        alerts = {a["fingerprint"]: a for _, _, some in self.groups for a in some}
        if self.lists_posted and self.posted:
            state = {"state": self.lists_posted, "silencedBy": [], "inhibitedBy": []}
            alerts["posted"] = firing(self.posted[-1]["labels"]) | {"status": state}
        return web.json_response(list(alerts.values()))

    async def _post(self, request: web.Request) -> web.Response:
        for alert in await request.json():
            self.posted.append(alert)
            if self.on_post is not None:
                await self.on_post(alert)
        return web.Response()

    async def _groups(self, request: web.Request) -> web.Response:
        wanted = re.compile(request.query["receiver"])
        return web.json_response(
            [
                {"receiver": {"name": receiver}, "labels": labels, "alerts": alerts}
                for receiver, labels, alerts in self.groups
                if wanted.fullmatch(receiver)
            ]
        )

    async def _silence(self, request: web.Request) -> web.Response:
        found = self.silences.get(request.match_info["id"])
        return web.json_response(found) if found else web.Response(status=404)

    async def _all_silences(self, _: web.Request) -> web.Response:
        return web.json_response(list(self.silences.values()))

    async def _set_silence(self, request: web.Request) -> web.Response:
        """As Alertmanager does: in place if matchers and start are the same, else the one that is
        named ends and another begins."""
        given = await request.json()
        named = given.pop("id", "")
        if named and named not in self.silences:
            return web.json_response(f"silence {named} not found", status=404)
        before = self.silences.get(named)
        start = datetime.fromisoformat(given["startsAt"])
        if start < datetime.now(UTC) and not before:
            given["startsAt"] = datetime.now(UTC).isoformat()
        same = before is not None and all(
            before[name] == given[name] for name in ("matchers", "startsAt")
        )
        if before is not None and not same:
            before["status"] = {"state": "expired"}
        identity = named if same else f"silence-{len(self.silences) + 1}"
        self.silences[identity] = {"id": identity, **given, "status": {"state": "active"}}
        return web.json_response({"silenceID": identity})

    async def _end_silence(self, request: web.Request) -> web.Response:
        found = self.silences.get(request.match_info["id"])
        if found is None:
            return web.Response(status=404)
        found["status"] = {"state": "expired"}
        return web.Response()
