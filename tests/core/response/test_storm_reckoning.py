"""What is worked out of a storm is kept while nothing of it changes: hundreds are measured."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from daemon.core.incident import events as e
from daemon.core.incident.fold import apply_event
from daemon.core.incident.state import Incident
from daemon.core.measurement.problem import Severity
from daemon.core.response.storm import Storm
from daemon.core.response.storm_decision import storm_due
from daemon.core.response.storm_text import storm_text
from daemon.web.api.storm import storm_view
from tests.core.build import HOUR, MINUTE, NOW, healthy, make_incident, make_roster, page_queued

JOINED = e.StormJoined(storm="s", began=NOW)
STORM_PAGE = page_queued("storm.s.0.ada").model_copy(update={"purpose": "storm", "about": "s"})


def member(name: str) -> Incident:
    return replace(apply_event(make_incident(), NOW, JOINED), id=name)


def storm() -> Storm:
    return Storm("s", NOW, NOW + HOUR, tuple(member(f"inc-{n}") for n in range(3)))


def told_storm() -> Storm:
    """The storm after its first page, which told no severity."""
    known = storm()
    return known.as_of(apply_event(known.members[0], NOW + MINUTE, STORM_PAGE))


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


def test_a_page_of_its_own_leaves_what_was_reckoned(monkeypatch: pytest.MonkeyPatch) -> None:
    known = storm()
    assert (known.pages, known.told_severity("shop")) == ((), "")
    monkeypatch.setattr(Storm, "_pages", lambda _: pytest.fail("reckoned anew"))
    monkeypatch.setattr(Storm, "_told_severity", lambda *_: pytest.fail("reckoned anew"))
    following = known.as_of(apply_event(known.members[2], NOW + MINUTE, page_queued("own")))
    assert (following.pages, following.told_severity("shop")) == ((), "")


def test_a_severity_that_nobody_was_told_leaves_what_was_reckoned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = told_storm()
    assert known.told_severity("shop") == ""
    monkeypatch.setattr(Storm, "_told_severity", lambda *_: pytest.fail("reckoned anew"))
    graver = replace(known.members[1], severity="sev1", severity_rose_at=NOW + HOUR)
    assert known.as_of(graver).told_severity("shop") == ""


@pytest.mark.parametrize(
    ("severity", "rose_at", "left_at", "team", "known_to_shop"),
    [
        ("sev2", NOW, None, "shop", "sev2"),
        ("sev2", NOW, None, "", "sev2"),
        ("sev2", NOW + HOUR, NOW + HOUR, "shop", "sev2"),
        ("sev2", NOW + HOUR, NOW + HOUR, "", ""),
        ("sev2", NOW + HOUR, None, "shop", ""),
    ],
    ids=("told", "told of another's", "called by itself", "another's by itself", "not told"),
)
def test_a_severity_that_people_know_of_is_reckoned_at_once(
    severity: Severity, rose_at: datetime, left_at: datetime | None, team: str, known_to_shop: str
) -> None:
    known = told_storm()
    assert known.told_severity("shop") == ""
    one = known.members[1]
    assert one.storm is not None
    following = known.as_of(
        replace(
            one,
            severity=severity,
            severity_rose_at=rose_at,
            storm=replace(one.storm, left_at=left_at),
            opened=one.opened.model_copy(update={"team": team}),
        )
    )
    assert following.told_severity("shop") == known_to_shop
    assert following.members[1].severity == severity


def test_a_page_of_one_is_reckoned_at_once() -> None:
    known = storm()
    assert known.pages == ()
    following = known.as_of(apply_event(known.members[0], NOW + MINUTE, STORM_PAGE))
    assert [state.queued.page for state in following.pages] == ["storm.s.0.ada"]
    assert known.pages == ()


def test_whether_somebody_is_wanted_is_what_the_list_says() -> None:
    known, roster = storm(), make_roster()
    assert known.wants(roster) is bool(known.wanting(roster)) is True
    assert known.foremost is known.waiting[0]
    came = (
        e.ResponderArrived(person="ada", via="cli"),
        e.CommanderAppointed(person="ada", reason="the first responder"),
    )
    for one in known.members:
        for event in came:
            one = apply_event(one, NOW + MINUTE, event)
        known = known.as_of(one)
    assert known.wants(roster) is bool(known.wanting(roster)) is False
    assert (known.foremost, known.waiting) == (None, ())


def test_one_more_that_opens_leaves_what_was_reckoned(monkeypatch: pytest.MonkeyPatch) -> None:
    known = told_storm()
    assert len(known.pages) == 1
    assert known.told_severity("shop") == ""
    monkeypatch.setattr(Storm, "_pages", lambda _: pytest.fail("reckoned anew"))
    monkeypatch.setattr(Storm, "_told_severity", lambda *_: pytest.fail("reckoned anew"))
    newest = member("inc-3")
    following = known.joined_by(newest)
    assert following.members == (*known.members, newest)
    assert (len(following.pages), following.told_severity("shop")) == (1, "")
    assert following.as_of(newest) is following
    assert [following.is_among_first(m, 3) for m in following.members] == [True] * 3 + [False]


@pytest.mark.parametrize("paged", [False, True])
def test_one_that_joins_was_called_for_by_itself_only_if_somebody_was(paged: bool) -> None:
    incident = replace(make_incident(), id="inc-9")
    if paged:
        incident = apply_event(incident, NOW, page_queued("own"))
    (joined,) = storm_due(incident, storm(), make_roster(), NOW).record
    assert joined == e.StormJoined(storm="s", began=NOW, alone=paged)
    assert ("called for by itself before" in joined.describe()) is paged


def test_one_more_that_has_called_already_is_reckoned() -> None:
    paged = replace(apply_event(member("inc-3"), NOW + MINUTE, STORM_PAGE), id="inc-3")
    known = storm()
    assert known.pages == ()
    assert len(known.joined_by(paged).pages) == 1


def test_what_is_called_for_by_itself_waits_as_well_until_somebody_responds() -> None:
    known = storm()
    left = apply_event(known.members[1], NOW + MINUTE, e.StormLeft(text="it is sev1"))
    following = known.as_of(left)
    assert [one.id for one in following.waiting] == ["inc-0", "inc-2"]
    assert [one.id for one in following.uncommanded] == ["inc-0", "inc-1", "inc-2"]
    shown = storm_view(following, make_roster()).text
    assert "3 wait for somebody" in shown
    assert storm_text(following, make_roster()).startswith(f"{shown}\n")


def test_those_that_wait_for_more_people_are_told_beside_those_that_nobody_has() -> None:
    policy = {"tiers": [{"notify": ["ada"], "wait": "5m"}], "acknowledgements": 2}
    roster, known = make_roster(policies={"shop": policy, "mysql": policy}), storm()
    assert known.short_of_people(roster) == ()
    came = e.CommanderAppointed(person="ada", reason="the first responder")
    known = known.as_of(apply_event(known.members[0], NOW + MINUTE, came))
    told = "2 wait for somebody, 1 waits for more people to come"
    assert storm_text(known, roster).partition("\n")[0].endswith(told)
