"""What runs behind the small API server: controllers that make revisions and replace pods.

They work in steps of a second each, as far as one can go at once: see `step`. What becomes of a
pod stands in its image, see `kubernetes_pods`.
"""

from __future__ import annotations

import math
from typing import Any

from recovery_actions.kubernetes.objects import digest
from tests.contract.kubernetes_pods import (
    CONTROLLER,
    NAMESPACE,
    QuotaExceeded,
    Raw,
    copied,
    is_ready,
    is_terminating,
    owned_by,
    owner,
    stamp,
)
from tests.contract.kubernetes_sets import Sets, manage

__all__ = ["CONTROLLER", "NAMESPACE", "REVISION", "Controllers", "Raw", "is_ready", "merged"]

REVISION = "deployment.kubernetes.io/revision"
_SKIPPED = (REVISION, "kubectl.kubernetes.io/last-applied-configuration")
_STEPS = 2000


class Controllers(Sets):
    """They work on `objects`. `overdue`: a rollout that makes no progress is past its deadline
    at once, if the deadline is armed."""

    def __init__(self) -> None:
        super().__init__()
        self.overdue = False

    def reconcile(self) -> None:
        """All go on until nothing is left to do."""
        for _ in range(_STEPS):
            if not self.step():
                return
        raise AssertionError("the controllers never come to an end")

    def step(self) -> bool:
        """Each controller does what it does at once, and pods start or end that were told to
        before. Whether anything was to be done."""
        self.tick()
        busy = [self._collect(), self.run_pods()]
        busy += [self._deployment(raw) for raw in self.all("deployments")]
        busy += [self._pods_of_replicaset(raw) for raw in self.all("replicasets")]
        busy += [self.step_statefulset(raw) for raw in self.all("statefulsets")]
        busy += [self.step_daemonset(raw) for raw in self.all("daemonsets")]
        return any(busy)

    def _collect(self) -> bool:
        """Of what is deleted in the foreground the dependents go first, a generation a step."""
        for raw in [one for (kind, _, _), one in self.objects.items() if kind != "pods"]:
            metadata = raw.get("metadata", {})
            if "foregroundDeletion" not in metadata.get("finalizers", []):
                continue
            theirs = [(k, o) for k, o in self.objects.items() if owner(o) == metadata["uid"]]
            for key, one in theirs:
                if key[0] == "pods":
                    self.end_pod(one)
                else:
                    one["metadata"]["deletionTimestamp"] = stamp(self.clock)
                    one["metadata"]["finalizers"] = ["foregroundDeletion"]
            if not theirs:
                del self.objects[next(k for k, o in self.objects.items() if o is raw)]
            return True
        return False

    def _deployment(self, raw: Raw) -> bool:
        before = copied(raw.get("status"))
        status: Raw = raw.setdefault("status", {})
        status["observedGeneration"] = raw["metadata"]["generation"]
        if "deletionTimestamp" in raw["metadata"]:
            return bool(status != before)
        sets = [one for one in self.all("replicasets") if owner(one) == raw["metadata"]["uid"]]
        if raw["spec"].get("paused"):
            return self._paused(raw, sets, before or {})
        new = self._newest(raw, sets)
        did = self._roll(raw, new, [one for one in sets if one is not new])
        self._deployment_status(raw, new, sets, before or {})
        return did or raw["status"] != before

    def _paused(self, raw: Raw, sets: list[Raw], before: Raw) -> bool:
        """No ReplicaSet is made and no pod replaced; it is scaled and its pods are counted."""
        paused = {"type": "Progressing", "status": "Unknown", "reason": "DeploymentPaused"}
        self._say(raw, paused | {"message": "Deployment is paused"})
        wanted = digest(raw["spec"]["template"])
        new = next((one for one in sets if digest(one["spec"]["template"]) == wanted), None)
        if new is not None:
            self._newest(raw, sets)
        did = self._scale(raw, new, sets)
        self._deployment_status(raw, new, sets, before)
        return did or bool(raw["status"] != before)

    def _scale(self, raw: Raw, new: Raw | None, sets: list[Raw]) -> bool:
        """Another number of replicas is shared out among those that have pods; with one alone it
        gets all of it."""
        wanted = raw["spec"].get("replicas", 1)
        active = [one for one in sets if one["spec"]["replicas"]]
        if len(active) <= 1:
            only = next(iter(active), new)
            return (
                only is not None
                and only["spec"]["replicas"] != wanted
                and self._resize(only, wanted)
            )
        total = sum(one["spec"]["replicas"] for one in active)
        rolling = raw["spec"].get("strategy", {}).get("rollingUpdate") or {}
        more = wanted + _of(rolling.get("maxSurge", "25%"), wanted, math.ceil) - total
        if not more:
            return False
        largest = max(active, key=lambda one: one["spec"]["replicas"])
        return self._resize(largest, max(0, largest["spec"]["replicas"] + more))

    def _newest(self, raw: Raw, sets: list[Raw]) -> Raw:
        """The ReplicaSet of the template: made, or found and brought to the front."""
        top = max((number(one) for one in sets), default=0)
        wanted = digest(raw["spec"]["template"])
        new = next((one for one in sets if digest(one["spec"]["template"]) == wanted), None)
        if new is None:
            new = self._replicaset(raw, wanted, top + 1)
            sets.append(new)
            text = f'Created new replica set "{new["metadata"]["name"]}"'
            self._progress(raw, "NewReplicaSetCreated", text)
        elif number(new) < top:
            notes = new["metadata"]["annotations"]
            old = [notes.get(f"{REVISION}-history"), notes[REVISION]]
            notes[f"{REVISION}-history"] = ",".join(filter(None, old))
            notes[REVISION] = str(top + 1)
            manage(new, CONTROLLER, {"f:metadata": {"f:annotations": {}}}, self.clock)
        notes = raw["metadata"].setdefault("annotations", {})
        notes[REVISION] = new["metadata"]["annotations"][REVISION]
        theirs = {k: v for k, v in notes.items() if not k.startswith(_SKIPPED)}
        if new["metadata"]["annotations"] | theirs != new["metadata"]["annotations"]:
            # The newest revision takes on each annotation of its Deployment, and loses none.
            new["metadata"]["annotations"] |= theirs
            manage(new, CONTROLLER, {"f:metadata": {"f:annotations": {}}}, self.clock)
        return new

    def _replicaset(self, raw: Raw, wanted: str, revision: int) -> Raw:
        template = copied(raw["spec"]["template"])
        template["metadata"]["labels"]["pod-template-hash"] = wanted[:10]
        template["metadata"]["creationTimestamp"] = None
        metadata = {
            "name": f"{raw['metadata']['name']}-{wanted[:10]}",
            "labels": template["metadata"]["labels"],
            "annotations": {REVISION: str(revision)},
            "ownerReferences": owned_by(raw),
        }
        spec = {"replicas": 0, "template": template, "selector": raw["spec"]["selector"]}
        made = self.add("replicasets", {"metadata": metadata, "spec": spec}, CONTROLLER)
        manage(made, CONTROLLER, {"f:spec": {"f:replicas": {}}}, self.clock)
        return made

    def _roll(self, raw: Raw, new: Raw, old: list[Raw]) -> bool:
        """A rolling update: as many more pods as may surge, as few as may be unavailable."""
        rolling = raw["spec"].get("strategy", {}).get("rollingUpdate") or {}
        wanted = raw["spec"].get("replicas", 1)
        surge = _of(rolling.get("maxSurge", "25%"), wanted, math.ceil)
        most_missing = _of(rolling.get("maxUnavailable", "25%"), wanted, math.floor)
        total = sum(one["spec"]["replicas"] for one in [new, *old])
        size = new["spec"]["replicas"]
        if size > wanted:
            return self._resize(new, wanted)
        if size < wanted and total < wanted + surge:
            return self._resize(new, min(wanted, size + wanted + surge - total))
        ready_of_new = sum(map(is_ready, self._staying(new)))
        spare = total - (wanted - most_missing) - (size - ready_of_new)
        for one in [*old, *old]:  # at first the pods that are of no use
            broken = one["spec"]["replicas"] - sum(map(is_ready, self._staying(one)))
            if min(broken, spare) > 0:
                return self._resize(one, one["spec"]["replicas"] - min(broken, spare))
        ready = sum(sum(map(is_ready, self._staying(one))) for one in [new, *old])
        spare = ready - (wanted - most_missing)
        for one in old:
            if min(one["spec"]["replicas"], spare) > 0:
                return self._resize(one, max(0, one["spec"]["replicas"] - spare))
        return False

    def _resize(self, one: Raw, size: int) -> bool:
        one["spec"]["replicas"] = size
        manage(one, CONTROLLER, {"f:spec": {"f:replicas": {}}}, self.clock)
        return True

    def _staying(self, one: Raw) -> list[Raw]:
        return [pod for pod in self.pods_of(one) if not is_terminating(pod)]

    def _pods_of_replicaset(self, one: Raw) -> bool:
        before = copied(one.get("status"))
        staying, size, failure = self._staying(one), one["spec"]["replicas"], ""
        did = len(staying) > size
        if "deletionTimestamp" in one["metadata"]:
            return False
        for pod in sorted(staying, key=is_ready)[: max(0, len(staying) - size)]:
            self.end_pod(pod)
        for _ in range(size - len(staying)):
            try:
                name = f"{one['metadata']['name']}-{self.serial()}"
                self.make_pod(name, one, one["spec"]["template"], {})
                did = True
            except QuotaExceeded as why:
                failure = str(why)
                self.tell(one, "ReplicaSet", f"Error creating: {failure}")
                break
        staying = self._staying(one)
        ready = sum(map(is_ready, staying))
        status = {
            "replicas": len(staying),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "terminatingReplicas": len(self.pods_of(one)) - len(staying),
        }
        one["status"] = {k: v for k, v in status.items() if v}
        if failure:
            had = next(iter((before or {}).get("conditions", [])), {})
            condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}
            condition |= {"message": had.get("message", failure)}
            one["status"]["conditions"] = [condition]
        return did or one["status"] != before

    # ── the status of a Deployment ───────────────────────────────────────────────────────────

    def _deployment_status(self, raw: Raw, new: Raw | None, sets: list[Raw], before: Raw) -> None:
        parts = [one.get("status", {}) for one in sets]
        counters = {
            "observedGeneration": raw["metadata"]["generation"],
            "replicas": sum(one.get("replicas", 0) for one in parts),
            "updatedReplicas": (new or {}).get("status", {}).get("replicas", 0),
            "readyReplicas": sum(one.get("readyReplicas", 0) for one in parts),
            "availableReplicas": sum(one.get("availableReplicas", 0) for one in parts),
            "terminatingReplicas": sum(one.get("terminatingReplicas", 0) for one in parts),
        }
        conditions = raw["status"].get("conditions", [])
        raw["status"] = {k: v for k, v in counters.items() if v} | {"conditions": conditions}
        if new is not None and not raw["spec"].get("paused"):
            self._judge(raw, new, before, counters)
        failures = [c for one in parts for c in one.get("conditions", [])]
        kept = [c for c in raw["status"]["conditions"] if c["type"] != "ReplicaFailure"]
        raw["status"]["conditions"] = kept + failures[:1]

    def _judge(self, raw: Raw, new: Raw, before: Raw, now: Raw) -> None:
        """The condition Progressing. One that says that all is there stays until something
        progresses: no deadline is armed by a rollout to a ReplicaSet that was kept."""
        had = next((c for c in raw["status"]["conditions"] if c["type"] == "Progressing"), {})
        named = f'ReplicaSet "{new["metadata"]["name"]}"'
        wanted = raw["spec"].get("replicas", 1)
        done = now["replicas"] == now["updatedReplicas"] == now["availableReplicas"] == wanted
        old = {k: before.get(k, 0) for k in now}
        progresses = (
            now["updatedReplicas"] > old["updatedReplicas"]
            or now["replicas"] - now["updatedReplicas"] < old["replicas"] - old["updatedReplicas"]
            or now["readyReplicas"] > old["readyReplicas"]
        )
        if (
            had.get("reason") == "NewReplicaSetAvailable"
            and now["replicas"] == now["updatedReplicas"]
        ):
            return
        if done:
            self._progress(raw, "NewReplicaSetAvailable", f"{named} has successfully progressed.")
        elif progresses:
            self._progress(raw, "ReplicaSetUpdated", f"{named} is progressing.")
        elif self.overdue and had.get("reason") not in (None, "NewReplicaSetAvailable"):
            self._progress(raw, "ProgressDeadlineExceeded", f"{named} has timed out progressing.")

    def _progress(self, raw: Raw, reason: str, message: str) -> None:
        status = "False" if reason == "ProgressDeadlineExceeded" else "True"
        condition = {"type": "Progressing", "status": status, "reason": reason, "message": message}
        self._say(raw, condition)

    def _say(self, raw: Raw, condition: Raw) -> None:
        conditions = raw["status"].setdefault("conditions", [])
        had = next((c for c in conditions if c["type"] == condition["type"]), {})
        same = (had.get("status"), had.get("reason")) == (condition["status"], condition["reason"])
        if not same or condition["reason"] == "ReplicaSetUpdated":
            at = {"lastUpdateTime": stamp(self.clock)}
            rest = [c for c in conditions if c["type"] != condition["type"]]
            raw["status"]["conditions"] = [condition | at, *rest]


def _of(share: Any, wanted: int, rounded: Any) -> int:
    """A number of pods, or a share of those wanted in percent."""
    if isinstance(share, str):
        return int(rounded(wanted * int(share.rstrip("%")) / 100))
    return int(share)


def number(raw: Raw) -> int:
    """The revision of a ReplicaSet."""
    return int(raw["metadata"]["annotations"][REVISION])


def merged(before: Any, change: Any) -> Any:
    """A merge patch, with the one directive of strategic merging that matters here."""
    if not isinstance(before, dict) or not isinstance(change, dict):
        return copied(change)
    if change.get("$patch") == "replace":
        return {k: copied(v) for k, v in change.items() if k != "$patch"}
    after = copied(before)
    for key, value in change.items():
        if value is None:
            after.pop(key, None)
        else:
            after[key] = merged(after.get(key), value)
            if isinstance(value, dict) and key not in before:
                after[key] = merged({}, value)
    return after
