"""Numbers that come after a page follow it: once, to whom it concerns, for a while."""

from __future__ import annotations

import pytest

from daemon.core.decision import AmendPage, Decision
from daemon.core.incident import events as e
from daemon.core.response.amendments import AMEND_TRIES, amendments_due
from daemon.core.response.escalation import MOST_PAGE_HOLD, pages_due
from tests.core.build import HOUR, SECOND, opening
from tests.core.scene import Scene

AMENDS = Decision(effects=(AmendPage("r0.t0.ada"),))


def told(measured: bool) -> Scene:
    """Ada was paged, and after that the problem was measured."""
    scene = Scene()
    scene.happen(*pages_due(scene.incident, scene.roster, scene.now).record)
    scene.happen(e.PageDelivered(page="r0.t0.ada", method="mail-1", proof="x", measured=measured))
    scene.confirm()
    return scene


def due(scene: Scene) -> Decision:
    return amendments_due(scene.incident, scene.now)


def test_the_numbers_follow_a_page_that_told_none_and_no_other() -> None:
    assert due(told(measured=False)) == AMENDS
    assert due(told(measured=True)) == Decision()


def test_pages_of_earlier_versions_are_not_amended() -> None:
    old = e.decode('{"kind":"PageDelivered","page":"p","method":"mail-1","proof":"x"}')
    assert isinstance(old, e.PageDelivered)
    assert old.measured


def test_they_are_told_once_also_after_a_restart() -> None:
    scene = told(measured=False)
    scene.happen(e.PageAmended(page="r0.t0.ada", method="mail-1", proof="x"))
    assert due(scene) == Decision()
    scene.incident = scene.restarted()
    assert due(scene) == Decision()


def test_what_failed_is_tried_again_but_not_for_ever() -> None:
    scene = told(measured=False)
    for number in range(1, AMEND_TRIES + 1):
        last = number == AMEND_TRIES
        scene.happen(e.PageNotAmended(page="r0.t0.ada", method="mail-1", error="x", last=last))
        if not last:
            later = due(scene)
            assert later.effects == ()
            assert later.wake_at is not None
            assert later.wake_at > scene.now
            scene.now = later.wake_at
            assert due(scene) == AMENDS
    scene.now += HOUR
    assert due(scene) == Decision()


@pytest.mark.parametrize(
    "over",
    [
        e.Recovered(step=0, text="x"),
        e.IncidentClosed(reason="by_person", text="x"),
        e.CommanderAppointed(person="fay", reason="x"),
    ],
)
def test_what_is_over_or_somebody_elses_is_not_told(over: e.Event) -> None:
    scene = told(measured=False)
    scene.happen(over)
    assert due(scene) == Decision()


def test_whoever_has_come_is_told() -> None:
    scene = told(measured=False)
    scene.come("ada")
    assert due(scene) == AMENDS


def test_a_later_page_with_numbers_makes_it_needless() -> None:
    scene = told(measured=False)
    scene.passes(15)
    (again,) = [
        p
        for p in pages_due(scene.incident, scene.roster, scene.now).record
        if isinstance(p, e.PageQueued) and p.person == "fay"
    ]
    mine = again.model_copy(update={"page": "r1.t0.ada", "person": "ada"})
    scene.happen(mine, e.PageDelivered(page="r1.t0.ada", method="mail-1", proof="x"))
    assert due(scene) == Decision()


# ── the hold ─────────────────────────────────────────────────────────────────────────────────


def test_the_first_page_is_held_until_it_is_measured_or_the_time_is_over() -> None:
    scene, hold = Scene(), 2 * SECOND
    until = scene.now + hold
    assert pages_due(scene.incident, scene.roster, scene.now, hold) == Decision(wake_at=until)
    assert pages_due(scene.incident, scene.roster, until, hold).record
    scene.confirm()
    assert pages_due(scene.incident, scene.roster, scene.now, hold).record


def test_only_the_first_page_is_held() -> None:
    scene = Scene()
    scene.happen(*pages_due(scene.incident, scene.roster, scene.now).record)
    scene.happen(e.PageFailed(page="r0.t0.ada", method="x", error="x", last=True))
    assert pages_due(scene.incident, scene.roster, scene.now, MOST_PAGE_HOLD).record


def test_what_nothing_measures_and_whom_a_person_calls_is_not_held() -> None:
    scene = Scene()
    scene.incident = scene.incident.__class__(
        scene.incident.id, scene.incident.opened_at, opening("")
    )
    assert pages_due(scene.incident, scene.roster, scene.now, MOST_PAGE_HOLD).record
    jumped = Scene(e.EscalationJumped(tier=1, person="ada"))
    assert pages_due(jumped.incident, jumped.roster, jumped.now, MOST_PAGE_HOLD).record


def test_the_numbers_of_one_incident_do_not_follow_the_page_of_a_whole_storm() -> None:
    scene = told(measured=False)
    page = e.PageQueued(page="s.ada", person="ada", purpose="storm", about="s", text="Storm")
    taken = e.PageDelivered(page="s.ada", method="mail-1", proof="x", measured=False)
    scene.happen(page, taken)
    assert due(scene) == AMENDS
