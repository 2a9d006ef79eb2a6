"""What runs behind the small API server: controllers that make revisions, kubelets that start pods.

An image with `bad` in its name never becomes ready.
"""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

from recovery_actions.kubernetes.objects import digest

Raw = dict[str, Any]
NAMESPACE = "demo"
REVISION = "deployment.kubernetes.io/revision"
CONTROLLER = "kube-controller-manager"


class Controllers:
    """They work on `objects`. `overdue`: a rollout that cannot end is past its deadline."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Raw] = {}
        self.overdue = False
        self.clock = datetime(2025, 3, 9, 12, 0, tzinfo=UTC)

    def add(self, plural: str, body: Raw, manager: str = "unknown") -> Raw:
        """Create an object."""
        raise NotImplementedError

    def all(self, plural: str) -> list[Raw]:
        """All objects of a collection, by name."""
        return [raw for (kind, _, _), raw in sorted(self.objects.items()) if kind == plural]

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
        had = next(iter(status.get("conditions", [])), {})
        if {**progress, "lastUpdateTime": had.get("lastUpdateTime")} == had:
            progress = had
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
