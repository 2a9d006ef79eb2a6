"""The rule's counts parted by a label: what is asked, and what cannot be."""

from __future__ import annotations

import pytest

from daemon.core.diagnosis.by_label import (
    NotParted,
    Term,
    combined,
    failure_labels,
    inside,
    split_by,
    tells_how_it_ended,
    values_of,
    worth_parting,
)
from daemon.core.measurement.samples import QueryAnswer, Series

COUNT = 'increase(http_total{service="shop"}[1m])'


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        (f"sum({COUNT})", [(1, f"sum by (zone) ({COUNT})")]),
        (f"sum({COUNT}) or vector(0)", [(1, f"sum by (zone) ({COUNT})")]),
        (f"sum by (job) ({COUNT})", [(1, f"sum by (zone) ({COUNT})")]),
        (f"sum(sum by (job) ({COUNT}))", [(1, f"sum by (zone) ({COUNT})")]),
        (COUNT, [(1, f"sum by (zone) ({COUNT})")]),
        (f"60 * sum({COUNT})", [(60, f"sum by (zone) ({COUNT})")]),
        (f"sum({COUNT}) / 2", [(0.5, f"sum by (zone) ({COUNT})")]),
        ("sum(a) - sum(b)", [(1, "sum by (zone) (a)"), (-1, "sum by (zone) (b)")]),
        ("count(up == 0)", [(1, "count by (zone) (up == 0)")]),
        ('sum(a{x="$b\\"c"})', [(1, 'sum by (zone) (a{x=~"[$]b\\"c"})')]),
    ],
)
def test_a_count_is_asked_by_label(query: str, asked: list[tuple[float, str]]) -> None:
    assert [(t.factor, t.query) for t in split_by(query, "zone")] == asked


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("max(a)", "`max` is no sum"),
        ("sum(a) / sum(b)", "only sums of counts"),
        ("sum(max by (job) (a))", "has no label zone"),
        ("sum(", "cannot be read"),
        ("vector(0)", "no sum in it"),
    ],
)
def test_what_cannot_be_parted_says_why(query: str, why: str) -> None:
    with pytest.raises(NotParted, match=why.replace("(", r"\(")):
        split_by(query, "zone")


def test_the_labels_that_tell_failures_are_known_by_their_matchers() -> None:
    bad = 'sum(increase(http_total{service="shop",code=~"5.."}[1m]))'
    assert failure_labels(bad, f"sum({COUNT})") == {"code"}
    assert failure_labels('sum(errors{service="shop"})', f"sum({COUNT})") == frozenset()
    slow = 'sum(increase(h_bucket{le="+Inf"}[1m])) - sum(increase(h_bucket{le="0.3"}[1m]))'
    assert failure_labels(slow, "sum(increase(h_count[1m]))") == frozenset()


def test_a_label_that_says_how_an_event_ended_is_known_by_its_name() -> None:
    assert all(map(tells_how_it_ended, ("outcome", "Status", "grpc_code", "exception")))
    assert not any(map(tells_how_it_ended, ("zone", "version", "route", "state", "country_code")))


def test_a_label_with_dots_is_quoted() -> None:
    [term] = split_by(f"sum({COUNT})", "http.route")
    assert term.query == f'sum by ("http.route") ({COUNT})'


def test_labels_with_something_to_compare_come_by_how_much_they_usually_tell() -> None:
    series = [
        Series(
            {
                "__name__": "x",
                "le": f"{n}",
                "pod": f"p{n}",
                "zone": "ab"[n % 2],
                "job": "j",
                "flavour": f"f{n % 3}",
            },
            [],
        )
        for n in range(6)
    ]
    values = values_of(QueryAnswer("x", series))
    assert "le" not in values
    assert worth_parting(values, 10) == ["zone", "pod", "flavour"]
    assert worth_parting(values, 1) == ["zone"]


def test_the_terms_are_put_together_value_by_value() -> None:
    first = QueryAnswer("a", [Series({"zone": "a"}, [(1.0, 5.0)]), Series({}, [(1.0, 2.0)])])
    second = QueryAnswer("b", [Series({"zone": "a"}, [(1.0, 1.0), (2.0, 4.0)])])
    found = combined([(Term(1, "a"), first), (Term(-2, "b"), second)], "zone")
    assert found == {"a": {1.0: 3.0, 2.0: -8.0}, "": {1.0: 2.0}}


def test_the_series_that_it_adds_up_can_be_listed() -> None:
    assert inside(f"sum({COUNT}) or vector(0)") == COUNT
