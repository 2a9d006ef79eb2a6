"""The history scrape by scrape, and the look further back, over a drawn Prometheus."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from daemon.core.measurement.samples import QueryAnswer, Series
from daemon.core.ports.metrics import Metrics
from daemon.core.values.outcome import Permanent, Temporary
from daemon.measuring.diagnose import weigh_changes
from daemon.measuring.history import counts_history, scrape_clock, value_history
from daemon.measuring.look_back import look_back
from daemon.measuring.queries import Survey
from tests.core.build import (
    MINUTE,
    NOW,
    SECOND,
    ago,
    counts_spec,
    make_change,
    make_problem,
    make_rule,
    value_spec,
)
from tests.worlds.parts import no_deployment, nothing, recurring, step
from tests.worlds.prometheus import DrawnPrometheus
from tests.worlds.world import EPOCH, Draw, World, draw

SPEC = counts_spec()
LATENCY = value_spec()
STEP = World("step", "refrain", step(0.2, 0.2), no_deployment)


def survey(metrics: Metrics, after: float = 120.0, *, value: bool = False) -> Survey:
    """So many seconds after the onset."""
    now = NOW + timedelta(seconds=after)
    spec = LATENCY if value else SPEC
    return Survey(metrics, spec, {"service": "checkout"}, now, MINUTE)


class Spoilt:
    """Prometheus of which some queries go wrong."""

    def __init__(
        self, behind: Metrics, fails: Callable[[str], bool], trouble: Exception | None = None
    ) -> None:
        self.behind, self.fails, self.trouble = behind, fails, trouble
        self.asked: list[str] = []

    def _spoil(self, query: str, answer: QueryAnswer) -> QueryAnswer:
        self.asked.append(query)
        if not self.fails(query):
            return answer
        if self.trouble is not None:
            raise self.trouble
        return replace(answer, warnings=("a shard is away",))

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        return self._spoil(query, await self.behind.instant(query, at))

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        return self._spoil(query, await self.behind.series(query, start, end, step))


def happened(known: Draw, begin: float, end: float) -> tuple[int, int]:
    """(bad, total) of the scrapes in (begin, end]."""
    inside = [s for s in known.scrapes if begin + 1e-6 < s.at <= end + 1e-6]
    return sum(s.bad for s in inside), sum(s.total for s in inside)


@pytest.mark.parametrize("scrape", [5.0, 10.0, 15.0, 30.0, 60.0])
async def test_each_bin_holds_exactly_what_happened_between_its_scrapes(scrape: float) -> None:
    known = draw(replace(STEP, scrape=scrape), 1, 0)
    found = await counts_history(survey(DrawnPrometheus(known)))
    assert len(found) == pytest.approx(2700 / scrape, abs=1)
    for current in found:
        assert current.begin is not None
        assert current.end - current.begin == scrape
        bad, total = happened(known, current.begin, current.end)
        assert current.total == pytest.approx(total, abs=1e-6)
        assert current.bad == pytest.approx(bad, abs=1e-6)
    newest = max(s.at for s in known.scrapes if s.at <= EPOCH + 120)
    assert found[-1].end == pytest.approx(newest, abs=1e-3)


class Aligned:
    """A server, or what stands before it, that moves a range to multiples of its step, as Thanos'
    query-frontend does and Mimir's can."""

    def __init__(self, behind: Metrics) -> None:
        self.behind = behind
        self.instant = behind.instant

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        start, end = (
            datetime.fromtimestamp(
                at.timestamp() // step.total_seconds() * step.total_seconds(), UTC
            )
            for at in (start, end)
        )
        return await self.behind.series(query, start, end, step)


@pytest.mark.parametrize("scrape", [5.0, 10.0, 30.0])
async def test_a_range_that_is_moved_is_dated_by_where_it_was_evaluated(scrape: float) -> None:
    known = draw(replace(STEP, scrape=scrape), 1, 0)
    found = await counts_history(survey(Aligned(DrawnPrometheus(known))))
    assert len(found) == pytest.approx(2700 / scrape, abs=2)
    for current in found:
        assert current.begin is not None
        bad, total = happened(known, current.begin, current.end)
        assert current.total == pytest.approx(total, abs=1e-6)
        assert current.bad == pytest.approx(bad, abs=1e-6)


