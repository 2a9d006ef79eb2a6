"""A Prometheus that knows nothing but what a case gives for the queries of its rule.

The rule's own queries are known by their text, with the labels filled in. What the daemon asks
beside them (how old the newest sample is, how often there is a scrape, which targets are up, how
many services alert) is answered by what the series show. Everything else has no answer; what
that was is kept, for whoever looks why a case came out as it did.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from daemon.core.alertmanager import Labels
from daemon.core.cases.curves import ScrapedCurve, Scrapes
from daemon.core.cases.given_series import Measure, Pieces, measures_of
from daemon.core.cases.rule_case import MonitoringState
from daemon.core.measurement.samples import QueryAnswer, Sample, Series
from daemon.core.rules.query_templates import TemplateError, UnsafeLabel, render_query, selectors
from daemon.core.rules.rule import Comparing, Rule
from daemon.core.values.outcome import Temporary
from daemon.core.values.units import format_duration, parse_duration

JOB = "case"
"""The job of all that is scraped in a case."""
TARGETS = 10
"""So many scrape targets a case's Prometheus has."""
_LONG = timedelta(hours=23, minutes=59, seconds=59)
"""A window that nobody writes, by which the place of `$window` is found."""
_WINDOW = r"(?:\d+(?:ms|[smhdw]))+"

_NEWEST = re.compile(r"(?:max|min)\(timestamp\((?P<selector>.+)\)\)")
_SAMPLES = re.compile(rf"max\(count_over_time\((?P<selector>.+)\[(?P<window>{_WINDOW})\]\)\)")
_JOBS = re.compile(
    rf"count by \(job\) \(last_over_time\((?P<selector>.+)\[(?P<window>{_WINDOW})\]\)\)"
)
_TARGETS_UP = re.compile(
    r"(?P<asked>max\(up)\{.+\}\)|(?P<all>count\(up\))|count\(up == 0\) or vector\(0\)"
)
_STORM = re.compile(rf"count\(count by \(\S+\) \(ALERTS.+ offset (?P<window>{_WINDOW})\)\)")
_EMPTY = re.compile(
    rf"sum\((?P<one>.+) unless (?P=one) offset {_WINDOW}\)"  # counters that were just born
    r"|count\(\(?ALERTS.+"  # upstream alerts
    r"|group by \(.+\) \(.+up\{.+",  # targets of the service's own
    re.DOTALL,
)

Values = list[tuple[Labels, float]]
Answerer = Callable[[float], Values]
"""What a query answers at a moment: seconds since the case began."""


@dataclass(frozen=True)
class _Known:
    """A query of the rule: how it reads, and how it is answered for the window in it."""

    pattern: re.Pattern[str]
    answer: Callable[[float | None], Answerer]


