"""`kubernetes_rollback` with a canary: some pods go back first, and the rest if it helps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from daemon.core.ports.actions import ActionContext, PartDone, Ready, StageRuling
from daemon.core.values.outcome import Temporary
from recovery_actions.contract import context
from recovery_actions.kubernetes import patches
from recovery_actions.kubernetes.names import WorkloadKind
from recovery_actions.kubernetes_rollback import KubernetesRollback
from recovery_actions.workshop import Workshop
from tests.contract.rolling_cluster import USUAL, RollingCluster

GO_ON = StageRuling(True, "v1 alone is well")
STOP = StageRuling(False, "v1 alone is as bad")
KINDS: list[WorkloadKind] = ["deployment", "statefulset"]


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


class Scene:
    """Four pods, the second revision of which is live and is to be rolled back."""

    def __init__(self, folder: Path, kind: WorkloadKind, ruling: StageRuling) -> None:
        self.kind = kind
        self.cluster = RollingCluster(kind)
        self.good = self.cluster.first
        self.second = self.cluster.deploy("app:2")
        self.rulings = Rulings(ruling)
        self.action = KubernetesRollback(Workshop(folder), self.cluster.pace)
        self.action._client = self.cluster  # type: ignore[assignment]

    def params(self, **more: Any) -> Any:
        given = {"namespace": "prod", self.kind: "checkout", "canary": "25%", "hold": "0s", **more}
        return self.action.Params.model_validate(given)

    @property
    def context(self) -> ActionContext:
        return replace(context(self.good), stages=self.rulings, within=timedelta(minutes=10))

    async def ready(self, **more: Any) -> Ready:
        ready = await self.action.preflight(self.params(**more), self.context)
        assert isinstance(ready, Ready), ready
        return ready

    async def run(self, intent: Any) -> Any:
        return await self.action.run(self.params(), intent, self.context)

    async def check(self, intent: Any) -> str:
        return await self.action.check(self.params(), intent, self.context)

    @property
    def held(self) -> bool:
        """Whether it stands midway: no more pods go back."""
        if self.kind == "deployment":
            changed = self.cluster.raw["spec"]["strategy"]["rollingUpdate"] != USUAL
            return self.cluster.paused or changed
        return self.cluster.partition > 0


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> WorkloadKind:
    found: WorkloadKind = request.param
    return found


@pytest.fixture
def scene(tmp_path: Path, kind: WorkloadKind) -> Scene:
    return Scene(tmp_path, kind, GO_ON)


async def test_the_first_part_is_held_until_it_is_ruled_on(scene: Scene) -> None:
    seen: list[tuple[bool, int, int]] = []
    cluster = scene.cluster

    def look() -> None:
        for _ in range(20):  # time passes, and no more pods go back
            cluster._step()
        seen.append((scene.held, cluster.live(scene.good), cluster.live(scene.second)))

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
    assert cluster.live(scene.good) == 4
    assert not scene.held
    assert cluster.image == "app:1"
    assert cluster.raw["metadata"]["labels"][patches.STAGE] == "goes-on"
    assert await scene.check(ready.intent) == "done"
    assert timedelta(minutes=3) < scene.rulings.limits[0] < timedelta(minutes=5)


async def test_what_does_not_help_is_taken_back(scene: Scene) -> None:
    scene.rulings.ruling = STOP
    ready = await scene.ready()
    outcome = await scene.run(ready.intent)
    assert (outcome.result, outcome.reason) == ("failed", "stage_stopped")
    assert STOP.text in outcome.detail
    assert f"is at {scene.second} again" in outcome.detail
    assert scene.cluster.image == "app:2"
    assert scene.cluster.live(scene.second) == 4
    assert not scene.held
    assert await scene.check(ready.intent) == "half_done"
    again = await scene.run(ready.intent)
    assert (again.result, again.reason) == ("failed", "stage_stopped")
    assert len(scene.rulings.asked) == 1


async def test_a_later_step_is_not_confused_by_what_was_taken_back(scene: Scene) -> None:
    scene.rulings.ruling = STOP
    await scene.run((await scene.ready()).intent)
    scene.rulings = Rulings(GO_ON)
    params = scene.params()
    second = replace(scene.context, token="step-2")
    ready = await scene.action.preflight(params, second)
    assert isinstance(ready, Ready), ready
    outcome = await scene.action.run(params, ready.intent, second)
    assert (outcome.result, outcome.reason) == ("done", "rolled_back")
    assert scene.cluster.live(scene.good) == 4


class Killed(BaseException):
    """The process ends here, as if by kill -9."""


@pytest.mark.parametrize("ruling", [GO_ON, STOP], ids=["goes on", "is stopped"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_killed_at_any_request_it_is_never_left_midway(
    tmp_path: Path, kind: WorkloadKind, ruling: StageRuling, after: bool
) -> None:
    """At each request in turn the process dies, and a successor comes to the same end."""
    at = kills = 0
    while True:
        at += 1
        folder = tmp_path / str(at)
        folder.mkdir()
        scene = Scene(folder, kind, ruling)
        ready = await scene.ready()
        calls = 0

        def deadly(method: str, at: int = at) -> None:
            nonlocal calls
            calls += 1
            if calls == at:
                raise Killed

        setattr(scene.cluster, "after" if after else "before", deadly)
        try:
            await scene.run(ready.intent)
        except Killed:
            kills += 1
        else:
            break
        assert await scene.check(ready.intent) in {"not_done", "half_done", "done"}
        outcome = await scene.run(ready.intent)
        expected = ("done", "rolled_back") if ruling.go_on else ("failed", "stage_stopped")
        assert (outcome.result, outcome.reason) == expected, (at, outcome)
        assert not scene.held, at
        assert scene.cluster.image == ("app:1" if ruling.go_on else "app:2")
    assert kills > 15


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
    scene.rulings.look = lambda: scene.cluster.deploy("app:3", wait=False) and None
    outcome = await scene.run(ready.intent)
    assert (outcome.result, outcome.reason) == ("failed", "reverted")
    assert "app:3" in outcome.detail
    assert scene.cluster.image == "app:3"
    assert not scene.held, "a mend by people must not stand still because of us"


async def test_somebody_deploys_while_the_daemon_is_dead(scene: Scene) -> None:
    ready = await scene.ready()

    def die() -> None:
        scene.cluster.deploy("app:3", wait=False)
        raise Killed

    scene.rulings.look = die
    with pytest.raises(Killed):
        await scene.run(ready.intent)
    assert scene.held
    assert await scene.check(ready.intent) == "half_done"
    outcome = await scene.run(ready.intent)
    assert (outcome.result, outcome.reason) == ("refused", "changed_meanwhile")
    assert not scene.held
    assert scene.cluster.image == "app:3"
    assert await scene.check(ready.intent) == "unknown"


async def test_what_can_neither_go_on_nor_back_is_said(scene: Scene) -> None:
    scene.rulings.ruling = STOP
    ready = await scene.ready()

    def lose() -> None:
        gone = [one for one in scene.cluster.revisions if one["metadata"]["name"] == scene.second]
        scene.cluster.revisions.remove(gone[0])

    scene.rulings.look = lose
    outcome = await scene.run(ready.intent)
    assert (outcome.result, outcome.reason) == ("failed", "revision_missing")
    assert "it stands midway" in outcome.detail


async def test_a_person_who_lets_it_go_on_is_not_stopped(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "deployment", GO_ON)
    ready = await scene.ready()
    scene.rulings.look = lambda: scene.cluster.raw["spec"].pop("paused")
    assert (await scene.run(ready.intent)).result == "done"
    assert scene.cluster.live(scene.good) == 4


async def test_a_first_part_that_does_not_come_up_is_taken_back(
    tmp_path: Path, kind: WorkloadKind
) -> None:
    scene = Scene(tmp_path, kind, GO_ON)
    scene.good = scene.cluster.deploy("app:3-bad", wait=False)
    scene.cluster.deploy("app:4")
    live = scene.cluster.deploy("app:4")
    ready = await scene.ready()
    assert ready.intent["to"] == scene.good
    outcome = await scene.run(ready.intent)
    assert (outcome.result, outcome.reason) == ("failed", "stage_stopped")
    assert "the first part did not come back" in outcome.detail
    assert scene.rulings.asked == []
    assert not scene.held
    assert scene.cluster.image == "app:4"
    assert scene.cluster.live(live) == 4


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
    scene = Scene(tmp_path, "deployment", STOP)
    scene.cluster = RollingCluster("deployment", replicas=1)
    scene.good = scene.cluster.first
    scene.cluster.deploy("app:2")
    scene.action = KubernetesRollback(Workshop(tmp_path), scene.cluster.pace)
    scene.action._client = scene.cluster  # type: ignore[assignment]
    ready = await scene.ready()
    assert "canary" not in ready.intent
    assert (await scene.run(ready.intent)).result == "done"
    assert scene.rulings.asked == []


async def test_where_nobody_rules_all_goes_back_at_once(scene: Scene) -> None:
    nobody = replace(scene.context, stages=None)
    ready = await scene.action.preflight(scene.params(), nobody)
    assert isinstance(ready, Ready), ready
    outcome = await scene.action.run(scene.params(), ready.intent, nobody)
    assert outcome.result == "done"
    assert scene.cluster.live(scene.good) == 4


async def test_what_has_no_parts_is_refused(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "deployment", GO_ON)
    scene.cluster.raw["spec"]["strategy"] = {"type": "Recreate"}
    refused: Any = await scene.action.preflight(scene.params(), scene.context)
    assert refused.reason == "not_in_parts"
    assert "leave out `canary`" in refused.text


@pytest.mark.parametrize("share", ["0%", "100%", "150%", 0, 2])
def test_a_part_is_less_than_the_whole(share: object) -> None:
    with pytest.raises(ValidationError):
        KubernetesRollback.Params.model_validate(
            {"namespace": "prod", "deployment": "checkout", "canary": share}
        )
