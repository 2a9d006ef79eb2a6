"""The document: everything that happened, told plainly, harmless to whoever reads it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.incident import events as e
from daemon.core.measurement.problem import Impact
from daemon.core.reporting.review import durations, markdown, markdown_text
from tests.core.build import (
    ACKNOWLEDGED,
    ALERTS,
    MINUTE,
    NOW,
    SECOND,
    TARGET,
    ago,
    confirmed,
    entries,
    finished,
    healthy,
    make_alert,
    make_incident,
    make_problem,
    opening,
    page_queued,
    started,
)

PROBLEM = make_problem(
    at=ago(9),
    onset=ago(13),
    impact=(
        Impact(name="orders lost", value=1240.0),
        Impact(name="euros", value=None, trouble="x"),
    ),
    queries=('sum(increase(errors{service="checkout"}[1m]))',),
)
STORY: tuple[tuple[Any, e.Event], ...] = (
    (ago(10), opening()),
    (ago(10), ALERTS),
    (ago(10), page_queued()),
    (ago(9.5), e.PageFailed(page="r0.t0.ada", method="webhook", error="refused", last=False)),
    (ago(9.5), e.PageDelivered(page="r0.t0.ada", method="console", proof="written")),
    (ago(9), confirmed(PROBLEM)),
    (ago(9), started()),
    (
        ago(8.9),
        e.StepPrepared(step=1, summary="switch v2 to v1", intent={"from": "v2", "to": "v1"}),
    ),
    (ago(8), finished()),
    (ago(7), ACKNOWLEDGED[0]),
    (ago(7), ACKNOWLEDGED[1]),
    (ago(6), e.RecoveryMeasured(step=1, reading=healthy(ago(6)))),
    (ago(3), e.StepVerified(step=1, verdict="recovered", text="79.0 % → 99.0 %")),
    (ago(3), e.Recovered(step=1, text="79.0 % → 99.0 %")),
    (NOW, e.IncidentClosed(reason="recovered", text="held")),
)


def test_durations_are_measured_from_the_onset_and_the_opening() -> None:
    found = durations(make_incident(*STORY))
    assert found.detect == 3 * MINUTE
    assert found.acknowledge == 3 * MINUTE
    assert found.mitigate == 2 * MINUTE
    assert found.recover == 7 * MINUTE
    assert found.shown() == {
        "detect": "3m",
        "acknowledge": "3m",
        "mitigate": "2m",
        "recover": "7m",
    }


def test_what_did_not_happen_has_no_duration() -> None:
    found = durations(make_incident())
    assert set(vars(found).values()) == {None}
    assert set(found.shown().values()) == {"–"}


def test_an_alert_before_the_measured_onset_was_detected_at_once() -> None:
    early = confirmed(make_problem(onset=NOW + MINUTE))
    assert durations(make_incident(early)).detect == timedelta(0)


def test_nobody_mitigated_what_healed_by_itself() -> None:
    found = durations(make_incident(*STORY[:9], e.Recovered(step=0, text="x")))
    assert found.mitigate is None
    assert found.recover == 10 * MINUTE


def test_durations_are_shown_in_whole_seconds() -> None:
    acknowledged = (ago(1) + 71.6 * SECOND, ACKNOWLEDGED[0])
    assert durations(make_incident(acknowledged)).shown()["acknowledge"] == "1m12s"


def test_the_review_tells_the_whole_story() -> None:
    text = markdown(entries(*STORY))
    for line in (
        "# Incident 0301-1409: checkout: success rate 99.0 % → 79.0 %",
        "| Status | closed (recovered), closed |",
        "| Severity | sev1 |",
        "| Commander | ada |",
        "| Time to mitigate | 2m |",
        "**success rate 99.0 % → 79.0 %**",
        "Verdict: confirmed (loss_exceeds_threshold).",
        "Onset: 13:57:00 UTC, from the metrics; between 13:56:30 UTC and 13:57:30 UTC.",
        "| 1m | 79.0 % | 99.0 % | 20.0 % | 18.0 % to 22.0 % | 600 |",
        "- orders lost: 1,240",
        "- euros: x",
        '    sum(increase(errors{service="checkout"}[1m]))',
        "1. release_rollback on release:shop: done — switch v2 to v1 (pre-approved). "
        "Verdict: **recovered**, 79.0 % → 99.0 %",
        "- Suspect: v2 came just before",
        "- 1 pages had a way that failed; see the timeline.",
        "| 14:03:00 UTC | stopgap | ada responds (by cli) |",
    ):
        assert line in text, line
    assert len(re.findall(r"^\| \d\d:\d\d:\d\d UTC \|", text, re.MULTILINE)) == len(STORY)


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ((), "Nothing was measured."),
        ((), "No recovery step was started."),
        ((e.ProblemDefined(problem=make_problem("no_data", "targets_down")),), "confirmation"),
        ((confirmed(),), "Missing: a recovery step in the rule."),
        ((e.StepSkipped(step=1, reason="ambiguous_suspects", text="x"),), "(ambiguous_suspects)"),
        ((e.StepVetoed(step=1, person="ada"),), "1. step: vetoed"),
    ],
)
def test_the_review_says_what_was_missing(events: tuple[e.Event, ...], said: str) -> None:
    assert said in markdown(entries(*events))


def test_the_review_of_an_alert_without_a_rule_asks_for_one() -> None:
    text = markdown(entries((NOW, opening(""))))
    assert "| Rule | none matched |" in text
    assert "- Missing: a rule for these alerts" in text


HOSTILE = (
    "<script>alert(1)</script>|[x](javascript:y)![i](u)`c`**b**_e_#{}\\\n# head\r\n\x1b[31m\u202e"
)


def test_people_stand_in_the_timeline_by_their_names() -> None:
    [opened, noted] = entries(e.Noted(text="it was the cache"))
    told = markdown([opened, noted.model_copy(update={"by": "person:ada"})])
    assert "| ada | it was the cache |" in told
    assert "person:" not in told


def test_hostile_text_is_escaped_wherever_it_stands() -> None:
    bad = make_alert(alertname=HOSTILE)
    impact = (Impact(name=HOSTILE, value=1),)
    hostile = make_problem(text=HOSTILE, impact=impact, queries=("\x1b[31m# x\n# y",))
    text = markdown(
        entries(
            (NOW, opening().model_copy(update={"title": HOSTILE, "rule": HOSTILE})),
            (NOW, e.AlertsReceived(alerts=(bad,))),
            (NOW, confirmed(hostile)),
            (NOW, e.Noted(text=HOSTILE)),
            (NOW, e.ResponderArrived(person=HOSTILE, via=HOSTILE)),
            (NOW, e.CommanderAppointed(person=HOSTILE, reason=HOSTILE)),
            (NOW, started(target=HOSTILE)),
            (NOW, e.StepPrepared(step=1, summary=HOSTILE, intent={})),
            (NOW, finished(reason=HOSTILE)),
            (NOW, e.StepVerified(step=1, verdict="partial", text=HOSTILE)),
        )
    )
    assert "<script" not in text.replace("\\<script", "")
    assert "](" not in text.replace("\\](", "")
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\n# head" not in text
    assert text.count("\n# ") == 0
    for row in re.findall(r"^\| \d\d:\d\d:\d\d UTC .*$", text, re.MULTILINE):
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 4


@given(st.text())
def test_plain_text_is_one_line_without_markup(text: str) -> None:
    shown = markdown_text(text)
    assert shown.isprintable()
    assert shown == shown.strip()
    assert not re.search(r"[`*_{}\[\]<>#|]", re.sub(r"\\.", "", shown))
    assert markdown_text("plain words, 5 %") == "plain words, 5 %"


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (opening(""), "incident opened: CheckoutFails (no rule matches)"),
        (ALERTS, "alerts: 1 firing, 0 resolved (CheckoutFails)"),
        (confirmed(), "confirmed: success rate 99.0 % → 79.0 %; v2 came just before"),
        (started(), f"step 1 started: release_rollback on {TARGET} (pre-approved)"),
        (finished(), "step 1 done (switched): so"),
        (
            e.RecoveryMeasured(step=1, reading=healthy(NOW, 0.001)),
            "measured: healthy (near_baseline), loss 0.1 %",
        ),
        (e.Recovered(step=1, text="back"), "recovered: back"),
        (e.DiagnosisOpened(reason="no_plan", text="x"), "diagnosis opened (no_plan): x"),
    ],
)
def test_a_line_of_the_timeline(event: e.Event, line: str) -> None:
    assert event.describe() == line
