"""A small API server with its controllers and kubelets, as far as the Kubernetes actions see it.

It follows what a real server was seen to answer: a stale write is 409, a JSON patch whose `test`
fails is 422, counters that are zero are absent. An image with `bad` in its name never becomes
ready. While `auto` is set, the controllers run to the end after each write; otherwise only when
`reconcile` is called.
"""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from recovery_actions.kubernetes.objects import digest
from tests.doubles.serving import Double

Raw = dict[str, Any]
NAMESPACE = "demo"
TOKEN = "token-of-the-double"
REVISION = "deployment.kubernetes.io/revision"
KINDS = {"deployments": "Deployment", "statefulsets": "StatefulSet", "daemonsets": "DaemonSet"}
REJECTED = "the server rejected our request due to an error in our request"
CONTROLLER = "kube-controller-manager"


class Refusal(Exception):
    """An answer other than 2xx."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.message, self.more = status, message, more


class Cluster(Double):
    """`before` is called with (method, plural, dry run) ahead of each request; it may change
    things. `rights` are the allowed (verb, plural), None for all. `tokens` are accepted."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.objects: dict[tuple[str, str, str], Raw] = {}
        self.before: Callable[[str, str, bool], None] | None = None
        self.mutate: Callable[[Raw], None] | None = None
        self.rights: set[tuple[str, str]] | None = None
        self.denied, self.tokens = "", {TOKEN}
        self.auto, self.overdue, self.page = True, False, 500
        self.version, self.clock = 100, datetime(2025, 3, 9, 12, 0, tzinfo=UTC)
        self.kubeconfig = folder / "kubeconfig"

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", "/{tail:.*}", self._handle)]

    def write_kubeconfig(self, **user: Any) -> Path:
        """As kubectl has it."""
        cluster = {"name": "c", "cluster": {"server": self.url}}
        context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [cluster],
            "users": [{"name": "u", "user": user or {"token": TOKEN}}],
            "contexts": [context],
            "current-context": "x",
        }
        self.kubeconfig.write_text(yaml.safe_dump(config))
        return self.kubeconfig

    # ── for tests, as an administrator ───────────────────────────────────────────────────────

    def get(self, plural: str, name: str) -> Raw:
        """The object itself."""
        return self.objects[plural, NAMESPACE, name]

    def all(self, plural: str) -> list[Raw]:
        """All objects of a collection, by name."""
        return [raw for (kind, _, _), raw in sorted(self.objects.items()) if kind == plural]

    def edit(self, plural: str, name: str, change: Raw, manager: str = "kubectl-edit") -> Raw:
        """Merge a change, as somebody else."""
        return self._write(plural, name, merged(self.get(plural, name), change), manager)

    def put_image(
        self, name: str, image: str, manager: str = "kubectl-set", plural: str = "deployments"
    ) -> None:
        """Deploy, as somebody else."""
        template = copy.deepcopy(self.get(plural, name)["spec"]["template"])
        template["spec"]["containers"][0]["image"] = image
        self.edit(plural, name, {"spec": {"template": template}}, manager)

    def touch(self, plural: str, name: str) -> None:
        """The status is written again: only the resourceVersion moves."""
        self.version += 1
        self.get(plural, name)["metadata"]["resourceVersion"] = str(self.version)

    def add(self, plural: str, body: Raw, manager: str = "unknown") -> Raw:
        """Create an object."""
        metadata = body.setdefault("metadata", {})
        metadata |= {"namespace": NAMESPACE, "uid": f"uid-{self.version + 1}", "generation": 1}
        metadata["creationTimestamp"] = stamp(self.clock)
        key = plural, NAMESPACE, metadata["name"]
        if key in self.objects:
            raise Refusal(409, f'{plural} "{key[2]}" already exists')
        self.objects[key] = {}
        self._write(plural, key[2], body, manager)
        return self.objects[key]

    def snapshot(self) -> Any:
        """All that could be changed."""
        return copy.deepcopy(self.objects)

    # ── requests ─────────────────────────────────────────────────────────────────────────────

    async def _handle(self, request: web.Request) -> web.Response:
        try:
            return web.json_response(self._answer(request, await request.read()))
        except Refusal as why:
            body = {"kind": "Status", "message": why.message, "code": why.status, **why.more}
            return web.json_response(body, status=why.status)

    def _answer(self, request: web.Request, data: bytes) -> Raw:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            raise Refusal(401, "Unauthorized")
        parts = request.path.strip("/").split("/")
        parts = parts[parts.index("namespaces") + 1 :]
        namespace, plural, name = parts[0], parts[1], parts[2] if len(parts) > 2 else ""
        verbs = {"GET": "get" if name else "list", "POST": "create"}
        verb = verbs.get(request.method, request.method.lower())
        if namespace != NAMESPACE or (
            self.rights is not None and (verb, plural) not in self.rights
        ):
            group = "" if plural == "pods" else "apps"
            raise Refusal(
                403,
                f'{plural} "{name}" is forbidden: User "stopgap" cannot {verb} resource "{plural}"'
                f' in API group "{group}" in the namespace "{namespace}"',
            )
        dry = request.query.get("dryRun") == "All"
        if self.before is not None:
            self.before(request.method, plural, dry)
        if verb == "list":
            return self._list(plural, request)
        if verb == "create":
            return self.add(plural, json.loads(data), "unknown")
        if (plural, namespace, name) not in self.objects:
            raise Refusal(404, f'{plural} "{name}" not found')
        if verb == "patch":
            return self._patch(plural, name, request, json.loads(data), dry)
        if verb == "delete":
            return self._delete(plural, name, json.loads(data or b"{}"))
        return self.get(plural, name)

    def _list(self, plural: str, request: web.Request) -> Raw:
        wanted = dict(t.split("=") for t in request.query.get("labelSelector", "").split(",") if t)
        found = [
            raw
            for raw in self.all(plural)
            if wanted.items() <= raw["metadata"].get("labels", {}).items()
        ]
        start = int(request.query.get("continue", 0))
        end = start + min(self.page, int(request.query.get("limit", self.page)))
        more = {"continue": str(end)} if end < len(found) else {}
        return {"metadata": more, "items": found[start:end]}

    def _patch(self, plural: str, name: str, request: web.Request, body: Any, dry: bool) -> Raw:
        if self.denied:
            raise Refusal(400, f'admission webhook "w" denied the request: {self.denied}')
        before = self.get(plural, name)
        content = request.headers.get("Content-Type", "")
        if content == "application/json-patch+json":
            after = json_patched(before, body)
        elif content.endswith("merge-patch+json"):
            for key in ("resourceVersion", "uid"):
                if (
                    body.get("metadata", {}).get(key, before["metadata"][key])
                    != (before["metadata"][key])
                ):
                    raise Refusal(409, "the object has been modified", reason="Conflict")
            after = merged(before, body)
        else:
            raise Refusal(415, "415: Unsupported Media Type")
        if after["spec"].get("replicas", 1) < 0:
            causes = [{"reason": "FieldValueInvalid", "field": "spec.replicas"}]
            raise Refusal(422, "spec.replicas: Invalid value: -1", details={"causes": causes})
        if self.mutate is not None:
            self.mutate(after)
        return after if dry else self._write(plural, name, after, request.query.get("fieldManager"))

    def _delete(self, plural: str, name: str, options: Raw) -> Raw:
        uid = self.get(plural, name)["metadata"]["uid"]
        if options.get("preconditions", {}).get("uid", uid) != uid:
            raise Refusal(409, "the UID in the precondition does not match")
        raw = self.objects.pop((plural, NAMESPACE, name))
        for key in [k for k, one in self.objects.items() if owner(one) == uid]:
            del self.objects[key]
        if self.auto:
            self.reconcile()
        return raw

    def _write(self, plural: str, name: str, after: Raw, manager: str | None) -> Raw:
        before = self.get(plural, name)
        if after == before:
            return before
        self.version += 1
        self.clock += timedelta(minutes=1)
        after["metadata"]["resourceVersion"] = str(self.version)
        spec, had = after.get("spec", {}), before.get("spec", {})
        if spec != had and before:
            after["metadata"]["generation"] += 1
        owned = {f"f:{k}": {} for k in spec if spec[k] != had.get(k)}
        manage(after, manager or "unknown", {"f:spec": owned} if owned else {}, self.clock)
        self.objects[plural, NAMESPACE, name] = after
        if self.auto and plural in KINDS:
            self.reconcile()
        return self.get(plural, name)

    # ── controllers and kubelets ─────────────────────────────────────────────────────────────

    def reconcile(self) -> None:
        """All controllers look at everything, and go as far as they can."""
        for raw in self.all("deployments"):
            self._deployment(raw)
        for plural in ("statefulsets", "daemonsets"):
            for raw in self.all(plural):
                self._by_revision(plural, raw)

    def _deployment(self, raw: Raw) -> None:
        status: Raw = raw.setdefault("status", {})
        status["observedGeneration"] = raw["metadata"]["generation"]
        if raw["spec"].get("paused"):
            return
        sets = [one for one in self.all("replicasets") if owner(one) == raw["metadata"]["uid"]]
        top = max((number(one) for one in sets), default=0)
        wanted = digest(raw["spec"]["template"])
        new = next((one for one in sets if digest(one["spec"]["template"]) == wanted), None)
        if new is None:
            new = self._replicaset(raw, wanted, top + 1)
            sets.append(new)
        elif number(new) < top:
            notes = new["metadata"]["annotations"]
            old = [notes.get(f"{REVISION}-history"), notes[REVISION]]
            notes[f"{REVISION}-history"] = ",".join(filter(None, old))
            notes[REVISION] = str(top + 1)
            manage(new, CONTROLLER, {"f:spec": {"f:replicas": {}}}, self.clock)
        notes = raw["metadata"].setdefault("annotations", {})
        notes[REVISION] = new["metadata"]["annotations"][REVISION]
        new["metadata"]["annotations"] |= {k: v for k, v in notes.items() if REVISION not in k}
        bad, replicas = is_bad(raw["spec"]["template"]), raw["spec"].get("replicas", 1)
        for one in sets:
            size = one["spec"]["replicas"] if bad else 0
            self._resize(one, (min(1, replicas) if bad else replicas) if one is new else size)
        count, of_new = sum(s["spec"]["replicas"] for s in sets), new["spec"]["replicas"]
        available = count - of_new if bad else of_new
        ended = "ProgressDeadlineExceeded" if self.overdue else "ReplicaSetUpdated"
        progress = {
            "type": "Progressing",
            "reason": ended if bad else "NewReplicaSetAvailable",
            "message": f"ReplicaSet {new['metadata']['name']}",
            "lastUpdateTime": stamp(self.clock),
        }
        counters = {"replicas": count, "updatedReplicas": of_new, "availableReplicas": available}
        raw["status"] = {
            "observedGeneration": raw["metadata"]["generation"],
            "conditions": [progress],
            **{k: v for k, v in {**counters, "readyReplicas": available}.items() if v},
        }

    def _replicaset(self, raw: Raw, wanted: str, revision: int) -> Raw:
        template = copy.deepcopy(raw["spec"]["template"])
        template["metadata"]["labels"]["pod-template-hash"] = wanted[:10]
        template["metadata"]["creationTimestamp"] = None
        metadata = {
            "name": f"{raw['metadata']['name']}-{wanted[:10]}",
            "labels": template["metadata"]["labels"],
            "annotations": {REVISION: str(revision)},
            "ownerReferences": owned_by(raw),
        }
        spec = {"replicas": 0, "template": template, "selector": raw["spec"]["selector"]}
        return self.add("replicasets", {"metadata": metadata, "spec": spec}, CONTROLLER)

    def _resize(self, one: Raw, size: int) -> None:
        if one["spec"]["replicas"] != size:
            one["spec"]["replicas"] = size
            manage(one, CONTROLLER, {"f:spec": {"f:replicas": {}}}, self.clock)
        pods = [pod for pod in self.all("pods") if owner(pod) == one["metadata"]["uid"]]
        for pod in pods[size:]:
            del self.objects["pods", NAMESPACE, pod["metadata"]["name"]]
        for index in range(len(pods), size):
            self._pod(f"{one['metadata']['name']}-{index}", one, one["spec"]["template"], {})

    def _by_revision(self, plural: str, raw: Raw) -> None:
        revision = self._controllerrevision(raw)
        name, count = revision["metadata"]["name"], raw["spec"].get("replicas", 2)
        first = raw["spec"].get("updateStrategy", {}).get("rollingUpdate", {}).get("partition", 0)
        label = {"controller-revision-hash": name}
        for index in reversed(range(count)):
            key = "pods", NAMESPACE, f"{raw['metadata']['name']}-{index}"
            pod = self.objects.get(key)
            if pod is not None and (index < first or revision_of(pod) == name):
                if not is_ready(pod):
                    break
                continue
            if pod is not None and plural == "statefulsets" and not is_ready(pod):
                break  # it waits for the broken pod, whatever the template says by now
            self.objects.pop(key, None)
            pod = self._pod(key[2], raw, raw["spec"]["template"], label)
            if not is_ready(pod):
                break
        pods = [pod for pod in self.all("pods") if owner(pod) == raw["metadata"]["uid"]]
        ready = sum(is_ready(pod) for pod in pods)
        new = sum(revision_of(pod) == name for pod in pods)
        had = raw.get("status", {}).get("currentRevision", name)
        status = {
            "observedGeneration": raw["metadata"]["generation"],
            "readyReplicas": ready,
            "updatedReplicas": new,
            "updateRevision": name,
            "currentRevision": name if new == ready == count else had,
            "desiredNumberScheduled": count,
            "updatedNumberScheduled": new,
            "numberAvailable": ready,
        }
        raw["status"] = {k: v for k, v in status.items() if v}

    def _controllerrevision(self, raw: Raw) -> Raw:
        known = [o for o in self.all("controllerrevisions") if owner(o) == raw["metadata"]["uid"]]
        top = max((one["revision"] for one in known), default=0)
        wanted = digest(raw["spec"]["template"])
        for one in known:
            if digest(one["data"]["spec"]["template"]) == wanted:
                if one["revision"] < top:
                    one["revision"] = top + 1
                    manage(one, CONTROLLER, {"f:revision": {}}, self.clock)
                return one
        metadata = {
            "name": f"{raw['metadata']['name']}-{wanted[:10]}",
            "labels": raw["spec"]["template"]["metadata"]["labels"],
            "ownerReferences": owned_by(raw),
        }
        template = {**copy.deepcopy(raw["spec"]["template"]), "$patch": "replace"}
        body = {"metadata": metadata, "data": {"spec": {"template": template}}}
        return self.add("controllerrevisions", {**body, "revision": top + 1}, CONTROLLER)

    def _pod(self, name: str, of: Raw, template: Raw, labels: dict[str, str]) -> Raw:
        bad = is_bad(template)
        waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
        container = {"state": waiting if bad else {"running": {}}, "restartCount": 3 * bad}
        metadata = {
            "name": name,
            "labels": {**template["metadata"]["labels"], **labels},
            "ownerReferences": owned_by(of),
        }
        pod = self.add("pods", {"metadata": metadata, "spec": template["spec"]}, CONTROLLER)
        pod["status"] = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "False" if bad else "True"}],
            "containerStatuses": [container],
        }
        return pod


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Cluster]:
    """A cluster on loopback, with a kubeconfig in the folder."""
    async with Cluster(folder).serving() as cluster:
        cluster.write_kubeconfig()
        yield cluster


