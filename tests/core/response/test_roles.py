"""Who holds which role: coming, leaving, taking, naming, answering, stepping down."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from daemon.core.incident import events as e
from daemon.core.response import roles
from daemon.core.response.command import NotPossible
from daemon.core.response.roles import separation
from tests import commanding
from tests.core.scene import Scene, of, one

ROLES: list[e.Role] = ["commander", "communicator", "fast_recovery", "diagnosis"]


# ── coming and leaving ───────────────────────────────────────────────────────────────────────


def test_the_first_person_commands_and_rank_changes_nothing() -> None:
    scene = Scene()
    arrived, appointed = roles.arrive(scene.incident, "eve", "pagerduty")
    assert arrived == e.ResponderArrived(person="eve", via="pagerduty")
    assert appointed == e.CommanderAppointed(person="eve", reason="the first responder")
    scene.come("eve")
    for lead in ("bo", "cy"):
        assert roles.arrive(scene.incident, lead, "cli") == (
            e.ResponderArrived(person=lead, via="cli"),
        )
        scene.come(lead)
    assert scene.commander == "eve"
    assert scene.incident.responders == ("eve", "bo", "cy")


def test_coming_twice_changes_nothing() -> None:
    scene = Scene()
    scene.come("ada", "bo")
    assert roles.arrive(scene.incident, "ada", "cli") == ()
    assert roles.arrive(scene.incident, "bo", "cli") == ()


def test_somebody_present_who_acknowledges_while_nobody_commands_commands() -> None:
    scene = Scene()
    scene.come("ada", "bo")
    scene.leaves("ada")
    assert scene.commander == ""
    assert roles.arrive(scene.incident, "bo", "cli") == (
        e.CommanderAppointed(person="bo", reason="answered while nobody commanded"),
    )


def test_one_who_was_not_here_comes_and_commands_while_nobody_does() -> None:
    scene = Scene()
    scene.come("ada", "bo")
    scene.leaves("ada")
    scene.come("ada")
    assert scene.commander == "ada"
    assert scene.incident.responders == ("bo", "ada")


def test_whoever_leaves_leaves_all_roles() -> None:
    scene = Scene()
    scene.come("ada", "bo")
    scene.takes("bo", "fast_recovery")
    scene.takes("bo", "diagnosis")
    left = scene.leaves("bo")
    assert {event.role for event in of(e.RoleLeft, left)} == {"fast_recovery", "diagnosis"}
    assert one(e.ResponderLeft, left) == e.ResponderLeft(person="bo", via="cli")
    assert scene.posts == {"commander": "ada"}
    assert roles.leave(scene.incident, "bo", "cli") == (), "gone already"
    assert roles.leave(scene.incident, "", "cli") == ()


def test_when_the_commander_leaves_command_is_vacant() -> None:
    scene = Scene()
    scene.come("ada", "bo")
    scene.takes("ada", "communicator")
    left = scene.leaves("ada")
    assert one(e.CommandVacated, left) == e.CommandVacated(person="ada", reason="ada left")
    assert [event.kind for event in left] == ["RoleLeft", "ResponderLeft", "CommandVacated"]
    assert scene.posts == {}
    assert scene.incident.people.campaign == 1


def test_the_questions_to_and_of_somebody_who_leaves_are_off() -> None:
    scene = Scene()
    scene.come("ada", "bo", "cy")
    scene.assigns("ada", "communicator", "bo")
    scene.takes("bo", "commander")
    scene.assigns("ada", "diagnosis", "cy")
    left = scene.leaves("bo")
    assert {event.answer for event in of(e.RoleAnswered, left)} == {"lapsed"}
    assert scene.open() == ["diagnosis.1"]
    assert scene.commander == "ada"


# ── taking ───────────────────────────────────────────────────────────────────────────────────


def test_a_vacant_role_is_taken_at_once() -> None:
    scene = Scene()
    scene.come("ada")
    assert scene.takes("eve", "communicator") == (
        e.ResponderArrived(person="eve", via="role"),
        e.RoleTaken(role="communicator", person="eve", reason="took it"),
    )
    assert scene.takes("eve", "communicator") == (), "hers already"
    assert scene.takes("eve", "commander") != ()
    assert scene.commander == "ada", "a role that somebody holds is asked for"


def test_whoever_takes_a_role_while_nobody_is_here_commands_too() -> None:
    scene = Scene()
    scene.takes("dee", "diagnosis")
    assert scene.posts == {"commander": "dee", "diagnosis": "dee"}


def test_vacant_command_is_taken_at_once() -> None:
    scene = Scene()
    scene.come("ada", "bo")
    scene.leaves("ada")
    assert one(e.CommanderAppointed, scene.takes("bo", "commander")).person == "bo"


# ── the Communicator is at no other work ─────────────────────────────────────────────────────


@pytest.mark.parametrize("work", ["fast_recovery", "diagnosis"])
def test_the_communicator_neither_recovers_nor_diagnoses(work: e.Role) -> None:
    scene = Scene()
    scene.come("ada", "bo", "cy")
    scene.takes("bo", "communicator")
    with pytest.raises(NotPossible, match=r"bo is Communicator, who cannot be .* too; hand over"):
        scene.takes("bo", work)
    with pytest.raises(NotPossible, match="bo is Communicator"):
        scene.assigns("ada", work, "bo")
    scene.takes("cy", work)
    with pytest.raises(NotPossible, match=r"cy is .* Owner, who cannot be Communicator too"):
        scene.takes("cy", "communicator")
    with pytest.raises(NotPossible, match=r"cy is .* Owner"):
        scene.assigns("bo", "communicator", "cy")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("commander", "communicator"),
        ("commander", "diagnosis"),
        ("fast_recovery", "diagnosis"),
        ("commander", "fast_recovery"),
    ],
)
def test_every_other_pair_of_roles_goes_together(first: e.Role, second: e.Role) -> None:
    scene = Scene()
    scene.takes("ada", first)
    scene.takes("ada", second)
    assert scene.incident.people.holder(first) == scene.incident.people.holder(second) == "ada"
    assert separation(scene.incident, second, "ada") == ""


def test_the_separation_is_looked_at_again_when_the_answer_comes() -> None:
    scene = Scene()
    scene.come("ada", "bo")
    scene.assigns("ada", "communicator", "bo")
    scene.takes("bo", "fast_recovery")
    with pytest.raises(NotPossible, match="bo is Fast-Recovery Owner"):
        scene.answers("bo", "communicator.1", accept=True)
    assert scene.open() == ["communicator.1"], "it waits; bo may still give up the other role"
    scene.does("bo", *commanding.step_down(scene.incident, "fast_recovery", "bo"))
    scene.answers("bo", "communicator.1", accept=True)
    assert scene.posts == {"commander": "ada", "communicator": "bo"}


# ── stepping down ────────────────────────────────────────────────────────────────────────────


def test_stepping_down_leaves_the_role_and_not_the_incident() -> None:
    scene = Scene()
    scene.come("ada")
    scene.takes("ada", "communicator")
    down = commanding.step_down(scene.incident, "communicator", "ada")
    assert down == (e.RoleLeft(role="communicator", person="ada", reason="ada stepped down"),)
    scene.does("ada", *commanding.step_down(scene.incident, "commander", "ada"))
    assert scene.commander == ""
    assert scene.incident.responders == ("ada",)
    with pytest.raises(NotPossible, match="you are not Commander; that is nobody"):
        commanding.step_down(scene.incident, "commander", "ada")
    with pytest.raises(NotPossible, match="not Fast-Recovery Owner; that is stopgap"):
        commanding.step_down(scene.incident, "fast_recovery", "ada")


@pytest.mark.parametrize(
    "deed",
    [
        lambda s: s.takes("bo", "communicator"),
        lambda s: s.takes("bo", "commander"),
        lambda s: s.assigns("ada", "communicator", "bo"),
        lambda s: s.answers("bo", "diagnosis.1", accept=True),
        lambda s: s.answers("bo", "diagnosis.1", accept=False),
        lambda s: commanding.step_down(s.incident, "commander", "ada"),
    ],
)
def test_in_a_closed_incident_no_role_changes_hands(deed: Callable[[Scene], object]) -> None:
    scene = Scene()
    scene.come("ada", "bo")
    scene.assigns("ada", "diagnosis", "bo")
    scene.happen(e.IncidentClosed(reason="recovered", text="x"))
    with pytest.raises(NotPossible, match="incident 0301-1409 is closed"):
        deed(scene)
