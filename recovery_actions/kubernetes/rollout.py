"""Whether a rollout is finished: the algorithm of `kubectl rollout status`, and its sentences."""

from __future__ import annotations

from dataclasses import dataclass

from recovery_actions.kubernetes import objects
from recovery_actions.kubernetes.names import WorkloadKind
from recovery_actions.kubernetes.objects import Raw
from recovery_actions.kubernetes.revisions import observed_changes

_NOTHING = "scaled to 0: nothing serves"


@dataclass(frozen=True)
class RolloutStatus:
    """How far a rollout is. `failed`: the cluster itself has given up on it."""

    finished: bool
    text: str
    failed: bool = False


def rollout_status(kind: WorkloadKind, raw: Raw, stale: str = "") -> RolloutStatus:
    """Judge a workload's status. `stale`: the `overdue` mark from before our own change, which
    the controller may leave standing for a moment after it has seen the change."""
    if not observed_changes(raw):
        return RolloutStatus(False, "waiting for the controller to see the change")
    if kind == "deployment":
        return _deployment(raw, stale)
    return _statefulset(raw) if kind == "statefulset" else _daemonset(raw)


def progress_overdue(raw: Raw) -> str:
    """What says that a Deployment's rollout is past its deadline; empty if nothing does.

    Two rollouts that miss their deadlines are told apart by it.
    """
    progressing = objects.condition(raw, "Progressing")
    if progressing.get("reason") != "ProgressDeadlineExceeded":
        return ""
    return f"{progressing.get('lastUpdateTime', '')} {progressing.get('message', '')}"


def wanted_replicas(raw: Raw) -> int:
    """How many replicas a Deployment or StatefulSet asks for."""
    return objects.number(objects.part(raw, "spec"), "replicas", absent=1)


def _deployment(raw: Raw, stale: str) -> RolloutStatus:
    late = progress_overdue(raw)
    if late and late != stale:
        message = objects.string(objects.condition(raw, "Progressing"), "message")
        return RolloutStatus(False, f"the rollout is past its deadline: {message}", failed=True)
    status, desired = objects.part(raw, "status"), wanted_replicas(raw)
    replicas, updated = (
        objects.number(status, "replicas"),
        objects.number(status, "updatedReplicas"),
    )
    available = objects.number(status, "availableReplicas")
    if desired == 0 and replicas == 0:
        return RolloutStatus(True, _NOTHING)
    if updated < desired:
        return RolloutStatus(False, f"{updated} of {desired} new replicas are there")
    if replicas > updated:
        return RolloutStatus(False, f"{replicas - updated} old replicas are still ending")
    if available < updated:
        return RolloutStatus(False, f"{available} of {updated} new replicas are available")
    ending = objects.number(status, "terminatingReplicas")
    still = f"; {ending} old pods are still ending" if ending else ""
    return RolloutStatus(True, f"all {updated} replicas are new and available{still}")


def _statefulset(raw: Raw) -> RolloutStatus:
    status, desired = objects.part(raw, "status"), wanted_replicas(raw)
    ready, updated = (
        objects.number(status, "readyReplicas"),
        objects.number(status, "updatedReplicas"),
    )
    there, part_of = objects.number(status, "replicas"), partition(raw)
    aim = max(desired - part_of, 0)
    which = "pods above the partition" if part_of else "pods"
    if desired == 0 and there == 0:
        return RolloutStatus(True, _NOTHING)
    # The revisions of the status say nothing here: on the way back to the revision that is still
    # the current one they are equal from the first moment on, while other pods serve.
    if updated < aim:
        return RolloutStatus(False, f"{updated} of {aim} {which} are new")
    # Pods that are ending count as ready, so that too many may hide one that is not.
    if there > desired:
        return RolloutStatus(False, f"{there - desired} pods are still ending")
    if ready < desired:
        return RolloutStatus(False, f"{ready} of {desired} pods are ready")
    new = f"all {aim} {which} are new" if aim else f"no pod is above the partition of {part_of}"
    return RolloutStatus(True, f"{new}, and all {ready} are ready")


def _daemonset(raw: Raw) -> RolloutStatus:
    status = objects.part(raw, "status")
    desired = objects.number(status, "desiredNumberScheduled")
    updated = objects.number(status, "updatedNumberScheduled")
    available = objects.number(status, "numberAvailable")
    if desired == 0:
        return RolloutStatus(True, "no node is to have a pod: nothing serves")
    if updated < desired:
        return RolloutStatus(False, f"{updated} of {desired} new pods are there")
    if available < desired:
        return RolloutStatus(False, f"{available} of {desired} new pods are available")
    return RolloutStatus(True, f"all {desired} pods are new and available")


def partition(raw: Raw) -> int:
    """The ordinal from which on a StatefulSet's pods are updated."""
    return objects.number(objects.part(raw, "spec", "updateStrategy", "rollingUpdate"), "partition")
