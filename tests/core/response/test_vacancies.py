"""Roles that are needed and that nobody took: who is asked, in which order, and when it ends."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.core.incident import events as e
from daemon.core.response.open_pages import undelivered
from daemon.core.response.role_requests import ASKED_AT_MOST, roles_needed_since
from tests import commanding
from tests.core.build import EVERYTHING, HOUSE, MINUTE, NOW, make_roster
from tests.core.scene import Scene, of, one

# ── which roles are needed ───────────────────────────────────────────────────────────────────


def test_a_communicator_is_needed_from_sev2_on_once_somebody_commands() -> None:
    scene = Scene()
    scene.come("ada")
    assert roles_needed_since(scene.incident, HOUSE) == {}
    scene.passes(1)
    scene.confirm("sev3")
    assert roles_needed_since(scene.incident, HOUSE) == {}
    scene.passes(1)
    scene.confirm("sev2")
    assert roles_needed_since(scene.incident, HOUSE) == {"communicator": NOW + 2 * MINUTE}
    scene.leaves("ada")
    assert roles_needed_since(scene.incident, HOUSE) == {}, "first a Commander"


def test_the_time_of_the_communicator_begins_when_somebody_has_come() -> None:
    scene = Scene()
    scene.confirm("sev1")
    scene.passes(7)
    scene.come("ada")
    assert roles_needed_since(scene.incident, HOUSE) == {"communicator": NOW + 7 * MINUTE}
    everybody = make_roster(timing={"staffed_from": "sev4"})
    low = Scene(roster=everybody)
    low.come("ada")
    low.confirm("sev4")
    assert roles_needed_since(low.incident, everybody) == {"communicator": NOW}


def test_an_owner_of_the_diagnosis_is_needed_once_it_is_open() -> None:
    scene = Scene()
    scene.passes(3)
    scene.diagnose()
    assert roles_needed_since(scene.incident, HOUSE) == {"diagnosis": NOW + 3 * MINUTE}
    scene.happen(e.Recovered(step=0, text="x"))
    assert roles_needed_since(scene.incident, HOUSE) == {}


# ── asking ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def scene() -> Scene:
    """ada commands a sev2 since NOW, and nobody else is here."""
    scene = Scene(roster=make_roster(ladder={}))
    scene.come("ada")
    scene.confirm("sev2")
    return scene


def asked(scene: Scene) -> list[str]:
    return [event.asked for event in of(e.RoleRequested, scene.staff())]


def test_after_two_minutes_somebody_is_asked(scene: Scene) -> None:
    assert asked(scene) == []
    assert scene.staffing().wake_at == NOW + 2 * MINUTE
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
    assert scene.calls("vacancy") == [("communicator", "ada")]
    (page,) = (
        p.queued for p in scene.incident.pages.values() if p.is_for("vacancy", "communicator")
    )
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
    scene = Scene(roster=make_roster(ladder={}))
    scene.come("ada", "hal")
    scene.confirm("sev2")
    scene.takes("hal", "communicator")
    scene.takes("eve", "communicator")
    scene.answers("hal", "communicator.1", accept=False)
    scene.does("hal", *commanding.step_down(scene.incident, "communicator", "hal"))
    scene.passes(2)
    assert asked(scene) == ["hal"]


def test_a_question_ends_once_somebody_else_has_taken_the_role(scene: Scene) -> None:
    scene.passes(2)
    assert asked(scene) == ["fay"]
    assert [p.queued.person for p in undelivered(scene.incident)] == ["fay"]
    scene.takes("eve", "communicator")
    assert scene.staff() == [e.RoleAnswered(request="communicator.1", answer="lapsed")]
    assert undelivered(scene.incident) == [], "nobody is woken for it any more"


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
    assert [who for _, who in scene.calls("vacancy")] == ["ada"]
    scene.come("hal")
    scene.takes("hal", "fast_recovery")
    scene.leaves("ada")
    scene.come("hal")
    assert asked(scene) == ["ada"], "who is on call, and commands no more"
    scene.says("hal")
    scene.passes(3)
    assert asked(scene) == []
    assert [who for _, who in scene.calls("vacancy")] == ["ada", "hal"]


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
    roster = make_roster(
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
    assert scene.calls("vacancy") == [("communicator", "ada")]


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
