"""No plan, no Commander's plan, a rising severity: who is called in above."""

from __future__ import annotations

import pytest

from daemon.core.incident import events as e
from daemon.core.people.roster import Roster
from tests import commanding
from tests.core.build import delivered, make_roster, page_queued
from tests.core.scene import Scene, of, one

NO_VACANCIES = {"staffed_from": "sev1", "vacancy": "9d"}
"""Timing under which nobody is asked for the other roles."""


@pytest.fixture
def scene() -> Scene:
    """ada commands; bo and eve are here; it rang at ada's."""
    scene = Scene(page_queued(), delivered(), roster=make_roster(timing=NO_VACANCIES))
    scene.come("ada", "bo", "eve")
    return scene


# ── higher ground: a dedicated commander ─────────────────────────────────────────────────────


def asked_to_command(scene: Scene) -> list[str]:
    """Do what is due; returns who was asked to command by that."""
    return [
        event.asked
        for event in of(e.RoleRequested, scene.staff())
        if event.role == "commander" and event.how == "ask"
    ]


def test_at_the_end_of_the_plan_the_lead_is_asked_and_then_the_stability_owner() -> None:
    scene = Scene(roster=make_roster(timing=NO_VACANCIES))
    scene.come("ada")
    assert asked_to_command(scene) == []
    scene.diagnose()
    record = scene.staff()
    request = one(e.RoleRequested, record)
    assert (request.asked, request.taker, request.by) == ("bo", "bo", "")
    assert request.why == (
        "fast recovery is at its end (every alternative was tried), so you are asked to command"
    )
    assert one(e.PageQueued, record).person == "bo"
    assert asked_to_command(scene) == [], "one after the other"
    scene.passes(3)
    assert asked_to_command(scene) == ["cy"], "bo did not answer"
    scene.answers("cy", "commander.2", accept=False)
    scene.passes(9)
    assert asked_to_command(scene) == [], "everybody was asked once"


def test_a_commander_without_a_plan_gets_a_dedicated_one() -> None:
    scene = Scene(roster=make_roster(timing=NO_VACANCIES))
    scene.come("ada")
    scene.does("ada", *commanding.no_plan(scene.incident, "ada", "never seen this"))
    request = one(e.RoleRequested, scene.staff())
    assert request.asked == "bo"
    assert request.why.startswith("the Commander has no plan (never seen this)")
    scene.answers("bo", request.request, accept=True)
    assert scene.commander == "bo"
    assert asked_to_command(scene) == []


@pytest.mark.parametrize("commander", ["bo", "cy"])
def test_a_dedicated_commander_who_commands_already_is_not_asked(commander: str) -> None:
    scene = Scene(roster=make_roster(timing=NO_VACANCIES))
    scene.come(commander)
    scene.diagnose()
    assert asked_to_command(scene) == []


def test_they_are_asked_also_while_nobody_commands() -> None:
    scene = Scene(roster=make_roster(timing=NO_VACANCIES))
    scene.diagnose()
    assert asked_to_command(scene) == ["bo"]
    scene.answers("bo", "commander.1", accept=True)
    assert scene.commander == "bo"


def test_they_are_asked_anew_after_a_relapse() -> None:
    scene = Scene(roster=make_roster(timing=NO_VACANCIES))
    scene.come("ada")
    scene.does("ada", *commanding.no_plan(scene.incident, "ada", "x"))
    assert asked_to_command(scene) == ["bo"]
    scene.answers("bo", "commander.1", accept=False)
    assert asked_to_command(scene) == ["cy"]
    scene.answers("cy", "commander.2", accept=False)
    scene.happen(e.Recovered(step=0, text="x"))
    assert asked_to_command(scene) == []
    scene.passes(1)
    scene.happen(e.Relapsed(text="x"))
    assert asked_to_command(scene) == [], "the plan is gone through anew first"
    assert one(e.NoPlanDeclared, scene.does("ada", *commanding.no_plan(scene.incident, "ada", "y")))
    assert asked_to_command(scene) == ["bo"]


def test_while_a_takeover_of_command_is_open_nobody_else_is_asked(scene: Scene) -> None:
    scene.takes("eve", "commander")
    scene.diagnose()
    assert asked_to_command(scene) == []
    scene.answers("ada", "commander.1", accept=False)
    assert asked_to_command(scene) == ["bo"]


@pytest.mark.parametrize(
    "over", [e.Recovered(step=1, text="x"), e.IncidentClosed(reason="by_person", text="x")]
)
def test_nobody_is_asked_for_anything_once_it_is_over(scene: Scene, over: e.Event) -> None:
    scene.confirm("sev1")
    scene.diagnose()
    scene.happen(over)
    scene.passes(90)
    assert scene.staff() == []


def test_in_a_closed_incident_not_even_a_request_lapses(scene: Scene) -> None:
    scene.takes("bo", "commander")
    scene.happen(e.IncidentClosed(reason="by_person", text="x"))
    scene.passes(9)
    assert scene.staffing().record == ()
    assert scene.staffing().wake_at is None


