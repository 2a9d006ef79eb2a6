"""A workload to try the Kubernetes actions on, in a cluster that is only known by its API.

The same steps work on the double and on a real server. A `Lab` does what people do: deploy an
image, look, pause; and it leaves a workload as it was found.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daemon.core.ports.actions import Action
from daemon.core.values.outcome import Permanent
from recovery_actions.kubernetes import objects
from recovery_actions.kubernetes.client import JSON_PATCH, ClusterClient
from recovery_actions.kubernetes.names import Resource, Workload, WorkloadKind
from recovery_actions.kubernetes.revisions import WorkloadRevision, WorkloadState, read_state
from recovery_actions.kubernetes.rollout import rollout_status
from recovery_actions.kubernetes.waiting import PollPace
from recovery_actions.kubernetes_restart import KubernetesRestart
from recovery_actions.kubernetes_rollback import KubernetesRollback
from recovery_actions.kubernetes_scale import KubernetesScale
from recovery_actions.workshop import Cluster, Workshop

MERGE_PATCH = "application/merge-patch+json"
NAMESPACE = "demo"


def manifest(kind: WorkloadKind, name: str, image: str, replicas: int = 2) -> dict[str, Any]:
    """The smallest workload that a server takes."""
    labels = {"app": name}
    spec: dict[str, Any] = {
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "app", "image": image}]},
        },
    }
    if kind != "daemonset":
        spec["replicas"] = replicas
    if kind == "statefulset":
        spec["serviceName"] = name
    title = {"deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet"}
    return {
        "apiVersion": "apps/v1",
        "kind": title[kind],
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
    }


@dataclass
class Lab:
    """One workload, and the actions that work on it. `pace` is how the actions wait."""

    kubeconfig: Path
    workload: Workload
    pace: PollPace = field(default_factory=PollPace)
    workshop: Workshop = field(init=False)

    def __post_init__(self) -> None:
        cluster = Cluster(kubeconfig=self.kubeconfig)
        self.workshop = Workshop(self.kubeconfig.parent, cluster=cluster)
        self.client = self.workshop.shared(ClusterClient)

    def action(self, name: str) -> Any:
        """One of the three actions, with this lab's pace."""
        made: list[Action] = [
            KubernetesRollback(self.workshop, self.pace),
            KubernetesRestart(self.workshop, self.pace),
            KubernetesScale(self.workshop, self.pace),
        ]
        return next(action for action in made if action.name == name)

    def params(self, action: Any, **more: Any) -> Any:
        """The action's parameters for this workload; it holds for no time unless told to."""
        raw = {"namespace": self.workload.namespace, self.workload.kind: self.workload.name}
        held = {} if action.name == "kubernetes_scale" else {"hold": "0s"}
        return action.Params.model_validate({**raw, **held, **more})

    async def create(self, image: str, replicas: int = 2) -> None:
        """Make the workload. Raises Forbidden if we may not."""
        body = manifest(self.workload.kind, self.workload.name, image, replicas)
        many = Resource("apps/v1", f"{self.workload.kind}s", self.workload.namespace, cluster="")
        await self.client._request("create", "POST", many, {}, body, "application/json")

    async def remove(self) -> None:
        """Delete it, and what belongs to it, if we may."""
        query = {"propagationPolicy": "Background"}
        with suppress(Permanent):
            await self.client._request("delete", "DELETE", self.workload.resource, query)

    async def raw(self) -> dict[str, Any]:
        """The workload as it stands."""
        return await self.client.get(self.workload.resource)

    async def merge(self, change: dict[str, Any]) -> dict[str, Any]:
        """Change it, as somebody else."""
        return await self.client.patch(self.workload.resource, MERGE_PATCH, change)

    async def put_image(self, image: str) -> None:
        """Ask for another image, and do not wait."""
        place = "/spec/template/spec/containers/0/image"
        body = [{"op": "replace", "path": place, "value": image}]
        await self.client.patch(self.workload.resource, JSON_PATCH, body)

    async def apply(self, image: str, manager: str = "kubectl", force: bool = False) -> None:
        """`kubectl apply --server-side` of an image, and do not wait. Raises VersionConflict."""
        raw = await self.raw()
        container = raw["spec"]["template"]["spec"]["containers"][0]["name"]
        template = {"spec": {"containers": [{"name": container, "image": image}]}}
        body = {"apiVersion": "apps/v1", "kind": raw["kind"], "spec": {"template": template}}
        body["metadata"] = {"name": self.workload.name, "namespace": self.workload.namespace}
        query = {"fieldManager": manager} | ({"force": "true"} if force else {})
        kind = "application/apply-patch+yaml"
        await self.client._request("patch", "PATCH", self.workload.resource, query, body, kind)

    async def deploy(self, image: str) -> WorkloadRevision:
        """Ask for another image, and wait until it is rolled out; gives its revision."""
        await self.put_image(image)
        return await self.settled()

    async def settled(self) -> WorkloadRevision:
        """Wait until the rollout has ended; gives the live revision."""
        found = await self.until(
            lambda state: (
                state.live is not None and rollout_status(self.workload.kind, state.raw).finished
            )
        )
        assert found.live is not None
        return found.live

    async def taken_up(self) -> WorkloadRevision:
        """Wait until the controller has made a revision of the template; gives it."""
        found = await self.until(lambda state: state.live is not None)
        assert found.live is not None
        return found.live

    async def state(self) -> WorkloadState:
        """The workload and its revisions."""
        return await read_state(self.client, self.workload)

    async def until(self, true: Callable[[WorkloadState], Any]) -> WorkloadState:
        """Look until it is as wanted; a cluster tells nobody when it is done."""
        async with asyncio.timeout(120):
            while True:
                state = await self.state()
                if true(state):
                    return state
                await self.pace.sleep(0.2)

    async def kept(self) -> Callable[[], Awaitable[None]]:
        """What brings the workload back to how it stands now."""
        before = copy.deepcopy(await self.raw())
        ended = rollout_status(self.workload.kind, before).finished

        async def restore() -> None:
            now = objects.annotations_of(await self.raw())
            had = objects.annotations_of(before)
            ours = {k: None for k in now if k not in had and "deployment.kubernetes.io" not in k}
            labels = dict.fromkeys(objects.object_labels(await self.raw()))
            labels |= objects.object_labels(before)
            had = {k: v for k, v in had.items() if "deployment.kubernetes.io" not in k}
            spec = before["spec"]
            body = [{"op": "replace", "path": "/spec/template", "value": spec["template"]}]
            await self.merge({"metadata": {"annotations": {**ours, **had}, "labels": labels}})
            await self.merge({"spec": {"paused": None, "replicas": spec.get("replicas", 1)}})
            await self.client.patch(self.workload.resource, JSON_PATCH, body)
            if ended:
                await self.settled()

        return restore
