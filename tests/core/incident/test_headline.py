"""The headline lives: now, worst, since when, how it ended."""

from __future__ import annotations

from typing import get_args

import pytest

from daemon.core.incident import events as e
from daemon.core.incident.outcome_facts import OutcomeFacts, outcome_facts, outcome_words
from daemon.core.incident.state import Incident
from tests.core.build import (
    ALERTS,
    MINUTE,
    NOW,
    confirmed,
    finished,
    healthy,
    impaired,
    make_incident,
    make_problem,
    make_rule,
    started,
    step_approved,
    unreadable,
)

CONFIRMED = (NOW, confirmed())
FIRST = "checkout: success rate 99.0 % → 79.0 %"


def measured(minutes: float, loss: float) -> tuple[object, e.Event]:
    at = NOW + minutes * MINUTE
    reading = impaired(at, loss) if loss > 0.01 else healthy(at, loss)
    return at, e.RecoveryMeasured(step=0, reading=reading)


def headline(*events: object) -> str:
    return make_incident(ALERTS, *events).title  # type: ignore[arg-type]


def closed(reason: str, minutes: float = 9) -> tuple[object, e.Event]:
    event = e.IncidentClosed.model_validate({"reason": reason, "text": "x"})
    return NOW + minutes * MINUTE, event


RECOVERED = (NOW + 4 * MINUTE, e.Recovered(step=0, text="x"))


@pytest.mark.parametrize(
    ("events", "line"),
    [
        ((), "CheckoutFails"),
        ((CONFIRMED,), FIRST),
        (
            (CONFIRMED, measured(1, 0.4)),
            "checkout: success rate 59.0 % now, the worst so far, normally 99.0 %, "
            "since 14:06:00 UTC, 246 failed a minute",
        ),
        (
            (CONFIRMED, measured(1, 0.4), measured(2, 0.1)),
            "checkout: success rate 89.0 % now, 59.0 % at worst, normally 99.0 %, "
            "since 14:06:00 UTC, 66 failed a minute",
        ),
        (
            (
                CONFIRMED,
                (NOW + MINUTE, e.RecoveryMeasured(step=0, reading=unreadable(NOW + MINUTE))),
            ),
            "checkout: success rate cannot be measured now, 79.0 % at worst, normally 99.0 %, "
            "since 14:06:00 UTC",
        ),
        (
            (CONFIRMED, measured(3, 0.0), RECOVERED),
            "Restored: checkout: success rate 99.0 % now, 79.0 % at worst, normally 99.0 %, "
            "14:06:00 to 14:14:00 UTC",
        ),
        (
            (CONFIRMED, measured(3, 0.0), RECOVERED, closed("recovered")),
            "Restored: checkout: success rate 99.0 % at the end, 79.0 % at worst, normally 99.0 %, "
            "14:06:00 to 14:14:00 UTC",
        ),
        (
            (
                CONFIRMED,
                measured(3, 0.0),
                RECOVERED,
                measured(8, 0.3),
                (NOW + 8 * MINUTE, e.Relapsed(text="x")),
            ),
            "checkout: success rate 69.0 % now, the worst so far, normally 99.0 %, "
            "since 14:06:00 UTC, 186 failed a minute",
        ),
        ((CONFIRMED, closed("by_person")), f"Closed: {FIRST}"),
        ((closed("alerts_resolved"),), "Alerts over: CheckoutFails"),
        ((closed("not_confirmed"),), "Not confirmed: CheckoutFails"),
    ],
)
def test_the_headline_is_that_of_the_moment(events: tuple[object, ...], line: str) -> None:
    assert headline(*events) == line


def test_the_statement_stays() -> None:
    incident = make_incident(ALERTS, CONFIRMED, measured(1, 0.4), RECOVERED)  # type: ignore[arg-type]
    assert incident.statement == FIRST


def test_a_value_keeps_its_own_unit() -> None:
    problem = make_problem(kind="value", baseline=0.2, symptom="latency", text="latency 0.2 → 0.9")
    reading = impaired(NOW + MINUTE).model_copy(
        update={"level": 1.25, "traffic": None, "loss": 5.0}
    )
    line = headline(
        (NOW, confirmed(problem)), (NOW + MINUTE, e.RecoveryMeasured(step=0, reading=reading))
    )
    assert line == (
        "checkout: latency 1.25 now, the worst so far, normally 0.2, since 14:06:00 UTC"
    )


def test_a_target_is_not_called_normal() -> None:
    problem = make_problem(baseline=0.95, target=0.95)
    line = headline((NOW, confirmed(problem)), measured(1, 0.4))
    assert ", target 95.0 %, since" in line
    assert "normally" not in line


def outcome(incident: Incident) -> str:
    return outcome_words(outcome_facts(incident), closed=incident.closed is not None)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ((), ""),
        ((CONFIRMED,), ""),
        ((CONFIRMED, RECOVERED, closed("recovered")), "recovered alone"),
        ((CONFIRMED, RECOVERED), "recovered alone"),
        ((closed("not_confirmed"),), "not confirmed"),
        ((CONFIRMED, closed("by_person")), "closed by a person"),
        ((closed("alerts_resolved"),), "alerts over"),
        ((closed("drill_over"),), "drill over"),
    ],
)
def test_the_history_shows_how_it_ended(events: tuple[object, ...], words: str) -> None:
    assert outcome(make_incident(ALERTS, *events)) == words  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("automatic", "words"), [(True, "recovered by Stopgap"), (False, "recovered by people")]
)
def test_who_restored_it_is_told(automatic: bool, words: str) -> None:
    word = () if automatic else (step_approved(make_rule()),)
    acted = (started(), finished(), e.Recovered(step=1, text="x"))
    incident = make_incident(ALERTS, CONFIRMED, *word, *acted)
    assert outcome(incident) == words


def test_every_reason_of_a_closing_has_its_words() -> None:
    for reason in get_args(e.IncidentClosed.model_fields["reason"].annotation):
        incident = make_incident(ALERTS, CONFIRMED, closed(reason))  # type: ignore[arg-type]
        assert outcome(incident)


def test_heads_of_earlier_versions_are_told_by_what_they_have() -> None:
    assert outcome_words(None, closed=True) == ""
    assert outcome_words(OutcomeFacts(), closed=True) == "not confirmed"
    assert outcome_words(OutcomeFacts(onset=NOW), closed=True) == "closed"
    assert outcome_words(OutcomeFacts(recovered_by="daemon"), closed=True) == "recovered by Stopgap"
