"""Rollouts that take their time, one pod at a time, and those that something holds up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from daemon.core.ports.actions import Ready
from recovery_actions.kubernetes.blocked import POD_REVISION
from recovery_actions.kubernetes.names import WorkloadKind
from recovery_actions.kubernetes.rollout import rollout_status
from tests.contract.action_contract import context
from tests.contract.kubernetes_answers import webhook_denial
from tests.contract.kubernetes_double import served
from tests.contract.kubernetes_pods import is_ready, is_terminating
from tests.contract.kubernetes_world import World


@asynccontextmanager
async def slow(folder: Path, kind: WorkloadKind, *images: str, **spec: Any) -> AsyncIterator[World]:
    """A workload whose controllers go on by a step each second from now on; these images were
    deployed one after the other, the first of them went well."""
    async with served(folder) as cluster:
        world = World(cluster, kind)
        for name in world.items:
            cluster.objects.pop(("controllerrevisions", "demo", name), None)
        for key in [k for k in cluster.objects if k[0] in ("pods", "replicasets")]:
            del cluster.objects[key]
        world.raw_now.pop("status", None)
        world.raw_now["spec"] |= spec
        world.items = []
        for image in images:
            world.put(image)
            world.items.append(world.live)
        cluster.auto = False

        def second(now: float) -> None:
            cluster.step()

        world.time.then = second
        try:
            yield world
        finally:
            await world.workshop.close()


async def run(world: World, said: list[str] | None = None, **more: Any) -> Any:
    params = world.params(world.rollback, **more)
    ready = await world.rollback.preflight(params, context(world.items[0]))
    assert isinstance(ready, Ready), ready
    return await world.rollback.run(params, ready.intent, context(world.items[0], said=said))


def serving(world: World) -> set[str]:
    """The images of the pods that take part in the service."""
    return {pod["spec"]["containers"][0]["image"] for pod in world.pods if is_ready(pod)}


def deleted(world: World) -> list[str]:
    """The pods that were asked to be deleted, which is all that is asked of a single pod."""
    paths = [asked["path"] for asked in world.cluster.asked]
    return [path.rpartition("/")[2] for path in paths if "/pods/" in path]


# ── taking time ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["deployment", "statefulset", "daemonset"])
async def test_it_is_done_when_no_old_pod_serves_any_more(
    tmp_path: Path, kind: WorkloadKind
) -> None:
    said: list[str] = []
    async with slow(tmp_path, kind, "app:1", "app:2") as world:
        assert serving(world) == {"app:2"}
        outcome = await run(world, said)
        assert outcome.result == "done", outcome
        staying = [pod for pod in world.pods if not is_terminating(pod)]
        assert {pod["spec"]["containers"][0]["image"] for pod in staying} == {"app:1"}
        assert all(is_ready(pod) for pod in staying)
        assert world.time.now >= 3
        assert len(said) > 1


async def test_halfway_back_the_revisions_of_the_status_are_equal_at_once(tmp_path: Path) -> None:
    async with slow(tmp_path, "statefulset", "app:1", "app:2-unready") as world:
        # The second rollout never got beyond its first pod, so the first is still the current.
        assert [one["metadata"]["labels"][POD_REVISION] for one in world.pods] == [
            world.items[0],
            world.items[0],
            world.items[1],
        ]
        seen = []

        def watched(now: float) -> None:
            world.cluster.step()
            status = world.raw_now["status"]
            seen.append((status["updateRevision"] == status["currentRevision"], serving(world)))
            assert world.raw_now["spec"]["updateStrategy"]["rollingUpdate"] == {"partition": 0}

        world.time.then = watched
        outcome = await run(world, rollout="2m")
        assert outcome.result == "done", outcome
        assert all(equal for equal, _ in seen)
        assert len(world.pods) == 3
        assert all(map(is_ready, world.pods))


async def test_pods_that_are_ending_count_as_ready_and_are_not_taken_for_it(
    tmp_path: Path,
) -> None:
    async with slow(tmp_path, "statefulset", "app:1") as world:
        world.edit({"spec": {"replicas": 2}})
        world.cluster.step()
        status = world.raw_now["status"]
        assert (status["readyReplicas"], status["updatedReplicas"]) == (3, 2)
        judged = rollout_status("statefulset", world.raw_now)
        assert (judged.finished, judged.text) == (False, "1 pods are still ending")
        world.cluster.reconcile()
        assert rollout_status("statefulset", world.raw_now).finished


async def test_old_pods_that_are_still_ending_are_told(tmp_path: Path) -> None:
    async with slow(tmp_path, "deployment", "app:1", "app:2") as world:
        outcome = await run(world)
        assert outcome.result == "done"
        assert "all 3 replicas are new and available; 1 old pods are still ending" in outcome.detail


@pytest.mark.parametrize("kind", ["deployment", "statefulset"])
async def test_scaled_to_zero_is_said_as_that(tmp_path: Path, kind: WorkloadKind) -> None:
    async with slow(tmp_path, kind, "app:1") as world:
        world.edit({"spec": {"replicas": 0}})
        world.cluster.reconcile()
        shown = await world.rollback.show(world.params(world.rollback), context())
        assert shown["rollout"] == "scaled to 0: nothing serves"


# ── pods in the way ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
@pytest.mark.parametrize(
    ("image", "why"),
    [
        ("app:2-unready", "Running, not ready: containers with unready status: [app]"),
        ("app:2-unschedulable", "Unschedulable: 0/3 nodes are available: 3 Insufficient cpu."),
    ],
)
async def test_a_pod_that_never_gets_ready_is_deleted_after_a_while(
    tmp_path: Path, policy: str, image: str, why: str
) -> None:
    said: list[str] = []
    spec = {"podManagementPolicy": policy}
    async with slow(tmp_path, "statefulset", "app:1", image, **spec) as world:
        outcome = await run(world, said, rollout="5m")
        assert outcome.result == "done", outcome
        assert f"deleted to that end: the stuck pod checkout-2 ({why}" in outcome.detail
        assert any(f"checkout-2 ({why}" in one and "deleted if that lasts" in one for one in said)
        assert 30 <= world.time.now < 60
        assert all(map(is_ready, world.pods))
        assert deleted(world) == ["checkout-2"]


async def test_a_parallel_one_without_the_gate_helps_itself(tmp_path: Path) -> None:
    spec = {"podManagementPolicy": "Parallel"}
    async with slow(tmp_path, "statefulset", "app:1", "app:2-unready", **spec) as world:
        world.cluster.gates.clear()
        outcome = await run(world)
        assert outcome.result == "done", outcome
        assert not deleted(world)


async def test_a_pod_that_has_become_ready_in_the_meantime_is_spared(tmp_path: Path) -> None:
    """It is deleted as it was seen, or not at all: uid and resourceVersion are preconditions."""
    async with slow(tmp_path, "statefulset", "app:1", "app:2-unready") as world:
        pod = world.cluster.get("pods", "checkout-2")

        def recover(method: str, plural: str, dry: bool) -> None:
            if method == "DELETE":
                pod["status"]["conditions"][0]["status"] = "True"
                world.cluster.note()

        world.cluster.before = recover
        outcome = await run(world, rollout="35s")
        assert outcome.reason in ("rollout_timeout", "rolled_back"), outcome
        assert deleted(world) == ["checkout-2"]  # asked for, and refused
        assert "deleted to that end" not in outcome.detail


async def test_a_webhook_that_protects_a_stuck_pod_is_told(tmp_path: Path) -> None:
    async with slow(tmp_path, "statefulset", "app:1", "app:2-bad") as world:

        def protect(method: str, plural: str, dry: bool) -> None:
            if method == "DELETE":
                raise webhook_denial("databases are deleted by hand", 403)

        world.cluster.before = protect
        outcome = await run(world, rollout="20s")
        assert outcome.reason == "rollout_timeout"
        assert "databases are deleted by hand); by hand: kubectl delete pod" in outcome.detail


async def test_a_pod_that_is_ready_now_and_then_has_all_the_time_again(tmp_path: Path) -> None:
    async with slow(tmp_path, "statefulset", "app:1", "app:2-unready") as world:
        pod = world.cluster.get("pods", "checkout-2")

        def flap(now: float) -> None:
            # Its controller is away, so that nothing but the pod changes.
            pod["status"]["conditions"][0]["status"] = "True" if now % 20 < 1 else "False"

        world.time.then = flap
        outcome = await run(world, rollout="2m")
        assert outcome.reason == "rollout_timeout"
        assert not deleted(world)


async def test_a_pod_of_the_good_revision_is_named_and_left_alone(tmp_path: Path) -> None:
    async with slow(tmp_path, "statefulset", "app:1-unschedulable", "app:2") as world:
        outcome = await run(world, rollout="90s")
        assert (outcome.result, outcome.reason) == ("failed", "rollout_timeout")
        assert "the pod checkout-0 (Unschedulable: 0/3 nodes" in outcome.detail
        assert "of the revision that is wanted, so it was left alone" in outcome.detail
        assert not deleted(world)


async def test_a_partition_counts_from_the_first_ordinal(tmp_path: Path) -> None:
    spec = {"ordinals": {"start": 5}}
    async with slow(tmp_path, "statefulset", "app:1", "app:2-bad", **spec) as world:
        assert [pod["metadata"]["name"] for pod in world.pods][-1] == "checkout-7"
        rolling: dict[str, Any] = {"updateStrategy": {"rollingUpdate": {"partition": 3}}}
        world.edit({"spec": {"replicas": 4, **rolling}})
        params = world.params(world.rollback, rollout="40s")
        ready = await world.rollback.preflight(params, context(world.items[0]))
        outcome = await world.rollback.run(params, ready.intent, context())
        assert outcome.reason == "rollout_timeout"
        assert "below the partition of 3" in outcome.detail
        assert not deleted(world)
        rolling["updateStrategy"]["rollingUpdate"]["partition"] = 2
        world.edit({"spec": {"replicas": 3, **rolling}})
        outcome = await world.rollback.run(params, ready.intent, context())
        assert outcome.result == "done", outcome
        assert deleted(world) == ["checkout-7"]


async def test_a_new_pod_that_finds_no_node_is_named(tmp_path: Path) -> None:
    said: list[str] = []
    async with slow(tmp_path, "deployment", "app:1-unschedulable", "app:2") as world:
        outcome = await run(world, said, rollout="20s")
        assert outcome.reason == "rollout_timeout"
        assert "does not start: Unschedulable: 0/3 nodes are available" in outcome.detail
        assert any("does not start: Unschedulable" in one for one in said)


# ── quota ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["deployment", "statefulset", "daemonset"])
async def test_a_quota_that_blocks_pods_is_told_at_once(tmp_path: Path, kind: WorkloadKind) -> None:
    said: list[str] = []
    async with slow(tmp_path, kind, "app:1", "app:2") as world:
        world.cluster.quota = len(world.pods) if kind == "deployment" else 0
        outcome = await run(world, said, rollout="1m")
        assert (outcome.result, outcome.reason) == ("failed", "rollout_timeout")
        assert "pods cannot be made: " in outcome.detail
        assert "exceeded quota: pods-of-demo" in outcome.detail
        early = next(n for n, one in enumerate(said) if "exceeded quota" in one)
        assert early <= 3


async def test_a_rollout_to_a_kept_revision_arms_no_deadline(tmp_path: Path) -> None:
    """As seen on a server: the condition says that all is there, for ever."""
    async with slow(tmp_path, "deployment", "app:1", "app:2") as world:
        world.cluster.quota, world.cluster.overdue = len(world.pods), True
        outcome = await run(world, rollout="1m")
        assert outcome.reason == "rollout_timeout"
        progressing, failure = world.raw_now["status"]["conditions"]
        assert progressing["reason"] == "NewReplicaSetAvailable"
        assert (failure["type"], failure["reason"]) == ("ReplicaFailure", "FailedCreate")
        world.put("app:3")
        world.cluster.reconcile()
        reasons = [one["reason"] for one in world.raw_now["status"]["conditions"]]
        assert "ProgressDeadlineExceeded" in reasons  # of a new one there is a deadline


@pytest.mark.parametrize("kind", ["deployment", "statefulset"])
async def test_a_quota_that_blocks_a_scaling_is_told_too(
    tmp_path: Path, kind: WorkloadKind
) -> None:
    said: list[str] = []
    async with slow(tmp_path, kind, "app:1") as world:
        world.cluster.quota = 3
        params = world.params(world.scale, by="+1", min=1, max=9, rollout="20s")
        ready = await world.scale.preflight(params, context())
        outcome = await world.scale.run(params, ready.intent, context(said=said))
        assert outcome.reason == "rollout_timeout"
        assert "exceeded quota: pods-of-demo" in outcome.detail
        assert any("exceeded quota" in one for one in said[:4])


async def test_a_restart_that_a_stuck_pod_holds_up_names_it_and_deletes_nothing(
    tmp_path: Path,
) -> None:
    async with slow(tmp_path, "statefulset", "app:1", "app:2-unready") as world:
        params = world.params(world.restart, rollout="1m")
        ready = await world.restart.preflight(params, context())
        outcome = await world.restart.run(params, ready.intent, context())
        assert outcome.reason == "rollout_timeout"
        assert "by hand: kubectl delete pod checkout-2 -n demo" in outcome.detail
        assert not deleted(world)


async def test_without_the_right_to_see_events_it_goes_on(tmp_path: Path) -> None:
    async with slow(tmp_path, "statefulset", "app:1", "app:2") as world:
        world.cluster.rights = {
            *((verb, "statefulsets") for verb in ("get", "patch")),
            *(("list", plural) for plural in ("controllerrevisions", "pods")),
        }
        assert (await run(world)).result == "done"


# ── deleted in the foreground ────────────────────────────────────────────────────────────────


async def test_one_that_is_deleted_in_the_foreground_has_its_own_reason(tmp_path: Path) -> None:
    async with slow(tmp_path, "deployment", "app:1", "app:2") as world:
        params = world.params(world.rollback)
        ready = await world.rollback.preflight(params, context(world.items[0]))
        world.cluster._delete("deployments", "checkout", {"propagationPolicy": "Foreground"})
        for _ in range(2):
            world.cluster.step()
        assert "deletionTimestamp" in world.raw_now["metadata"]
        outcome = await world.rollback.run(params, ready.intent, context())
        assert (outcome.result, outcome.reason) == ("refused", "being_deleted")
        assert "waits for foregroundDeletion" in outcome.detail
        assert (await world.refusal()).reason == "being_deleted"


async def test_one_that_is_deleted_while_it_rolls_back_is_said_so(tmp_path: Path) -> None:
    async with slow(tmp_path, "deployment", "app:1", "app:2") as world:

        def delete(now: float) -> None:
            if now == 2:
                options = {"propagationPolicy": "Foreground"}
                world.cluster._delete("deployments", "checkout", options)

        world.time.then = delete
        outcome = await run(world)
        assert (outcome.result, outcome.reason) == ("failed", "reverted")
        assert "is being deleted since" in outcome.detail
