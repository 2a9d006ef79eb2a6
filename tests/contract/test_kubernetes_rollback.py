"""`kubernetes_rollback`: each refusal, what is kept, who wins; and what is shown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from daemon.core.ports.actions import Ready
from daemon.core.values.outcome import Temporary
from recovery_actions.kubernetes import guards, patches
from recovery_actions.kubernetes.names import WorkloadKind
from tests.contract.action_contract import context
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


# ── refusals ─────────────────────────────────────────────────────────────────────────────────


FLUX = {"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}}
ARGO = {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/D:demo/c"}}}
NO_WAY_BACK = {"metadata": {"annotations": {guards.NO_ROLLBACK: "drops a column"}}}


@pytest.mark.parametrize(
    ("change", "reason", "said"),
    [
        (
            {"spec": {"paused": True}},
            "rollout_paused",
            "kubectl rollout resume deployment/checkout -n demo",
        ),
        ({"spec": {"replicas": 0}}, "scaled_to_zero", "scaled to zero"),
        ({"spec": {"updateStrategy": {"type": "OnDelete"}}}, "on_delete", "OnDelete"),
        ({"metadata": {"deletionTimestamp": "now"}}, "being_deleted", "is being deleted since now"),
        (ARGO, "managed_by_gitops", "argocd_rollback of the application shop"),
        (FLUX, "managed_by_gitops", "suspend that first"),
        (NO_WAY_BACK, "declared_migration", "drops a column"),
    ],
)
async def test_each_obstacle_has_its_reason(
    world: World, change: dict[str, Any], reason: str, said: str
) -> None:
    world.edit(change)
    refused = await world.refusal()
    assert refused.reason == reason
    assert said in refused.text


async def test_a_partition_that_holds_all_pods_back_is_refused(tmp_path: Path) -> None:
    async with broken(tmp_path, "statefulset") as world:
        world.edit({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 3}}}})
        for action in (world.rollback, world.restart):
            refused = await world.refusal(action, "" if action is world.restart else None)
            assert refused.reason == "partition_holds_all"
            assert "has 3 pods and updates those from number 3 on alone" in refused.text


async def test_an_obstacle_that_came_after_preflight_is_seen_too(world: World) -> None:
    params = world.params(world.rollback)
    ready = await world.rollback.preflight(params, context(world.items[0]))
    for change, reason in (
        ({"spec": {"paused": True}}, "rollout_paused"),
        (FLUX, "managed_by_gitops"),
        (NO_WAY_BACK, "declared_migration"),
    ):
        world.edit(change)
        outcome = await world.rollback.run(params, ready.intent, context())
        assert (outcome.result, outcome.reason) == ("refused", reason)
        world.edit({"spec": {"paused": None}, "metadata": {"labels": None}})
        if reason == "managed_by_gitops":
            world.raw_now["metadata"]["labels"] = {"app": "checkout"}
    assert world.image == "app:3-bad"


async def test_a_manager_of_gitops_is_known_by_what_it_changed(world: World) -> None:
    world.edit({"spec": {"minReadySeconds": 1}}, manager="argocd-controller")
    refused = await world.refusal()
    assert refused.reason == "managed_by_gitops"
    assert "changed by argocd-controller" in refused.text


async def test_helm_is_allowed_with_a_word(world: World) -> None:
    world.edit({"metadata": {"labels": {"app.kubernetes.io/managed-by": "Helm"}}})
    ready = await world.rollback.preflight(world.params(world.rollback), context(world.items[0]))
    assert "helm_rollback would take back its whole release" in ready.summary


async def test_the_summary_says_what_will_be_done(world: World) -> None:
    ready = await world.rollback.preflight(world.params(world.rollback), context(world.items[0]))
    assert ready.summary == (
        f"roll Deployment demo/checkout back from {world.items[2]} (revision 3, app:3-bad) "
        f"to {world.items[0]} (revision 1, app:1)"
    )


async def test_what_cannot_be_gone_back_to_is_refused(world: World) -> None:
    assert (await world.refusal(to="")).reason == "no_healthy_item"
    assert (await world.refusal(to=world.items[2])).reason == "already_live"
    assert (await world.refusal(to="checkout-gone")).reason == "revision_missing"
    assert (await world.refusal(to_revision=7)).reason == "revision_missing"
    assert (await world.refusal(to_revision=3)).reason == "already_live"
    for one in world.cluster.all("replicasets")[:]:
        if one["metadata"]["name"] != world.items[2]:
            del world.cluster.objects["replicasets", NAMESPACE, one["metadata"]["name"]]
    assert (await world.refusal()).reason == "no_history"


async def test_a_migration_of_a_revision_in_between_counts(world: World) -> None:
    for name, allowed in ((world.items[1], False), (world.items[0], True)):
        template = world.cluster.get("replicasets", name)["spec"]["template"]
        template["metadata"]["annotations"] = {guards.NO_ROLLBACK: ""}
        if not allowed:
            refused = await world.refusal()
            assert (refused.reason, name in refused.text) == ("declared_migration", True)
        del template["metadata"]["annotations"]
    # What the destination itself forbids is going back past it, not to it.
    template["metadata"]["annotations"] = {guards.NO_ROLLBACK: ""}
    ready = await world.rollback.preflight(world.params(world.rollback), context(world.items[0]))
    assert isinstance(ready, Ready)


async def test_a_revision_that_came_back_has_all_its_numbers(world: World) -> None:
    world.put("app:1")
    world.put("app:4-bad")
    for number in (1, 4):
        ready = await world.rollback.preflight(
            world.params(world.rollback, to_revision=number), context()
        )
        assert ready.intent["to"] == world.items[0]


async def test_admission_speaks_before_anything_changes(world: World) -> None:
    world.cluster.denied = "images must be signed"
    refused = await world.refusal()
    assert refused.reason == "dry_run_failed"
    assert "images must be signed" in refused.text


async def test_a_deployment_not_yet_taken_up_is_tried_again_later(world: World) -> None:
    world.cluster.auto = False
    world.put("app:9")
    with pytest.raises(Temporary, match="has not yet taken that up"):
        await world.rollback.preflight(world.params(world.rollback), context(world.items[0]))


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (("get", "deployments"), "may not get deployments"),
        (("list", "replicasets"), "may not list replicasets"),
        (("patch", "deployments"), "verbs [patch]"),
    ],
)
async def test_a_missing_right_is_named(world: World, missing: tuple[str, str], said: str) -> None:
    rights = {("get", "deployments"), ("patch", "deployments"), ("list", "replicasets")}
    ready = await world.rollback.preflight(world.params(world.rollback), context(world.items[0]))
    world.cluster.rights = rights - {missing}
    refused = await world.refusal()
    assert refused.reason == "forbidden"
    assert said in refused.text
    outcome = await world.rollback.run(world.params(world.rollback), ready.intent, context())
    assert (outcome.result, outcome.reason) == ("refused", "forbidden")
    world.cluster.rights = rights
    assert (await world.back()).result == "done"


# ── rolling back ─────────────────────────────────────────────────────────────────────────────


async def test_annotations_are_kept_as_kubectl_keeps_them(world: World) -> None:
    applied = "kubectl.kubernetes.io/last-applied-configuration"
    world.edit({"metadata": {"annotations": {applied: "{}", "owner": "a", "new": "yes"}}})
    first = world.cluster.get("replicasets", world.items[0])["metadata"]["annotations"]
    first |= {"owner": "b", applied: "old", patches.STEP: "an older step"}
    first |= {patches.CHANGE_CAUSE: "the release of March"}
    assert (await world.back()).result == "done"
    notes = world.raw_now["metadata"]["annotations"]
    assert notes[applied] == "{}"
    assert notes["owner"] == "b"
    assert "new" not in notes
    assert notes["deployment.kubernetes.io/revision"] == "4"
    assert notes[patches.CHANGE_CAUSE] == "the release of March"
    assert patches.STEP not in notes
    said = world.raw_now["metadata"]["labels"]
    assert said[patches.STEP] == "step-1"
    assert said[patches.INCIDENT] == "0309-1403-test"
    labels = world.raw_now["spec"]["template"]["metadata"]["labels"]
    assert labels == {"app": "checkout"}
    assert world.live == world.items[0]


@pytest.mark.parametrize("kind", ["deployment", "statefulset", "daemonset"])
async def test_a_deployment_at_the_last_moment_wins(cluster: Cluster, kind: WorkloadKind) -> None:
    world = World(cluster, kind)
    world.once(lambda: world.put("app:4"))
    outcome = await world.back()
    assert (outcome.result, outcome.reason) == ("refused", "changed_meanwhile")
    assert "app:4" in outcome.detail
    assert world.image == "app:4"
    await world.workshop.close()


async def test_a_deployment_that_no_controller_has_seen_yet_wins_too(world: World) -> None:
    def deploy() -> None:
        world.cluster.auto = False
        world.put("app:4")

    world.once(deploy)
    outcome = await world.back()
    assert (outcome.result, outcome.reason) == ("refused", "changed_meanwhile")
    assert "app:4, just deployed, is live now" in outcome.detail
    assert world.image == "app:4"


@pytest.mark.parametrize("kind", ["statefulset", "daemonset"])
async def test_nothing_of_the_newer_template_stays(tmp_path: Path, kind: WorkloadKind) -> None:
    async with broken(tmp_path, kind) as world:
        world.edit({"spec": {"template": {"spec": {"hostNetwork": True}}}})
        for one in world.cluster.all("controllerrevisions"):
            del one["data"]["spec"]["template"]["$patch"]
        for pod in world.pods:
            pod["status"]["conditions"][0]["status"] = "True"
        assert (await world.back()).result == "done"
        assert "hostNetwork" not in world.raw_now["spec"]["template"]["spec"]


@pytest.mark.parametrize("kind", ["deployment", "statefulset", "daemonset"])
async def test_a_change_of_the_status_is_not_in_the_way(
    cluster: Cluster, kind: WorkloadKind
) -> None:
    world = World(cluster, kind)
    world.once(lambda: cluster.touch(world.plural, "checkout"))
    cluster.asked.clear()
    for pod in cluster.all("pods"):
        pod["status"]["conditions"][0]["status"] = "True"
    assert (await world.back()).result == "done"
    assert world.image == "app:1"
    sent = [a for a in cluster.asked if a["path"].endswith("checkout?fieldManager=stopgap")]
    assert len(sent) == (1 if kind == "deployment" else 2)
    await world.workshop.close()


async def test_what_else_changed_meanwhile_is_kept(world: World) -> None:
    world.once(lambda: world.edit({"spec": {"replicas": 5}}, manager="autoscaler"))
    assert (await world.back()).result == "done"
    assert (world.raw_now["spec"]["replicas"], world.image) == (5, "app:1")


async def test_an_annotation_written_meanwhile_is_read_again(world: World) -> None:
    applied = "kubectl.kubernetes.io/last-applied-configuration"
    world.once(lambda: world.edit({"metadata": {"annotations": {applied: "{}"}}}))
    assert (await world.back()).result == "done"
    assert world.raw_now["metadata"]["annotations"][applied] == "{}"


async def test_one_that_was_made_anew_is_another(world: World) -> None:
    params = world.params(world.rollback)
    ready = await world.rollback.preflight(params, context(world.items[0]))
    world.raw_now["metadata"]["uid"] = "another"
    for one in world.cluster.all("replicasets"):
        one["metadata"]["ownerReferences"][0]["uid"] = "another"
    assert await world.rollback.check(params, ready.intent, context()) == "unknown"
    outcome = await world.rollback.run(params, ready.intent, context())
    assert (outcome.result, outcome.reason) == ("refused", "changed_meanwhile")


async def test_one_that_is_deleted_is_gone(world: World) -> None:
    params = world.params(world.rollback)
    ready = await world.rollback.preflight(params, context(world.items[0]))
    del world.cluster.objects["deployments", NAMESPACE, "checkout"]
    assert await world.rollback.check(params, ready.intent, context()) == "unknown"
    outcome = await world.rollback.run(params, ready.intent, context())
    assert (outcome.result, outcome.reason) == ("refused", "no_such_workload")


async def test_a_destination_tidied_away_is_refused(world: World) -> None:
    params = world.params(world.rollback)
    ready = await world.rollback.preflight(params, context(world.items[0]))
    del world.cluster.objects["replicasets", NAMESPACE, world.items[0]]
    outcome = await world.rollback.run(params, ready.intent, context())
    assert (outcome.result, outcome.reason) == ("refused", "revision_missing")


async def test_another_steps_rollback_is_not_ours(world: World) -> None:
    params = world.params(world.rollback)
    ready = await world.rollback.preflight(params, context(world.items[0]))
    assert (await world.rollback.run(params, ready.intent, context())).result == "done"
    other = context(step="step-2")
    assert await world.rollback.check(params, ready.intent, other) == "unknown"
    outcome = await world.rollback.run(params, ready.intent, other)
    assert outcome.reason == "changed_meanwhile"


async def test_what_admission_adds_is_still_ours(world: World) -> None:
    def sidecar(raw: dict[str, Any]) -> None:
        raw["spec"]["template"]["spec"]["priority"] = 7

    world.cluster.mutate = sidecar
    params = world.params(world.rollback)
    ready = await world.rollback.preflight(params, context(world.items[0]))
    assert (await world.rollback.run(params, ready.intent, context())).result == "done"
    assert await world.rollback.check(params, ready.intent, context()) == "done"


async def test_the_paths_that_are_asked_for_are_plain(world: World) -> None:
    await world.back()
    await world.rollback.show(world.params(world.rollback), context())
    plain = set("abcdefghijklmnopqrstuvwxyz0123456789-./")
    assert all(set(asked["path"].partition("?")[0]) <= plain for asked in world.cluster.asked)


# ── showing ──────────────────────────────────────────────────────────────────────────────────


async def test_it_shows_the_pods_in_trouble_first(world: World) -> None:
    world.edit({"spec": {"replicas": 25}})
    world.put("app:1")
    world.put("app:9-bad")
    shown = await world.rollback.show(world.params(world.rollback), context())
    pods = [key for key in shown if key.startswith("pod ")]
    assert shown["pods"] == "19 of 32 ready; 20 shown"
    assert len(pods) == 20
    assert shown[pods[0]] == "Running, not ready, 3 restarts, CrashLoopBackOff"
    assert shown["replicas"] == "25 wanted, 13 updated, 19 ready, 19 available"
    assert shown["rollout"] == "13 of 25 new replicas are there"
    assert shown["live"] == world.live


async def test_pods_that_may_not_be_seen_are_said_so(world: World) -> None:
    world.cluster.rights = {("get", "deployments"), ("list", "replicasets")}
    shown = await world.rollback.show(world.params(world.rollback), context())
    assert "may not list pods" in shown["pods"]


async def test_long_lists_come_page_by_page(world: World) -> None:
    world.cluster.page = 2
    shown = await world.restart.show(world.params(world.restart), context())
    assert shown["pods"] == "3 of 4 ready"
