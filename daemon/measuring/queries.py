"""Ask Prometheus the queries of a rule, all at the same time, each with its own deadline.

What comes back is worth judging only if it is fresh: `require_fresh` tells a monitoring outage
(Prometheus down, targets not scraped, samples stale) from a quiet service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple, TypeVar

from daemon.core.measurement.flavours import MetricsServer
from daemon.core.measurement.problem import Impact
from daemon.core.measurement.query_result import Unmeasurable, newest_sample, one_number
from daemon.core.measurement.samples import QueryAnswer
from daemon.core.ports.metrics import Metrics, metrics_server
from daemon.core.rules.label_names import label_text
from daemon.core.rules.query_templates import (
    ABSENCE,
    UnsafeLabel,
    functions_called,
    quote,
    render_query,
    selectors,
)
from daemon.core.rules.rule import ProblemSpec
from daemon.core.values.formats import number_text
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.units import format_duration

LEAST_OTHERS = 2
"""Of fewer targets beside those of a service that is down nothing is learned of the monitoring."""
MAX_POINTS = 2000
"""Samples asked for in one range query."""
AS_GOOD_AS_NOW = timedelta(seconds=1)
"""An answer of a moment no longer ago says what one of now would: targets are not scraped more
often than that."""


_Told = TypeVar("_Told")


class _Question(NamedTuple):
    """A query, and the moments of which it is asked: of `end` alone without a `step`."""

    query: str
    start: datetime
    end: datetime
    step: timedelta | None = None


@dataclass(frozen=True)
class _Silence:
    """Why there are no samples now. `seen`: there were some in the look-back."""

    trouble: Unmeasurable
    seen: bool


@dataclass
class Survey:
    """One measurement under way: the rule's problem, the group's labels, and the moment.

    `server_name`: which Prometheus is asked, if it has a name. Every method raises Unmeasurable.
    `query_log` collects the queries with their answers in short, for the record.
    """

    metrics: Metrics
    spec: ProblemSpec
    labels: Mapping[str, str]
    now: datetime
    max_age: timedelta
    server_name: str = ""
    query_log: dict[str, str] = field(default_factory=dict)
    asked: dict[_Question, asyncio.Task[QueryAnswer]] = field(default_factory=dict)
    """The questions that are under way or answered: who asks the same gets that answer."""

    def resuming(self, before: Survey | None) -> Survey:
        """This measurement, as a part of the one before if its moment is as good as now: what that
        one has asked is not asked again, and the rest is asked of the same moment, so that the
        answers go together.

        For the last look, which is there so that nothing acts on what has already recovered.
        Whoever acts later than AS_GOOD_AS_NOW after the measurement (a person had to approve, the
        preflight or Prometheus took long, another replica or a restart goes on) asks anew.
        """
        if before is None or before.metrics is not self.metrics:
            return self
        if not timedelta(0) <= self.now - before.now <= AS_GOOD_AS_NOW:
            return self
        return replace(self, now=before.now, asked=before.asked)

    async def instant(self, template: str, window: timedelta | None = None) -> QueryAnswer:
        """The answer now; `$window` is `window`."""
        query = self.rendered(template, window)
        return await self._now(query)

    async def series(self, template: str, window: timedelta, span: timedelta) -> QueryAnswer:
        """The answers over the last `span`, four to a window; `$window` is the shortest."""
        step = max(window / 4, span / MAX_POINTS, timedelta(seconds=1))
        # Whole steps back from now, so that the last sample is now's and the grid is fixed.
        start = self.now - int(span / step) * step
        return await self.between(template, self.spec.windows[0], start, self.now, step)

    async def between(
        self,
        template: str,
        window: timedelta | None,
        start: datetime,
        end: datetime,
        step: timedelta,
    ) -> QueryAnswer:
        """The answers from `start` to `end`, one each `step`; `$window` is `window`."""
        return await self._answer(_Question(self.rendered(template, window), start, end, step))

    def selected(self, template: str) -> list[str]:
        """The instant selectors of a template."""
        return selectors(self.rendered(template, self.spec.windows[0]))

    def functions_called(self, template: str) -> frozenset[str]:
        """The functions that a template calls."""
        return functions_called(self.rendered(template, self.spec.windows[0]))

    async def numbers(self, queries: Sequence[str]) -> list[float]:
        """The single numbers that these answer now; without those that have none."""
        answers = await asyncio.gather(*(self._now(query) for query in queries))
        found = [one_number(answer) for answer in answers]
        return [number for number in found if number is not None]

    async def ask(self, query: str) -> QueryAnswer:
        """The answer now to a query that is no template."""
        return await self._now(query)

    async def ask_over(self, query: str, span: timedelta, step: timedelta) -> QueryAnswer:
        """The answers over the last `span` to a query that is no template."""
        return await self._answer(self._over(query, span, step))

    def begin(self, query: str) -> None:
        """Ask this of now, and wait for nothing: whoever asks the same gets that answer."""
        self._begun(self._of_now(query))

    def begin_over(self, query: str, span: timedelta, step: timedelta) -> None:
        """Likewise for what `ask_over` asks."""
        self._begun(self._over(query, span, step))

    async def server(self) -> MetricsServer:
        """Who answers these queries."""
        return await self._told("which server it is", metrics_server(self.metrics))

    async def require_fresh(self) -> None:
        """Raise the Unmeasurable of a monitoring outage if there is one."""
        chosen = self._selected_by(self.spec.main)
        newest, _ = await asyncio.gather(self._newest(chosen), self._require_failures(chosen))
        if newest is None:
            raise (await self._why_nothing(chosen)).trouble
        self._require_recent(newest)

    async def unseen(self, template: str) -> bool:
        """Whether nothing that a query selects has a sample now, nor had one in the look-back. If
        it selects series that only ended, while their targets are up, its answer is to be believed:
        an error that is over has no series. Targets that are down are a monitoring outage, but for
        a query that asks for just that (`absent(…)`). Raises Unmeasurable."""
        chosen = self._selected_by([template])
        newest = await self._newest(chosen)
        if newest is not None:
            self._require_recent(newest)
            return False
        silence = await self._why_nothing(chosen)
        called = self.functions_called(template)
        if silence.trouble.reason == "targets_down" and ABSENCE.isdisjoint(called):
            raise silence.trouble
        return not silence.seen

    def _require_recent(self, newest: float) -> None:
        age = self.now.timestamp() - newest
        if age > self.max_age.total_seconds():
            raise Unmeasurable(
                "no_data",
                "samples_stale",
                f"the newest sample is {format_duration(timedelta(seconds=round(age)))} old, over "
                f"{format_duration(self.max_age)}: the monitoring is behind, or has stopped",
            )

    def _selected_by(self, templates: Sequence[str]) -> list[str]:
        """The instant selectors of several templates, each once."""
        chosen = (one for template in templates for one in self.selected(template))
        return list(dict.fromkeys(chosen))

    async def _require_failures(self, counted: Sequence[str]) -> None:
        """Where failures are counted by another metric, its silence must not pass for none.

        No series is normal while nothing fails; targets that are down are not.
        """
        chosen = selectors(self.rendered(self.spec.bad or "", self.spec.windows[0]))
        metrics = {selector.partition("{")[0] for selector in counted}
        others = [s for s in chosen if s.partition("{")[0] not in metrics]
        if others and await self._newest(others) is None:
            trouble = (await self._why_nothing(others)).trouble
            if trouble.reason == "targets_down":
                raise trouble

    async def _newest(self, chosen: Sequence[str]) -> float | None:
        """The time of the newest sample of these selectors; Unix seconds."""
        server = await self.server()
        queries = [server.newest(selector) for selector in chosen]
        answers = await asyncio.gather(*(self._now(query) for query in queries))
        return newest_sample(dict(zip(queries, answers, strict=True)))

    async def impacts(self, queries: Mapping[str, str]) -> tuple[Impact, ...]:
        """Each impact or sentiment query's number; a failing one spoils nothing else."""

        async def one(name: str, template: str) -> Impact:
            try:
                value = one_number(await self.instant(template, self.spec.windows[0]))
            except Unmeasurable as trouble:
                return Impact(name=name, value=None, trouble=trouble.reason)
            return Impact(name=name, value=value, trouble="" if value is not None else "empty")

        return tuple(await asyncio.gather(*(one(n, q) for n, q in queries.items())))

    async def _why_nothing(self, chosen: Sequence[str]) -> _Silence:
        """Nothing is there now: are its targets down, or was there never such a series?"""
        back = format_duration(self.spec.baseline)
        jobs: set[str] = set()
        for selector in chosen:
            query = f"count by (job) (last_over_time({selector}[{back}]))"
            answer = await self._now(query)
            jobs |= {series.labels.get("job", "") for series in answer.series}
        scraped, up = jobs - {""}, False  # what rules record is of no job
        for job in sorted(scraped):
            query = f"max(up{{job={quote(job)}}})"
            answer = await self._now(query)
            up = up or bool(one_number(answer))
        if scraped and not up:
            names = ", ".join(sorted(scraped))
            text = f"Prometheus cannot scrape any target of job {names}: down, or cut off from it"
            return _Silence(Unmeasurable("no_data", "targets_down", text), seen=True)
        name = chosen[0] if chosen else "the query"
        if jobs:
            text = f"{name} had samples in the last {back} and has none now"
        else:
            text = f"{name} has no sample in the last {back}; look at the selector"
        return _Silence(Unmeasurable("no_data", "empty_answer", text), seen=bool(jobs))

    def rendered(self, template: str, window: timedelta | None) -> str:
        """The query of a template; `$window` is `window`."""
        try:
            return render_query(template, self.labels, window)
        except UnsafeLabel as error:
            raise Unmeasurable("query_error", "unsafe_label", str(error)) from None

    @property
    def _where(self) -> str:
        return f" of Prometheus {self.server_name}" if self.server_name else ""

    def _of_now(self, query: str) -> _Question:
        return _Question(query, self.now, self.now)

    def _over(self, query: str, span: timedelta, step: timedelta) -> _Question:
        return _Question(query, self.now - int(span / step) * step, self.now, step)

    async def _now(self, query: str) -> QueryAnswer:
        return await self._answer(self._of_now(query))

    async def _answer(self, question: _Question) -> QueryAnswer:
        query = question.query
        self.query_log.setdefault(query, "no answer")
        answer = await self._begun(question)
        self.query_log[query] = in_short(answer)
        return answer

    def _begun(self, question: _Question) -> asyncio.Task[QueryAnswer]:
        asked = self.asked.get(question)
        if asked is None:
            asked = self.asked[question] = asyncio.create_task(self._ask(question))
            asked.add_done_callback(partial(self._keep, question))
        return asked

    async def _ask(self, question: _Question) -> QueryAnswer:
        query, start, end, step = question
        if step is None:
            return await self._told(query, self.metrics.instant(query, end))
        return await self._told(query, self.metrics.series(query, start, end, step))

    def _keep(self, question: _Question, asked: asyncio.Task[QueryAnswer]) -> None:
        """An answer is kept, a failure is not."""
        if asked.cancelled() or asked.exception() is not None:
            del self.asked[question]

    async def _told(self, asked: str, answer: Awaitable[_Told]) -> _Told:
        try:
            return await answer
        except TimeoutError:
            raise Unmeasurable(
                "query_error", "deadline_exceeded", f"no answer in time{self._where} to {asked}"
            ) from None
        except Temporary as error:
            raise Unmeasurable("no_data", "prometheus_unreachable", str(error)) from None
        except Permanent as error:
            raise Unmeasurable("query_error", "query_rejected", str(error)) from None


