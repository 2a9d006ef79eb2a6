"""What the next deployment meets after a rollback: field managers, `kubectl apply` old and new,
annotations, and the dates of what came back."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.core.ports.actions import Ready
from daemon.core.ports.replicas import NotOurs
from recovery_actions.kubernetes import objects, ownership
from recovery_actions.kubernetes.client import MANAGER
from recovery_actions.kubernetes.names import WorkloadKind
from recovery_actions.kubernetes.patches import STEP, rollback_patch
from recovery_actions.kubernetes.revisions import workload_history
from tests.contract.action_contract import context
from tests.contract.kubernetes_answers import Refusal
from tests.contract.kubernetes_double import Cluster, served
from tests.contract.kubernetes_fields import entry_of, owned_in
from tests.contract.kubernetes_lab import manifest
from tests.contract.kubernetes_world import World, broken

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
CAUSE = "kubernetes.io/change-cause"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with broken(tmp_path) as world:
        yield world


class Applied(World):
    """A workload that is applied on the server's side, by that manager; version 1 has a variable
    in its environment that no later one has."""

    def __init__(self, cluster: Cluster, kind: WorkloadKind, manager: str = "kubectl") -> None:
        super().__init__(cluster, kind)
        self.manager = manager
        for key in [key for key in cluster.objects if key[0] != "events"]:
            del cluster.objects[key]
        config = self.config("app:1", FEATURE="on")
        cluster.add(self.plural, copy.deepcopy(config), manager, "Apply")
        cluster.reconcile()
        self.items = [self.live]
        for image in ("app:2", "app:3-bad"):
            self.apply(image)
            self.items.append(self.live)

    def config(self, image: str, **env: str) -> dict[str, Any]:
        config = manifest(self.workload.kind, "checkout", image, 3)
        container = config["spec"]["template"]["spec"]["containers"][0]
        if env:
            container["env"] = [{"name": name, "value": value} for name, value in env.items()]
        return config

    def apply(self, image: str, *, manager: str = "", force: bool = False, **env: str) -> None:
        """`kubectl apply --server-side`. Raises the Refusal of a conflict."""
        config = self.config(image, **env)
        self.cluster.apply(self.plural, config, manager or self.manager, force)

    def owners(self, *path: str) -> set[tuple[str, str]]:
        """Who owns a field of the container."""
        container = ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"app"}')
        return {
            (entry["manager"], entry["operation"])
            for entry in self.raw_now["metadata"]["managedFields"]
            if (*container, *path) in owned_in(entry["fieldsV1"])
        }

    @property
    def env(self) -> Any:
        return self.raw_now["spec"]["template"]["spec"]["containers"][0].get("env")


@pytest.fixture(params=["deployment", "statefulset", "daemonset"])
async def applied(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Applied]:
    async with served(tmp_path) as cluster:
        world = Applied(cluster, request.param)
        yield world
        await world.workshop.close()


# ── server-side apply ────────────────────────────────────────────────────────────────────────


async def test_another_clients_patch_is_a_conflict_for_the_next_apply(applied: Applied) -> None:
    """As seen on a server; it is what the fields are given back for."""
    applied.put("app:1", manager=MANAGER)
    with pytest.raises(Refusal) as caught:
        applied.apply("app:4")
    assert caught.value.status == 409
    assert 'conflict with "stopgap" using apps/v1' in str(caught.value)
    assert caught.value.details == {
        "causes": [
            {
                "reason": "FieldManagerConflict",
                "message": 'conflict with "stopgap" using apps/v1',
                "field": '.spec.template.spec.containers[name="app"].image',
            }
        ]
    }
    applied.apply("app:1")  # with an equal value both own it
    assert applied.owners("f:image") == {("stopgap", "Update"), ("kubectl", "Apply")}
    with pytest.raises(Refusal):
        applied.apply("app:4")
    applied.apply("app:4", force=True)
    assert applied.owners("f:image") == {("kubectl", "Apply")}


async def test_the_next_apply_meets_no_conflict(applied: Applied) -> None:
    outcome = await applied.back(hold="3s")
    assert outcome.result == "done", outcome
    assert applied.image == "app:1"
    assert applied.env == [{"name": "FEATURE", "value": "on"}]
    assert "the fields are kubectl's again" in outcome.detail
    assert "see that they hold what is wanted" in outcome.detail
    assert applied.owners("f:image") == {("kubectl", "Apply")}
    entry = entry_of(applied.raw_now, MANAGER, "Update")
    assert entry is not None
    assert {path[:2] for path in owned_in(entry["fieldsV1"])} == {("f:metadata", "f:labels")}
    applied.apply("app:4")
    assert applied.image == "app:4"
    assert applied.env is None  # what only the older version had goes with it


async def test_fields_go_back_to_whoever_applied_them(applied: Applied) -> None:
    """CI applies the image alone, by a manager of its own; Helm all the rest."""
    image = applied.config("app:3-bad")
    image["spec"] = {"template": {"spec": image["spec"]["template"]["spec"]}}
    image["metadata"] = {"name": "checkout"}
    applied.cluster.apply(applied.plural, image, "ci", force=True)
    assert applied.owners("f:image") == {("ci", "Apply"), ("kubectl", "Apply")}
    image["spec"]["template"]["spec"]["containers"][0]["image"] = "app:5-bad"
    applied.cluster.apply(applied.plural, image, "ci", force=True)
    outcome = await applied.back()
    assert outcome.result == "done", outcome
    assert applied.owners("f:image") == {("ci", "Apply")}
    assert applied.owners("f:env", 'k:{"name":"FEATURE"}', "f:value") == {("kubectl", "Apply")}
    image["spec"]["template"]["spec"]["containers"][0]["image"] = "app:6"
    applied.cluster.apply(applied.plural, image, "ci")
    assert applied.image == "app:6"


async def test_one_who_takes_over_gives_the_fields_back_as_well(applied: Applied) -> None:
    """The process was killed between the patch and the giving back."""
    params = applied.params(applied.rollback)
    ready = await applied.rollback.preflight(params, context(applied.items[0]))
    assert isinstance(ready, Ready)
    state = await applied.state()
    to = state.find(applied.items[0])
    assert to is not None
    patch = rollback_patch(state, to, {STEP: context().token})
    await applied.client.patch(applied.workload.resource, patch.kind, patch.body)
    assert applied.owners("f:image") == {(MANAGER, "Update")}
    applied.cluster.reconcile()
    assert await applied.rollback.check(params, ready.intent, context()) == "half_done"
    outcome = await applied.rollback.run(params, ready.intent, context())
    assert outcome.result == "done", outcome
    assert await applied.rollback.check(params, ready.intent, context()) == "done"
    assert applied.owners("f:image") == {("kubectl", "Apply")}
    applied.apply("app:4")


async def test_a_replica_that_loses_its_lease_in_between_gives_nothing_back(
    applied: Applied,
) -> None:
    """Each request asks anew: the rollback was ours, what follows is the next owner's."""
    params = applied.params(applied.rollback)
    ready = await applied.rollback.preflight(params, context(applied.items[0]))
    asked = 0

    def must_act() -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise NotOurs("the lease is over")

    cut_off = replace(context(), must_act=must_act)
    with pytest.raises(NotOurs):
        await applied.rollback.run(params, ready.intent, cut_off)
    assert asked == 2
    assert applied.owners("f:image") == {(MANAGER, "Update")}
    applied.cluster.reconcile()
    assert (await applied.rollback.run(params, ready.intent, context())).result == "done"
    assert applied.owners("f:image") == {("kubectl", "Apply")}


