"""Gather a dossier: ask within the budgets of queries and time, and put the findings in order.

Nothing here fails: what cannot be asked is a limit that the dossier tells. It goes behind all else
that asks Prometheus: one dossier at a time, two queries of it at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

import structlog

from daemon.config.sections import DiagnosisSettings
from daemon.core.diagnosis.contribution import attribute
from daemon.core.diagnosis.explain import (
    attribution_findings,
    failure_kinds,
    hypotheses_from,
    level_findings,
    moved_findings,
)
from daemon.core.diagnosis.levels import worse_values
from daemon.core.diagnosis.periods import Periods, periods
from daemon.core.incident import events as e
from daemon.core.incident.dossier import MOST_FINDINGS, DiagnosisFinding, Dossier, FindingKind
from daemon.core.incident.state import Incident
from daemon.core.measurement.loss import direction
from daemon.core.measurement.query_result import Unmeasurable
from daemon.core.measurement.threshold_assessment import worse_side
from daemon.core.rules.dependencies import RuleDependencies
from daemon.core.rules.rule import Rule
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.units import format_duration
from daemon.diagnosing.breakdowns import LabelledCounts, labelled_counts
from daemon.diagnosing.budget import BudgetedMetrics
from daemon.diagnosing.moved_series import moved_series
from daemon.diagnosing.neighbourhood import Neighbourhood, suspect_findings
from daemon.measuring.queries import Survey
from daemon.repository import IncidentRepository

_log = structlog.get_logger()

_ORDER: tuple[FindingKind, ...] = (
    "contribution",
    "mix",
    "suspect",
    "concurrent",
    "failure_kind",
    "moved",
    "alike",
    "alert",
    "change",
    "nothing_stands_out",
)
"""The weightiest kinds first."""
_MOST_LIMITS = 20
_MadeOf = Callable[[Incident], Sequence[e.Event]]


@dataclass
class _Gathering:
    """A dossier under way."""

    metrics: BudgetedMetrics
    until: float
    findings: list[DiagnosisFinding] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)

    async def part(
        self, what: str, doing: Callable[[], Awaitable[None]], *, asks: bool = True
    ) -> None:
        """One part of it, within what is left of the time; what `asks` nobody is reckoned of what
        is there by then."""
        over = f"{what}: the time of a dossier was over (`diagnosis.timeout`)"
        if asks and asyncio.get_running_loop().time() >= self.until:
            self.limits.append(over)  # what is begun now would be asked all the same
            return
        try:
            async with asyncio.timeout_at(self.until if asks else None):
                await doing()
        except TimeoutError:
            self.limits.append(over)
        except (Unmeasurable, Temporary, Permanent) as error:
            self.limits.append(f"{what}: {error}")
        except Exception:
            # Decided anew it would crash anew, with all its queries; the dossier does without.
            _log.exception("a part of a dossier crashed", part=what)
            self.limits.append(f"{what}: a defect of stopgap, see its log")


def _attributed(counts: LabelledCounts) -> list[DiagnosisFinding]:
    """Who carries the loss by what was counted, and what kind of failure it is."""
    found = attribute(counts.breakdowns)
    kinds = map(failure_kinds, (b for b in counts.breakdowns if b.failures_only))
    named = attribution_findings(found, counts.breakdowns, counts.queries)
    return [*named, *(kind for kind in kinds if kind is not None)]


class DossierGatherer:
    """Gathers the dossiers of all incidents, one at a time."""

    def __init__(self, repository: IncidentRepository, settings: DiagnosisSettings) -> None:
        self._repository = repository
        self._settings = settings
        self._turn = asyncio.Lock()
        self._unwritten: dict[str, tuple[int, _MadeOf]] = {}
        """What the store did not take: it is not asked for again."""

    async def gather(
        self, survey: Survey, rule: Rule, incident: str, dependencies: RuleDependencies
    ) -> None:
        """Gather it and write it down. Raises Temporary if the store fails."""
        async with self._turn:
            current = await self._repository.load(incident)
            known = self._unwritten.get(incident)
            if known is None or known[0] != current.causes.gathered:
                events = await self._events(survey, rule, current, dependencies)
                known = self._unwritten[incident] = (current.causes.gathered, events)
        gathered, events = known

        def news(now: Incident) -> Sequence[e.Event]:
            # One that was closed meanwhile takes it, too: its review is the better for it.
            return () if now.causes.gathered != gathered else events(now)

        await self._repository.record(incident, news)
        self._unwritten.pop(incident, None)

    async def _events(
        self, survey: Survey, rule: Rule, incident: Incident, dependencies: RuleDependencies
    ) -> _MadeOf:
        settings, loop = self._settings, asyncio.get_running_loop()
        span = periods(incident, rule.problem, survey.now)
        if span is None:
            return lambda now: ()
        begun = loop.time()
        metrics = BudgetedMetrics(survey.metrics, settings.queries)
        work = _Gathering(metrics, begun + settings.timeout.total_seconds())
        asking = replace(survey, metrics=metrics, query_log={})
        await self._ask(work, asking, rule, incident, dependencies, span)
        order = sorted(work.findings, key=lambda f: _ORDER.index(f.kind))
        seconds = loop.time() - begun
        dossier = Dossier(
            begin=span.onset_from,
            end=span.end,
            baseline_from=span.first - span.width,
            baseline_until=span.baseline_until,
            findings=tuple(order[:MOST_FINDINGS]),
            limits=tuple(text[:500] for text in dict.fromkeys(work.limits))[:_MOST_LIMITS],
            queries=metrics.asked,
            seconds=round(seconds, 2),
        )
        took = format_duration(timedelta(seconds=round(seconds, 2)))
        _log.info("dossier gathered", findings=len(order), queries=metrics.asked, took=took)

        def events(now: Incident) -> Sequence[e.Event]:
            supposed = hypotheses_from(now.causes, dossier.findings)
            return (e.DossierGathered(dossier=dossier), *supposed)

        return events

    async def _ask(
        self,
        work: _Gathering,
        survey: Survey,
        rule: Rule,
        incident: Incident,
        dependencies: RuleDependencies,
        span: Periods,
    ) -> None:
        """Everything, what tells most first: it may be that the budgets end before all is asked."""
        around = Neighbourhood(self._repository, dependencies, incident, span)
        counts = LabelledCounts()

        async def add(asked: Awaitable[Sequence[DiagnosisFinding]]) -> None:
            work.findings += await asked

        def attributed() -> Sequence[DiagnosisFinding]:
            if counts.levels:
                sign = direction(rule.problem)
                if rule.problem.kind == "threshold":
                    sign = worse_side(rule.problem, incident.confirmed)
                worse = worse_values(counts.levels, sign)
                return level_findings(worse, counts.queries)
            return _attributed(counts) if counts.breakdowns else ()

        async def weigh() -> None:
            # Ten labels of a thousand values each would hold up pages for a second.
            work.findings += await asyncio.to_thread(attributed)

        async def move() -> None:
            found = await moved_series(survey, rule, span, work.metrics.left, work.limits)
            work.findings += moved_findings(found)

        work.findings += suspect_findings(incident)
        await work.part("other incidents", lambda: add(around.concurrent()))
        await work.part("earlier incidents", lambda: add(around.alike()))
        await work.part("changes elsewhere", lambda: add(around.changes()))
        asked = partial(labelled_counts, survey, rule, span, counts, incident.confirmed)
        await work.part("label values", asked)
        work.limits += counts.limits
        await work.part("label values", weigh, asks=False)
        await work.part("other alerts", lambda: add(around.alerts(survey)))
        await work.part("series that moved", move)
