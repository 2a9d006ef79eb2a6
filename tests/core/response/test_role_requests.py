"""What the daemon does about command by itself: ask, replace, call higher ground."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from daemon.core.incident import events as e
from daemon.core.response.escalation import pages_due
from daemon.core.response.open_pages import undelivered
from daemon.core.response.role_requests import deputy
from tests import commanding
from tests.core.build import MINUTE, NOW, delivered, make_roster, page_queued
from tests.core.scene import Scene, of, one

NO_VACANCIES = {"staffed_from": "sev1", "vacancy": "9d"}
"""Timing under which nobody is asked for the other roles."""


@pytest.fixture
def scene() -> Scene:
    """ada commands; bo and eve are here; it rang at ada's."""
    scene = Scene(page_queued(), delivered(), roster=make_roster(timing=NO_VACANCIES))
    scene.come("ada", "bo", "eve")
    return scene


# ── a silent Commander ───────────────────────────────────────────────────────────────────────


def test_a_commander_who_is_silent_is_asked_once(scene: Scene) -> None:
    assert scene.staff() == []
    assert scene.staffing().wake_at == NOW + 20 * MINUTE
    scene.passes(20)
    asked, page = scene.staff()
    assert asked == e.CommanderAsked(person="ada", until=NOW + 23 * MINUTE)
    assert isinstance(page, e.PageQueued)
    assert (page.page, page.asks) == ("alive-1.ada", "alive")
    assert page.text.startswith("are you still on it? Nothing was heard of you.")
    assert scene.staff() == []
    assert scene.staffing().wake_at == NOW + 23 * MINUTE
    assert scene.commander == "ada"


def in_the_pager(scene: Scene) -> tuple[e.Event, ...]:
    report = commanding.RecordPagerReport(
        "pagerduty", "acknowledged", "ada", "ada", scene.now, "r1"
    )
    return commanding.mark_heard(scene.incident, report, scene.now, 10 * MINUTE)


SIGNS: list[Callable[[Scene], object]] = [
    lambda s: s.says("ada"),
    lambda s: s.does("ada", *commanding.acknowledge(s.incident, "ada", "cli")),
    lambda s: s.happen(*in_the_pager(s)),
    lambda s: s.does("ada", e.LinkUsed(page="alive-1.ada")),
    lambda s: s.takes("ada", "communicator"),
    lambda s: s.does("ada", *commanding.pause(s.incident, "ada", "wait")),
]


@pytest.mark.parametrize("sign", SIGNS)
def test_any_sign_of_life_is_an_answer(scene: Scene, sign: Callable[[Scene], object]) -> None:
    scene.passes(20)
    scene.staff()
    scene.passes(2)
    sign(scene)
    assert scene.incident.people.sign_of_life_request is None
    assert undelivered(scene.incident) == [], "and the question need not be delivered any more"
    scene.passes(1)
    assert scene.staff() == []
    assert scene.commander == "ada"
    scene.passes(19)
    assert one(e.PageQueued, scene.staff()).page == "alive-2.ada", "and the time begins anew"


def test_what_others_do_is_no_sign_of_the_commander(scene: Scene) -> None:
    scene.passes(19)
    scene.says("bo")
    scene.happen(e.Noted(text="the daemon's own word"))
    scene.passes(1)
    assert one(e.CommanderAsked, scene.staff()).person == "ada"
    scene.says("bo")
    assert scene.incident.people.sign_of_life_request is not None


def test_an_old_report_that_comes_late_is_no_sign_of_life(scene: Scene) -> None:
    scene.happen(*in_the_pager(scene))
    seen = scene.incident.people.seen["ada"]
    late = commanding.RecordPagerReport("opsgenie", "acknowledged", "ada", "", NOW - MINUTE, "r0")
    scene.passes(20)
    scene.staff()
    scene.happen(*commanding.mark_heard(scene.incident, late, scene.now, 10 * MINUTE))
    assert scene.incident.people.sign_of_life_request is not None
    assert scene.incident.people.seen["ada"] == seen


# ── the deputy ───────────────────────────────────────────────────────────────────────────────


def silent(scene: Scene) -> list[e.Event]:
    """The Commander is asked and does not answer; what is done then."""
    scene.passes(20)
    scene.staff()
    scene.passes(3)
    return scene.staff()


