"""The API server as far as one Rollout of Argo Rollouts needs it, and its controller."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.doubles.serving import Double


class Rollouts(Double):
    """One Rollout, prod/checkout. An abort has taken the traffic away at the `takes`-th look."""

    def __init__(self) -> None:
        super().__init__()
        self.takes = 2
        self.forbids: set[str] = set()
        self.subresource = True
        self.raw: dict[str, Any] = {
            "metadata": {"name": "checkout", "namespace": "prod", "uid": "u-1"},
            "spec": {"replicas": 4},
            "status": {
                "currentPodHash": "7d9f",
                "stableRS": "5c4b",
                "phase": "Paused",
                "message": "CanaryPauseStep",
                "currentStepIndex": 1,
                "replicas": 5,
                "updatedReplicas": 1,
                "canary": {"weights": {"canary": {"weight": 20}, "stable": {"weight": 80}}},
                "conditions": [
                    {
                        "type": "Completed",
                        "status": "False",
                        "lastTransitionTime": "2025-03-09T14:00:00Z",
                    }
                ],
            },
        }

    @property
    def status(self) -> dict[str, Any]:
        """The status, to be changed at will."""
        status: dict[str, Any] = self.raw["status"]
        return status

    def kubeconfig(self, folder: Path) -> Path:
        """A kubeconfig that leads here."""
        name = {"name": "double"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{**name, "cluster": {"server": self.url}}],
            "users": [{**name, "user": {"token": "t"}}],
            "contexts": [{**name, "context": {"cluster": "double", "user": "double"}}],
            "current-context": "double",
        }
        path = folder / "kubeconfig"
        path.write_text(json.dumps(config))
        return path

    def routes(self) -> list[web.RouteDef]:
        path = "/apis/argoproj.io/v1alpha1/namespaces/prod/rollouts/checkout"
        return [
            web.get(path, self.get),
            web.patch(f"{path}/status", self.patch),
            web.patch(path, self.patch),
        ]

    async def get(self, request: web.Request) -> web.Response:
        """The Rollout; looking is what makes time pass."""
        if "get" in self.forbids:
            return _failure(403, 'User "stopgap" cannot get resource "rollouts"')
        if self.status.get("abort"):
            self.takes -= 1
            self.status["abortedAt"] = "2025-03-09T14:04:00Z"
            self.status["phase"] = "Degraded"
            if self.takes <= 0:
                self.status["canary"]["weights"]["canary"]["weight"] = 0
                self.status.pop("updatedReplicas", None)
        return web.json_response(self.raw)

    async def patch(self, request: web.Request) -> web.Response:
        """A JSON patch of the status."""
        if "patch" in self.forbids:
            return _failure(403, 'User "stopgap" cannot patch resource "rollouts/status"')
        if request.path.endswith("/status") != self.subresource:
            return _failure(404, "the server could not find the requested resource")
        if request.content_type != "application/json-patch+json":
            return _failure(415, "the body of the request was in an unknown format")
        after = copy.deepcopy(self.raw)
        for operation in await request.json():
            *path, last = operation["path"].split("/")[1:]
            inner = after
            for part in path:
                inner = inner[part]
            if operation["op"] == "test" and inner.get(last) != operation["value"]:
                return _failure(
                    422, "the server rejected our request due to an error in our request"
                )
            inner[last] = operation["value"]
        self.raw = after
        return web.json_response(after)


def _failure(status: int, message: str) -> web.Response:
    said = {"kind": "Status", "status": "Failure", "message": message, "code": status}
    return web.json_response(said, status=status)
