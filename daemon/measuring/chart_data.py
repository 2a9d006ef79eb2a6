"""Trace the symptom of an incident over time, for its chart."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from daemon.core.incident.events import Entry
from daemon.core.incident.state import Incident
from daemon.core.measurement.query_result import Unmeasurable, bins, finite_samples
from daemon.core.measurement.samples import QueryAnswer, Sample
from daemon.core.measurement.threshold_assessment import leading_leaf
from daemon.core.ports.metrics import Metrics
from daemon.core.reporting.chart import Curve, sketch
from daemon.core.rules.query_templates import UnsafeLabel, render_query
from daemon.core.rules.rule import ProblemSpec, Rule
from daemon.core.values.outcome import Permanent, Temporary

POINTS = 240
"""So many samples make a smooth line on any screen."""
SECOND = timedelta(seconds=1)


async def trace(
    metrics: Metrics, incident: Incident, rule: Rule, entries: Sequence[Entry], now: datetime
) -> Curve:
    """The curve by Prometheus; where it does not tell, by the journal, with the reason why."""
    curve = sketch(incident, rule.problem, entries, now)
    try:
        return curve.measured(await _samples(metrics, rule.problem, incident, curve))
    except TimeoutError:
        return replace(curve, trouble="Prometheus does not answer in time")
    except (Temporary, Permanent, Unmeasurable, UnsafeLabel) as error:
        return replace(curve, trouble=str(error))


async def _samples(
    metrics: Metrics, spec: ProblemSpec, incident: Incident, curve: Curve
) -> list[Sample]:
    width = spec.windows[0]
    step = max(width / 4, (curve.end - curve.begin) / POINTS, SECOND)

    async def ask(template: str) -> QueryAnswer:
        query = render_query(template, incident.group_labels, width)
        return await metrics.series(query, curve.begin, curve.end, step)

    if spec.kind == "threshold":
        leaf = leading_leaf(spec, incident.confirmed or incident.problem)
        return finite_samples(await ask(leaf.value or ""))
    if spec.value is not None:
        return finite_samples(await ask(spec.value))
    bad, total = await asyncio.gather(ask(spec.bad or ""), ask(spec.total or ""))
    return [(one.end, 1 - one.bad / one.total) for one in bins(bad, total) if one.total > 0]
