"""The journal is all there is: it folds into the incident, and is stored without loss."""

from __future__ import annotations

import copy
import json
from functools import cached_property
from typing import Any

import pytest
from hypothesis import given, settings

from daemon.adapters.store.auditing.incidents import TELLING, TELLING_OF_CLOSED
from daemon.core.incident import events as e
from daemon.core.incident.fold import apply_event, fold
from daemon.core.incident.state import Incident, PagerAlertState, PageState
from daemon.core.incident.step_state import StepState
from daemon.core.measurement.problem import RecoveryReading
from daemon.core.ports.journal import HeadState
from daemon.core.values.outcome import Result
from tests.commanding import acknowledge
from tests.core.build import (
    ACKNOWLEDGED,
    ALERTS,
    MINUTE,
    NOW,
    TARGET,
    ago,
    confirmed,
    entries,
    finished,
    healthy,
    impaired,
    make_alert,
    make_incident,
    make_problem,
    opening,
    started,
    unreadable,
)
from tests.core.vocabulary import KINDS, KNOWN, courses, events_of


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_event_is_stored_without_loss(kind: type[Any]) -> None:
    @settings(max_examples=25)
    @given(events_of(kind))
    def stored(event: Any) -> None:
        text = e.encode(event)
        assert "\n" not in text
        assert json.loads(text)["kind"] == kind.__name__
        assert e.decode(text) == event
        assert e.encode(e.decode(text)) == text

    stored()


def test_the_vocabulary_is_told_apart_by_its_kind() -> None:
    assert len(KINDS) == len({kind.__name__ for kind in KINDS})
    for kind in KINDS:
        assert kind.model_fields["kind"].default == kind.__name__


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"kind":"Other"}', '{"kind":"Noted"}', '{"kind":"Noted","text":5}']
)
def test_what_is_no_event_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="validation error"):
        e.decode(text)


def test_every_stored_column_counts_in_the_chain() -> None:
    columns = ("0301-1409", 1, "2026-03-01", "stopgap", "Noted", 1, "{}")
    digest = e.chain("", *columns)
    assert len(digest) == 64
    assert e.chain("", *columns) == digest
    others = [(*columns[:n], "other", *columns[n + 1 :]) for n in range(len(columns))]
    assert len({digest, e.chain("x", *columns), *(e.chain("", *o) for o in others)}) == 9
    # The borders between columns count too.
    assert e.chain("", "a", "bc") != e.chain("", "ab", "c")


@settings(max_examples=50)
@given(courses)
def test_any_course_of_events_folds(course: list[tuple[Any, Any, str]]) -> None:
    journal = entries((NOW, opening()), *KNOWN, *((at, event) for at, event, _ in course))
    incident = fold(journal)
    assert incident.seq == len(journal)
    assert incident.phase
    assert incident.title or not (incident.problem and incident.problem.symptom)
    assert all(number == step.number for number, step in incident.steps.items())
    # The properties answer whatever has happened.
    for name in ("running", "verifying", "last_verdict", "all_resolved", "stage", "commander"):
        getattr(incident, name)


@settings(max_examples=50)
@given(courses)
def test_an_event_changes_no_earlier_incident(course: list[tuple[Any, Any, str]]) -> None:
    incident = make_incident((NOW, opening()), *KNOWN)
    for at, event, by in course:
        before, told = copy.deepcopy(incident), event.model_copy(deep=True)
        after = apply_event(incident, at, event, by)
        assert incident == before
        assert event == told
        assert apply_event(incident, at, event, by) == after
        incident = after


def test_a_journal_that_does_not_begin_with_an_opening_is_refused() -> None:
    with pytest.raises(ValueError, match="does not begin with an opening"):
        fold(entries(ALERTS)[1:])
    with pytest.raises(ValueError, match="empty journal"):
        fold([])


def test_the_first_to_come_commands_and_the_second_responds() -> None:
    incident = make_incident()
    for person in ("ada", "bo", "ada"):
        for event in acknowledge(incident, person, "cli"):
            incident = apply_event(incident, NOW + len(incident.responders) * MINUTE, event)
    assert incident.commander == "ada"
    assert incident.responders == ("ada", "bo")
    assert incident.acknowledged_at == NOW


def test_alerts_are_known_by_their_newest_word() -> None:
    other = make_alert(service="search")
    incident = make_incident(ALERTS, e.AlertsReceived(alerts=(other,), incomplete=True))
    assert len(incident.alerts) == 2
    assert not incident.all_resolved
    over = tuple(a.model_copy(update={"status": "resolved"}) for a in incident.alerts.values())
    resolved = apply_event(incident, NOW, e.AlertsReceived(alerts=over))
    assert resolved.all_resolved
    cut = apply_event(incident, NOW, e.AlertsReceived(alerts=over, incomplete=True))
    assert not cut.all_resolved


