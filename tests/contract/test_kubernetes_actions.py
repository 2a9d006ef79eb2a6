"""The Kubernetes actions on the double: the contract, each refusal, and each way to end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from daemon.core.outcome import Permanent
from daemon.core.ports import Action, ActionContext, Ready, Refused
from recovery_actions.kubernetes import guards, patches
from recovery_actions.kubernetes.names import Kind, Workload
from recovery_actions.kubernetes.waiting import Pace
from recovery_actions.kubernetes.watch import KubernetesWatch
from tests.contract.action_contract import ActionContract, context, tree
from tests.contract.kubernetes_double import NAMESPACE, Cluster, served
from tests.contract.kubernetes_lab import Lab, manifest


class Time:
    """Time that passes only while somebody waits; `then` is what happens meanwhile."""

    def __init__(self) -> None:
        self.now = 0.0
        self.then: Callable[[float], None] | None = None

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.then is not None:
            self.then(self.now)

    @property
    def pace(self) -> Pace:
        return Pace(self.sleep, lambda: self.now)


class World(Lab):
    """A lab on the double: a workload `checkout` with three revisions, the last one broken."""

    def __init__(self, cluster: Cluster, kind: Kind = "deployment") -> None:
        self.cluster, self.time = cluster, Time()
        super().__init__(cluster.kubeconfig, Workload(NAMESPACE, kind, "checkout"), self.time.pace)
        self.plural = f"{kind}s"
        cluster.add(self.plural, manifest(kind, "checkout", "app:1", 3))
        self.items = [self.live]
        for image in ("app:2", "app:3-bad"):
            self.put(image)
            self.items.append(self.live)
        self.rollback, self.restart = map(
            self.action, ("kubernetes_rollback", "kubernetes_restart")
        )
        self.scale = self.action("kubernetes_scale")

    @property
    def raw_now(self) -> dict[str, Any]:
        return self.cluster.get(self.plural, "checkout")

    @property
    def live(self) -> str:
        if self.workload.kind == "deployment":
            number = self.raw_now["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
            same = "deployment.kubernetes.io/revision"
            return next(
                one["metadata"]["name"]
                for one in self.cluster.all("replicasets")
                if one["metadata"]["annotations"][same] == number
            )
        revisions = self.cluster.all("controllerrevisions")
        name: str = max(revisions, key=lambda one: one["revision"])["metadata"]["name"]
        return name

    @property
    def image(self) -> str:
        image: str = self.raw_now["spec"]["template"]["spec"]["containers"][0]["image"]
        return image

    def put(self, image: str, manager: str = "kubectl-set") -> None:
        self.cluster.put_image("checkout", image, manager, self.plural)

    def edit(self, change: dict[str, Any], manager: str = "kubectl-edit") -> None:
        self.cluster.edit(self.plural, "checkout", change, manager)

    def once(self, happens: Callable[[], None]) -> None:
        """Somebody acts between our last look and our patch."""

        def before(method: str, plural: str, dry: bool) -> None:
            if method == "PATCH" and not dry:
                self.cluster.before = None
                happens()

        self.cluster.before = before

    async def back(self, **more: Any) -> Any:
        """Prepare, then roll back to the first revision."""
        params = self.params(self.rollback, **more)
        ready = await self.rollback.preflight(params, context(self.items[0]))
        assert isinstance(ready, Ready), ready
        return await self.rollback.run(params, ready.intent, context(self.items[0]))

    async def refusal(self, action: Any = None, to: str | None = None, **more: Any) -> Refused:
        action = action or self.rollback
        to = self.items[0] if to is None else to
        before = self.cluster.snapshot()
        refused = await action.preflight(self.params(action, **more), context(to))
        assert isinstance(refused, Refused), refused
        assert refused.text.isprintable()
        assert self.cluster.snapshot() == before
        return refused


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with served(tmp_path) as cluster:
        yield cluster


@pytest.fixture
async def world(cluster: Cluster) -> AsyncIterator[World]:
    world = World(cluster)
    yield world
    await world.workshop.close()


# ── the contract ─────────────────────────────────────────────────────────────────────────────


class KubernetesContract(ActionContract):
    """What the three have in common; `settings` are the parameters beyond the workload."""

    called = ""
    settings: dict[str, Any] = {"hold": "2s"}  # noqa: RUF012
    kind: Kind = "deployment"
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
    kind: Kind = "statefulset"


class TestKubernetesRollbackOfADaemonSet(KubernetesContract):
    called = "kubernetes_rollback"
    kind: Kind = "daemonset"


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


# ── refusals ─────────────────────────────────────────────────────────────────────────────────


FLUX = {"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}}
ARGO = {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/D:demo/c"}}}
NO_WAY_BACK = {"metadata": {"annotations": {guards.NO_ROLLBACK: "drops a column"}}}


@pytest.mark.parametrize(
    ("change", "reason", "said"),
    [
        (
            {"spec": {"paused": True}},
            "paused",
            "kubectl rollout resume deployment/checkout -n demo",
        ),
        ({"spec": {"replicas": 0}}, "scaled_to_zero", "scaled to zero"),
        ({"spec": {"updateStrategy": {"type": "OnDelete"}}}, "on_delete", "OnDelete"),
        ({"metadata": {"deletionTimestamp": "now"}}, "no_such_workload", "being deleted"),
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


async def test_an_obstacle_that_came_after_preflight_is_seen_too(world: World) -> None:
    params = world.params(world.rollback)
    ready = await world.rollback.preflight(params, context(world.items[0]))
    for change, reason in (
        ({"spec": {"paused": True}}, "paused"),
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
    with pytest.raises(Exception, match="has not yet taken that up"):
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
    assert (await world.back()).result == "done"
    notes = world.raw_now["metadata"]["annotations"]
    assert notes[applied] == "{}"
    assert notes["owner"] == "b"
    assert "new" not in notes
    assert notes[patches.STEP] == "step-1"
    assert notes["deployment.kubernetes.io/revision"] == "4"
    assert notes[patches.CHANGE_CAUSE] == (
        f"stopgap rolled back from {world.items[2]} to {world.items[0]} in incident 0309-1403-test"
    )
    labels = world.raw_now["spec"]["template"]["metadata"]["labels"]
    assert labels == {"app": "checkout"}
    assert world.live == world.items[0]


@pytest.mark.parametrize("kind", ["deployment", "statefulset", "daemonset"])
async def test_a_deployment_at_the_last_moment_wins(cluster: Cluster, kind: Kind) -> None:
    world = World(cluster, kind)
    world.once(lambda: world.put("app:4"))
    outcome = await world.back()
    assert (outcome.result, outcome.reason) == ("refused", "changed_meanwhile")
    assert "app:4" in outcome.detail
    assert world.image == "app:4"
    await world.workshop.close()


@pytest.mark.parametrize("kind", ["deployment", "statefulset", "daemonset"])
async def test_a_change_of_the_status_is_not_in_the_way(cluster: Cluster, kind: Kind) -> None:
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


async def test_a_token_of_any_namespace_is_never_asked_with_a_hostile_path(world: World) -> None:
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
    assert shown["pods"] == "25 of 26 ready; 20 shown"
    assert len(pods) == 20
    assert shown[pods[0]] == "Running, not ready, 3 restarts, CrashLoopBackOff"
    assert shown["replicas"] == "25 wanted, 1 updated, 25 ready, 25 available"
    assert shown["rollout"] == "1 of 25 new replicas are there"
    assert shown["live"] == world.live


async def test_pods_that_may_not_be_seen_are_said_so(world: World) -> None:
    world.cluster.rights = {("get", "deployments"), ("list", "replicasets")}
    shown = await world.rollback.show(world.params(world.rollback), context())
    assert "may not list pods" in shown["pods"]


async def test_long_lists_come_page_by_page(world: World) -> None:
    world.cluster.page = 2
    shown = await world.restart.show(world.params(world.restart), context())
    assert shown["pods"] == "3 of 4 ready"


# ── scaling ──────────────────────────────────────────────────────────────────────────────────


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
        ({"spec": {"paused": True}}, "paused"),
        ({"spec": {"replicas": 0}}, "scaled_to_zero"),
        ({"metadata": {"deletionTimestamp": "now"}}, "no_such_workload"),
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
