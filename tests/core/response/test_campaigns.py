"""Calling anew after command was vacated, jumps, expert teams, last resorts, and the end of it."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.core.decision import Decision
from daemon.core.incident import events as e
from daemon.core.people.roster import Roster
from daemon.core.people.schedules import Shift
from daemon.core.response.command import NotPossible
from daemon.core.response.escalation import pages_due
from daemon.core.response.open_pages import retries_due, undelivered
from tests import commanding
from tests.core.build import MINUTE, NOW, delivered, failed, make_roster, page_queued
from tests.core.scene import Scene


def called(scene: Scene) -> list[str]:
    """Queue what is due by the policy now; returns the names of the pages."""
    due = pages_due(scene.incident, scene.roster, scene.now)
    return [page.page for page in scene.happen(*due.record) if isinstance(page, e.PageQueued)]


def jumps(scene: Scene, tier: int, by: str = "hal") -> tuple[e.Event, ...]:
    return scene.does(by, *commanding.jump(scene.incident, scene.roster, tier, by, scene.now))


GAPPED: dict[str, Any] = {
    "schedules": {n: {"zone": "UTC", "calendar": {"file": "x.ics"}} for n in ("one", "two")},
    "policies": {
        "shop": {"tiers": [{"notify": ["one"], "wait": "4m"}, {"notify": ["two"]}]},
        "all": {"tiers": [{"notify": ["fay"]}]},
        "mysql": {"tiers": [{"notify": ["hal"]}]},
    },
    "default_policy": "all",
}


def gapped(**shifts: list[tuple[float, float, tuple[str, ...]]]) -> Roster:
    """HOUSE with the policy of the shop on two schedules; shifts in minutes after NOW."""
    return make_roster(**GAPPED).knowing(
        {
            name: [Shift(NOW + a * MINUTE, NOW + b * MINUTE, people) for a, b, people in told]
            for name, told in shifts.items()
        }
    )


# ── command is vacated ───────────────────────────────────────────────────────────────────────


def test_when_the_commander_leaves_the_calling_begins_anew() -> None:
    scene = Scene()
    assert called(scene) == ["r0.t0.ada"]
    scene.passes(5)
    assert called(scene) == ["r0.t1.fay", "r0.t1.gus"]
    scene.come("ada")
    assert called(scene) == []
    scene.passes(1)
    scene.leaves("ada")
    assert called(scene) == ["r1.t0.ada"], "at once, from the first tier, in a round of its own"
    assert called(scene) == []
    scene.passes(5)
    assert called(scene) == ["r1.t1.fay", "r1.t1.gus"]


def test_a_responder_who_leaves_or_stays_does_not_stop_the_calling() -> None:
    scene = Scene(page_queued())
    scene.come("ada", "bo")
    scene.leaves("ada")
    assert called(scene) == ["r1.t0.ada"], "bo is here, but does not command"
    scene.leaves("bo")
    scene.passes(5)
    assert called(scene) == ["r1.t1.fay", "r1.t1.gus"]


def test_pages_of_before_are_neither_sent_nor_tried_again() -> None:
    scene = Scene(page_queued("r0.t1.fay", "fay", tier=1), page_queued())
    scene.happen(failed("r0.t0.ada", temporary=True))
    assert [p.queued.page for p in undelivered(scene.incident)] == ["r0.t1.fay"]
    scene.come("bo")
    scene.leaves("bo")
    scene.passes(1)
    assert undelivered(scene.incident) == []
    assert retries_due(scene.incident, scene.now) == Decision()


def test_a_bounded_policy_has_all_its_rounds_again() -> None:
    policies = {"shop": {"tiers": [{"notify": ["ada"]}], "repeat": 0}}
    scene = Scene(roster=make_roster(policies=policies))
    scene.happen(page_queued(), delivered())
    scene.passes(5)
    assert called(scene) == []
    scene.come("bo")
    scene.leaves("bo")
    assert called(scene) == ["r1.t0.ada"]


# ── jumps ────────────────────────────────────────────────────────────────────────────────────


def test_a_jump_calls_the_tier_at_once_and_the_escalation_goes_on_from_there() -> None:
    scene = Scene()
    called(scene)
    jumps(scene, 2)
    assert called(scene) == ["r0.t1.fay", "r0.t1.gus"]
    assert called(scene) == []
    scene.passes(5)
    assert called(scene) == ["r1.t0.ada"]


def test_a_jump_back_is_a_round_of_its_own() -> None:
    scene = Scene()
    called(scene)
    scene.passes(5)
    called(scene)
    jumps(scene, 1)
    assert called(scene) == ["r1.t0.ada"]
    scene.passes(5)
    assert called(scene) == ["r1.t1.fay", "r1.t1.gus"]


def test_of_two_jumps_the_last_counts() -> None:
    scene = Scene()
    called(scene)
    jumps(scene, 2)
    jumps(scene, 1)
    assert called(scene) == ["r1.t0.ada"]
    assert called(scene) == []


def test_a_jump_to_a_tier_without_anybody_goes_to_the_next() -> None:
    scene = Scene(roster=gapped(two=[(0, 60, ("gus",))]))
    jumps(scene, 1)
    assert called(scene) == ["r0.t1.gus"]


def test_a_jump_to_a_last_tier_without_anybody_goes_to_the_first_that_has_somebody() -> None:
    tiers = [{"notify": [name]} for name in ("one", "gus", "two")]
    roster = make_roster(
        **{**GAPPED, "policies": {"shop": {"tiers": tiers}}, "default_policy": "shop"}
    )
    scene = Scene(roster=roster)
    jumps(scene, 3)
    assert called(scene) == ["r0.t1.gus"]


def test_a_jump_after_the_end_of_a_policy_calls_again() -> None:
    policies = {"shop": {"tiers": [{"notify": ["ada"]}], "repeat": 0}}
    scene = Scene(roster=make_roster(policies=policies))
    scene.happen(page_queued(), delivered())
    scene.passes(60)
    assert called(scene) == []
    jumps(scene, 1)
    assert called(scene) == ["r1.t0.ada"]


def test_under_command_a_jump_calls_those_who_are_not_here() -> None:
    scene = Scene(page_queued())
    scene.come("ada", "fay")
    jumped, call = jumps(scene, 2, "ada")
    assert jumped == e.EscalationJumped(tier=1, person="ada")
    assert isinstance(call, e.PageQueued)
    assert (call.page, call.asks) == ("jump-1.gus", "acknowledge")
    assert call.text.startswith("ada calls for you: ")
    assert called(scene) == []
    assert [p.queued.page for p in undelivered(scene.incident)] == ["jump-1.gus"]
    (again,) = jumps(scene, 2, "fay")[1:]
    assert isinstance(again, e.PageQueued)
    assert again.page == "jump-2.gus", "asked again, called again"
    scene.come("gus")
    with pytest.raises(NotPossible, match="tier 2 has nobody who is not here already"):
        jumps(scene, 2, "ada")


def test_a_jump_of_before_does_not_skip_tiers_of_the_next_campaign() -> None:
    """Begins anew means anew: the first tier is on call, the second was wanted for its advice."""
    scene = Scene(page_queued())
    scene.come("ada")
    jumps(scene, 2, "ada")
    scene.leaves("ada")
    assert called(scene) == ["r1.t0.ada"]
    other = Scene()
    called(other)
    jumps(other, 2)
    other.come("ada")
    other.leaves("ada")
    assert called(other) == ["r1.t0.ada"]


@pytest.mark.parametrize("tier", [-1, 0, 3])
def test_there_is_no_jump_to_a_tier_that_is_not_there(tier: int) -> None:
    with pytest.raises(NotPossible, match=f"no tier {tier}; the policy has 2"):
        jumps(Scene(), tier)