def test_a_commander_who_does_not_answer_is_replaced_by_the_deputy(scene: Scene) -> None:
    scene.takes("bo", "diagnosis")
    scene.passes(15)
    scene.says("eve")
    scene.now = NOW
    record = silent(scene)
    assert [event.kind for event in record] == [
        "ResponderLeft",
        "CommandVacated",
        "CommanderAppointed",
        "PageQueued",
    ]
    assert one(e.CommanderAppointed, record) == e.CommanderAppointed(
        person="eve", reason="deputy: ada did not answer"
    )
    page = one(e.PageQueued, record)
    assert (page.page, page.person) == ("deputy-1.eve", "eve")
    assert page.text.startswith("you are Commander now, for ada did not answer.")
    assert scene.incident.responders == ("bo", "eve")
    assert pages_due(scene.incident, scene.roster, scene.now).record == (), "nobody else is woken"
    assert scene.staff() == []
    quiet_at = NOW + 15 * MINUTE + 20 * MINUTE
    assert scene.staffing().wake_at == quiet_at, "to be appointed is no sign of life"


def test_the_deputy_is_the_freest_of_those_who_are_here(scene: Scene) -> None:
    assert deputy(scene.incident, scene.roster) == "bo"
    onlooker = scene.roster.people["bo"].model_copy(update={"access": "viewer"})
    people = {**scene.roster.people, "bo": onlooker}
    roster = scene.roster.model_copy(update={"people": people})
    assert deputy(scene.incident, roster) == "eve", "bo may only look by now"
    scene.takes("bo", "communicator")
    assert deputy(scene.incident, scene.roster) == "eve"
    scene.takes("eve", "diagnosis")
    scene.takes("eve", "fast_recovery")
    assert deputy(scene.incident, scene.roster) == "bo"
    scene.leaves("bo")
    scene.leaves("eve")
    assert deputy(scene.incident, scene.roster) == ""


def test_a_deputy_who_was_silent_as_long_is_asked_too(scene: Scene) -> None:
    """They may all be asleep: three minutes each, not twenty."""
    record = silent(scene)
    assert one(e.CommanderAppointed, record).person == "bo"
    assert one(e.CommanderAsked, record) == e.CommanderAsked(
        person="bo", until=scene.now + 3 * MINUTE
    )
    page = one(e.PageQueued, record)
    assert (page.person, page.asks) == ("bo", "alive")
    assert "you are Commander now" in page.text
    scene.passes(3)
    assert one(e.CommanderAppointed, scene.staff()).person == "eve"
    scene.passes(3)
    assert [event.kind for event in scene.staff()] == ["ResponderLeft", "CommandVacated"]
    assert scene.incident.responders == ()
    assert scene.now == NOW + 29 * MINUTE
    due = pages_due(scene.incident, scene.roster, scene.now)
    assert [page.page for page in due.record] == ["r1.t0.ada"], "and the calling begins anew"


def test_a_deputy_who_answers_stays(scene: Scene) -> None:
    silent(scene)
    scene.says("bo")
    scene.passes(3)
    assert scene.staff() == []
    assert scene.commander == "bo"


def test_without_a_deputy_the_calling_begins_anew() -> None:
    scene = Scene(page_queued(), delivered(), roster=make_roster(timing=NO_VACANCIES))
    scene.come("ada")
    record = silent(scene)
    assert one(e.CommandVacated, record).reason == "ada did not answer"
    assert one(e.ResponderLeft, record).via == "silence"
    due = pages_due(scene.incident, scene.roster, scene.now)
    assert [page.page for page in due.record] == ["r1.t0.ada"]
    assert scene.staff() == []


def test_whoever_has_asked_for_command_is_preferred_to_the_deputy(scene: Scene) -> None:
    scene.passes(20)
    scene.staff()
    scene.passes(1)
    scene.takes("eve", "commander")
    scene.passes(2)
    record = scene.staff()
    assert one(e.CommanderAppointed, record).person == "eve"
    assert scene.commander == "eve"


def test_a_silent_commander_loses_the_other_roles_too(scene: Scene) -> None:
    scene.takes("ada", "communicator")
    record = silent(scene)
    assert one(e.RoleLeft, record).role == "communicator"
    assert scene.posts == {"commander": "bo"}


def test_nobody_is_asked_while_service_is_restored(scene: Scene) -> None:
    scene.passes(20)
    scene.staff()
    scene.happen(e.Recovered(step=1, text="x"))
    scene.passes(60)
    assert scene.staff() == []
    scene.happen(e.Relapsed(text="x"))
    (asked,) = of(e.CommanderAsked, scene.staff())
    assert asked.until == scene.now + 3 * MINUTE, "asked anew, with time to answer"
    assert scene.commander == "ada"
