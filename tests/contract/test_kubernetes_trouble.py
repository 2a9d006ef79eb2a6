"""What an API server may answer on a bad day, and histories that nobody would write by hand."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from daemon.core.ports.actions import Ready
from daemon.core.values.outcome import Permanent
from recovery_actions.kubernetes.client import ClusterClient
from recovery_actions.kubernetes.connection import ApiConnection
from recovery_actions.kubernetes.errors import Expired
from recovery_actions.kubernetes.names import Resource
from recovery_actions.kubernetes.watch import KubernetesWatch
from tests.contract.action_contract import context
from tests.contract.kubernetes_answers import REJECTED, Refusal
from tests.contract.kubernetes_pods import NAMESPACE
from tests.contract.kubernetes_world import World, broken

REVISION = "deployment.kubernetes.io/revision"
PODS = Resource("", "pods", NAMESPACE, cluster="")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with broken(tmp_path) as world:
        yield world


async def prepared(world: World, **more: Any) -> tuple[Any, Any]:
    params = world.params(world.rollback, **more)
    ready = await world.rollback.preflight(params, context(world.items[0]))
    assert isinstance(ready, Ready), ready
    return params, ready.intent


def busy(world: World, times: int, seconds: int) -> None:
    """So many patches are turned away, asking for so much time."""
    left = times

    def before(method: str, plural: str, dry: bool) -> None:
        nonlocal left
        if method == "PATCH" and left:
            left -= 1
            raise Refusal(429, "too many requests", {"retryAfterSeconds": seconds})

    world.cluster.before = before


# ── turned away ──────────────────────────────────────────────────────────────────────────────


async def test_a_busy_server_is_given_the_time_it_asks_for(world: World) -> None:
    params, intent = await prepared(world)
    busy(world, times=2, seconds=7)
    assert (await world.rollback.run(params, intent, context())).result == "done"
    assert world.time.now >= 14


async def test_a_patch_that_was_turned_away_is_known_not_to_have_been_done(world: World) -> None:
    params, intent = await prepared(world)
    busy(world, times=99, seconds=3)
    outcome = await world.rollback.run(params, intent, context())
    assert (outcome.result, outcome.reason) == ("failed", "unreachable")
    assert "429" in outcome.detail
    assert await world.rollback.check(params, intent, context()) == "not_done"


async def test_a_patch_that_found_no_server_is_known_not_to_have_been_done(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, intent = await prepared(world)
    request = ApiConnection.request

    async def refuse(connection: Any, method: str, *rest: Any) -> Any:
        if method == "PATCH":
            key: Any = None
            raise aiohttp.ClientConnectorError(key, ConnectionRefusedError(111, "refused"))
        return await request(connection, method, *rest)

    monkeypatch.setattr(ApiConnection, "request", refuse)
    outcome = await world.rollback.run(params, intent, context())
    assert (outcome.result, outcome.reason) == ("failed", "unreachable")


@pytest.mark.parametrize("status", [409, 422])
@pytest.mark.parametrize("name", ["rollback", "restart", "scale"])
async def test_a_conflict_that_stays_is_somebody_elses_work(
    world: World, status: int, name: str
) -> None:
    """Even where nothing that we look at has changed: people are told, nothing else is begun."""
    action = {"rollback": world.rollback, "restart": world.restart, "scale": world.scale}[name]
    bounds = {"replicas": 4, "min": 1, "max": 4} if name == "scale" else {}
    params = world.params(action, **bounds)
    ready = await action.preflight(params, context(world.items[0]))
    assert isinstance(ready, Ready), ready
    before = world.cluster.snapshot()

    def conflict(method: str, plural: str, dry: bool) -> None:
        if method == "PATCH":
            raise Refusal(status, REJECTED, {})

    world.cluster.before = conflict
    outcome = await action.run(params, ready.intent, context())
    assert (outcome.result, outcome.reason) == ("refused", "changed_meanwhile")
    refused = await action.preflight(params, context(world.items[0]))
    assert refused.reason == "changed_meanwhile"
    assert world.cluster.snapshot() == before


# ── lists ────────────────────────────────────────────────────────────────────────────────────


async def test_a_list_that_expires_halfway_is_begun_anew(world: World) -> None:
    world.cluster.page, world.cluster.outdated = 1, 2
    pods = await world.client.items(PODS)
    names = [pod["metadata"]["name"] for pod in pods]
    assert names == [pod["metadata"]["name"] for pod in world.pods]


async def test_a_list_that_always_expires_is_for_later(world: World) -> None:
    world.cluster.page, world.cluster.outdated = 1, 99
    with pytest.raises(Expired, match="410"):
        await world.client.items(PODS)


async def test_a_list_without_an_end_is_not_read_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def same(client: Any, verb: str, *rest: Any) -> Any:
        return {"items": [{}], "metadata": {"continue": "again"}}

    monkeypatch.setattr(ClusterClient, "_request", same)
    with pytest.raises(Permanent, match="has no end"):
        await world.client.items(PODS)


# ── histories ────────────────────────────────────────────────────────────────────────────────


async def test_an_equal_template_under_another_name_is_live_already(world: World) -> None:
    """As kubectl: there is nothing to roll back to, and a patch would change nothing."""
    twin = copy.deepcopy(world.cluster.get("replicasets", world.items[2]))
    twin["metadata"] |= {"name": "checkout-twin"}
    twin["metadata"]["annotations"] = {REVISION: "2"}
    twin["metadata"]["labels"]["pod-template-hash"] = "twin"
    twin["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] = "twin"
    uid = world.raw_now["metadata"]["uid"]
    world.cluster.objects["replicasets", NAMESPACE, "checkout-twin"] = twin
    assert twin["metadata"]["ownerReferences"][0]["uid"] == uid
    refused = await world.refusal(to="checkout-twin")
    assert refused.reason == "already_live"


async def test_replicasets_of_others_are_not_ours(world: World) -> None:
    """The same labels, but another owner, or none, or one that does not control it."""
    owned = {"uid": world.raw_now["metadata"]["uid"]}
    for name, owners in {
        "other": [{"uid": "another", "controller": True}],
        "orphan": [],
        "loose": [{**owned, "controller": False}],
        "looser": [owned],
    }.items():
        one = copy.deepcopy(world.cluster.get("replicasets", world.items[1]))
        one["metadata"] |= {"name": name, "ownerReferences": owners, "uid": f"uid-of-{name}"}
        one["metadata"]["annotations"] = {REVISION: "9"}
        one["spec"]["template"]["spec"]["containers"][0]["image"] = f"app:{name}"
        world.cluster.objects["replicasets", NAMESPACE, name] = one
        assert (await world.refusal(to=name)).reason == "revision_missing"
    state = await world.state()
    assert [one.item for one in state.revisions] == world.items


@pytest.mark.parametrize(
    "number", [None, "", "x", "-1", "1.5", "²", "٣", "9" * 5000, " 1 ", "0", "1,2", "0x1"]
)
async def test_whatever_stands_in_the_annotation_nothing_breaks(
    world: World, number: str | None
) -> None:
    """Anybody who may write an annotation may write there what they like."""
    for key in (REVISION, f"{REVISION}-history"):
        notes = world.cluster.get("replicasets", world.items[0])["metadata"]["annotations"]
        kept = dict(notes)
        notes.pop(key, None)
        if number is not None:
            notes[key] = number
        world.cluster.auto = False
        params = world.params(world.rollback)
        ready = await world.rollback.preflight(params, context(world.items[0]))
        assert isinstance(ready, Ready), ready
        assert ready.intent["to"] == world.items[0]
        watch = KubernetesWatch(world.params(world.restart), world.workshop)
        assert [change.item for change in await watch.look()][-1] == world.items[2]
        world.cluster.get("replicasets", world.items[0])["metadata"]["annotations"] = kept


async def test_annotations_with_slashes_and_tildes_and_none_at_all(world: World) -> None:
    odd = {"a.b/c~d": 'x"\\ny', "~0~1": "z", "unicode": "é☃"}
    world.edit({"metadata": {"annotations": odd}})
    first = world.cluster.get("replicasets", world.items[0])["metadata"]["annotations"]
    first |= {"a.b/c~d": "old"}
    assert (await world.back()).result == "done"
    assert world.raw_now["metadata"]["annotations"]["a.b/c~d"] == "old"
    assert "~0~1" not in world.raw_now["metadata"]["annotations"]


async def test_a_workload_without_annotations_gets_its_own(world: World) -> None:
    world.cluster.auto = False
    del world.raw_now["metadata"]["annotations"]
    params, intent = await prepared(world)
    world.cluster.auto = True
    world.cluster.before = lambda method, *rest: None
    assert (await world.rollback.run(params, intent, context())).result == "done"
    assert world.image == "app:1"


async def test_a_number_of_replicas_that_is_not_written_is_one(world: World) -> None:
    del world.raw_now["spec"]["replicas"]
    params = world.params(world.scale, replicas=3, min=1, max=4)
    ready = await world.scale.preflight(params, context())
    assert isinstance(ready, Ready), ready
    assert ready.intent["replicas_before"] == "1"
    world.put("app:9")
    assert (await world.scale.run(params, ready.intent, context())).result == "done"
    assert world.raw_now["spec"]["replicas"] == 3


async def test_no_history_is_kept_with_a_limit_of_zero(world: World) -> None:
    world.edit({"spec": {"revisionHistoryLimit": 0}})
    for name in world.items[:2]:
        del world.cluster.objects["replicasets", NAMESPACE, name]
    refused = await world.refusal()
    assert refused.reason == "no_history"
    assert "revisionHistoryLimit" in refused.text


async def test_counters_that_are_absent_are_zero_and_never_finished(world: World) -> None:
    params, intent = await prepared(world, rollout="5s")
    world.cluster.auto = False

    def empty(now: float) -> None:
        generation = world.raw_now["metadata"]["generation"]
        world.raw_now["status"] = {"observedGeneration": generation}

    world.time.then = empty
    outcome = await world.rollback.run(params, intent, context())
    assert (outcome.result, outcome.reason) == ("failed", "rollout_timeout")
    assert "0 of 3 new replicas" in outcome.detail


async def test_a_server_without_managed_fields_is_enough(world: World) -> None:
    """Some installations drop them; only the day of a return is not known then."""
    world.put("app:1")
    world.put("app:4-bad")
    for raw in world.cluster.objects.values():
        raw["metadata"].pop("managedFields", None)
    world.items[2] = world.live
    params, intent = await prepared(world)
    assert (await world.rollback.run(params, intent, context())).result == "done"
