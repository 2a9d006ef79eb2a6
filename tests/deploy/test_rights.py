"""The Role of deploy/kubernetes/rights has what the recovery actions ask for: all, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.core.ports.actions import Ready
from recovery_actions.argo_rollouts_abort import ArgoRolloutsAbort
from recovery_actions.contract import context
from recovery_actions.kubernetes.connection import ApiConnection
from recovery_actions.kubernetes.names import WorkloadKind
from recovery_actions.kubernetes.watch import KubernetesWatch
from recovery_actions.workshop import Cluster, Workshop
from tests.contract.kubernetes_world import World
from tests.contract.test_kubernetes_stuck import slow
from tests.doubles.rollouts import Rollouts

RIGHTS = Path(__file__).parents[2] / "deploy/kubernetes/rights"
Right = tuple[str, str, str]
"""An API group, a resource, a verb."""
KINDS: tuple[WorkloadKind, ...] = ("deployment", "statefulset", "daemonset")


def granted() -> set[Right]:
    """What the Role gives."""
    role = yaml.safe_load((RIGHTS / "role.yaml").read_text())
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def right(method: str, path: str) -> Right:
    """What a request needs, as the API server judges it."""
    parts = path.strip("/").split("/")
    group = parts[1] if parts[0] == "apis" else ""
    plural, name, part = [*parts[parts.index("namespaces") + 2 :], "", ""][:3]
    verb = method.lower() if method != "GET" else "get" if name else "list"
    return group, f"{plural}/{part}" if part else plural, verb


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> set[Right]:
    """The rights that were asked for since the test began."""
    found: set[Right] = set()
    real = ApiConnection.request

    async def request(self: Any, method: str, path: str, *rest: Any, **more: Any) -> Any:
        found.add(right(method, path))
        return await real(self, method, path, *rest, **more)

    monkeypatch.setattr(ApiConnection, "request", request)
    return found


async def outcome(world: World, action: Any, **more: Any) -> Any:
    """Play an action from its preflight to its check, with the rights of the Role alone."""
    world.cluster.rights = {(verb, resource) for _, resource, verb in granted()}
    params = world.params(action, **more)
    ready = await action.preflight(params, context(world.items[0]))
    assert isinstance(ready, Ready), ready
    ended = await action.run(params, ready.intent, context(world.items[0]))
    await action.check(params, ready.intent, context(world.items[0]))
    return ended


async def plays_workloads(folder: Path) -> None:
    for kind in KINDS:
        async with slow(folder, kind, "app:1", "app:2") as world:
            assert (await outcome(world, world.rollback)).result == "done"
            watch = KubernetesWatch(KubernetesWatch.Params(**place(world)), world.workshop)
            assert await watch.look()
        async with slow(folder, kind, "app:1") as world:
            assert (await outcome(world, world.restart)).result == "done"
        if kind != "daemonset":
            async with slow(folder, kind, "app:1") as world:
                scaled = await outcome(world, world.scale, by="+1", min=1, max=9)
                assert scaled.result == "done"
                assert "we may not see" not in scaled.detail


def place(world: World) -> dict[str, str]:
    return {"namespace": world.workload.namespace, world.workload.kind: world.workload.name}


async def plays_what_is_stuck(folder: Path) -> None:
    async with slow(folder, "statefulset", "app:1", "app:2-bad") as world:
        assert (await outcome(world, world.rollback)).result == "done"
    async with slow(folder, "deployment", "app:1") as world:
        world.cluster.quota = 3
        blocked = await outcome(world, world.scale, by="+1", min=1, max=9, rollout="20s")
        assert "exceeded quota" in blocked.detail


async def plays_a_canary(folder: Path) -> None:
    async def no_pause(seconds: float) -> None:
        assert seconds > 0

    for subresource in (True, False):
        async with Rollouts().serving() as double:
            double.subresource = subresource
            workshop = Workshop(folder, cluster=Cluster(double.kubeconfig(folder)))
            action = ArgoRolloutsAbort(workshop, no_pause)
            params = action.Params.model_validate({"namespace": "prod", "rollout": "checkout"})
            ready = await action.preflight(params, context())
            assert isinstance(ready, Ready)
            assert (await action.run(params, ready.intent, context())).result == "done"
            await workshop.close()


async def test_the_role_has_what_the_actions_ask_for_and_no_more(
    tmp_path: Path, asked: set[Right]
) -> None:
    await plays_workloads(tmp_path)
    await plays_what_is_stuck(tmp_path)
    await plays_a_canary(tmp_path)
    assert asked == granted()


def test_the_binding_is_for_the_account_of_the_pods_alone() -> None:
    binding = yaml.safe_load((RIGHTS / "rolebinding.yaml").read_text())
    role = yaml.safe_load((RIGHTS / "role.yaml").read_text())
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["roleRef"]["kind"] == role["kind"] == "Role"
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "stopgap", "namespace": "stopgap"}
    ]
    # No namespace of its own: whoever applies it says which.
    assert "namespace" not in {**binding["metadata"], **role["metadata"]}