def test_an_incident_without_alerts_is_not_resolved() -> None:
    assert not make_incident().all_resolved


def test_phases_follow_the_course() -> None:
    verified = e.StepVerified(step=1, verdict="recovered", text="x")
    course: list[tuple[e.Event, str]] = [
        (ALERTS, "defining"),
        (e.ProblemDefined(problem=make_problem("no_data", "targets_down")), "observing"),
        (confirmed(), "deciding"),
        (started(), "recovering"),
        (finished(), "verifying"),
        (verified, "deciding"),
        (e.DiagnosisOpened(reason="plan_exhausted", text="x"), "diagnosing"),
        (e.Recovered(step=1, text="x"), "watching"),
        (e.Relapsed(text="x"), "deciding"),
        (e.IncidentClosed(reason="recovered", text="x"), "closed"),
    ]
    incident = make_incident()
    for event, phase in course:
        incident = apply_event(incident, NOW, event)
        assert incident.phase == phase


def test_severity_only_grows() -> None:
    def defined(severity: str) -> e.ProblemDefined:
        return confirmed(make_problem(severity=severity))

    assert make_incident(defined("sev2"), defined("sev3")).severity == "sev2"
    assert make_incident(defined("sev3"), defined("sev1")).severity == "sev1"
    assert make_incident(confirmed(), defined("")).severity == "sev1"


def test_the_title_is_the_statement_once_there_is_one() -> None:
    assert make_incident().title == "CheckoutFails"
    assert make_incident(confirmed()).title == "checkout: success rate 99.0 % → 79.0 %"
    later = e.ProblemDefined(problem=make_problem("no_data", "targets_down", text="no data"))
    assert make_incident(later).title == "CheckoutFails"
    failed = e.ProblemDefined(problem=make_problem("query_error", "deadline_exceeded", text="q(x)"))
    assert make_incident(failed).title == "CheckoutFails"
    assert make_incident(confirmed(), later).title == "checkout: success rate 99.0 % → 79.0 %"


def test_evidence_is_the_latest_measurement() -> None:
    def read(*told: RecoveryReading) -> Incident:
        return make_incident(
            confirmed(make_problem(at=ago(9))),
            *((r.at, e.RecoveryMeasured(step=0, reading=r)) for r in told),
        )

    assert read().evidence == (ago(9), "impaired")
    assert read(healthy(ago(5)), healthy(ago(4))).recent == (
        (ago(9), "impaired"),
        (ago(5), "healthy"),
        (ago(4), "healthy"),
    )
    assert read(healthy(ago(5)), unreadable(ago(4))).evidence == (ago(4), "unreadable")
    assert read(impaired(ago(5)), impaired(ago(4))).impaired_in_a_row == 3
    assert read(healthy(ago(5)), impaired(ago(4))).impaired_in_a_row == 1


@pytest.mark.parametrize(
    ("verdict", "reason", "state"),
    [
        ("confirmed", "loss_exceeds_threshold", "impaired"),
        ("not_confirmed", "loss_below_threshold", "healthy"),
        ("not_confirmed", "baseline_zero", "unreadable"),
        ("no_data", "empty_answer", "unreadable"),
        ("insufficient_traffic", "traffic_below_minimum", "unreadable"),
        ("query_error", "not_a_number", "unreadable"),
    ],
)
def test_unknown_is_never_health(verdict: Any, reason: Any, state: str) -> None:
    incident = make_incident(e.ProblemDefined(problem=make_problem(verdict, reason)))
    assert incident.evidence == (NOW, state)


def test_a_step_keeps_what_it_did() -> None:
    prepared = e.StepPrepared(step=1, summary="switch", intent={"from": "v2", "to": "v1"})
    measured = e.RecoveryMeasured(step=1, reading=healthy(NOW))
    incident = make_incident(confirmed(), started(), prepared, finished(), measured)
    step = incident.step(1)
    assert (step.target, step.action, step.summary) == (TARGET, "release_rollback", "switch")
    assert (step.intent, step.readings) == ({"from": "v2", "to": "v1"}, (healthy(NOW),))
    assert (step.started_at, step.finished_at, step.acted) == (NOW, NOW, True)
    assert incident.step(2) == StepState(2)


def test_a_step_that_refused_has_not_acted() -> None:
    incident = make_incident(started(), finished(result="refused", reason="no_healthy_item"))
    assert not incident.step(1).acted
    assert incident.verifying is None


