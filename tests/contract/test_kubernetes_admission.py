"""What webhooks and policies of a cluster do to a rollback: deny it, or change what it sends."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.core.ports.actions import Ready
from recovery_actions.kubernetes.names import WorkloadKind
from tests.contract.action_contract import context
from tests.contract.kubernetes_answers import Refusal, policy_denial, webhook_denial
from tests.contract.kubernetes_world import World, broken


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with broken(tmp_path) as world:
        yield world


async def prepared(world: World, **more: Any) -> tuple[Any, Any]:
    params = world.params(world.rollback, **more)
    ready = await world.rollback.preflight(params, context(world.items[0]))
    assert isinstance(ready, Ready), ready
    return params, ready.intent


# ── denials ──────────────────────────────────────────────────────────────────────────────────

WORDS = "changes are frozen until Monday"
DENIALS: list[Refusal] = [
    *(webhook_denial(WORDS, status) for status in (400, 403, 409, 422, 500)),
    *(policy_denial("deployments", "checkout", WORDS, status) for status in (403, 422)),
]


@pytest.mark.parametrize("denial", DENIALS, ids=lambda one: f"{one.status} {str(one)[:22]}")
async def test_a_denial_is_told_in_its_own_words_and_is_no_conflict(
    world: World, denial: Refusal
) -> None:
    params, intent = await prepared(world)
    before = world.cluster.snapshot()

    def deny(method: str, plural: str, dry: bool) -> None:
        if method == "PATCH":
            raise denial

    world.cluster.before = deny
    asked = len(world.cluster.asked)
    outcome = await world.rollback.run(params, intent, context())
    assert (outcome.result, outcome.reason) == ("failed", "patch_failed")
    assert WORDS in outcome.detail
    assert len(world.cluster.asked) - asked == 3  # it was looked at, and tried once
    refused = await world.rollback.preflight(params, context(world.items[0]))
    assert refused.reason == "dry_run_failed"
    assert WORDS in refused.text
    assert world.cluster.snapshot() == before


# ── mutations ────────────────────────────────────────────────────────────────────────────────

SIDECAR = {"name": "proxy", "image": "proxy:7"}


def with_sidecar(raw: dict[str, Any]) -> None:
    """As a service mesh does it."""
    containers = raw["spec"]["template"]["spec"]["containers"]
    if not any(one["name"] == "proxy" for one in containers):
        containers.append(copy.deepcopy(SIDECAR))


def noted() -> Callable[[dict[str, Any]], None]:
    """As policies do it that note when they have looked: each time another value."""
    count = 0

    def mutate(raw: dict[str, Any]) -> None:
        nonlocal count
        count += 1
        metadata = raw["spec"]["template"]["metadata"]
        metadata.setdefault("annotations", {})["policy.example.org/seen"] = str(count)

    return mutate


@pytest.mark.parametrize("kind", ["deployment", "statefulset", "daemonset"])
@pytest.mark.parametrize("make", [lambda: with_sidecar, noted], ids=["sidecar", "noted"])
async def test_what_a_webhook_adds_makes_no_failure(
    tmp_path: Path, kind: WorkloadKind, make: Any
) -> None:
    async with broken(tmp_path, kind) as world:
        world.cluster.mutate = make()
        params, intent = await prepared(world, hold="9s")
        outcome = await world.rollback.run(params, intent, context())
        assert outcome.result == "done", outcome
        assert "the cluster changed the template on its way (admission" in outcome.detail
        assert world.image == "app:1"
        assert await world.rollback.check(params, intent, context()) == "done"
        generation = world.raw_now["metadata"]["generation"]
        assert (await world.rollback.run(params, intent, context())).result == "done"
        assert world.raw_now["metadata"]["generation"] == generation


async def test_a_webhook_that_comes_after_the_dry_run_makes_no_failure(world: World) -> None:
    params, intent = await prepared(world, hold="9s")
    world.cluster.mutate = with_sidecar
    assert (await world.rollback.run(params, intent, context())).result == "done"
    assert await world.rollback.check(params, intent, context()) == "done"


@pytest.mark.parametrize("make", [lambda: with_sidecar, noted], ids=["sidecar", "noted"])
async def test_who_scales_meanwhile_is_not_blamed_for_what_a_webhook_does(
    world: World, make: Any
) -> None:
    """The webhook changes the template at the hand of somebody who changes the replicas."""
    params, intent = await prepared(world, hold="20s")

    def scale(now: float) -> None:
        if now == 5:
            after = copy.deepcopy(world.raw_now)
            after["spec"]["replicas"] = 5
            world.cluster.mutate = make()
            world.cluster.mutate(after)
            world.cluster.objects["deployments", "demo", "checkout"] = after
            world.cluster.reconcile()

    world.time.then = scale
    outcome = await world.rollback.run(params, intent, context())
    assert outcome.result == "done", outcome
    assert world.raw_now["spec"]["replicas"] == 5
    assert await world.rollback.check(params, intent, context()) == "done"


async def test_a_webhook_hides_no_undoing(world: World) -> None:
    """The bad version is the good one and a variable more."""
    env = [{"name": "FEATURE", "value": "on"}]
    world.put("app:1")
    containers = [{**world.raw_now["spec"]["template"]["spec"]["containers"][0], "env": env}]
    change = {"spec": {"template": {"spec": {"containers": containers}}}}
    world.edit(change, manager="helm")
    world.cluster.mutate = noted()
    params, intent = await prepared(world, hold="20s")

    def undo(now: float) -> None:
        if now == 5:
            world.edit(change, manager="helm")

    world.time.then = undo
    outcome = await world.rollback.run(params, intent, context())
    assert (outcome.result, outcome.reason) == ("failed", "reverted")
    assert "helm (managedFields) has changed it since" in outcome.detail
    assert await world.rollback.check(params, intent, context()) == "unknown"


@pytest.mark.parametrize(
    "change",
    [
        {"containers": [{"name": "app", "image": "app:1", "env": [{"name": "A", "value": "b"}]}]},
        {"containers": [{"name": "app", "image": "app:9"}]},
        {"containers": [{"name": "other", "image": "app:1"}]},
        {"containers": [{"name": "app", "image": "app:1"}], "hostNetwork": True},
    ],
)
@pytest.mark.parametrize("manager", ["stopgap", "kubectl-edit"])
async def test_another_deployment_is_never_taken_for_a_webhooks_work(
    world: World, change: dict[str, Any], manager: str
) -> None:
    """Whoever it is by, were it by our own name."""
    params, intent = await prepared(world)
    assert (await world.rollback.run(params, intent, context())).result == "done"
    world.edit({"spec": {"template": {"spec": change}}}, manager=manager)
    assert await world.rollback.check(params, intent, context()) == "unknown"
    outcome = await world.rollback.run(params, intent, context())
    assert (outcome.result, outcome.reason) == ("refused", "changed_meanwhile")