@dataclass
class GivenAnswers:
    """The answers. `scrape` in seconds; `alerts`: when which service began to alert; `monitoring`:
    from which second on it is how.

    `change` puts other series in the place of these. `unanswered`: the queries that had none.
    """

    rule: Rule
    groups: Sequence[Labels]
    begins: datetime
    scrape: float
    pieces: Pieces
    monitoring: Sequence[tuple[float, MonitoringState]] = ()
    alerts: Sequence[tuple[float, str]] = ()
    unanswered: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._start = self.begins.timestamp()
        self._froms = [at for at, _ in self.monitoring]
        self._scrapes = Scrapes(self.scrape, self._missed)
        self._curves: dict[Measure, ScrapedCurve] = {}
        self._answerers: dict[str, Answerer | None] = {}
        self._selected: dict[str, list[Measure]] = {}
        self._queries = [known for labels in self.groups for known in self._queries_for(labels)]
        self.change(self.pieces)

    def change(self, pieces: Pieces) -> None:
        """From now on the series are these, of all times."""
        self.pieces = pieces
        self._curves = {
            measure: ScrapedCurve(found, self._scrapes)
            for measure, found in pieces.items()
            if found
        }

    def instant(self, query: str, at: datetime) -> QueryAnswer:
        """The answer at that moment. Raises Temporary while the monitoring is down."""
        now = at.timestamp() - self._start
        state = self._state(now)
        answerer = self._answerer(query)
        values = answerer(now) if answerer is not None else []
        series = [Series(labels, [(at.timestamp(), value)]) for labels, value in values]
        return QueryAnswer(query, series, _warnings(state))

    def series(self, query: str, start: datetime, end: datetime, step: timedelta) -> QueryAnswer:
        """The answers over a span of time. Raises Temporary while the monitoring is down at its
        end, which is when it is asked for."""
        first, every = start.timestamp() - self._start, step.total_seconds()
        count = math.floor((end - start) / step + 1e-9) + 1
        state = self._state(end.timestamp() - self._start)
        answerer = self._answerer(query)
        found: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
        for number in range(count if answerer is not None else 0):
            now = first + number * every
            for labels, value in answerer(now) if answerer is not None else ():
                sample = (self._start + now, value)
                found.setdefault(tuple(sorted(labels.items())), []).append(sample)
        series = [Series(dict(labels), samples) for labels, samples in found.items()]
        return QueryAnswer(query, series, _warnings(state))

    # ── the monitoring ───────────────────────────────────────────────────────────────────────

    def _state(self, now: float) -> MonitoringState:
        state = self._monitored(now)
        if state == "down":
            raise Temporary("connection refused (the case says that the monitoring is down)")
        return state

    def _monitored(self, now: float) -> MonitoringState:
        index = bisect_right(self._froms, now) - 1
        return "fine" if index < 0 else self.monitoring[index][1]

    def _missed(self, at: float) -> bool:
        return bool(self._froms) and self._monitored(at) in {"down", "targets down"}

    # ── which query it is ────────────────────────────────────────────────────────────────────

    def _answerer(self, query: str) -> Answerer | None:
        if query not in self._answerers:
            found = self._own(query) or self._beside(query)
            self._answerers[query] = found
            if found is None:
                self.unanswered.add(query)
        return self._answerers[query]

    def _own(self, query: str) -> Answerer | None:
        for known in self._queries:
            match = known.pattern.fullmatch(query)
            if match is not None:
                window = match.groupdict().get("window")
                seconds = parse_duration(window).total_seconds() if window else None
                return known.answer(seconds)
        return None

    def _queries_for(self, labels: Labels) -> Iterator[_Known]:
        """Every query of the rule for one group of alerts."""
        problem, suspects = self.rule.problem, self.rule.suspects
        for measure, template in (("bad", problem.bad), ("total", problem.total)):
            if template is not None:
                yield from self._known(template, labels, [(measure,)], self._counted((measure,)))
        for kind, named in (("impact", problem.impact), ("sentiment", problem.sentiment)):
            for name, template in named.items():
                yield from self._known(template, labels, [(kind, name)], self._read((kind, name)))
        for template, value in zip(problem.values, measures_of(problem), strict=True):
            yield from self._known(template, labels, [value], self._read(value))
        for kind, comparing in (
            ("revisions", suspects.revisions),
            ("siblings", suspects.siblings),
        ):
            if comparing is not None:
                yield from self._compared(kind, comparing, labels)

    def _compared(self, kind: str, comparing: Comparing, labels: Labels) -> Iterator[_Known]:
        for part, template in (("bad", comparing.bad), ("total", comparing.total)):

            def answer(width: float | None, part: str = part) -> Answerer:
                return lambda now: [
                    ({comparing.label: measure[1]}, count)
                    for measure, curve in self._curves.items()
                    if (measure[0], measure[-1]) == (kind, part)
                    and (count := curve.increase(now, width or self._usual)) is not None
                ]

            yield from self._known(template, labels, [], answer)

    @property
    def _usual(self) -> float:
        return self.rule.problem.windows[0].total_seconds()

    def _known(
        self,
        template: str,
        labels: Labels,
        measures: list[Measure],
        answer: Callable[[float | None], Answerer],
    ) -> Iterator[_Known]:
        try:
            written = render_query(template, labels, _LONG)
            plain = render_query(template, labels, self.rule.problem.windows[0])
        except (TemplateError, UnsafeLabel):
            return  # it is never asked
        for selector in selectors(plain):
            self._selected.setdefault(selector, []).extend(measures)
        parts = [re.escape(part) for part in written.split(format_duration(_LONG))]
        pattern = parts[0]
        for number, part in enumerate(parts[1:]):
            pattern += (rf"(?P<window>{_WINDOW})" if not number else "(?P=window)") + part
        yield _Known(re.compile(pattern, re.DOTALL), answer)

    def _counted(self, measure: Measure) -> Callable[[float | None], Answerer]:
        def answer(width: float | None) -> Answerer:
            return lambda now: self._one(
                curve.increase(now, width or self._usual)
                if (curve := self._curves.get(measure)) is not None
                else None
            )

        return answer

    def _read(self, measure: Measure) -> Callable[[float | None], Answerer]:
        def answer(_: float | None) -> Answerer:
            return lambda now: self._one(
                curve.value(now) if (curve := self._curves.get(measure)) is not None else None
            )

        return answer

    @staticmethod
    def _one(value: float | None) -> Values:
        return [] if value is None else [({}, value)]

    # ── what is asked beside them ────────────────────────────────────────────────────────────

    def _beside(self, query: str) -> Answerer | None:
        """What the daemon asks beside a rule's queries, in `daemon.measuring`."""
        kinds: list[tuple[re.Pattern[str], Callable[[re.Match[str]], Answerer]]] = [
            (_NEWEST, self._newest),
            (_SAMPLES, self._samples),
            (_JOBS, self._jobs),
            (_TARGETS_UP, self._targets),
            (_STORM, self._alerting),
            (_EMPTY, self._nothing),
        ]
        for pattern, build in kinds:
            match = pattern.fullmatch(query)
            if match is not None:
                return build(match)
        return None

    def _newest(self, match: re.Match[str]) -> Answerer:
        def answer(now: float) -> Values:
            newest = [at for at in self._scraped(match["selector"], now, 300.0) if at is not None]
            return [({}, self._start + max(newest))] if newest else []

        return answer

    def _samples(self, match: re.Match[str]) -> Answerer:
        width = parse_duration(match["window"]).total_seconds()

        def answer(now: float) -> Values:
            newest = [at for at in self._scraped(match["selector"], now, width) if at is not None]
            return self._one(max(1, math.floor(width / self.scrape)) if newest else None)

        return answer

    def _jobs(self, match: re.Match[str]) -> Answerer:
        width = parse_duration(match["window"]).total_seconds()

        def answer(now: float) -> Values:
            newest = self._scraped(match["selector"], now, width)
            return [({"job": JOB}, 1.0)] if any(at is not None for at in newest) else []

        return answer

    def _scraped(self, selector: str, now: float, back: float) -> list[float | None]:
        """The newest samples of the series that a selector selects."""
        measures = self._selected.get(selector, [])
        curves = [self._curves[measure] for measure in measures if measure in self._curves]
        return [curve.newest(now, back) for curve in curves]

    def _nothing(self, _: re.Match[str]) -> Answerer:
        return lambda _: []

    def _targets(self, match: re.Match[str]) -> Answerer:
        def answer(now: float) -> Values:
            down = self._monitored(now) == "targets down"
            if match["asked"]:
                return [({}, 0.0 if down else 1.0)]
            if match["all"]:
                return [({}, float(TARGETS))]
            return [({}, float(TARGETS) if down else 0.0)]

        return answer

    def _alerting(self, match: re.Match[str]) -> Answerer:
        width = parse_duration(match["window"]).total_seconds()

        def answer(now: float) -> Values:
            first: dict[str, float] = {}
            for at, service in self.alerts:
                first.setdefault(service, at)
            count = sum(now - width < at <= now for at in first.values())
            return [({}, float(count))] if count else []

        return answer


def _warnings(state: MonitoringState) -> Sequence[str]:
    return ("a part of the monitoring does not answer",) if state == "partial" else ()