def test_the_last_verdict_is_of_the_step_that_ended_last() -> None:
    incident = make_incident(
        (ago(9), started(2)),
        (ago(8), finished(2)),
        (ago(7), e.StepVerified(step=2, verdict="worse", text="x")),
        (ago(6), started(1)),
        (ago(5), finished(1)),
        (ago(4), e.StepVerified(step=1, verdict="partial", text="x")),
    )
    assert incident.last_verdict == "partial"
    assert make_incident().last_verdict is None


def test_pausing_and_resuming() -> None:
    paused = e.IncidentPaused(person="ada", reason="wait")
    assert make_incident(paused).paused_by == "ada"
    assert make_incident(paused, e.IncidentResumed(person="bo")).paused_by == ""


def test_measurements_are_kept_in_bounds() -> None:
    told = [e.RecoveryMeasured(step=0, reading=healthy(ago(90 - n))) for n in range(80)]
    assert [at for at, _ in make_incident(*told).recent] == [ago(90 - n) for n in range(30, 80)]


def test_a_worse_reading_raises_the_severity_and_none_lowers_it() -> None:
    def after(severity: str) -> str:
        reading = impaired(NOW).model_copy(update={"severity": severity})
        problem = make_problem(severity="sev2")
        return make_incident(
            confirmed(problem), e.RecoveryMeasured(step=0, reading=reading)
        ).severity

    assert (after("sev1"), after("sev3"), after("")) == ("sev1", "sev2", "sev2")


def test_an_alert_that_fires_again_after_all_were_over_is_counted() -> None:
    over = e.AlertsReceived(alerts=(make_alert("resolved"),))
    assert make_incident(ALERTS, ALERTS).refired == 0
    assert make_incident(ALERTS, over).refired == 0
    assert make_incident(ALERTS, over, ALERTS).refired == 1
    assert make_incident(ALERTS, over, ALERTS, over, over, ALERTS).refired == 2


def test_an_alert_that_fires_again_while_the_metrics_never_recovered_is_the_same_trouble() -> None:
    over = e.AlertsReceived(alerts=(make_alert("resolved"),))
    recovered = e.Recovered(step=0, text="")
    assert make_incident(ALERTS, confirmed(), over, ALERTS).refired == 0
    assert make_incident(ALERTS, confirmed(), recovered, over, ALERTS).refired == 1
    relapsed = (recovered, e.Relapsed(text=""))
    assert make_incident(ALERTS, confirmed(), *relapsed, over, ALERTS).refired == 0


@pytest.mark.parametrize("reason", ["paused", "storm", "vetoed"])
@pytest.mark.parametrize("result", ["done", "failed", "unknown"])
def test_a_step_that_acted_is_not_taken_back_whatever_its_action_says(
    result: Result, reason: str
) -> None:
    incident = make_incident(ALERTS, confirmed(), started(), finished(1, result, reason))
    assert incident.step(1).status == "finished"
    assert incident.step(1).acted
    assert incident.verifying == incident.step(1)


@pytest.mark.parametrize("reason", ["paused", "frozen", "stale_intent"])
def test_a_step_taken_back_before_it_acted_waits_without_its_old_intent(reason: str) -> None:
    prepared = e.StepPrepared(step=1, summary="x", intent={"to": "v1"})
    step = make_incident(started(), prepared, finished(result="refused", reason=reason)).step(1)
    assert (step.status, step.intent, step.acted) == ("waiting", None, False)


def test_responders_stay_the_same_after_the_commander() -> None:
    assert make_incident(*ACKNOWLEDGED).acknowledged_at == NOW


@settings(max_examples=50)
@given(courses)
def test_a_head_is_made_of_the_telling_kinds_alone(course: list[tuple[Any, Any, str]]) -> None:
    """The audit reads no others. What came of it, which only figures are made of, it leaves."""

    def head(read: list[e.Entry]) -> dict[str, Any]:
        return HeadState.of(fold(read), None).model_dump(exclude={"outcome"})

    journal = entries((NOW, opening()), *KNOWN, *((at, event) for at, event, _ in course))
    telling = [entry for entry in journal if entry.event.kind in TELLING]
    whole = head(journal)
    assert head(telling) == whole
    if whole["closed"]:
        telling = [entry for entry in journal if entry.event.kind in TELLING_OF_CLOSED]
        assert head(telling) == whole


@pytest.mark.parametrize("kind", [Incident, StepState, PageState, PagerAlertState])
def test_what_is_copied_field_by_field_has_nothing_else(kind: type) -> None:
    found = [name for name, value in vars(kind).items() if isinstance(value, cached_property)]
    assert found == []
    assert not hasattr(kind, "__post_init__")
    assert not hasattr(kind, "__slots__")
