"""The ten-minute clock: what is due when, when it counts as there, and who is nudged once."""

from __future__ import annotations

from datetime import datetime

import pytest

from daemon.core.decision import Decision
from daemon.core.incident import events as e
from daemon.core.people.roster import Roster
from daemon.core.response.milestones import (
    MILESTONES,
    Milestone,
    MilestoneReading,
    overdue_milestones,
    read_clock,
)
from tests import commanding
from tests.core.build import (
    HOUSE,
    MINUTE,
    NOW,
    ROSTER,
    SECOND,
    confirmed,
    delivered,
    finished,
    make_incident,
    make_problem,
    opening,
    page_queued,
    started,
)
from tests.core.scene import Scene, of


def clock(scene: Scene) -> dict[Milestone, MilestoneReading]:
    return {r.item: r for r in read_clock(scene.incident, scene.roster, scene.now)}


def states(scene: Scene) -> dict[Milestone, str]:
    return {item: reading.state for item, reading in clock(scene).items()}


def missed(scene: Scene) -> list[e.Event]:
    due = overdue_milestones(scene.incident, scene.roster, scene.now)
    return list(scene.happen(*due.record))


def test_at_the_beginning_everything_that_is_known_to_be_needed_runs() -> None:
    assert states(Scene()) == {
        "quantified": "running",
        "document": "running",
        "commander": "running",
        "first_update": "not_needed",
        "communicator": "not_needed",
        "recovery_decision": "not_needed",
    }


@pytest.mark.parametrize(
    ("item", "minutes"),
    [
        ("quantified", 1),
        ("document", 2),
        ("commander", 5),
        ("first_update", 5),
        ("communicator", 5),
        ("recovery_decision", 10),
    ],
)
def test_each_item_is_late_from_its_minute_on(item: Milestone, minutes: float) -> None:
    scene = Scene(confirmed(make_problem(at=NOW, severity="sev2")))
    scene.now = NOW + minutes * MINUTE
    if item == "quantified":
        scene = Scene()
        scene.now = NOW + MINUTE
    assert clock(scene)[item].due_at == scene.now
    assert states(scene)[item] == "late"
    scene.now -= SECOND
    assert states(scene)[item] == "running"
    assert set(MILESTONES) == set(clock(scene))


DONE: list[tuple[Milestone, tuple[e.Event, ...]]] = [
    ("quantified", (confirmed(),)),
    ("document", (page_queued(), delivered())),
    (
        "commander",
        (
            e.ResponderArrived(person="ada", via="cli"),
            e.CommanderAppointed(person="ada", reason="x"),
        ),
    ),
    ("communicator", (e.RoleTaken(role="communicator", person="bo", reason="x"),)),
    ("recovery_decision", (started(),)),
    ("recovery_decision", (e.DiagnosisOpened(reason="no_plan", text="x"),)),
    ("recovery_decision", (e.NoPlanDeclared(person="ada", reason="x"),)),
    ("recovery_decision", (e.Recovered(step=0, text="x"),)),
]


@pytest.mark.parametrize(("item", "events"), DONE)
@pytest.mark.parametrize("state", ["met", "late"])
def test_an_item_is_there_from_its_event_on(
    item: Milestone, events: tuple[e.Event, ...], state: str
) -> None:
    scene = Scene()
    if item == "communicator":
        scene.confirm("sev2")
    scene.passes(MILESTONES[item][1] / MINUTE + (0 if state == "met" else 0.5))
    done_at = scene.now
    scene.happen(*events)
    scene.passes(30)
    reading = clock(scene)[item]
    assert (reading.done_at, reading.took) == (done_at, done_at - NOW)
    assert reading.state == state
    assert item not in {event.item for event in of(e.DeadlineMissed, missed(scene))}


def test_what_was_done_first_counts() -> None:
    scene = Scene()
    scene.come("ada")
    scene.takes("ada", "communicator")
    scene.passes(4)
    scene.takes("bo", "communicator")
    scene.answers("ada", "communicator.1", accept=True)
    scene.leaves("ada")
    scene.come("ada")
    scene.confirm("sev2")
    scene.happen(started(), finished())
    scene.passes(1)
    scene.diagnose()
    readings = clock(scene)
    assert readings["commander"].done_at == readings["communicator"].done_at == NOW
    assert readings["recovery_decision"].done_at == NOW + 4 * MINUTE
    assert readings["quantified"].done_at == NOW + 4 * MINUTE


def test_the_document_is_in_peoples_hands_by_a_page_or_an_update() -> None:
    scene = Scene()
    scene.happen(page_queued())
    assert clock(scene)["document"].done_at is None, "queued is not delivered"
    drafted = commanding.draft_now(scene.incident, HOUSE, "team", "", scene.now)
    scene.happen(*drafted)
    assert clock(scene)["first_update"].done_at is None, "drafted is not sent"
    scene.passes(1)
    scene.does("ada", *commanding.send(scene.incident, "team.1", "ada", None, None))
    assert clock(scene)["document"].done_at == NOW + MINUTE
    assert clock(scene)["first_update"].done_at == NOW + MINUTE


# ── what is not needed ───────────────────────────────────────────────────────────────────────


