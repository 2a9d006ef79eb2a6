"""Where the Kubernetes suite finds a workload: on the double, on the double as a stranger with few
rights, and on a real server if `STOPGAP_TEST_KUBECONFIG` names a kubeconfig.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from recovery_actions.kubernetes import guards, objects
from recovery_actions.kubernetes.client import ClusterClient
from recovery_actions.kubernetes.errors import Forbidden
from recovery_actions.kubernetes.names import Resource, Workload, WorkloadKind
from recovery_actions.kubernetes.rollout import rollout_status
from tests.contract.kubernetes_double import Cluster, served
from tests.contract.kubernetes_lab import NAMESPACE, Lab, manifest

PLACES = ["double", "double with few rights", "real"]
REAL = "STOPGAP_TEST_KUBECONFIG"

_KEPT = 3
"""So many old revisions must be kept, for the tests go back over two deployments."""


FEW = {(verb, "deployments") for verb in ("get", "list", "watch", "patch")} | {
    (verb, plural) for verb in ("get", "list", "watch") for plural in ("replicasets", "pods")
}
"""The rights that the whole suite can do with."""


INHABITANTS: dict[str, dict[str, Any]] = {
    "apples": {"spec": {"paused": True}},
    "bananas": {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "b:apps/D:d/b"}}},
    "cherries": {"spec": {"replicas": 0}},
    "dates": {"metadata": {"annotations": {guards.NO_ROLLBACK: "drops a column"}}},
    "elderberries": {"spec": {"revisionHistoryLimit": 0}},
    "figs": {"metadata": {"annotations": {"owner": "shop", "a/b~c": "1"}}},
    "grapes": {},
}
"""What stands in a namespace that is not ours alone. Only the last two are fit to be tried on."""


def inhabit(double: Cluster) -> None:
    for name, change in INHABITANTS.items():
        double.add("deployments", manifest("deployment", name, "shop:1"))
        double.edit("deployments", name, change)


def unmoved(double: Cluster, name: str) -> Any:
    """What must be the same afterwards."""
    raw = double.get("deployments", name)
    notes = raw["metadata"].get("annotations", {})
    theirs = {k: v for k, v in notes.items() if not k.startswith("deployment.kubernetes.io/")}
    return theirs, raw["metadata"].get("labels"), raw["spec"]


@asynccontextmanager
async def place(which: str, folder: Path) -> AsyncIterator[Path]:
    """The kubeconfig of one of the places; on the double, strangers must be left as they were."""
    if which == "real":
        named = os.environ.get(REAL)
        if not named:
            pytest.skip(f"{REAL} names no kubeconfig")
        yield Path(named)
        return
    async with served(folder) as double:
        if which == "double":
            yield double.kubeconfig
            return
        inhabit(double)
        before = {name: unmoved(double, name) for name in INHABITANTS}
        double.rights = FEW
        yield double.kubeconfig
        assert {name: unmoved(double, name) for name in INHABITANTS} == before


async def made(kubeconfig: Path, kind: WorkloadKind) -> AsyncIterator[Lab]:
    """A workload of our own, or one that is there and may be changed."""
    lab = Lab(kubeconfig, Workload(NAMESPACE, kind, f"stopgap-test-{secrets.token_hex(4)}"))
    try:
        try:
            await lab.create("app:0")
        except Forbidden as error:
            if kind != "deployment":
                pytest.skip(f"no {kind} of our own: {error}")
        else:
            try:
                await lab.settled()
                yield lab
            finally:
                await lab.remove()
            return
        found = await _existing(lab.client)
        await lab.workshop.close()
        lab = Lab(kubeconfig, found)
        restore = await lab.kept()
        try:
            yield lab
        finally:
            await restore()
    finally:
        await lab.workshop.close()


async def _existing(client: ClusterClient) -> Workload:
    """A Deployment that may be changed: one whose rollout has ended, if there is one."""
    fit: list[tuple[bool, Workload]] = []
    for raw in await client.items(Resource("apps/v1", "deployments", NAMESPACE, cluster="")):
        workload = Workload(NAMESPACE, "deployment", objects.name_of(raw))
        if _may_be_changed(workload, raw):
            fit.append((not rollout_status("deployment", raw).finished, workload))
    if not fit:
        pytest.skip(f"we may create no Deployment in {NAMESPACE}, and none there may be changed")
    return min(fit, key=lambda one: one[0])[1]


def _may_be_changed(workload: Workload, raw: dict[str, Any]) -> bool:
    pods = objects.part(raw, "spec", "template", "metadata", "annotations")
    return (
        guards.taken_away(workload, raw) is None
        and guards.standing_still(workload, raw) is None
        and guards.keeper(raw) is None
        and guards.NO_ROLLBACK not in {*objects.annotations_of(raw), *pods}
        and objects.number(raw["spec"], "revisionHistoryLimit", absent=10) >= _KEPT
    )
