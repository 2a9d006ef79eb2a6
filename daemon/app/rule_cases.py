"""What the cases of rules are played with: the rules, the real catalogue, a real Prometheus."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from daemon.adapters.prometheus import Prometheus
from daemon.adapters.prometheus_sandbox import PrometheusSandbox
from daemon.app.actions import actions_for, limits_for
from daemon.app.rules import judges_for
from daemon.app.watches import WATCHES, unrestricted
from daemon.config.rules_folder import read_ruleset
from daemon.config.settings import Settings
from daemon.core.cases.raw_series import continued_samples, openmetrics, raw_samples
from daemon.core.cases.rule_case import GivenAction, RuleCase
from daemon.core.measurement.samples import QueryAnswer
from daemon.replaying.case_runner import House


def house_for(settings: Settings, rules_dir: Path, *, restricted: bool) -> House:
    """The house of a folder of rules. Without `restricted` the settings are nobody's, so every
    parameter of an action is allowed. Raises Mistakes, Permanent."""
    actions = actions_for(settings)
    checked = actions if restricted else unrestricted(actions)
    names = settings.names if restricted else None
    watches = WATCHES if restricted else unrestricted(WATCHES)
    ruleset = read_ruleset([rules_dir], checked, watches, names, judges_for(settings))
    rules, roster, approvals = ruleset.sound()
    return House(
        rules={rule.rule: rule for rule in rules},
        roster=roster,
        approvals=approvals,
        freezes=ruleset.freezes,
        actions=actions,
        limits=limits_for(settings),
        outage=settings.recovery.outage,
        max_age=settings.prometheus.max_age,
        max_ages={name: one.max_age for name, one in settings.prometheus.servers.items()},
        restricted=restricted,
    )


_DEADLINE = 10.0
"""Seconds that one query may take."""


class RawMetrics:
    """`daemon.replaying.case_runner.CaseMetrics` of raw series, on which a real Prometheus
    evaluates the queries. Close it after the case. Raises Permanent if there is no Prometheus."""

    def __init__(self, case: RuleCase) -> None:
        self._case = case
        self._sandbox = PrometheusSandbox()
        self._samples = raw_samples(case.raw, case.begins, case.interval)
        self._prometheus = self._serve()

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        """The value of each series at that time."""
        return await self._prometheus.instant(query, at)

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        """Values from `start` to `end`, one each `step`."""
        return await self._prometheus.series(query, start, end, step)

    def act(self, action: GivenAction, at: datetime) -> None:
        """From then on the series are what the action makes of them."""
        if not action.then_raw:
            return
        later = raw_samples(action.then_raw, at, self._case.interval)
        self._samples = dict(continued_samples(self._samples, at.timestamp(), later))
        self._prometheus.close()
        self._prometheus = self._serve()

    @property
    def unanswered(self) -> Sequence[str]:
        """Nothing: every query was evaluated."""
        return ()

    def close(self) -> None:
        """End the Prometheus."""
        self._prometheus.close()
        self._sandbox.close()

    def _serve(self) -> Prometheus:
        return Prometheus(self._sandbox.serve(openmetrics(self._samples)), _DEADLINE, 1)
