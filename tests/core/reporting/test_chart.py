"""The figures of a chart: levels, threshold, and what happened when."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daemon.core.changes.suspects import Change, Suspicion
from daemon.core.incident import events as e
from daemon.core.incident.fold import fold
from daemon.core.reporting.chart import (
    AFTER,
    LEAD,
    MOST_MARKS,
    ChartMark,
    ChartThreshold,
    Curve,
    journaled_levels,
    sketch,
    threshold,
)
from daemon.core.rules.rule import ProblemSpec
from daemon.core.values.outcome import Outcome
from daemon.core.values.units import Frozen
from daemon.web.site.chart import described
from tests.core.build import (
    COUNTS,
    MINUTE,
    NOW,
    TARGET,
    VALUE,
    ago,
    confirmed,
    entries,
    impaired,
)
from tests.core.scene import Scene

SPEC = ProblemSpec.model_validate(COUNTS)


def changed(item: str) -> Change:
    return Change(subject=TARGET, item=item, previous="v1", at=NOW - 5 * MINUTE, seen_by="test")


def scene(*events: Frozen) -> tuple[Curve, Scene]:
    """The curve of an incident to which these things have happened, ten minutes after."""
    played = Scene(*events)  # type: ignore[arg-type]
    now = NOW + 10 * MINUTE
    return sketch(fold(played.journal), SPEC, played.journal, now), played


@pytest.mark.parametrize(
    ("spec", "baseline", "expected"),
    [
        (COUNTS, 0.99, 0.98),
        (VALUE, 2.0, 3.0),
        ({**VALUE, "direction": "higher_is_better"}, 2.0, 1.0),
        ({**VALUE, "confirm": {"by": 0.5}}, 0.0, 0.5),
    ],
)
def test_the_threshold_lies_on_the_bad_side_of_the_baseline(
    spec: dict[str, object], baseline: float, expected: float
) -> None:
    assert threshold(ProblemSpec.model_validate(spec), baseline) == pytest.approx(expected)


def test_a_curve_begins_before_the_trouble_and_ends_now_or_soon_after_the_closing() -> None:
    curve, played = scene(confirmed())
    onset = played.incident.confirmed.onset  # type: ignore[union-attr]
    assert onset is not None
    assert curve.begin == onset - LEAD
    assert curve.end == NOW + 10 * MINUTE
    assert [mark.kind for mark in curve.marks] == ["change", "onset"]
    played.happen(e.IncidentClosed(reason="by_person", text="over"))
    late = sketch(fold(played.journal), SPEC, played.journal, NOW + timedelta(days=2))
    assert late.end == played.now + AFTER


def test_what_was_never_measured_has_no_figures() -> None:
    curve, _ = scene()
    assert (curve.samples, curve.baseline, curve.threshold, curve.marks) == ((), None, None, ())
    assert described(curve) == "No measurement of success rate in this time."


def test_the_marks_are_in_the_order_of_time_and_not_too_many() -> None:
    suspicion = Suspicion(verdict="suspect", text="v2", change=changed("v2"))
    started = [
        e.StepStarted(step=n, action="x", target=TARGET, params={}, authority="ada")
        for n in range(1, 20)
    ]
    done = e.StepFinished(step=1, outcome=Outcome(result="done", reason="done", detail=""))
    curve, _ = scene(confirmed(suspicion=suspicion), *started, done)
    assert len(curve.marks) == MOST_MARKS
    assert [mark.at for mark in curve.marks] == sorted(mark.at for mark in curve.marks)
    assert "v2" in [mark.text for mark in curve.marks]


def test_samples_of_prometheus_take_the_place_of_the_journals_and_cut_what_was_before() -> None:
    curve, _ = scene(confirmed())
    first = NOW - MINUTE
    measured = curve.measured([(first.timestamp(), 0.9), (NOW.timestamp(), 0.95)])
    assert measured.begin == first
    assert measured.marks == ()
    assert [level for _, level in measured.samples] == [0.9, 0.95]
    assert curve.measured([]).begin == curve.begin


def test_a_chart_in_words_has_its_numbers() -> None:
    curve = Curve(
        symptom="success rate",
        kind="counts",
        begin=NOW,
        end=NOW + MINUTE,
        samples=((NOW, 0.99), (NOW + MINUTE, 0.903)),
        baseline=0.991,
        thresholds=(ChartThreshold(0.981),),
        marks=(ChartMark(NOW, "change", "v2"),),
    )
    assert described(curve) == (
        "success rate from 14:10 to 14:11 UTC: now 90.3 %, between 90.3 % and 99.0 %; "
        "baseline 99.1 %; threshold 98.1 %; v2 at 14:10:00."
    )


def test_what_was_measured_at_the_moment_of_acting_is_a_level_too() -> None:
    before = e.EvidenceTaken(step=1, reading=impaired(ago(2), 0.3))
    blind = e.EvidenceTaken(step=1, monitoring="targets are down")
    levels = journaled_levels(entries((ago(3), confirmed()), (ago(2), before), (ago(1), blind)))
    assert (ago(2), pytest.approx(0.69)) in levels
    assert len(levels) == 2