async def test_scrapes_closer_than_what_tells_are_put_together() -> None:
    known = draw(replace(STEP, scrape=2.0), 1, 0)
    found = await counts_history(survey(DrawnPrometheus(known)))
    assert {round(b.end - (b.begin or 0), 6) for b in found} == {6.0}


async def test_lost_scrapes_leave_out_bins_and_no_others() -> None:
    known = draw(replace(STEP, lost=0.1), 1, 0)
    found = await counts_history(survey(DrawnPrometheus(known)))
    up = {s.at for s in known.scrapes if s.up}
    assert 100 < len(found) < 170
    for current in found:
        assert current.begin is not None
        assert {current.begin, current.end} <= up
        assert current.total == pytest.approx(happened(known, current.begin, current.end)[1])


async def test_a_gap_is_seen_as_one() -> None:
    known = draw(replace(STEP, gap=lambda _: (-600.0, -300.0)), 1, 0)
    found = await counts_history(survey(DrawnPrometheus(known)))
    ends = [b.end - EPOCH for b in found]
    assert not [end for end in ends if -600 < end < -285]
    assert min(ends) < -2500
    clock = await scrape_clock(survey(DrawnPrometheus(known)))
    assert clock is not None
    assert clock.interval == 15


async def test_values_are_dated_to_their_scrapes() -> None:
    world = replace(STEP, kind="value", usual=0.2, shape=step(4.0, 4.0))
    known = draw(world, 1, 0)
    found = await value_history(survey(DrawnPrometheus(known), value=True))
    scraped = dict(zip(known.latency.at, known.latency.values, strict=True))
    assert len(found) == 181
    assert [scraped[at] for at, _ in found] == [value for _, value in found]


@pytest.mark.parametrize(
    "trouble", [None, Temporary("down"), Permanent("unknown function"), TimeoutError("slow")]
)
async def test_where_scrapes_are_not_told_windows_overlap(trouble: Exception | None) -> None:
    known = DrawnPrometheus(draw(STEP, 1, 0))
    spoilt = Spoilt(known, lambda query: "count_over_time" in query, trouble)
    assert await scrape_clock(survey(spoilt)) is None
    found = await counts_history(survey(spoilt))
    assert len(found) == 181
    assert {b.begin for b in found} == {None}
    assert [b.end - a.end for a, b in pairwise(found)] == [15.0] * 180
    assert len(await value_history(survey(spoilt, value=True))) == 181


class Unanswered:
    """Prometheus without a single series."""

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        return QueryAnswer(query, [])

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        return QueryAnswer(query, [])


async def test_without_samples_there_is_no_clock_and_no_history() -> None:
    assert await scrape_clock(survey(Unanswered())) is None
    assert await counts_history(survey(Unanswered())) == []
    assert await value_history(survey(Unanswered(), value=True)) == []


# ── looking further back ─────────────────────────────────────────────────────────────────────

BEGAN = ago(0)
PROBLEM = make_problem(
    loss=0.03, baseline=0.998, onset_quantiles=(BEGAN, BEGAN, BEGAN + 10 * SECOND)
)
AGAIN = World("again", "refrain", recurring(0.03, 0.03, 120, 480), no_deployment, history=4)


async def test_trouble_that_comes_back_has_precedents() -> None:
    known = DrawnPrometheus(draw(AGAIN, 1, 0))
    asked = survey(known)
    back = await look_back(asked, PROBLEM)
    found = back.precedents
    assert back.complete
    assert 20 <= len(found) <= 31
    assert all(p.end < BEGAN for p in found)
    assert asked.query_log == {}, "a look back is no part of the record of the measurement"


async def test_a_quiet_day_has_none() -> None:
    quiet = World("quiet", "refrain", nothing, no_deployment, history=4)
    back = await look_back(survey(DrawnPrometheus(draw(quiet, 1, 0))), PROBLEM)
    assert (back.precedents, back.complete) == ((), True)


