"""A role moves only if both sides agree, or one has left the question unanswered."""

from __future__ import annotations

import pytest

from daemon.core.incident import events as e
from daemon.core.response import roles
from daemon.core.response.command import NotPossible
from daemon.core.response.open_pages import undelivered
from tests import commanding
from tests.core.scene import PATIENCE, Scene, of, one


@pytest.fixture
def scene() -> Scene:
    """ada commands, bo and cy are here."""
    scene = Scene()
    scene.come("ada", "bo", "cy")
    return scene


def asked_by_the_daemon(scene: Scene, person: str, role: e.Role = "commander") -> str:
    """The daemon asks somebody to take a role; returns the request."""
    asking = roles.request(
        scene.incident, role, "ask", person, person, "", "no plan left", scene.now, PATIENCE
    )
    return one(e.RoleRequested, scene.happen(*asking)).request


def test_to_take_over_is_to_ask_the_holder(scene: Scene) -> None:
    asked, page = scene.takes("bo", "commander")
    assert isinstance(asked, e.RoleRequested)
    assert (asked.how, asked.taker, asked.asked, asked.by) == ("takeover", "bo", "ada", "bo")
    assert asked.why == "bo asks to take over as Commander"
    assert isinstance(page, e.PageQueued)
    assert (page.person, page.asks) == ("ada", "answer")
    assert scene.commander == "ada"
    assert scene.takes("bo", "commander") == (), "asked once"


def test_a_takeover_that_is_accepted_moves_the_role(scene: Scene) -> None:
    scene.takes("bo", "commander")
    scene.answers("ada", "commander.1", accept=True)
    assert scene.commander == "bo"
    assert scene.incident.responders == ("ada", "bo", "cy"), "ada is still here"
    assert scene.incident.people.campaign == 0, "nobody is called for it"


def test_whoever_leaves_the_roster_takes_nothing_over_by_waiting(scene: Scene) -> None:
    scene.takes("bo", "commander")
    people = {name: person for name, person in scene.roster.people.items() if name != "bo"}
    scene.roster = scene.roster.model_copy(update={"people": people})
    (lapsed,) = scene.staffing().record
    assert lapsed == e.RoleAnswered(request="commander.1", answer="lapsed")
    assert scene.commander == "ada"


def test_a_takeover_that_is_declined_changes_nothing(scene: Scene) -> None:
    scene.takes("bo", "commander")
    scene.answers("ada", "commander.1", accept=False)
    scene.passes(10)
    assert scene.staff() == []
    assert scene.commander == "ada"
    scene.takes("bo", "commander")
    assert scene.open() == ["commander.2"], "it can be asked again"


def test_a_takeover_that_nobody_answers_goes_through(scene: Scene) -> None:
    scene.takes("bo", "commander")
    scene.passes(2.9)
    assert scene.staff() == []
    assert scene.staffing().wake_at is not None
    scene.passes(0.1)
    assert scene.staff() == [
        e.RoleAnswered(request="commander.1", answer="lapsed"),
        e.CommanderAppointed(person="bo", reason="ada did not answer"),
    ]
    assert scene.staff() == []


def test_one_who_is_not_here_may_ask_and_arrives_with_the_role(scene: Scene) -> None:
    scene.takes("gus", "commander")
    assert "gus" not in scene.incident.responders
    scene.answers("ada", "commander.1", accept=True)
    assert scene.commander == "gus"
    assert "gus" in scene.incident.responders


def test_a_sign_of_life_is_no_answer(scene: Scene) -> None:
    """Whoever works and does not answer has lost the role; that is why there is a page."""
    scene.takes("bo", "commander")
    scene.passes(2)
    scene.says("ada")
    scene.passes(1)
    scene.staff()
    assert scene.commander == "bo"


# ── several at once ──────────────────────────────────────────────────────────────────────────


def test_of_two_who_ask_the_first_has_it_and_the_second_must_ask_the_first(scene: Scene) -> None:
    scene.takes("bo", "commander")
    scene.passes(1)
    scene.takes("cy", "commander")
    scene.passes(2)
    scene.staff()
    assert scene.commander == "bo"
    scene.passes(1)
    scene.staff()
    assert scene.commander == "bo", "ada, who was asked, has nothing to give any more"
    assert scene.open() == []


def test_a_former_holder_cannot_give_away_what_another_holds(scene: Scene) -> None:
    scene.takes("bo", "commander")
    scene.takes("cy", "commander")
    scene.answers("ada", "commander.1", accept=True)
    scene.answers("ada", "commander.2", accept=True)
    assert scene.commander == "bo", "bo has not agreed"
    asked = one(e.RoleRequested, [r.event for r in scene.incident.people.open_requests()])
    assert (asked.taker, asked.asked) == ("cy", "bo"), "so bo is asked"


def test_a_former_communicator_cannot_either(scene: Scene) -> None:
    scene.takes("bo", "communicator")
    scene.takes("cy", "communicator")
    scene.takes("eve", "communicator")
    scene.answers("bo", "communicator.1", accept=True)
    with pytest.raises(NotPossible, match="cy is Communicator by now"):
        scene.answers("bo", "communicator.2", accept=True)
    assert scene.posts["communicator"] == "cy"


# ── leaving while being asked ────────────────────────────────────────────────────────────────