# ── objects ──────────────────────────────────────────────────────────────────────────────────


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def owned_by(raw: Raw) -> list[Raw]:
    return [{"uid": raw["metadata"]["uid"], "controller": True}]


def owner(raw: Raw) -> str:
    return "".join(one["uid"] for one in raw["metadata"].get("ownerReferences", []))


def number(raw: Raw) -> int:
    return int(raw["metadata"]["annotations"][REVISION])


def revision_of(pod: Raw) -> str:
    return str(pod["metadata"]["labels"].get("controller-revision-hash"))


def is_bad(template: Raw) -> bool:
    return "bad" in template["spec"]["containers"][0]["image"]


def is_ready(pod: Raw) -> bool:
    return bool(pod["status"]["conditions"][0]["status"] == "True")


def manage(raw: Raw, manager: str, fields: Raw, at: datetime) -> None:
    """Note who changed what and when."""
    entries = raw["metadata"].setdefault("managedFields", [])
    entry = next((e for e in entries if e["manager"] == manager), None)
    if entry is None:
        entry = {"manager": manager, "operation": "Update", "fieldsV1": {}}
        entries.append(entry)
    entry["time"] = stamp(at)
    entry["fieldsV1"] = merged(entry["fieldsV1"], fields)


def merged(before: Any, change: Any) -> Any:
    """A merge patch, with the one directive of strategic merging that matters here."""
    if not isinstance(before, dict) or not isinstance(change, dict):
        return copy.deepcopy(change)
    if change.get("$patch") == "replace":
        return {k: copy.deepcopy(v) for k, v in change.items() if k != "$patch"}
    after = copy.deepcopy(before)
    for key, value in change.items():
        if value is None:
            after.pop(key, None)
        else:
            after[key] = merged(after.get(key), value)
            if isinstance(value, dict) and key not in before:
                after[key] = merged({}, value)
    return after


def json_patched(before: Raw, operations: list[Raw]) -> Raw:
    """A JSON patch; 422 if a test fails or a place is not there."""
    after = copy.deepcopy(before)
    for one in operations:
        keys = [k.replace("~1", "/").replace("~0", "~") for k in one["path"].split("/")[1:]]
        place: Any = after
        try:
            for key in keys[:-1]:
                place = place[int(key) if isinstance(place, list) else key]
            last: Any = int(keys[-1]) if isinstance(place, list) else keys[-1]
            if one["op"] == "test" and place[last] != one["value"]:
                raise KeyError(last)
            if one["op"] in ("replace", "remove"):
                place[last]  # must be there
            if one["op"] == "remove":
                del place[last]
            elif one["op"] in ("add", "replace"):
                place[last] = copy.deepcopy(one["value"])
        except (KeyError, IndexError) as error:
            raise Refusal(422, REJECTED, reason="Invalid", details={}) from error
    return after
