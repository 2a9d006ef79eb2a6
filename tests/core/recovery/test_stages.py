"""A step that stopped midway goes on only with a sign that it helps."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.incident import events as e
from daemon.core.incident.fold import apply_event
from daemon.core.incident.step_state import StepStage, StepState
from daemon.core.measurement.problem import RecoveryReading
from daemon.core.recovery.stages import PartReading, no_sign_in_time, rule_on_part
from tests.core.build import (
    MINUTE,
    NOW,
    confirmed,
    healthy,
    impaired,
    make_incident,
    make_problem,
    make_rule,
    started,
    unreadable,
)

RULE, PROBLEM = make_rule(), make_problem()
REACHED = e.StageReached(step=1, text="1 of 4 pods is back at v1", share=0.25, item="v1")
STEP = StepState(1, status="running", stage=StepStage(NOW, REACHED))


def losing(loss: float) -> RecoveryReading:
    return impaired(NOW).model_copy(update={"loss": loss, "low": loss - 0.01, "level": 1 - loss})


def ruled(*readings: PartReading) -> tuple[bool, str] | None:
    found = rule_on_part(RULE, PROBLEM, STEP, readings)
    if found is None:
        return None
    assert found.step == 1
    assert found.text
    assert found.readings
    return found.go_on, found.reason


LOSS = PROBLEM.loss or 0.0
SAME, WORSE = PartReading(losing(LOSS)), PartReading(losing(min(1.0, LOSS + 0.5)))


def own(reading: RecoveryReading, whole: RecoveryReading | None = None) -> PartReading:
    return PartReading(whole or losing(LOSS), reading)


def test_what_is_back_alone_decides_where_it_can_be_told_apart() -> None:
    well, ill = own(healthy(NOW)), own(impaired(NOW))
    assert ruled(well, well) == (True, "part_is_well")
    assert ruled(ill, ill) == (False, "part_is_no_better")
    # The whole is as bad as before, for three quarters of it are; it has no say.
    worse = own(healthy(NOW), WORSE.whole)
    assert ruled(worse, worse) == (True, "part_is_well")


def test_one_reading_is_none_and_two_that_differ_are_none() -> None:
    well, ill = own(healthy(NOW)), own(impaired(NOW))
    assert ruled() is None
    assert ruled(well) is None
    assert ruled(ill, well) is None
    assert ruled(well, ill) is None
    assert ruled(ill, well, well) == (True, "part_is_well")


def test_without_revisions_the_whole_must_have_become_better() -> None:
    better = PartReading(losing(LOSS * 0.87))
    hardly = PartReading(losing(LOSS * 0.89))
    assert ruled(SAME, SAME) is None
    assert ruled(hardly, hardly) is None
    assert ruled(better, better) == (True, "part_is_better")
    assert ruled(SAME, better) is None
    assert ruled(PartReading(healthy(NOW)), PartReading(healthy(NOW))) == (True, "part_is_well")
    assert ruled(WORSE, WORSE) == (False, "made_it_worse")
    assert ruled(SAME, WORSE) is None


def test_what_cannot_be_read_says_nothing() -> None:
    blind = PartReading(unreadable(NOW))
    assert ruled(blind, blind) is None
    # Of the part nothing is known, so the whole is asked.
    half = own(unreadable(NOW), losing(LOSS * 0.5))
    assert ruled(half, half) == (True, "part_is_better")


def test_without_a_sign_in_time_it_is_stopped() -> None:
    late = no_sign_in_time(1, timedelta(minutes=4), [SAME])
    assert (late.go_on, late.reason) == (False, "no_sign_in_time")
    assert "within 4m" in late.text
    assert "nothing could be measured" in no_sign_in_time(1, MINUTE, []).text


READINGS = st.sampled_from([healthy(NOW), impaired(NOW), unreadable(NOW), losing(LOSS * 0.5)])


@given(st.lists(st.tuples(READINGS, st.none() | READINGS), max_size=6))
def test_it_never_goes_on_while_what_is_back_is_as_bad(
    course: list[tuple[RecoveryReading, RecoveryReading | None]],
) -> None:
    found = ruled(*(PartReading(whole, part) for whole, part in course))
    last = [part for _, part in course[-2:]]
    if len(last) == 2 and all(part is not None and part.state == "impaired" for part in last):
        assert found == (False, "part_is_no_better")
    if found is not None:
        assert len(course) >= 2


@pytest.mark.parametrize("person_first", [False, True])
def test_of_two_rulings_the_first_counts(person_first: bool) -> None:
    metrics = e.StageRuled(step=1, go_on=True, reason="part_is_well", text="x")
    person = e.StageRuled(step=1, go_on=False, reason="person", text="x", person="ada")
    first, second = (person, metrics) if person_first else (metrics, person)
    incident = make_incident((NOW, confirmed()), (NOW, started()), (NOW, REACHED))
    assert incident.step(1).at_stage
    for event in (first, second):
        incident = apply_event(incident, NOW, event)
    stage = incident.step(1).stage
    assert stage is not None
    assert stage.ruling == first
    assert not incident.step(1).at_stage
