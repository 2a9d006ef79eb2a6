"""Why a workload must not be changed now, or not by us."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from daemon.core.ports.actions import Refused
from daemon.core.values.units import printable
from recovery_actions.kubernetes import objects
from recovery_actions.kubernetes.names import KIND_NAMES, Workload
from recovery_actions.kubernetes.objects import Raw
from recovery_actions.kubernetes.revisions import WorkloadRevision, WorkloadState
from recovery_actions.kubernetes.rollout import partition, wanted_replicas
from recovery_actions.reasons import NotReady

NO_ROLLBACK = "stopgap.dev/no-rollback"

_INSTANCE = "app.kubernetes.io/instance"
_MANAGED_BY = "app.kubernetes.io/managed-by"
_ARGO_MANAGERS = ("argocd", "argo-cd")
_FLUX_PREFIXES = ("kustomize.toolkit.fluxcd.io/", "helm.toolkit.fluxcd.io/")
_FLUX_PASSES_BY = "kustomize.toolkit.fluxcd.io/reconcile"
"""As an annotation, `disabled` tells Flux to leave the object alone."""
_FLUX_MANAGERS = ("kustomize-controller", "helm-controller")


def standing_still(workload: Workload, raw: Raw) -> NotReady | None:
    """Why no pod would get a new template: `rollout_paused`, `on_delete`, `scaled_to_zero` or
    `partition_holds_all`."""
    spec = objects.part(raw, "spec")
    if spec.get("paused") is True:
        return NotReady(
            "rollout_paused",
            f"{workload.title} is paused, so a new template would reach no pod; to let it go on: "
            f"kubectl rollout resume {workload.command}",
        )
    if objects.part(spec, "updateStrategy").get("type") == "OnDelete":
        return NotReady(
            "on_delete",
            f"{workload.title} has the updateStrategy OnDelete, so a new template would reach a "
            "pod only when somebody deletes it; change the template and delete the pods by hand",
        )
    if workload.kind != "daemonset" and wanted_replicas(raw) == 0:
        return NotReady(
            "scaled_to_zero",
            f"{workload.title} is scaled to zero, so there is nothing to recover; if that is a "
            f"mistake: kubectl scale {workload.command} --replicas=…",
        )
    return partition_holds_all(workload, raw)


def partition_holds_all(workload: Workload, raw: Raw) -> NotReady | None:
    """A StatefulSet of which no pod is updated."""
    if workload.kind != "statefulset" or wanted_replicas(raw) > partition(raw):
        return None
    return NotReady(
        "partition_holds_all",
        f"{workload.title} has {wanted_replicas(raw)} pods and updates those from number "
        f"{partition(raw)} on alone (its updateStrategy's partition), so a new template would "
        "reach none; lower that first, if its pods are to change",
    )


def taken_away(workload: Workload, raw: Raw) -> Refused | None:
    """`being_deleted`: in the foreground its revisions and pods go first, then it itself."""
    metadata = objects.part(raw, "metadata")
    since = metadata.get("deletionTimestamp")
    if since is None:
        return None
    held = metadata.get("finalizers")
    names = ", ".join(printable(str(one)) for one in held) if isinstance(held, list) else ""
    waits = f" and waits for {names}" if names else ""
    return NotReady(
        "being_deleted",
        f"{workload.title} is being deleted since {printable(str(since))}{waits}, which nobody "
        "can take back; deploy it anew once it is gone, if that was a mistake",
    )


# ── who else manages it ──────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Keeper:
    """A system that keeps a workload as its source says. `route`: how to roll back there."""

    name: str
    proof: str
    route: str


def keeper(raw: Raw) -> Keeper | None:
    """The GitOps system that would undo a change of ours, if there is one."""
    return _argo(raw) or _flux(raw)


def managed_by_gitops(workload: Workload, raw: Raw) -> Refused | None:
    """`managed_by_gitops`: the change would be undone within seconds."""
    found = keeper(raw)
    if found is None:
        return None
    return NotReady(
        "managed_by_gitops",
        f"{workload.title} is managed by {found.name} ({found.proof}), which would undo the "
        f"rollback; {found.route}",
    )


def of_helm(raw: Raw) -> bool:
    """Whether Helm has installed it; Helm undoes nothing by itself."""
    return objects.object_labels(raw).get(_MANAGED_BY) == "Helm"


def _other_tool(raw: Raw) -> bool:
    """Whether it says that another tool than Argo CD manages it."""
    manager = objects.object_labels(raw).get(_MANAGED_BY, "")
    released = "meta.helm.sh/release-name" in objects.annotations_of(raw)
    return released or (bool(manager) and not manager.lower().startswith("argo"))


def _argo(raw: Raw) -> Keeper | None:
    notes, labels = objects.annotations_of(raw), objects.object_labels(raw)
    tracking = notes.get("argocd.argoproj.io/tracking-id", "")
    instance = labels.get("argocd.argoproj.io/instance", "")
    manager = _manager(raw, _ARGO_MANAGERS)
    named = any(key.startswith("argocd.argoproj.io/") for key in (*notes, *labels))
    shared = labels.get(_INSTANCE, "")
    mend = ""
    if tracking:
        application, proof = tracking.partition(":")[0], "its annotation tracking-id"
    elif instance:
        application, proof = instance, "its label argocd.argoproj.io/instance"
    elif manager or named:
        application = shared
        proof = f"changed by {manager}" if manager else "its argocd.argoproj.io annotations"
    elif shared and not _other_tool(raw):
        # Argo CD's own mark where it tracks by label. Others use it too, but say who they are.
        application, proof = shared, f"its label {_INSTANCE}"
        mend = f"; if that is not so, say who manages it in its label {_MANAGED_BY}"
    else:
        return None
    called = f" of the application {printable(application)}" if application else ""
    route = (
        f"use argocd_rollback{called}, or git_revert if its auto-sync is on or an ApplicationSet "
        f"generates it{mend}"
    )
    return Keeper("Argo CD", printable(proof), route)


def _flux(raw: Raw) -> Keeper | None:
    marks = {**objects.annotations_of(raw), **objects.object_labels(raw)}
    if marks.get(_FLUX_PASSES_BY) == "disabled":
        return None
    manager = _manager(raw, _FLUX_MANAGERS)
    prefix = next((p for p in _FLUX_PREFIXES if any(k.startswith(p) for k in marks)), "")
    if not prefix and not manager:
        return None
    helm = prefix.startswith("helm") or manager == "helm-controller"
    kind = "HelmRelease" if helm else "Kustomization"
    place = "/".join(filter(None, (marks.get(f"{prefix}{k}") for k in ("namespace", "name"))))
    called = f"{kind} {printable(place)}" if place else kind
    proof = f"its labels {prefix}" if prefix else f"changed by {manager}"
    route = (
        f"use git_revert on the Git repository of the {called}, or suspend that first "
        f"(flux suspend {kind.lower()} …) and roll back by hand"
    )
    return Keeper("Flux", proof, route)


def _manager(raw: Raw, known: Iterable[str]) -> str:
    """A manager of the object whose name begins like one of these."""
    for entry in objects.several(objects.part(raw, "metadata"), "managedFields"):
        name = objects.string(entry, "manager")
        if any(name.startswith(one) for one in known):
            return name
    return ""


# ── declared by people ───────────────────────────────────────────────────────────────────────


def declared_migration(
    state: WorkloadState, live: WorkloadRevision, to: WorkloadRevision
) -> Refused | None:
    """`declared_migration`: somebody wrote that there is no way back past a revision.

    The annotation counts on the workload, and on the pod template of every revision that would
    be taken back, not only of the last.
    """
    annotation = objects.annotations_of(state.raw).get(NO_ROLLBACK)
    where = f"the {KIND_NAMES[state.workload.kind]}"
    for one in (*state.revisions, live):
        if to.number < one.number <= live.number and one.item != to.item:
            on_pods = objects.part(one.template, "metadata", "annotations").get(NO_ROLLBACK)
            declared = on_pods if on_pods is not None else one.annotations.get(NO_ROLLBACK)
            if annotation is None and declared is not None:
                annotation, where = str(declared), one.item
    if annotation is None:
        return None
    why = f': "{printable(annotation)[:200]}"' if annotation.strip() else ""
    return NotReady(
        "declared_migration",
        f"{where} carries {NO_ROLLBACK}{why}, so there is no going back from {live.title} to "
        f"{to.title}; fix it forward, or take the annotation away if it no longer holds",
    )
