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

from tests.contract.kubernetes_answers import (
    KINDS,
    OUTDATED,
    Refusal,
    about,
    foreign,
    json_patched,
    only,
    qualified,
    selects,
    strategic,
    valid,
)
from tests.contract.kubernetes_controllers import (
    NAMESPACE,
    Controllers,
    Raw,
    manage,
    merged,
    owner,
    stamp,
)
from tests.contract.kubernetes_watching import Changes, stream
from tests.doubles.serving import Double

TOKEN = "token-of-the-double"
APIS = {"api/v1", "apis/apps/v1", "apis/autoscaling/v2"}


class Cluster(Controllers, Double):
    """`before` is called with (method, plural, dry run) ahead of each request; it may change
    things. `rights` are the allowed (verb, plural), None for all; an `admin` may look at other
    namespaces. `tokens` are accepted, as those of `user`. So many `outdated` lists expire while
    they are read page by page."""

    def __init__(self, folder: Path) -> None:
        Controllers.__init__(self)
        Double.__init__(self)
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
            group, who = "" if plural == "pods" else "apps", self.user
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
        if (plural, namespace, name) not in self.objects:
            raise Refusal(404, f'{qualified(plural)} "{name}" not found', about(plural, name))
        if part not in ("", "status"):
            raise Refusal(404, "the server could not find the requested resource", {})
        if verb == "update":
            after = json.loads(data)
            self._fresh(plural, name, after)
            after = only(part, self.get(plural, name), after)
            return self._write(plural, name, after, request.query.get("fieldManager"))
        if verb == "patch":
            return self._patch(plural, name, part, request, data)
        if verb == "delete":
            return self._delete(plural, name, json.loads(data or b"{}"))
        return self.get(plural, name)

    def _list(self, plural: str, request: web.Request) -> Raw:
        wanted = request.query.get("labelSelector", "")
        found = [
            raw for raw in self.all(plural) if selects(wanted, raw["metadata"].get("labels", {}))
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
        before, body = self.get(plural, name), json.loads(data)
        content = request.headers.get("Content-Type", "")
        if content == "application/json-patch+json":
            after = json_patched(before, body, foreign(data))
        elif content in ("application/merge-patch+json", "application/strategic-merge-patch+json"):
            self._fresh(plural, name, body)
            after = (strategic if "strategic" in content else merged)(before, body)
        else:
            raise Refusal(415, "415: Unsupported Media Type", {})
        after = only(part, before, after)
        valid(plural, name, before, after)
        dry = request.query.get("dryRun") == "All"
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
        self.note()
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
        self.note()
        return self.get(plural, name)


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Cluster]:
    """A cluster on loopback, with a kubeconfig in the folder."""
    async with Cluster(folder).serving() as cluster:
        cluster.write_kubeconfig()
        yield cluster
