"""How the Kubernetes actions end when it does not go well: kills, reverts, deadlines, silence."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from daemon.core.ports.actions import Ready
from daemon.core.values.outcome import Temporary
from recovery_actions.kubernetes import patches
from recovery_actions.kubernetes.connection import ApiConnection
from recovery_actions.kubernetes.names import WorkloadKind
from tests.contract.action_contract import context
from tests.contract.kubernetes_world import World, broken


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with broken(tmp_path) as world:
        yield world


async def prepared(world: World, action: Any, **more: Any) -> tuple[Any, Any]:
    params = world.params(action, **more)
    ready = await action.preflight(params, context(world.items[0]))
    assert isinstance(ready, Ready), ready
    return params, ready.intent


# ── kills ────────────────────────────────────────────────────────────────────────────────────


class Killed(BaseException):
    """The process ends here, as if by kill -9."""


def kill(patch: pytest.MonkeyPatch, at: int, after: bool) -> None:
    """The process dies around its `at`-th request: before it leaves, or before the answer."""
    calls, request = 0, ApiConnection.request

    async def deadly(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at and not after:
            raise Killed
        reply = await request(*arguments)
        if calls == at:
            raise Killed
        return reply

    patch.setattr(ApiConnection, "request", deadly)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, 6))
@pytest.mark.parametrize("kind", ["deployment", "statefulset", "daemonset"])
async def test_a_rollback_killed_at_any_request_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: WorkloadKind, at: int, after: bool
) -> None:
    async with broken(tmp_path, kind) as world:
        params, intent = await prepared(world, world.rollback, hold="3s")
        generation = world.raw_now["metadata"]["generation"]
        with monkeypatch.context() as patch:
            kill(patch, at, after)
            with pytest.raises(Killed):
                await world.rollback.run(params, intent, context())
        landed = await world.rollback.check(params, intent, context())
        patched = world.image == "app:1"
        assert landed in (("done", "half_done") if patched else ("not_done",))
        assert (await world.rollback.run(params, intent, context())).result == "done"
        assert world.image == "app:1"
        assert world.raw_now["metadata"]["generation"] == generation + 1
        assert await world.rollback.check(params, intent, context()) == "done"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, 4))
@pytest.mark.parametrize("name", ["restart", "scale"])
async def test_a_restart_or_scaling_killed_at_any_request_is_understood(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, at: int, after: bool
) -> None:
    world.put("app:4")
    action = getattr(world, name)
    more = {"by": "+1", "min": 1, "max": 9} if name == "scale" else {}
    params, intent = await prepared(world, action, **more)
    generation = world.raw_now["metadata"]["generation"]
    with monkeypatch.context() as patch:
        kill(patch, at, after)
        with pytest.raises(Killed):
            await action.run(params, intent, context())
    landed = await action.check(params, intent, context())
    assert (landed == "not_done") == (world.raw_now["metadata"]["generation"] == generation)
    assert (await action.run(params, intent, context())).result == "done"
    assert world.raw_now["metadata"]["generation"] == generation + 1
    assert await action.check(params, intent, context()) == "done"


async def test_a_rollout_that_goes_on_is_half_done_and_waited_for(world: World) -> None:
    params, intent = await prepared(world, world.rollback, rollout="5s")
    world.cluster.auto = False
    first = await world.rollback.run(params, intent, context())
    assert (first.result, first.reason) == ("failed", "rollout_timeout")
    assert "took more than 5s: waiting for the controller" in first.detail
    assert await world.rollback.check(params, intent, context()) == "half_done"
    said: list[str] = []
    world.time.then = lambda now: world.cluster.reconcile() if now > 12 else None
    again = await world.rollback.run(params, intent, context(said=said))
    assert again.result == "failed"  # it began to wait at second 5
    world.time.then = lambda now: world.cluster.reconcile()
    assert (await world.rollback.run(params, intent, context(said=said))).result == "done"
    assert await world.rollback.check(params, intent, context()) == "done"
    assert "waiting for the controller to see the change" in said


# ── somebody undoes it ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("hold", ["0s", "30s"])
async def test_an_undoing_is_seen_and_named(world: World, hold: str) -> None:
    params, intent = await prepared(world, world.rollback, hold=hold)
    when = 2.0 if hold == "0s" else 20.0
    world.cluster.auto = hold != "0s"

    def undo(now: float) -> None:
        if now == when:
            world.put("app:3-bad", manager="argocd-controller")

    world.time.then = undo
    outcome = await world.rollback.run(params, intent, context())
    assert (outcome.result, outcome.reason) == ("failed", "reverted")
    assert "argocd-controller (managedFields) has changed it since" in outcome.detail
    assert "it runs app:3-bad now" in outcome.detail


async def test_without_a_hold_nobody_looks_any_longer(world: World) -> None:
    world.time.then = lambda now: world.put("app:3-bad")
    assert (await world.back()).result == "done"
    assert world.time.now == 0


async def test_a_restart_that_a_deployment_took_over_is_said_so(world: World) -> None:
    world.put("app:4")
    params, intent = await prepared(world, world.restart, hold="9s")
    world.time.then = lambda now: world.put("app:5", manager="helm")
    outcome = await world.restart.run(params, intent, context())
    assert (outcome.result, outcome.reason) == ("done", "restarted")  # its token stays there
    world.edit({"spec": {"template": {"metadata": {"annotations": None}}}}, manager="helm")
    assert await world.restart.check(params, intent, context()) == "unknown"


async def test_one_deleted_meanwhile_is_reverted(world: World) -> None:
    params, intent = await prepared(world, world.rollback, hold="9s")
    key = "deployments", "demo", "checkout"
    world.time.then = lambda now: world.cluster.objects.pop(key, None) and None
    outcome = await world.rollback.run(params, intent, context())
    assert (outcome.result, outcome.reason) == ("failed", "reverted")
    assert "has been deleted since" in outcome.detail


async def test_one_paused_meanwhile_is_a_failure_with_its_mend(world: World) -> None:
    params, intent = await prepared(world, world.rollback)
    world.once(lambda: world.edit({"spec": {"paused": True}}))
    outcome = await world.rollback.run(params, intent, context())
    assert (outcome.result, outcome.reason) == ("failed", "rollout_paused")
    assert "kubectl rollout resume" in outcome.detail


# ── deadlines ────────────────────────────────────────────────────────────────────────────────


async def test_the_clusters_own_deadline_is_a_failure(world: World) -> None:
    world.cluster.overdue = True
    world.put("app:4-bad")
    world.put("app:5-bad")
    params = world.params(world.rollback)
    worse = world.cluster.all("replicasets")
    item = next(
        one["metadata"]["name"]
        for one in worse
        if one["spec"]["template"]["spec"]["containers"][0]["image"] == "app:4-bad"
    )
    ready = await world.rollback.preflight(params, context(item))
    assert ready.intent["late"]
    outcome = await world.rollback.run(params, ready.intent, context())
    assert (outcome.result, outcome.reason) == ("failed", "progress_deadline_exceeded")
    assert "past its deadline" in outcome.detail


async def test_the_deadline_of_the_broken_rollout_is_not_ours(world: World) -> None:
    world.cluster.overdue = True
    world.put("app:4-bad")
    params, intent = await prepared(world, world.rollback)
    world.cluster.auto = False
    late = world.raw_now["status"]

    def stale(now: float) -> None:
        # The controller has seen the change, and has not yet judged it anew.
        if now < 5:
            world.raw_now["status"] = late | {
                "observedGeneration": world.raw_now["metadata"]["generation"]
            }
        else:
            world.cluster.reconcile()

    world.time.then = stale
    assert (await world.rollback.run(params, intent, context())).result == "done"


# ── silence ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mood", [500, 503, 429])
async def test_a_server_in_trouble_is_waited_for(world: World, mood: int) -> None:
    params, intent = await prepared(world, world.rollback)

    def trouble(now: float) -> None:
        world.cluster.mood = mood if now < 3 else ""

    world.cluster.mood = mood
    world.time.then = trouble
    assert (await world.rollback.run(params, intent, context())).result == "done"


async def test_a_server_that_stays_away_is_said_so(world: World) -> None:
    params, intent = await prepared(world, world.rollback)
    world.cluster.mood = 503
    outcome = await world.rollback.run(params, intent, context())
    assert (outcome.result, outcome.reason) == ("failed", "unreachable")
    with pytest.raises(Temporary, match="503"):
        await world.rollback.check(params, intent, context())
    with pytest.raises(Temporary, match="503"):
        await world.rollback.preflight(params, context())
    assert world.image == "app:3-bad"


@pytest.mark.parametrize("lost", ["request", "answer"])
async def test_a_patch_without_an_answer_is_looked_for(
    world: World, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    params, intent = await prepared(world, world.rollback)
    request, generation = ApiConnection.request, world.raw_now["metadata"]["generation"]
    lose = 1

    async def lossy(connection: Any, method: str, *rest: Any) -> Any:
        nonlocal lose
        if method == "PATCH" and lose:
            lose -= 1
            if lost == "answer":
                await request(connection, method, *rest)
            raise ConnectionResetError
        return await request(connection, method, *rest)

    monkeypatch.setattr(ApiConnection, "request", lossy)
    assert (await world.rollback.run(params, intent, context())).result == "done"
    assert world.raw_now["metadata"]["generation"] == generation + 1


async def test_a_patch_that_is_never_answered_is_unknown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, intent = await prepared(world, world.rollback)
    request = ApiConnection.request

    async def lossy(connection: Any, method: str, *rest: Any) -> Any:
        if method == "PATCH":
            raise ConnectionResetError
        return await request(connection, method, *rest)

    monkeypatch.setattr(ApiConnection, "request", lossy)
    outcome = await world.rollback.run(params, intent, context())
    assert (outcome.result, outcome.reason) == ("unknown", "unreachable")
    assert "is not known" in outcome.detail


async def test_credentials_that_end_while_waiting_leave_it_unknown(world: World) -> None:
    params, intent = await prepared(world, world.rollback)
    world.cluster.auto = False
    world.time.then = lambda now: world.cluster.tokens.clear()
    outcome = await world.rollback.run(params, intent, context())
    assert (outcome.result, outcome.reason) == ("unknown", "rollout_unknown")
    assert "does not know us" in outcome.detail


async def test_a_patch_that_is_not_accepted_is_a_failure(world: World) -> None:
    params, intent = await prepared(world, world.rollback)
    world.cluster.denied = "images must be signed"
    outcome = await world.rollback.run(params, intent, context())
    assert (outcome.result, outcome.reason) == ("failed", "patch_failed")
    assert "images must be signed" in outcome.detail


async def test_one_that_never_holds_still_is_given_up(world: World) -> None:
    params, intent = await prepared(world, world.rollback)
    count = 0

    def restless(method: str, plural: str, dry: bool) -> None:
        nonlocal count
        if method == "PATCH":
            count += 1
            world.edit({"metadata": {"annotations": {"count": str(count)}}})

    world.cluster.before = restless
    outcome = await world.rollback.run(params, intent, context())
    assert (outcome.result, outcome.reason) == ("refused", "changed_meanwhile")
    assert "5 times in a row" in outcome.detail
    assert world.image == "app:3-bad"
    refused = await world.rollback.preflight(params, context(world.items[0]))
    assert refused.reason == "changed_meanwhile"


# ── a StatefulSet that is stuck ──────────────────────────────────────────────────────────────


async def test_a_broken_pod_in_the_way_is_deleted(tmp_path: Path) -> None:
    async with broken(tmp_path, "statefulset") as world:
        said: list[str] = []
        params, intent = await prepared(world, world.rollback)
        outcome = await world.rollback.run(params, intent, context(said=said))
        assert outcome.result == "done", outcome
        deleted = [a["path"] for a in world.cluster.asked if a["path"].endswith("/checkout-2")]
        assert len(deleted) == 1
        assert any(
            "the broken pod checkout-2 (CrashLoopBackOff) was in the way and has been deleted"
            in text
            for text in said
        )
        assert all(pod["status"]["conditions"][0]["status"] == "True" for pod in world.pods)


async def test_without_the_right_to_delete_it_says_what_to_do(tmp_path: Path) -> None:
    async with broken(tmp_path, "statefulset") as world:
        params, intent = await prepared(world, world.rollback, rollout="1m")
        world.cluster.rights = {
            ("get", "statefulsets"),
            ("patch", "statefulsets"),
            ("list", "controllerrevisions"),
            ("list", "pods"),
        }
        outcome = await world.rollback.run(params, intent, context())
        assert (outcome.result, outcome.reason) == ("failed", "rollout_timeout")
        assert "kubectl delete pod checkout-2 -n demo" in outcome.detail
        world.cluster.rights -= {("list", "pods")}
        outcome = await world.rollback.run(params, intent, context())
        assert "whether a broken pod is in the way cannot be seen" in outcome.detail
        world.cluster.rights = None
        assert (await world.rollback.run(params, intent, context())).result == "done"


@pytest.mark.parametrize("spared", ["starting", "partition", "other revision"])
async def test_a_pod_that_is_not_in_the_way_is_spared(tmp_path: Path, spared: str) -> None:
    async with broken(tmp_path, "statefulset") as world:
        pod = world.cluster.get("pods", "checkout-2")
        if spared == "partition":
            rolling = {"updateStrategy": {"rollingUpdate": {"partition": 3}}}
            world.edit({"spec": {"replicas": 4, **rolling}})
        if spared == "other revision":
            pod["metadata"]["labels"]["controller-revision-hash"] = "another"
        if spared == "starting":
            waiting = {"waiting": {"reason": "ContainerCreating"}}
            pod["status"]["containerStatuses"] = [{"state": waiting, "restartCount": 0}]
        params, intent = await prepared(world, world.rollback, rollout="9s")
        outcome = await world.rollback.run(params, intent, context())
        assert outcome.reason == "rollout_timeout"
        assert world.cluster.get("pods", "checkout-2") is pod


async def test_a_pod_that_was_replaced_meanwhile_is_spared(tmp_path: Path) -> None:
    async with broken(tmp_path, "statefulset") as world:
        pod = world.cluster.get("pods", "checkout-2")

        def replaced(method: str, plural: str, dry: bool) -> None:
            if method == "DELETE":
                pod["metadata"]["uid"] += "-anew"

        params, intent = await prepared(world, world.rollback, rollout="9s")
        world.cluster.before = replaced
        assert (await world.rollback.run(params, intent, context())).reason == "rollout_timeout"
        assert world.cluster.get("pods", "checkout-2") is pod


async def test_the_notes_of_a_statefulset_say_who_it_was(tmp_path: Path) -> None:
    async with broken(tmp_path, "statefulset") as world:
        assert (await world.back()).result == "done"
        notes = world.raw_now["metadata"]["labels"]
        assert notes[patches.ROLLED_BACK_TO] == world.items[0] == world.live
