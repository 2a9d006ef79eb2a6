"""The patches, and the preconditions that make a deployment by somebody else win over ours.

`resourceVersion` would be the obvious precondition of a JSON patch, but a Deployment whose pods
crash has its status written several times a second, and each write is a new resourceVersion. So
ours tests what would be overwritten and nothing else: the template, the annotations, and the
uid, which tells the workload from a later one of the same name. A change of the status, or of
the number of replicas by an autoscaler, does not get in the way. A pause in between does not
either; it is noticed while waiting.

A strategic merge patch has no such test. There the uid and the resourceVersion are sent along,
and a conflict in which the template has not changed is simply tried again.

What a rollback notes of itself are labels of the workload. As annotations they would be copied
to every revision that comes after; its labels no revision takes on.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recovery_actions.kubernetes import objects
from recovery_actions.kubernetes.client import JSON_PATCH, STRATEGIC_MERGE
from recovery_actions.kubernetes.objects import Raw
from recovery_actions.kubernetes.revisions import WorkloadRevision, WorkloadState

OUR_PREFIX = "stopgap.dev/"
INCIDENT = "stopgap.dev/incident"
STEP = "stopgap.dev/step"
ROLLED_BACK_FROM = "stopgap.dev/rolled-back-from"
ROLLED_BACK_TO = "stopgap.dev/rolled-back-to"
STAGE = "stopgap.dev/stage"
"""The label that a rollback in parts writes upon the workload: how far it is."""
CHANGE_CAUSE = "kubernetes.io/change-cause"
RESTART = "stopgap.dev/restart"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"

_OF_THE_DEPLOYMENT = (
    "kubectl.kubernetes.io/last-applied-configuration",
    objects.REVISION,
    objects.REVISION_HISTORY,
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deprecated.deployment.rollback.to",
)
"""Annotations that a rollback leaves as they are; all others come from the ReplicaSet."""

_OURS = (INCIDENT, STEP, ROLLED_BACK_FROM, ROLLED_BACK_TO)
"""Labels; older versions of this program wrote annotations of these names."""
_OUR_CAUSE = "stopgap rolled back from "
"""How the change-cause began that older versions wrote."""
_LABEL = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True)
class Patch:
    """A patch of one content type."""

    kind: str
    body: list[dict[str, Any]] | dict[str, Any]


def rollback_patch(state: WorkloadState, to: WorkloadRevision, notes: Mapping[str, str]) -> Patch:
    """Bring back the template of a revision, as `kubectl rollout undo` does, and add notes."""
    labels = {key: label_value(text) for key, text in notes.items() if text}
    if state.workload.kind != "deployment":
        return _controllerrevision_patch(state.raw, to, labels)
    metadata = objects.part(state.raw, "metadata")
    before = metadata.get("annotations")
    had = objects.annotations_of(state.raw)
    retained = {k: v for k, v in had.items() if k in _OF_THE_DEPLOYMENT}
    back = {k: v for k, v in _own_annotations(to).items() if k not in _OF_THE_DEPLOYMENT}
    labelled = (
        [_op("add", f"/metadata/labels/{k.replace('/', '~1')}", v) for k, v in labels.items()]
        if isinstance(metadata.get("labels"), Mapping)
        else [_op("test", "/metadata/labels", None), _op("add", "/metadata/labels", labels)]
    )
    body = [
        *unchanged(state.raw),
        *([] if before is None else [_op("test", "/metadata/annotations", before)]),
        _op("replace", "/spec/template", to.template),
        _op("add", "/metadata/annotations", {**retained, **back}),
        *labelled,
    ]
    return Patch(JSON_PATCH, body)


def label_value(text: str) -> str:
    """The text as the value of a label; what cannot be one is told by its digest."""
    text = text.replace("/", ".")
    known = _LABEL.fullmatch(text) is not None
    return text if known else hashlib.sha256(text.encode()).hexdigest()[:32]


def carries_step(raw: Raw, token: str) -> bool:
    """Whether the workload was last rolled back by that step."""
    noted = objects.object_labels(raw).get(STEP)
    if noted is None:
        return objects.annotations_of(raw).get(STEP) == token
    return noted == label_value(token)


def _own_annotations(to: WorkloadRevision) -> dict[str, str]:
    """The annotations of a revision, without what it took on from a rollback of ours."""
    return {
        key: text
        for key, text in to.annotations.items()
        if key not in _OURS and not (key == CHANGE_CAUSE and text.startswith(_OUR_CAUSE))
    }


def restart_patch(raw: Raw, notes: Mapping[str, str]) -> Patch:
    """Write annotations into the pod template, which replaces every pod."""
    template = objects.template_of(raw)
    had = objects.part(template, "metadata", "annotations")
    place = "/spec/template/metadata"
    written: dict[str, Any] = {**had, **notes}
    op = (
        _op("add", f"{place}/annotations", written)
        if isinstance(template.get("metadata"), Mapping)
        else _op("add", place, {"annotations": written})
    )
    return Patch(JSON_PATCH, [*unchanged(raw), op])


def scale_patch(raw: Raw, before: int, after: int) -> Patch:
    """Another number of replicas, if it is still the one that was seen."""
    known = "replicas" in objects.part(raw, "spec")
    body = [
        _op("test", "/metadata/uid", objects.uid_of(raw)),
        *([_op("test", "/spec/replicas", before)] if known else []),
        _op("add", "/spec/replicas", after),
    ]
    return Patch(JSON_PATCH, body)


def unchanged(raw: Raw) -> list[dict[str, Any]]:
    """The operations that fail unless it is that very workload, with that very template."""
    return [
        _op("test", "/metadata/uid", objects.uid_of(raw)),
        _op("test", "/spec/template", objects.template_of(raw)),
    ]


def _controllerrevision_patch(raw: Raw, to: WorkloadRevision, labels: Mapping[str, str]) -> Patch:
    data = copy.deepcopy(to.data)
    template = data.get("spec", {}).get("template")
    if isinstance(template, dict):
        template["$patch"] = "replace"  # or containers of the newer revision would stay
    had = objects.annotations_of(raw)
    cause = _own_annotations(to).get(CHANGE_CAUSE)
    notes: dict[str, str | None] = {key: None for key in _OURS if key in had}
    if cause != had.get(CHANGE_CAUSE):
        notes[CHANGE_CAUSE] = cause
    metadata = {
        "uid": objects.uid_of(raw),
        "resourceVersion": objects.string(objects.part(raw, "metadata"), "resourceVersion"),
        "labels": dict(labels),
        **({"annotations": notes} if notes else {}),
    }
    return Patch(STRATEGIC_MERGE, {**data, "metadata": metadata})


def _op(op: str, path: str, value: Any) -> dict[str, Any]:
    return {"op": op, "path": path, "value": value}
