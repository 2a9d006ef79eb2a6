"""Who could take a role: the likeliest first, with the reason."""

from __future__ import annotations

import pytest

from daemon.core.incident import events as e
from daemon.core.response.role_requests import Suggestion, suggestions
from tests.core.build import failed, make_roster, page_queued
from tests.core.scene import Scene

# ── who is suggested ─────────────────────────────────────────────────────────────────────────


def suggested(scene: Scene, role: e.Role, *veterans: str) -> list[tuple[str, str]]:
    found = suggestions(scene.incident, role, scene.roster, veterans, scene.now)
    assert all(isinstance(suggestion, Suggestion) for suggestion in found)
    return [(suggestion.person, suggestion.why) for suggestion in found]


def people(scene: Scene, role: e.Role, *veterans: str) -> list[str]:
    return [person for person, _ in suggested(scene, role, *veterans)]


def test_for_fast_recovery_veterans_and_owners_who_are_here_come_first() -> None:
    scene = Scene()
    scene.come("hal", "ada", "eve")
    assert suggested(scene, "fast_recovery", "fay", "eve") == [
        ("eve", "has executed this plan before"),
        ("ada", "owns the application and is here"),
        ("fay", "has executed this plan before"),
    ]


def test_for_the_diagnosis_experts_come_first_and_the_commander_is_left_in_peace() -> None:
    scene = Scene()
    scene.come("ada")
    assert suggested(scene, "diagnosis") == [
        ("dee", "knows the domain"),
        ("eve", "owns the application"),
    ]
    scene.come("dee")
    assert suggested(scene, "diagnosis")[0] == ("dee", "knows the domain and is here")


def test_for_communication_those_who_are_here_come_first() -> None:
    scene = Scene()
    scene.come("ada", "hal")
    assert suggested(scene, "communicator") == [
        ("hal", "is here"),
        ("fay", "is on call"),
        ("gus", "is on call"),
        ("cy", "looks after stability"),
        ("bo", "leads the team"),
    ]


def test_whoever_may_only_look_is_not_suggested() -> None:
    scene = Scene()
    scene.come("ada", "hal")
    onlooker = scene.roster.people["hal"].model_copy(update={"access": "viewer"})
    people_ = {**scene.roster.people, "hal": onlooker}
    scene.roster = scene.roster.model_copy(update={"people": people_})
    assert people(scene, "communicator")[0] == "fay"


def test_for_communication_an_owner_who_is_on_call_comes_after_the_others() -> None:
    scene = Scene()
    scene.come("hal")
    assert people(scene, "communicator") == ["fay", "gus", "cy", "ada", "bo"]


@pytest.mark.parametrize("commander", ["bo", "cy", "ada"])
def test_the_commander_is_not_asked_to_communicate(commander: str) -> None:
    scene = Scene()
    scene.come(commander)
    assert commander not in people(scene, "communicator")


def test_whoever_has_another_role_comes_last_and_whoever_must_not_not_at_all() -> None:
    scene = Scene()
    scene.come("ada", "hal", "eve", "dee", "gus")
    scene.takes("hal", "fast_recovery")
    scene.takes("dee", "diagnosis")
    assert people(scene, "communicator")[:2] == ["eve", "gus"]
    assert not {"hal", "dee"} & set(people(scene, "communicator"))
    scene.takes("eve", "communicator")
    assert "eve" not in people(scene, "fast_recovery", "eve"), "she communicates"
    assert "eve" not in people(scene, "communicator"), "she has it"


def test_for_command_the_dedicated_commanders() -> None:
    scene = Scene()
    assert suggested(scene, "commander") == [
        ("bo", "is a dedicated commander"),
        ("cy", "is a dedicated commander"),
    ]
    scene.come("bo")
    assert people(scene, "commander") == ["cy"]


def test_nobody_is_suggested_who_is_not_in_the_roster() -> None:
    assert people(Scene(), "fast_recovery", "gone", "fay") == ["fay", "ada", "eve"]


def test_whom_the_last_page_did_not_reach_comes_last() -> None:
    scene = Scene(page_queued("r0.t1.fay", "fay", tier=1), failed("r0.t1.fay"))
    scene.come("hal")
    assert people(scene, "communicator") == ["gus", "cy", "ada", "bo", "fay"]
    scene.come("fay")
    assert people(scene, "communicator")[0] == "fay", "she has come by herself"


def test_an_unknown_team_has_suggestions_too() -> None:
    scene = Scene(roster=make_roster(teams={}))
    assert people(scene, "communicator") == ["ada", "fay", "gus"]
    assert people(scene, "diagnosis") == []
