"""Pagers that go on calling by themselves: when they are told that they need not any more."""

from __future__ import annotations

import pytest

from daemon.core.decision import Settle
from daemon.core.incident import events as e
from daemon.core.incident.events.pages import Settled
from daemon.core.incident.page_identity import Purpose
from daemon.core.response.pager_sync import PAGER_TRIES, pager_states_due
from daemon.core.response.paging import alert_of, direct_page
from tests.core.build import MINUTE, NOW, SECOND, delivered, page_queued
from tests.core.scene import Scene


def rang(
    scene: Scene, page: str = "r0.t0.ada", person: str = "ada", method: str = "pagerduty"
) -> None:
    scene.happen(page_queued(page, person), delivered(page, method))


def asks(scene: Scene, person: str, purpose: Purpose, about: str) -> str:
    """A question to somebody, taken by their pager; returns the page."""
    (page,) = direct_page(scene.incident, person, purpose, "?", about)
    scene.happen(page, delivered(page.page, "pagerduty"))
    return page.page


def to_tell(scene: Scene) -> list[Settle]:
    return list(pager_states_due(scene.incident, scene.now).effects)


def settled(
    state: Settled, alert: str = "", person: str = "ada", method: str = "pagerduty"
) -> e.PagerSettled:
    return e.PagerSettled(person=person, method=method, state=state, proof="ok", alert=alert)


def unsettled(state: Settled, *, last: bool = False) -> e.PagerUnsettled:
    return e.PagerUnsettled(person="ada", method="pagerduty", state=state, error="x", last=last)


def own(state: Settled, person: str = "ada", method: str = "pagerduty") -> Settle:
    """The order about the incident's own alert."""
    return Settle(person, method, "", state)


@pytest.fixture
def scene() -> Scene:
    """It rang at ada's pager, which keeps state."""
    scene = Scene()
    rang(scene)
    scene.passes(1)
    return scene


def test_while_nobody_commands_a_pager_may_go_on_calling(scene: Scene) -> None:
    assert to_tell(scene) == []
    scene.happen(e.ResponderArrived(person="bo", via="cli"))
    assert to_tell(scene) == [], "who only responds does not silence it"


def test_once_somebody_commands_every_pager_that_rang_is_acknowledged(scene: Scene) -> None:
    rang(scene, "r0.t1.bo", "bo", "opsgenie")
    rang(scene, "r0.t1.cy", "cy", "grafana_oncall")
    scene.come("bo")
    assert to_tell(scene) == [
        own("acknowledged"),
        own("acknowledged", "bo", "opsgenie"),
        own("acknowledged", "cy", "grafana_oncall"),
    ]
    scene.happen(settled("acknowledged"))
    assert [order.person for order in to_tell(scene)] == ["bo", "cy"]


@pytest.mark.parametrize("method", ["console", "webhook", "email", "slack"])
def test_other_ways_do_not_keep_state(method: str) -> None:
    scene = Scene()
    rang(scene, method=method)
    scene.come("ada")
    assert to_tell(scene) == []


def test_a_page_that_no_pager_took_is_not_settled() -> None:
    scene = Scene(page_queued())
    scene.come("bo")
    assert to_tell(scene) == []


@pytest.mark.parametrize(
    "over", [e.Recovered(step=0, text="x"), e.IncidentClosed(reason="by_person", text="x")]
)
def test_when_it_is_over_it_is_resolved_whoever_came(scene: Scene, over: e.Event) -> None:
    scene.happen(over)
    assert to_tell(scene) == [own("resolved")]
    scene.happen(settled("resolved"))
    assert to_tell(scene) == []
    other = Scene()
    rang(other)
    other.come("ada")
    other.happen(settled("acknowledged"), over)
    assert to_tell(other) == [own("resolved")]


def test_a_page_after_a_vacated_command_makes_void_what_was_told_before(scene: Scene) -> None:
    scene.come("bo")
    scene.happen(settled("acknowledged"))
    scene.leaves("bo")
    assert to_tell(scene) == [], "it may ring again"
    scene.passes(1)
    rang(scene, "r1.t0.ada")
    assert to_tell(scene) == []
    scene.passes(1)
    scene.come("bo")
    assert to_tell(scene) == [own("acknowledged")], "the page has triggered it anew"
    scene.happen(settled("acknowledged"))
    assert to_tell(scene) == []


def test_a_page_of_a_restored_incident_is_not_silenced_at_once(scene: Scene) -> None:
    """Whoever is called after the recovery is called for a reason."""
    scene.happen(e.Recovered(step=0, text="x"), settled("resolved"))
    scene.passes(1)
    rang(scene, "r0.t1.ada")
    assert to_tell(scene) == []
    scene.passes(1)
    scene.come("ada")
    assert to_tell(scene) == [own("acknowledged")]
    scene.happen(settled("acknowledged"))
    scene.happen(e.IncidentClosed(reason="recovered", text="x"))
    assert to_tell(scene) == [own("resolved")]


