"""A small API server with its controllers and kubelets, as far as the Kubernetes actions see it.

It follows what a real server was seen to answer: a stale write is 409, a JSON patch whose `test`
fails is 422, counters that are zero are absent, whoever changes a field owns it alone. What
becomes of pods stands in the names of their images, see `kubernetes_pods`. While `auto` is set,
the controllers run to the end after each write; otherwise they go on by `step` and `reconcile`.
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

from tests.contract.kubernetes_answers import (
    CORE,
    KINDS,
    OUTDATED,
    Refusal,
    about,
    chosen,
    conflict,
    defaulted,
    foreign,
    json_patched,
    only,
    operations_of,
    qualified,
    selects,
    strategic,
    valid,
)
from tests.contract.kubernetes_controllers import Controllers, merged
from tests.contract.kubernetes_fields import ApplyConflict, applied, updated
from tests.contract.kubernetes_pods import NAMESPACE, Raw, copied, owner, stamp
from tests.contract.kubernetes_watching import Changes, stream
from tests.doubles.serving import Double

TOKEN = "token-of-the-double"
APPLY = "application/apply-patch+yaml"
APIS = {"api/v1", "apis/apps/v1", "apis/autoscaling/v2"}


class Cluster(Controllers, Double):
    """`before` is called with (method, plural, dry run) ahead of each request; it may change
    things, or raise a Refusal. `mutate` is a webhook that changes what is written. `rights` are
    the allowed (verb, plural), None for all; an `admin` may look at other namespaces. `tokens`
    are accepted, as those of `user`. So many `outdated` lists expire while they are read page
    by page."""

    def __init__(self, folder: Path) -> None:
        Double.__init__(self)
        Controllers.__init__(self)
        self.before: Callable[[str, str, bool], None] | None = None
        self.mutate: Callable[[Raw], None] | None = None
        self.rights: set[tuple[str, str]] | None = None
        self.denied, self.tokens = "", {TOKEN}
        self.auto, self.page = True, 500
        self.admin, self.user = False, "stopgap"
        self.version, self.outdated = 100, 0
        self.changes = Changes(self.version)
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
        after = merged(self.get(plural, name), change)
        updated(self.get(plural, name), after, manager, stamp(self.clock + timedelta(minutes=1)))
        return self._write(plural, name, after)

    def apply(self, plural: str, config: Raw, manager: str = "kubectl", force: bool = False) -> Raw:
        """`kubectl apply --server-side`, as somebody else. Raises the Refusal of a conflict."""
        name = config["metadata"]["name"]
        return self._write(plural, name, self._applied(plural, name, config, manager, force))

    def put_image(
        self, name: str, image: str, manager: str = "kubectl-set", plural: str = "deployments"
    ) -> None:
        """Deploy, as somebody else."""
        template = copied(self.get(plural, name)["spec"]["template"])
        template["spec"]["containers"][0]["image"] = image
        self.edit(plural, name, {"spec": {"template": template}}, manager)

    def touch(self, plural: str, name: str) -> None:
        """The status is written again: only the resourceVersion moves."""
        self.version += 1
        self.get(plural, name)["metadata"]["resourceVersion"] = str(self.version)

    def add(
        self, plural: str, body: Raw, manager: str = "unknown", operation: str = "Update"
    ) -> Raw:
        """Create an object."""
        given = copied(body)
        metadata = body.setdefault("metadata", {})
        metadata |= {"namespace": NAMESPACE, "uid": f"uid-{self.version + 1}", "generation": 1}
        metadata["creationTimestamp"] = stamp(self.clock)
        if plural in KINDS:
            defaulted(plural, body)
        key = plural, NAMESPACE, metadata["name"]
        if key in self.objects:
            text = f'{qualified(plural)} "{key[2]}" already exists'
            raise Refusal(409, text, about(plural, key[2]), "AlreadyExists")
        if operation == "Apply":
            # What the server fills in is nobody's.
            body = applied(body, given, manager, False, stamp(self.clock))
        elif plural in KINDS:
            updated({}, body, manager, stamp(self.clock))
        self.objects[key] = {}
        self._write(plural, key[2], body)
        return self.objects[key]

    def snapshot(self) -> Any:
        """All that could be changed."""
        self.note()
        return copy.deepcopy(self.objects)

    # ── requests ─────────────────────────────────────────────────────────────────────────────

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/version":
            return web.json_response({"major": "1", "minor": "36"})
        try:
            answer = self._answer(request, await request.read())
            if isinstance(answer, str):
                return await stream(request, self.changes, answer)
            return web.json_response(answer, status=201 if request.method == "POST" else 200)
        except Refusal as why:
            return web.json_response(why.body, status=why.status, headers=why.headers)

    def note(self) -> None:
        """Number what has changed, for those who watch."""
        self.version = self.changes.note(self.objects, self.version)

    def _answer(self, request: web.Request, data: bytes) -> Raw | str:
        """The body, or which collection is to be watched."""
        self.note()
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.tokens:
            raise Refusal(401, "Unauthorized")
        parts = request.path.strip("/").split("/")
        if request.path.strip("/").partition("/namespaces/")[0] not in APIS:
            raise Refusal(404, "the server could not find the requested resource", {})
        parts = parts[parts.index("namespaces") + 1 :]
        namespace, plural, name, part = [*parts, "", ""][:4]
        watch = not name and request.query.get("watch") in ("1", "true")
        listed = "watch" if watch else "list"
        verbs = {"GET": "get" if name else listed, "POST": "create", "PUT": "update"}
        verb = verbs.get(request.method, request.method.lower())
        asked = f"{plural}/{part}" if part else plural
        stranger = namespace != NAMESPACE and not self.admin
        denied = self.rights is not None and (verb, asked) not in self.rights
        if not token or stranger or denied:
            group, who = "" if plural in CORE else "apps", self.user
            raise Refusal(
                403,
                f'{qualified(plural)} "{name}" is forbidden: User '
                f'"{who if token else "system:anonymous"}" cannot {verb} resource "{asked}"'
                f' in API group "{group}" in the namespace "{namespace}"',
                about(plural, name),
            )
        dry = request.query.get("dryRun") == "All"
        if self.before is not None:
            self.before(request.method, plural, dry)
        if verb == "watch":
            return plural
        if verb == "list":
            return self._list(plural, request)
        if verb == "create":
            return self.add(plural, json.loads(data), "unknown")
        kind = request.headers.get("Content-Type", "")
        if kind == APPLY and (plural, namespace, name) not in self.objects:
            return self.add(plural, yaml.safe_load(data), manager_of(request), "Apply")
        if (plural, namespace, name) not in self.objects:
            raise Refusal(404, f'{qualified(plural)} "{name}" not found', about(plural, name))
        if part not in ("", "status"):
            raise Refusal(404, "the server could not find the requested resource", {})
        if verb == "update":
            after = json.loads(data)
            self._fresh(plural, name, after)
            before = self.get(plural, name)
            after = only(part, before, after)
            known = copied(before["metadata"].get("managedFields", []))
            after["metadata"].setdefault("managedFields", known)
            updated(before, after, manager_of(request), stamp(self.clock))
            return self._write(plural, name, after)
        if verb == "patch":
            return self._patch(plural, name, part, request, data)
        if verb == "delete":
            return self._delete(plural, name, json.loads(data or b"{}"))
        return self.get(plural, name)

    def _list(self, plural: str, request: web.Request) -> Raw:
        wanted, fields = (request.query.get(f"{k}Selector", "") for k in ("label", "field"))
        found = [
            raw
            for raw in self.all(plural)
            if selects(wanted, raw["metadata"].get("labels", {})) and chosen(fields, raw)
        ]
        start = int(request.query.get("continue", 0))
        if start and self.outdated:
            self.outdated -= 1
            raise Refusal(410, OUTDATED)
        end = start + min(self.page, int(request.query.get("limit", self.page)))
        metadata = {"resourceVersion": str(self.version)}
        if end < len(found):
            metadata |= {"continue": str(end), "remainingItemCount": len(found) - end}
        return {"metadata": metadata, "items": found[start:end]}

    def _patch(self, plural: str, name: str, part: str, request: web.Request, data: bytes) -> Raw:
        if self.denied:
            raise Refusal(400, f'admission webhook "w" denied the request: {self.denied}')
        before, manager = self.get(plural, name), manager_of(request)
        content, at = request.headers.get("Content-Type", ""), stamp(self.clock)
        if content == APPLY:
            force = request.query.get("force") in ("1", "true")
            named = request.query.get("fieldManager", "")
            after = self._applied(plural, name, yaml.safe_load(data), named, force)
        else:
            if content == "application/json-patch+json":
                after = json_patched(before, operations_of(data), foreign(data))
            elif content in MERGES:
                body = json.loads(data)
                self._fresh(plural, name, body)
                after = MERGES[content](before, body)
            else:
                raise Refusal(415, "415: Unsupported Media Type", {})
            after = only(part, before, after)
            valid(plural, name, before, after)
            if not all(after["metadata"].get("managedFields") or [{}]):
                after["metadata"]["managedFields"] = []  # [{}] gives all fields up
            updated(before, after, manager, at)
        if self.mutate is not None:
            self.mutate(after)  # what it changes is nobody's
        if request.query.get("dryRun") != "All":
            return self._write(plural, name, after)
        if after["spec"] != before["spec"]:
            after["metadata"]["generation"] += 1
        return after

    def _applied(self, plural: str, name: str, config: Raw, manager: str, force: bool) -> Raw:
        if not manager:
            wrong = "fieldManager: Required value: is required for apply patch"
            raise Refusal(422, f'PatchOptions.meta.k8s.io "" is invalid: {wrong}', {})
        self._fresh(plural, name, config)
        at = stamp(self.clock + timedelta(minutes=1))
        try:
            return applied(self.get(plural, name), config, manager, force, at)
        except ApplyConflict as found:
            raise conflict(found.causes) from None

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
        raw = self.get(plural, name)
        for key, found in options.get("preconditions", {}).items():
            there = raw["metadata"][key]
            if found != there:
                text = (
                    f"Precondition failed: {key.upper()} in precondition: {found}, {key.upper()} in"
                )
                text = f'Operation cannot be fulfilled on {qualified(plural)} "{name}": {text}'
                raise Refusal(409, f"{text} object meta: {there}", about(plural, name))
        uid = raw["metadata"]["uid"]
        if plural == "pods":
            self.end_pod(raw)
        elif options.get("propagationPolicy") == "Foreground":
            gone = {"deletionTimestamp": stamp(self.clock), "finalizers": ["foregroundDeletion"]}
            raw["metadata"] |= gone
        else:
            del self.objects[plural, NAMESPACE, name]
            for key in self._dependents(uid):
                del self.objects[key]
        if self.auto:
            self.reconcile()
        self.note()
        return raw

    def _dependents(self, uid: str) -> list[tuple[str, str, str]]:
        theirs = [
            (key, one["metadata"]["uid"]) for key, one in self.objects.items() if owner(one) == uid
        ]
        return [key for key, _ in theirs] + [k for _, u in theirs for k in self._dependents(u)]

    def _write(self, plural: str, name: str, after: Raw) -> Raw:
        before = self.get(plural, name)
        if after == before:
            return before
        self.version += 1
        self.clock += timedelta(minutes=1)
        after["metadata"]["resourceVersion"] = str(self.version)
        if before and after.get("spec", {}) != before.get("spec", {}):
            after["metadata"]["generation"] += 1
        self.objects[plural, NAMESPACE, name] = after
        if self.auto and plural in KINDS:
            self.reconcile()
        self.note()
        return self.get(plural, name)


MERGES: dict[str, Callable[[Any, Any], Any]] = {
    "application/merge-patch+json": merged,
    "application/strategic-merge-patch+json": strategic,
}


def manager_of(request: web.Request) -> str:
    """The field manager of a request; without one, the name of the program that asks."""
    return request.query.get("fieldManager") or "unknown"


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Cluster]:
    """A cluster on loopback, with a kubeconfig in the folder."""
    async with Cluster(folder).serving() as cluster:
        cluster.write_kubeconfig()
        yield cluster
