"""Roles are asked for: by name, answered once, with what the taker must know."""

from __future__ import annotations

import pytest

from daemon.core.incident import events as e
from daemon.core.response import roles
from daemon.core.response.command import NotPossible
from daemon.core.response.roles import briefing
from tests.core.build import MINUTE, NOW, finished, make_incident, started
from tests.core.scene import PATIENCE, Scene, one

# ── naming and answering ─────────────────────────────────────────────────────────────────────


def test_the_commander_names_somebody_who_is_asked() -> None:
    scene = Scene()
    scene.come("ada")
    asked, page = scene.assigns("ada", "communicator", "eve")
    assert isinstance(asked, e.RoleRequested)
    assert (asked.request, asked.how, asked.taker) == ("communicator.1", "ask", "eve")
    assert (asked.asked, asked.by, asked.until) == ("eve", "ada", NOW + PATIENCE)
    assert asked.why == "ada asks you to be Communicator"
    assert isinstance(page, e.PageQueued)
    assert (page.person, page.asks, page.about) == ("eve", "answer", "communicator.1")
    assert page.text.startswith("ada asks you to be Communicator: answer by 14:13:00 UTC\nProblem:")
    assert scene.posts == {"commander": "ada"}, "asked is not answered"
    assert scene.assigns("ada", "communicator", "eve") == (), "asked once"
    accepted = scene.answers("eve", "communicator.1", accept=True)
    assert accepted == (
        e.RoleAnswered(request="communicator.1", answer="accepted"),
        e.ResponderArrived(person="eve", via="role"),
        e.RoleTaken(role="communicator", person="eve", reason="ada asks you to be Communicator"),
    )


def test_a_holder_hands_over_to_whoever_accepts() -> None:
    scene = Scene()
    scene.come("ada", "bo", "cy")
    scene.takes("bo", "communicator")
    assert one(e.RoleRequested, scene.assigns("bo", "communicator", "cy")).how == "offer"
    scene.answers("cy", "communicator.1", accept=True)
    assert scene.posts["communicator"] == "cy"
    assert one(e.RoleRequested, scene.assigns("ada", "commander", "bo")).how == "offer"
    scene.answers("bo", "commander.1", accept=True)
    assert scene.commander == "bo", "nobody else needs to agree"


def test_the_commander_may_give_a_role_that_somebody_holds_to_another() -> None:
    scene = Scene()
    scene.come("ada", "bo", "cy")
    scene.takes("bo", "communicator")
    scene.assigns("ada", "communicator", "cy")
    scene.answers("cy", "communicator.1", accept=True)
    assert scene.posts["communicator"] == "cy"


def test_nobody_else_gives_roles_away() -> None:
    scene = Scene()
    with pytest.raises(NotPossible, match="that is nobody; acknowledge the incident first"):
        scene.assigns("eve", "communicator", "bo")
    scene.come("ada", "bo")
    with pytest.raises(NotPossible, match=r"only its holder or the Commander gives .* is ada"):
        scene.assigns("bo", "communicator", "cy")
    scene.takes("bo", "communicator")
    assert scene.assigns("ada", "communicator", "bo") == (), "theirs already"


def test_an_answer_is_given_once_by_the_one_who_was_asked() -> None:
    scene = Scene()
    scene.come("ada", "bo")
    scene.assigns("ada", "diagnosis", "bo")
    with pytest.raises(NotPossible, match="there is no request 'x'"):
        scene.answers("bo", "x", accept=True)
    with pytest.raises(NotPossible, match="this is asked of bo, not of ada"):
        scene.answers("ada", "diagnosis.1", accept=True)
    assert scene.answers("bo", "diagnosis.1", accept=False) == (
        e.RoleAnswered(request="diagnosis.1", answer="declined"),
    )
    with pytest.raises(NotPossible, match="this request is declined already"):
        scene.answers("bo", "diagnosis.1", accept=True)
    assert scene.posts == {"commander": "ada"}


def test_a_yes_that_comes_too_late_takes_the_role_from_nobody() -> None:
    """The daemon asked two people, one after the other; or somebody took it in the meantime."""
    scene = Scene()
    scene.come("ada", "bo")
    asking = roles.request(
        scene.incident, "communicator", "ask", "fay", "fay", "", "needed", NOW, PATIENCE
    )
    scene.happen(*asking)
    scene.takes("bo", "communicator")
    with pytest.raises(NotPossible, match="bo is Communicator by now; ask to take it over"):
        scene.answers("fay", "communicator.1", accept=True)
    assert scene.posts["communicator"] == "bo"


def test_a_yes_to_what_one_has_already_is_only_a_yes() -> None:
    scene = Scene()
    scene.come("ada", "bo")
    scene.assigns("ada", "communicator", "bo")
    scene.takes("bo", "communicator")
    assert [event.kind for event in scene.answers("bo", "communicator.1", accept=True)] == [
        "RoleAnswered"
    ]


# ── what a taker is told ─────────────────────────────────────────────────────────────────────


def test_the_briefing_has_four_lines() -> None:
    assert briefing(make_incident()).splitlines() == [
        "Problem: CheckoutFails",
        "Tried: nothing yet",
        "Who is in: nobody (Commander nobody, Communicator nobody, "
        "Fast-Recovery Owner stopgap, Problem Diagnosis Owner nobody)",
        "Due: nothing",
    ]


def test_the_briefing_says_what_was_tried_who_is_in_and_what_is_due() -> None:
    scene = Scene()
    scene.come("ada", "bo")
    scene.takes("bo", "fast_recovery")
    scene.confirm("sev2")
    scene.happen(started(), finished(), e.StepVerified(step=1, verdict="unchanged", text="x"))
    scene.happen(e.ApprovalRequested(step=2, reason="not_approved", text="x"))
    scene.diagnose()
    scene.assigns("ada", "communicator", "cy")
    problem, tried, people, due = briefing(scene.incident).splitlines()
    assert problem == "Problem: checkout: success rate 99.0 % → 79.0 % (sev2)"
    assert tried == "Tried: 1. release_rollback: unchanged"
    assert people == (
        "Who is in: ada, bo (Commander ada, Communicator nobody, "
        "Fast-Recovery Owner bo, Problem Diagnosis Owner nobody)"
    )
    assert due == (
        "Due: step 2 waits for approval; Communicator: cy is asked; the diagnosis has no owner"
    )


def test_requests_for_a_role_are_numbered_and_may_be_put_again() -> None:
    scene = Scene()
    scene.come("ada", "bo")
    for number in (1, 2, 3):
        asked = one(e.RoleRequested, scene.assigns("ada", "diagnosis", "bo"))
        assert asked.request == f"diagnosis.{number}"
        assert asked.until == scene.now + 3 * MINUTE
        scene.answers("bo", asked.request, accept=False)
        scene.passes(1)
    assert scene.calls("role_request") == [(f"diagnosis.{n}", "bo") for n in (1, 2, 3)]
