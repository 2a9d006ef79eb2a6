"""Expert teams, gaps in the schedules, last resorts, and when calling has come to its end."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.core.decision import Decision
from daemon.core.incident import events as e
from daemon.core.people.roster import LAST_RESORT_WAIT
from daemon.core.response.command import NotPossible
from daemon.core.response.escalation import engagements_due, pages_due
from daemon.core.response.open_pages import still_relevant, unattended
from tests import commanding
from tests.core.build import HOUR, HOUSE, MINUTE, NOW, delivered, failed, make_roster, page_queued
from tests.core.response.test_campaigns import GAPPED, called, gapped
from tests.core.scene import Scene, one

# ── expert teams ─────────────────────────────────────────────────────────────────────────────


def test_an_expert_team_is_called_by_its_own_policy_until_one_of_it_answers() -> None:
    scene = Scene()
    scene.come("ada")
    engage = commanding.engage(scene.incident, HOUSE, "mysql", "ada", "slow queries", "http://doc")
    assert one(e.TeamEngaged, engage).packet.startswith("ada asks for your help: slow queries")
    scene.does("ada", *engage)
    (first,) = engagements_due(scene.incident, HOUSE, scene.now).record
    assert (first.page, first.about) == ("engage-mysql.r0.t0.hal", "mysql")
    assert first.text.splitlines()[0] == "ada asks for your help: slow queries"
    assert "Everything: http://doc" in first.text
    scene.happen(first)
    assert engagements_due(scene.incident, HOUSE, scene.now) == Decision(wake_at=NOW + 4 * MINUTE)
    scene.passes(4)
    (second,) = engagements_due(scene.incident, HOUSE, scene.now).record
    assert second.person == "gus"
    scene.happen(second)
    scene.come("fay")
    assert not scene.incident.people.engaged["mysql"].answered_by, "fay is of another team"
    assert one(
        e.TeamAnswered, scene.does("gus", *commanding.acknowledge(scene.incident, "gus", "cli"))
    ) == e.TeamAnswered(team="mysql", person="gus")
    scene.passes(60)
    assert engagements_due(scene.incident, HOUSE, scene.now) == Decision()
    assert not any(still_relevant(scene.incident, page) for page in scene.incident.pages.values())
    assert scene.commander == "ada"


def test_an_expert_who_is_here_already_answers_for_the_team_by_acknowledging() -> None:
    scene = Scene()
    scene.come("ada", "hal")
    scene.does("ada", *commanding.engage(scene.incident, HOUSE, "mysql", "ada", "", ""))
    scene.happen(*engagements_due(scene.incident, HOUSE, scene.now).record)
    assert scene.does("hal", *commanding.acknowledge(scene.incident, "hal", "cli")) == (
        e.TeamAnswered(team="mysql", person="hal"),
    )


def test_whoever_calls_their_own_team_in_is_not_called_themselves() -> None:
    scene = Scene()
    scene.come("hal")
    scene.does("hal", *commanding.engage(scene.incident, HOUSE, "mysql", "hal", "", ""))
    (page,) = engagements_due(scene.incident, HOUSE, scene.now).record
    assert page.person == "gus"
    scene.happen(page)
    scene.passes(60)
    assert all(p.person == "gus" for p in engagements_due(scene.incident, HOUSE, scene.now).record)


def test_a_team_is_engaged_once_and_must_be_known() -> None:
    scene = Scene()
    scene.does("ada", *commanding.engage(scene.incident, HOUSE, "mysql", "ada", "", ""))
    assert commanding.engage(scene.incident, HOUSE, "mysql", "bo", "", "") == ()
    with pytest.raises(NotPossible, match="no team 'redis'; the roster has mysql, shop"):
        commanding.engage(scene.incident, HOUSE, "redis", "ada", "", "")
    scene.happen(e.IncidentClosed(reason="by_person", text="x"))
    assert engagements_due(scene.incident, HOUSE, scene.now + HOUR) == Decision()


# ── who is on call ───────────────────────────────────────────────────────────────────────────


def test_an_empty_tier_is_not_waited_for() -> None:
    scene = Scene(roster=gapped(two=[(0, 60, ("gus",))]))
    assert called(scene) == ["r0.t1.gus"]
    scene.passes(5)
    assert called(scene) == ["r1.t1.gus"], "and the first tier is still empty"


def test_tiers_are_those_of_the_moment_of_the_call() -> None:
    """A handover in the middle of a night: whoever has the turn now is called."""
    scene = Scene(roster=gapped(one=[(0, 3, ("ada",)), (3, 60, ("eve",))], two=[(0, 4, ("gus",))]))
    assert called(scene) == ["r0.t0.ada"]
    scene.passes(4)
    assert called(scene) == ["r1.t0.eve"], "the second tier has just emptied"


@pytest.mark.parametrize(
    ("changes", "people"),
    [
        ({}, ["fay"]),
        ({"default_policy": "shop"}, ["bo", "cy", "ada", "eve"]),
        ({"default_policy": "shop", "teams": {}}, sorted(HOUSE.people)),
    ],
)
def test_when_nobody_at_all_is_on_call_too_many_are_called(
    changes: dict[str, Any], people: list[str]
) -> None:
    """The default policy's people, else the team's leads and owners, else everybody."""
    roster = make_roster(**{**GAPPED, **changes})
    scene = Scene(roster=roster)
    tier = roster.tiers("shop", NOW)[-1]
    assert sorted(tier.people) == sorted(people)
    assert called(scene) == [f"r0.t2.{person}" for person in tier.people]
    due = pages_due(scene.incident, roster, scene.now)
    assert due == Decision(wake_at=NOW + LAST_RESORT_WAIT)


def test_after_the_last_resort_the_policy_goes_on_with_whoever_is_back() -> None:
    scene = Scene(roster=gapped(one=[(3, 60, ("eve",))]))
    assert called(scene) == ["r0.t2.fay"]
    scene.passes(5)
    assert called(scene) == ["r1.t0.eve"]


def test_the_last_resort_comes_when_the_tiers_empty_on_the_way() -> None:
    scene = Scene(roster=gapped(one=[(0, 3, ("eve",))]))
    assert called(scene) == ["r0.t0.eve"]
    scene.passes(4)
    assert called(scene) == ["r0.t2.fay"]


# ── what the auditor asks ────────────────────────────────────────────────────────────────────

ONCE = make_roster(policies={"shop": {"tiers": [{"notify": ["ada"]}], "repeat": 0}})


def audited(*events: e.Event, after: float = 0) -> str:
    scene = Scene(*events, roster=ONCE)
    return unattended(scene.incident, ONCE, NOW + after * MINUTE)


def test_nobody_called_is_a_defect() -> None:
    assert audited() == "", "the first page may be held for a moment"
    assert audited(after=0.5) == "calls are due and are not being made"
    assert audited(page_queued(), after=99) == "", "it is being made"
    assert audited(page_queued(), delivered(), after=4) == "", "ada has her time"
    end = "nobody responded, and the escalation policy has come to its end"
    assert audited(page_queued(), delivered(), after=5) == end
    unreached = (page_queued(), failed(temporary=True))
    assert audited(*unreached, after=0.5) == "", "it is tried again"
    assert audited(*unreached, after=99) == "calls are due and are not being made"


def test_what_is_commanded_restored_or_over_is_no_defect() -> None:
    rang = (page_queued(), delivered())
    assert audited(*rang, e.Recovered(step=0, text="x"), after=99) == ""
    assert audited(*rang, e.IncidentClosed(reason="by_person", text="x"), after=99) == ""
    scene = Scene(*rang, roster=ONCE)
    scene.come("hal")
    assert unattended(scene.incident, ONCE, NOW + HOUR) == ""
    scene.leaves("hal")
    assert unattended(scene.incident, ONCE, NOW + HOUR) == "calls are due and are not being made"


def test_one_who_only_responds_does_not_make_it_attended() -> None:
    scene = Scene(page_queued(), delivered(), roster=ONCE)
    scene.come("ada", "hal")
    scene.leaves("ada")
    scene.happen(page_queued("r1.t0.ada", round_=1), delivered("r1.t0.ada"))
    assert "has come to its end" in unattended(scene.incident, ONCE, NOW + HOUR)
