"""What keeps a rollout from going on: pods that are not made, and pods that do not become ready.

A StatefulSet waits for each pod to become ready before it replaces it or the next one, even when
the template is good again: always if its policy is OrderedReady, and if it is Parallel where the
gate MaxUnavailableStatefulSet is on. So somebody must delete a pod of the revision that is being
left and never becomes ready, whether it crashes, fails its probe or finds no node.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from daemon.core.values.outcome import Permanent
from daemon.core.values.units import printable
from recovery_actions.kubernetes import objects
from recovery_actions.kubernetes.client import ClusterClient
from recovery_actions.kubernetes.errors import Forbidden, Missing, VersionConflict
from recovery_actions.kubernetes.names import KIND_NAMES, Resource, Workload
from recovery_actions.kubernetes.objects import Raw
from recovery_actions.kubernetes.rollout import partition, wanted_replicas
from recovery_actions.kubernetes.waiting import PollPace

POD_REVISION = "controller-revision-hash"

_PATIENCE = 30.0
"""Seconds for which a pod that does not crash is given the time to become ready."""
_QUOTED = 250
"""Characters of what the cluster says that are repeated."""


@dataclass
class Unblocker:
    """Says what is in the way of a rollout, and deletes the pods which are, one at a time, once
    each: those of the revision that is being left, and of `older` ones. Never one that is ready,
    and none at all where no revision is left.
    """

    client: ClusterClient
    workload: Workload
    pace: PollPace
    leaving: str = ""
    older: Collection[str] = ()
    deleted: list[str] = field(default_factory=list)
    _asked: set[str] = field(default_factory=set)
    _since: dict[str, float] = field(default_factory=dict)

    async def help_out(self, raw: Raw) -> str:
        """Delete the pod that is in the way, if one is; gives a sentence for people."""
        cause = await self._not_made(raw)
        try:
            found = await self.client.items(self._pods, objects.selector_of(raw))
        except Forbidden as error:
            unseen = f"whether a broken pod is in the way cannot be seen: {error}"
            return cause or (unseen if self.workload.kind == "statefulset" else "")
        pods = [pod for pod in found if not ready(pod)]
        # Who is ready in between has all the time again.
        now, known = self.pace.clock(), self._since
        self._since = {uid: known.get(uid, now) for uid in map(objects.uid_of, pods)}
        if self.workload.kind == "statefulset":
            said = await self._stateful(raw, pods)
        else:
            said = next(filter(None, (self._of_the_new(pod) for pod in pods)), "")
        return "; ".join(filter(None, (cause, said)))

    @property
    def _pods(self) -> Resource:
        return self.workload.beside("", "pods")

    # ── pods that are not made ───────────────────────────────────────────────────────────────

    async def _not_made(self, raw: Raw) -> str:
        """Why the controller cannot make pods: a quota, a policy; empty if nothing is known."""
        failure = objects.condition(raw, "ReplicaFailure")
        said = objects.string(failure, "message") if failure.get("status") == "True" else ""
        if not said and self.workload.kind != "deployment" and self._pods_are_missing(raw):
            said = await self._last_event(objects.uid_of(raw))
        return f"pods cannot be made: {printable(said)[:_QUOTED]}" if said else ""

    def _pods_are_missing(self, raw: Raw) -> bool:
        status = objects.part(raw, "status")
        if self.workload.kind == "statefulset":
            return objects.number(status, "replicas") < wanted_replicas(raw)
        scheduled = objects.number(status, "currentNumberScheduled")
        return scheduled < objects.number(status, "desiredNumberScheduled")

    async def _last_event(self, uid: str) -> str:
        kind = KIND_NAMES[self.workload.kind]
        about = {"kind": kind, "name": self.workload.name}
        fields = [f"involvedObject.{key}={value}" for key, value in about.items()]
        events = self.workload.beside("", "events")
        try:
            failed = ",".join([*fields, "reason=FailedCreate"])
            found = await self.client.items(events, fields=failed)
        except (Forbidden, Missing):
            return ""
        ours = [one for one in found if objects.part(one, "involvedObject").get("uid") == uid]
        last = max(ours, key=lambda one: objects.string(one, "lastTimestamp"), default={})
        return objects.string(last, "message")

    # ── pods that do not become ready ────────────────────────────────────────────────────────

    def _of_the_new(self, pod: Raw) -> str:
        """What is wrong with a pod of the template that is wanted, if waiting will not mend it."""
        labels = objects.object_labels(pod)
        item = labels.get(POD_REVISION) or f"{self.workload.name}-{labels.get(objects.HASH_LABEL)}"
        why = broken(pod) or unscheduled(pod)
        if item == self.leaving or not why or _is_ending(pod):
            return ""
        return f"the pod {objects.name_of(pod)} does not start: {why}"

    async def _stateful(self, raw: Raw, pods: Sequence[Raw]) -> str:
        held = ""
        for pod in sorted(pods, key=ordinal, reverse=True):
            why = broken(pod) or unscheduled(pod) or unready(pod)
            if not objects.owned_by(pod, objects.uid_of(raw)):
                continue
            if _is_ending(pod):
                held = held or f"the pod {objects.name_of(pod)} is ending"
            elif not self._may_go(raw, pod):
                if broken(pod) or unscheduled(pod) or self._is_stuck(pod):
                    spared = self._spared(raw, pod)
                    held = f"the pod {objects.name_of(pod)} ({why}) is in the way; it is {spared}"
            elif broken(pod) or self._is_stuck(pod):
                return await self._delete(pod, why)
            elif not held:
                wait = f"it is deleted if that lasts for {_PATIENCE:.0f}s"
                held = f"the pod {objects.name_of(pod)} ({why}) is in the way; {wait}"
        return held

    def _is_stuck(self, pod: Raw) -> bool:
        return self.pace.clock() - self._since[objects.uid_of(pod)] >= _PATIENCE

    def _may_go(self, raw: Raw, pod: Raw) -> bool:
        revision = objects.object_labels(pod).get(POD_REVISION)
        known = revision == self.leaving or revision in self.older
        return known and _position(raw, pod) >= partition(raw)

    def _spared(self, raw: Raw, pod: Raw) -> str:
        if _position(raw, pod) < partition(raw):
            return f"below the partition of {partition(raw)}, so it would come back as it is"
        revision = printable(objects.object_labels(pod).get(POD_REVISION, ""))
        if revision == objects.part(raw, "status").get("updateRevision"):
            return "of the revision that is wanted, so it was left alone: look at it"
        by_hand = f"kubectl delete pod {objects.name_of(pod)} {self.workload.flags}"
        return f"of {revision}, which we do not know, so it was left alone; by hand: {by_hand}"

    async def _delete(self, pod: Raw, why: str) -> str:
        name, uid = objects.name_of(pod), objects.uid_of(pod)
        what = f"the {'broken' if broken(pod) else 'stuck'} pod {name} ({why})"
        if uid in self._asked:
            return f"{what} is being deleted"
        by_hand = f"kubectl delete pod {name} {self.workload.flags}"
        version = objects.string(objects.part(pod, "metadata"), "resourceVersion")
        resource = self.workload.beside("", "pods", name)
        try:
            await self.client.delete(resource, uid, version)
        except (Missing, VersionConflict):
            return ""
        except Forbidden:
            return f"{what} is in the way, and we may not delete it; do it by hand: {by_hand}"
        except Permanent as error:
            return f"{what} is in the way, and is not deleted: {error}; by hand: {by_hand}"
        self._asked.add(uid)
        self.deleted.append(what)
        return f"{what} was in the way and has been deleted"


def ordinal(pod: Raw) -> int:
    """The number at the end of the name of a StatefulSet's pod."""
    last = objects.name_of(pod).rpartition("-")[2]
    return int(last) if last.isdecimal() else -1


