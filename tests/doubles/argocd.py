"""Argo CD as far as we talk with it: applications with a history, rollbacks, operations."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from tests.doubles.serving import Double

TOKEN = "argocd-token"
FIRST = datetime(2025, 3, 9, 12, 0, tzinfo=UTC)


class ArgoCD(Double):
    """`apps` by name. An operation ends at the `takes`-th look at it; with `fails` it ends as
    Failed, with that message. `health` is that of after a sync, one for each look from the first
    refresh on.
    """

    def __init__(self) -> None:
        super().__init__()
        self.apps: dict[str, dict[str, Any]] = {}
        self.takes = 1
        self.fails = ""
        self.fails_dry = ""
        self.forbids = False
        self.refreshed = False
        self.health: list[str] = []
        self.loses_answers = 0
        self.rollbacks: list[dict[str, Any]] = []
        self._left: dict[str, int] = {}

    def add(self, name: str, revisions: list[str], auto_sync: bool = False) -> dict[str, Any]:
        """An application on which these revisions were synced, an hour after each other."""
        app: dict[str, Any] = {
            "metadata": {"name": name, "namespace": "argocd"},
            "spec": {"project": "shop", "syncPolicy": {"automated": {}} if auto_sync else {}},
            "status": {"history": [], "health": {"status": "Healthy"}, "sync": {}},
        }
        self.apps[name] = app
        for revision in revisions:
            self.deploy(name, revision)
        return app

    def deploy(self, name: str, revision: str) -> None:
        """Somebody has synced to a revision."""
        history = self.apps[name]["status"]["history"]
        number = history[-1]["id"] + 1 if history else 0
        at = FIRST + timedelta(hours=number)
        entry = {"id": number, "revision": revision, "source": {"repoURL": "https://git/shop"}}
        entry |= {"deployStartedAt": _text(at), "deployedAt": _text(at + timedelta(seconds=20))}
        history.append(entry)

    def live(self, name: str) -> list[str]:
        """The revisions of the history, oldest first."""
        return [entry["revision"] for entry in self.apps[name]["status"]["history"]]

    def routes(self) -> list[web.RouteDef]:
        path = "/api/v1/applications/{name}"
        return [web.get(path, self.get), web.post(f"{path}/rollback", self.rollback)]

    async def get(self, request: web.Request) -> web.Response:
        """One application; looking is what makes time pass."""
        name = request.match_info["name"]
        refused = self._refused(request, request.query.get("project", ""))
        if refused is not None:
            return refused
        self._advance(name)
        app = self.apps[name]
        self.refreshed = self.refreshed or bool(request.query.get("refresh"))
        if self.refreshed and self.health:
            app["status"]["health"] = {"status": self.health.pop(0)}
        return web.json_response(app)

    async def rollback(self, request: web.Request) -> web.Response:
        """Begin a rollback, refused as Argo CD refuses."""
        if request.content_type != "application/json":
            return _error(415, 3, "Invalid content type")
        body = await request.json()
        refused = self._refused(request, body.get("project", ""))
        if refused is not None:
            return refused
        app = self.apps[request.match_info["name"]]
        policy = app["spec"]["syncPolicy"].get("automated")
        if policy is not None and policy.get("enabled", True):
            return _error(400, 9, "rollback cannot be initiated when auto-sync is enabled")
        entries = [e for e in app["status"]["history"] if e["id"] == body["id"]]
        if not entries:
            return _error(400, 3, f"application does not have deployment with id {body['id']}")
        if "operation" in app:
            return _error(400, 9, "another operation is already in progress")
        self.rollbacks.append(body)
        sync = {"revision": entries[0]["revision"], "prune": body["prune"]}
        if body["dryRun"]:
            sync["dryRun"] = True
        self.begin(request.match_info["name"], sync)
        if self.loses_answers and not body["dryRun"]:
            self.loses_answers -= 1
            return web.Response(status=502, text="<html>bad gateway</html>")
        return web.json_response(app)

    def begin(self, name: str, sync: dict[str, Any]) -> None:
        """An operation begins; whoever ordered it."""
        self.apps[name]["operation"] = {"sync": sync}
        self._left[name] = self.takes

    def _advance(self, name: str) -> None:
        app = self.apps[name]
        if "operation" not in app:
            return
        at = FIRST + timedelta(hours=len(app["status"]["history"]), minutes=self._left[name])
        operation = copy.deepcopy(app["operation"])
        state = {"operation": operation, "phase": "Running", "startedAt": _text(at)}
        self._left[name] -= 1
        if self._left[name] < 0:
            sync = app.pop("operation")["sync"]
            words = self.fails_dry if sync.get("dryRun") else self.fails
            state |= {"phase": "Failed" if words else "Succeeded", "message": words or "synced"}
            if not words and not sync.get("dryRun"):
                self.deploy(name, sync["revision"])
        app["status"]["operationState"] = state

    def _refused(self, request: web.Request, project: str) -> web.Response | None:
        name = request.match_info["name"]
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _error(401, 16, "invalid session: signature is invalid")
        if name not in self.apps and project:
            return _error(404, 5, f'applications.argoproj.io "{name}" not found')
        if name not in self.apps or self.forbids:
            return _error(403, 7, "permission denied")
        return None


def _error(status: int, code: int, message: str) -> web.Response:
    said = {"error": message, "code": code, "message": message}
    return web.json_response(said, status=status)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