def test_without_a_rule_nothing_is_quantified() -> None:
    incident = make_incident((NOW, opening("")))
    state = {r.item: r.state for r in read_clock(incident, HOUSE, NOW + 9 * MINUTE)}
    assert state["quantified"] == "not_needed"
    assert state["commander"] == "late"


def test_what_ended_sooner_needs_no_more_of_it() -> None:
    scene = Scene()
    scene.confirm("sev1")
    scene.passes(3)
    scene.happen(e.Recovered(step=0, text="x"))
    scene.passes(30)
    assert states(scene) == {
        "quantified": "met",
        "document": "late",
        "commander": "not_needed",
        "first_update": "not_needed",
        "communicator": "not_needed",
        "recovery_decision": "met",
    }
    scene.happen(e.IncidentClosed(reason="recovered", text="x"))
    assert overdue_milestones(scene.incident, HOUSE, scene.now) == Decision()


@pytest.mark.parametrize(
    ("roster", "severity", "first_update", "communicator"),
    [
        (HOUSE, "sev4", "late", "not_needed"),
        (HOUSE, "sev2", "late", "late"),
        (ROSTER, "sev2", "not_needed", "late"),
    ],
)
def test_updates_and_a_communicator_are_needed_by_the_severity(
    roster: Roster, severity: str, first_update: str, communicator: str
) -> None:
    scene = Scene(roster=roster)
    scene.confirm(severity)
    scene.passes(5)
    state = states(scene)
    assert (state["first_update"], state["communicator"]) == (first_update, communicator)


# ── what turns out to be needed late ─────────────────────────────────────────────────────────


def test_what_nobody_knew_to_be_needed_is_not_late_at_once() -> None:
    """The problem is confirmed after twelve minutes: the Commander is not blamed for that."""
    scene = Scene()
    scene.come("ada")
    scene.passes(12)
    missed(scene)
    scene.confirm("sev2")
    readings = clock(scene)
    assert missed(scene) == []
    assert readings["first_update"].due_at == readings["communicator"].due_at == NOW + 17 * MINUTE
    assert readings["recovery_decision"].due_at == NOW + 22 * MINUTE
    scene.passes(5)
    items = {event.item for event in of(e.DeadlineMissed, missed(scene))}
    assert items == {"first_update", "communicator"}


def test_a_rising_severity_gives_no_new_time_for_what_is_late_already() -> None:
    scene = Scene()
    scene.come("ada")
    scene.confirm("sev3")
    scene.passes(5)
    assert "first_update" in {event.item for event in of(e.DeadlineMissed, missed(scene))}
    scene.passes(1)
    scene.confirm("sev1")
    assert clock(scene)["first_update"].due_at == NOW + 5 * MINUTE
    assert clock(scene)["communicator"].due_at == NOW + 11 * MINUTE


def test_what_was_done_in_time_stays_so_when_the_severity_rises() -> None:
    scene = Scene()
    scene.confirm("sev3")
    scene.come("ada")
    scene.takes("ada", "communicator")
    scene.passes(9)
    scene.confirm("sev1")
    reading = clock(scene)["communicator"]
    assert (reading.state, reading.due_at) == ("met", NOW + 5 * MINUTE)


# ── nudges ───────────────────────────────────────────────────────────────────────────────────


def test_a_miss_is_noted_once_and_the_one_who_can_mend_it_is_nudged_once() -> None:
    scene = Scene()
    scene.come("ada")
    scene.takes("eve", "communicator")
    scene.takes("hal", "fast_recovery")
    scene.confirm("sev2")
    scene.passes(10)
    record = missed(scene)
    noted = {event.item: event.text for event in of(e.DeadlineMissed, record)}
    assert noted == {
        "document": "late: the document is in people's hands, due within 2m",
        "first_update": "late: the first update is out, due within 5m",
        "recovery_decision": "late: how to recover is decided, due within 10m",
    }
    calls = {page.about: (page.person, page.text) for page in of(e.PageQueued, record)}
    assert {about: person for about, (person, _) in calls.items()} == {
        "document": "ada",
        "first_update": "eve",
        "recovery_decision": "hal",
    }
    assert "`stopgap update 0301-1409` shows the draft" in calls["first_update"][1]
    assert missed(scene) == []


def test_while_nobody_is_here_a_miss_is_noted_and_nobody_is_nudged() -> None:
    """The escalation is calling already."""
    scene = Scene()
    scene.passes(5)
    record = missed(scene)
    assert {event.item for event in of(e.DeadlineMissed, record)} == {
        "quantified",
        "document",
        "commander",
    }
    assert of(e.PageQueued, record) == []


def test_the_next_item_says_when_to_look_again() -> None:
    scene = Scene()

    def next_at() -> datetime | None:
        return overdue_milestones(scene.incident, HOUSE, scene.now).wake_at

    assert next_at() == NOW + MINUTE
    scene.confirm("sev2")
    assert next_at() == NOW + 2 * MINUTE
    scene.happen(page_queued(), delivered())
    assert next_at() == NOW + 5 * MINUTE
    scene.passes(6)
    missed(scene)
    assert next_at() == NOW + 10 * MINUTE
    scene.happen(started(), finished())
    assert next_at() is None
