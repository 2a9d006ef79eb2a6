"""What people may do to an incident, and what it answers when they may not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.response.command import NotPossible
from tests import commanding
from tests.core.build import (
    ACKNOWLEDGED,
    HOUSE,
    MINUTE,
    NOW,
    came,
    confirmed,
    finished,
    make_incident,
    make_problem,
    make_rule,
    started,
    step_approved,
)

RULE = make_rule()
PREPARED = e.StepPrepared(step=1, summary="x", intent={})
CLOSED = e.IncidentClosed(reason="recovered", text="x")


def refusal(deed: Callable[[], object]) -> str:
    with pytest.raises(NotPossible) as caught:
        deed()
    return str(caught.value)


def test_the_first_acknowledgement_takes_command() -> None:
    arrived, appointed = commanding.acknowledge(make_incident(), "ada", "cli")
    assert arrived == e.ResponderArrived(person="ada", via="cli")
    assert appointed == e.CommanderAppointed(person="ada", reason="the first responder")


def test_the_second_acknowledgement_only_responds() -> None:
    assert commanding.acknowledge(make_incident(*ACKNOWLEDGED), "bo", "api") == (
        e.ResponderArrived(person="bo", via="api"),
    )


def test_acknowledging_twice_adds_nothing() -> None:
    assert commanding.acknowledge(make_incident(*ACKNOWLEDGED), "ada", "api") == ()


def test_the_commander_alone_approves() -> None:
    incident = make_incident(*ACKNOWLEDGED, confirmed())
    assert commanding.approve(incident, RULE, 1, "ada") == (step_approved(RULE),)
    assert "that is ada" in refusal(lambda: commanding.approve(incident, RULE, 1, "bo"))
    nobody = make_incident(confirmed())
    text = refusal(lambda: commanding.approve(nobody, RULE, 1, "ada"))
    assert text == "only the Commander may approve a step; that is nobody; acknowledge the " + (
        "incident first"
    )


def test_approving_again_renews_the_approval() -> None:
    approval = step_approved(RULE)
    incident = make_incident(*ACKNOWLEDGED, confirmed(), approval)
    assert commanding.approve(incident, RULE, 1, "ada") == (approval,)


@pytest.mark.parametrize("step", [-1, 0, 3])
def test_a_step_that_is_not_there_can_be_neither_approved_nor_vetoed(step: int) -> None:
    incident = make_incident(*ACKNOWLEDGED)
    for deed in (commanding.approve, commanding.veto):
        assert refusal(lambda d=deed: d(incident, RULE, step, "ada")) == (
            f"there is no step {step}; the plan has 1, 2"
        )
        assert "is not in force any more" in refusal(lambda d=deed: d(incident, None, 1, "ada"))


def test_anybody_may_veto_a_waiting_step() -> None:
    assert commanding.veto(make_incident(), RULE, 1, "cy") == (e.StepVetoed(step=1, person="cy"),)
    vetoed = make_incident(e.StepVetoed(step=1, person="cy"))
    assert commanding.veto(vetoed, RULE, 1, "bo") == ()
    assert "step 1 is vetoed" in refusal(
        lambda: commanding.approve(make_incident(*ACKNOWLEDGED, *vetoes()), RULE, 1, "ada")
    )


def vetoes() -> tuple[e.Event, ...]:
    return (e.StepVetoed(step=1, person="cy"),)


@pytest.mark.parametrize(
    ("events", "status"),
    [((started(), PREPARED), "running"), ((started(), finished()), "finished")],
)
def test_a_step_that_has_begun_can_no_longer_be_decided(
    events: tuple[e.Event, ...], status: str
) -> None:
    incident = make_incident(*ACKNOWLEDGED, *events)
    assert f"step 1 is {status}; a veto comes too late" in refusal(
        lambda: commanding.veto(incident, RULE, 1, "ada")
    )
    assert f"step 1 is {status}; only a waiting step" in refusal(
        lambda: commanding.approve(incident, RULE, 1, "ada")
    )


def test_pausing_and_resuming_are_said_once() -> None:
    paused = commanding.pause(make_incident(), "ada", "wait")
    assert paused == (e.IncidentPaused(person="ada", reason="wait"),)
    incident = make_incident(*paused)
    assert commanding.pause(incident, "bo", "too") == ()
    assert commanding.resume(incident, "bo") == (e.IncidentResumed(person="bo"),)
    assert commanding.resume(make_incident(), "bo") == ()


def test_a_note_is_trimmed_and_bounded_and_never_empty() -> None:
    assert commanding.say(make_incident(), "  saw it  ") == (e.Noted(text="saw it"),)
    (note,) = commanding.say(make_incident(CLOSED), "x" * 2000)
    assert isinstance(note, e.Noted)
    assert len(note.text) == 2000
    too_long = refusal(lambda: commanding.say(make_incident(CLOSED), "x" * 2001))
    assert too_long == "the note has 2001 characters; 2000 at most"
    assert refusal(lambda: commanding.say(make_incident(), " \n")) == "the note is empty"


def test_a_person_closes_an_incident_unless_a_step_runs() -> None:
    (closed,) = commanding.close(make_incident(), "ada", " false alarm ")
    assert closed == e.IncidentClosed(reason="by_person", text="ada: false alarm")
    (closed,) = commanding.close(make_incident(), "ada", "")
    assert closed == e.IncidentClosed(reason="by_person", text="closed by ada")
    assert "a recovery step is running" in refusal(
        lambda: commanding.close(make_incident(started()), "ada", "")
    )
    assert commanding.close(make_incident(CLOSED), "ada", "") == ()


@pytest.mark.parametrize(
    "deed",
    [
        lambda i: commanding.acknowledge(i, "ada", "cli"),
        lambda i: commanding.approve(i, RULE, 1, "ada"),
        lambda i: commanding.veto(i, RULE, 1, "ada"),
        lambda i: commanding.pause(i, "ada", ""),
        lambda i: commanding.resume(i, "ada"),
    ],
)
def test_a_closed_incident_takes_no_more_orders(deed: Callable[[Incident], object]) -> None:
    incident = make_incident(*ACKNOWLEDGED, CLOSED)
    assert refusal(lambda: deed(incident)) == (
        "incident 0301-1409 is closed, and takes notes, updates, its cause and follow-ups only; "
        "if the trouble comes back, its alerts open a new one"
    )


# ── calling for more people ──────────────────────────────────────────────────────────────────


def test_the_commander_alone_says_that_no_plan_fits_and_once() -> None:
    incident = make_incident(*ACKNOWLEDGED, confirmed())
    assert commanding.no_plan(incident, "ada", " never seen ") == (
        e.NoPlanDeclared(person="ada", reason="never seen"),
        e.DiagnosisOpened(reason="no_suitable_plan", text="ada says that no plan fits"),
    )
    assert "only the Commander may say that no plan fits; that is ada" in refusal(
        lambda: commanding.no_plan(incident, "bo", "x")
    )
    exhausted = e.DiagnosisOpened(reason="plan_exhausted", text="x")
    later = make_incident(*ACKNOWLEDGED, confirmed(), exhausted)
    assert commanding.no_plan(later, "ada", "") == (e.NoPlanDeclared(person="ada", reason=""),)
    said = make_incident(*ACKNOWLEDGED, e.NoPlanDeclared(person="ada", reason=""))
    assert commanding.no_plan(said, "ada", "again") == ()


def test_after_a_relapse_it_can_be_said_again() -> None:
    """The plan is gone through anew, so the automation has to be stopped anew."""
    incident = make_incident(
        *ACKNOWLEDGED,
        confirmed(),
        *commanding.no_plan(make_incident(*ACKNOWLEDGED), "ada", "x"),
        e.Recovered(step=0, text="x"),
        e.Relapsed(text="x"),
    )
    assert incident.diagnosis is None
    assert len(commanding.no_plan(incident, "ada", "still none")) == 2


def test_a_commander_who_is_asked_answers_by_acknowledging() -> None:
    asked = e.CommanderAsked(person="ada", until=NOW + MINUTE)
    incident = make_incident(*ACKNOWLEDGED, came("bo"), asked)
    assert commanding.acknowledge(incident, "ada", "cli") == (e.Noted(text="ada is still on it"),)
    assert commanding.acknowledge(incident, "bo", "cli") == ()


def test_whoever_is_not_here_has_nothing_to_take_back() -> None:
    assert refusal(lambda: commanding.unacknowledge(make_incident(), "ada", "cli")) == (
        "you are not among the responders"
    )
    left, vacated = commanding.unacknowledge(make_incident(*ACKNOWLEDGED), "ada", "cli")
    assert left == e.ResponderLeft(person="ada", via="cli")
    assert vacated == e.CommandVacated(person="ada", reason="ada left")


def test_a_team_that_is_called_in_gets_what_it_needs_to_know() -> None:
    problem = make_problem(queries=("q1", "q2", "q3", "q4"))
    incident = make_incident(*ACKNOWLEDGED, confirmed(problem), started(), finished())
    (engaged,) = commanding.engage(incident, HOUSE, "mysql", "ada", " slow? ", "http://doc")
    assert isinstance(engaged, e.TeamEngaged)
    assert engaged.packet.splitlines() == [
        "ada asks for your help: slow?",
        "Problem: success rate 99.0 % → 79.0 %",
        "Since: 2026-03-01 14:06 UTC, by the metrics",
        "Query: q1",
        "Query: q2",
        "Query: q3",
        "Tried: release_rollback on release:shop: done, its effect is being measured",
        "Suspect: v2 came just before",
        "Everything: http://doc",
    ]
    (bare,) = commanding.engage(make_incident(), HOUSE, "mysql", "bo", "", "http://doc")
    assert isinstance(bare, e.TeamEngaged)
    assert bare.packet.startswith("bo asks for your help: CheckoutFails · measuring now\n")


def test_what_the_public_says_is_taken_down() -> None:
    assert commanding.sentiment(make_incident(), "eve", " angry ") == (
        e.SentimentHeard(source="eve", text="angry"),
    )
    assert (
        refusal(lambda: commanding.sentiment(make_incident(), "eve", " ")) == "the report is empty"
    )


@pytest.mark.parametrize(
    "deed",
    [
        lambda i: commanding.unacknowledge(i, "ada", "cli"),
        lambda i: commanding.no_plan(i, "ada", ""),
        lambda i: commanding.jump(i, HOUSE, 1, "ada", NOW),
        lambda i: commanding.engage(i, HOUSE, "mysql", "ada", "", ""),
        lambda i: commanding.sentiment(i, "eve", "x"),
        lambda i: commanding.snooze(i, HOUSE, "team", "ada", MINUTE, "", NOW),
    ],
)
def test_a_closed_incident_calls_nobody_in(deed: Callable[[Incident], object]) -> None:
    incident = make_incident(*ACKNOWLEDGED, CLOSED)
    assert refusal(lambda: deed(incident)) == (
        "incident 0301-1409 is closed, and takes notes, updates, its cause and follow-ups only; "
        "if the trouble comes back, its alerts open a new one"
    )
