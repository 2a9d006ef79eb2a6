"""Which time is compared with which, and what is counted of each value of a label."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daemon.core.diagnosis.contribution import attribute
from daemon.core.diagnosis.explain import failure_kinds
from daemon.core.diagnosis.periods import Periods, breakdown_of, periods, unplaced
from daemon.core.incident import events as e
from daemon.core.rules.rule import ProblemSpec
from tests.core.build import NOW, ago, confirmed, healthy, impaired, make_incident, make_problem

WIDTH = timedelta(minutes=1)
SPEC = ProblemSpec.model_validate(
    {
        "symptom": "success rate",
        "bad": "sum(increase(bad[$window]))",
        "total": "sum(increase(total[$window]))",
        "windows": ["1m", "5m"],
        "confirm": {"drop": "1%", "traffic": "30/m"},
    }
)
BEGUN = ago(100)
PROBLEM = make_problem(at=ago(95), onset=BEGUN, onset_within=timedelta(0)).model_copy(
    update={"baseline_from": ago(145), "baseline_until": ago(101)}
)


def span_of(*story: object) -> Periods:
    found = periods(make_incident(*story), SPEC, NOW)
    assert found is not None
    return found


def relapse(well_for: int, onset: float) -> list[object]:
    """It recovered, was well for so many minutes before `onset` minutes ago, and came back."""
    return [
        (ago(95), confirmed(PROBLEM)),
        (ago(90), e.Recovered(step=0, text="x")),
        *(
            (ago(onset + n), e.RecoveryMeasured(step=0, reading=healthy(ago(onset + n))))
            for n in range(well_for, 0, -1)
        ),
        *(
            (ago(onset - n), e.RecoveryMeasured(step=0, reading=impaired(ago(onset - n))))
            for n in (0, 1)
        ),
        (ago(onset - 1), e.Relapsed(text="x")),
        *(
            (ago(onset - n), e.RecoveryMeasured(step=0, reading=impaired(ago(onset - n))))
            for n in (2, 3)
        ),
    ]


def test_after_a_relapse_its_own_time_is_looked_at() -> None:
    span = span_of(*relapse(well_for=20, onset=60))
    assert (span.onset_from, span.onset_until) == (ago(62), ago(60))
    assert span.end == ago(57)
    assert span.baseline_until == PROBLEM.baseline_until
    assert span.is_after(ago(58).timestamp())
    assert not span.is_after(ago(97).timestamp())  # the first trouble
    assert not span.is_before(ago(97).timestamp())


def test_a_relapse_long_after_is_compared_with_the_time_in_which_it_was_well() -> None:
    span = span_of(*relapse(well_for=30, onset=20))
    assert (span.onset_from, span.baseline_until) == (ago(22), ago(22))
    assert ago(51) <= span.first <= ago(47)


def test_without_a_relapse_the_measured_onset_counts() -> None:
    span = span_of((ago(95), confirmed(PROBLEM)))
    assert (span.onset_from, span.onset_until, span.end) == (BEGUN, BEGUN, ago(95))


def counts(per_minute: float, later: float | None = None) -> dict[float, float]:
    """A count each minute before the onset, and another one after it."""
    return {
        ago(n).timestamp(): per_minute if n >= 100 or later is None else later
        for n in range(130, 94, -1)
    }


def test_a_label_that_is_another_word_for_failing_is_told_as_the_kind_of_failure() -> None:
    """Spring's `outcome` beside `status`: it neither carries the loss nor changed the mix."""
    span = span_of((ago(95), confirmed(PROBLEM)))
    outcome = breakdown_of(
        "outcome",
        {"SERVER_ERROR": counts(3, 112)},
        {"SUCCESS": counts(997, 888), "SERVER_ERROR": counts(3, 112)},
        span,
    )
    zone = breakdown_of(
        "zone",
        {"a": counts(1, 2), "b": counts(2, 110)},
        {"a": counts(500), "b": counts(500)},
        span,
    )
    assert (outcome.failures_only, zone.failures_only) == (True, False)
    found = attribute([outcome, zone])
    assert [(c.label, c.values) for c in found.carriers] == [("zone", ("b",))]
    kind = failure_kinds(outcome)
    assert kind is not None
    assert kind.text == "the added failures are outcome=SERVER_ERROR (100.0 % of them)"


def test_a_zone_that_fails_altogether_is_no_word_for_failing() -> None:
    span = span_of((ago(95), confirmed(PROBLEM)))
    zone = breakdown_of("zone", {"b": counts(0, 500)}, {"a": counts(500), "b": counts(500)}, span)
    assert not zone.failures_only
    assert attribute([zone]).found == "guilty"


@pytest.mark.parametrize(
    ("bad", "total", "part"),
    [
        ({"a": {1.0: 3.0}, "B": {1.0: 1.0}}, {"a": {1.0: 9.0}, "b": {1.0: 9.0}}, 0.25),
        ({"a": {1.0: 3.0}}, {"a": {1.0: 9.0}}, 0.0),
        ({"": {1.0: 3.0}, "a": {1.0: 1.0}}, {"a": {1.0: 9.0}}, 0.75),
        ({"B": {1.0: float("nan")}, "a": {1.0: -1.0}}, {}, 0.0),
        ({}, {}, 0.0),
    ],
)
def test_failures_at_values_that_the_traffic_has_not(
    bad: dict[str, dict[float, float]], total: dict[str, dict[float, float]], part: float
) -> None:
    assert unplaced(bad, total) == part
