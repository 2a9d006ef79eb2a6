"""`kubernetes_rollback` with a canary: some pods go back first, and the rest if it helps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from daemon.core.ports.actions import ActionContext, PartDone, Ready, StageRuling
from daemon.core.values.outcome import Permanent, Temporary
from recovery_actions.contract import context
from recovery_actions.kubernetes import patches
from recovery_actions.kubernetes.client import MANAGER
from recovery_actions.kubernetes.names import Workload, WorkloadKind
from recovery_actions.kubernetes.stages import CanaryRollback
from recovery_actions.kubernetes_rollback import KubernetesRollback
from tests.contract.kubernetes_double import Cluster, served
from tests.contract.kubernetes_fields import entry_of, owned_in
from tests.contract.kubernetes_lab import Lab, manifest
from tests.contract.kubernetes_pods import NAMESPACE, is_terminating
from tests.contract.kubernetes_sets import revision_of
from tests.contract.kubernetes_world import Time

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

GO_ON = StageRuling(True, "v1 alone is well")
STOP = StageRuling(False, "v1 alone is as bad")
KINDS: list[WorkloadKind] = ["deployment", "statefulset"]
USUAL = {"maxSurge": 2, "maxUnavailable": 2}
"""Half of four pods may be missing, and half may be there besides."""


@dataclass
class Rulings:
    """What is ruled, as the journal keeps it. `asked` are the parts; `look` is called before."""

    ruling: StageRuling
    look: Callable[[], None] = lambda: None
    asked: list[PartDone] = field(default_factory=list)
    limits: list[timedelta] = field(default_factory=list)
    kept: StageRuling | None = None

    async def ruled(self) -> StageRuling | None:
        return self.kept

    async def rule_on(self, part: PartDone, limit: timedelta) -> StageRuling:
        self.asked.append(part)
        self.limits.append(limit)
        self.look()
        self.kept = self.ruling
        return self.ruling


class Scene(Lab):
    """Four pods, the second revision of which is live and is to be rolled back. A step of the
    controllers is done whenever somebody waits."""

    def __init__(
        self, cluster: Cluster, kind: WorkloadKind, ruling: StageRuling, size: int, applied: bool
    ) -> None:
        self.cluster, self.time, self.kind, self.size = cluster, Time(), kind, size
        self.time.then = lambda _: bool(cluster.step()) and None
        super().__init__(cluster.kubeconfig, Workload(NAMESPACE, kind, "checkout"), self.time.pace)
        if applied:
            cluster.add(self.plural, self.config("app:1"), "kubectl", "Apply")
        else:
            cluster.add(self.plural, self.config("app:1"))
        cluster.reconcile()
        cluster.auto = False
        self.good = self.newest
        if applied:
            self.apply_file("app:2")
            cluster.reconcile()
            self.second = self.newest
        else:
            self.second = self.deployed("app:2")
        self.rulings = Rulings(ruling)
        self.rollback: KubernetesRollback = self.action("kubernetes_rollback")

    # ── what people see and do ────────────────────────────────────────────────────────────────

    @property
    def plural(self) -> str:
        return f"{self.kind}s"

    @property
    def now(self) -> dict[str, Any]:
        return self.cluster.get(self.plural, "checkout")

    @property
    def newest(self) -> str:
        """The revision that the controller made last, or brought back."""
        number = "deployment.kubernetes.io/revision"
        if self.kind == "deployment":
            sets = self.cluster.all("replicasets")
            last = max(sets, key=lambda one: int(one["metadata"]["annotations"][number]))
        else:
            last = max(self.cluster.all("controllerrevisions"), key=lambda one: one["revision"])
        name: str = last["metadata"]["name"]
        return name

    @property
    def image(self) -> str:
        image: str = self.now["spec"]["template"]["spec"]["containers"][0]["image"]
        return image

    @property
    def held(self) -> bool:
        """Whether it stands midway: no more pods go back."""
        spec = self.now["spec"]
        if self.kind == "deployment":
            return bool(spec.get("paused")) or spec["strategy"]["rollingUpdate"] != USUAL
        return bool(spec["updateStrategy"]["rollingUpdate"]["partition"])

    def serving(self, item: str) -> int:
        """So many pods are of a revision, and stay."""
        pods = [pod for pod in self.cluster.all("pods") if not is_terminating(pod)]
        if self.kind == "statefulset":
            return sum(revision_of(pod) == item for pod in pods)
        return sum(pod["metadata"]["name"].startswith(f"{item}-") for pod in pods)

    def config(self, image: str, **rolling: Any) -> dict[str, Any]:
        """The file of whoever deploys."""
        body = manifest(self.kind, "checkout", image, self.size)
        usual = USUAL if self.kind == "deployment" else {"partition": 0}
        strategy = {"type": "RollingUpdate", "rollingUpdate": {**usual, **rolling}}
        body["spec"]["strategy" if self.kind == "deployment" else "updateStrategy"] = strategy
        return body

    def apply_file(self, image: str, **rolling: Any) -> None:
        """`kubectl apply --server-side`. Raises the Refusal of a conflict."""
        self.cluster.apply(self.plural, self.config(image, **rolling))

    @property
    def of_ours(self) -> list[tuple[str, ...]]:
        """What we own of what is asked for."""
        entry = entry_of(self.now, MANAGER, "Update") or {"fieldsV1": {}}
        return sorted(path for path in owned_in(entry["fieldsV1"]) if path[0] == "f:spec")

    def passes(self, seconds: int = 20) -> None:
        for _ in range(seconds):
            self.cluster.step()

    def deployed(self, image: str, *, wait: bool = True) -> str:
        """Somebody deploys an image; gives its revision."""
        self.cluster.put_image("checkout", image, plural=self.plural)
        if wait:
            self.cluster.reconcile()
        else:
            self.cluster.step()
        return self.newest

    # ── what the action does ──────────────────────────────────────────────────────────────────

    def given(self, **more: Any) -> Any:
        return self.params(self.rollback, **{"canary": "25%", **more})

    @property
    def context(self) -> ActionContext:
        return replace(context(self.good), stages=self.rulings, within=timedelta(minutes=10))

    async def ready(self, **more: Any) -> Ready:
        ready = await self.rollback.preflight(self.given(**more), self.context)
        assert isinstance(ready, Ready), ready
        return ready

    async def run(self, intent: Any) -> Any:
        return await self.rollback.run(self.given(), intent, self.context)

    async def check(self, intent: Any) -> str:
        return await self.rollback.check(self.given(), intent, self.context)


@asynccontextmanager
async def scened(
    folder: Path,
    kind: WorkloadKind,
    ruling: StageRuling = GO_ON,
    size: int = 4,
    applied: bool = False,
) -> AsyncIterator[Scene]:
    """A scene on a cluster of its own."""
    async with served(folder) as cluster:
        scene = Scene(cluster, kind, ruling, size, applied)
        try:
            yield scene
        finally:
            await scene.workshop.close()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> WorkloadKind:
    found: WorkloadKind = request.param
    return found


@pytest.fixture
async def scene(tmp_path: Path, kind: WorkloadKind) -> AsyncIterator[Scene]:
    async with scened(tmp_path, kind) as scene:
        yield scene


async def test_the_first_part_is_held_until_it_is_ruled_on(scene: Scene) -> None:
    seen: list[tuple[bool, int, int]] = []

    def look() -> None:
        scene.passes(20)  # and no more pods go back
        seen.append((scene.held, scene.serving(scene.good), scene.serving(scene.second)))

    scene.rulings.look = look
    ready = await scene.ready()
    assert ready.summary.endswith("; first 1 of 4 pods, the rest once it shows to help")
    outcome = await scene.run(ready.intent)
    assert (outcome.result, outcome.reason) == ("done", "rolled_back")
    [(held, back, left)] = seen
    assert held
    assert back == 1
    assert left >= 3
    [part] = scene.rulings.asked
    share = 1 / 5 if scene.kind == "deployment" else 1 / 4  # one more serves, for it surges
    assert part == PartDone(f"1 of 4 pods is back at {scene.good}", share, scene.good)
    assert scene.serving(scene.good) == 4
    assert not scene.held
    assert scene.image == "app:1"
    assert scene.now["metadata"]["labels"][patches.STAGE] == "goes-on"
    assert await scene.check(ready.intent) == "done"
    assert timedelta(minutes=3) < scene.rulings.limits[0] < timedelta(minutes=5)


async def test_what_does_not_help_is_taken_back(scene: Scene) -> None:
    scene.rulings.ruling = STOP
    ready = await scene.ready()
    outcome = await scene.run(ready.intent)
    assert (outcome.result, outcome.reason) == ("failed", "stage_stopped")
    assert STOP.text in outcome.detail
    assert f"is at {scene.second} again" in outcome.detail
    assert scene.image == "app:2"
    assert scene.serving(scene.second) == 4
    assert not scene.held
    assert await scene.check(ready.intent) == "half_done"
    again = await scene.run(ready.intent)
    assert (again.result, again.reason) == ("failed", "stage_stopped")
    assert len(scene.rulings.asked) == 1


async def test_a_later_step_is_not_confused_by_what_was_taken_back(scene: Scene) -> None:
    scene.rulings.ruling = STOP
    await scene.run((await scene.ready()).intent)
    scene.rulings = Rulings(GO_ON)
    params = scene.given()
    second = replace(scene.context, token="step-2")
    ready = await scene.rollback.preflight(params, second)
    assert isinstance(ready, Ready), ready
    outcome = await scene.rollback.run(params, ready.intent, second)
    assert (outcome.result, outcome.reason) == ("done", "rolled_back")
    assert scene.serving(scene.good) == 4


class Killed(BaseException):
    """The process ends here, as if by kill -9."""


def deadly(scene: Scene, at: int) -> None:
    """The process dies behind its request of that number, which is as before the next."""
    ask, calls = scene.client._request, 0

    async def asked(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        answer = await ask(*args)
        if calls == at:
            raise Killed
        return answer

    scene.client._request = asked  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize("ruling", [GO_ON, STOP], ids=["goes on", "is stopped"])
async def test_killed_at_any_request_it_is_never_left_midway(
    tmp_path: Path, kind: WorkloadKind, ruling: StageRuling
) -> None:
    """At each request in turn the process dies, and a successor comes to the same end."""
    ended = False
    at = 0
    while not ended:
        at += 1
        async with scened(tmp_path, kind, ruling, applied=True) as scene:
            ready = await scene.ready()
            alive = scene.client._request
            deadly(scene, at)
            try:
                await scene.run(ready.intent)
                ended = True
            except Killed:
                scene.client._request = alive  # type: ignore[method-assign]
                assert await scene.check(ready.intent) in {"not_done", "half_done", "done"}
                outcome = await scene.run(ready.intent)
                expected = ("done", "rolled_back") if ruling.go_on else ("failed", "stage_stopped")
                assert (outcome.result, outcome.reason) == expected, (at, outcome)
            assert not scene.held, at
            assert scene.of_ours == [], at
            assert scene.image == ("app:1" if ruling.go_on else "app:2")
    assert at > 15


async def test_a_daemon_that_dies_while_it_is_ruled_on_goes_on_waiting(scene: Scene) -> None:
    ready = await scene.ready()

    def die() -> None:
        raise Killed

    scene.rulings.look = die
    with pytest.raises(Killed):
        await scene.run(ready.intent)
    assert scene.held
    assert await scene.check(ready.intent) == "half_done"
    scene.rulings.look = lambda: None
    assert (await scene.run(ready.intent)).result == "done"
    assert len(scene.rulings.asked) == 2
    assert not scene.held


async def test_somebody_deploys_while_it_is_ruled_on(scene: Scene) -> None:
    ready = await scene.ready()
    scene.rulings.look = lambda: scene.deployed("app:3", wait=False) and None
    outcome = await scene.run(ready.intent)
    assert (outcome.result, outcome.reason) == ("failed", "reverted")
    assert outcome.detail.count("in part, but kubectl-set (managedFields) has changed it") == 1
    assert "app:3" in outcome.detail
    assert scene.image == "app:3"
    assert not scene.held, "a mend by people must not stand still because of us"


async def test_somebody_deploys_while_the_daemon_is_dead(scene: Scene) -> None:
    ready = await scene.ready()

    def die() -> None:
        scene.deployed("app:3", wait=False)
        raise Killed

    scene.rulings.look = die
    with pytest.raises(Killed):
        await scene.run(ready.intent)
    assert scene.held
    assert await scene.check(ready.intent) == "half_done"
    outcome = await scene.run(ready.intent)
    assert (outcome.result, outcome.reason) == ("refused", "changed_meanwhile")
    assert not scene.held
    assert scene.image == "app:3"
    assert await scene.check(ready.intent) == "unknown"


async def test_what_can_neither_go_on_nor_back_is_said(scene: Scene) -> None:
    scene.rulings.ruling = STOP
    ready = await scene.ready()

    def lose() -> None:
        plural = "replicasets" if scene.kind == "deployment" else "controllerrevisions"
        del scene.cluster.objects[plural, NAMESPACE, scene.second]

    scene.rulings.look = lose
    outcome = await scene.run(ready.intent)
    assert (outcome.result, outcome.reason) == ("failed", "revision_missing")
    assert "it stands midway" in outcome.detail


async def test_a_person_who_lets_it_go_on_is_not_stopped(tmp_path: Path) -> None:
    async with scened(tmp_path, "deployment") as scene:
        ready = await scene.ready()
        resumed = {"spec": {"paused": None}}
        scene.rulings.look = lambda: (
            bool(scene.cluster.edit("deployments", "checkout", resumed)) and None
        )
        assert (await scene.run(ready.intent)).result == "done"
        assert scene.serving(scene.good) == 4


async def test_a_first_part_that_does_not_come_up_is_taken_back(
    tmp_path: Path, kind: WorkloadKind
) -> None:
    async with scened(tmp_path, kind) as scene:
        scene.good = scene.deployed("app:3-unready", wait=False)
        live = scene.deployed("app:2")
        ready = await scene.ready()
        assert ready.intent["to"] == scene.good
        outcome = await scene.run(ready.intent)
        assert (outcome.result, outcome.reason) == ("failed", "stage_stopped")
        assert "the first part did not come back" in outcome.detail
        assert scene.rulings.asked == []
        assert not scene.held
        assert scene.image == "app:2"
        assert scene.serving(live) == 4


async def test_a_journal_that_is_away_is_waited_for(scene: Scene) -> None:
    ready = await scene.ready()
    tries = 0

    async def ruled() -> StageRuling | None:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise Temporary("the disk is full")
        return None

    scene.rulings.ruled = ruled  # type: ignore[method-assign]
    assert (await scene.run(ready.intent)).result == "done"
    assert tries == 4


async def test_so_few_pods_have_no_part(tmp_path: Path) -> None:
    async with scened(tmp_path, "deployment", STOP, size=1) as scene:
        ready = await scene.ready()
        assert "canary" not in ready.intent
        assert (await scene.run(ready.intent)).result == "done"
        assert scene.rulings.asked == []


async def test_where_nobody_rules_all_goes_back_at_once(scene: Scene) -> None:
    nobody = replace(scene.context, stages=None)
    ready = await scene.rollback.preflight(scene.given(), nobody)
    assert isinstance(ready, Ready), ready
    outcome = await scene.rollback.run(scene.given(), ready.intent, nobody)
    assert outcome.result == "done"
    assert scene.serving(scene.good) == 4


async def test_it_can_do_with_the_rights_that_are_written_down(
    tmp_path: Path, kind: WorkloadKind
) -> None:
    """get and patch on the workload, and list on its revisions."""
    async with scened(tmp_path, kind) as scene:
        revisions = "replicasets" if kind == "deployment" else "controllerrevisions"
        scene.cluster.rights = {("get", scene.plural), ("patch", scene.plural)}
        scene.cluster.rights.add(("list", revisions))
        outcome = await scene.run((await scene.ready()).intent)
        assert outcome.result == "done", outcome
        assert len(scene.rulings.asked) == 1


async def test_what_has_no_parts_is_refused(tmp_path: Path) -> None:
    async with scened(tmp_path, "deployment") as scene:
        scene.now["spec"]["strategy"] = {"type": "Recreate"}
        refused: Any = await scene.rollback.preflight(scene.given(), scene.context)
        assert refused.reason == "not_in_parts"
        assert "leave out `canary`" in refused.text


@pytest.mark.parametrize("share", ["0%", "100%", "150%", 0, 2])
def test_a_part_is_less_than_the_whole(share: object) -> None:
    with pytest.raises(ValidationError):
        KubernetesRollback.Params.model_validate(
            {"namespace": "prod", "deployment": "checkout", "canary": share}
        )


# ── what the next deployment meets ───────────────────────────────────────────────────────────


@pytest.mark.parametrize("ruling", [GO_ON, STOP], ids=["goes on", "is stopped"])
async def test_the_next_apply_meets_no_conflict(
    tmp_path: Path, kind: WorkloadKind, ruling: StageRuling
) -> None:
    async with scened(tmp_path, kind, ruling, applied=True) as scene:
        outcome = await scene.run((await scene.ready()).intent)
        assert outcome.detail.count("the fields are kubectl's again") == 1
        assert scene.of_ours == []
        mine = entry_of(scene.now, "kubectl", "Apply")
        assert mine is not None
        rolling = "f:strategy" if kind == "deployment" else "f:updateStrategy"
        key = "f:maxSurge" if kind == "deployment" else "f:partition"
        assert ("f:spec", rolling, "f:rollingUpdate", key) in owned_in(mine["fieldsV1"])
        other = {"maxSurge": 1} if kind == "deployment" else {"partition": 1}
        scene.apply_file("app:4", **other)
        assert scene.image == "app:4"


async def test_whoever_applies_midway_meets_no_conflict_and_is_not_held(
    tmp_path: Path, kind: WorkloadKind
) -> None:
    async with scened(tmp_path, kind, applied=True) as scene:
        ready = await scene.ready()
        scene.rulings.look = lambda: scene.apply_file("app:3")
        outcome = await scene.run(ready.intent)
        assert (outcome.result, outcome.reason) == ("failed", "reverted")
        assert scene.image == "app:3"
        assert not scene.held
        assert scene.of_ours == []


async def test_a_partition_that_somebody_set_with_a_deployment_stays(tmp_path: Path) -> None:
    async with scened(tmp_path, "statefulset", applied=True) as scene:
        ready = await scene.ready()
        scene.rulings.look = lambda: scene.apply_file("app:3", partition=2)
        outcome = await scene.run(ready.intent)
        assert outcome.reason == "reverted"
        assert scene.now["spec"]["updateStrategy"]["rollingUpdate"]["partition"] == 2


async def test_what_only_the_newer_template_has_is_not_said_to_be_of_the_older(
    tmp_path: Path,
) -> None:
    async with scened(tmp_path, "deployment", STOP) as scene:
        template = {"spec": {"serviceAccountName": "shop"}}
        notes = {"annotations": {LAST_APPLIED: "{}"}}
        scene.cluster.edit(
            "deployments", "checkout", {"metadata": notes, "spec": {"template": template}}
        )
        scene.cluster.reconcile()
        outcome = await scene.run((await scene.ready()).intent)
        assert outcome.reason == "stage_stopped"
        assert "kubectl apply" not in outcome.detail


# ── what others do meanwhile ─────────────────────────────────────────────────────────────────


async def test_somebody_deploys_while_it_is_taken_back(scene: Scene) -> None:
    scene.rulings.ruling = STOP
    ready = await scene.ready()

    async def progress(text: str) -> None:
        if "is asked for again" in text:
            scene.deployed("app:3", wait=False)

    given = replace(scene.context, progress=progress)
    outcome = await scene.rollback.run(scene.given(), ready.intent, given)
    assert (outcome.result, outcome.reason) == ("failed", "reverted")
    assert "is at" not in outcome.detail
    assert "kubectl-set (managedFields) has changed it since: it runs app:3 now" in outcome.detail
    assert not scene.held


async def test_what_we_could_not_let_go_is_said_with_the_command(scene: Scene) -> None:
    """Somebody's mend stands still because of us, and we may change it no more."""
    ready = await scene.ready()

    def look() -> None:
        scene.deployed("app:3", wait=False)
        scene.cluster.denied = "frozen"

    scene.rulings.look = look
    outcome = await scene.run(ready.intent)
    assert (outcome.result, outcome.reason) == ("failed", "reverted")
    assert scene.held
    command = "rollout resume" if scene.kind == "deployment" else "kubectl patch"
    assert command in outcome.detail
    scene.rulings.look = lambda: None
    later = await scene.run(ready.intent)
    assert later.reason == "changed_meanwhile"
    assert command in later.detail


