"""Roles that are needed and that nobody took: who is asked, in which order, and when it ends."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.core import events as e
from daemon.core import roles
from daemon.core.escalation import pending
from daemon.core.staffing import ASKED_AT_MOST, Suggestion, suggestions, wanted_since
from tests.core.build import EVERYTHING, HOUSE, MINUTE, NOW, failed, house, page_queued
from tests.core.scene import Scene, of, one

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
    scene = Scene(roster=house(teams={}))
    assert people(scene, "communicator") == ["ada", "fay", "gus"]
    assert people(scene, "diagnosis") == []


# ── which roles are needed ───────────────────────────────────────────────────────────────────


def test_a_communicator_is_needed_from_sev2_on_once_somebody_commands() -> None:
    scene = Scene()
    scene.come("ada")
    assert wanted_since(scene.incident, HOUSE) == {}
    scene.passes(1)
    scene.confirm("sev3")
    assert wanted_since(scene.incident, HOUSE) == {}
    scene.passes(1)
    scene.confirm("sev2")
    assert wanted_since(scene.incident, HOUSE) == {"communicator": NOW + 2 * MINUTE}
    scene.leaves("ada")
    assert wanted_since(scene.incident, HOUSE) == {}, "first a Commander"


def test_the_time_of_the_communicator_begins_when_somebody_has_come() -> None:
    scene = Scene()
    scene.confirm("sev1")
    scene.passes(7)
    scene.come("ada")
    assert wanted_since(scene.incident, HOUSE) == {"communicator": NOW + 7 * MINUTE}
    everybody = house(timing={"staffed_from": "sev4"})
    low = Scene(roster=everybody)
    low.come("ada")
    low.confirm("sev4")
    assert wanted_since(low.incident, everybody) == {"communicator": NOW}


def test_an_owner_of_the_diagnosis_is_needed_once_it_is_open() -> None:
    scene = Scene()
    scene.passes(3)
    scene.diagnose()
    assert wanted_since(scene.incident, HOUSE) == {"diagnosis": NOW + 3 * MINUTE}
    scene.happen(e.Recovered(step=0, text="x"))
    assert wanted_since(scene.incident, HOUSE) == {}


# ── asking ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def scene() -> Scene:
    """ada commands a sev2 since NOW, and nobody else is here."""
    scene = Scene(roster=house(ladder={}))
    scene.come("ada")
    scene.confirm("sev2")
    return scene


def asked(scene: Scene) -> list[str]:
    return [event.asked for event in of(e.RoleRequested, scene.staff())]


def test_after_two_minutes_somebody_is_asked(scene: Scene) -> None:
    assert asked(scene) == []
    assert scene.staffing().again_at == NOW + 2 * MINUTE
    scene.passes(2)
    record = scene.staff()
    request = one(e.RoleRequested, record)
    assert (request.request, request.role, request.how) == ("communicator.1", "communicator", "ask")
    assert request.why == "a Communicator is needed, please take it (fay is on call)"
    page = one(e.PageQueued, record)
    assert (page.person, page.asks, page.about) == ("fay", "answer", "communicator.1")
    assert page.text.splitlines()[1:] == request.briefing.splitlines()


def test_nobody_is_asked_once_somebody_has_taken_it(scene: Scene) -> None:
    scene.passes(1)
    scene.takes("ada", "communicator")
    scene.passes(30)
    assert "communicator" not in {r.role for r in of(e.RoleRequested, scene.staff())}


def test_one_is_asked_after_the_other_and_then_the_commander_is_told_once(scene: Scene) -> None:
    scene.passes(2)
    order = []
    for _ in range(10):
        order += asked(scene)
        scene.says("ada")
        scene.passes(3)
    assert order == ["fay", "gus", "cy", "bo"]
    told = [p for p in scene.calls("vacant-communicator") if p[1] == "ada"]
    assert told == [("vacant-communicator", "ada")]
    (page,) = (p.queued for p in scene.incident.pages.values() if "vacant" in p.queued.reason)
    assert page.text.startswith("nobody took the role of Communicator; name one.")


def test_a_no_is_taken_at_once_and_the_next_is_asked(scene: Scene) -> None:
    scene.passes(2)
    assert asked(scene) == ["fay"]
    scene.answers("fay", "communicator.1", accept=False)
    assert asked(scene) == ["gus"]
    scene.answers("gus", "communicator.2", accept=True)
    assert scene.posts["communicator"] == "gus"
    scene.passes(9)
    assert asked(scene) == []


def test_whoever_was_asked_to_give_a_role_up_may_be_asked_to_take_it() -> None:
    scene = Scene(roster=house(ladder={}))
    scene.come("ada", "hal")
    scene.confirm("sev2")
    scene.takes("hal", "communicator")
    scene.takes("eve", "communicator")
    scene.answers("hal", "communicator.1", accept=False)
    scene.does("hal", *roles.step_down(scene.incident, "communicator", "hal"))
    scene.passes(2)
    assert asked(scene) == ["hal"]


def test_a_question_ends_once_somebody_else_has_taken_the_role(scene: Scene) -> None:
    scene.passes(2)
    assert asked(scene) == ["fay"]
    assert [p.queued.person for p in pending(scene.incident)] == ["fay"]
    scene.takes("eve", "communicator")
    assert scene.staff() == [e.RoleAnswered(request="communicator.1", answer="lapsed")]
    assert pending(scene.incident) == [], "nobody is woken for it any more"


def test_what_a_person_asked_is_not_ended_by_that(scene: Scene) -> None:
    scene.assigns("ada", "communicator", "fay")
    scene.takes("eve", "communicator")
    assert scene.staff() == []
    scene.answers("fay", "communicator.1", accept=True)
    assert scene.posts["communicator"] == "fay", "the Commander has named fay"


def test_a_new_commander_is_told_too(scene: Scene) -> None:
    scene.passes(2)
    for _ in range(5):
        scene.staff()
        scene.passes(3)
    assert [who for _, who in scene.calls("vacant")] == ["ada"]
    scene.come("hal")
    scene.takes("hal", "fast_recovery")
    scene.leaves("ada")
    scene.come("hal")
    assert asked(scene) == ["ada"], "who is on call, and commands no more"
    scene.says("hal")
    scene.passes(3)
    assert asked(scene) == []
    assert [who for _, who in scene.calls("vacant")] == ["ada", "hal"]


def test_when_the_communicator_leaves_the_next_is_asked(scene: Scene) -> None:
    scene.passes(2)
    scene.staff()
    scene.answers("fay", "communicator.1", accept=True)
    scene.passes(5)
    scene.leaves("fay")
    assert asked(scene) == ["gus"], "and fay, who has left, is not asked again"


def test_at_most_five_are_asked() -> None:
    many = [f"p{n}" for n in range(9)]
    person: dict[str, Any] = {"contact": [{"console": True}]}
    roster = house(
        people={**EVERYTHING["people"], **{n: {"name": n, **person} for n in many}},
        policies={"shop": {"tiers": [{"notify": many}]}},
        ladder={},
    )
    scene = Scene(roster=roster)
    scene.come("ada")
    scene.confirm("sev2")
    scene.passes(2)
    order = []
    for _ in range(12):
        order += asked(scene)
        scene.says("ada")
        scene.passes(3)
    assert order == many[:ASKED_AT_MOST]
    assert scene.calls("vacant") == [("vacant-communicator", "ada")]


def test_both_roles_are_asked_for_side_by_side(scene: Scene) -> None:
    scene.diagnose()
    scene.passes(2)
    requests = of(e.RoleRequested, scene.staff())
    assert [(r.role, r.asked) for r in requests] == [
        ("commander", "bo"),
        ("communicator", "fay"),
        ("diagnosis", "dee"),
    ]


def test_a_relapse_asks_anew_for_the_diagnosis(scene: Scene) -> None:
    scene.takes("ada", "communicator")
    scene.diagnose()
    scene.passes(2)
    assert "dee" in asked(scene)
    (request,) = scene.open("diagnosis")
    scene.answers("dee", request, accept=False)
    scene.happen(e.Recovered(step=0, text="x"))
    scene.passes(5)
    scene.happen(e.Relapsed(text="x"))
    scene.diagnose()
    assert "dee" not in asked(scene)
    scene.passes(2)
    assert "dee" in asked(scene), "it is another episode"
