"""Clusters by name: each is reached by its own kubeconfig, and nothing of one is taken for that of
another."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from daemon.adapters.change_sources.metric_watches import KubeStateWatch, VersionWatch
from daemon.app import workshop_for
from daemon.config.settings import Settings
from daemon.core.ports.actions import Ready
from daemon.core.values.outcome import Permanent
from recovery_actions import catalogue
from recovery_actions.helm import HelmPlace, cluster_flags
from recovery_actions.kubernetes.client import ClusterClient
from recovery_actions.kubernetes.names import Workload
from recovery_actions.kubernetes.watch import KubernetesWatch
from recovery_actions.reasons import NotReady
from recovery_actions.workshop import Workshop
from tests.contract.action_contract import context
from tests.contract.kubernetes_controllers import NAMESPACE
from tests.contract.kubernetes_double import Cluster, served
from tests.contract.kubernetes_lab import manifest
from tests.fakes import START, Service


@dataclass
class Two:
    """A cluster without a name and one called eu, with a deployment of the same name in each."""

    ours: Cluster
    eu: Cluster
    workshop: Workshop


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    for name in ("ours", "eu"):
        (tmp_path / name).mkdir()
    async with served(tmp_path / "ours") as ours, served(tmp_path / "eu") as eu:
        ours.add("deployments", manifest("deployment", "checkout", "app:1"))
        eu.add("deployments", manifest("deployment", "checkout", "app:2"))
        clusters = {"eu": {"kubeconfig": str(eu.kubeconfig)}}
        given = {"kubeconfig": str(ours.kubeconfig), "clusters": clusters}
        settings = Settings.model_validate({"kubernetes": given, "base": tmp_path})
        workshop = workshop_for(settings, {})
        try:
            yield Two(ours, eu, workshop)
        finally:
            await workshop.close()


def image(raw: Any) -> str:
    return str(raw["spec"]["template"]["spec"]["containers"][0]["image"])


async def test_a_name_leads_to_its_own_server(two: Two) -> None:
    client = two.workshop.shared(ClusterClient)
    for cluster, expected in (("", "app:1"), ("eu", "app:2"), ("", "app:1")):
        workload = Workload(NAMESPACE, "deployment", "checkout", cluster)
        assert image(await client.get(workload.resource)) == expected
    two.eu.tokens = set()
    with pytest.raises(Permanent, match="401"):
        await client.get(Workload(NAMESPACE, "deployment", "checkout", "eu").resource)
    assert await client.get(Workload(NAMESPACE, "deployment", "checkout").resource)
    gone = Workload(NAMESPACE, "deployment", "checkout", "asia").resource
    with pytest.raises(Permanent, match=r"no 'asia' in `kubernetes.clusters`.*known: eu"):
        await client.get(gone)


async def test_an_action_works_in_its_cluster_alone_and_locks_nothing_elsewhere(two: Two) -> None:
    action = catalogue(two.workshop)["kubernetes_restart"]
    named = {"namespace": NAMESPACE, "deployment": "checkout"}
    ours = action.Params.model_validate(named)
    eu = action.Params.model_validate({**named, "cluster": "eu"})
    asia = action.Params.model_validate({**named, "cluster": "asia"})
    assert action.target(ours) == f"kubernetes:{NAMESPACE}/deployment/checkout"
    assert action.target(eu) == f"kubernetes:eu:{NAMESPACE}/deployment/checkout"
    before = len(two.ours.asked)
    ready = await action.preflight(eu, context())
    assert isinstance(ready, Ready), ready
    assert f"Deployment {NAMESPACE}/checkout of cluster eu" in ready.summary
    assert len(two.ours.asked) == before
    refused = await action.preflight(asia, context())
    assert isinstance(refused, NotReady)
    assert refused.reason == "no_such_cluster"


async def test_changes_have_the_target_of_the_steps_as_their_subject(two: Two) -> None:
    named = {"namespace": NAMESPACE, "deployment": "checkout", "cluster": "eu"}
    workload = KubernetesWatch.Params.model_validate(named).workload
    params = KubeStateWatch.Params.model_validate(named)
    watch = KubeStateWatch.make(params, Service(), lambda: START)
    assert watch._subject("deployment", "checkout") == workload.target
    version = VersionWatch.Params.model_validate({"query": "build_info", "label": "version"})
    assert (version.about(""), version.about("eu")) == (
        "version:build_info{}",
        "version:eu:build_info{}",
    )


def test_helm_is_told_which_cluster(tmp_path: Path) -> None:
    clusters = {"eu": {"context": "eu-1"}, "us": {"kubeconfig": "/etc/us"}}
    given = {"kubeconfig": "/etc/ours", "clusters": clusters}
    workshop = workshop_for(Settings.model_validate({"kubernetes": given, "base": tmp_path}), {})

    def place(cluster: str) -> HelmPlace:
        return HelmPlace(release="shop", namespace="prod", cluster=cluster)

    assert cluster_flags(place(""), workshop) == ["--kubeconfig", "/etc/ours"]
    eu = ["--kubeconfig", "/etc/ours", "--kube-context", "eu-1"]
    assert cluster_flags(place("eu"), workshop) == eu
    assert cluster_flags(place("us"), workshop) == ["--kubeconfig", "/etc/us"]
    assert place("").target == "helm:prod/shop"
    assert place("eu").target == "helm:eu:prod/shop"


@pytest.mark.parametrize(
    "given",
    [
        {"clusters": {"eu": {}}},
        {"clusters": {"eu": {"context": "eu"}}},
        {"kubeconfig": "k", "clusters": {"eu": {}}},
    ],
)
def test_a_name_for_the_same_cluster_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"`clusters\.eu` needs a `kubeconfig`"):
        Settings.model_validate({"kubernetes": json.loads(json.dumps(given))})
