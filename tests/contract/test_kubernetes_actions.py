"""The Kubernetes actions on the double: the contract, scaling and restarting."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

from daemon.core.ports.actions import Action, ActionContext, Ready
from daemon.core.values.outcome import Permanent
from recovery_actions.kubernetes.names import WorkloadKind
from recovery_actions.kubernetes.watch import KubernetesWatch
from tests.contract.action_contract import ActionContract, context, tree
from tests.contract.kubernetes_double import Cluster, served
from tests.contract.kubernetes_pods import NAMESPACE
from tests.contract.kubernetes_world import World, broken


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with served(tmp_path) as cluster:
        yield cluster


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with broken(tmp_path) as world:
        yield world


# ── the contract ─────────────────────────────────────────────────────────────────────────────


class KubernetesContract(ActionContract):
    """What the three have in common; `settings` are the parameters beyond the workload."""

    called = ""
    settings: dict[str, Any] = {"hold": "2s"}  # noqa: RUF012
    kind: WorkloadKind = "deployment"
    lab: World

    @pytest.fixture
    async def action(self, cluster: Cluster) -> AsyncIterator[Action]:  # type: ignore[override]
        self.lab = World(cluster, self.kind)
        yield self.lab.action(self.called)
        await self.lab.workshop.close()

    @pytest.fixture
    def params(self, action: Action) -> Any:
        return self.lab.params(action, **self.settings)

    @pytest.fixture
    def refused_params(self, action: Action) -> Any:
        raw = {"namespace": NAMESPACE, self.kind: "nothing", **self.settings}
        return action.Params.model_validate(raw)

    @pytest.fixture
    def context(self, action: Action) -> ActionContext:
        return context(to=self.lab.items[0])

    def world(self, tmp_path: Path) -> Any:
        return tree(tmp_path), self.lab.cluster.snapshot()

    def effect(self, tmp_path: Path) -> Any:
        raw = self.lab.raw_now
        return raw["spec"], raw["metadata"]["generation"], self.lab.cluster.version

    def hostile(self, value: str, tmp_path: Path) -> Iterable[dict[str, Any]]:
        good = {"namespace": NAMESPACE, self.kind: "checkout", **self.settings}
        for place in ("namespace", self.kind, "rollout", "hold", "to_revision", "by", "replicas"):
            yield {**good, place: value}


class TestKubernetesRollback(KubernetesContract):
    called = "kubernetes_rollback"


class TestKubernetesRollbackOfAStatefulSet(KubernetesContract):
    called = "kubernetes_rollback"
    kind: WorkloadKind = "statefulset"


class TestKubernetesRollbackOfADaemonSet(KubernetesContract):
    called = "kubernetes_rollback"
    kind: WorkloadKind = "daemonset"


class TestKubernetesRestart(KubernetesContract):
    called = "kubernetes_restart"

    @pytest.fixture
    async def action(self, cluster: Cluster) -> AsyncIterator[Action]:  # type: ignore[override]
        self.lab = World(cluster, self.kind)
        self.lab.put("app:4")  # the broken one would never become ready
        yield self.lab.action(self.called)
        await self.lab.workshop.close()


class TestKubernetesScale(TestKubernetesRestart):
    called = "kubernetes_scale"
    settings: dict[str, Any] = {"by": "+50%", "min": 1, "max": 9}  # noqa: RUF012


def test_the_targets_are_one_for_all_actions(world: World) -> None:
    scale = world.params(world.scale, by="+1", min=1, max=9)
    assert world.scale.target(scale) == "kubernetes:demo/deployment/checkout"
    assert world.rollback.target(world.params(world.rollback)) == world.scale.target(scale)
    assert world.rollback.allowed(world.params(world.rollback)) is None


# ── scaling ──────────────────────────────────────────────────────────────────────────────────


ARGO = {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/D:demo/c"}}}


def autoscaler(name: str) -> dict[str, Any]:
    aim = {"kind": "Deployment", "name": name}
    return {"metadata": {"name": f"hpa-{name}"}, "spec": {"scaleTargetRef": aim}}


BOUNDS = {"min": 2, "max": 6}


async def test_an_autoscaled_workload_is_left_alone(world: World) -> None:
    world.cluster.add("horizontalpodautoscalers", autoscaler("other"))
    params = world.params(world.scale, by="+1", **BOUNDS)
    assert isinstance(await world.scale.preflight(params, context()), Ready)
    world.cluster.add("horizontalpodautoscalers", autoscaler("checkout"))
    refused = await world.refusal(world.scale, by="+1", **BOUNDS)
    assert refused.reason == "autoscaled"
    assert "kubectl edit hpa hpa-checkout -n demo" in refused.text


async def test_without_the_right_to_see_autoscalers_it_says_so(world: World) -> None:
    world.cluster.rights = {("get", "deployments"), ("patch", "deployments")}
    world.edit(ARGO)
    ready = await world.scale.preflight(world.params(world.scale, replicas=5, **BOUNDS), context())
    assert ready.summary == (
        "scale Deployment demo/checkout from 3 to 5 replicas; whether an autoscaler would take "
        "this back, we may not see; Argo CD manages it and may take this back"
    )


@pytest.mark.parametrize(
    ("change", "now", "reason"),
    [
        ({"replicas": 3}, 3, "already_scaled"),
        ({"by": "+1"}, 6, "at_bound"),
        ({"by": "+1"}, 20, "at_bound"),
        ({"by": "-1"}, 2, "at_bound"),
        ({"by": "-1"}, 1, "at_bound"),
        ({"by": "+1"}, 0, "scaled_to_zero"),
    ],
)
async def test_a_scaling_that_is_none_is_refused(
    world: World, change: dict[str, Any], now: int, reason: str
) -> None:
    world.edit({"spec": {"replicas": now}})
    assert (await world.refusal(world.scale, **change, **BOUNDS)).reason == reason


@pytest.mark.parametrize("now", [4, 5])
async def test_a_scaling_at_the_last_moment_wins(world: World, now: int) -> None:
    world.put("app:4")
    params = world.params(world.scale, replicas=5, **BOUNDS)
    ready = await world.scale.preflight(params, context())
    world.once(lambda: world.edit({"spec": {"replicas": now}}))
    outcome = await world.scale.run(params, ready.intent, context())
    assert outcome.result == ("done" if now == 5 else "refused")
    assert world.raw_now["spec"]["replicas"] == now


async def test_too_few_pods_after_scaling_is_a_failure(world: World) -> None:
    params = world.params(world.scale, replicas=5, rollout="20s", **BOUNDS)
    ready = await world.scale.preflight(params, context())
    outcome = await world.scale.run(params, ready.intent, context())
    assert (outcome.result, outcome.reason) == ("failed", "rollout_timeout")
    assert outcome.detail.startswith(
        "Deployment demo/checkout was scaled from 3 to 5 replicas, but"
    )


# ── restarting ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"spec": {"paused": True}}, "rollout_paused"),
        ({"spec": {"replicas": 0}}, "scaled_to_zero"),
        ({"metadata": {"deletionTimestamp": "now"}}, "being_deleted"),
    ],
)
async def test_what_cannot_restart_is_refused(
    world: World, change: dict[str, Any], reason: str
) -> None:
    world.edit(change)
    assert (await world.refusal(world.restart)).reason == reason


async def test_a_restart_keeps_the_annotations_of_the_pods(world: World) -> None:
    notes = {"metadata": {"annotations": {"a": "b"}}}
    world.put("app:4")
    world.edit({"spec": {"template": notes}})
    params = world.params(world.restart)
    ready = await world.restart.preflight(params, context())
    world.once(lambda: world.cluster.touch("deployments", "checkout"))
    assert (await world.restart.run(params, ready.intent, context())).reason == "restarted"
    assert world.raw_now["spec"]["template"]["metadata"]["annotations"]["a"] == "b"


async def test_a_restart_and_a_deployment_at_the_same_moment(world: World) -> None:
    world.put("app:4")
    params = world.params(world.restart)
    ready = await world.restart.preflight(params, context())
    world.once(lambda: world.put("app:5"))
    outcome = await world.restart.run(params, ready.intent, context())
    assert (outcome.result, outcome.reason) == ("refused", "changed_meanwhile")
    assert "(app:5)" in outcome.detail


async def test_the_watch_says_what_a_rollout_is_doing(world: World) -> None:
    params = KubernetesWatch.Params(namespace=NAMESPACE, deployment="checkout")
    watch = KubernetesWatch(params, world.workshop)
    changes = await watch.look()
    assert [c.item for c in changes] == world.items
    assert [c.rolling for c in changes] == [False, False, True]
    assert changes[-1].text == "revision 3, app:3-bad"
    world.cluster.rights = set()
    with pytest.raises(Permanent, match="may not get deployments"):
        await watch.look()
    world.cluster.rights = None
    world.edit({"spec": {"paused": True}})
    world.put("app:5")
    assert (await watch.look())[-1].item == world.items[2]
