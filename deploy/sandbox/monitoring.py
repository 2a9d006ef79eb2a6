"""What measures the shop and raises its alerts: Prometheus, or VictoriaMetrics with its vmalert."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from processes import program

KINDS = ("prometheus", "victoria-metrics")


def chosen() -> str:
    """The kind that METRICS names; Prometheus if it names none."""
    kind = os.environ.get("METRICS", "") or KINDS[0]
    if kind not in KINDS:
        sys.exit(f"METRICS={kind} is none of {', '.join(KINDS)}")
    return kind


def commands(kind: str, address: Mapping[str, str]) -> dict[str, list[str | Path]]:
    """The programs to start in the folder of `prometheus.yml` and `alerts.yml`, by their names.

    `address`: where `prometheus`, `vmalert` and `alertmanager` listen. Ends with what to install if
    a program is not there.
    """
    here, alertmanager = address["prometheus"], f"http://{address['alertmanager']}"
    if kind == "prometheus":
        return {
            "prometheus": [
                program("PROMETHEUS_BIN", "prometheus"),
                "--config.file=prometheus.yml",
                "--storage.tsdb.path=prometheus.data",
                f"--web.listen-address={here}",
                f"--web.external-url=http://{here}",
            ]
        }
    return {
        "victoria-metrics": [
            program("VICTORIA_METRICS_BIN", "victoria-metrics"),
            "-promscrape.config=prometheus.yml",
            "-promscrape.config.strictParse=false",  # the rest of the file is Prometheus's
            "-storageDataPath=victoria-metrics.data",
            "-memory.allowedBytes=200MB",
            f"-httpListenAddr={here}",
            f"-vmalert.proxyURL=http://{address['vmalert']}",
        ],
        "vmalert": [
            program("VMALERT_BIN", "vmalert"),
            "-rule=alerts.yml",
            "-evaluationInterval=1s",
            f"-datasource.url=http://{here}",
            f"-remoteWrite.url=http://{here}",
            "-remoteWrite.flushInterval=1s",
            f"-notifier.url={alertmanager}",
            f"-httpListenAddr={address['vmalert']}",
            f"-external.url=http://{address['vmalert']}",
        ],
    }
