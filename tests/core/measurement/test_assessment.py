"""Measurements become problems: every verdict with its reason, its numbers, and its sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.measurement.assessment import (
    assess_counts,
    assess_value,
    severity_of,
    unmeasured,
)
from daemon.core.measurement.problem import Problem, ProblemReason, ProblemVerdict
from daemon.core.measurement.query_result import (
    Unmeasurable,
    bins,
    counts,
    disjoint,
    finite_samples,
    newest_sample,
    one_number,
)
from daemon.core.measurement.samples import QueryAnswer, Series
from daemon.core.values.significance import Bin
from tests.core.build import (
    MINUTE,
    NOW,
    SECOND,
    ago,
    answer,
    assessed,
    assessed_value,
    counts_spec,
    make_change,
    make_problem,
    samples,
    simulate,
    steady,
    value_spec,
)

NAN, INF = math.nan, math.inf
SPEC = counts_spec()
WIDTH, LONG = SPEC.windows


def unmeasurable(call: Any) -> tuple[ProblemVerdict, ProblemReason, str]:
    with pytest.raises(Unmeasurable) as caught:
        call()
    return caught.value.verdict, caught.value.reason, caught.value.text


def ranged(*values: float, every: float = 15.0, query: str = "q") -> QueryAnswer:
    start = NOW.timestamp() - every * (len(values) - 1)
    return QueryAnswer(query, [Series({}, [(start + every * n, v) for n, v in enumerate(values)])])


# ── what an answer is worth ──────────────────────────────────────────────────────────────────


def test_one_finite_value_is_a_number() -> None:
    assert one_number(answer(4.5)) == 4.5
    assert one_number(answer(0.0)) == 0.0


def test_an_empty_answer_is_no_number() -> None:
    assert one_number(answer()) is None
    assert one_number(QueryAnswer("q", [Series({}, [])])) is None
    assert finite_samples(answer()) == []


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_nan_and_infinity_are_no_numbers(value: float) -> None:
    verdict, reason, text = unmeasurable(lambda: one_number(answer(value, query="rate(x)")))
    assert (verdict, reason) == ("query_error", "not_a_number")
    assert "rate(x)" in text


@pytest.mark.parametrize("read", [one_number, finite_samples])
def test_several_series_are_a_mistake_of_the_query(read: Any) -> None:
    verdict, reason, text = unmeasurable(lambda: read(answer(1, 2, 3)))
    assert (verdict, reason) == ("query_error", "several_series")
    assert "3 series; aggregate it" in text


@pytest.mark.parametrize("read", [one_number, finite_samples])
@pytest.mark.parametrize("values", [(), (1.0,), (1.0, 2.0)])
def test_a_warning_makes_an_answer_partial_whatever_it_holds(
    read: Any, values: Sequence[float]
) -> None:
    partial = answer(*values, warnings=["store gateway is down"])
    verdict, reason, text = unmeasurable(lambda: read(partial))
    assert (verdict, reason) == ("query_error", "partial_answer")
    assert "store gateway is down" in text


def test_a_counter_that_never_failed_counts_zero() -> None:
    assert counts(answer(), answer(50.0)) == (0.0, 50.0)
    assert counts(answer(5.0), answer()) is None
    assert counts(answer(), answer()) is None


def test_extrapolation_may_lift_bad_a_little_over_total() -> None:
    assert counts(answer(101.0), answer(100.0)) == (100.0, 100.0)


def test_bad_far_over_total_is_a_mistake_of_the_query() -> None:
    verdict, reason, text = unmeasurable(lambda: counts(answer(150.0), answer(100.0)))
    assert (verdict, reason) == ("query_error", "bad_exceeds_total")
    assert "150 of 100" in text


@pytest.mark.parametrize(("bad", "total"), [(-1.0, 5.0), (0.0, -5.0)])
def test_a_count_below_zero_is_no_number(bad: float, total: float) -> None:
    found = unmeasurable(lambda: counts(answer(bad), answer(total)))
    assert found[:2] == ("query_error", "not_a_number")


def test_a_history_has_a_bin_for_each_sample_of_total() -> None:
    found = bins(QueryAnswer("b", []), ranged(10, 20, 30))
    assert [(b.bad, b.total) for b in found] == [(0, 10), (0, 20), (0, 30)]
    assert found[-1].end == NOW.timestamp()


def test_a_history_knows_nothing_where_a_count_is_nan() -> None:
    """NaN measures nothing; it is not zero failures."""
    found = bins(ranged(1, NAN, 3, INF), ranged(10, 20, NAN, 40))
    assert [(b.bad, b.total) for b in found] == [(1, 10)]


def test_disjoint_bins_share_no_event_and_keep_the_last() -> None:
    history = [Bin(15.0 * n, 0, 1) for n in range(10)]
    assert [b.end for b in disjoint(history, MINUTE)] == [15, 75, 135]
    assert disjoint([], MINUTE) == []


def test_the_newest_sample_is_the_newest_of_all_selectors() -> None:
    assert newest_sample({"a": answer(5.0), "b": answer(9.0), "c": answer()}) == 9
    assert newest_sample({"a": answer()}) is None


# ── counts ───────────────────────────────────────────────────────────────────────────────────


def exact(*shares: tuple[float, float], per_minute: float = 600, **spec: Any) -> Problem:
    """The assessment of traffic without chance."""
    made = counts_spec(**spec)
    seen = steady(made, per_minute, *shares)
    return assess_counts(made, seen.windows, seen.history, NOW)


def test_a_clear_loss_is_confirmed_with_its_numbers() -> None:
    problem = exact((99, 0.009), (7, 0.097))
    assert (problem.verdict, problem.reason) == ("confirmed", "loss_exceeds_threshold")
    assert problem.baseline == pytest.approx(0.991)
    assert problem.level == pytest.approx(0.903)
    assert problem.loss == pytest.approx(0.088)
    assert problem.failed_per_minute == pytest.approx(58.2)
    assert problem.baseline_traffic == pytest.approx(600)
    assert [w.window for w in problem.windows] == [MINUTE, 5 * MINUTE]
    for window in problem.windows:
        assert window.low is not None
        assert window.high is not None
        assert 0 < window.low < window.loss < window.high
        assert window.traffic == pytest.approx(600)
        assert window.exceeds
        assert window.significant
    assert problem.onset is not None
    assert abs(problem.onset - ago(7)) <= 15 * SECOND
    assert problem.onset_within is not None
    assert 5 * SECOND < problem.onset_within < 30 * SECOND
    assert problem.baseline_until is not None
    assert problem.baseline_from is not None
    assert problem.baseline_until <= ago(7)
    assert problem.baseline_from >= ago(46.1)
    assert problem.severity == "sev2"
    assert not problem.healthy


def test_the_statement_says_what_how_much_and_since_when() -> None:
    text = exact((99, 0.009), (7, 0.097)).text
    assert text == "success rate 99.1 % → 90.3 % since 14:03:00 UTC, 58.2 failed a minute"


def test_great_numbers_are_told_with_commas() -> None:
    assert "1,200 failed a minute" in exact((99, 0.0), (7, 0.2), per_minute=6000).text


@pytest.mark.parametrize(("share", "verdict"), [(0.0599, "not_confirmed"), (0.0601, "confirmed")])
def test_the_threshold_divides_what_is_confirmed(share: float, verdict: str) -> None:
    problem = exact(
        (99, 0.01), (7, share), per_minute=60_000, confirm={"drop": "5%", "traffic": "30/m"}
    )
    assert problem.verdict == verdict
    if verdict == "not_confirmed":
        assert problem.reason == "loss_below_threshold"
        assert problem.healthy
        assert problem.text.endswith("not enough worse than the baseline to be confirmed")


@pytest.mark.parametrize(
    ("usual", "share", "verdict"),
    [(0.0, 0.049, "not_confirmed"), (0.0, 0.051, "confirmed"), (0.04, 0.051, "confirmed")],
)
def test_so_many_must_fail_whatever_is_usual(usual: float, share: float, verdict: str) -> None:
    confirm = {"failing": "5%", "drop": "0.5%"}
    problem = exact((99, usual), (7, share), per_minute=60_000, confirm=confirm)
    assert problem.verdict == verdict
    if verdict == "not_confirmed":
        assert problem.reason == "loss_below_threshold"
        assert problem.text.endswith("less than 5.0 % fail, so it is not confirmed")


def test_every_window_must_exceed_the_threshold() -> None:
    """The short window alone may be a blip; the long one alone, a problem that is over."""
    blip = exact((99, 0.01), (0.75, 0.1))
    assert blip.windows[0].exceeds
    assert blip.verdict == "not_confirmed" or blip.windows[1].exceeds
    over = exact((99, 0.01), (5, 0.3), (1, 0.01))
    assert [w.exceeds for w in over.windows] == [False, True]
    assert over.reason == "loss_below_threshold"


def test_a_loss_that_may_be_chance_is_not_confirmed() -> None:
    problem = exact((99, 0.01), (6, 0.05), per_minute=31)
    assert (problem.verdict, problem.reason) == ("not_confirmed", "not_significant")
    assert problem.windows[0].exceeds
    assert not problem.windows[0].significant
    assert problem.text.endswith("the difference may be chance")
    assert problem.severity == ""


def test_without_any_failure_the_bad_query_is_doubted() -> None:
    problem = exact((99, 0.0))
    assert (problem.verdict, problem.reason) == ("not_confirmed", "failures_never_seen")
    assert "the `bad` query selects nothing" in problem.text
    assert problem.healthy


def test_no_total_now_is_no_data() -> None:
    seen = simulate(SPEC, 1, 600, (99, 0.01))
    for missing in SPEC.windows:
        windows = {**seen.windows, missing: None}
        verdict, reason, text = unmeasurable(
            lambda w=windows: assess_counts(SPEC, w, seen.history, NOW)
        )
        assert (verdict, reason) == ("no_data", "empty_answer")
        assert "success rate" in text


@pytest.mark.parametrize("total", [0.0, 29.0])
def test_too_little_traffic_is_insufficient(total: float) -> None:
    seen = simulate(SPEC, 1, 600, (99, 0.01))
    windows = {**seen.windows, WIDTH: (total / 2, total)}
    verdict, reason, text = unmeasurable(lambda: assess_counts(SPEC, windows, seen.history, NOW))
    assert (verdict, reason) == ("insufficient_traffic", "traffic_below_minimum")
    assert f"{total:g} events a minute; 30 are needed" in text


def test_no_traffic_is_insufficient_even_if_the_rule_asks_for_none() -> None:
    spec = counts_spec(confirm={"drop": "1%"})
    windows = {WIDTH: (0.0, 0.0), LONG: (0.0, 0.0)}
    found = unmeasurable(lambda: assess_counts(spec, windows, [], NOW))
    assert found[:2] == ("insufficient_traffic", "traffic_below_minimum")


@pytest.mark.parametrize(
    "history", [[], [Bin((NOW - n * MINUTE).timestamp(), 0, 0) for n in range(40)]]
)
def test_without_a_history_there_is_no_baseline(history: list[Bin]) -> None:
    windows = {WIDTH: (60.0, 600.0), LONG: (300.0, 3000.0)}
    verdict, reason, text = unmeasurable(lambda: assess_counts(SPEC, windows, history, NOW))
    assert (verdict, reason) == ("no_data", "no_baseline")
    assert "longer `baseline`" in text


def test_a_service_that_only_just_began_has_too_thin_a_baseline() -> None:
    seen = simulate(SPEC, 1, 600, (99, 0.3))
    history = [Bin(b.end, 0.0, 0.5) if b.end < ago(4).timestamp() else b for b in seen.history]
    found = unmeasurable(lambda: assess_counts(SPEC, seen.windows, history[::-1][::-1], NOW))
    assert found[:2] == ("insufficient_traffic", "baseline_too_thin")


def test_a_spike_that_is_over_is_not_confirmed() -> None:
    for seed in range(10):
        problem = assessed(SPEC, seed, 600, (99, 0.01), (20, 0.4), (10, 0.01))
        assert problem.verdict == "not_confirmed"
        assert problem.baseline == pytest.approx(0.99, abs=0.004)


@pytest.mark.parametrize("earlier", [0.05, 0.2, 0.8])
@pytest.mark.parametrize("seed", range(4))
def test_an_earlier_incident_moves_neither_onset_nor_baseline(earlier: float, seed: int) -> None:
    problem = assessed(SPEC, seed, 600, (99, 0.01), (30, earlier), (20, 0.01), (6, 0.1))
    assert problem.verdict == "confirmed"
    assert problem.baseline == pytest.approx(0.99, abs=0.004)
    assert problem.onset is not None
    assert problem.onset_within is not None
    assert abs(problem.onset - ago(6)) <= problem.onset_within


@pytest.mark.parametrize("onset", [6.0, 6.1, 8.37, 12.5, 40.0])
@pytest.mark.parametrize(("per_minute", "share"), [(600, 0.1), (60, 0.3), (6000, 0.03), (600, 1.0)])
def test_the_onset_lies_within_what_is_said_of_it(
    per_minute: float, share: float, onset: float
) -> None:
    errors = []
    for seed in range(12):
        problem = assessed(SPEC, seed, per_minute, (99, 0.005), (onset, share))
        assert problem.verdict == "confirmed"
        assert problem.onset is not None
        assert problem.onset_within is not None
        errors.append(abs(problem.onset - ago(onset)) / problem.onset_within)
    assert sum(error <= 1 for error in errors) >= 11
    assert max(errors) < 1.5


def test_a_faint_onset_is_said_to_be_uncertain() -> None:
    """Five failures a minute: the estimate may be minutes off, and says so."""
    within, hits = [], 0
    for seed in range(60):
        problem = assessed(SPEC, seed, 100, (99, 0.005), (8.37, 0.05))
        if problem.onset is not None and problem.onset_within is not None:
            within.append(problem.onset_within)
            hits += abs(problem.onset - ago(8.37)) <= problem.onset_within
    assert len(within) >= 55
    assert hits / len(within) >= 0.9
    assert max(within) > MINUTE


def test_a_problem_older_than_the_look_back_looks_normal() -> None:
    """A known limit: what has lasted for the whole look-back is its own baseline."""
    problem = assessed(SPEC, 1, 600, (99, 0.2))
    assert (problem.verdict, problem.reason) == ("not_confirmed", "loss_below_threshold")
    assert problem.onset is None
    assert problem.onset_within is None


def test_a_problem_that_fills_most_of_the_look_back_is_found() -> None:
    problem = assessed(SPEC, 1, 600, (99, 0.01), (42, 0.2))
    assert problem.verdict == "confirmed"
    assert problem.baseline == pytest.approx(0.99, abs=0.01)


def test_the_baseline_ends_before_a_suspect_change() -> None:
    """It may have begun to do harm before the onset could be seen."""
    change = make_change("v2", ago(12))
    problem = assessed(SPEC, 1, 600, (99, 0.01), (7, 0.1), changes=[change])
    assert problem.baseline_until == change.at
    assert problem.onset is not None
    assert problem.onset > ago(8)


def test_a_change_long_before_the_onset_does_not_cut_the_baseline() -> None:
    change = make_change("v2", ago(35))
    problem = assessed(SPEC, 1, 600, (99, 0.01), (7, 0.1), changes=[change])
    assert problem.baseline_until is not None
    assert problem.baseline_until > ago(8)


def test_pure_noise_is_confirmed_less_than_once_in_a_hundred() -> None:
    spec = counts_spec(confirm={"drop": "0.1%", "traffic": "30/m"})
    # The second is so quiet that most minutes see no failure at all.
    for rate, share in ((600.0, 0.01), (60.0, 0.005)):
        runs = 500
        found = sum(
            assessed(spec, seed, rate, (99, share)).verdict == "confirmed" for seed in range(runs)
        )
        assert found < runs / 100


def test_a_clear_drop_is_confirmed_in_all_runs() -> None:
    spec = counts_spec(baseline="20m")
    for seed in range(500):
        assert assessed(spec, seed, 200, (99, 0.01), (6, 0.2)).verdict == "confirmed"


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1e5)), min_size=1, max_size=60),
    st.tuples(st.floats(0, 1), st.floats(0, 1e5)),
    st.tuples(st.floats(0, 1), st.floats(0, 1e5)),
)
def test_any_counts_end_in_a_verdict(
    history: list[tuple[float, float]], short: tuple[float, float], long: tuple[float, float]
) -> None:
    step = WIDTH / 4
    past = [
        Bin((NOW - (len(history) - 1 - n) * step).timestamp(), share * total, total)
        for n, (share, total) in enumerate(history)
    ]
    windows = {WIDTH: (short[0] * short[1], short[1]), LONG: (long[0] * long[1], long[1])}
    try:
        problem = assess_counts(SPEC, windows, past, NOW)
    except Unmeasurable as trouble:
        problem = unmeasured(SPEC, trouble, NOW)
        assert problem.verdict in {"no_data", "insufficient_traffic"}
    assert problem.text
    if problem.verdict == "confirmed":
        assert all(w.exceeds and w.significant for w in problem.windows)
        assert problem.severity
    if problem.baseline_until is not None:
        assert problem.baseline_until < NOW


# ── values ───────────────────────────────────────────────────────────────────────────────────


def test_a_higher_latency_is_confirmed() -> None:
    problem = assessed_value(value_spec(), 1, 0.02, (99, 0.5), (7, 1.5))
    assert (problem.verdict, problem.reason) == ("confirmed", "loss_exceeds_threshold")
    assert problem.kind == "value"
    assert problem.baseline == pytest.approx(0.5, abs=0.02)
    assert problem.level == pytest.approx(1.5, abs=0.05)
    assert problem.loss == pytest.approx(2.0, abs=0.1)
    assert problem.failed_per_minute is None
    assert problem.onset is not None
    assert problem.onset_within is not None
    assert abs(problem.onset - ago(7)) <= problem.onset_within
    assert problem.text == "latency 0.5 → 1.5 since 14:02:52 UTC"


def test_a_lower_latency_is_no_problem_and_a_lower_stock_is() -> None:
    levels = ((99.0, 100.0), (7.0, 40.0))
    assert assessed_value(value_spec(), 1, 1, *levels).verdict == "not_confirmed"
    lower = value_spec(direction="higher_is_better", confirm={"rise": "50%"})
    problem = assessed_value(lower, 1, 1, *levels)
    assert problem.verdict == "confirmed"
    assert problem.loss == pytest.approx(0.6, abs=0.02)
    assert assessed_value(lower, 1, 1, (99, 100), (7, 300)).verdict == "not_confirmed"


@pytest.mark.parametrize(("level", "verdict"), [(1.45, "not_confirmed"), (1.55, "confirmed")])
def test_the_relative_rise_divides_what_is_confirmed(level: float, verdict: str) -> None:
    problem = assessed_value(value_spec(), 1, 0.001, (99, 1.0), (7, level))
    assert problem.verdict == verdict


@pytest.mark.parametrize(("level", "verdict"), [(1.15, "not_confirmed"), (1.25, "confirmed")])
def test_the_absolute_rise_divides_what_is_confirmed(level: float, verdict: str) -> None:
    spec = value_spec(confirm={"by": 0.2})
    assert assessed_value(spec, 1, 0.001, (99, 1.0), (7, level)).verdict == verdict


def test_both_rises_must_be_met_where_both_are_given() -> None:
    spec = value_spec(confirm={"by": 10, "rise": "50%"})
    assert assessed_value(spec, 1, 0.01, (99, 1.0), (7, 5.0)).reason == "loss_below_threshold"
    assert assessed_value(spec, 1, 0.01, (99, 100.0), (7, 120.0)).reason == "loss_below_threshold"
    assert assessed_value(spec, 1, 0.01, (99, 10.0), (7, 25.0)).verdict == "confirmed"


def test_a_rise_from_zero_needs_an_absolute_threshold() -> None:
    problem = assessed_value(value_spec(), 1, 0.0, (99, 0.0), (7, 50.0))
    assert (problem.verdict, problem.reason) == ("not_confirmed", "baseline_zero")
    assert "add `by:`" in problem.text
    assert not problem.healthy


@pytest.mark.parametrize("confirm", [{"by": 10}, {"by": 10, "rise": "50%"}])
def test_a_rise_from_zero_is_measured_in_the_metrics_own_unit(confirm: dict[str, Any]) -> None:
    problem = assessed_value(value_spec(confirm=confirm), 1, 0.0, (99, 0.0), (7, 50.0))
    assert problem.verdict == "confirmed"
    assert problem.loss == 50.0
    assert assessed_value(value_spec(confirm=confirm), 1, 0.0, (99, 0.0), (7, 9.0)).verdict == (
        "not_confirmed"
    )


def test_a_rise_of_a_negative_value_is_relative_to_its_size() -> None:
    problem = assessed_value(value_spec(), 1, 0.1, (99, -10.0), (7, -2.0))
    assert problem.verdict == "confirmed"
    assert problem.loss == pytest.approx(0.8, abs=0.05)


def test_few_samples_may_be_chance() -> None:
    spec = value_spec()
    windows, history = samples(spec, 1, 0.01, (99, 1.0), (7, 3.0))
    problem = assess_value(spec, {**windows, WIDTH: [3.0]}, {}, history[-48:], NOW)
    assert (problem.verdict, problem.reason) == ("not_confirmed", "not_significant")


def test_an_empty_window_of_values_is_no_data() -> None:
    spec = value_spec()
    windows, history = samples(spec, 1, 0.01, (99, 1.0))
    found = unmeasurable(lambda: assess_value(spec, {**windows, WIDTH: []}, {}, history, NOW))
    assert found[:2] == ("no_data", "empty_answer")


def test_few_values_before_are_no_baseline() -> None:
    spec = value_spec()
    windows, history = samples(spec, 1, 0.01, (99, 1.0))
    for past in ([], history[-4:]):
        found = unmeasurable(lambda p=past: assess_value(spec, windows, {}, p, NOW))
        assert found[:2] == ("no_data", "no_baseline")


def test_traffic_behind_a_value_is_asked_for_where_the_rule_counts_it() -> None:
    spec = value_spec(total="sum(increase(n[$window]))", confirm={"rise": "50%", "traffic": "60/m"})
    windows, history = samples(spec, 1, 0.01, (99, 1.0), (7, 3.0))
    enough = assess_value(spec, windows, {WIDTH: 61.0, LONG: 61.0}, history, NOW)
    assert enough.verdict == "confirmed"
    assert [w.traffic for w in enough.windows] == [61.0, 61.0]
    for traffic, reason in ((59.0, "traffic_below_minimum"), (None, "empty_answer")):
        found = unmeasurable(
            lambda t=traffic: assess_value(spec, windows, {WIDTH: 61.0, LONG: t}, history, NOW)
        )
        assert found[1] == reason


@pytest.mark.parametrize("onset", [7, 15, 22, 30])
def test_a_value_that_was_bad_for_most_of_the_look_back_is_found(onset: float) -> None:
    problem = assessed_value(value_spec(), 1, 0.05, (99, 0.5), (onset, 1.5))
    assert problem.verdict == "confirmed"
    assert problem.onset is not None
    assert problem.onset_within is not None
    assert abs(problem.onset - ago(onset)) <= problem.onset_within


@pytest.mark.parametrize("seed", range(4))
def test_an_earlier_run_of_bad_values_is_no_part_of_the_baseline(seed: int) -> None:
    problem = assessed_value(value_spec(), seed, 0.05, (99, 0.5), (30, 2.0), (20, 0.5), (6, 1.5))
    assert problem.verdict == "confirmed"
    assert problem.baseline == pytest.approx(0.5, abs=0.03)
    over = assessed_value(value_spec(), seed, 0.05, (99, 0.5), (30, 2.0), (20, 0.5))
    assert over.verdict == "not_confirmed"


def test_noisy_values_are_confirmed_less_than_once_in_a_hundred() -> None:
    spec = value_spec(confirm={"rise": "5%"}, baseline="15m")
    runs = 500
    found = sum(
        assessed_value(spec, seed, 0.1, (99, 1.0)).verdict == "confirmed" for seed in range(runs)
    )
    assert found < runs / 100


@given(
    st.lists(st.floats(-1e9, 1e9), max_size=60),
    st.lists(st.floats(-1e9, 1e9), max_size=6),
    st.sampled_from([{"rise": "50%"}, {"by": 0.2}, {"rise": "10%", "by": 5}]),
    st.sampled_from(["lower_is_better", "higher_is_better"]),
)
def test_any_values_end_in_a_verdict(
    past: list[float], now: list[float], confirm: dict[str, Any], direction: str
) -> None:
    spec = value_spec(confirm=confirm, direction=direction)
    history = [((NOW - (len(past) - 1 - n) * WIDTH / 4).timestamp(), v) for n, v in enumerate(past)]
    try:
        problem = assess_value(spec, {WIDTH: now, LONG: now}, {}, history, NOW)
    except Unmeasurable as trouble:
        problem = unmeasured(spec, trouble, NOW)
    assert problem.text
    assert problem.verdict in {"confirmed", "not_confirmed", "no_data"}
    assert Problem.model_validate_json(problem.model_dump_json()) == problem


# ── severity, and what cannot be measured ────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("loss", "severity"),
    [(0.2, "sev1"), (0.199, "sev2"), (0.05, "sev2"), (0.01, "sev3"), (0.001, "sev4"), (9, "sev1")],
)
def test_severity_is_the_greatest_whose_threshold_is_reached(loss: float, severity: str) -> None:
    assert severity_of(SPEC, loss) == severity


def test_without_thresholds_every_problem_is_of_the_lowest_severity() -> None:
    assert severity_of(counts_spec(severity={}), 0.9) == "sev4"


def test_what_cannot_be_measured_is_a_problem_with_its_reason() -> None:
    trouble = Unmeasurable("no_data", "targets_down", "cannot scrape shop")
    problem = unmeasured(SPEC, trouble, NOW)
    assert (problem.verdict, problem.reason, problem.text) == (
        "no_data",
        "targets_down",
        "cannot scrape shop",
    )
    assert (problem.level, problem.loss, problem.severity) == (None, None, "")


@pytest.mark.parametrize("reason", get_args(ProblemReason))
def test_only_a_measured_absence_of_a_problem_is_healthy(reason: ProblemReason) -> None:
    measured = {"loss_below_threshold", "not_significant", "failures_never_seen"}
    measured |= {"within_threshold"}
    assert make_problem("not_confirmed", reason).healthy == (reason in measured)
    for verdict in ("insufficient_traffic", "no_data", "query_error", "confirmed"):
        assert not make_problem(verdict, reason).healthy  # type: ignore[arg-type]
