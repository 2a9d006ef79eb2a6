"""What people make of an incident: severities beside each other, routes of alerts, whose it is."""

from __future__ import annotations

import pytest

from daemon.core.incident import events as e
from daemon.core.incident.alert_routes import AlertRoute, taker
from daemon.core.incident.fold import apply_event
from daemon.core.measurement.problem import Severity
from daemon.core.recovery.maintenance import MaintenanceWindow, hold_due
from daemon.core.response.command import NotPossible
from daemon.core.response.organizing import Merge, SetSeverity
from daemon.core.rules.rule import incident_key
from tests.commanding import given
from tests.core.build import (
    HOUR,
    MINUTE,
    NOW,
    confirmed,
    impaired,
    make_alert,
    make_incident,
    opening,
    started,
)

KEY = opening().key


def said(severity: Severity, reason: str = "") -> e.SeveritySet:
    return e.SeveritySet(severity=severity, person="ada", reason=reason)


def measured(severity: Severity) -> e.RecoveryMeasured:
    reading = impaired(NOW).model_copy(update={"severity": severity})
    return e.RecoveryMeasured(step=0, reading=reading)


@pytest.mark.parametrize(
    ("events", "counts", "by_metrics"),
    [
        ((said("sev2"),), "sev2", ""),
        ((measured("sev3"), said("sev2")), "sev2", "sev3"),
        ((measured("sev1"), said("sev3")), "sev1", "sev1"),
        ((said("sev3"), measured("sev2")), "sev2", "sev2"),
        ((said("sev1"), said("sev3", "less"), measured("sev4")), "sev3", "sev4"),
        ((said("sev1"), measured("sev3"), said("")), "sev3", "sev3"),
    ],
)
def test_the_higher_of_what_is_said_and_what_is_measured_counts(
    events: tuple[e.Event, ...], counts: Severity, by_metrics: Severity
) -> None:
    incident = make_incident((NOW, opening()), *((NOW, event) for event in events))
    assert incident.severity == counts
    assert incident.organization.severity_measured == by_metrics


def test_a_rise_by_a_persons_word_is_a_rise_and_a_fall_is_none() -> None:
    incident = make_incident((NOW, opening()), (NOW + MINUTE, said("sev2")))
    assert incident.severity_rose_at == NOW + MINUTE
    lower = apply_event(incident, NOW + 2 * MINUTE, said("sev4", "it is the test shop"))
    assert (lower.severity, lower.severity_rose_at) == ("sev4", NOW + MINUTE)


def test_to_say_less_takes_a_reason() -> None:
    incident = make_incident((NOW, opening()), (NOW, said("sev2")))
    with pytest.raises(NotPossible, match="it is sev2 so far; say why it is less"):
        given(incident, SetSeverity("sev3"), "bo")
    (event,) = given(incident, SetSeverity("sev3", "the test shop"), "bo")
    assert event == e.SeveritySet(severity="sev3", person="bo", reason="the test shop")
    assert given(incident, SetSeverity("sev2"), "bo") == ()


def test_what_was_split_goes_before_the_key_and_what_was_merged_after_it() -> None:
    eu, us = make_alert(region="eu"), make_alert(region="us")
    split = ("split", (AlertRoute(key=KEY, labels={"region": "eu"}),))
    merged = ("survivor", (AlertRoute(key=KEY),))
    assert taker([split], KEY, eu, "holder") == "split"
    assert taker([split], KEY, us, "holder") == "holder"
    assert taker([split, merged], KEY, us, None) == "survivor"
    assert taker([split, merged], KEY, us, "holder") == "holder"
    assert taker([split, merged], "another key", eu, None) is None
    one = ("one", (AlertRoute(key=KEY, alerts=(us.identity,)),))
    assert taker([one], KEY, us, "holder") == "one"


def test_nothing_is_merged_while_a_step_runs_or_into_what_is_not_there() -> None:
    incident = make_incident((NOW, opening()), (NOW, confirmed()), (NOW, started()))
    other = make_incident((NOW, opening("")))
    with pytest.raises(NotPossible, match="is running; merge it when that has ended"):
        given(incident, Merge(other.id + "x"), "ada", others={other.id + "x": other})
    with pytest.raises(NotPossible, match="there is no incident 'nope'"):
        given(incident, Merge("nope"), "ada")
    with pytest.raises(NotPossible, match="cannot be merged into itself"):
        given(incident, Merge(incident.id), "ada")


