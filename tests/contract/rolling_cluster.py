"""One workload whose controller takes its time, a step whenever somebody waits.

It stands in the place of the client of a cluster, so that a test can stop time between any two
steps of a rollout. A Deployment surges as its strategy says; a StatefulSet replaces one pod after
the other, from the last ordinal down to its partition.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from recovery_actions.kubernetes.errors import VersionConflict
from recovery_actions.kubernetes.names import Resource, WorkloadKind
from recovery_actions.kubernetes.objects import digest
from recovery_actions.kubernetes.waiting import PollPace

Raw = dict[str, Any]
NUMBER = "deployment.kubernetes.io/revision"
UID = "uid-1"
USUAL = {"maxSurge": 2, "maxUnavailable": 2}
"""Half of four pods may be missing, and half may be there besides."""


def _template(image: str) -> Raw:
    return {
        "metadata": {"labels": {"app": "checkout"}},
        "spec": {"containers": [{"name": "app", "image": image}]},
    }


class RollingCluster:
    """`pods` are (revision, available) by ordinal or by age. Pods of an image with `bad` in its
    name never become available. `before` is called ahead of each request, `after` behind it."""

    def __init__(self, kind: WorkloadKind, replicas: int = 4) -> None:
        self.kind = kind
        self.now = 0.0
        self.before: Callable[[str], None] = lambda method: None
        self.after: Callable[[str], None] = lambda method: None
        self.tick: Callable[[], None] = lambda: None
        self.revisions: list[Raw] = []
        usual = {"strategy": {"type": "RollingUpdate", "rollingUpdate": dict(USUAL)}}
        rolling = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}}
        self.raw: Raw = {
            "metadata": {"name": "checkout", "uid": UID, "generation": 1, "annotations": {}},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": "checkout"}},
                "template": _template("app:1"),
                **(usual if kind == "deployment" else rolling),
            },
            "status": {},
        }
        self.pods: list[tuple[str, bool]] = []
        self._step()
        self.pods = [(self._newest, True)] * replicas
        for _ in range(3):
            self._step()
        self.first = self._newest

    # ── what people see and do ────────────────────────────────────────────────────────────────

    @property
    def _newest(self) -> str:
        name: str = max(self.revisions, key=self._number)["metadata"]["name"]
        return name

    @property
    def image(self) -> str:
        image: str = self.raw["spec"]["template"]["spec"]["containers"][0]["image"]
        return image

    @property
    def paused(self) -> bool:
        return self.raw["spec"].get("paused") is True

    @property
    def partition(self) -> int:
        partition: int = self.raw["spec"]["updateStrategy"]["rollingUpdate"]["partition"]
        return partition

    def live(self, item: str) -> int:
        """So many pods are of a revision."""
        return sum(name == item for name, _ in self.pods)

    def deploy(self, image: str, *, wait: bool = True) -> str:
        """Somebody deploys an image; gives its revision."""
        self.raw["spec"]["template"] = _template(image)
        self.raw["metadata"]["generation"] += 1
        for _ in range(40 if wait else 1):
            self._step()
        return self._newest

    # ── as a client ───────────────────────────────────────────────────────────────────────────

    @property
    def pace(self) -> PollPace:
        async def sleep(seconds: float) -> None:
            self.now += seconds
            self._step()
            self.tick()

        return PollPace(sleep, lambda: self.now)

    async def get(self, resource: Resource) -> Raw:
        self.before("GET")
        if resource.plural == "replicasets":
            found = next(o for o in self.revisions if o["metadata"]["name"] == resource.name)
        else:
            found = self.raw
        self.after("GET")
        return copy.deepcopy(found)

    async def items(self, resource: Resource, selector: str = "", fields: str = "") -> list[Raw]:
        self.before("LIST")
        found = [] if resource.plural in {"pods", "events"} else self.revisions
        self.after("LIST")
        return copy.deepcopy(found)

    async def patch(
        self, resource: Resource, kind: str, body: Any, *, dry_run: bool = False
    ) -> Raw:
        self.before("DRY" if dry_run else "PATCH")
        patched = copy.deepcopy(self.raw)
        _json_patch(patched, body) if isinstance(body, list) else _merge(patched, body)
        if not dry_run:
            if patched["spec"] != self.raw["spec"]:
                patched["metadata"]["generation"] += 1
            self.raw = patched
        self.after("DRY" if dry_run else "PATCH")
        return copy.deepcopy(patched)

    # ── the controller ────────────────────────────────────────────────────────────────────────

    def _step(self) -> None:
        broken = {name for one in self.revisions if "bad" in str(one) for name in [_name(one)]}
        self.pods = [(name, name not in broken) for name, _ in self.pods]
        if self.kind == "deployment":
            self._deployment()
        else:
            self._statefulset()
        for one in self.revisions:
            mine = [ready for name, ready in self.pods if name == _name(one)]
            one["status"] = {"replicas": len(mine), "availableReplicas": sum(mine)}

    def _revision(self) -> str:
        wanted = digest(self.raw["spec"]["template"])
        found = [one for one in self.revisions if digest(self._of(one)) == wanted]
        if not found:
            found = [self._made(wanted)]
            self.revisions += found
        top = max(map(self._number, self.revisions))
        if self._number(found[0]) < top or not self._number(found[0]):
            self._renumber(found[0], top + 1)
        return _name(found[0])

    def _made(self, wanted: str) -> Raw:
        template = copy.deepcopy(self.raw["spec"]["template"])
        metadata = {
            "name": f"checkout-{wanted[:8]}",
            "uid": f"uid-{wanted[:8]}",
            "annotations": {},
            "ownerReferences": [{"uid": UID, "controller": True}],
        }
        if self.kind == "deployment":
            return {"metadata": metadata, "spec": {"template": template, "replicas": 0}}
        return {"metadata": metadata, "data": {"spec": {"template": template}}, "revision": 0}

    def _of(self, one: Raw) -> Raw:
        template: Raw = (one.get("spec") or one["data"]["spec"])["template"]
        return template

    def _number(self, one: Raw) -> int:
        if self.kind == "deployment":
            return int(one["metadata"]["annotations"].get(NUMBER, 0))
        return int(one["revision"])

    def _renumber(self, one: Raw, number: int) -> None:
        if self.kind == "deployment":
            one["metadata"]["annotations"][NUMBER] = str(number)
        else:
            one["revision"] = number

    def _deployment(self) -> None:
        wanted = self.raw["spec"]["replicas"]
        new = self._newest if self.paused else self._revision()
        if not self.paused:
            self._roll(new, wanted)
            self.raw["metadata"]["annotations"][NUMBER] = str(
                max(map(self._number, self.revisions))
            )
        self.raw["status"] = {
            "observedGeneration": self.raw["metadata"]["generation"],
            "replicas": len(self.pods),
            "updatedReplicas": self.live(new),
            "availableReplicas": sum(available for _, available in self.pods),
        }

    def _roll(self, new: str, wanted: int) -> None:
        """As many pods more as may surge, then as few as may be unavailable: within one step, for
        a controller waits for none of its own doing."""
        rolling = self.raw["spec"]["strategy"]["rollingUpdate"]
        surge, missing = rolling["maxSurge"], rolling["maxUnavailable"]
        for _ in range(2):
            more = min(wanted + surge - len(self.pods), wanted - self.live(new))
            self.pods += [(new, False)] * more
            old = sorted((pod for pod in self.pods if pod[0] != new), key=lambda pod: pod[1])
            for pod in old:
                ready = sum(available for _, available in self.pods)
                if not pod[1] or ready - 1 >= wanted - missing:
                    self.pods.remove(pod)

    def _statefulset(self) -> None:
        new = self._revision()
        for ordinal in reversed(range(self.partition, len(self.pods))):
            name, available = self.pods[ordinal]
            if name != new:
                self.pods[ordinal] = (new, False)
                break
            if not available:
                break
        self.raw["status"] = {
            "observedGeneration": self.raw["metadata"]["generation"],
            "readyReplicas": sum(available for _, available in self.pods),
            "updatedReplicas": self.live(new),
            "updateRevision": new,
        }


def _name(one: Raw) -> str:
    name: str = one["metadata"]["name"]
    return name


def _json_patch(raw: Raw, body: list[Raw]) -> None:
    for op in body:
        *path, last = (p.replace("~1", "/").replace("~0", "~") for p in op["path"].split("/")[1:])
        place = raw
        for part in path:
            place = place[part]
        if op["op"] == "test":
            if place.get(last) != op["value"]:
                raise VersionConflict(f"{op['path']} is not as it was")
        elif op["op"] == "remove":
            del place[last]
        else:
            assert op["op"] == "add" or last in place, op
            place[last] = copy.deepcopy(op["value"])


def _merge(raw: Raw, change: Raw) -> None:
    for key, value in change.items():
        if isinstance(value, dict) and value.get("$patch") == "replace":
            raw[key] = {k: copy.deepcopy(v) for k, v in value.items() if k != "$patch"}
        elif isinstance(value, dict):
            _merge(raw.setdefault(key, {}), value)
        else:
            raw[key] = value
