"""What is written first when much waits to be written."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from daemon.core.incident import events as e
from daemon.core.ports.urgency import Urgency, urgency_of
from tests.core import build
from tests.core.build import NOW

OPENED = (build.opening(), e.AlertsReceived(alerts=(build.make_alert(),)))
VAGUE = e.ProblemDefined(problem=build.make_problem("insufficient_traffic"))
CONFIRMED = e.ProblemDefined(problem=build.make_problem())
READING = build.impaired(NOW)

CASES: dict[str, tuple[Sequence[e.Event], Urgency]] = {
    "alerts taken in": (OPENED[1:], Urgency.HIGH),
    "a page to send": ((build.page_queued(),), Urgency.HIGH),
    "a page delivered": ((build.delivered(),), Urgency.HIGH),
    "a page failed": ((build.failed(),), Urgency.HIGH),
    "a page beside something else": (
        (e.Relapsed(text="again"), build.page_queued()),
        Urgency.HIGH,
    ),
    "a step": ((build.started(),), Urgency.NORMAL),
    "the reading that a verdict waits for": (
        (e.RecoveryMeasured(step=1, reading=READING),),
        Urgency.NORMAL,
    ),
    "one more look": ((e.RecoveryMeasured(step=0, reading=READING),), Urgency.LOW),
    "what people say": ((e.SentimentHeard(source="metrics", text="x", value=1.0),), Urgency.LOW),
}


@pytest.mark.parametrize("case", CASES)
def test_intake_and_pages_go_before_steps_and_those_before_repeated_looks(case: str) -> None:
    events, urgency = CASES[case]
    incident = build.make_incident(*OPENED)
    assert urgency_of(incident, events, e.DAEMON) == urgency


def test_whatever_a_person_does_is_urgent() -> None:
    incident = build.make_incident(*OPENED)
    assert urgency_of(incident, [e.Noted(text="look")], "person:ada") == Urgency.HIGH


def test_only_a_measurement_that_changes_nothing_can_wait() -> None:
    new, vague = build.make_incident(*OPENED), build.make_incident(*OPENED, VAGUE)
    assert urgency_of(new, [VAGUE], e.DAEMON) == Urgency.NORMAL
    assert urgency_of(vague, [VAGUE], e.DAEMON) == Urgency.LOW
    assert urgency_of(vague, [CONFIRMED], e.DAEMON) == Urgency.NORMAL
