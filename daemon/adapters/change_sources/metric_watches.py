"""Changes seen from Prometheus alone, for whoever gives us no access to anything else.

      kube_state_metrics: {namespace: prod, deployment: checkout}
      version_metric: {query: 'count by (version) (build_info{service="checkout"})', label: version}

Both look at what was there at each step of a fixed grid, so that the same change is dated the
same at every look: to within a step, before rather than after it happened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import floor
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from daemon.adapters.change_sources.live_label import Coming, Presence, comings_of, presence
from daemon.core.changes.suspects import Change
from daemon.core.measurement.samples import QueryAnswer
from daemon.core.ports.metrics import Metrics, metrics_server
from daemon.core.rules.promql_dialect.judging import judge_anywhere
from daemon.core.rules.query_templates import check_query, names_in, quote, selectors
from daemon.core.rules.rule import LabelName, Name
from daemon.core.values.outcome import Temporary
from daemon.core.values.units import Duration, Frozen, format_duration

SETTLED = timedelta(seconds=5)
"""A scrape is not stored in the moment it is dated to; later looks would see what earlier ones
did not."""
STALE = timedelta(minutes=5)
"""For so long Prometheus goes on answering with the last sample."""
BACK_OFF = timedelta(minutes=5)
"""A version that crashes comes and goes; Kubernetes waits no longer than this between tries."""

_LookBack = Annotated[Duration, Field(ge=timedelta(minutes=10), le=timedelta(hours=12))]
_Step = Annotated[Duration, Field(ge=timedelta(seconds=15), le=timedelta(seconds=30))]
_Given = Annotated[str, Field(min_length=1, max_length=253)]

_Clock = Callable[[], datetime]


class _Looking(Frozen):
    look_back: _LookBack = timedelta(hours=3)
    step: _Step = timedelta(seconds=15)


class _MetricWatch:
    """One look for each step of the grid; between two steps the last one's answer stands."""

    kind = ""

    def __init__(
        self, metrics: Metrics, looking: _Looking, clock: _Clock, server: str = ""
    ) -> None:
        self._server = server
        self._metrics = metrics
        self._looking = looking
        self._clock = clock
        self._looked: tuple[datetime, Sequence[Change]] | None = None

    async def look(self) -> Sequence[Change]:
        """The changes within the look-back. Raises Temporary or Permanent."""
        step = self._looking.step.total_seconds()
        try:
            settled = max(SETTLED, (await metrics_server(self._metrics)).behind)
            latest = (self._clock() - settled).timestamp()
            end = datetime.fromtimestamp(floor(latest / step) * step, UTC)
            if self._looked is None or self._looked[0] != end:
                self._looked = (end, await self._changes(end))
        except TimeoutError:
            raise Temporary(f"Prometheus did not answer in time about {self.kind}") from None
        return self._looked[1]

    async def _changes(self, end: datetime) -> Sequence[Change]:
        raise NotImplementedError

    async def _instant(self, query: str, at: datetime) -> QueryAnswer:
        return _whole(await self._metrics.instant(query, at))

    async def _presence(self, query: str, label: str, end: datetime) -> Presence:
        start = end - self._looking.look_back
        return presence(
            _whole(await self._metrics.series(query, start, end, self._looking.step)), label
        )

    def _dated(
        self,
        subject: str,
        comings: Sequence[Coming],
        born: Mapping[str, float],
        **more: Any,
    ) -> list[Change]:
        """A birth is exact where it fits; else it happened within the step before it was seen."""
        found: list[Change] = []
        for one in comings:
            at = max(one.after, one.at - self._looking.step.total_seconds())
            birth = born.get(one.item)
            if birth is not None and one.after - STALE.total_seconds() < birth <= one.at:
                at = birth
            found.append(
                Change(
                    subject=subject,
                    item=one.item,
                    previous=one.previous,
                    at=datetime.fromtimestamp(at, UTC),
                    seen_by=self.kind,
                    **more,
                )
            )
        return found


