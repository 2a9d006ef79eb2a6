"""What stands there now, as short plain texts, for the evidence before acting."""

from __future__ import annotations

from collections.abc import Mapping

from daemon.core.values.units import printable
from recovery_actions.kubernetes import objects
from recovery_actions.kubernetes.blocked import all_containers, ready
from recovery_actions.kubernetes.client import ClusterClient
from recovery_actions.kubernetes.errors import Forbidden
from recovery_actions.kubernetes.names import Workload, WorkloadKind
from recovery_actions.kubernetes.objects import Raw
from recovery_actions.kubernetes.revisions import WorkloadState, read_state
from recovery_actions.kubernetes.rollout import rollout_status, wanted_replicas

_PODS_SHOWN = 20
_TEXT = 200

_COUNTERS: Mapping[WorkloadKind, tuple[tuple[str, str], ...]] = {
    "deployment": (
        ("updatedReplicas", "updated"),
        ("readyReplicas", "ready"),
        ("availableReplicas", "available"),
    ),
    "statefulset": (
        ("updatedReplicas", "updated"),
        ("readyReplicas", "ready"),
        ("availableReplicas", "available"),
    ),
    "daemonset": (
        ("updatedNumberScheduled", "updated"),
        ("numberReady", "ready"),
        ("numberAvailable", "available"),
    ),
}


async def show_object(client: ClusterClient, workload: Workload) -> Mapping[str, str]:
    """The live item, the counters, the conditions and the pods. Raises as the client does."""
    state = await read_state(client, workload)
    try:
        found = await client.items(workload.beside("", "pods"), objects.selector_of(state.raw))
    except Forbidden as error:
        return _summary(state) | {"pods": str(error)}
    owners = {objects.uid_of(state.raw), *(one.uid for one in state.revisions)}
    pods = [pod for pod in found if any(objects.owned_by(pod, uid) for uid in owners)]
    return _summary(state) | _pods(pods)


def _summary(state: WorkloadState) -> dict[str, str]:
    raw, kind, live = state.raw, state.workload.kind, state.live
    status = objects.part(raw, "status")
    counters = ", ".join(f"{objects.number(status, key)} {name}" for key, name in _COUNTERS[kind])
    desired = (
        objects.number(status, "desiredNumberScheduled")
        if kind == "daemonset"
        else wanted_replicas(raw)
    )
    shown = {
        "live": live.item if live else "not known yet",
        "revision": str(live.number) if live else "",
        "image": objects.images(objects.template_of(raw)),
        "replicas": f"{desired} wanted, {counters}",
        "rollout": rollout_status(kind, raw).text,
    }
    if objects.part(raw, "spec").get("paused") is True:
        shown["paused"] = "yes"
    for one in objects.several(status, "conditions"):
        condition = f"{one.get('status')} {one.get('reason', '')}: {one.get('message', '')}"
        shown[f"condition {one.get('type')}"] = condition.rstrip(" :")
    return {key: printable(text)[:_TEXT] for key, text in shown.items()}


def _pods(pods: list[dict[str, object]]) -> dict[str, str]:
    """The pods, those in trouble first."""
    inner = sorted(pods, key=lambda pod: (ready(pod), objects.name_of(pod)))
    count = sum(ready(pod) for pod in pods)
    shown = {"pods": f"{count} of {len(pods)} ready"}
    if len(pods) > _PODS_SHOWN:
        shown["pods"] += f"; {_PODS_SHOWN} shown"
    for pod in inner[:_PODS_SHOWN]:
        shown[f"pod {objects.name_of(pod)}"] = printable(pod_text(pod))[:_TEXT]
    return shown


def pod_text(pod: Raw) -> str:
    """A pod in a few words: 'Running, not ready, 4 restarts, CrashLoopBackOff'."""
    containers = all_containers(pod)
    restarts = sum(objects.number(one, "restartCount") for one in containers)
    waiting = [
        objects.string(objects.part(one, "state", "waiting"), "reason") for one in containers
    ]
    last = [
        objects.string(objects.part(one, "lastState", "terminated"), "reason") for one in containers
    ]
    parts = [
        objects.string(objects.part(pod, "status"), "phase") or "Unknown",
        "ready" if ready(pod) else "not ready",
        "deleting" if "deletionTimestamp" in objects.part(pod, "metadata") else "",
        f"{restarts} restart{'' if restarts == 1 else 's'}" if restarts else "",
        *dict.fromkeys(waiting),
        *(f"last ended: {reason}" for reason in dict.fromkeys(last) if reason),
    ]
    return ", ".join(part for part in parts if part)