async def test_it_is_scaled_down_while_the_first_part_comes(tmp_path: Path) -> None:
    async with scened(tmp_path, "statefulset") as scene:
        ready = await scene.ready()
        scene.cluster.edit("statefulsets", "checkout", {"spec": {"replicas": 2}})
        scene.cluster.reconcile()
        outcome = await scene.run(ready.intent)
        assert (outcome.result, outcome.reason) == ("failed", "stage_stopped")
        assert "has 2 pods and updates those from number 3 on alone" in outcome.detail
        assert scene.rulings.asked == []
        assert not scene.held
        assert scene.image == "app:2"


async def test_an_autoscaler_adds_pods_while_the_first_part_comes(tmp_path: Path) -> None:
    """So many of them may be of what comes back that it looked like the whole."""
    async with scened(tmp_path, "deployment") as scene:
        ready = await scene.ready()
        then = scene.time.then
        assert then is not None

        def passing(now: float) -> None:
            if now == 1.0:
                scene.cluster.edit("deployments", "checkout", {"spec": {"replicas": 12}})
            then(now)

        scene.time.then = passing
        outcome = await scene.run(ready.intent)
        assert outcome.result == "done"
        assert len(scene.rulings.asked) == 1
        assert "of 12 pods are back" in scene.rulings.asked[0].text
        assert scene.serving(scene.good) == 12