# ── questions to people who are there ────────────────────────────────────────────────────────


def test_a_question_is_an_alert_of_its_own_and_rings_under_command(scene: Scene) -> None:
    """Or nobody would hear it: these pagers are silent about an alert that was acknowledged."""
    scene.come("ada")
    scene.happen(settled("acknowledged"))
    scene.passes(1)
    page = asks(scene, "ada", "approval", "1-not_approved")
    state = scene.incident.pages[page]
    assert alert_of(state.queued) == page
    assert alert_of(page_queued()) == ""
    assert to_tell(scene) == []


def test_a_question_is_resolved_by_a_sign_of_life(scene: Scene) -> None:
    scene.come("ada")
    scene.happen(settled("acknowledged"))
    scene.passes(1)
    page = asks(scene, "ada", "approval", "1-not_approved")
    scene.passes(1)
    scene.says("bo")
    assert to_tell(scene) == [], "bo's"
    scene.says("ada")
    assert to_tell(scene) == [Settle("ada", "pagerduty", page, "resolved")]
    scene.happen(settled("resolved", page))
    assert to_tell(scene) == []


def test_a_question_is_resolved_once_it_is_no_question_any_more() -> None:
    scene = Scene()
    scene.come("ada", "bo")
    scene.takes("bo", "commander")
    (page,) = scene.incident.pages
    scene.happen(delivered(page, "pagerduty"))
    assert to_tell(scene) == []
    scene.passes(3)
    scene.staff()
    assert scene.commander == "bo"
    assert to_tell(scene) == [Settle("ada", "pagerduty", page, "resolved")]


def test_of_two_commanders_who_were_asked_only_the_open_question_rings() -> None:
    scene = Scene()
    scene.come("ada", "bo")
    scene.passes(20)
    scene.staff()
    scene.happen(delivered("alive-1.ada", "pagerduty"))
    scene.passes(3)
    scene.staff()
    assert scene.commander == "bo"
    scene.happen(delivered("alive-2.bo", "pagerduty"))
    assert to_tell(scene) == [Settle("ada", "pagerduty", "alive-1.ada", "resolved")]


def test_a_recovery_resolves_the_questions_of_before_and_not_those_of_after(scene: Scene) -> None:
    scene.come("ada")
    scene.happen(settled("acknowledged"))
    before = asks(scene, "ada", "approval", "1-not_approved")
    scene.passes(1)
    scene.happen(e.Recovered(step=0, text="x"))
    scene.passes(1)
    after = asks(scene, "ada", "refired", "")
    assert to_tell(scene) == [own("resolved"), Settle("ada", "pagerduty", before, "resolved")]
    scene.happen(e.IncidentClosed(reason="recovered", text="x"))
    assert Settle("ada", "pagerduty", after, "resolved") in to_tell(scene)


# ── pagers that cannot be told ───────────────────────────────────────────────────────────────


def test_a_pager_that_cannot_be_told_is_tried_again_after_growing_pauses(scene: Scene) -> None:
    scene.come("ada")
    pauses = []
    for number in range(1, PAGER_TRIES + 1):
        assert to_tell(scene) == [own("acknowledged")]
        scene.happen(unsettled("acknowledged", last=number == PAGER_TRIES))
        assert to_tell(scene) == []
        again = pager_states_due(scene.incident, scene.now).wake_at
        if number < PAGER_TRIES:
            assert again is not None
            pauses.append((again - scene.now) / SECOND)
            scene.now = again
    assert pauses == [30, 60, 120, 240, 480, 600, 600, 600, 600]
    assert pager_states_due(scene.incident, scene.now).wake_at is None
    scene.passes(60)
    assert to_tell(scene) == []


def test_what_was_given_up_once_is_not_given_up_for_ever(scene: Scene) -> None:
    scene.come("bo")
    scene.happen(unsettled("acknowledged", last=True))
    scene.passes(20)
    assert to_tell(scene) == []
    scene.leaves("bo")
    rang(scene, "r1.t0.ada")
    scene.passes(1)
    scene.come("bo")
    assert to_tell(scene) == [own("acknowledged")], "another call, another try"
    scene.happen(unsettled("acknowledged", last=True))
    scene.passes(20)
    assert to_tell(scene) == []
    scene.happen(e.IncidentClosed(reason="by_person", text="x"))
    assert to_tell(scene) == [own("resolved")], "another state, another try"


def test_one_that_fails_keeps_no_other_waiting(scene: Scene) -> None:
    rang(scene, "r0.t1.bo", "bo", "opsgenie")
    scene.come("ada")
    scene.happen(unsettled("acknowledged"))
    assert to_tell(scene) == [own("acknowledged", "bo", "opsgenie")]
    assert pager_states_due(scene.incident, scene.now).wake_at == NOW + MINUTE + 30 * SECOND
