"""Causes, follow-ups and misjudgements, as the journal folds them."""

from __future__ import annotations

from datetime import date

import pytest

from daemon.core.incident import events as e
from daemon.core.incident.outcome_facts import outcome_facts, pending
from daemon.core.incident.outcomes import is_news
from daemon.core.incident.state import Incident
from tests.core.build import (
    ACKNOWLEDGED,
    NOW,
    ago,
    confirmed,
    finished,
    make_incident,
    started,
)

DUE = date(2026, 3, 9)
ADDED = e.FollowUpAdded(follow_up=1, title="test it", owner="bo", due=DUE, person="ada")
CAUSE = e.CauseRecorded(person="ada", text="a leak", category="capacity")
CLOSED = e.IncidentClosed(reason="recovered", text="held")


def moved(status: e.FollowUpStatus, **more: str) -> e.FollowUpMoved:
    return e.FollowUpMoved(follow_up=1, status=status, person="bo", **more)


def test_a_follow_up_is_what_was_said_of_it_last() -> None:
    pushed = e.FollowUpPushed(follow_up=1, tracker="jira", key="OPS-7", url="https://x/OPS-7")
    changed = e.FollowUpChanged(
        follow_up=1, title="test it well", owner="cy", due=date(2026, 4, 1), person="ada"
    )
    incident = make_incident((ago(5), ADDED), pushed, changed, moved("in_progress"))
    one = incident.learning.follow_ups[1]
    assert (one.title, one.owner, one.due) == ("test it well", "cy", date(2026, 4, 1))
    assert (one.status, one.key, one.added_at, one.added_by) == (
        "in_progress",
        "OPS-7",
        ago(5),
        "ada",
    )
    assert incident.learning.open_follow_ups == (one,)


def test_one_that_ended_is_not_open_until_it_is_opened_again() -> None:
    done = make_incident(ADDED, moved("done")).learning
    assert done.open_follow_ups == ()
    assert done.follow_ups[1].ended_at == NOW
    again = make_incident(ADDED, moved("dropped", reason="no"), moved("open")).learning
    assert [(one.status, one.ended_at) for one in again.open_follow_ups] == [("open", None)]


def test_it_is_overdue_when_its_day_is_over_and_it_is_open() -> None:
    one = make_incident(ADDED).learning.follow_ups[1]
    assert not one.overdue(DUE)
    assert one.overdue(date(2026, 3, 10))
    done = make_incident(ADDED, moved("done")).learning.follow_ups[1]
    assert not done.overdue(date(2026, 3, 10))


def test_a_reminder_is_of_the_day_that_it_was_about() -> None:
    told = e.FollowUpReminded(
        follow_up=1, occasion="before", due=DUE, person="bo", method="email-1", proof="taken"
    )
    one = make_incident(ADDED, told).learning.follow_ups[1]
    assert one.heard_of("before")
    assert not one.heard_of("due")
    later = e.FollowUpChanged(
        follow_up=1, title="test it", owner="bo", due=date(2026, 4, 1), person="ada"
    )
    assert not make_incident(ADDED, told, later).learning.follow_ups[1].heard_of("before")


def test_a_tracker_is_tried_anew_once_the_follow_up_is_changed() -> None:
    failed = e.FollowUpPushFailed(follow_up=1, tracker="jira", error="401", last=True)
    given_up = make_incident(ADDED, failed).learning.follow_ups[1]
    assert (given_up.failures, given_up.given_up) == (1, True)
    again = make_incident(ADDED, failed, moved("in_progress")).learning.follow_ups[1]
    assert (again.failures, again.given_up, again.failed_at) == (0, False, None)


def test_a_review_is_stale_while_it_lacks_what_was_learned() -> None:
    written = e.ReviewWritten(path="reviews/x.md")
    incident = make_incident(CLOSED, written)
    assert not incident.learning.unreviewed
    assert pending(incident) == 0
    learned = make_incident(CLOSED, written, CAUSE)
    assert learned.learning.unreviewed
    assert pending(learned) == 1
    assert is_news(learned, e.ReviewWritten(path="reviews/x.md", revision=1))
    renewed = make_incident(CLOSED, written, CAUSE, e.ReviewWritten(path="x", revision=1))
    assert pending(renewed) == 0
    # What was learned between the reading and the writing is still missing in it.
    overtaken = make_incident(CLOSED, written, CAUSE, ADDED, e.ReviewWritten(path="x", revision=1))
    assert overtaken.learning.unreviewed
    assert pending(overtaken) == 2