async def test_a_look_that_fails_lets_nothing_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(self: CanaryRollback) -> None:
        return None

    async with scened(tmp_path, "statefulset") as scene:
        ready = await scene.ready()
        monkeypatch.setattr(CanaryRollback, "_read", nothing)
        assert (await scene.run(ready.intent)).result == "done"
        assert len(scene.rulings.asked) == 1


@pytest.mark.parametrize("ruling", [GO_ON, STOP], ids=["goes on", "is stopped"])
async def test_a_webhook_that_changes_the_template_is_nobodys_meddling(
    scene: Scene, ruling: StageRuling
) -> None:
    def inject(raw: Any) -> None:
        raw["spec"]["template"]["metadata"].setdefault("annotations", {})["mesh"] = "injected"

    scene.rulings.ruling = ruling
    scene.cluster.mutate = inject
    outcome = await scene.run((await scene.ready()).intent)
    assert outcome.reason == ("rolled_back" if ruling.go_on else "stage_stopped"), outcome
    assert len(scene.rulings.asked) == 1
    assert not scene.held


async def test_what_can_be_seen_no_more_is_taken_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unseen(self: CanaryRollback, state: Any) -> int:
        raise Permanent("we may not list pods")

    ready = await scene.ready()
    monkeypatch.setattr(CanaryRollback, "_ready", unseen)
    outcome = await scene.run(ready.intent)
    assert (outcome.result, outcome.reason) == ("failed", "stage_stopped")
    assert "the first part did not come back: we may not list pods" in outcome.detail
    assert scene.image == "app:2"
    assert not scene.held


