"""Whoever a storm's page has called hears once, quietly, that the storm is over."""

from __future__ import annotations

from dataclasses import replace

from daemon.core.decision import Decision, TellEnding
from daemon.core.incident import events as e
from daemon.core.incident.fold import apply_event
from daemon.core.incident.state import Incident
from daemon.core.response.endings import (
    STORM_OVER_AGAIN,
    endings_due,
    storm_ending_title,
    storm_endings_due,
)
from daemon.core.response.storm import Storm
from daemon.core.values.units import clock_time
from tests.core.build import HOUR, MINUTE, NOW, make_incident, make_roster

ROSTER = make_roster(
    people={
        "ada": {"name": "Ada", "contact": [{"email": "ada@example.org"}]},
        "bo": {"name": "Bo", "contact": [{"pagerduty": "env:PD"}]},
    }
)
JOINED = e.StormJoined(storm="s", began=NOW)
RECOVERED = e.Recovered(step=0, text="by itself")
TOLD = TellEnding("ada", "email-1", "storm", 1)


def member(name: str, *happened: e.Event) -> Incident:
    """One of the storm; each of these happened a minute after the one before."""
    incident = replace(apply_event(make_incident(), NOW, JOINED), id=name)
    for minutes, event in enumerate(happened, 1):
        incident = apply_event(incident, NOW + minutes * MINUTE, event)
    return incident


def called(person: str, method: str = "email-1", number: int = 0) -> tuple[e.Event, e.Event]:
    """The storm's page has reached them."""
    page = f"storm-s-{number}.{person}"
    queued = e.PageQueued(
        page=page, person=person, purpose="storm", about="s", occasion=number, text="come"
    )
    return queued, e.PageDelivered(page=page, method=method, proof="ok")


def due(incident: Incident, *others: Incident) -> Decision:
    """What is told by this one of the storm, or without others by one whose storm is forgotten."""
    storm = Storm("s", NOW, NOW + HOUR, (incident, *others)) if others else None
    return storm_endings_due(incident, storm, ROSTER, NOW + HOUR)


def test_they_hear_when_nothing_of_it_is_left_and_not_at_the_end_of_the_one_with_the_page() -> None:
    carrier = member("inc-0", *called("ada"), *called("bo", "pagerduty-1"), RECOVERED)
    assert due(carrier, member("inc-1")) == Decision(wake_at=NOW + HOUR + STORM_OVER_AGAIN)
    assert due(carrier, member("inc-1", RECOVERED)) == Decision(effects=(TOLD,))
    assert endings_due(carrier, ROSTER, NOW + HOUR) == Decision(), "of that one they were not told"


def test_only_whoever_has_carried_the_last_page_to_them_tells() -> None:
    first = member("inc-0", *called("ada"), RECOVERED)
    later = member("inc-1", RECOVERED, e.Relapsed(text="x"), *called("ada", number=1), RECOVERED)
    assert due(first, later) == Decision()
    told = replace(TOLD, recoveries=2)
    assert due(later, first) == Decision(effects=(told,))
    assert due(member("inc-2", RECOVERED), first, later) == Decision()


def test_one_that_was_forgotten_with_its_incidents_closed_is_over() -> None:
    closed = e.IncidentClosed(reason="by_person", text="a test")
    carrier = member("inc-0", *called("ada"), closed)
    assert due(carrier) == Decision(effects=(replace(TOLD, recoveries=0),))
    assert due(member("inc-0", *called("ada"))) == Decision(), "it is not over itself"


def test_what_is_called_for_by_itself_holds_it_up_for_nobody() -> None:
    carrier = member("inc-0", *called("ada"), RECOVERED)
    alone = member("inc-1", e.StormLeft(text="it is sev1"))
    assert due(carrier, alone) == Decision(effects=(TOLD,))


def test_it_is_told_once_and_again_after_another_page() -> None:
    word = e.EndingTold(person="ada", ending="storm", recoveries=1, method="email-1", proof="ok")
    assert "that the storm is over" in word.describe()
    carrier = member("inc-0", *called("ada"), RECOVERED, word)
    assert due(carrier, member("inc-1", RECOVERED)) == Decision()
    again = member("inc-0", *called("ada"), RECOVERED, word, *called("ada", number=1))
    assert due(again, member("inc-1", RECOVERED)) == Decision(effects=(TOLD,))


def test_the_word_about_the_incident_alone_is_none_about_the_storm() -> None:
    own = (
        e.PageQueued(page="own", person="ada", purpose="escalation", text="come"),
        e.PageDelivered(page="own", method="email-1", proof="ok"),
    )
    word = e.EndingTold(
        person="ada", ending="recovered", recoveries=1, method="email-1", proof="ok"
    )
    carrier = member("inc-0", *own, *called("ada"), RECOVERED, word)
    assert endings_due(carrier, ROSTER, NOW + HOUR) == Decision()
    assert due(carrier, member("inc-1", RECOVERED)) == Decision(effects=(TOLD,))


def test_a_way_that_fails_is_tried_again() -> None:
    failed = e.EndingUntold(
        person="ada", ending="storm", recoveries=1, method="email-1", error="503", last=False
    )
    assert "not told by email-1 that the storm is over" in failed.describe()
    carrier = member("inc-0", *called("ada"), RECOVERED, failed)
    assert due(carrier, member("inc-1", RECOVERED)) == Decision(effects=(TOLD,))
    at = carrier.call_answers.storm_words["ada"].at
    assert storm_endings_due(carrier, None, ROSTER, at).wake_at is not None
    last = replace(carrier.call_answers.storm_words["ada"], told=True)
    given_up = replace(
        carrier, call_answers=replace(carrier.call_answers, storm_words={"ada": last})
    )
    assert due(given_up, member("inc-1", RECOVERED)) == Decision()


def test_its_title_says_which_storm_is_over() -> None:
    assert storm_ending_title(member("inc-0")) == f"The storm since {clock_time(NOW)} is over"