class KubeStateWatch(_MetricWatch):
    """`changes: {kube_state_metrics: …}`: rollouts as kube-state-metrics shows them."""

    kind = "kube_state_metrics"

    class Params(_Looking):
        """The workload: a Deployment or a StatefulSet. `cluster`: the one that steps call so; this
        Prometheus is to know no other."""

        cluster: Name | None = None
        namespace: _Given
        deployment: _Given | None = None
        statefulset: _Given | None = None

        @model_validator(mode="after")
        def _one(self) -> KubeStateWatch.Params:
            if (self.deployment is None) == (self.statefulset is None):
                raise ValueError("name a `deployment` or a `statefulset`; one of the two")
            return self

    def __init__(self, params: Params, metrics: Metrics, clock: _Clock, server: str = "") -> None:
        super().__init__(metrics, params, clock, server)
        self._params = params

    @classmethod
    def make(
        cls, params: Params, metrics: Metrics, clock: _Clock, server: str = ""
    ) -> KubeStateWatch:
        """The watch of these parameters, in the Prometheus of that name."""
        return cls(params, metrics, clock, server)

    async def _changes(self, end: datetime) -> Sequence[Change]:
        if self._params.deployment is not None:
            return await self._of_deployment(self._params.deployment, end)
        return await self._of_statefulset(self._params.statefulset or "", end)

    def _subject(self, kind: str, name: str) -> str:
        """What a step upon it has as its target."""
        cluster = f"{self._params.cluster}:" if self._params.cluster else ""
        return f"kubernetes:{cluster}{self._params.namespace}/{kind}/{name}"

    async def _of_deployment(self, name: str, end: datetime) -> list[Change]:
        """A ReplicaSet that gets replicas is live; two that have some are a running rollout."""
        space = f"namespace={quote(self._params.namespace)}"
        owner = f'kube_replicaset_owner{{{space},owner_kind="Deployment",owner_name={quote(name)}}}'
        back = f"[{format_duration(self._looking.look_back)}]"

        def owned(metric: str, owners: str) -> str:
            each = "max by (namespace, replicaset)"
            join = f"on (namespace, replicaset) group_left () {each} ({owners})"
            return f"max by (replicaset) ({metric} * {join})"

        replicas = owned(f"kube_replicaset_spec_replicas{{{space}}}", owner)
        created = owned(
            f"last_over_time(kube_replicaset_created{{{space}}}{back})",
            f"last_over_time({owner}{back})",
        )
        points = await self._presence(replicas, "replicaset", end)
        births = await self._instant(created, end)
        born = {
            series.labels["replicaset"]: series.samples[-1][1]
            for series in births.series
            if "replicaset" in series.labels and series.samples
        }
        subject = self._subject("deployment", name)
        start = (end - self._looking.look_back).timestamp()
        comings = comings_of(points, timedelta(0), born, start)
        found = self._dated(subject, comings, born)
        return _rolling(found, len(_latest(points, end)) > 1)

    async def _of_statefulset(self, name: str, end: datetime) -> list[Change]:
        """The revision that is rolled out to, which becomes current when all pods have it."""
        chosen = f"{{namespace={quote(self._params.namespace)},statefulset={quote(name)}}}"
        update = f"max by (revision) (kube_statefulset_status_update_revision{chosen})"
        current = f"max by (revision) (kube_statefulset_status_current_revision{chosen})"
        points = await self._presence(update, "revision", end)
        reached = presence(await self._instant(current, end), "revision")
        subject = self._subject("statefulset", name)
        found = self._dated(subject, comings_of(points, timedelta(0)), {})
        behind = [items - _latest(points, end) for items in reached.values()]
        return _rolling(found, any(behind))


class VersionWatch(_MetricWatch):
    """`changes: {version_metric: …}`: the newest value of a label that tells the version."""

    kind = "version_metric"

    class Params(_Looking):
        """The query and its label; `target` names the action's target whose versions they are."""

        query: _Given
        label: LabelName
        subject: str = Field(default="", max_length=253)
        target: str = Field(default="", max_length=253)

        @field_validator("query")
        @classmethod
        def _promql(cls, query: str) -> str:
            # Which server reads it is known to the check of the whole rule.
            wrong = check_query(query, (), windowed=False, judge=judge_anywhere)
            if wrong is None and names_in(query):
                wrong = "no $name has a value here, not even $window; write it out"
            if wrong is not None:
                raise ValueError(wrong)
            return query

        def about(self, server: str) -> str:
            """The subject of its changes, as the Prometheus of that name tells them."""
            if self.subject:
                return self.subject
            named = [*selectors(self.query), self.query][0]
            place = f"{server}:" if server else ""
            return f"version:{place}{named}" + (
                "" if self.label == "version" else f" by {self.label}"
            )

    def __init__(self, params: Params, metrics: Metrics, clock: _Clock, server: str = "") -> None:
        super().__init__(metrics, params, clock, server)
        self._params = params

    @classmethod
    def make(
        cls, params: Params, metrics: Metrics, clock: _Clock, server: str = ""
    ) -> VersionWatch:
        """The watch of these parameters, in the Prometheus of that name."""
        return cls(params, metrics, clock, server)

    async def _changes(self, end: datetime) -> Sequence[Change]:
        points = await self._presence(self._params.query, self._params.label, end)
        comings = comings_of(points, BACK_OFF)
        found = self._dated(
            self._params.about(self._server), comings, {}, target=self._params.target
        )
        return _rolling(found, len(_latest(points, end)) > 1)


METRIC_WATCHES: Mapping[str, type[KubeStateWatch] | type[VersionWatch]] = {
    KubeStateWatch.kind: KubeStateWatch,
    VersionWatch.kind: VersionWatch,
}


def _latest(points: Presence, end: datetime) -> frozenset[str]:
    """What is there now; nothing if the data has stopped."""
    last = max(points, default=0.0)
    return (
        points[last] if points and end.timestamp() - last <= STALE.total_seconds() else frozenset()
    )


def _rolling(found: list[Change], still: bool) -> list[Change]:
    """Whether the rollout of the last change goes on."""
    if not found or not still:
        return found
    return [*found[:-1], found[-1].model_copy(update={"rolling": True})]


def _whole(answer: QueryAnswer) -> QueryAnswer:
    """A part of the truth would show changes that never were."""
    if answer.warnings:
        warned = "; ".join(answer.warnings)[:300]
        raise Temporary(f"Prometheus warned that its answer about changes is partial: {warned}")
    return answer
