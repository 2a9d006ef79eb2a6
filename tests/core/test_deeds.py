"""What people may do to an incident, and what it answers when they may not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from daemon.core import deeds
from daemon.core import events as e
from daemon.core.incident import Incident
from tests.core.build import (
    ACKNOWLEDGED,
    confirmed,
    finished,
    make_incident,
    make_rule,
    started,
    step_approved,
)

RULE = make_rule()
CLOSED = e.IncidentClosed(reason="recovered", text="x")


def refusal(deed: Callable[[], object]) -> str:
    with pytest.raises(deeds.NotPossible) as caught:
        deed()
    return str(caught.value)


def test_the_first_acknowledgement_takes_command() -> None:
    arrived, appointed = deeds.acknowledge(make_incident(), "ada", "cli")
    assert arrived == e.ResponderArrived(person="ada", via="cli")
    assert appointed == e.CommanderAppointed(person="ada", reason="the first responder")


def test_the_second_acknowledgement_only_responds() -> None:
    assert deeds.acknowledge(make_incident(*ACKNOWLEDGED), "bo", "api") == (
        e.ResponderArrived(person="bo", via="api"),
    )


def test_acknowledging_twice_adds_nothing() -> None:
    assert deeds.acknowledge(make_incident(*ACKNOWLEDGED), "ada", "api") == ()


def test_the_commander_alone_approves() -> None:
    incident = make_incident(*ACKNOWLEDGED, confirmed())
    assert deeds.approve(incident, RULE, 1, "ada") == (step_approved(RULE),)
    assert "that is ada" in refusal(lambda: deeds.approve(incident, RULE, 1, "bo"))
    nobody = make_incident(confirmed())
    text = refusal(lambda: deeds.approve(nobody, RULE, 1, "ada"))
    assert text == "only the Commander may approve a step; that is nobody; acknowledge the " + (
        "incident first"
    )


def test_approving_again_renews_the_approval() -> None:
    approval = step_approved(RULE)
    incident = make_incident(*ACKNOWLEDGED, confirmed(), approval)
    assert deeds.approve(incident, RULE, 1, "ada") == (approval,)


@pytest.mark.parametrize("step", [-1, 0, 3])
def test_a_step_that_is_not_there_can_be_neither_approved_nor_vetoed(step: int) -> None:
    incident = make_incident(*ACKNOWLEDGED)
    for deed in (deeds.approve, deeds.veto):
        assert refusal(lambda d=deed: d(incident, RULE, step, "ada")) == (
            f"there is no step {step}; the plan has 2"
        )
        assert "the plan has 0" in refusal(lambda d=deed: d(incident, None, 1, "ada"))


def test_anybody_may_veto_a_waiting_step() -> None:
    assert deeds.veto(make_incident(), RULE, 1, "cy") == (e.StepVetoed(step=1, person="cy"),)
    vetoed = make_incident(e.StepVetoed(step=1, person="cy"))
    assert deeds.veto(vetoed, RULE, 1, "bo") == ()
    assert "step 1 is vetoed" in refusal(
        lambda: deeds.approve(make_incident(*ACKNOWLEDGED, *vetoes()), RULE, 1, "ada")
    )


def vetoes() -> tuple[e.Event, ...]:
    return (e.StepVetoed(step=1, person="cy"),)


@pytest.mark.parametrize(
    ("events", "status"), [((started(),), "running"), ((started(), finished()), "finished")]
)
def test_a_step_that_has_begun_can_no_longer_be_decided(
    events: tuple[e.Event, ...], status: str
) -> None:
    incident = make_incident(*ACKNOWLEDGED, *events)
    assert f"step 1 is {status}; a veto comes too late" in refusal(
        lambda: deeds.veto(incident, RULE, 1, "ada")
    )
    assert f"step 1 is {status}; only a waiting step" in refusal(
        lambda: deeds.approve(incident, RULE, 1, "ada")
    )


def test_pausing_and_resuming_are_said_once() -> None:
    paused = deeds.pause(make_incident(), "ada", "wait")
    assert paused == (e.IncidentPaused(person="ada", reason="wait"),)
    incident = make_incident(*paused)
    assert deeds.pause(incident, "bo", "too") == ()
    assert deeds.resume(incident, "bo") == (e.IncidentResumed(person="bo"),)
    assert deeds.resume(make_incident(), "bo") == ()


def test_a_note_is_trimmed_and_bounded_and_never_empty() -> None:
    assert deeds.say(make_incident(), "  saw it  ") == (e.Noted(text="saw it"),)
    (note,) = deeds.say(make_incident(CLOSED), "x" * 9999)
    assert isinstance(note, e.Noted)
    assert len(note.text) == 2000
    assert refusal(lambda: deeds.say(make_incident(), " \n")) == "the note is empty"


def test_a_person_closes_an_incident_unless_a_step_runs() -> None:
    (closed,) = deeds.close(make_incident(), "ada", " false alarm ")
    assert closed == e.IncidentClosed(reason="by_person", text="ada: false alarm")
    (closed,) = deeds.close(make_incident(), "ada", "")
    assert closed == e.IncidentClosed(reason="by_person", text="closed by ada")
    assert "a recovery step is running" in refusal(
        lambda: deeds.close(make_incident(started()), "ada", "")
    )
    assert deeds.close(make_incident(CLOSED), "ada", "") == ()


@pytest.mark.parametrize(
    "deed",
    [
        lambda i: deeds.acknowledge(i, "ada", "cli"),
        lambda i: deeds.approve(i, RULE, 1, "ada"),
        lambda i: deeds.veto(i, RULE, 1, "ada"),
        lambda i: deeds.pause(i, "ada", ""),
        lambda i: deeds.resume(i, "ada"),
    ],
)
def test_a_closed_incident_takes_no_more_orders(deed: Callable[[Incident], object]) -> None:
    incident = make_incident(*ACKNOWLEDGED, CLOSED)
    assert refusal(lambda: deed(incident)) == "incident 0301-1409 is closed"