async def test_an_autoscaler_adds_pods_while_it_is_ruled_on(scene: Scene) -> None:
    ready = await scene.ready()

    def more() -> None:
        scene.cluster.edit(scene.plural, "checkout", {"spec": {"replicas": 8}})
        scene.passes(20)

    scene.rulings.look = more
    outcome = await scene.run(ready.intent)
    assert outcome.result == "done"
    assert scene.serving(scene.good) == 8


# ── pods that are not ready ──────────────────────────────────────────────────────────────────


def unready(scene: Scene) -> None:
    """What is live fails its probes by now."""
    for pod in scene.cluster.all("pods"):
        pod["status"]["conditions"][0]["status"] = "False"
    scene.cluster.reconcile()


async def test_the_first_part_is_judged_by_its_own_pods(tmp_path: Path, kind: WorkloadKind) -> None:
    async with scened(tmp_path, kind) as scene:
        if kind == "statefulset":
            scene.now["spec"]["podManagementPolicy"] = "Parallel"
        unready(scene)
        outcome = await scene.run((await scene.ready()).intent)
        assert (outcome.result, outcome.reason) == ("done", "rolled_back"), outcome
        assert len(scene.rulings.asked) == 1
        assert scene.serving(scene.good) == 4


async def test_where_order_lets_none_go_first_it_is_refused(tmp_path: Path) -> None:
    async with scened(tmp_path, "statefulset") as scene:
        unready(scene)
        refused: Any = await scene.rollback.preflight(scene.given(), scene.context)
        assert refused.reason == "not_in_parts"
        assert "0 of 4 pods" in refused.text
        assert "leave out `canary`" in refused.text


async def test_of_a_deployment_that_got_stuck_all_goes_back_at_once(
    tmp_path: Path, kind: WorkloadKind
) -> None:
    """More pods than would go first are where they are to go."""
    async with scened(tmp_path, kind) as scene:
        scene.good = scene.second
        scene.deployed("app:3-unready")
        assert 0 < scene.serving(scene.good) < 4
        ready = await scene.ready()
        assert "canary" not in ready.intent
        outcome = await scene.run(ready.intent)
        assert outcome.result == "done"
        assert scene.serving(scene.good) == 4
