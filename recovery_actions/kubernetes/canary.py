"""What a rollback in parts writes upon a workload, and what that says afterwards. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from daemon.core.ports.actions import Refused
from daemon.core.values.units import Share
from recovery_actions.kubernetes import objects, patches
from recovery_actions.kubernetes.objects import Raw
from recovery_actions.kubernetes.patches import Patch
from recovery_actions.kubernetes.revisions import WorkloadRevision, WorkloadState
from recovery_actions.kubernetes.rollout import partition, wanted_replicas
from recovery_actions.reasons import NotReady

_Intent = Mapping[str, str]

CanaryShare = Annotated[Share, Field(gt=0, lt=1)]
"""The part of the pods that goes back first."""


def canary_intent(
    state: WorkloadState, to: WorkloadRevision, share: float | None
) -> dict[str, str] | Refused:
    """What the intent has to say of the first part: how many pods of how many, from where on a
    StatefulSet's pods were updated before, and are until it goes on. Empty if all go back at
    once: nobody asked for parts, or as many pods as would go first are of that revision."""
    if share is None:
        return {}
    workload = state.workload
    strategy = objects.part(state.raw, "spec", "strategy").get("type")
    if workload.kind == "daemonset" or strategy == "Recreate":
        how = "a DaemonSet cannot stop midway" if workload.kind == "daemonset" else "Recreate"
        text = f"{workload.title} cannot go back in parts ({how}); leave out `canary`"
        return NotReady("not_in_parts", text)
    aside = partition(state.raw) if workload.kind == "statefulset" else 0
    pods = max(wanted_replicas(state.raw) - aside, 0)
    first = math.ceil(pods * share)
    if first >= pods or _serving(state, to) >= first:
        return {}  # so few pods have no part; or what would go first is there, and was seen to be
    if obstacle := _out_of_order(state):
        return obstacle
    before = json.dumps(objects.part(state.raw, "spec").get("strategy"), sort_keys=True)
    hold = str(aside + pods - first)
    counts = {"canary": str(first), "pods": str(pods)}
    return {**counts, "partition": str(aside), "hold": hold, "strategy": before}


def _serving(state: WorkloadState, to: WorkloadRevision) -> int:
    """So many pods are of that revision already, of a deployment that got stuck."""
    if state.workload.kind == "deployment":
        return to.available
    status = objects.part(state.raw, "status")
    if status.get("updateRevision") == status.get("currentRevision"):
        return 0  # all are of one revision, or on the way to it
    counters = {"currentRevision": "currentReplicas", "updateRevision": "updatedReplicas"}
    counts = [
        objects.number(status, n) for key, n in counters.items() if status.get(key) == to.item
    ]
    return max(counts, default=0)


def _out_of_order(state: WorkloadState) -> Refused | None:
    """OrderedReady makes no pod anew above one that is not ready, so that none can go first."""
    spec, status = objects.part(state.raw, "spec"), objects.part(state.raw, "status")
    ready, wanted = objects.number(status, "readyReplicas"), wanted_replicas(state.raw)
    ordered = spec.get("podManagementPolicy", "OrderedReady") == "OrderedReady"
    if state.workload.kind != "statefulset" or not ordered or ready >= wanted:
        return None
    return NotReady(
        "not_in_parts",
        f"{ready} of {wanted} pods of {state.workload.title} are ready, and OrderedReady replaces "
        "none above one that is not, so it cannot go back in parts; leave out `canary`",
    )


def in_parts(patch: Patch, intent: _Intent, token: str) -> Patch:
    """The rollback's patch, so that its first part alone goes back."""
    if "canary" not in intent:
        return patch
    if isinstance(patch.body, dict):
        return with_partition(patch, int(intent["hold"]), midway_note(token))
    surge = [operation("add", "/spec/strategy", surging(intent)), stage_note(midway_note(token))]
    return Patch(patch.kind, [*patch.body, *surge])


def canary_text(intent: _Intent) -> str:
    """What of it is done first, for the summary; empty if all is done at once."""
    if "canary" not in intent:
        return ""
    return f"; first {intent['canary']} of {intent['pods']} pods, the rest once it shows to help"


def is_undone(raw: Raw, intent: _Intent, token: str) -> bool:
    """Whether this step has taken its own rollback back."""
    return _noted(raw, intent) == taken_back_note(token)


def is_midway(raw: Raw, intent: _Intent, token: str) -> bool:
    """Whether this step has kept the rest of it from going on, and not let it go since; whoever's
    template it has by now."""
    return _noted(raw, intent) == midway_note(token)


def taken_back_note(token: str) -> str:
    """The note of a rollback that its own step has taken back; an older one says nothing."""
    return patches.label_value(f"taken-back.{token}")


def midway_note(token: str) -> str:
    """The note of a rollback whose rest this step keeps from going on."""
    return patches.label_value(f"midway.{token}")


def _noted(raw: Raw, intent: _Intent) -> str:
    if "canary" not in intent or objects.uid_of(raw) != intent["uid"]:
        return ""
    return objects.object_labels(raw).get(patches.STAGE, "")


def surging(intent: _Intent) -> dict[str, Any]:
    """The strategy by which the first part comes, and no pod goes before one of it is there."""
    rolling = {"maxSurge": int(intent["canary"]), "maxUnavailable": 0}
    return {"type": "RollingUpdate", "rollingUpdate": rolling}


def with_partition(patch: Patch, first: int, note: str) -> Patch:
    """A StatefulSet's patch with the ordinal from which on its pods are updated, and the note."""
    assert isinstance(patch.body, dict)  # noqa: S101 - a StatefulSet's patch is a merge
    spec, metadata = dict(patch.body.get("spec") or {}), dict(patch.body["metadata"])
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": first}}
    metadata["labels"] = {**metadata["labels"], patches.STAGE: note}
    body = {**patch.body, "metadata": metadata, "spec": {**spec, "updateStrategy": strategy}}
    return Patch(patch.kind, body)


def operation(
    op: Literal["add", "remove", "test"], path: str, value: object = None
) -> dict[str, Any]:
    """An operation of a JSON patch."""
    return {"op": op, "path": path, **({} if op == "remove" else {"value": value})}


def stage_note(text: str) -> dict[str, Any]:
    """The operation that writes how far it is."""
    return operation("add", f"/metadata/labels/{patches.STAGE.replace('/', '~1')}", text)
