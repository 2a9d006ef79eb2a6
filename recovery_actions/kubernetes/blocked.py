"""Broken pods that keep a StatefulSet from going back.

An ordered StatefulSet waits for a broken pod to become ready before it replaces it, even when
the template is good again (a known limitation of Kubernetes). Somebody must delete that pod.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from recovery_actions.kubernetes import objects
from recovery_actions.kubernetes.client import ClusterClient
from recovery_actions.kubernetes.errors import Forbidden, Missing, VersionConflict
from recovery_actions.kubernetes.names import Workload
from recovery_actions.kubernetes.objects import Raw
from recovery_actions.kubernetes.rollout import partition

POD_REVISION = "controller-revision-hash"


@dataclass
class Unblocker:
    """Deletes the broken pods of the revision that is being left, one at a time, once each."""

    client: ClusterClient
    workload: Workload
    leaving: str
    _deleted: set[str] = field(default_factory=set)

    async def help_out(self, raw: Raw) -> str:
        """Delete the pod that is in the way, if one is; gives a sentence for people."""
        ordered = objects.part(raw, "spec").get("podManagementPolicy") != "Parallel"
        if self.workload.kind != "statefulset" or not ordered:
            return ""
        pods = self.workload.beside("", "pods")
        try:
            found = await self.client.items(pods, objects.selector_of(raw))
        except Forbidden as error:
            return f"whether a broken pod is in the way cannot be seen: {error}"
        for pod in sorted(found, key=ordinal, reverse=True):
            if self._in_the_way(raw, pod):
                return await self._delete(pod)
        return ""

    def _in_the_way(self, raw: Raw, pod: Raw) -> bool:
        return (
            objects.owned_by(pod, objects.uid_of(raw))
            and objects.object_labels(pod).get(POD_REVISION) == self.leaving
            and ordinal(pod) >= partition(raw)
            and "deletionTimestamp" not in objects.part(pod, "metadata")
            and bool(broken(pod))
        )

    async def _delete(self, pod: Raw) -> str:
        name, uid = objects.name_of(pod), objects.uid_of(pod)
        what = f"the broken pod {name} ({broken(pod)})"
        if uid in self._deleted:
            return f"{what} is being deleted"
        by_hand = f"kubectl delete pod {name} -n {self.workload.namespace}"
        try:
            await self.client.delete(self.workload.beside("", "pods", name), uid)
        except (Missing, VersionConflict):
            return ""
        except Forbidden:
            return f"{what} is in the way, and we may not delete it; do it by hand: {by_hand}"
        self._deleted.add(uid)
        return f"{what} was in the way and has been deleted"


def ordinal(pod: Raw) -> int:
    """The number at the end of the name of a StatefulSet's pod."""
    last = objects.name_of(pod).rpartition("-")[2]
    return int(last) if last.isdecimal() else -1


def broken(pod: Raw) -> str:
    """Why a pod will not become ready by waiting, in a word; empty if it may."""
    status = objects.part(pod, "status")
    if ready(pod):
        return ""
    if status.get("phase") == "Failed":
        return "Failed"
    for one in all_containers(pod):
        waiting = objects.string(objects.part(one, "state", "waiting"), "reason")
        if waiting not in ("", "ContainerCreating", "PodInitializing"):
            return waiting
        ended = objects.part(one, "state", "terminated")
        if ended and objects.number(ended, "exitCode") != 0:
            return objects.string(ended, "reason") or "Error"
        if objects.number(one, "restartCount") > 0:
            return f"not ready after {objects.number(one, 'restartCount')} restarts"
    return ""


def ready(pod: Raw) -> bool:
    """Whether a pod takes part in the service."""
    return objects.condition(pod, "Ready").get("status") == "True"


def all_containers(pod: Raw) -> list[Raw]:
    """The statuses of a pod's containers, those that initialise it first."""
    status = objects.part(pod, "status")
    return [
        *objects.several(status, "initContainerStatuses"),
        *objects.several(status, "containerStatuses"),
    ]
