"""The double of Kubernetes is held to what a real API server (1.36) answered.

Not compared, for the actions do not read it: defaults that a server fills in, timestamps, hashes
in names, managedFields, conditions and the status in the middle of a rollout (the double runs its
controllers at once). Not played: watches and /version, which the actions do not use.
"""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.contract.kubernetes_double import TOKEN, Cluster, served

RECORDED = [
    json.loads(line)
    for line in (Path(__file__).parent.parent / "data/kubernetes-transcripts.jsonl")
    .read_text()
    .splitlines()
]
RIGHTS = {("get", "deployments"), ("list", "deployments"), ("watch", "deployments")} | {
    ("patch", "deployments"),
    ("get", "replicasets"),
    ("list", "replicasets"),
    ("get", "pods"),
    ("list", "pods"),
}
BOT = "system:serviceaccount:demo:rollback-bot"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
FILLED_IN = {
    "resources",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "imagePullPolicy",
    "restartPolicy",
    "terminationGracePeriodSeconds",
    "dnsPolicy",
    "securityContext",
    "schedulerName",
}
IN_SHORT = {"wrong type: 422", "selector immutable: 422"}
"""Their messages and details quote the whole object; the status, reason and code are compared."""


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with served(tmp_path) as cluster:
        yield cluster


def as_(cluster: Cluster, who: str | None) -> dict[str, str]:
    """The headers of that user, whose rights the double takes on."""
    cluster.admin = who == "admin"
    cluster.rights = None if who == "admin" else RIGHTS
    cluster.user = BOT if who == "restricted" else "admin"
    token = {"admin": TOKEN, "restricted": TOKEN, "wrong": "wrong"}.get(who or "")
    return {"Authorization": f"Bearer {token}"} if token else {}


def shape(body: Any) -> Any:
    """What is compared of an answer."""
    kind = body.get("kind", "")
    if kind == "Status":
        return body
    if "items" in body:
        return sorted((_item(item) for item in body["items"]), key=str)
    return _item(body), body["metadata"]["generation"]


def _item(raw: dict[str, Any]) -> Any:
    spec, metadata = raw["spec"], raw["metadata"]
    notes = metadata.get("annotations", {})
    template = spec.get("template", {"spec": spec})
    images = [container["image"] for container in template["spec"]["containers"]]
    return images, spec.get("replicas"), notes.get(HISTORY), metadata.get("labels", {}).get("app")


def translated(body: Any, versions: dict[str, str]) -> Any:
    """The request with the double's own resourceVersions and uids in the place of the recorded,
    and without what the real server had filled in, which the double does not."""
    if isinstance(body, dict):
        return {k: translated(v, versions) for k, v in body.items() if k not in FILLED_IN}
    if isinstance(body, list):
        return [translated(item, versions) for item in body]
    return versions.get(body, body) if isinstance(body, str) else body


async def test_it_answers_as_a_real_server_did(cluster: Cluster) -> None:
    versions: dict[str, str] = {}
    async with aiohttp.ClientSession(cluster.url) as http:
        for entry in RECORDED:
            note, asked, said = entry["note"], entry["request"], entry["response"]
            if "watch" in asked["path"] or asked["path"] == "/version":
                continue
            headers = as_(cluster, entry["who"])
            if asked.get("content_type"):
                headers["Content-Type"] = asked["content_type"]
            body = translated(copy.deepcopy(asked.get("body")), versions)
            data = json.dumps(body).encode() if body is not None else None
            async with http.request(
                asked["method"], asked["path"], headers=headers, data=data
            ) as answer:
                got = await answer.json()
                assert answer.status == said["status"], (note, got)
                assert answer.content_type == "application/json", note
            if got.get("kind") == "Status":
                _same_refusal(note, got, said["body"])
            elif "limit" in asked["path"]:
                assert len(got["items"]) == len(said["body"]["items"]) == 1, note
                assert got["metadata"]["continue"], note
            else:
                _remember(versions, said["body"], got)
                if "pods" not in asked["path"] and "mid-rollout" not in note:
                    assert shape(got) == shape(said["body"]), note


def _same_refusal(note: str, got: dict[str, Any], said: dict[str, Any]) -> None:
    if note in IN_SHORT:
        names = ("kind", "status", "reason", "code")
        got, said = ({name: body[name] for name in names} for body in (got, said))
    assert got == said, note


def _remember(versions: dict[str, str], said: dict[str, Any], got: dict[str, Any]) -> None:
    for name in ("resourceVersion", "uid"):
        if name in said.get("metadata", {}) and name in got.get("metadata", {}):
            versions.setdefault(said["metadata"][name], got["metadata"][name])


async def test_a_rollback_makes_an_old_revision_the_newest(cluster: Cluster) -> None:
    """As recorded: undone from revision 3, revision 2 is 4 and remembers that it was 2."""
    said = next(e for e in RECORDED if e["note"] == "replicasets after rollback")["response"]
    await test_it_answers_as_a_real_server_did(cluster)
    assert _revisions(cluster.all("replicasets")) == _revisions(said["body"]["items"])


def _revisions(replicasets: list[dict[str, Any]]) -> list[Any]:
    return sorted((_item(r)[0], r["metadata"]["annotations"][REVISION]) for r in replicasets)