# ── the two errors ───────────────────────────────────────────────────────────────────────────


def approved(step: int = 1, *, first: bool = False) -> e.StepApproved:
    return e.StepApproved(step=step, person="ada", content="c", first=first)


@pytest.mark.parametrize(
    ("events", "overruled"),
    [
        ((e.StepRefused(step=1, reason="storm", text="x"), approved()), {1: "storm"}),
        (
            (e.StepSkipped(step=1, reason="no_suspect_change", text="x"), approved(first=True)),
            {1: "no_suspect_change"},
        ),
        (
            (e.ApprovalRequested(step=1, reason="shared_cause", text="x"), approved()),
            {1: "shared_cause"},
        ),
        # That a rule leaves it to people is no refusal, and neither is a step nobody was asked for.
        ((e.ApprovalRequested(step=1, reason="commander_decides", text="x"), approved()), {}),
        ((e.ApprovalRequested(step=1, reason="mode_approve", text="x"), approved()), {}),
        ((approved(first=True),), {}),
        ((e.StepRefused(step=1, reason="storm", text="x"),), {}),
    ],
)
def test_a_refusal_is_overruled_by_a_person_who_has_it_done(
    events: tuple[e.Event, ...], overruled: dict[int, str]
) -> None:
    incident = make_incident(confirmed(), *events)
    assert dict(incident.misjudgements.overruled) == overruled
    assert outcome_facts(incident).overruled == tuple(overruled.values())


def acted(step: int, source: str, to: str) -> tuple[e.Event, ...]:
    """A step that switched its target."""
    intent = {"from": source, "to": to}
    return (started(step), e.StepPrepared(step=step, summary="x", intent=intent), finished(step))


def undone(incident: Incident) -> frozenset[int]:
    return incident.misjudgements.undone


def test_an_act_is_undone_by_a_person_who_puts_back_what_it_took_away() -> None:
    own = acted(1, "v2", "v1")
    assert undone(make_incident(confirmed(), *own, approved(2), *acted(2, "v1", "v2"))) == {1}
    # The plan's own next step is no person, and another item is no undoing.
    assert undone(make_incident(confirmed(), *own, *acted(2, "v1", "v2"))) == frozenset()
    assert (
        undone(make_incident(confirmed(), *own, approved(2), *acted(2, "v1", "v0"))) == frozenset()
    )
    by_person = make_incident(confirmed(), approved(1), *own, approved(2), *acted(2, "v1", "v2"))
    assert undone(by_person) == frozenset()


def test_an_act_is_undone_as_well_where_its_target_was_switched_back_elsewhere() -> None:
    withdrawn = e.AutonomyWithdrawn(step=1, reason="act_was_undone", text="v2 was put back")
    worse = e.AutonomyWithdrawn(step=1, reason="act_made_it_worse", text="x")
    assert undone(make_incident(confirmed(), *acted(1, "v2", "v1"), withdrawn)) == {1}
    assert undone(make_incident(confirmed(), *acted(1, "v2", "v1"), worse)) == frozenset()


@pytest.mark.parametrize(
    ("events", "by"),
    [
        ((*acted(1, "v2", "v1"), e.Recovered(step=1, text="x")), "daemon"),
        ((approved(), *acted(1, "v2", "v1"), e.Recovered(step=1, text="x")), "person"),
        ((*ACKNOWLEDGED, e.Recovered(step=0, text="x")), "elsewhere"),
        ((*acted(1, "v2", "v1"), e.Recovered(step=1, text="x"), e.Relapsed(text="x")), ""),
        ((), ""),
    ],
)
def test_who_restored_the_service(events: tuple[e.Event, ...], by: str) -> None:
    assert outcome_facts(make_incident(confirmed(), *events)).recovered_by == by
