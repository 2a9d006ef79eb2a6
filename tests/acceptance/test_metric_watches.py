"""The watches of changes on real Prometheus: their joins are understood, and dated right."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.adapters.change_sources.metric_watches import KubeStateWatch, VersionWatch
from daemon.adapters.prometheus import Prometheus
from tests.acceptance import servers

NOTHING = "scrape_configs: []\n"
MINUTE = timedelta(minutes=1)
HOSTILE = 'a"} or vector(1) #\\'


def _series(line: str) -> str:
    return line.partition("} ")[0]


def backfill(folder: Path, now: datetime) -> None:
    """An hour of kube-state-metrics: a rollout 20 minutes ago, another one running for 5."""
    samples: dict[str, list[str]] = {}

    def put(name: str, labels: str, value: float, at: datetime) -> None:
        line = f'{name}{{namespace="shop",{labels}}} {value} {at.timestamp():.0f}'
        samples.setdefault(name, []).append(line)

    begins = {"one": 300.0, "two": 20.0, "three": 5.0}
    for seconds in range(-3600, 1, 15):
        at = now + timedelta(seconds=seconds)
        ago = -seconds / 60
        for item, begin in begins.items():
            if ago > begin:
                continue
            gone = {"one": ago < 18, "two": False, "three": False}[item]
            for instance in ("a", "b"):  # two of them, as for high availability
                own = f'replicaset="{item}",instance="{instance}"'
                put("kube_replicaset_spec_replicas", own, 0 if gone else 3, at)
                born = (now - begin * MINUTE).timestamp()
                put("kube_replicaset_created", own, round(born), at)
                owner = 'owner_kind="Deployment",owner_name="checkout"'
                put("kube_replicaset_owner", f"{own},{owner}", 1, at)
        put("kube_replicaset_spec_replicas", 'replicaset="other"', int(ago < 9), at)
        put("kube_replicaset_owner", 'replicaset="other",owner_kind="Deployment"', 1, at)
        revision = "db-1" if ago > 7 else "db-2"
        chosen = f'statefulset="db",revision="{revision}"'
        put("kube_statefulset_status_update_revision", chosen, 1, at)
        current = 'statefulset="db",revision="db-1"'
        put("kube_statefulset_status_current_revision", current, 1, at)
        version = "1.0" if ago > 12 else "1.1"
        put("build_info", f'service="checkout",version="{version}"', 1, at)
    text = "".join(
        # Series by series, each in the order of time, in which they were put.
        f"# TYPE {name} gauge\n" + "\n".join(sorted(lines, key=_series)) + "\n"
        for name, lines in samples.items()
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "backfill.txt").write_text(text + "# EOF\n")
    promtool = shutil.which("promtool")
    assert promtool is not None
    argv = [promtool, "tsdb", "create-blocks-from", "openmetrics", "backfill.txt", "data"]
    subprocess.run(argv, cwd=folder, check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
async def test_changes_seen_from_the_real_prometheus(tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    backfill(tmp_path, now)
    with servers.prometheus(tmp_path, NOTHING) as url:
        prometheus = Prometheus(url, timeout=5, concurrency=4)

        def watch(**params: str) -> KubeStateWatch:
            given = KubeStateWatch.Params.model_validate({"namespace": "shop", **params})
            return KubeStateWatch.make(given, prometheus, lambda: now)

        try:
            changes = await watch(deployment="checkout").look()
            assert [(c.previous, c.item, c.at, c.rolling) for c in changes] == [
                ("one", "two", now - 20 * MINUTE, False),
                ("two", "three", now - 5 * MINUTE, True),
            ]
            (change,) = await watch(statefulset="db").look()
            assert (change.previous, change.item, change.rolling) == ("db-1", "db-2", True)
            assert timedelta(0) <= now - 7 * MINUTE - change.at <= timedelta(seconds=30)
            params = VersionWatch.Params(
                query='count by (version) (build_info{service="checkout"})', label="version"
            )
            (change,) = await VersionWatch.make(params, prometheus, lambda: now).look()
            assert (change.previous, change.item) == ("1.0", "1.1")
            for name in ("nobody", HOSTILE):
                assert await watch(deployment=name).look() == []
                assert await watch(statefulset=name, namespace=name).look() == []
        finally:
            prometheus.close()