async def test_giving_back_is_done_once_and_never_over_others(applied: Applied) -> None:
    count = 0

    def before(method: str, plural: str, dry: bool) -> None:
        nonlocal count
        if method == "PATCH" and not dry:
            count += 1
            if count == 2:  # somebody owns another field just then
                applied.edit({"metadata": {"labels": {"team": "shop"}}}, manager="kubectl-label")

    applied.cluster.before = before
    params = applied.params(applied.rollback)
    ready = await applied.rollback.preflight(params, context(applied.items[0]))
    outcome = await applied.rollback.run(params, ready.intent, context())
    assert outcome.result == "done", outcome
    assert count == 3  # the rollback, the giving back that was too late, and the next
    assert entry_of(applied.raw_now, "kubectl-label", "Update") is not None
    snapshot = applied.cluster.snapshot()
    assert (await applied.rollback.run(params, ready.intent, context())).result == "done"
    assert applied.cluster.snapshot() == snapshot


async def test_what_cannot_be_given_back_is_said(applied: Applied) -> None:
    params = applied.params(applied.rollback)
    ready = await applied.rollback.preflight(params, context(applied.items[0]))
    sent = 0

    def before(method: str, plural: str, dry: bool) -> None:
        nonlocal sent
        if method == "PATCH":
            sent += 1
            if sent > 1:
                raise Refusal(403, "managedFields are ours")

    applied.cluster.before = before
    outcome = await applied.rollback.run(params, ready.intent, context())
    assert outcome.result == "done"
    assert "the fields could not be given back" in outcome.detail
    assert "by kubectl is in conflict with stopgap and needs --force-conflicts" in outcome.detail


