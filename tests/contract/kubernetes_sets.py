"""The controllers of StatefulSets and DaemonSets on the double: one pod at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from recovery_actions.kubernetes.objects import digest
from tests.contract.kubernetes_pods import (
    CONTROLLER,
    NAMESPACE,
    Kubelets,
    QuotaExceeded,
    Raw,
    copied,
    is_ready,
    is_terminating,
    owned_by,
    owner,
    stamp,
)

NODES = 2


class Sets(Kubelets):
    """`gates` are the feature gates that are on; by default as in 1.36."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = {"MaxUnavailableStatefulSet"}

    def step_statefulset(self, raw: Raw) -> bool:
        """What its controller does at once: as a rule one pod. Whether it did anything."""
        before = copied(raw.get("status"))
        update = self._controllerrevision(raw)["metadata"]["name"]
        status: Raw = raw.setdefault("status", {})
        current = status.setdefault("currentRevision", update)
        did = False
        if "deletionTimestamp" not in raw["metadata"]:
            did = self._statefulset(raw, update, current)
        self._statefulset_status(raw, update)
        return did or raw["status"] != before

    def _statefulset(self, raw: Raw, update: str, current: str) -> bool:
        spec = raw["spec"]
        start, count = spec.get("ordinals", {}).get("start", 0), spec.get("replicas", 1)
        ordered = spec.get("podManagementPolicy") != "Parallel"
        pods = {ordinal(pod): pod for pod in self.pods_of(raw)}
        first = start + partition_of(spec)
        did = False
        for index in range(start, start + count):
            pod = pods.get(index)
            if pod is None:
                revision = update if index >= first else current
                did = self._stateful_pod(raw, index, revision) or did
                if ordered:
                    return did
            elif ordered and (is_terminating(pod) or not is_ready(pod)):
                return did  # it waits for this pod, whatever the template says by now
        for index in sorted((i for i in pods if not start <= i < start + count), reverse=True):
            if not is_terminating(pods[index]):
                self.end_pod(pods[index])
                did = True
            if ordered:
                return did
        if did or spec.get("updateStrategy", {}).get("type") == "OnDelete":
            return did
        wanted = range(start, start + count)
        staying = {i: pod for i, pod in pods.items() if not is_terminating(pod)}
        healthy = {i for i in wanted if i in staying and is_ready(staying[i])}
        if "MaxUnavailableStatefulSet" in self.gates and len(healthy) < count:
            return did  # as many are unavailable as may be, of whatever revision they are
        for index in reversed(range(first, start + count)):
            if index not in staying:
                return did
            if revision_of(pods[index]) != update:
                self.end_pod(pods[index])
                return True
            if index not in healthy:
                return did
        return did

    def _stateful_pod(self, raw: Raw, index: int, revision: str) -> bool:
        name = f"{raw['metadata']['name']}-{index}"
        kept = self.objects["controllerrevisions", NAMESPACE, revision]
        template = {k: v for k, v in kept["data"]["spec"]["template"].items() if k != "$patch"}
        try:
            self.make_pod(name, raw, template, {"controller-revision-hash": revision})
        except QuotaExceeded as why:
            text = f"create Pod {name} in StatefulSet {raw['metadata']['name']} failed error: {why}"
            self.tell(raw, "StatefulSet", text)
            return False
        return True

    def _statefulset_status(self, raw: Raw, update: str) -> None:
        pods, count = self.pods_of(raw), raw["spec"].get("replicas", 1)
        current = raw["status"]["currentRevision"]
        ready = sum(is_ready(pod) for pod in pods)
        staying = [revision_of(pod) for pod in pods if not is_terminating(pod)]
        rolling = raw["spec"].get("updateStrategy", {}).get("type") != "OnDelete"
        if rolling and staying.count(update) == ready == len(pods) == count:
            current = update
        status = {
            "observedGeneration": raw["metadata"]["generation"],
            "replicas": len(pods),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "currentReplicas": staying.count(current),
            "updatedReplicas": staying.count(update),
            "currentRevision": current,
            "updateRevision": update,
        }
        raw["status"] = {k: v for k, v in status.items() if v}

    def step_daemonset(self, raw: Raw) -> bool:
        """What its controller does at once; whether it did anything."""
        before = copied(raw.get("status"))
        update = self._controllerrevision(raw)["metadata"]["name"]
        did = "deletionTimestamp" not in raw["metadata"] and self._daemonset(raw, update)
        pods = self.pods_of(raw)
        ready = sum(is_ready(pod) for pod in pods)
        status = {
            "observedGeneration": raw["metadata"]["generation"],
            "currentNumberScheduled": len(pods),
            "desiredNumberScheduled": NODES,
            "updatedNumberScheduled": sum(revision_of(pod) == update for pod in pods),
            "numberReady": ready,
            "numberAvailable": ready,
            "numberUnavailable": NODES - ready,
        }
        raw["status"] = {k: v for k, v in status.items() if v}
        return did or raw["status"] != before

    def _daemonset(self, raw: Raw, update: str) -> bool:
        pods = {ordinal(pod): pod for pod in self.pods_of(raw)}
        for index in range(NODES):
            if index not in pods:
                name = f"{raw['metadata']['name']}-{index}"
                label = {"controller-revision-hash": update}
                try:
                    self.make_pod(name, raw, raw["spec"]["template"], label)
                except QuotaExceeded as why:
                    self.tell(raw, "DaemonSet", f"Error creating: {why}")
                    return False
                return True
        old = [pod for pod in pods.values() if revision_of(pod) != update]
        if raw["spec"].get("updateStrategy", {}).get("type") == "OnDelete" or not old:
            return False
        # What is not available anyway may be replaced at any time, all else one at a time.
        lost = [pod for pod in old if not is_ready(pod)]
        healthy = all(is_ready(pod) and not is_terminating(pod) for pod in pods.values())
        for pod in lost or (old[-1:] if healthy else []):
            if not is_terminating(pod):
                self.end_pod(pod)
                return True
        return False

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
            # A new revision takes on all annotations of its workload, and keeps them.
            "annotations": dict(raw["metadata"].get("annotations", {})),
            "ownerReferences": owned_by(raw),
        }
        template = {**copied(raw["spec"]["template"]), "$patch": "replace"}
        body = {"metadata": metadata, "data": {"spec": {"template": template}}}
        made = self.add("controllerrevisions", {**body, "revision": top + 1}, CONTROLLER)
        manage(made, CONTROLLER, {"f:revision": {}}, self.clock)
        return made


def partition_of(spec: Raw) -> int:
    """How many pods, counted from the first, are not updated."""
    rolling = spec.get("updateStrategy", {}).get("rollingUpdate") or {}
    found: int = rolling.get("partition", 0)
    return found


def ordinal(pod: Raw) -> int:
    """The number in a pod's name."""
    return int(pod["metadata"]["name"].rpartition("-")[2])


def revision_of(pod: Raw) -> str:
    """The ControllerRevision that it was made of."""
    return str(pod["metadata"]["labels"].get("controller-revision-hash"))


def manage(raw: Raw, manager: str, fields: Any, at: datetime) -> None:
    """Note that a controller has changed these fields."""
    entries = raw["metadata"].setdefault("managedFields", [])
    entry = next((e for e in entries if e["manager"] == manager), None)
    if entry is None:
        entry = {"manager": manager, "operation": "Update", "apiVersion": "apps/v1"}
        entry |= {"fieldsType": "FieldsV1", "fieldsV1": {}}
        entries.append(entry)
    entry["time"] = stamp(at)
    entry["fieldsV1"] = {**entry["fieldsV1"], **fields}
