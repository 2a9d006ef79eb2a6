"""How the team and the daemon do, over a period: from the head rows of the incidents alone.

An incident belongs to the period in which it was opened. Times are those of `durations`: detection
from the onset to the opening, acknowledgement and recovery from the opening on, or from the end of
the maintenance that held the calls. What was merged counts as a part of the other incident.

What the daemon saved is worked out like this. An incident that it recovered by itself took D from
its onset (if that is not known, its opening) to proven recovery, and its requests failed at a rate
r: all that failed in it, by the time that it was bad. Recoveries by people took the median M. It
saved M − D of impact, and r · (M − D) requests; both are negative where people are faster.

M takes the recoveries of YEAR before the end of the period: of the same rule if there are
ENOUGH_RECOVERIES, else of all rules; if there are too few of these, too, the incident does not
count. As a recovery by people counts a step by a person's word, and one outside of the plan that
somebody had acknowledged before.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from statistics import fmean, median
from typing import NamedTuple

from pydantic import Field

from daemon.core.ports.journal import OpeningOutcome
from daemon.core.reporting.counted_incident import (
    CountedIncident,
    counted_incident,
    is_part,
    recovered_by_people,
    seconds_to_recovery,
)
from daemon.core.values.units import Frozen, Moment

ENOUGH_RECOVERIES = 3
"""So many recoveries by people make a median worth comparing with."""
YEAR = timedelta(days=365)
"""How far back they are looked for."""
USUAL_PERIOD = timedelta(days=30)
HOW_SAVED = (
    "Saved: for each incident that the daemon recovered by itself, the median time from onset to "
    "recovery of those that people recovered (of the same rule in the last year, or of all rules "
    f"where it has fewer than {ENOUGH_RECOVERIES}), less the time that it took; times the requests "
    "that failed in it a minute. Negative where people are faster."
)
"""How it is worked out, for whoever reads the number."""


class DurationFigure(Frozen):
    """A duration over some incidents, in seconds."""

    incidents: int
    mean: float
    median: float


class Saved(Frozen):
    """What the daemon saved in so many incidents, compared with so many recoveries by people.

    `seconds` of impact; `requests` of those incidents whose failed requests are known
    (`counted` of them), None if none is.
    """

    incidents: int
    seconds: float
    requests: float | None
    counted: int
    compared: int


class FigureSet(Frozen):
    """The figures of some incidents of one period.

    `unknown`: those that an earlier stopgap wrote and of which nothing more is known; they count
    nowhere else. `share_by_daemon`: of those that recovered, 0…1. `overruled`: refusals that
    people overruled, by reason; `undone`: acts of the daemon's own that people undid.
    `failed_requests`: in all incidents in which they are known, `counted` of them.
    """

    incidents: int = 0
    unknown: int = 0
    detect: DurationFigure | None = None
    acknowledge: DurationFigure | None = None
    recover: DurationFigure | None = None
    recovered: int = 0
    by_daemon: int = 0
    by_people: int = 0
    elsewhere: int = 0
    share_by_daemon: float | None = None
    overruled: dict[str, int] = Field(default_factory=dict)
    undone: int = 0
    failed_requests: float | None = None
    counted: int = 0
    saved: Saved | None = None

    @property
    def refusals_overruled(self) -> int:
        """Of all reasons."""
        return sum(self.overruled.values())


class NamedFigures(Frozen):
    """The figures of one rule or team, and those of the period before. An empty name: no rule
    matched, or nobody's."""

    name: str
    now: FigureSet
    before: FigureSet


class Figures(Frozen):
    """The figures of [since, until), and those of a period of the same length before it."""

    since: Moment
    until: Moment
    now: FigureSet
    before: FigureSet
    rules: tuple[NamedFigures, ...]
    teams: tuple[NamedFigures, ...]


class _Usual(NamedTuple):
    """How long people take: the median of so many recoveries of these rules, in seconds."""

    seconds: float
    rules: frozenset[str]


class _Manual:
    """How long recoveries by people took, in seconds, by rule."""

    def __init__(self) -> None:
        self.by_rule: dict[str, list[float]] = {}
        self._usual: dict[str, _Usual | None] = {}
        """What was worked out already, by rule: a year of recoveries is not sorted anew for each
        incident that is compared with it."""

    def add(self, head: OpeningOutcome, until: datetime) -> None:
        """Count it, if people recovered it within the YEAR before that moment."""
        if not (until - YEAR <= head.opened_at < until and recovered_by_people(head)):
            return
        took = seconds_to_recovery(head)
        if took is not None:
            self.by_rule.setdefault(head.rule, []).append(took)
            self._usual.clear()

    def usual(self, rule: str) -> _Usual | None:
        """What a recovery of that rule is compared with; None if there are too few."""
        if rule not in self._usual:
            self._usual[rule] = self._worked_out(rule)
        return self._usual[rule]

    def _worked_out(self, rule: str) -> _Usual | None:
        if len(self.by_rule.get(rule, ())) >= ENOUGH_RECOVERIES:
            rules = frozenset({rule})
        elif sum(map(len, self.by_rule.values())) >= ENOUGH_RECOVERIES:
            rules = frozenset(self.by_rule)
        else:
            return None
        return _Usual(median(took for each in rules for took in self.by_rule[each]), rules)


