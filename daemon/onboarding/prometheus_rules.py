"""The alerting and recording rules that a Prometheus has, read from its `/api/v1/rules`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from daemon.core.values.outcome import Permanent
from daemon.onboarding.recording_rules import RecordingRules

ONE_MINUTE = timedelta(minutes=1)
SEVERITIES: Mapping[str, int] = {
    **dict.fromkeys(("critical", "page", "emergency", "fatal", "disaster", "p1", "sev1"), 2),
    **dict.fromkeys(("warning", "warn", "error", "major", "high", "ticket", "p2", "sev2"), 3),
}
"""What people write into the label `severity`, and the level that is proposed for it."""


@dataclass(frozen=True)
class Alerting:
    """An alerting rule of Prometheus. `interval` is how often its group is evaluated, `held_for`
    how long its expression must hold before it fires."""

    name: str
    query: str
    group: str
    interval: timedelta = ONE_MINUTE
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    active: tuple[Mapping[str, str], ...] = ()
    held_for: timedelta = timedelta(0)

    @property
    def level(self) -> int:
        """The level that its label `severity` stands for, 2 to 4."""
        return SEVERITIES.get(self.labels.get("severity", "").strip().casefold(), 4)


def read_rules(data: Any) -> tuple[list[Alerting], RecordingRules]:
    """The answer of `/api/v1/rules`. Raises Permanent if it is something else."""
    alerts: list[Alerting] = []
    recorded: list[tuple[str, Mapping[str, str], str]] = []
    try:
        for group in data["data"]["groups"]:
            interval = timedelta(seconds=float(group.get("interval") or 60))
            for rule in group["rules"]:
                name, query = str(rule["name"]), str(rule["query"])
                if rule.get("type") == "recording":
                    recorded.append((name, _texts(rule.get("labels")), query))
                    continue
                active = tuple(_texts(one.get("labels")) for one in rule.get("alerts") or ())
                labels, annotations = _texts(rule.get("labels")), _texts(rule.get("annotations"))
                held_for = timedelta(seconds=float(rule.get("duration") or 0))
                alerts.append(
                    Alerting(
                        name,
                        query,
                        str(group["name"]),
                        interval,
                        labels,
                        annotations,
                        active,
                        held_for,
                    )
                )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise Permanent("this is not what Prometheus answers at /api/v1/rules") from None
    return alerts, RecordingRules(recorded)


def _texts(given: Any) -> dict[str, str]:
    return {str(key): str(value) for key, value in (given or {}).items()}