async def test_giving_back_waits_for_a_server_that_is_busy(applied: Applied) -> None:
    params = applied.params(applied.rollback)
    ready = await applied.rollback.preflight(params, context(applied.items[0]))
    sent = 0

    def before(method: str, plural: str, dry: bool) -> None:
        nonlocal sent
        sent += method == "PATCH"
        if method == "PATCH" and sent in (2, 3):
            raise Refusal(429, "too many requests", {"retryAfterSeconds": 7})

    applied.cluster.before = before
    outcome = await applied.rollback.run(params, ready.intent, context())
    assert outcome.result == "done"
    assert applied.owners("f:image") == {("kubectl", "Apply")}
    assert applied.time.now >= 14


async def test_without_an_applier_nothing_is_given_back(world: World) -> None:
    outcome = await world.back()
    assert outcome.result == "done"
    assert "fields" not in outcome.detail
    patches = [a for a in world.cluster.asked if "fieldManager=stopgap" in a["path"]]
    assert len(patches) == 2  # the dry run and the rollback


@pytest.mark.parametrize("by", ["kubectl", "kubectl-edit"])
async def test_an_undoing_is_seen_and_its_owner_named(applied: Applied, by: str) -> None:
    def undo(now: float) -> None:
        if now == 5 and by == "kubectl":
            applied.apply("app:3-bad")
        elif now == 5:
            applied.put("app:3-bad", manager=by)

    applied.time.then = undo
    outcome = await applied.back(hold="9s")
    assert (outcome.result, outcome.reason) == ("failed", "reverted")
    assert f"{by} (managedFields) has changed it since" in outcome.detail


@pytest.mark.parametrize("applies_replicas", [True, False])
async def test_a_scaling_is_no_conflict_for_the_next_apply(
    tmp_path: Path, applies_replicas: bool
) -> None:
    async with served(tmp_path) as cluster:
        world = Applied(cluster, "deployment")
        world.apply("app:4")
        config = world.config("app:5")
        if not applies_replicas:  # an autoscaler's, or a person's
            world.edit({"spec": {"replicas": 4}}, manager="kubectl-scale")
            del config["spec"]["replicas"]
            cluster.apply("deployments", config)
        now = world.raw_now["spec"]["replicas"]
        params = world.params(world.scale, by="+1", min=1, max=9)
        ready = await world.scale.preflight(params, context())
        outcome = await world.scale.run(params, ready.intent, context())
        assert outcome.result == "done", outcome
        assert world.raw_now["spec"]["replicas"] == now + 1
        cluster.apply("deployments", config)
        assert ("kubectl's again" in outcome.detail) == applies_replicas
        # Whoever applies the number has his own again, and nobody else's is taken away.
        assert world.raw_now["spec"]["replicas"] == (3 if applies_replicas else now + 1)
        await world.workshop.close()


def test_sets_of_fields_are_read_and_written_as_the_server_has_them() -> None:
    fields = {
        "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
        "f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"a"}': {".": {}}}}}},
    }
    owned = ownership.owned_fields({"fieldsV1": fields})
    assert owned == {
        ("f:metadata", "f:labels"),
        ("f:metadata", "f:labels", "f:app"),
        ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"a"}'),
    }
    assert ownership.owned_fields({"fieldsV1": ownership._fields_v1(owned)}) == owned


