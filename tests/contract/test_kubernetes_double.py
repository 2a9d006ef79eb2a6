"""The double of Kubernetes is held to what a real API server (1.36) answered.

Not compared, for the actions do not read it: defaults that a server fills in, timestamps, hashes
in names, managedFields of the recorded answers, conditions and the status in the middle of a
rollout (the double runs its controllers at once here, so that a watch tells of fewer steps); what
build of a server it is.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.contract.kubernetes_answers import (
    Refusal,
    json_patched,
    operations_of,
    selects,
    strategic,
)
from tests.contract.kubernetes_controllers import merged
from tests.contract.kubernetes_double import TOKEN, Cluster, served
from tests.contract.kubernetes_fields import owned_in, tree
from tests.contract.kubernetes_lab import manifest
from tests.contract.kubernetes_pods import is_ready, is_terminating

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
VERSION = re.compile(r"=(\d{3,})(?=&|$)")
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
            headers = as_(cluster, entry["who"])
            if asked.get("content_type"):
                headers["Content-Type"] = asked["content_type"]
            body = translated(copy.deepcopy(asked.get("body")), versions)
            data = json.dumps(body).encode() if body is not None else None
            path = VERSION.sub(lambda m: f"={versions.get(m[1], m[1])}", asked["path"])
            async with http.request(asked["method"], path, headers=headers, data=data) as answer:
                events = [json.loads(line) async for line in answer.content]
                got = events[0]
                assert answer.status == said["status"], (note, got)
                assert answer.content_type == "application/json", note
            if "watch" in asked["path"]:
                _same_story(note, events, said["body"])
            elif asked["path"] == "/version":
                assert got["major"] == said["body"]["major"]
            elif got.get("kind") == "Status":
                _same_refusal(note, got, said["body"])
            elif "limit" in asked["path"]:
                assert len(got["items"]) == len(said["body"]["items"]) == 1, note
                assert got["metadata"]["continue"], note
            else:
                _remember(versions, said["body"], got)
                if "pods" not in asked["path"] and "mid-rollout" not in note:
                    assert shape(got) == shape(said["body"]), note


def _same_story(note: str, got: list[dict[str, Any]], said: Any) -> None:
    """Both tell of the same changes, or of the same refusal in a stream that began with 200."""
    told = [json.loads(line) for line in said.splitlines()] if isinstance(said, str) else [said]
    got = [event for event in got if event["type"] != "BOOKMARK"]
    assert {e["type"] for e in got} == {e["type"] for e in told}, note
    if told[0]["type"] == "ERROR":
        got[0]["object"]["message"] = told[0]["object"]["message"]  # it names a resourceVersion
        assert got == told, note
        return
    assert shape(got[-1]["object"]) == shape(told[-1]["object"]), note
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in got]
    assert versions == sorted(set(versions)), note


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


# ── what no transcript holds ─────────────────────────────────────────────────────────────────

DEPLOYMENTS = "/apis/apps/v1/namespaces/demo/deployments"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


async def told(http: aiohttp.ClientSession, query: str) -> list[Any]:
    async with http.get(f"{DEPLOYMENTS}?watch=1&timeoutSeconds=5&{query}") as answer:
        events = [json.loads(line) async for line in answer.content]
    return [(e["type"], e["object"]["metadata"].get("name")) for e in events]


async def test_a_watch_begins_with_what_is_there_and_tells_what_comes(cluster: Cluster) -> None:
    cluster.add("deployments", manifest("deployment", "one", "app:1"))
    cluster.add("deployments", manifest("deployment", "two", "app:1"))
    async with aiohttp.ClientSession(cluster.url, headers=BEARER) as http:
        assert await told(http, "") == [("ADDED", "one"), ("ADDED", "two")]
        assert await told(http, "labelSelector=app%3Dtwo") == [("ADDED", "two")]
        assert await told(http, "fieldSelector=metadata.name%3Done") == [("ADDED", "one")]
        since = cluster.version
        cluster.put_image("one", "app:2")
        await http.delete(f"{DEPLOYMENTS}/two")
        query = f"resourceVersion={since}&allowWatchBookmarks=true"
        wanted = [("MODIFIED", "one"), ("DELETED", "two"), ("BOOKMARK", None)]
        # The spec and the status are two changes, as on a real server.
        assert list(dict.fromkeys(await told(http, query))) == wanted
        cluster.changes.forget(cluster.version)
        assert await told(http, query) == [("ERROR", None)]


async def test_a_watch_hears_of_a_change_while_it_waits(cluster: Cluster) -> None:
    cluster.add("deployments", manifest("deployment", "one", "app:1"))
    async with aiohttp.ClientSession(cluster.url, headers=BEARER) as http:
        query = f"watch=1&resourceVersion={cluster.version}&timeoutSeconds=1000"
        async with http.get(f"{DEPLOYMENTS}?{query}") as answer:
            cluster.put_image("one", "app:2")
            event = json.loads(await answer.content.readline())
    assert event["type"] == "MODIFIED"
    assert event["object"]["status"]["observedGeneration"] == 2


async def test_the_status_is_changed_in_its_own_place(cluster: Cluster) -> None:
    cluster.auto = False
    cluster.add("deployments", manifest("deployment", "one", "app:1"))
    body = json.dumps({"spec": {"replicas": 7}, "status": {"replicas": 5}})
    kind = BEARER | {"Content-Type": "application/merge-patch+json"}
    async with aiohttp.ClientSession(cluster.url, headers=kind) as http:
        await http.patch(f"{DEPLOYMENTS}/one/status", data=body)
        raw = cluster.get("deployments", "one")
        assert (raw["spec"]["replicas"], raw["status"]["replicas"]) == (2, 5)
        assert raw["metadata"]["generation"] == 1
        body = json.dumps({"spec": {"replicas": 7}, "status": {"replicas": 9}})
        await http.patch(f"{DEPLOYMENTS}/one", data=body)
        raw = cluster.get("deployments", "one")
        assert (raw["spec"]["replicas"], raw["status"]["replicas"]) == (7, 5)
        cluster.rights = RIGHTS
        async with http.patch(f"{DEPLOYMENTS}/one/status", data=body) as answer:
            assert answer.status == 403
            assert 'resource "deployments/status"' in (await answer.json())["message"]


@pytest.mark.parametrize(
    ("selector", "fits"),
    [
        ("app=a,tier in (web, api)", True),
        ("app==a,tier notin (web)", False),
        ("app!=b,other!=x", True),
        ("tier,!other", True),
        ("!tier", False),
        ("other in (a,b)", False),
        ("other notin (a,b)", True),
    ],
)
def test_selectors_are_read_as_the_api_reads_them(selector: str, fits: bool) -> None:
    assert selects(selector, {"app": "a", "tier": "web"}) is fits


def test_containers_are_merged_by_their_names_and_lists_by_json_are_not() -> None:
    before = {"c": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}], "x": 1, "y": {}}
    change = {"c": [{"name": "b", "image": "2"}], "x": None}
    assert strategic(before, change) == {
        "c": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}],
        "y": {},
    }
    assert merged(before, change) == {"c": [{"name": "b", "image": "2"}], "y": {}}
    gone = {"c": [{"name": "a", "$patch": "delete"}]}
    assert [one["name"] for one in strategic(before, gone)["c"]] == ["b"]
    assert strategic(before, {"$patch": "replace", "z": 1}) == {"z": 1}


def test_a_json_patch_inserts_appends_and_escapes() -> None:
    raw = {"l": [1, 2], "notes": {"a/b~c": "1"}}
    patch = [
        {"op": "test", "path": "/notes/a~1b~0c", "value": "1"},
        {"op": "add", "path": "/l/0", "value": 0},
        {"op": "add", "path": "/l/-", "value": 3},
        {"op": "replace", "path": "/l/1", "value": 9},
        {"op": "remove", "path": "/notes/a~1b~0c"},
    ]
    assert json_patched(raw, patch) == {"l": [0, 9, 2, 3], "notes": {}}
    for path in ("/l/x", "/l/9", "/nothing/here", "/l/0/deep"):
        with pytest.raises(Refusal):
            json_patched(raw, [{"op": "replace", "path": path, "value": 1}])


@pytest.mark.parametrize(
    ("operation", "after"),
    [
        ({"op": "replace", "path": "/absent", "value": 1}, {"absent": 1}),
        ({"op": "remove", "path": "/absent"}, None),
        ({"op": "remove", "path": "/l/-1"}, {"l": [1]}),
        ({"op": "test", "path": "/half", "value": 0.5}, {}),
        ({"op": "test", "path": "/one", "value": 1}, {}),
        ({"op": "test", "path": "/cpu", "value": "500m"}, {}),
        ({"op": "test", "path": "/cpu", "value": "0.5"}, None),
        ({"op": "test", "path": "/absent", "value": None}, {}),
        ({"op": "test", "path": "/in", "value": {"a": 1, "b": None}}, {}),
        ({"op": "test", "path": "/in", "value": {"a": 2}}, None),
    ],
)
def test_a_json_patch_compares_as_the_server_does(
    operation: dict[str, Any], after: dict[str, Any] | None
) -> None:
    raw = {"l": [1, 2], "half": 0.5, "one": 1, "cpu": "500m", "in": {"a": 1}}
    operations = operations_of(json.dumps([operation]).encode())
    if after is None:
        with pytest.raises(Refusal):
            json_patched(raw, operations)
    else:
        assert json_patched(raw, operations) == raw | after


@pytest.mark.parametrize("written", ["0.50", "5e-1", "1.0"])
def test_numbers_are_compared_as_they_are_written(written: str) -> None:
    path = "/one" if written == "1.0" else "/half"
    patch = f'[{{"op": "test", "path": "{path}", "value": {written}}}]'
    with pytest.raises(Refusal) as caught:
        json_patched({"half": 0.5, "one": 1}, operations_of(patch.encode()))
    assert caught.value.status == 422


def test_a_json_patch_has_an_end() -> None:
    many = json.dumps([{"op": "test", "path": "/a", "value": 1}] * 10_001).encode()
    with pytest.raises(Refusal) as caught:
        operations_of(many)
    assert (caught.value.status, caught.value.reason) == (413, "RequestEntityTooLarge")


# ── who owns what ────────────────────────────────────────────────────────────────────────────

APPLY = BEARER | {"Content-Type": "application/apply-patch+yaml"}


def owners(cluster: Cluster, *path: str) -> list[tuple[str, str]]:
    entries = cluster.get("deployments", "one")["metadata"]["managedFields"]
    return [
        (entry["manager"], entry["operation"])
        for entry in entries
        if path in owned_in(entry["fieldsV1"])
    ]


async def test_an_apply_owns_what_it_sets_and_takes_away_what_it_leaves_out(
    cluster: Cluster,
) -> None:
    config = manifest("deployment", "one", "app:1")
    config["metadata"]["annotations"] = {"a": "1", "b": "1"}
    note = ("f:metadata", "f:annotations", "f:b")
    async with aiohttp.ClientSession(cluster.url, headers=APPLY) as http:
        place = f"{DEPLOYMENTS}/one?fieldManager=ci"
        await http.patch(place, data=json.dumps(config))
        assert owners(cluster, *note) == [("ci", "Apply")]
        assert owners(cluster, "f:spec", "f:progressDeadlineSeconds") == []  # filled in
        cluster.edit("deployments", "one", {"metadata": {"annotations": {"b": "2"}}}, "someone")
        assert owners(cluster, *note) == [("someone", "Update")]
        async with http.patch(place, data=json.dumps(config)) as answer:
            assert answer.status == 409
            told = (await answer.json())["details"]["causes"][0]
            assert told["field"] == ".metadata.annotations.b"
        async with http.patch(f"{place}&force=true", data=json.dumps(config)) as answer:
            assert answer.status == 200
        assert owners(cluster, *note) == [("ci", "Apply")]
        config["metadata"]["annotations"] = {"a": "1"}
        await http.patch(place, data=json.dumps(config))
        assert "b" not in cluster.get("deployments", "one")["metadata"]["annotations"]
        async with http.patch(f"{DEPLOYMENTS}/one", data=json.dumps(config)) as answer:
            assert answer.status == 422  # an apply names its manager


async def test_whoever_writes_the_owners_down_changes_them(cluster: Cluster) -> None:
    cluster.add("deployments", manifest("deployment", "one", "app:1"), "ci", "Apply")
    cluster.put_image("one", "app:2", "someone")
    entries = copy.deepcopy(cluster.get("deployments", "one")["metadata"]["managedFields"])
    ci = next(entry for entry in entries if entry["manager"] == "ci")
    someone = next(entry for entry in entries if entry["manager"] == "someone")
    ci["fieldsV1"] = tree(owned_in(ci["fieldsV1"]) | owned_in(someone["fieldsV1"]))
    entries.remove(someone)
    kind = BEARER | {"Content-Type": "application/merge-patch+json"}
    container = ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"app"}')
    async with aiohttp.ClientSession(cluster.url, headers=kind) as http:
        body = json.dumps({"metadata": {"managedFields": entries}})
        await http.patch(f"{DEPLOYMENTS}/one?fieldManager=stopgap", data=body)
        assert owners(cluster, *container, "f:image") == [("ci", "Apply")]
        assert cluster.get("deployments", "one")["metadata"]["generation"] == 2
        body = json.dumps({"metadata": {"managedFields": [{}]}})
        await http.patch(f"{DEPLOYMENTS}/one", data=body)
        assert owners(cluster, *container, "f:image") == []
    cluster.apply("deployments", manifest("deployment", "one", "app:3"), "other")


# ── time ─────────────────────────────────────────────────────────────────────────────────────


async def test_pods_are_replaced_one_at_a_time(cluster: Cluster) -> None:
    for kind, plural in (("statefulset", "statefulsets"), ("daemonset", "daemonsets")):
        cluster.auto = True
        cluster.add(plural, manifest(kind, kind, "app:1", 3))  # type: ignore[arg-type]
        cluster.reconcile()
        cluster.auto = False
        cluster.put_image(kind, "app:2", plural=plural)
        pods = len(cluster.pods_of(cluster.get(plural, kind)))
        while cluster.step():
            there = cluster.pods_of(cluster.get(plural, kind))
            serving = [pod for pod in there if is_ready(pod) and not is_terminating(pod)]
            assert len(serving) >= pods - 1
        assert {pod["spec"]["containers"][0]["image"] for pod in there} == {"app:2"}


async def test_a_deployment_never_has_fewer_pods_than_wanted(cluster: Cluster) -> None:
    cluster.add("deployments", manifest("deployment", "one", "app:1", 3))
    cluster.reconcile()
    cluster.auto = False
    cluster.put_image("one", "app:2")
    most = 0
    while cluster.step():
        ready = [pod for pod in cluster.all("pods") if is_ready(pod) and not is_terminating(pod)]
        assert len(ready) >= 3
        most = max(most, len([pod for pod in cluster.all("pods") if not is_terminating(pod)]))
    assert most == 4
