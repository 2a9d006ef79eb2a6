"""A broken deployment on the double, and time that passes only while somebody waits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from daemon.core.ports.actions import Ready, Refused
from recovery_actions.kubernetes.names import Workload, WorkloadKind
from recovery_actions.kubernetes.waiting import PollPace
from tests.contract.action_contract import context
from tests.contract.kubernetes_double import Cluster, served
from tests.contract.kubernetes_lab import Lab, manifest
from tests.contract.kubernetes_pods import NAMESPACE


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
    def pace(self) -> PollPace:
        return PollPace(self.sleep, lambda: self.now)


class World(Lab):
    """A lab on the double: a workload `checkout` with three revisions, the last one broken."""

    def __init__(self, cluster: Cluster, kind: WorkloadKind = "deployment") -> None:
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
    def pods(self) -> list[dict[str, Any]]:
        return self.cluster.all("pods")

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


@asynccontextmanager
async def broken(folder: Path, kind: WorkloadKind = "deployment") -> AsyncIterator[World]:
    """A world on a cluster of its own."""
    async with served(folder) as cluster:
        world = World(cluster, kind)
        try:
            yield world
        finally:
            await world.workshop.close()
