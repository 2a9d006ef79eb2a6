"""How what people need goes together with the course of the recovery, in one decision."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.core.decide import decide
from daemon.core.decision import (
    Decision,
    Listen,
    MeasureProblem,
    Publish,
    ReadRecovery,
    SendPage,
    Settle,
    WriteReview,
)
from daemon.core.incident import events as e
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.situation import Surroundings
from daemon.core.rules.rule import Rule
from tests import commanding
from tests.core.build import (
    COUNTS,
    HOUSE,
    LIMITS,
    MINUTE,
    NOW,
    delivered,
    failed,
    impaired,
    make_problem,
    make_roster,
    make_rule,
)
from tests.core.scene import ROUNDS, Scene, of, one

RULE = make_rule(recover=[])
LISTENING = make_rule(recover=[], problem={**COUNTS, "sentiment": {"x": "sum(x)"}})


def decided(scene: Scene, rule: Rule | None = RULE) -> Decision:
    around = Surroundings(scene.roster, Approvals(), LIMITS)
    return decide(scene.incident, rule, around, scene.now)


def records(scene: Scene, rule: Rule | None = RULE) -> list[e.Event]:
    """Write down whatever follows now."""
    record: list[e.Event] = []
    for _ in range(ROUNDS):
        decision = decided(scene, rule)
        if not decision.record:
            return record
        record += scene.happen(*decision.record)
    raise AssertionError("it goes on without end")


def unmeasured(scene: Scene) -> None:
    """A first measurement that says nothing."""
    problem = make_problem("no_data", "targets_down", at=scene.now)
    scene.happen(e.ProblemDefined(problem=problem))


def test_a_confirmed_sev1_brings_calls_updates_and_the_ladder_at_one_moment() -> None:
    scene = Scene()
    scene.confirm("sev1")
    record = records(scene)
    pages = [page.page for page in of(e.PageQueued, record)]
    assert pages[0] == "r0.t0.ada", "the policy first"
    assert {"severity-sev1.gus", "severity-sev1.bo", "role-commander.1.bo"} <= set(pages)
    assert [u.audience for u in of(e.UpdateDrafted, record)] == ["team", "public"]
    effects = decided(scene).effects
    assert {SendPage(page) for page in pages} <= set(effects)
    assert {Publish("team.1", "room", 1), Publish("team.1", "mail", 1)} <= set(effects)


def test_a_page_that_failed_for_now_is_queued_again_by_the_decision() -> None:
    scene = Scene()
    unmeasured(scene)
    records(scene)
    scene.happen(failed("r0.t0.ada", temporary=True))
    records(scene)
    scene.happen(delivered("r0.t1.fay"), delivered("r0.t1.gus"))
    scene.passes(1)
    assert "r0.t0.ada+1" in {page.page for page in of(e.PageQueued, records(scene))}


def test_an_engaged_team_is_called_though_somebody_commands() -> None:
    scene = Scene()
    scene.come("ada")
    scene.does("ada", *commanding.engage(scene.incident, HOUSE, "mysql", "ada", "", ""))
    assert one(e.PageQueued, decided(scene).record).page == "engage-mysql.r0.t0.hal"


def test_a_pager_that_rang_is_told_that_somebody_came() -> None:
    scene = Scene()
    records(scene)
    scene.happen(delivered("r0.t0.ada", "pagerduty"))
    assert not [f for f in decided(scene).effects if isinstance(f, Settle)]
    scene.come("bo")
    assert Settle("ada", "pagerduty", "", "acknowledged") in decided(scene).effects


def test_what_people_need_does_not_hold_up_the_measuring() -> None:
    """Something is recorded about people, and the effect of the course starts all the same."""
    scene = Scene()
    scene.come("ada")
    scene.passes(1)
    decision = decided(scene)
    assert [event.kind for event in decision.record] == ["DeadlineMissed", "PageQueued"]
    assert decision.effects == (MeasureProblem(),)


def test_it_wakes_for_whatever_comes_first() -> None:
    scene = Scene(roster=make_roster(ladder={}, audiences={}))
    scene.come("ada")
    scene.confirm("sev2")
    records(scene)
    for _ in range(3):
        wake_at = decided(scene).wake_at
        assert wake_at is not None
        assert wake_at > scene.now
        scene.now = wake_at
        reading = e.RecoveryMeasured(step=0, reading=impaired(scene.now))
        scene.happen(reading)
        records(scene)
    assert scene.now <= NOW + 3 * MINUTE


# ── listening ────────────────────────────────────────────────────────────────────────────────


def test_the_public_is_listened_to_every_five_minutes_once_a_problem_is_confirmed() -> None:
    scene = Scene()
    scene.come("ada")
    scene.passes(9)
    assert Listen() not in decided(scene, LISTENING).effects
    scene.confirm("sev4")
    scene.passes(5)
    records(scene, LISTENING)
    assert Listen() in decided(scene, LISTENING).effects
    assert Listen() not in decided(scene, RULE).effects, "it has no such queries"
    scene.happen(e.SentimentHeard(source="ada", text="angry"))
    assert Listen() in decided(scene, LISTENING).effects, "that was a person"
    scene.happen(e.SentimentHeard(source="metrics", text="x: 3", value=3.0))
    assert Listen() not in decided(scene, LISTENING).effects
    scene.passes(5)
    records(scene, LISTENING)
    assert Listen() in decided(scene, LISTENING).effects
    scene.happen(e.IncidentClosed(reason="by_person", text="x"))
    records(scene, LISTENING)
    assert Listen() not in decided(scene, LISTENING).effects


# ── after the end ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def over() -> Scene:
    """A closed incident of which the team was told, and at which a pager rang."""
    scene = Scene()
    scene.confirm("sev3")
    records(scene)
    scene.happen(delivered("r0.t0.ada", "pagerduty"))
    scene.come("ada")
    for channel in ("room", "mail"):
        scene.happen(e.UpdatePublished(update="team.1", version=1, channel=channel, proof="x"))
    scene.passes(1)
    scene.happen(e.IncidentClosed(reason="by_person", text="x"))
    return scene


def test_after_the_end_the_team_is_told_and_the_pagers_fall_silent(over: Scene) -> None:
    record = records(over)
    assert [event.kind for event in record] == ["UpdateDrafted", "UpdateReleased"]
    assert one(e.UpdateDrafted, record).because == "it is over"
    effects = decided(over).effects
    assert WriteReview() in effects
    assert Settle("ada", "pagerduty", "", "resolved") in effects
    assert Publish("team.2", "room", 1) in effects
    assert not [f for f in effects if isinstance(f, SendPage | MeasureProblem | ReadRecovery)]


def test_after_the_last_word_there_is_nothing_left_to_do(over: Scene) -> None:
    records(over)
    over.happen(e.ReviewWritten(path="x.md"), e.SamplesRecorded())
    for page in list(over.incident.pages):
        if over.incident.pages[page].delivered_by == "pagerduty":
            over.happen(
                e.PagerSettled(person="ada", method="pagerduty", state="resolved", proof="x")
            )
    for channel in ("room", "mail"):
        over.happen(e.UpdatePublished(update="team.2", version=1, channel=channel, proof="x"))
    assert decided(over) == Decision()


def test_what_fails_after_the_end_is_tried_again_later(over: Scene) -> None:
    records(over)
    over.happen(e.ReviewWritten(path="x.md"), e.SamplesRecorded())
    for channel in ("room", "mail"):
        over.happen(
            e.UpdateFailed(update="team.2", version=1, channel=channel, error="x", last=False)
        )
    over.happen(
        e.PagerUnsettled(person="ada", method="pagerduty", state="resolved", error="x", last=False)
    )
    decision = decided(over)
    assert decision.effects == ()
    assert decision.wake_at == over.now + 0.25 * MINUTE


def test_a_rule_that_is_gone_keeps_nobody_from_anything() -> None:
    scene = Scene()
    scene.confirm("sev2")
    record = records(scene, None)
    scene.passes(1)
    assert {"PageQueued", "UpdateDrafted"} <= {event.kind for event in record}
    scene.happen(e.IncidentClosed(reason="by_person", text="x"))
    scene.incident = replace(scene.incident, review="x.md")
    records(scene, None)
    assert Publish("team.2", "room", 1) in decided(scene, None).effects