# ── kubectl apply of old ─────────────────────────────────────────────────────────────────────


async def test_what_an_old_apply_leaves_standing_is_named(world: World) -> None:
    container = world.raw_now["spec"]["template"]["spec"]["containers"][0]
    env = [{"name": "FEATURE", "value": "on"}]
    by = "kubectl-client-side-apply"
    world.edit({"metadata": {"annotations": {LAST_APPLIED: "{}"}}}, manager=by)
    for image, more in (("app:4", {"env": env}), ("app:5-bad", {})):
        containers = [{**container, "image": image, **more}]
        world.edit({"spec": {"template": {"spec": {"containers": containers}}}}, manager=by)
        world.items.append(world.live)
    params = world.params(world.rollback)
    ready = await world.rollback.preflight(params, context(world.items[-2]))
    outcome = await world.rollback.run(params, ready.intent, context())
    assert outcome.result == "done"
    assert "the next `kubectl apply` does not take away spec.containers[app].env" in outcome.detail


# ── annotations ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["deployment", "statefulset", "daemonset"])
async def test_the_next_revision_takes_on_nothing_of_ours(
    tmp_path: Path, kind: WorkloadKind
) -> None:
    async with broken(tmp_path, kind) as world:
        plural = "replicasets" if kind == "deployment" else "controllerrevisions"
        first = world.cluster.get(plural, world.items[0])["metadata"]
        first["annotations"] = {**first.get("annotations", {}), CAUSE: "release of March"}
        world.edit({"metadata": {"annotations": {CAUSE: "release of May"}}})
        assert (await world.back()).result == "done"
        assert objects.annotations_of(world.raw_now)[CAUSE] == "release of March"
        world.put("app:6")
        newest = world.cluster.get(plural, world.live)
        ours = {key for key in objects.annotations_of(newest) if key.startswith("stopgap.dev/")}
        assert not ours
        assert objects.annotations_of(newest).get(CAUSE) == "release of March"  # as of any undo
        assert not {k for k in newest["metadata"]["labels"] if k.startswith("stopgap.dev/")}


async def test_what_an_older_version_noted_is_understood_and_taken_away(world: World) -> None:
    """An update of this program between the patch and the end of a rollback."""
    params = world.params(world.rollback)
    ready = await world.rollback.preflight(params, context(world.items[0]))
    world.put("app:1", manager=MANAGER)
    old = {"stopgap.dev/step": "step-1", CAUSE: "stopgap rolled back from a to b"}
    world.edit({"metadata": {"annotations": old}}, manager=MANAGER)
    assert await world.rollback.check(params, ready.intent, context()) == "done"
    world.put("app:4-bad")
    again = await world.rollback.preflight(params, context(world.items[0]))
    outcome = await world.rollback.run(params, again.intent, context(step="step-2"))
    assert outcome.result == "done"
    notes = objects.annotations_of(world.raw_now)
    assert CAUSE not in notes
    assert not {key for key in notes if key.startswith("stopgap.dev/")}


# ── dates ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["deployment", "statefulset", "daemonset"])
@pytest.mark.parametrize("change", ["scale", "label", "annotate"])
async def test_the_date_of_what_came_back_does_not_move(
    tmp_path: Path, kind: WorkloadKind, change: str
) -> None:
    async with broken(tmp_path, kind) as world:
        assert (await world.back()).result == "done"
        before = workload_history(await world.state())
        assert [one.item for one in before][-1] == world.items[0]
        edit: dict[str, Any] = {
            "scale": {"spec": {"replicas": 5}},
            "label": {"metadata": {"labels": {"team": "shop"}}},
            "annotate": {"metadata": {"annotations": {"team": "shop"}}},
        }[change]
        for manager in (MANAGER, "kubectl-edit", "unknown"):
            edit = copy.deepcopy(edit)
            if change == "scale":
                edit["spec"]["replicas"] += 1
            else:
                next(iter(edit["metadata"].values()))["by"] = manager
            world.edit(edit, manager=manager)
            assert workload_history(await world.state()) == before
