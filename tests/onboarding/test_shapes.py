"""From an alert's expression to what a rule measures: shape by shape."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.rules.threshold_spec import BOUNDS
from daemon.onboarding.recording_rules import RecordingRules
from daemon.onboarding.shapes.condition import BOUND_OF, Leaf
from daemon.onboarding.shapes.measure import MeasureDraft, measure, selector_labels

BAD = 'sum by (job) (rate(http_total{code=~"5.."}[5m]))'
GOOD = 'sum by (job) (rate(http_total{code!~"5.."}[5m]))'
TOTAL = "sum by (job) (rate(http_total[5m]))"
RECORDED = RecordingRules(
    [
        ("job:bad:rate5m", {}, BAD),
        ("job:total:rate5m", {}, TOTAL),
        ("job:ratio", {}, "job:bad:rate5m / job:total:rate5m"),
        ("slo:ratio", {"slo": "a"}, 'sum(rate(a{r="bad"}[5m])) / sum(rate(a[5m]))'),
        ("slo:ratio", {"slo": "b"}, 'sum(rate(b{r="bad"}[5m])) / sum(rate(b[5m]))'),
        ("hall:hot", {}, "max by (hall) (celsius) > 60"),
        ("loop:a", {}, "loop:b"),
        ("loop:b", {}, "loop:a"),
    ]
)


def measured(query: str, *group_by: str) -> MeasureDraft:
    labels = group_by or selector_labels(query, RECORDED) or ()
    return measure("Alert", [query], labels, RECORDED)


def condition(query: str, *group_by: str) -> Any:
    found = measured(query, *group_by).condition
    assert found is not None
    return found.document


# ── two counts ───────────────────────────────────────────────────────────────────────────────

BAD_COUNT = 'sum(increase(http_total{code=~"5..",job="$job"}[$window]))'
TOTAL_COUNT = 'sum(increase(http_total{job="$job"}[$window]))'


@pytest.mark.parametrize(
    ("query", "limit"),
    [
        (f"{BAD} / {TOTAL} > 0.05", 0.05),
        (f"({BAD} / {TOTAL}) * 100 >= 5", 0.05),
        (f"0.05 < {BAD} / {TOTAL}", 0.05),
        (f"{BAD} / on (job) {TOTAL} > (14.4 * 0.001)", 0.0144),
        (f"-({BAD} / {TOTAL}) < -0.05", 0.05),
        (f"max({BAD} / {TOTAL} > 0.05) without (x)", 0.05),
        ("job:ratio > 0.05", 0.05),
        ("job:bad:rate5m / job:total:rate5m > 0.05", 0.05),
    ],
)
def test_a_ratio_of_rates_is_two_counts_however_it_is_spelled(query: str, limit: float) -> None:
    found = measured(query, "job")
    assert found.kind == "counts"
    assert found.ratio is not None
    assert (found.ratio.bad, found.ratio.total) == (BAD_COUNT, TOTAL_COUNT)
    assert found.ratio.limit == limit


@pytest.mark.parametrize(
    "query",
    [
        f"{GOOD} / {TOTAL} < 0.99",
        f"1 - {GOOD} / {TOTAL} > 0.01",
        f"100 * (1 - {GOOD} / {TOTAL}) > 1",
        f"100 - ({GOOD} / {TOTAL}) * 100 > 1",
        f"99 > 100 * ({GOOD} / {TOTAL})",
    ],
)
def test_successes_of_a_total_leave_the_failures(query: str) -> None:
    found = measured(query).ratio
    assert found is not None
    good = 'sum(increase(http_total{code!~"5..",job="$job"}[$window]))'
    assert found.bad == f"{TOTAL_COUNT} - ({good} or vector(0))"
    assert found.limit == pytest.approx(0.01)


def test_a_label_that_no_series_has_tells_nothing_apart() -> None:
    query = f"{BAD} / {TOTAL} > 0.05".replace("(job)", "(cluster, job)")
    assert measure("Alert", [query], ["job"], RECORDED).kind == "threshold"
    assert measure("Alert", [query], ["job"], RECORDED, {"job", "code"}).kind == "counts"
    guarded = "sum by (cluster, q) (x) > 1 and on (cluster, q) sum by (cluster, q) (y) > 2"
    known = measure("Alert", [guarded], ["q"], RECORDED, {"q"}).condition
    assert known is not None
    assert set(known.document) == {"all"}


@pytest.mark.parametrize(
    "query",
    [
        # Failures that the expression does not show to be a part of the total.
        "sum(rate(failures[5m])) / sum(rate(successes[5m])) > 0.1",
        # Several ratios in one group: their sum is none of them.
        'rate(http_total{code="500"}[5m]) / rate(http_total[5m]) > 0.1',
        # More is asked for than the ratio.
        f"{BAD} / {TOTAL} > 0.05 and on (job) {TOTAL} > 1",
        # An average, and shares of time, are no counts of events.
        "sum(rate(x_sum[5m])) / sum(rate(x_sum[5m])) > 0.3",
        f"{BAD} / {TOTAL} > 3",
        'job:ratio{pod="x"} > 0.1',
        "slo:ratio > 0.1",
        "loop:a > 1",
    ],
)
def test_a_ratio_that_counts_would_not_mean_is_a_threshold(query: str) -> None:
    assert measured(query).kind == "threshold"


def test_a_recorded_series_is_found_by_the_labels_that_its_rule_adds() -> None:
    found = measured('slo:ratio{slo="b"} > 0.1').ratio
    assert found is not None
    assert found.bad == 'sum(increase(b{r="bad"}[$window]))'
    held = measured('job:ratio{job="shop"} > 0.1').ratio
    assert held is not None
    assert held.total == 'sum(increase(http_total{job="shop"}[$window]))'
    quoted = measured('job:ratio{job="a\\"b"} > 0.1').ratio
    assert quoted is not None
    assert quoted.total == 'sum(increase(http_total{job="a\\"b"}[$window]))'


@given(
    st.floats(0.001, 0.9).map(lambda limit: round(limit, 4)),
    st.lists(st.sampled_from(["paren", "percent", "complement", "minus"]), max_size=5),
)
def test_factors_and_complements_do_not_change_what_is_meant(
    limit: float, wraps: list[str]
) -> None:
    query, bound, above = f"{BAD} / {TOTAL}", limit, True
    for wrap in wraps:
        if wrap == "paren":
            query = f"({query})"
        elif wrap == "percent":
            query, bound = f"100 * ({query})", bound * 100
        elif wrap == "complement":
            query, bound, above = f"1 - ({query})", 1 - bound, not above
        else:
            query, bound, above = f"-({query})", -bound, not above
    found = measured(f"{query} {'>' if above else '<'} {bound!r}").ratio
    assert found is not None
    assert (found.bad, found.total) == (BAD_COUNT, TOTAL_COUNT)
    assert found.limit == pytest.approx(limit, rel=1e-3)


# ── thresholds ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("query", "value", "bounds"),
    [
        ("queue > 1000", "max(queue)", {"above": 1000}),
        ("1000 <= queue", "max(queue)", {"at_least": 1000}),
        ("free / size * 100 < 5", "min(free / size * 100)", {"below": 5}),
        ("100 - free / size * 100 > 90", "max(100 - free / size * 100)", {"above": 90}),
        ("sum(workers) <= 2", "sum(workers)", {"at_most": 2}),
        ("time() - started > 3600", "max(time() - started)", {"above": 3600}),
        ("max by (a) (x) != 3", 'max(max by (a) (x{a="$a"}))', {"differs_from": 3}),
        ("x != 3", "max(abs(x - 3))", {"above": 0}),
        ("count(up == 0) > 2", "count(up == 0) or vector(0)", {"above": 2}),
        ("min(x > 5)", "max(x)", {"above": 5}),  # it has a series if any is above
        ("max(x > 5)", "max(x)", {"above": 5}),
        ("x > y", "max(x - y)", {"above": 0}),
        ("x != ignoring (a) y", "max(abs(x - ignoring (a) y))", {"above": 0}),
        ("(x > bool 5) == 1", "max(x)", {"above": 5}),
        ("(x > bool 5) == 0", "min(x)", {"at_most": 5}),
        # A band: the first bound is what it is about.
        ("used > 0.9 < 1", "max(used < 1) or vector(0)", {"above": 0.9}),
        ("days < 14 > 7", "min(days > 7) or vector(14)", {"below": 14}),
        ("sum(x) > 5 < 9", "sum(x)", {"above": 5, "below": 9}),
        # A status that never occurred has no series.
        ('x{reason="gone"} >= 1', 'max(x{reason="gone"}) or vector(0)', {"at_least": 1}),
    ],
)
def test_level_and_side_are_the_alerts_own(
    query: str, value: str, bounds: dict[str, float]
) -> None:
    assert condition(query) == {"value": value, **bounds}


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("up == 0", "count(up == 0) or vector(0)"),
        ("x == y", "count((x - y) == 0) or vector(0)"),
        ("sum by (job) (up == 0)", 'count(up{job="$job"} == 0) or vector(0)'),
        ("x", "count(x) or vector(0)"),
        ("x unless on (a) y", "count(x unless on (a) y) or vector(0)"),
        ('absent(up{job="x"})', 'max(absent(up{job="x"})) or vector(0)'),
    ],
)
def test_a_state_is_measured_by_how_many_series_are_in_it(query: str, value: str) -> None:
    assert measured(query).kind == "states"
    assert condition(query) == {"value": value, "at_least": 1}


def test_what_is_joined_stays_joined() -> None:
    assert condition("status < 200 or status >= 400") == {
        "any": [
            {"value": "min(status)", "below": 200},
            {"value": "max(status)", "at_least": 400},
        ]
    }
    guarded = "sum by (q) (ready) > 100 unless on (q) paused == 1"
    assert condition(guarded) == {
        "all": [
            {"value": 'max(sum by (q) (ready{q="$q"}))', "above": 100},
            {"value": 'count(paused{q="$q"} == 1) or vector(0)', "at_most": 0},
        ]
    }
    deep = "(sum(a) > 1 and sum(b) > 2) or sum(c) > 3"
    assert [set(part) for part in condition(deep)["any"]] == [{"all"}, {"value", "above"}]


def test_a_guard_that_differs_from_series_to_series_stands_in_the_query() -> None:
    assert condition("free < 10 and readonly == 0") == {
        "value": "min(free and (readonly == 0)) or vector(10)",
        "below": 10,
    }
    assert condition("x > 5 and on () hour() > 8", "job") == {
        "value": 'max(x{job="$job"} and on () (hour() > 8)) or vector(0)',
        "above": 5,
    }
    assert condition("(x > 5) * on (a) group_left (b) info", "a", "b") == {
        "value": 'max(x{a="$a"} and on (a) info{a="$a",b="$b"}) or vector(0)',
        "above": 5,
    }


def test_labels_that_are_made_on_the_way_are_asked_of_the_answer() -> None:
    only = 'label_replace(vector(1), "a", "$a", "", "")'
    made = 'label_replace(avg by (a) (x), "a", "$1", "a", "(.*):.*")'
    assert condition(f"{made} > 80") == {"value": f"max({made} and on (a) {only})", "above": 80}
    # The two greatest of all are others than the two greatest of a group.
    assert condition("topk(2, sum by (a) (x)) > 1") == {
        "value": f"max(topk(2, sum by (a) (x)) and on (a) {only})",
        "above": 1,
    }
    # Two that are well may get one name, which Prometheus refuses: those that fire are renamed.
    made = 'label_replace(x > 5, "a", "$1", "b", "(.*)")'
    assert condition(made, "a") == {
        "value": f"max({made} and on (a) {only}) or vector(0)",
        "above": 5,
    }


def test_an_alert_that_always_fires_is_told_apart() -> None:
    assert "dead man's switch" in measure("Watchdog", ["vector(1)"], [], RECORDED).notes[0]


def test_a_recorded_condition_is_what_it_records() -> None:
    assert condition("hall:hot") == {
        "value": 'max(max by (hall) (celsius{hall="$hall"}))',
        "above": 60,
    }


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("vector(1)", "it looks at no metric"),
        ("hour() > 8", "it looks at no metric"),
        ("x[", "could not be read"),
        ("x @ -5 > 1", "could not be read"),
        ('x{a="1" or b="2"} > 5', "`or` in it"),
        ("time() - timestamp(x) > 60", "old samples are no measurement"),
        ("x > Inf", None),
    ],
)
def test_what_cannot_be_measured_is_counted_with_the_reason(query: str, why: str | None) -> None:
    found = measure("Alert", [query], ["job"], RECORDED)
    if why is None:
        assert found.kind == "expression"
        return
    assert found.kind == "alerts"
    assert why in found.why
    assert isinstance(found.condition, Leaf)
    alerts = 'ALERTS{alertname="Alert",alertstate="firing",job="$job"}'
    assert found.condition.query == f"count({alerts}) or vector(0)"


@given(st.sampled_from(sorted(BOUND_OF.values())), st.floats(-1e9, 1e9))
def test_what_stands_for_nothing_is_within_no_bound(bound: str, level: float) -> None:
    query = Leaf("x", ((bound, level),), may_be_empty=True).query
    number = float(query.removeprefix("x or vector(").removesuffix(")"))
    assert not BOUNDS[bound][0](number, level)


def test_what_has_series_only_while_it_is_so_is_nothing_else_in_between() -> None:
    """`reason!=` asks for such series as much as `reason=` does."""
    leaf = measured('max(pod_waiting{reason!="CrashLoop"}) > 0').condition
    assert isinstance(leaf, Leaf)
    assert leaf.query.endswith(" or vector(0)")


def test_what_is_told_of_kubernetes_objects_ends_with_them() -> None:
    """A pod that a rollback deletes restarts no more; its series are gone, not unreadable."""
    leaf = measured("increase(kube_pod_container_status_restarts_total[1m]) > 3", "pod").condition
    assert isinstance(leaf, Leaf)
    assert leaf.query.endswith(" or vector(0)")


@pytest.mark.parametrize(
    "band", ["3 <= (cert_ends - time()) / 86400 < 20", "(cert_ends - time()) / 86400 < 20 >= 3"]
)
def test_of_a_band_of_the_time_that_is_left_the_soonest_end_is_told(band: str) -> None:
    leaf = measured(band).condition
    assert isinstance(leaf, Leaf)
    assert leaf.bounds == (("below", 20.0),)
    assert leaf.query == "min(((cert_ends - time()) / 86400) >= 3) or vector(20)"