def _position(raw: Raw, pod: Raw) -> int:
    """Which pod it is, counted from the first, whatever number that has."""
    return ordinal(pod) - objects.number(objects.part(raw, "spec", "ordinals"), "start")


def first_part_ready(raw: Raw, pods: Sequence[Raw], item: str) -> int:
    """So many of a StatefulSet's pods above its partition are ready, and of that revision."""
    return sum(
        _position(raw, pod) >= partition(raw)
        and objects.object_labels(pod).get(POD_REVISION) == item
        and ready(pod)
        and not _is_ending(pod)
        for pod in pods
        if objects.owned_by(pod, objects.uid_of(raw))
    )


def _is_ending(pod: Raw) -> bool:
    return "deletionTimestamp" in objects.part(pod, "metadata")


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


def unscheduled(pod: Raw) -> str:
    """Why no node takes a pod; empty if one has."""
    scheduled = objects.condition(pod, "PodScheduled")
    if scheduled.get("status") != "False":
        return ""
    said = printable(objects.string(scheduled, "message"))[:_QUOTED]
    return f"{objects.string(scheduled, 'reason') or 'not scheduled'}: {said}".rstrip(": ")


def unready(pod: Raw) -> str:
    """What a pod that neither crashes nor lacks a node says of itself."""
    said = printable(objects.string(objects.condition(pod, "Ready"), "message"))[:_QUOTED]
    phase = objects.string(objects.part(pod, "status"), "phase") or "Unknown"
    return f"{phase}, not ready: {said}".rstrip(": ")


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
