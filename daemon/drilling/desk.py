"""What people ask of drills, answered from the journals of their incidents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from daemon.core.drills.calendar import ScheduledDrill, upcoming
from daemon.core.drills.desk import DrillOverview, DrillRow, UnknownDrill
from daemon.core.drills.promotion import PromotionPolicy
from daemon.core.drills.report import DrillRun, run_of
from daemon.core.drills.scenario import DrillScenario, scenario_of
from daemon.core.drills.score import DrillReport, report_of
from daemon.core.incident.drill_mark import DrillMark
from daemon.core.ports.journal import IncidentSearch
from daemon.core.values.drill_key import drill_of
from daemon.core.values.units import format_duration
from daemon.drilling.runner import Drills

_LOOKED_AT = 2000
"""So many of the newest incidents of drills are looked through for runs."""

MOST_REPORTS = 100
"""So many reports of runs that ended are kept; others are made anew when they are asked for."""


class Desk:
    """`daemon.core.drills.desk.DrillDesk` of one daemon."""

    def __init__(
        self, drills: Drills, schedule: Sequence[ScheduledDrill], promotion: PromotionPolicy
    ) -> None:
        self._drills = drills
        self._repository = drills.house.repository
        self._schedule = schedule
        self._promotion = promotion
        self._ended: dict[str, DrillReport] = {}

    async def overview(self) -> DrillOverview:
        """Everything at a glance."""
        runs = [run_of(report) for report in await self._reports()]
        newest = {run.drill: run for run in sorted(runs, key=lambda run: run.began_at)}
        under_way = {mark.run for mark in self._drills.under_way}
        return DrillOverview(
            drills=tuple(
                _row(scenario, newest.get(name))
                for name, scenario in sorted(self._scenarios().items())
            ),
            under_way=tuple(run for run in runs if run.run in under_way),
            upcoming=tuple(upcoming(self._schedule, self._repository.clock())),
            promotion=self._promotion.describe(),
        )

    async def start(self, drill: str, person: str) -> DrillMark:
        """Hold it now. Raises UnknownDrill, DrillRefused, Temporary."""
        scenario = self._scenarios().get(drill)
        if scenario is None:
            names = ", ".join(sorted(self._scenarios())) or "none: write one into rules/drills"
            raise UnknownDrill(f"there is no drill {drill!r}; there are {names}")
        return await self._drills.start(scenario, person)

    async def abort(self, run: str, person: str) -> None:
        """Stop it. Raises DrillRefused, Temporary."""
        await self._drills.abort(run, f"by {person}")

    async def report(self, run: str) -> DrillReport:
        """How the run went. Raises UnknownDrill, Temporary."""
        incidents = (await self._known()).get(run)
        if incidents:
            return await self._report(run, incidents)
        for report in await self._without_incident():
            if report.run == run:
                return report
        raise UnknownDrill(f"there is no run {run!r} of a drill; `stopgap drill list` has them")

    async def trend(self, drill: str) -> list[DrillRun]:
        """All runs of the drill, oldest first. Raises Temporary."""
        found = [run_of(report) for report in await self._reports() if report.drill == drill]
        return sorted(found, key=lambda run: run.began_at)

    async def script(self, run: str, person: str) -> Sequence[str]:
        """Its script, for who may see it. Raises UnknownDrill, Temporary."""
        report = await self.report(run)
        if report.ending is None and person not in report.observers:
            return ()
        scenario = scenario_of(await self._mark(run))
        lines = [f"{format_duration(one.at)}: {one.describe()}" for one in scenario.in_order]
        return ([scenario.brief] if scenario.brief else []) + lines

    # ── looking it up ────────────────────────────────────────────────────────────────────────

    def _scenarios(self) -> Mapping[str, DrillScenario]:
        return self._drills.house.active.now.drills

    async def _known(self) -> dict[str, list[str]]:
        """The incidents of each run that has opened any."""
        found: dict[str, list[str]] = {}
        search = IncidentSearch(drills="only")
        for head in await self._repository.journal.heads(_LOOKED_AT, search):
            found.setdefault(drill_of(head.key), []).append(head.incident)
        return found

    async def _mark(self, run: str) -> DrillMark:
        """That of a run that there is. Raises UnknownDrill, Temporary."""
        for mark in self._drills.under_way:
            if mark.run == run:
                return mark
        for one in await self._drills.empty_runs():
            if one.mark.run == run:
                return one.mark
        return await self._mark_of(run, (await self._known())[run])

    async def _mark_of(self, run: str, incidents: Sequence[str]) -> DrillMark:
        incident = await self._repository.load(incidents[0])
        if incident.drill is None:
            raise UnknownDrill(f"the run {run!r} has no scenario")
        return incident.drill

    async def _reports(self) -> list[DrillReport]:
        """Of all runs that are known. Raises Temporary."""
        known = await self._known()
        beside = [one for one in await self._without_incident() if one.run not in known]
        return [await self._report(run, incidents) for run, incidents in known.items()] + beside

    async def _without_incident(self) -> list[DrillReport]:
        """Of the runs that have opened none, or none yet."""
        empty = await self._drills.empty_runs()
        going = [report_of(mark, ()) for mark in self._drills.under_way]
        return [*(report_of(one.mark, (), one.state) for one in empty), *going]

    async def _report(self, run: str, incidents: Sequence[str]) -> DrillReport:
        if run in self._ended:
            return self._ended[run]
        mark = await self._mark_of(run, incidents)
        journals = [await self._repository.journal.read(incident) for incident in incidents]
        report = report_of(mark, [journal for journal in journals if journal])
        if report.ending is not None:
            self._ended[run] = report
            if len(self._ended) > MOST_REPORTS:
                del self._ended[next(iter(self._ended))]
        return report


def _row(scenario: DrillScenario, last: DrillRun | None) -> DrillRow:
    expected = scenario.expect.model_dump(exclude_defaults=True)
    return DrillRow(
        drill=scenario.drill,
        title=scenario.title,
        why=scenario.why,
        rule=scenario.rule,
        target=scenario.target,
        lasts=scenario.lasts,
        expects=len(expected),
        last=last,
    )