def test_to_leave_is_to_say_yes(scene: Scene) -> None:
    """Nobody is woken: somebody who is here has asked for command already."""
    scene.takes("bo", "commander")
    left = scene.leaves("ada")
    assert scene.commander == "bo"
    assert one(e.CommanderAppointed, left).reason == "ada left; bo had asked for it"
    assert scene.incident.responders == ("bo", "cy")
    assert scene.open() == []


def test_to_step_down_is_to_say_yes(scene: Scene) -> None:
    scene.takes("ada", "communicator")
    scene.takes("bo", "commander")
    scene.takes("cy", "communicator")
    scene.does("ada", *commanding.step_down(scene.incident, "commander", "ada"))
    assert scene.posts == {"commander": "bo", "communicator": "ada"}
    scene.does("ada", *commanding.step_down(scene.incident, "communicator", "ada"))
    assert scene.posts == {"commander": "bo", "communicator": "cy"}


def test_of_several_the_first_who_asked_has_it(scene: Scene) -> None:
    scene.takes("cy", "commander")
    scene.takes("bo", "commander")
    left = scene.leaves("ada")
    assert scene.commander == "cy"
    answers = [(event.request, event.answer) for event in of(e.RoleAnswered, left)]
    assert answers == [("commander.1", "accepted"), ("commander.2", "lapsed")]


def test_nobody_gets_two_roles_by_it_that_do_not_go_together(scene: Scene) -> None:
    scene.takes("ada", "communicator")
    scene.takes("ada", "commander")
    scene.takes("bo", "communicator")
    scene.takes("bo", "fast_recovery")
    scene.leaves("ada")
    assert scene.posts == {"fast_recovery": "bo"}, "bo recovers, so communication is vacant"


def test_one_who_asked_and_left_gets_nothing(scene: Scene) -> None:
    scene.takes("bo", "commander")
    scene.leaves("bo")
    assert scene.open() == []
    scene.passes(3)
    scene.staff()
    assert scene.commander == "ada"


# ── the separation at the last moment ────────────────────────────────────────────────────────


def test_an_unanswered_takeover_is_off_if_the_roles_do_not_go_together_by_then(
    scene: Scene,
) -> None:
    scene.takes("bo", "communicator")
    scene.takes("cy", "communicator")
    scene.takes("cy", "diagnosis")
    scene.passes(3)
    assert scene.staff() == [e.RoleAnswered(request="communicator.1", answer="lapsed")]
    assert scene.posts["communicator"] == "bo"


def test_an_accepted_takeover_is_refused_if_the_roles_do_not_go_together_by_then(
    scene: Scene,
) -> None:
    scene.takes("bo", "communicator")
    scene.takes("cy", "communicator")
    scene.takes("cy", "fast_recovery")
    with pytest.raises(NotPossible, match="cy is Fast-Recovery Owner"):
        scene.answers("bo", "communicator.1", accept=True)


# ── a dedicated commander ────────────────────────────────────────────────────────────────────


def test_a_lead_who_is_asked_and_says_yes_needs_the_commanders_word_too(scene: Scene) -> None:
    request = asked_by_the_daemon(scene, "gus")
    scene.answers("gus", request, accept=True)
    assert scene.commander == "ada", "rank alone changes nothing"
    assert "gus" in scene.incident.responders
    (asking,) = scene.incident.people.open_requests("commander")
    assert (asking.event.how, asking.event.asked, asking.event.taker) == ("takeover", "ada", "gus")
    assert asking.event.why == "gus is ready to take command (no plan left)"
    scene.passes(3)
    scene.staff()
    assert scene.commander == "gus"


def test_a_commander_without_a_plan_has_agreed_by_saying_so(scene: Scene) -> None:
    scene.does("ada", *commanding.no_plan(scene.incident, "ada", "never seen this"))
    request = asked_by_the_daemon(scene, "gus")
    scene.answers("gus", request, accept=True)
    assert scene.commander == "gus"


def test_what_one_commander_said_does_not_bind_the_next(scene: Scene) -> None:
    scene.does("ada", *commanding.no_plan(scene.incident, "ada", "never seen this"))
    scene.takes("bo", "commander")
    scene.answers("ada", "commander.1", accept=True)
    request = asked_by_the_daemon(scene, "gus")
    scene.answers("gus", request, accept=True)
    assert scene.commander == "bo"
    (asking,) = scene.incident.people.open_requests("commander")
    assert asking.event.asked == "bo"


def test_a_lead_commands_at_once_if_nobody_does(scene: Scene) -> None:
    request = asked_by_the_daemon(scene, "gus")
    scene.leaves("ada")
    scene.answers("gus", request, accept=True)
    assert scene.commander == "gus"


def test_an_ask_that_nobody_answers_comes_to_nothing(scene: Scene) -> None:
    asked_by_the_daemon(scene, "gus")
    scene.passes(3)
    assert scene.staff() == [e.RoleAnswered(request="commander.1", answer="lapsed")]
    assert scene.commander == "ada"


def test_a_question_is_not_called_for_once_it_is_answered(scene: Scene) -> None:
    scene.takes("bo", "commander")
    assert [p.queued.page for p in undelivered(scene.incident)] == ["role-commander.1.ada"]
    scene.answers("ada", "commander.1", accept=False)
    assert undelivered(scene.incident) == []
