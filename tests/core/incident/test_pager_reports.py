"""What pagers and chats report: counted once, in the order of their own time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import pytest

from daemon.core.incident import events as e
from daemon.core.response.commands import RecordPagerReport
from tests import commanding
from tests.core.build import MINUTE, NOW, SECOND
from tests.core.scene import Scene, one

STALE = 10 * MINUTE
Said = Literal["acknowledged", "unacknowledged"]


def report(
    person: str,
    at: datetime,
    said: Said = "acknowledged",
    *,
    reference: str = "",
    source: str = "pagerduty",
    who: str = "",
) -> RecordPagerReport:
    return RecordPagerReport(
        source, said, person, who or person, at, reference or f"{said}-{person}-{at}"
    )


def hears(scene: Scene, told: RecordPagerReport) -> tuple[e.Event, ...]:
    by = f"person:{told.person}" if told.person else e.DAEMON
    return scene.happen(*commanding.mark_heard(scene.incident, told, scene.now, STALE), by=by)


def test_an_acknowledgement_in_a_pager_counts_as_one() -> None:
    scene = Scene()
    said, arrived, appointed = hears(scene, report("ada", NOW, who="Ada Lovelace"))
    assert isinstance(said, e.PagerSaid)
    assert (said.person, said.who, said.occurred_at) == ("ada", "Ada Lovelace", NOW)
    assert arrived == e.ResponderArrived(person="ada", via="pagerduty")
    assert appointed == e.CommanderAppointed(person="ada", reason="the first responder")


def test_the_same_report_counts_once() -> None:
    scene = Scene()
    first = report("ada", NOW)
    hears(scene, first)
    assert hears(scene, first) == ()
    scene.leaves("ada")
    scene.passes(1)
    assert hears(scene, first) == (), "also after she has left"
    assert scene.commander == ""


def test_a_report_that_another_has_overtaken_counts_no_more() -> None:
    scene = Scene()
    scene.passes(3)
    hears(scene, report("ada", NOW + 2 * MINUTE))
    assert hears(scene, report("ada", NOW + MINUTE, "unacknowledged")) == ()
    assert scene.commander == "ada"
    hears(scene, report("", NOW + 3 * MINUTE, "unacknowledged"))
    assert scene.commander == ""
    assert hears(scene, report("bo", NOW + 2.5 * MINUTE)) == ()
    assert scene.commander == ""


def test_two_reports_of_one_moment_both_count() -> None:
    scene = Scene()
    hears(scene, report("ada", NOW))
    assert one(e.ResponderArrived, hears(scene, report("bo", NOW))).person == "bo"
    scene.leaves("ada")
    assert hears(scene, report("ada", NOW)) == (), "and each only once"


def test_each_source_has_its_own_order() -> None:
    scene = Scene()
    scene.passes(3)
    hears(scene, report("ada", NOW + 2 * MINUTE))
    assert hears(scene, report("bo", NOW + MINUTE, source="slack"))
    assert scene.incident.responders == ("ada", "bo")


def test_what_one_already_did_elsewhere_is_only_noted() -> None:
    scene = Scene()
    scene.come("ada")
    assert [event.kind for event in hears(scene, report("ada", NOW))] == ["PagerSaid"]


# ── acknowledgements that do not count ───────────────────────────────────────────────────────


@pytest.mark.parametrize("who", ["", "Workflow 7", "nobody@else"])
def test_automation_and_strangers_are_noted_and_command_nothing(who: str) -> None:
    scene = Scene()
    (said,) = hears(scene, RecordPagerReport("pagerduty", "acknowledged", "", who, NOW, "r1"))
    assert isinstance(said, e.PagerSaid)
    assert (said.person, said.who) == ("", who)
    assert scene.incident.responders == ()
    assert "" not in scene.incident.people.seen


def test_a_stale_acknowledgement_commands_nothing() -> None:
    """The pager was cut off for a while: whoever acknowledged may be asleep again."""
    scene = Scene()
    scene.passes(20)
    assert [event.kind for event in hears(scene, report("ada", NOW + 9 * MINUTE))] == ["PagerSaid"]
    assert scene.commander == ""
    hears(scene, report("ada", NOW + 10 * MINUTE))
    assert scene.commander == "ada", "ten minutes old is fresh enough"


def test_a_clock_that_is_ahead_does_not_overtake_what_comes_next() -> None:
    scene = Scene()
    hears(scene, report("ada", NOW + timedelta(hours=1)))
    assert scene.commander == "ada"
    assert scene.incident.people.pager_reports["pagerduty"].at == NOW
    scene.passes(1)
    hears(scene, report("", scene.now, "unacknowledged"))
    assert scene.commander == ""


@pytest.mark.parametrize("how", ["leaves", "steps_down", "is_silent"])
def test_an_acknowledgement_from_before_command_was_vacated_does_not_count(how: str) -> None:
    scene = Scene()
    scene.come("ada")
    scene.passes(5)
    if how == "leaves":
        scene.leaves("ada")
    elif how == "steps_down":
        scene.does("ada", *commanding.step_down(scene.incident, "commander", "ada"))
    else:
        scene.passes(20)
        scene.staff()
        scene.passes(3)
        scene.staff()
    assert scene.commander == ""
    vacated = scene.now
    scene.passes(1)
    for at in (vacated - MINUTE, vacated):
        assert [event.kind for event in hears(scene, report("bo", at))] == ["PagerSaid"]
    assert scene.commander == ""
    hears(scene, report("bo", vacated + SECOND))
    assert scene.commander == "bo"


def test_in_a_closed_incident_nothing_is_heard() -> None:
    scene = Scene(e.IncidentClosed(reason="by_person", text="x"))
    assert hears(scene, report("ada", NOW)) == ()


# ── taking it back ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("person", "who"), [("ada", "ada"), ("", "timeout"), ("", ""), ("hal", "")]
)
def test_an_acknowledgement_that_is_taken_back_vacates_command(person: str, who: str) -> None:
    """By herself, by a time-out of the pager, or by somebody else at the same alert."""
    scene = Scene()
    hears(scene, report("ada", NOW))
    scene.takes("ada", "communicator")
    scene.passes(1)
    record = hears(scene, report(person, scene.now, "unacknowledged", who=who))
    said, *left = record
    assert isinstance(said, e.PagerSaid)
    assert [event.kind for event in left] == ["RoleLeft", "ResponderLeft", "CommandVacated"]
    assert one(e.ResponderLeft, record) == e.ResponderLeft(person="ada", via="pagerduty")
    by = f" by {person or who}" if person or who else ""
    assert one(e.CommandVacated, record).reason == f"unacknowledged in pagerduty{by}"
    assert scene.posts == {}


def test_a_responder_who_takes_it_back_leaves_the_commander_alone() -> None:
    scene = Scene()
    hears(scene, report("ada", NOW))
    hears(scene, report("bo", NOW + SECOND))
    record = hears(scene, report("bo", NOW + 2 * SECOND, "unacknowledged"))
    assert one(e.ResponderLeft, record).person == "bo"
    assert scene.commander == "ada"
    hears(scene, report("", NOW + 3 * SECOND, "unacknowledged"))
    assert scene.commander == ""


@pytest.mark.parametrize("person", ["", "hal"])
def test_a_commander_who_answered_elsewhere_stays(person: str) -> None:
    """We have acknowledged the alert ourselves, and the pager's time for that has run out."""
    scene = Scene()
    scene.come("ada")
    scene.passes(30)
    scene.says("ada")
    assert [x.kind for x in hears(scene, report(person, scene.now, "unacknowledged"))] == [
        "PagerSaid"
    ]
    assert scene.commander == "ada"
    hears(scene, report("ada", scene.now + SECOND, "unacknowledged"))
    assert scene.commander == "", "her own word counts wherever she gives it"