# ── higher ground: the ladder ────────────────────────────────────────────────────────────────


def rungs(scene: Scene) -> list[str]:
    return [page.page for page in of(e.PageQueued, scene.staff())]


def test_each_severity_calls_its_leads_once_and_only_upwards() -> None:
    scene = Scene(roster=make_roster(timing=NO_VACANCIES))
    scene.come("ada")
    scene.confirm("sev3")
    assert rungs(scene) == []
    scene.confirm("sev2")
    assert rungs(scene) == ["severity-sev2.bo"]
    assert rungs(scene) == []
    scene.confirm("sev1")
    (first, second) = of(e.PageQueued, scene.staff())
    assert (first.page, second.page) == ("severity-sev1.gus", "severity-sev1.bo")
    assert first.text.startswith("severity is sev1 now: checkout: success rate")
    scene.confirm("sev2")
    scene.passes(9)
    assert rungs(scene) == [], "it does not fall"


def test_a_lead_who_is_here_is_not_called_by_the_ladder() -> None:
    scene = Scene(roster=make_roster(timing=NO_VACANCIES))
    scene.come("bo")
    scene.confirm("sev1")
    assert rungs(scene) == ["severity-sev1.gus"]


def test_trouble_that_opens_at_sev1_calls_the_people_of_sev2_too() -> None:
    ladder = {"sev3": ["hal"], "sev2": ["cy", "bo"], "sev1": ["gus", "bo"]}
    scene = Scene(roster=make_roster(timing=NO_VACANCIES, ladder=ladder))
    scene.come("ada")
    scene.confirm("sev1")
    expected = ["severity-sev1.gus", "severity-sev1.bo", "severity-sev2.cy", "severity-sev3.hal"]
    assert rungs(scene) == expected, "nobody twice, by the gravest rung that names them"


def test_whom_a_rung_below_has_called_is_not_called_again_by_the_rise() -> None:
    ladder = {"sev2": ["cy"], "sev1": ["gus"]}
    scene = Scene(roster=make_roster(timing=NO_VACANCIES, ladder=ladder))
    scene.come("ada")
    scene.confirm("sev2")
    assert rungs(scene) == ["severity-sev2.cy"]
    scene.confirm("sev1")
    assert rungs(scene) == ["severity-sev1.gus"]


def test_a_lead_of_rank_who_comes_is_offered_command_and_both_have_their_say() -> None:
    scene = Scene(roster=make_roster(timing=NO_VACANCIES))
    scene.come("ada")
    scene.confirm("sev1")
    (page, _) = of(e.PageQueued, scene.staff())
    assert page.person == "gus"
    assert page.text.endswith("ada commands; once you are here, command is offered to you")
    scene.come("gus")
    assert scene.commander == "ada", "rank takes it from nobody"
    offer = one(e.RoleRequested, scene.staff())
    assert (offer.how, offer.asked, offer.taker, offer.by) == ("offer", "gus", "gus", "")
    takeover = one(e.RoleRequested, scene.answers("gus", offer.request, accept=True))
    assert (takeover.how, takeover.asked) == ("takeover", "ada")
    assert scene.commander == "ada", "her word is still to come"
    scene.answers("ada", takeover.request, accept=True)
    assert scene.commander == "gus"
    scene.passes(1)
    assert of(e.RoleRequested, scene.staff()) == []


def test_who_declines_command_or_says_nothing_is_not_offered_it_again() -> None:
    scene = Scene(roster=make_roster(timing=NO_VACANCIES))
    scene.come("ada", "gus", "bo")
    scene.confirm("sev1")
    first = one(e.RoleRequested, scene.staff())
    assert first.asked == "gus"
    scene.answers("gus", first.request, accept=False)
    second = one(e.RoleRequested, scene.staff())
    assert second.asked == "bo", "one after the other"
    scene.passes(3)
    assert of(e.RoleRequested, scene.staff()) == []
    assert scene.commander == "ada"
    scene.diagnose()
    assert asked_to_command(scene) == ["bo"], "without a plan it is another question"


def test_the_ladder_calls_without_a_commander_too() -> None:
    scene = Scene(roster=make_roster(timing=NO_VACANCIES))
    scene.confirm("sev2")
    assert rungs(scene) == ["severity-sev2.bo"]


def test_without_a_ladder_and_a_team_nobody_is_called() -> None:
    bare = Roster.model_validate(
        {
            "people": {"ada": {"name": "Ada", "contact": [{"console": True}]}},
            "policies": {"all": {"tiers": [{"notify": ["ada"]}]}},
            "default_policy": "all",
        }
    )
    scene = Scene(roster=bare)
    scene.come("ada")
    scene.confirm("sev1")
    scene.diagnose()
    assert scene.staff() == []
    scene.does("ada", *commanding.step_down(scene.incident, "commander", "ada"))
    assert scene.staff() == []