class FiguresTally:
    """The figures of a period, from incidents that are added in portions of any size and order.

    Of the incidents of the period and of the one before it is kept what counts; of all others no
    more than how long people took to recover them, so that those of a year take no room.
    """

    def __init__(self, since: datetime, until: datetime) -> None:
        self._since, self._until = since, until
        self._earlier = since - (until - since)
        self._now: list[CountedIncident] = []
        self._before: list[CountedIncident] = []
        self._manual_now = _Manual()
        self._manual_before = _Manual()

    def add(self, openings: Iterable[OpeningOutcome]) -> None:
        """Count these; what was opened after the end is none of the period."""
        for one in openings:
            if one.opened_at >= self._until or is_part(one):
                continue
            if one.opened_at >= self._since:
                self._now.append(counted_incident(one))
            elif one.opened_at >= self._earlier:
                self._before.append(counted_incident(one))
            self._manual_now.add(one, self._until)
            self._manual_before.add(one, self._since)

    def figures(self) -> Figures:
        """The figures of all that was added."""
        now, before = self._now, self._before
        manual_now, manual_before = self._manual_now, self._manual_before
        return Figures(
            since=self._since,
            until=self._until,
            now=_figure_set(now, manual_now),
            before=_figure_set(before, manual_before),
            rules=_named(now, before, manual_now, manual_before, "rule"),
            teams=_named(now, before, manual_now, manual_before, "team"),
        )


def figures(openings: Iterable[OpeningOutcome], since: datetime, until: datetime) -> Figures:
    """The figures of a period. `openings` are the incidents that were opened before its end, those
    of YEAR at least, for the comparison."""
    tally = FiguresTally(since, until)
    tally.add(openings)
    return tally.figures()


def _named(
    now: Sequence[CountedIncident],
    before: Sequence[CountedIncident],
    manual: _Manual,
    earlier: _Manual,
    by: str,
) -> tuple[NamedFigures, ...]:
    now_by, before_by = _grouped(now, by), _grouped(before, by)
    return tuple(
        NamedFigures(
            name=name,
            now=_figure_set(now_by[name], manual),
            before=_figure_set(before_by[name], earlier),
        )
        for name in sorted({*now_by, *before_by})
    )


def _grouped(
    counted: Sequence[CountedIncident], by: str
) -> defaultdict[str, list[CountedIncident]]:
    groups: defaultdict[str, list[CountedIncident]] = defaultdict(list)
    for one in counted:
        groups[getattr(one, by)].append(one)
    return groups


def _figure_set(counted: Sequence[CountedIncident], manual: _Manual) -> FigureSet:
    known = [one for one in counted if one.known]
    by = Counter(one.recovered_by for one in known)
    recovered = sum(count for name, count in by.items() if name)
    failed = [one.failed_requests for one in known if one.failed_requests is not None]
    return FigureSet(
        incidents=len(counted),
        unknown=len(counted) - len(known),
        detect=_timing(one.detect for one in known),
        acknowledge=_timing(one.acknowledge for one in known),
        recover=_timing(one.recover for one in known),
        recovered=recovered,
        by_daemon=by["daemon"],
        by_people=by["person"],
        elsewhere=by["elsewhere"],
        share_by_daemon=by["daemon"] / recovered if recovered else None,
        overruled=dict(sorted(Counter(r for one in known for r in one.overruled).items())),
        undone=sum(one.undone for one in known),
        failed_requests=sum(failed) if failed else None,
        counted=len(failed),
        saved=_saved(known, manual),
    )


def _timing(values: Iterable[float | None]) -> DurationFigure | None:
    seconds = [value for value in values if value is not None]
    if not seconds:
        return None
    return DurationFigure(incidents=len(seconds), mean=fmean(seconds), median=median(seconds))


def _saved(known: Iterable[CountedIncident], manual: _Manual) -> Saved | None:
    seconds: list[float] = []
    requests: list[float] = []
    compared: set[str] = set()
    for one in known:
        if one.recovered_by != "daemon":
            continue
        usual = manual.usual(one.rule)
        if one.took is None or usual is None:
            continue
        saved = usual.seconds - one.took
        seconds.append(saved)
        compared |= usual.rules
        lasted = one.impact or 0.0
        if one.failed_requests is not None and lasted > 0:
            requests.append(one.failed_requests / lasted * saved)
    if not seconds:
        return None
    return Saved(
        incidents=len(seconds),
        seconds=sum(seconds),
        requests=sum(requests) if requests else None,
        counted=len(requests),
        compared=sum(len(manual.by_rule[rule]) for rule in compared),
    )