@pytest.mark.parametrize(
    ("events", "closed"),
    [
        (e.IncidentClosed(reason="by_person", text="x"), "is closed; an incident is merged into"),
        (e.MergeStarted(into="third", title="x", person="bo"), "is itself being merged into third"),
    ],
)
def test_nothing_is_merged_into_what_ends(events: e.Event, closed: str) -> None:
    incident = make_incident((NOW, opening()))
    other = make_incident((NOW, opening("")), (NOW, events))
    with pytest.raises(NotPossible, match=closed):
        given(incident, Merge("other"), "ada", others={"other": other})


def window(**more: object) -> MaintenanceWindow:
    return MaintenanceWindow.model_validate(
        {
            "id": "m-1",
            "scope": "service:checkout",
            "reason": "it moves",
            "by": "ada",
            "announced_at": NOW - HOUR,
            "begins_at": NOW - MINUTE,
            "ends_at": NOW + HOUR,
            **more,
        }
    )


def test_what_opens_within_its_scope_is_held_and_looked_at_again_at_its_end() -> None:
    incident = make_incident((NOW, opening()))
    (held,) = hold_due(incident, [window()], NOW).record
    assert isinstance(held, e.PagesHeld)
    assert held.until == NOW + HOUR
    incident = apply_event(incident, NOW, held)
    assert hold_due(incident, [window()], NOW).wake_at == NOW + HOUR
    (released,) = hold_due(incident, [window()], NOW + HOUR).record
    assert isinstance(released, e.PagesReleased)
    incident = apply_event(incident, NOW + HOUR, released)
    assert incident.clock_from == NOW + HOUR
    # Once released it is not held again, whatever is announced then.
    again = window(id="m-2", ends_at=NOW + 3 * HOUR)
    assert not hold_due(incident, [again], NOW + HOUR + MINUTE)


@pytest.mark.parametrize(
    "announced",
    [
        window(scope="service:cart"),
        window(scope="team:mysql"),
        window(begins_at=NOW + MINUTE),
        window(ends_at=NOW - 30 * MINUTE / 60),
        window(ended_by="bo", ended_at=NOW - MINUTE / 2),
    ],
)
def test_what_a_window_does_not_concern_is_not_held(announced: MaintenanceWindow) -> None:
    assert not hold_due(make_incident((NOW, opening())), [announced], NOW)


def test_a_longer_window_holds_on_where_the_first_ends() -> None:
    incident = make_incident((NOW, opening()))
    incident = apply_event(incident, NOW, hold_due(incident, [window()], NOW).record[0])
    longer = window(id="m-2", scope="global", ends_at=NOW + 2 * HOUR)
    (held,) = hold_due(incident, [window(), longer], NOW + MINUTE).record
    assert isinstance(held, e.PagesHeld)
    assert held.window == "m-2"


def test_without_a_group_by_service_the_alerts_say_whose_they_are() -> None:
    """Alertmanager groups by alert name here, and no rule matches."""
    grouped = e.IncidentOpened(
        key=incident_key("", {"alertname": "Odd"}),
        rule="",
        group_labels={"alertname": "Odd"},
        title="Odd",
        team="",
    )
    ours, other = make_alert(), make_alert(service="cart")
    alone = make_incident((NOW, grouped), (NOW, e.AlertsReceived(alerts=(ours,))))
    (held,) = hold_due(alone, [window()], NOW).record
    assert isinstance(held, e.PagesHeld)
    # With another service's alert among them somebody is needed, also if that comes later.
    both = apply_event(alone, NOW, held)
    both = apply_event(both, NOW, e.AlertsReceived(alerts=(other,)))
    (released,) = hold_due(both, [window()], NOW).record
    assert isinstance(released, e.PagesReleased)
    cut_off = e.AlertsReceived(alerts=(ours,), incomplete=True)
    assert not hold_due(make_incident((NOW, grouped), (NOW, cut_off)), [window()], NOW)
