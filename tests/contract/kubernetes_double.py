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
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from tests.contract.kubernetes_controllers import (
    NAMESPACE,
    Controllers,
    Raw,
    manage,
    merged,
    owner,
    stamp,
)
from tests.doubles.serving import Double

TOKEN = "token-of-the-double"
KINDS = {"deployments": "Deployment", "statefulsets": "StatefulSet", "daemonsets": "DaemonSet"}
REJECTED = "the server rejected our request due to an error in our request"


REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    415: "UnsupportedMediaType",
    422: "Invalid",
}


APIS = {"api/v1", "apis/apps/v1", "apis/autoscaling/v2"}


class Refusal(Exception):
    """An answer other than 2xx. `details` as the server has them; None where it has none."""

    def __init__(
        self, status: int, message: str, details: Raw | None = None, reason: str = ""
    ) -> None:
        super().__init__(message)
        self.status, self.details = status, details
        self.reason = reason or REASONS[status]

    @property
    def body(self) -> Raw:
        """The Status object."""
        body: Raw = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        body |= {"message": str(self), "reason": self.reason, "code": self.status}
        return body if self.details is None else {**body, "details": self.details}


def about(plural: str, name: str) -> Raw:
    """The details that name an object."""
    group = {} if plural == "pods" else {"group": "apps"}
    return {**({"name": name} if name else {}), **group, "kind": plural}


def qualified(plural: str) -> str:
    """A resource with its group, as messages have it."""
    return plural if plural == "pods" else f"{plural}.apps"


class Cluster(Controllers, Double):
    """`before` is called with (method, plural, dry run) ahead of each request; it may change
    things. `rights` are the allowed (verb, plural), None for all; an `admin` may look at other
    namespaces. `tokens` are accepted, as those of `user`."""

    def __init__(self, folder: Path) -> None:
        Controllers.__init__(self)
        Double.__init__(self)
        self.before: Callable[[str, str, bool], None] | None = None
        self.mutate: Callable[[Raw], None] | None = None
        self.rights: set[tuple[str, str]] | None = None
        self.denied, self.tokens = "", {TOKEN}
        self.auto, self.page = True, 500
        self.admin, self.user = False, "stopgap"
        self.version = 100
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
            text = f'{qualified(plural)} "{key[2]}" already exists'
            raise Refusal(409, text, about(plural, key[2]), "AlreadyExists")
        self.objects[key] = {}
        self._write(plural, key[2], body, manager)
        return self.objects[key]

    def snapshot(self) -> Any:
        """All that could be changed."""
        return copy.deepcopy(self.objects)

    # ── requests ─────────────────────────────────────────────────────────────────────────────

    async def _handle(self, request: web.Request) -> web.Response:
        try:
            answer = self._answer(request, await request.read())
            return web.json_response(answer, status=201 if request.method == "POST" else 200)
        except Refusal as why:
            return web.json_response(why.body, status=why.status)

    def _answer(self, request: web.Request, data: bytes) -> Raw:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.tokens:
            raise Refusal(401, "Unauthorized")
        parts = request.path.strip("/").split("/")
        if request.path.strip("/").partition("/namespaces/")[0] not in APIS:
            raise Refusal(404, "the server could not find the requested resource", {})
        parts = parts[parts.index("namespaces") + 1 :]
        namespace, plural, name = parts[0], parts[1], parts[2] if len(parts) > 2 else ""
        verbs = {"GET": "get" if name else "list", "POST": "create", "PUT": "update"}
        verb = verbs.get(request.method, request.method.lower())
        stranger = namespace != NAMESPACE and not self.admin
        denied = self.rights is not None and (verb, plural) not in self.rights
        if not token or stranger or denied:
            group, who = "" if plural == "pods" else "apps", self.user
            raise Refusal(
                403,
                f'{qualified(plural)} "{name}" is forbidden: User '
                f'"{who if token else "system:anonymous"}" cannot {verb} resource "{plural}"'
                f' in API group "{group}" in the namespace "{namespace}"',
                about(plural, name),
            )
        dry = request.query.get("dryRun") == "All"
        if self.before is not None:
            self.before(request.method, plural, dry)
        if verb == "list":
            return self._list(plural, request)
        if verb == "create":
            return self.add(plural, json.loads(data), "unknown")
        if (plural, namespace, name) not in self.objects:
            raise Refusal(404, f'{qualified(plural)} "{name}" not found', about(plural, name))
        if verb == "update":
            after = json.loads(data)
            self._fresh(plural, name, after)
            return self._write(plural, name, after, request.query.get("fieldManager"))
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
            self._fresh(plural, name, body)
            after = merged(before, body)
        else:
            raise Refusal(415, "415: Unsupported Media Type", {})
        valid(plural, name, before, after)
        if self.mutate is not None:
            self.mutate(after)
        if dry and after["spec"] != before["spec"]:
            after["metadata"]["generation"] += 1
        return after if dry else self._write(plural, name, after, request.query.get("fieldManager"))

    def _fresh(self, plural: str, name: str, body: Raw) -> None:
        """A body that names another version or another object than there is now is stale."""
        metadata = self.get(plural, name)["metadata"]
        for key in ("resourceVersion", "uid"):
            if body.get("metadata", {}).get(key, metadata[key]) != metadata[key]:
                raise Refusal(
                    409,
                    f'Operation cannot be fulfilled on {qualified(plural)} "{name}": the object '
                    "has been modified; please apply your changes to the latest version and try "
                    "again",
                    about(plural, name),
                )

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


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Cluster]:
    """A cluster on loopback, with a kubeconfig in the folder."""
    async with Cluster(folder).serving() as cluster:
        cluster.write_kubeconfig()
        yield cluster


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
            elif one["op"] != "test":
                raise KeyError(one["op"])
        except (KeyError, IndexError) as error:
            raise Refusal(422, REJECTED, {}) from error
    return after


def valid(plural: str, name: str, before: Raw, after: Raw) -> None:
    """Raises the Refusal of a spec that makes no sense."""
    kind, replicas = KINDS.get(plural, plural), after["spec"].get("replicas", 1)
    if not isinstance(replicas, int):
        raise Refusal(422, f' "" is invalid: patch: Invalid value: {json.dumps(after)!r}', {})
    if replicas < 0:
        wrong = f"Invalid value: {replicas}: must be greater than or equal to 0"
        cause = {"reason": "FieldValueInvalid", "message": wrong, "field": "spec.replicas"}
        details = {"name": name, "group": "apps", "kind": kind, "causes": [cause]}
        raise Refusal(422, f'{kind}.apps "{name}" is invalid: spec.replicas: {wrong}', details)
    if after["spec"].get("selector") != before["spec"].get("selector"):
        text = f'{kind}.apps "{name}" is invalid: spec.selector: field is immutable'
        raise Refusal(422, text, {"name": name, "group": "apps", "kind": kind})
