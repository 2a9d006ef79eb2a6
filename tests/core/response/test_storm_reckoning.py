"""What is worked out of a storm is kept while nothing of it changes: hundreds are measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.core.incident import events as e
from daemon.core.incident.fold import apply_event
from daemon.core.incident.state import Incident
from daemon.core.response.storm import Storm
from tests.core.build import HOUR, MINUTE, NOW, healthy, make_incident, make_roster, page_queued

JOINED = e.StormJoined(storm="s", began=NOW)


def member(name: str) -> Incident:
    return replace(apply_event(make_incident(), NOW, JOINED), id=name)


def storm() -> Storm:
    return Storm("s", NOW, NOW + HOUR, tuple(member(f"inc-{n}") for n in range(3)))


def test_a_measurement_of_one_leaves_what_was_reckoned(monkeypatch: pytest.MonkeyPatch) -> None:
    known = storm()
    assert (known.pages, known.told_severity("shop")) == ((), "")
    monkeypatch.setattr(Storm, "_pages", lambda _: pytest.fail("reckoned anew"))
    monkeypatch.setattr(Storm, "_told_severity", lambda *_: pytest.fail("reckoned anew"))
    measured = e.RecoveryMeasured(step=0, reading=healthy(NOW + MINUTE))
    after = apply_event(known.members[1], NOW + MINUTE, measured)
    following = known.as_of(after)
    assert following.members[1] is after
    assert (following.pages, following.told_severity("shop")) == ((), "")


def test_a_page_of_one_is_reckoned_at_once() -> None:
    known = storm()
    assert known.pages == ()
    page = page_queued("storm.s.0.ada").model_copy(update={"purpose": "storm", "about": "s"})
    following = known.as_of(apply_event(known.members[0], NOW + MINUTE, page))
    assert [state.queued.page for state in following.pages] == ["storm.s.0.ada"]
    assert known.pages == ()


def test_whether_somebody_is_wanted_is_what_the_list_says() -> None:
    known, roster = storm(), make_roster()
    assert known.wants(roster) is bool(known.wanting(roster)) is True
    came = (
        e.ResponderArrived(person="ada", via="cli"),
        e.CommanderAppointed(person="ada", reason="the first responder"),
    )
    for one in known.members:
        for event in came:
            one = apply_event(one, NOW + MINUTE, event)
        known = known.as_of(one)
    assert known.wants(roster) is bool(known.wanting(roster)) is False
