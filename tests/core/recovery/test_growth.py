"""While nothing was started evidence may grow; what is no news is not told."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from daemon.core.changes.recent import recent_changes
from daemon.core.changes.suspects import Suspicion, Weighed
from daemon.core.decide import settle_decision
from daemon.core.decision import ReadRecovery, RunStep
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.recovery.growth import (
    MOST_TOLD,
    ONSET_PATIENCE,
    awaits_onset,
    may_grow,
    passed_over,
    reassessed,
    takes_change,
    unweighed_change,
)
from daemon.core.recovery.guardrails import Freeze, Guard
from daemon.core.recovery.plan import Outlook
from daemon.core.recovery.situation import Surroundings
from tests.core.build import (
    HOUR,
    LIMITS,
    MINUTE,
    NOW,
    ROSTER,
    SECOND,
    TARGET,
    ago,
    approved,
    blamed,
    came,
    confirmed,
    finished,
    impaired,
    make_change,
    make_incident,
    make_problem,
    make_rule,
    started,
    step_approved,
)

RULE = make_rule()
NONE = Suspicion(verdict="none", text="no change in the 30m before the onset")
UNDATED = make_problem(onset=None, onset_within=None)
PASSED_OVER = e.StepSkipped(step=1, reason="no_suspect_change", text="x")
PROPOSED = e.StepProposed(
    step=101, person="ada", action="run_command", params={}, within=timedelta(minutes=5)
)
TOLD = e.ChangeReported(change=make_change("v2", ago(5), "v1"), told_at=NOW)


def grown(suspicion: Suspicion) -> e.ProblemReassessed:
    return e.ProblemReassessed(suspicion=suspicion)


@pytest.mark.parametrize(
    "events",
    [
        (confirmed(), started()),
        (confirmed(), started(), finished()),
        (confirmed(), step_approved(RULE)),
        (confirmed(), PROPOSED),
        (confirmed(), e.Recovered(step=0, text="x")),
        (confirmed(), e.Recovered(step=0, text="x"), e.Relapsed(text="x")),
        (confirmed(make_problem(onset=ago(61))),),
        (e.ProblemDefined(problem=make_problem("not_confirmed", "loss_below_threshold")),),
    ],
    ids=["running", "acted", "approved", "proposed", "recovered", "relapsed", "old", "unconfirmed"],
)
def test_what_ends_it(events: tuple[e.Event, ...]) -> None:
    assert may_grow(make_incident(confirmed()), LIMITS, NOW)
    assert not may_grow(make_incident(*events), LIMITS, NOW)


def test_an_attempt_that_was_taken_back_does_not_end_it() -> None:
    back = finished(result="refused", reason="no_fresh_data")
    assert may_grow(make_incident(confirmed(), started(), back), LIMITS, NOW)


# ── waiting for the onset ────────────────────────────────────────────────────────────────────


def undated(*items: str, subject: str = TARGET, at: datetime = NOW) -> Incident:
    """An incident confirmed at NOW without an onset, and what changed lately."""
    changes = [make_change(item, ago(3), "v1", subject) for item in items]
    suspicion = recent_changes(changes, at, "the onset is not known")
    return make_incident(confirmed(UNDATED, suspicion))


def test_a_step_waits_for_the_onset_that_a_change_may_explain() -> None:
    text = awaits_onset(undated("v2"), TARGET, LIMITS, NOW)
    assert text == "waiting until 14:12:00 UTC for the onset to show: v2 may explain it"


@pytest.mark.parametrize(
    ("incident", "target", "at"),
    [
        (undated("v2"), TARGET, NOW + ONSET_PATIENCE),
        (undated(), TARGET, NOW),
        (undated("v2", subject="release:cart"), TARGET, NOW),
        (make_incident(confirmed(suspicion=NONE)), TARGET, NOW),
        (make_incident(confirmed(UNDATED, blamed())), TARGET, NOW),
    ],
    ids=["too long", "nothing changed", "something else changed", "it is known", "it is explained"],
)
def test_it_does_not_wait_for_nothing(incident: Incident, target: str, at: datetime) -> None:
    assert awaits_onset(incident, target, LIMITS, at) == ""


# ── coming back ──────────────────────────────────────────────────────────────────────────────


def decided(*events: e.Event, at: datetime = NOW) -> tuple[list[str], list[object]]:
    """The kinds that are recorded about steps, and the effects, after these events."""
    incident = make_incident(
        confirmed(suspicion=NONE), e.RecoveryMeasured(step=0, reading=impaired(at)), *events
    )
    outlook = dict.fromkeys(incident.steps.keys() | {1, 2}, Outlook(target=TARGET))
    around = Surroundings(ROSTER, approved(RULE, 1, until=NOW + HOUR), LIMITS, outlook)
    facts, decision = settle_decision(incident, RULE, around, at)
    return [fact.kind for fact in facts if fact.group == "recovery"], list(decision.effects)


DIAGNOSIS = e.DiagnosisOpened(reason="plan_exhausted", text="x")


@pytest.mark.parametrize("events", [(), (DIAGNOSIS,)], ids=["deciding", "diagnosing"])
def test_a_step_that_applies_by_now_comes_back_and_starts(events: tuple[e.Event, ...]) -> None:
    second = e.StepSkipped(step=2, reason="not_allowed", text="x")
    kinds, effects = decided(PASSED_OVER, second, *events, grown(blamed()))
    assert kinds == ["StepReopened"]
    assert any(isinstance(effect, RunStep) and effect.step == 1 for effect in effects)


@pytest.mark.parametrize(
    "events",
    [
        (PASSED_OVER, DIAGNOSIS, grown(NONE)),
        (PASSED_OVER, DIAGNOSIS, grown(blamed("release:cart"))),
        (e.StepSkipped(step=1, reason="skipped_by_person", text="x"), DIAGNOSIS, grown(blamed())),
        (PASSED_OVER, e.StepVetoed(step=1, person="ada"), DIAGNOSIS, grown(blamed())),
        (PASSED_OVER, e.IncidentPaused(person="ada", reason="x"), DIAGNOSIS, grown(blamed())),
        (PASSED_OVER, came("ada"), PROPOSED, DIAGNOSIS, grown(blamed())),
        (e.StepSkipped(step=1, reason="not_allowed", text="x"), DIAGNOSIS, grown(blamed())),
    ],
    ids=["nothing new", "elsewhere", "skipped", "vetoed", "paused", "proposed", "unfit"],
)
def test_it_does_not_come_back(events: tuple[e.Event, ...]) -> None:
    kinds, effects = decided(*events)
    assert "StepReopened" not in kinds
    assert not any(isinstance(effect, RunStep) for effect in effects)


def test_a_step_that_came_back_and_fits_no_more_is_passed_over_again() -> None:
    back = (PASSED_OVER, DIAGNOSIS, grown(blamed()), e.StepReopened(step=1, text="x"))
    kinds, _ = decided(*back, grown(NONE))
    assert kinds == ["StepSkipped"]


def test_what_is_told_is_weighed_before_a_step_starts() -> None:
    kinds, effects = decided(grown(blamed()), TOLD)
    assert kinds == []
    assert ReadRecovery(0) in effects
    assert not any(isinstance(effect, RunStep) for effect in effects)
    measured = e.RecoveryMeasured(step=0, reading=impaired(NOW))
    _, effects = decided(grown(blamed()), TOLD, measured)
    assert any(isinstance(effect, RunStep) for effect in effects)


def test_what_is_told_while_a_step_prepares_is_not_weighed_by_its_last_look() -> None:
    started = e.StepStarted(step=1, action="a", target=TARGET, params={}, authority="x")
    looked = e.EvidenceTaken(step=1, reading=impaired(NOW))
    incident = make_incident(confirmed(suspicion=blamed()), started, TOLD, looked)
    assert unweighed_change(incident) == f"{TARGET} → v2 at 14:05:00 UTC, told at 14:10:00 UTC"
    verified = e.RecoveryMeasured(step=1, reading=impaired(NOW))
    assert make_incident(confirmed(suspicion=blamed()), TOLD, verified).unweighed


def test_what_came_after_the_onset_holds_nothing_up() -> None:
    late = e.ChangeReported(change=make_change("v9", NOW, "v8"), told_at=NOW)
    assert unweighed_change(make_incident(confirmed(suspicion=blamed()), late)) == ""


def test_another_sentence_for_the_same_reason_is_written_down_once() -> None:
    """What it waits for may go from being measured to being frozen: the page says the newest."""
    freeze = Freeze(scope="global", reason="audit", by="bo", at=ago(5))
    outlook = {n: Outlook(target=TARGET, guard=Guard(freeze=freeze)) for n in (1, 2)}
    around = Surroundings(ROSTER, approved(RULE, 1, until=NOW + HOUR), LIMITS, outlook)
    before: list[e.Event] = [
        confirmed(suspicion=blamed()),
        e.RecoveryMeasured(step=0, reading=impaired(NOW)),
        e.StepRefused(step=1, reason="frozen", text="frozen by cy"),
    ]
    facts, _ = settle_decision(make_incident(*before), RULE, around, NOW)
    told = [fact for fact in facts if isinstance(fact, e.StepRefused)]
    assert [(fact.reason, "audit" in fact.text) for fact in told] == [("frozen", True)]
    facts, _ = settle_decision(make_incident(*before, *told), RULE, around, NOW)
    assert not [fact for fact in facts if isinstance(fact, e.StepRefused)]


def test_nobody_can_come_back_without_a_suspect() -> None:
    assert passed_over(make_incident(confirmed(), PASSED_OVER), LIMITS, NOW) == (1,)
    assert passed_over(make_incident(confirmed(suspicion=NONE), PASSED_OVER), LIMITS, NOW) == ()


# ── news ─────────────────────────────────────────────────────────────────────────────────────


def weighed(*items: str, **changes: Any) -> Suspicion:
    """NONE with these candidates."""
    told = tuple(Weighed(change=make_change(i, ago(5)), score=0.1, reasons=()) for i in items)
    return NONE.model_copy(update={"candidates": told, **changes})


@pytest.mark.parametrize(
    ("later", "news"),
    [
        (weighed("v2"), False),
        (weighed("v2", text="no change explains it, really"), False),
        (weighed(), False),
        (weighed("v2", "v3"), True),
        (weighed("v2", verdict="ambiguous"), True),
        (weighed("v2", shared=True), True),
        (weighed("v2", verdict="suspect", change=make_change("v2", ago(5))), True),
    ],
    ids=["same", "other words", "too old by now", "one more", "verdict", "shared", "suspect"],
)
def test_only_news_is_told(later: Suspicion, news: bool) -> None:
    incident = make_incident(confirmed(suspicion=weighed("v2")))
    assert (reassessed(incident, None, later) is not None) is news


def test_an_onset_that_moved_is_news_and_one_that_did_not_is_none() -> None:
    incident = make_incident(confirmed(suspicion=NONE))
    moved = make_problem(at=NOW + MINUTE, onset=ago(6), onset_within=SECOND)
    found = reassessed(incident, moved, NONE)
    assert found is not None
    assert found.problem == moved
    same = make_problem(at=NOW + MINUTE, onset=ago(4), onset_within=SECOND)
    assert reassessed(incident, same, NONE) is None


def test_the_fold_keeps_when_it_was_confirmed_and_what_it_is_verified_against() -> None:
    incident = make_incident(confirmed(suspicion=NONE), (NOW + MINUTE, grown(blamed())))
    assert (incident.confirmed, incident.confirmed_at) == (make_problem(), NOW)
    assert incident.suspicion == blamed()
    moved = make_problem(at=NOW + MINUTE, onset=ago(6), baseline=0.995)
    event = e.ProblemReassessed(problem=moved, suspicion=blamed())
    incident = make_incident(confirmed(suspicion=NONE), (NOW + MINUTE, event))
    assert (incident.confirmed, incident.confirmed_at) == (moved, NOW)


def test_a_change_is_told_once_and_not_if_it_was_long_before() -> None:
    incident = make_incident(confirmed())
    assert takes_change(incident, TOLD.change)
    assert not takes_change(make_incident(confirmed(), TOLD), TOLD.change)
    assert not takes_change(incident, make_change("v1", ago(180)))
    flood = [
        TOLD.model_copy(update={"change": make_change(f"v{n}", NOW)}) for n in range(MOST_TOLD)
    ]
    assert not takes_change(make_incident(confirmed(), *flood), TOLD.change)
