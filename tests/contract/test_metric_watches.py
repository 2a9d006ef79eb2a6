"""Changes seen from Prometheus alone: dated the same at every look, and safe from hostile names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from daemon.adapters.change_sources.metric_watches import (
    METRIC_WATCHES,
    KubeStateWatch,
    VersionWatch,
)
from daemon.core.changes.suspects import Change
from daemon.core.measurement.samples import QueryAnswer, Series
from daemon.core.ports.metrics import Metrics
from daemon.core.values.outcome import Permanent, Temporary

NOW = datetime(2026, 3, 1, 14, 10, 7, tzinfo=UTC)
GRID = datetime(2026, 3, 1, 14, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
STEP = timedelta(seconds=15)

Level = Callable[[datetime], float | None]


def between(
    begin: float, end: float = 0.0, value: float = 1.0, other: float | None = None
) -> Level:
    """`value` from so many minutes before GRID until so many, else `other`."""
    first, last = GRID - begin * MINUTE, GRID - end * MINUTE
    return lambda at: value if first <= at and (at < last or end <= 0) else other


@dataclass
class FakeMetrics:
    """Series by metric name: (labels, level at each moment)."""

    known: dict[str, list[tuple[dict[str, str], Level]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    fails: Exception | None = None
    warnings: Sequence[str] = ()

    def _answer(self, query: str, times: Sequence[datetime]) -> QueryAnswer:
        self.asked.append(query)
        promql_parser.parse(query)
        if self.fails is not None:
            raise self.fails
        found = []
        for labels, level in next((s for name, s in self.known.items() if name in query), []):
            values = [(at.timestamp(), level(at)) for at in times]
            samples = [(at, value) for at, value in values if value is not None]
            if samples:
                found.append(Series(labels, samples))
        return QueryAnswer(query, found, self.warnings)

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        return self._answer(query, [at])

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        return self._answer(query, [start + n * step for n in range(int((end - start) / step) + 1)])


def deployment(metrics: Metrics, now: datetime = NOW, **more: Any) -> KubeStateWatch:
    given = {"namespace": "shop", "deployment": "checkout", **more}
    return KubeStateWatch.make(KubeStateWatch.Params.model_validate(given), metrics, lambda: now)


def version(metrics: Metrics, now: datetime = NOW, **more: Any) -> VersionWatch:
    query = 'count by (version) (build_info{service="checkout"})'
    given = {"query": query, "label": "version", **more}
    return VersionWatch.make(VersionWatch.Params.model_validate(given), metrics, lambda: now)


def told(changes: Sequence[Change]) -> list[tuple[str, str, float, bool]]:
    return [(c.previous, c.item, (GRID - c.at) / MINUTE, c.rolling) for c in changes]


def replicasets(**levels: Level) -> FakeMetrics:
    return FakeMetrics(
        {"spec_replicas": [({"replicaset": name}, level) for name, level in levels.items()]}
    )


async def test_a_rollout_is_dated_by_its_birth_and_rolls_while_two_have_replicas() -> None:
    metrics = replicasets(old=between(999), new=between(5))
    created = (GRID - 5.1 * MINUTE).timestamp()
    metrics.known["replicaset_created"] = [
        ({"replicaset": "old"}, lambda _: 1.0),
        ({"replicaset": "new"}, lambda _: created),
    ]
    (change,) = await deployment(metrics).look()
    assert (change.subject, change.seen_by) == (
        "kubernetes:shop/deployment/checkout",
        "kube_state_metrics",
    )
    assert told([change]) == [("old", "new", 5.1, True)]


async def test_a_finished_rollout_and_the_way_back_to_an_old_replicaset() -> None:
    """It makes no new ReplicaSet, so its birth says nothing: it is dated within a step."""
    old = between(20, 10, value=0.0, other=3.0)
    metrics = replicasets(old=old, new=between(20.5, 9.5, other=0.0))
    metrics.known["replicaset_created"] = [({"replicaset": "old"}, lambda _: 1.0)]
    assert told(await deployment(metrics).look()) == [
        ("old", "new", 20.75, False),
        ("new", "old", 10.25, False),
    ]


async def test_scaling_is_no_change_and_neither_is_the_monitoring_coming_back() -> None:
    scaled = replicasets(one=lambda at: 0.0 if at < GRID - 30 * MINUTE else 5.0)
    assert told(await deployment(scaled).look()) == [("", "one", 30.25, False)]
    again = replicasets(one=lambda at: 0.0 if abs(at - GRID + 30 * MINUTE) < MINUTE else 5.0)
    assert await deployment(again).look() == []
    gap = replicasets(one=lambda at: None if at < GRID - 30 * MINUTE else 5.0)
    assert await deployment(gap).look() == []
    assert await deployment(replicasets()).look() == []


async def test_a_statefulset_by_its_update_revision() -> None:
    metrics = FakeMetrics(
        {
            "update_revision": [
                ({"revision": "db-1"}, between(999, 7)),
                ({"revision": "db-2"}, between(7)),
            ],
            "current_revision": [({"revision": "db-1"}, between(999))],
        }
    )
    watch = deployment(metrics, deployment=None, statefulset="db")
    changes = await watch.look()
    assert told(changes) == [("db-1", "db-2", 7.25, True)]
    assert changes[0].subject == "kubernetes:shop/statefulset/db"
    metrics.known["current_revision"] = [({"revision": "db-2"}, between(999))]
    watch = deployment(metrics, deployment=None, statefulset="db")
    assert told(await watch.look()) == [("db-1", "db-2", 7.25, False)]


async def test_a_version_by_its_label() -> None:
    metrics = FakeMetrics(
        {"build_info": [({"version": "1"}, between(999, 3)), ({"version": "2"}, between(4))]}
    )
    (change,) = await version(metrics, target="release:shop").look()
    assert told([change]) == [("1", "2", 4.25, False)]
    assert (change.subject, change.aim, change.seen_by, change.reported) == (
        'version:build_info{service="checkout"}',
        "release:shop",
        "version_metric",
        False,
    )
    assert (await version(metrics, subject="version:shop").look())[0].subject == "version:shop"
    metrics.known["build_info"][0] = ({"version": "1"}, between(999))
    assert told(await version(metrics).look()) == [("1", "2", 4.25, True)]


@pytest.mark.parametrize("make", [deployment, version])
async def test_the_same_change_is_dated_the_same_at_every_look(
    make: Callable[..., KubeStateWatch | VersionWatch],
) -> None:
    seen = set()
    for second in range(0, 60, 7):
        metrics = replicasets(a=between(999, 5), b=between(5.1))
        metrics.known["build_info"] = [
            ({"version": "a"}, between(999, 5)),
            ({"version": "b"}, between(5.1)),
        ]
        (change,) = await make(metrics, NOW + timedelta(seconds=second)).look()
        seen.add((change.item, change.at))
        real = GRID - 5.1 * MINUTE
        assert real - STEP <= change.at <= real
    assert len(seen) == 1


async def test_looking_again_within_a_step_asks_nothing() -> None:
    metrics, now = replicasets(a=between(999)), [NOW]
    params = KubeStateWatch.Params(namespace="shop", deployment="checkout")
    watch = KubeStateWatch.make(params, metrics, lambda: now[0])
    first = await watch.look()
    asked = len(metrics.asked)
    now[0] += timedelta(seconds=5)
    assert await watch.look() == first
    assert len(metrics.asked) == asked
    now[0] += STEP
    await watch.look()
    assert len(metrics.asked) == 2 * asked


@pytest.mark.parametrize("make", [deployment, version])
@pytest.mark.parametrize(
    ("fails", "warnings", "expected"),
    [
        (Temporary("down"), (), Temporary),
        (TimeoutError(), (), Temporary),
        (Permanent("bad query"), (), Permanent),
        (None, ("a shard is away",), Temporary),
    ],
)
async def test_what_cannot_be_seen_is_an_error_and_never_no_change(
    make: Callable[..., KubeStateWatch | VersionWatch],
    fails: Exception | None,
    warnings: Sequence[str],
    expected: type[Exception],
) -> None:
    metrics = FakeMetrics(fails=fails, warnings=warnings)
    watch = make(metrics)
    with pytest.raises(expected):
        await watch.look()
    metrics.fails, metrics.warnings = None, ()
    assert await watch.look() == []


hostile = st.text(min_size=1, max_size=40) | st.sampled_from(
    ['"', "\\", '"} or vector(1) or up{a="', "a\nb", "`", "$x", "{{x}}", "'", '\\"', "} # "]
)


@given(hostile, hostile, st.booleans())
async def test_no_name_leaves_its_string(namespace: str, name: str, stateful: bool) -> None:
    metrics = FakeMetrics()
    kind = {"deployment": None, "statefulset": name} if stateful else {"deployment": name}
    await deployment(metrics, namespace=namespace, **kind).look()
    for query in metrics.asked:
        found: list[tuple[str, str]] = []

        def visit(node: promql_parser.Expr, found: list[tuple[str, str]] = found) -> None:
            if isinstance(node, promql_parser.VectorSelector):
                assert node.name is not None
                assert node.name.startswith("kube_")
                found.extend((m.name, m.value) for m in node.matchers.matchers)

        promql_parser.walk(promql_parser.parse(query), visit)
        assert found
        for label, value in found:
            wanted = {"namespace": namespace, "owner_kind": "Deployment"}
            assert value == wanted.get(label, name)


@pytest.mark.parametrize(
    ("kind", "params", "wrong"),
    [
        ("kube_state_metrics", {"namespace": "a"}, "one of the two"),
        ("kube_state_metrics", {"namespace": "a", "deployment": "b", "statefulset": "c"}, "one of"),
        ("kube_state_metrics", {"namespace": "", "deployment": "b"}, "namespace"),
        ("kube_state_metrics", {"namespace": "a", "deployment": "b", "step": "5s"}, "step"),
        ("kube_state_metrics", {"namespace": "a", "deployment": "b", "look_back": "9d"}, "look"),
        ("version_metric", {"query": "sum(((", "label": "version"}, "not PromQL"),
        ("version_metric", {"query": "up[$window]", "label": "version"}, "window"),
        ("version_metric", {"query": "up", "label": ""}, "no label name"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(
    kind: str, params: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(ValidationError, match=wrong):
        METRIC_WATCHES[kind].Params.model_validate(params)
