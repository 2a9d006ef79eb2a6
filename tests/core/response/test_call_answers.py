"""Who was called can say "not me" or "later", and a policy can want more than one to come."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.core.incident import events as e
from daemon.core.people.roster import Roster
from daemon.core.response.call_answers import DeclineCall, SnoozeCall, snoozed_calls_due
from daemon.core.response.command import Command
from daemon.core.response.commands import Acknowledge
from daemon.core.response.escalation import engagements_due, pages_due
from daemon.core.response.open_pages import still_relevant, unattended
from daemon.core.response.pager_sync import pager_states_due
from tests.commanding import NotPossible, given
from tests.core.build import HOUSE, MINUTE, make_roster
from tests.core.scene import Scene

TWO = make_roster(
    policies={
        "shop": {
            "tiers": [{"notify": ["ada"], "wait": "5m"}, {"notify": ["fay", "gus"]}],
            "acknowledgements": 2,
        },
        "mysql": {"tiers": [{"notify": ["hal"], "wait": "4m"}, {"notify": ["gus"]}]},
    }
)


class Calling(Scene):
    """Opened, and called by the policy of HOUSE: ada, after five minutes fay and gus."""

    def calls(self) -> list[str]:
        """Queue and deliver what is due now; who is called by it."""
        due = pages_due(self.incident, self.roster, self.now)
        due |= engagements_due(self.incident, self.roster, self.now)
        due |= snoozed_calls_due(self.incident, self.roster, self.now)
        pages: Any = self.happen(*due.record)
        for page in pages:
            self.happen(e.PageDelivered(page=page.page, method="pagerduty-1", proof="queued"))
        return [page.person for page in pages]

    def commands(self, person: str, command: Command) -> tuple[e.Event, ...]:
        return self.does(
            person, *given(self.incident, command, person, now=self.now, roster=self.roster)
        )


@pytest.fixture
def scene() -> Calling:
    scene = Calling()
    assert scene.calls() == ["ada"]
    scene.passes(1)
    return scene


# ── not me ───────────────────────────────────────────────────────────────────────────────────


def test_whoever_declines_has_the_next_tier_called_at_once(scene: Calling) -> None:
    assert scene.calls() == []
    scene.commands("ada", DeclineCall("on a train"))
    assert scene.calls() == ["fay", "gus"]


def test_a_tier_is_waited_for_while_one_of_it_may_still_come(scene: Calling) -> None:
    scene.commands("ada", DeclineCall())
    scene.calls()
    scene.commands("fay", DeclineCall())
    assert scene.calls() == []
    due = pages_due(scene.incident, scene.roster, scene.now)
    assert due.wake_at == scene.now + 5 * MINUTE


def test_later_rounds_pass_over_whoever_declined(scene: Calling) -> None:
    scene.commands("ada", DeclineCall())
    scene.calls()
    scene.passes(5)
    assert scene.calls() == ["fay", "gus"]


def test_once_all_have_declined_all_are_called_again_after_the_wait(scene: Calling) -> None:
    for person in ("ada", "fay", "gus"):
        scene.commands(person, DeclineCall())
        scene.calls()
    assert unattended(scene.incident, scene.roster, scene.now) == ""
    scene.passes(5)
    assert scene.calls() == ["ada"]
    scene.commands("ada", DeclineCall())
    assert scene.calls() == ["fay", "gus"]


def test_a_round_that_everybody_declined_does_not_end_a_bounded_policy() -> None:
    once = make_roster(
        policies={
            "shop": {"tiers": [{"notify": ["ada"], "wait": "5m"}], "repeat": 0},
            "mysql": {"tiers": [{"notify": ["hal"]}]},
        }
    )
    scene = Calling(roster=once)
    scene.calls()
    scene.passes(1)
    scene.commands("ada", DeclineCall())
    scene.passes(5)
    assert scene.calls() == ["ada"]
    scene.passes(5)
    assert scene.calls() == []


def test_a_calling_that_begins_anew_calls_whoever_declined_before(scene: Calling) -> None:
    scene.commands("ada", DeclineCall())
    scene.calls()
    scene.come("fay")
    scene.leaves("fay")
    assert scene.calls() == ["ada"]


def test_a_call_that_was_declined_is_not_delivered_nor_tried_again(scene: Calling) -> None:
    page = scene.incident.pages["r0.t0.ada"]
    assert still_relevant(scene.incident, page)
    scene.commands("ada", DeclineCall())
    assert not still_relevant(scene.incident, page)


def test_an_expert_who_declines_has_the_next_of_their_team_called(scene: Calling) -> None:
    scene.come("ada")
    scene.happen(e.TeamEngaged(team="mysql", person="ada", packet=""))
    assert scene.calls() == ["hal"]
    scene.passes(1)
    scene.commands("hal", DeclineCall())
    assert scene.calls() == ["gus"]


def test_declining_twice_is_declining_once(scene: Calling) -> None:
    assert len(scene.commands("ada", DeclineCall())) == 1
    assert scene.commands("ada", DeclineCall()) == ()


def test_whoever_declined_may_come_all_the_same(scene: Calling) -> None:
    scene.commands("ada", DeclineCall())
    scene.commands("ada", Acknowledge())
    assert scene.incident.commander == "ada"
    assert scene.calls() == []


@pytest.mark.parametrize("command", [DeclineCall(), SnoozeCall()])
def test_only_a_call_to_come_can_be_put_off(scene: Calling, command: Command) -> None:
    with pytest.raises(NotPossible, match="you were not called"):
        scene.commands("bo", command)
    scene.come("ada")
    with pytest.raises(NotPossible, match="`stopgap leave 0301-1409` takes you off it"):
        scene.commands("ada", command)


# ── later ────────────────────────────────────────────────────────────────────────────────────


def test_a_snooze_calls_again_and_the_policy_goes_on_meanwhile(scene: Calling) -> None:
    scene.commands("ada", SnoozeCall(15 * MINUTE))
    assert scene.calls() == []
    scene.passes(4)
    assert scene.calls() == ["fay", "gus"]
    scene.come("gus")
    scene.passes(20)
    assert scene.calls() == []


def test_a_snooze_that_is_over_calls_that_person_once() -> None:
    patient = make_roster(
        policies={
            "shop": {"tiers": [{"notify": ["ada"], "wait": "30m"}]},
            "mysql": {"tiers": [{"notify": ["hal"]}]},
        }
    )
    scene = Calling(roster=patient)
    scene.calls()
    scene.commands("ada", SnoozeCall(5 * MINUTE))
    assert snoozed_calls_due(scene.incident, patient, scene.now).wake_at == scene.now + 5 * MINUTE
    scene.passes(5)
    assert scene.calls() == ["ada"]
    assert scene.calls() == []
    scene.commands("ada", SnoozeCall(5 * MINUTE))
    scene.passes(5)
    assert scene.calls() == ["ada"]
    assert {"again-ada-1.ada", "again-ada-2.ada"} <= scene.incident.pages.keys()


def test_nobody_is_called_again_after_the_recovery(scene: Calling) -> None:
    scene.confirm()
    scene.commands("ada", SnoozeCall(5 * MINUTE))
    scene.happen(e.Recovered(step=0, text="by itself"))
    scene.passes(6)
    assert not snoozed_calls_due(scene.incident, scene.roster, scene.now)


def test_a_snooze_is_no_longer_than_an_hour(scene: Calling) -> None:
    with pytest.raises(NotPossible, match="`stopgap decline 0301-1409` has the next one called"):
        scene.commands("ada", SnoozeCall(90 * MINUTE))


# ── several acknowledgements ─────────────────────────────────────────────────────────────────


def test_calling_goes_on_until_so_many_have_come_as_the_policy_asks_for() -> None:
    scene = Calling(roster=TWO)
    scene.calls()
    scene.come("ada")
    assert scene.incident.commander == "ada"
    scene.passes(5)
    assert scene.calls() == ["fay", "gus"]
    scene.come("gus")
    assert scene.incident.commander == "ada"
    scene.passes(60)
    assert scene.calls() == []


def test_those_who_are_there_are_not_called_for_the_number() -> None:
    scene = Calling(roster=TWO)
    scene.calls()
    scene.come("ada")
    scene.passes(5)
    scene.calls()
    scene.passes(5)
    assert scene.calls() == ["fay", "gus"]


def test_a_recovery_needs_no_second_person() -> None:
    scene = Calling(roster=TWO)
    scene.calls()
    scene.come("ada")
    scene.confirm()
    scene.happen(e.Recovered(step=0, text="by itself"))
    scene.passes(30)
    assert scene.calls() == []


def test_the_pager_of_the_first_is_acknowledged_and_that_of_the_second_goes_on() -> None:
    scene = Calling(roster=TWO)
    scene.calls()
    scene.passes(5)
    scene.calls()
    scene.come("ada")
    told = pager_states_due(scene.incident, scene.now).effects
    assert [(s.person, s.state) for s in told] == [("ada", "acknowledged")]  # type: ignore[union-attr]
    scene.come("gus")
    told = pager_states_due(scene.incident, scene.now).effects
    assert {s.person for s in told} == {"ada", "fay", "gus"}  # type: ignore[union-attr]


def test_a_policy_asks_for_one_at_the_least() -> None:
    assert HOUSE.policy_for("shop").acknowledgements == 1
    with pytest.raises(ValueError, match="acknowledgements"):
        Roster.model_validate(
            {
                **HOUSE.model_dump(),
                "policies": {"shop": {"tiers": [{"notify": ["ada"]}], "acknowledgements": 0}},
            }
        )