@pytest.mark.parametrize("trouble", [None, Temporary("down"), Permanent("too many samples")])
async def test_what_cannot_be_looked_back_at_has_no_precedent(trouble: Exception | None) -> None:
    spoilt = Spoilt(DrawnPrometheus(draw(AGAIN, 1, 0)), lambda _: True, trouble)
    back = await look_back(survey(spoilt), PROBLEM)
    assert (back.precedents, back.complete) == ((), False)


async def test_a_day_that_cannot_be_had_is_looked_at_less_far() -> None:
    class Bounded(DrawnPrometheus):
        async def series(
            self, query: str, start: datetime, end: datetime, step: timedelta
        ) -> QueryAnswer:
            if end - start > timedelta(hours=4):
                raise Permanent("query processing would load too many samples")
            return await super().series(query, start, end, step)

    back = await look_back(survey(Bounded(draw(AGAIN, 1, 0))), PROBLEM)
    assert len(back.precedents) >= 15
    assert not back.complete


class Slow:
    """A latency that doubles for ten minutes from each of these moments on; it tells what it was
    asked for."""

    def __init__(self, *begins: timedelta) -> None:
        self.begins = begins
        self.asked: list[tuple[datetime, datetime, timedelta]] = []

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        raise AssertionError(query)

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        self.asked.append((start, end, step))
        moments = [start + n * step for n in range(int((end - start) / step) + 1)]
        slow = [
            any(timedelta(0) <= at - (NOW - b) < 10 * MINUTE for b in self.begins) for at in moments
        ]
        chance = random.Random(0)  # noqa: S311 - a simulation
        values = [(0.4 if s else 0.2) * chance.uniform(0.98, 1.02) for s in slow]
        samples = [(at.timestamp(), value) for at, value in zip(moments, values, strict=True)]
        return QueryAnswer(query, [Series({}, samples)])


@pytest.mark.parametrize(
    ("ago_", "found"),
    [
        (timedelta(hours=3), True),
        (timedelta(hours=23), True),
        (timedelta(hours=30), False),
        (timedelta(days=7), True),
        (timedelta(days=7, hours=-0.8), True),
        (timedelta(days=7, hours=3), False),
    ],
)
async def test_it_looks_at_the_day_and_at_the_same_time_a_week_ago(
    ago_: timedelta, found: bool
) -> None:
    slow = make_problem(kind="value", loss=1.0, baseline=0.2, onset_quantiles=(BEGAN,) * 3)
    known = Slow(ago_)
    precedents = (await look_back(survey(known, value=True), slow)).precedents
    assert bool(precedents) == found
    if found:
        assert abs(precedents[0].begin - (NOW - ago_)) <= MINUTE
    assert {step for _, _, step in known.asked} == {MINUTE}
    assert sum((end - start) / step for start, end, step in known.asked) <= 24 * 60 + 120


async def test_a_look_back_that_fails_lifts_no_doubt() -> None:
    known = DrawnPrometheus(draw(AGAIN, 1, 0))
    changes = [make_change("v2", BEGAN - 20 * SECOND, "v1")]
    problem = PROBLEM.model_copy(
        update={"onset": BEGAN + 5 * SECOND, "onset_within": 5 * SECOND, "verdict": "confirmed"}
    )
    rule = make_rule()
    first = await weigh_changes(survey(known), rule, changes, problem)
    assert first.doubt == "seen_before"
    broken = Spoilt(known, lambda _: True, Temporary("down"))
    again = await weigh_changes(survey(broken), rule, changes, problem, "", first)
    assert again.doubt == "seen_before"
    other = [make_change("v3", BEGAN - 10 * SECOND, "v2")]
    fresh = await weigh_changes(survey(broken), rule, other, problem, "", first)
    assert fresh.doubt == ""


async def test_a_baseline_of_too_many_scrapes_is_seen_by_windows() -> None:
    known = DrawnPrometheus(draw(STEP, 1, 0))
    assert await scrape_clock(survey(known)) is not None
    day = survey(known)
    day.spec = counts_spec(baseline="1d")
    assert await scrape_clock(day) is None
