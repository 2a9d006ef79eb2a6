"""Routine incidents that are practised with: which, when, how often, and what the public hears."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from daemon.core.drills.promotion import PromotionPolicy, promotion
from daemon.core.incident import events as e
from daemon.core.incident.fold import apply_event
from daemon.core.incident.state import Incident
from daemon.core.measurement.problem import Severity
from tests.core.build import make_incident, opening

MONDAY = datetime(2026, 11, 30, 12, tzinfo=UTC)


def routine(severity: Severity = "sev3", **changes: Any) -> Incident:
    return replace(make_incident(opening()), severity=severity, **changes)


def policy(**changes: Any) -> PromotionPolicy:
    return PromotionPolicy.model_validate({"probability": "100%", **changes})


def test_off_by_default() -> None:
    assert promotion(PromotionPolicy(), routine(), MONDAY) == ()
    assert PromotionPolicy().describe() == "no incident is promoted for practice"


def test_a_routine_incident_is_promoted_and_told_why() -> None:
    (event,) = promotion(policy(), routine(), MONDAY)
    assert event.severity == "sev2"
    assert event.describe().startswith("handled as sev2 for practice: it was sev3; by lot")
    assert "100% of the sev3 and sev4 incidents are handled as sev2" in event.text


@pytest.mark.parametrize(
    ("changes", "incident", "at"),
    [
        ({}, routine("sev2"), MONDAY),
        ({}, routine("sev1"), MONDAY),
        ({}, routine(""), MONDAY),
        ({"severities": ["sev4"]}, routine("sev3"), MONDAY),
        ({"except_rules": ["checkout"]}, routine(), MONDAY),
        ({"except_teams": ["payments"]}, routine(), MONDAY),
        ({}, routine(recovered_at=MONDAY), MONDAY),
        ({}, routine(), MONDAY.replace(hour=9)),
        ({}, routine(), MONDAY.replace(hour=16)),
        ({}, routine(), MONDAY.replace(day=29)),
        ({"zone": "America/New_York"}, routine(), MONDAY),
    ],
)
def test_never_what_the_policy_leaves_out(
    changes: dict[str, Any], incident: Incident, at: datetime
) -> None:
    opened = incident.opened.model_copy(update={"rule": "checkout", "team": "payments"})
    assert promotion(policy(**changes), replace(incident, opened=opened), at) == ()


def test_the_lot_falls_the_same_however_often_it_is_drawn_and_as_often_as_it_should() -> None:
    one_in_five = policy(probability="20%")
    drawn = [
        bool(promotion(one_in_five, replace(routine(), id=f"1130-12{n:04}"), MONDAY))
        for n in range(2000)
    ]
    again = [
        bool(promotion(one_in_five, replace(routine(), id=f"1130-12{n:04}"), MONDAY))
        for n in range(2000)
    ]
    assert drawn == again
    assert 0.17 < sum(drawn) / len(drawn) < 0.23


def test_the_public_hears_what_is_measured() -> None:
    incident = routine("sev4")
    (event,) = promotion(policy(), incident, MONDAY)
    promoted = apply_event(incident, MONDAY, event)
    assert promoted.severity == "sev2"
    assert promoted.severity_for("internal") == "sev2"
    assert promoted.severity_for("public") == "sev4"
    assert promotion(policy(), promoted, MONDAY) == ()


def test_it_is_never_less_severe_than_it_is() -> None:
    incident = routine("sev1")
    after = apply_event(incident, MONDAY, e.IncidentPromoted(severity="sev2", text="x"))
    assert after.severity == "sev1"


def test_a_policy_that_lowers_is_refused() -> None:
    with pytest.raises(ValidationError, match="is no less than `to: sev3`"):
        policy(severities=["sev2", "sev4"], to="sev3")