def test_a_report_about_the_commander_of_before_does_not_touch_the_next() -> None:
    scene = Scene()
    hears(scene, report("ada", NOW))
    scene.leaves("ada")
    scene.come("bo")
    scene.passes(1)
    hears(scene, report("", scene.now, "unacknowledged"))
    assert scene.commander == "bo"


def test_to_acknowledge_again_right_after_it_was_taken_back_counts_however_late_we_hear() -> None:
    """The pager's own times put them in order; both reports came a minute late."""
    scene = Scene()
    hears(scene, report("ada", NOW))
    scene.passes(2)
    hears(scene, report("", NOW + 10 * SECOND, "unacknowledged"))
    assert scene.commander == ""
    scene.passes(0.1)
    hears(scene, report("", NOW + 12 * SECOND, who="a workflow"))
    assert scene.commander == ""
    hears(scene, report("bo", NOW + 15 * SECOND))
    assert scene.commander == "bo"


def test_if_command_was_vacated_again_since_it_does_not_count() -> None:
    scene = Scene()
    hears(scene, report("ada", NOW))
    scene.passes(1)
    hears(scene, report("", NOW + 10 * SECOND, "unacknowledged"))
    scene.come("bo")
    scene.passes(1)
    scene.leaves("bo")
    hears(scene, report("cy", NOW + 90 * SECOND))
    assert scene.commander == "", "cy's word is older than bo's leaving"


def test_to_take_back_what_nobody_gave_is_only_noted() -> None:
    scene = Scene()
    assert [x.kind for x in hears(scene, report("ada", NOW, "unacknowledged"))] == ["PagerSaid"]
