"""The last look at the metrics before a step acts: nothing acts on what has recovered already, nor
on metrics that are not to be believed.

It goes on with the first measurement where that is as good as one of now (`Survey.resuming`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from daemon.core.incident.onset_facts import onset_facts
from daemon.core.incident.state import Incident
from daemon.core.measurement.problem import Problem
from daemon.core.measurement.query_result import Unmeasurable
from daemon.core.ports.metrics import MetricsServers
from daemon.core.recovery.concurrent import SLACK
from daemon.core.recovery.guardrails import Limits
from daemon.core.rules.dependencies import RuleDependencies
from daemon.core.rules.label_names import service_in
from daemon.core.rules.rule import Rule
from daemon.measuring import queries, verify
from daemon.measuring.own_targets import own_targets
from daemon.measuring.queries import AS_GOOD_AS_NOW, Survey
from daemon.measuring.upstream_alerts import upstream_alerting
from daemon.recovering.step_context import Findings


@dataclass(frozen=True)
class LastLook:
    """`outage`: the share of all scrape targets down, from which the monitoring is not believed.
    `dependencies`: those of the rules in force."""

    servers: MetricsServers
    limits: Limits
    outage: float
    dependencies: Callable[[], RuleDependencies]
    _measured: dict[str, Survey] = field(default_factory=dict)

    async def foresee(self, survey: Survey, rule: Rule, incident: str, problem: Problem) -> None:
        """Where a step may follow, keep the measurement for as long as its answers are as good as
        those of now, and ask what the last look asks others by."""
        if problem.verdict != "confirmed" or not rule.recover:
            return
        self._measured[incident] = survey
        seconds = AS_GOOD_AS_NOW.total_seconds()
        asyncio.get_running_loop().call_later(seconds, self._measured.pop, incident, None)
        await _own_targets(replace(survey, query_log={}))

    async def findings(self, survey: Survey, rule: Rule, incident: Incident) -> Findings:
        """What the metrics say now, all asked at once."""
        if incident.confirmed is None:
            return Findings(None, {}, "")
        survey = survey.resuming(self._measured.get(incident.id))
        onset = onset_facts(incident).onset_from or incident.opened_at
        service = service_in(incident.group_labels)[0] or "service"
        # The monitoring that is to be believed is the one that measures this service; what begins
        # elsewhere at the same time, the store knows.
        metrics = survey.metrics
        reading, outage, alerting, upstream = await asyncio.gather(
            verify.read_recovery_now(survey, rule.verify, incident.confirmed),
            self._outage(survey),
            queries.alerting(metrics, survey.now, self.limits.storm_window, service),
            self._upstream_alerting(rule, onset - SLACK, survey.now),
        )
        return Findings(reading, survey.query_log, outage, alerting, upstream)

    async def _upstream_alerting(self, rule: Rule, since: datetime, now: datetime) -> bool:
        """Whether something that the rule depends on alerts, by the server that watches it."""
        alerts = self.dependencies().alert_matchers(rule.rule)
        asked = (
            upstream_alerting(self.servers.at(name).metrics, matchers, since, now)
            for name, matchers in alerts.items()
        )
        return any(await asyncio.gather(*asked))

    async def _outage(self, survey: Survey) -> str:
        """Why the monitoring as a whole is not to be believed; empty if it is."""
        own = await _own_targets(survey)
        return await queries.outage(survey.metrics, survey.now, self.outage, own)


async def _own_targets(survey: Survey) -> str:
    """What selects the `up` of the service's own targets; empty if nobody can say."""
    try:
        own = await own_targets(survey)
    except Unmeasurable:
        return ""  # that Prometheus is out is found by whoever asks next
    return own.up if own is not None else ""
