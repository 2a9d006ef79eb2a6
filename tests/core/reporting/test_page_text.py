"""What a page says at the moment of its delivery."""

from __future__ import annotations

import pytest

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.reporting.page_text import SHORT_TEXT, page_text, short_text
from daemon.core.response.paging import direct_page
from tests.core.build import (
    ALERTS,
    MINUTE,
    NOW,
    confirmed,
    finished,
    healthy,
    impaired,
    make_alert,
    make_incident,
    make_rule,
    page_queued,
    started,
)

RULE = make_rule()
OBSERVING = make_rule(mode="observe")
REFUSED = e.StepRefused(step=1, reason="storm", text="4 services alert at once; a person decides")
ASKED = e.ApprovalRequested(step=1, reason="storm", text="step 1 waits for approval")
WORSE = e.RecoveryMeasured(step=0, reading=impaired(NOW + MINUTE, 0.4))


def queued(incident: Incident, why: str = "") -> e.PageQueued:
    """A page of this moment, which says why and how it stands."""
    text = f"{why}{incident.title}"
    (page,) = direct_page(incident, "ada", "diagnosis" if why else "unattended", text)
    return page


def told(*events: e.Event, rule: object = RULE) -> list[str]:
    incident = make_incident(ALERTS, *events)
    return page_text(incident, queued(incident), rule, NOW).splitlines()  # type: ignore[arg-type]


def test_the_first_line_is_the_problem_with_its_numbers() -> None:
    assert told(confirmed())[0] == "checkout: success rate 99.0 % → 79.0 %"


def test_a_decision_that_waits_stands_before_all_else() -> None:
    lines = told(confirmed(), REFUSED, ASKED)
    assert lines[1] == (
        "Your decision is waiting: step 1, release_rollback: 4 services alert at once; "
        "a person decides. stopgap step 0301-1409 1 approve"
    )


def test_it_tells_suspect_severity_what_was_done_and_what_it_does_itself() -> None:
    lines = told(confirmed(), started())
    assert "Suspect: v2 came just before" in lines
    assert any(line.startswith("Severity: sev1, since 14:06:00 UTC, bad for 4m") for line in lines)
    assert not any(line.startswith("Done so far: ") for line in lines), "it is told once"
    assert any(line.startswith("Stopgap: step 1 is running: release_rollback") for line in lines)


def test_what_waits_is_told_with_its_reason() -> None:
    frozen = e.StepRefused(step=1, reason="frozen", text="frozen by bo until 15:00 UTC")
    (line,) = [line for line in told(confirmed(), frozen) if line.startswith("Stopgap: ")]
    assert line.endswith("step 1 waits: frozen by bo until 15:00 UTC")


def test_in_observe_mode_it_tells_what_it_would_do() -> None:
    would = e.StepObserved(
        step=1, action="release_rollback", target="release:shop", reason="", text="x"
    )
    (line,) = [
        line for line in told(confirmed(), would, rule=OBSERVING) if line.startswith("Stopgap: ")
    ]
    assert line == (
        "Stopgap: observe mode, so nothing is touched; would start step 1, release_rollback; "
        "the recovery is yours to do"
    )


def test_what_is_delivered_later_tells_the_numbers_of_then() -> None:
    before = make_incident(ALERTS, confirmed())
    page = queued(before, "diagnosis opens: ")
    assert page.facts == before.title
    after = make_incident(ALERTS, confirmed(), WORSE)
    first = page_text(after, page, RULE, NOW).splitlines()[0]
    assert first.startswith("diagnosis opens: checkout: success rate 59.0 % now")
    assert "79.0 %" not in first


def test_a_page_of_an_earlier_version_is_told_as_it_was_written() -> None:
    incident = make_incident(ALERTS, confirmed())
    assert page_text(incident, page_queued(), RULE, NOW).splitlines()[0] == "come"


def test_after_the_recovery_it_says_so_first() -> None:
    well = e.RecoveryMeasured(step=1, reading=healthy(NOW + MINUTE))
    lines = told(confirmed(), started(), finished(), well, e.Recovered(step=1, text="x"))
    assert lines[0].startswith("Restored: checkout: success rate 99.0 % now, 79.0 % at worst")
    assert not any(line.startswith("Your decision") for line in lines)


@pytest.mark.parametrize("length", [1, 50, 500])
def test_the_short_form_fits_and_begins_with_the_severity(length: int) -> None:
    incident = make_incident((NOW, e.AlertsReceived(alerts=(make_alert(),))), (NOW, confirmed()))
    page = page_queued().model_copy(update={"text": "x" * length})
    short = short_text(incident, page)
    assert short.startswith("sev1 x")
    assert len(short) <= SHORT_TEXT


def test_the_short_form_says_that_a_decision_waits() -> None:
    incident = make_incident(ALERTS, confirmed(), REFUSED, ASKED)
    assert short_text(incident, queued(incident)).startswith("sev1 decision waiting: checkout: ")


def test_what_the_first_lines_have_told_is_not_told_again() -> None:
    incident = make_incident(ALERTS, confirmed(), REFUSED, ASKED)
    text = f"step 1 waits for approval: {REFUSED.text}"
    (page,) = direct_page(incident, "ada", "approval", text, "1-storm")
    told_ = page_text(incident, page, RULE, NOW)
    assert told_.count(REFUSED.text) == 1
    assert "stopgap step 0301-1409 1 approve" in told_


def test_of_what_is_well_again_no_usual_failures_are_told() -> None:
    well = e.RecoveryMeasured(step=1, reading=healthy(NOW + MINUTE))
    incident = make_incident(ALERTS, confirmed(), started(), finished(), well)
    assert "99.0 % now" in incident.title
    assert "failed a minute" not in incident.title