async def outage(metrics: Metrics, now: datetime, share: float, own: str = "") -> str:
    """Why the monitoring as a whole is not to be believed; empty if it is.

    That is the case when it does not answer, or when at least that share of all its targets is
    down: then the dashboards are dark, and what they show is not the service. `own` selects the
    `up` of the failing service's targets: those of them that are down count neither way, and with
    fewer than LEAST_OTHERS left to judge by the monitoring is not believed.
    """
    asked = ["count(up == 0) or vector(0)", "count(up)"]
    if own:
        asked = [
            f"count((up == 0) unless {own}) or vector(0)",
            f"count(up unless ({own} == 0))",
            f"count({own} == 0)",
        ]
    try:
        answers = await asyncio.gather(*(metrics.instant(query, now) for query in asked))
        count, total, left_out = [*(one_number(answer) or 0.0 for answer in answers), 0.0][:3]
    except (Temporary, Permanent, Unmeasurable, TimeoutError) as error:
        return f"Prometheus does not say which of its targets are up: {error}"
    if left_out and total < LEAST_OTHERS:
        return (
            f"{left_out:.0f} of the service's own scrape targets are down, and beside them there "
            f"are {total:.0f}: too few to tell that from an outage of the monitoring "
            f"({LEAST_OTHERS} are enough)"
        )
    if not total or count / total < share:
        return ""
    beside = " beside the service's own" if left_out else ""
    return f"{count:.0f} of {total:.0f} scrape targets{beside} are down"


async def alerting(metrics: Metrics, now: datetime, window: timedelta, service: str) -> int:
    """How many services (told apart by the label `service`) began to alert within the window.

    Prometheus knows before Alertmanager tells: in a storm the first notification must not be
    acted on as if it were alone. 0 if nobody can say.
    """
    alerts = 'ALERTS{alertstate=~"pending|firing"}'
    before = f"{alerts} offset {format_duration(window)}"
    label = label_text(service)
    query = f"count(count by ({label}) ({alerts} unless on (alertname, {label}) {before}))"
    try:
        return int(one_number(await metrics.instant(query, now)) or 0)
    except (Temporary, Permanent, Unmeasurable, TimeoutError):
        return 0  # what the store knows still counts


def in_short(answer: QueryAnswer) -> str:
    """An answer as one line of evidence."""
    if not answer.series:
        return "empty"
    first = answer.series[0]
    summary = number_text(first.samples[-1][1]) if first.samples else "no sample"
    if len(first.samples) > 1:
        summary += f" (last of {len(first.samples)} samples)"
    if len(answer.series) > 1:
        summary += f", and {len(answer.series) - 1} more series"
    return f"{summary}, with warnings" if answer.warnings else summary
