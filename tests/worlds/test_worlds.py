"""The bench itself: its worlds hold what they say, and its yardsticks and figures are right."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import correlation

import pytest
from rich.console import Console

from daemon.core.changes.suspects import Change
from tests.core.build import NOW, SECOND, TARGET
from tests.worlds.bench import WIDTH, run_world
from tests.worlds.catalogue import GUILTY, HICCUP, LATE, WORLDS
from tests.worlds.daemon_chain import daemon_decides
from tests.worlds.outcome import Decided, is_right, verdict
from tests.worlds.parts import before, both, elsewhere, no_deployment, nothing, season, step
from tests.worlds.prometheus import DrawnPrometheus, increase
from tests.worlds.summary import Result, Tally, per_world, short_of_aim, with_interval
from tests.worlds.world import EPOCH, OTHER, Deployment, Draw, Noise, Samples, World, draw
from tests.worlds.yardsticks import sequential_decides, threshold_decides

PERFECT = World("perfect step", "act", step(0.3, 0.3), GUILTY)
EMPTY = World("nothing deployed", "refrain", step(0.3, 0.3), no_deployment)
QUIET = World("nothing happens", "refrain", nothing, GUILTY, alert=60)
LATENCY = World("latency", "act", step(4, 4), GUILTY, "value", usual=0.2, noise=Noise(0.1))


def share_of_failures(drawn: Draw, begin: float, end: float) -> float:
    """Between two moments, in seconds from the onset."""
    counted = [s for s in drawn.scrapes if EPOCH + begin < s.at <= EPOCH + end]
    return sum(s.bad for s in counted) / sum(s.total for s in counted)


def at(seconds: float) -> datetime:
    return NOW + seconds * SECOND


# ── what is drawn ────────────────────────────────────────────────────────────────────────────


def test_the_loss_is_in_the_samples_from_the_onset_on() -> None:
    drawn = draw(PERFECT, 1, 0)
    assert share_of_failures(drawn, -1800, -15) == pytest.approx(0.002, abs=0.001)
    assert share_of_failures(drawn, 15, 600) == pytest.approx(0.302, abs=0.01)


def test_the_scrape_that_holds_the_onset_shows_its_part_of_the_loss() -> None:
    drawn = draw(PERFECT, 1, 0)
    holder = next(s for s in drawn.scrapes if s.at > EPOCH)
    part = (holder.at - EPOCH) / drawn.world.scrape
    assert holder.bad / holder.total == pytest.approx(0.002 + 0.3 * part, abs=0.06)


def test_the_counters_hold_what_was_counted() -> None:
    drawn = draw(PERFECT, 1, 0)
    assert drawn.requests.values[-1] == sum(s.total for s in drawn.scrapes)
    assert drawn.errors.values[-1] == sum(s.bad for s in drawn.scrapes)
    assert all(b >= a for a, b in pairwise(drawn.requests.values))


@pytest.mark.parametrize("world", [PERFECT, LATENCY])
def test_the_same_seed_draws_the_same(world: World) -> None:
    assert draw(world, 1, 3) == draw(world, 1, 3)
    assert draw(world, 1, 3) != draw(world, 2, 3)
    assert draw(world, 1, 3) != draw(world, 1, 4)


def test_every_world_has_a_name_of_its_own() -> None:
    assert len({world.name for world in WORLDS}) == len(WORLDS)


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_to_act_is_right_only_where_a_known_deployment_of_the_service_is_guilty(
    world: World,
) -> None:
    drawn = draw(World(**{**vars(world), "history": 0.5}), 1, 0)
    if world.right != "act":
        return
    assert drawn.alert_at is not None
    assert drawn.guilty is not None
    assert drawn.guilty.subject == TARGET
    assert drawn.guilty.at <= NOW
    assert drawn.guilty in drawn.known(drawn.observed_until)


def test_the_guilty_deployment_lies_as_long_before_the_onset_as_the_world_says() -> None:
    for number in range(20):
        guilty = draw(PERFECT, 1, number).guilty
        assert guilty is not None
        assert timedelta(seconds=18) <= NOW - guilty.at <= timedelta(seconds=22)


def test_an_innocent_deployment_is_nobodys_guilt() -> None:
    drawn = draw(World("late", "refrain", step(0.3, 0.3), LATE), 1, 0)
    assert drawn.guilty is None
    newest = drawn.known(math.inf)[-1]
    assert timedelta(seconds=10) <= newest.at - NOW <= timedelta(seconds=25)


def test_a_late_report_is_known_only_after_the_alert() -> None:
    late = World(
        "reported late",
        "act",
        step(0.3, 0.3),
        lambda _: [Deployment(-20, guilty=True, after_alert=15)],
    )
    drawn = draw(late, 1, 0)
    assert drawn.alert_at is not None
    assert drawn.guilty not in drawn.known(drawn.alert_at + 14)
    assert drawn.guilty in drawn.known(drawn.alert_at + 16)


def test_each_deployment_replaces_what_its_own_service_ran() -> None:
    two = World("two", "ask", nothing, both(GUILTY, elsewhere(before(60, guilty=False))))
    changes = draw(two, 1, 0).known(math.inf)[2:]
    told = [(c.subject, c.previous, c.item) for c in changes]
    assert told == [(OTHER, "c1", "c2"), (TARGET, "v1", "v3")]


def test_no_scrape_succeeds_within_a_gap() -> None:
    gap = World("gap", "act", step(0.3, 0.3), GUILTY, gap=lambda _: (-300.0, 120.0))
    drawn = draw(gap, 1, 0)
    assert not [t for t in drawn.requests.at if EPOCH - 300 < t < EPOCH + 120]
    assert [t for t in drawn.requests.at if EPOCH - 330 < t < EPOCH + 150]


def test_the_series_of_failures_is_born_by_the_first_one() -> None:
    unborn = World("unborn", "act", step(0.3, 0.3), GUILTY, usual=0.0)
    drawn = draw(unborn, 1, 0)
    assert drawn.errors.at[0] > EPOCH > drawn.requests.at[0]
    assert drawn.errors.values[0] > 0


def test_a_restart_begins_the_counters_anew() -> None:
    restarted = World("restarted", "act", step(0.3, 0.3), GUILTY, resets=True)
    drawn = draw(restarted, 1, 0)
    falls = [
        t
        for (_, a), (t, b) in pairwise(zip(drawn.requests.at, drawn.requests.values, strict=True))
        if b < a
    ]
    assert drawn.guilty is not None
    assert len(falls) == 1
    assert 0 <= falls[0] - drawn.guilty.at.timestamp() <= 15


@pytest.mark.parametrize(("memory", "least", "most"), [(0.0, -0.15, 0.15), (0.9, 0.8, 1.0)])
def test_noise_remembers_as_much_as_it_should(memory: float, least: float, most: float) -> None:
    world = World("noisy", "refrain", nothing, GUILTY, "value", usual=0.2, noise=Noise(0.3, memory))
    logs = [math.log(s.latency) for s in draw(world, 1, 0).scrapes]
    assert least <= correlation(logs[:-1], logs[1:]) <= most


def test_a_season_peaks_once_a_day() -> None:
    level = season(0.04, 0.04, 3600)(random.Random(1))  # noqa: S311 - a simulation
    assert level(3600) == level(3600 - 86400) == pytest.approx(0.04)
    assert level(3600 + 43200) == pytest.approx(0)
    assert level(3600 + 21600) == pytest.approx(0.02)


# ── Prometheus's answers ─────────────────────────────────────────────────────────────────────


def counter(*values: float, first: float = 0.0, every: float = 15.0) -> Samples:
    return Samples([first + every * n for n in range(len(values))], list(values))


def test_an_increase_is_extrapolated_to_the_edges_of_its_window() -> None:
    # Four samples span 45 s of the minute; 7.5 s at either edge are nearer than the next sample.
    assert increase(counter(100, 115, 130, 145), 52.5, 60) == pytest.approx(60)


def test_an_increase_is_not_extrapolated_far_beyond_its_samples() -> None:
    # It begins and ends within the window: half the distance of two samples is added to each.
    assert increase(counter(1000, 1015, 1030, 1045), 100, 120) == pytest.approx(45 + 7.5 + 7.5)


def test_no_counter_is_extrapolated_below_zero() -> None:
    assert increase(counter(0, 15, 30, 45), 52.5, 60) == pytest.approx(45 + 7.5)


def test_an_increase_sees_through_a_reset() -> None:
    assert increase(counter(100, 110, 5, 15), 45, 46) == pytest.approx(10 + 5 + 10, rel=0.1)


def test_an_increase_needs_two_samples() -> None:
    assert increase(counter(7), 15, 60) is None
    # A window does not hold its own beginning.
    assert increase(counter(7, 8), 15, 15) is None


async def test_the_window_shows_the_loss_and_nothing_of_the_future() -> None:
    metrics = DrawnPrometheus(draw(PERFECT, 1, 0))

    async def share(end: datetime) -> float:
        counts = []
        for name in ("errors", "requests"):
            query = f'sum(increase({name}{{service="checkout"}}[1m]))'
            counts.append((await metrics.instant(query, end)).series[0].samples[0][1])
        return counts[0] / counts[1]

    assert await share(at(0)) == pytest.approx(0.002, abs=0.003)
    assert await share(at(30)) == pytest.approx(0.15, abs=0.08)
    assert await share(at(90)) == pytest.approx(0.302, abs=0.03)


async def test_a_failed_scrape_marks_the_series_as_stale() -> None:
    gap = World("gap", "refrain", nothing, GUILTY, "value", usual=0.2, gap=lambda _: (-60, 60))
    metrics = DrawnPrometheus(draw(gap, 1, 0))
    query = 'max(latency{service="checkout"})'
    assert (await metrics.instant(query, at(-70))).series
    assert not (await metrics.instant(query, at(0))).series
    answer = await metrics.series(query, at(-120), at(120), 15 * SECOND)
    assert 8 <= len(answer.series[0].samples) <= 10


async def test_an_unknown_query_is_no_empty_answer() -> None:
    with pytest.raises(NotImplementedError, match="does not know the query"):
        await DrawnPrometheus(draw(PERFECT, 1, 0)).instant("rate(x[1m])", NOW)


# ── who decides ──────────────────────────────────────────────────────────────────────────────

METHODS = [daemon_decides, threshold_decides, sequential_decides]


@pytest.mark.parametrize("decides", METHODS)
@pytest.mark.parametrize("number", range(3))
def test_a_perfect_guilty_step_is_acted_on(decides: Callable[[Draw], Decided], number: int) -> None:
    drawn = draw(PERFECT, 1, number)
    decided = decides(drawn)
    assert verdict(drawn, decided) == "acted rightly"
    assert decided.at is not None
    assert 0 < decided.at - EPOCH < 120


@pytest.mark.parametrize("decides", METHODS)
def test_without_a_deployment_a_person_is_asked(decides: Callable[[Draw], Decided]) -> None:
    assert decides(draw(EMPTY, 1, 0)).kind == "ask"


@pytest.mark.parametrize("decides", METHODS)
def test_where_nothing_happens_nothing_is_done(decides: Callable[[Draw], Decided]) -> None:
    assert decides(draw(QUIET, 1, 0)).kind == "wait"


@pytest.mark.parametrize("decides", [daemon_decides, sequential_decides])
def test_a_latency_is_decided_upon_too(decides: Callable[[Draw], Decided]) -> None:
    drawn = draw(LATENCY, 1, 0)
    assert verdict(drawn, decides(drawn)) == "acted rightly"


def test_the_threshold_blames_whatever_is_newest() -> None:
    drawn = draw(World("late", "refrain", step(0.3, 0.3), LATE), 1, 0)
    assert verdict(drawn, threshold_decides(drawn)) == "acted wrongly"


def test_the_sequential_test_raises_few_false_alarms() -> None:
    alarms = sum(
        sequential_decides(draw(World("quiet", "refrain", nothing, GUILTY), 1, n)).kind != "wait"
        for n in range(20)
    )
    assert alarms <= 1


# ── what it adds up to ───────────────────────────────────────────────────────────────────────


def changed(item: str) -> Change:
    return Change(subject=TARGET, item=item, at=NOW, seen_by="x")


def test_to_act_on_another_deployment_than_the_guilty_one_is_wrong() -> None:
    drawn = draw(PERFECT, 1, 0)
    for decided in (Decided("act", EPOCH, changed("v9")), Decided("act", EPOCH, None)):
        assert verdict(drawn, decided) == "acted wrongly"
        assert not is_right(drawn, decided)
    assert not is_right(drawn, Decided("ask", EPOCH))


def test_to_act_is_wrong_where_it_is_over_even_on_the_guilty_one() -> None:
    over = World("over", "refrain", HICCUP, GUILTY, alert=95)
    drawn = draw(over, 1, 0)
    assert verdict(drawn, Decided("act", EPOCH, drawn.guilty)) == "acted wrongly"
    assert is_right(drawn, Decided("ask", EPOCH))
    assert is_right(drawn, Decided("wait"))


def test_to_wait_is_not_to_ask() -> None:
    asks = draw(World("asks", "ask", step(0.3, 0.3), GUILTY), 1, 0)
    assert is_right(asks, Decided("ask", EPOCH))
    assert not is_right(asks, Decided("wait"))


def test_a_share_is_told_with_its_wilson_interval() -> None:
    assert with_interval(0, 50) == "0.0 % (0.0 to 7.1)"
    assert with_interval(5, 50) == "10.0 % (4.3 to 21.4)"


def result(told: str, right: bool, seconds: float | None, why: str = "") -> Result:
    return Result(PERFECT.name, "daemon", told, right, seconds, why)  # type: ignore[arg-type]


def test_a_tally_counts_what_was_wrong_right_and_how_long_it_took() -> None:
    found = Tally(
        [
            result("acted rightly", True, 60.0),
            result("acted wrongly", False, 20.0),
            result("asked", False, 100.0, "no_suspect_change"),
            result("waited", False, None),
        ]
    )
    assert (found.count, found.right, found.wrong, found.seconds) == (4, 1, 1, 60.0)
    assert ("asked no_suspect_change", 1) in found.reasons


def test_a_world_is_short_of_the_aim_by_one_wrong_action_or_too_few_right_ones() -> None:
    good = [result("acted rightly", True, 60.0)] * 19
    missed = result("asked", False, 60.0, "late")
    assert short_of_aim([*good, missed], [PERFECT]) == []
    assert short_of_aim([*good[1:], missed, missed], [PERFECT]) == [
        "perfect step (act): 2 asked late"
    ]
    wrong = result("acted wrongly", False, 60.0)
    assert short_of_aim([*good, wrong], [PERFECT]) == ["perfect step (act): 1 acted wrongly"]


def test_the_table_has_a_whole_line_for_each_world() -> None:
    results = [
        Result(world.name, method, "acted rightly", True, 60.0, "")
        for world in WORLDS
        for method in ("daemon", "threshold", "sequential")
        for _ in range(50)
    ]
    console = Console(width=WIDTH, record=True, file=io.StringIO())
    console.print(per_world(results, WORLDS))
    text = console.export_text()
    assert "…" not in text
    for world in WORLDS:
        line = next(line for line in text.splitlines() if line.startswith(f"| {world.name} "))
        assert "| 50 | 0.0 % (0.0 to 7.1) | 100.0 % (92.9 to 100.0) |" in " ".join(line.split())


def test_a_run_gives_every_method_the_same_draws_and_repeats_itself() -> None:
    first = run_world(1, 7, 2)
    assert first == run_world(1, 7, 2)
    assert [r.method for r in first] == ["daemon", "threshold", "sequential"] * 2
