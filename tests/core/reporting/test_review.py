"""The document: everything that happened, told plainly, harmless to whoever reads it."""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import partial
from html import escape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from daemon.core.incident import events as e
from daemon.core.incident.dossier import DiagnosisFinding, Dossier
from daemon.core.incident.outcome_facts import OutcomeFacts
from daemon.core.incident.responders import PERSON_PREFIX
from daemon.core.measurement.problem import Impact
from daemon.core.ports.journal import Head
from daemon.core.reporting.review.balance import what_went_badly, what_went_well
from daemon.core.reporting.review.document import Figure
from daemon.core.reporting.review.durations import durations, trend_of
from daemon.core.reporting.review.html import html_page
from daemon.core.reporting.review.markdown import markdown, markdown_text
from daemon.core.reporting.review.model import review_of
from daemon.core.reporting.review.sections import review_document
from daemon.core.reporting.review.words import in_words
from tests.core.build import (
    ACKNOWLEDGED,
    ALERTS,
    MINUTE,
    NOW,
    ROSTER,
    SECOND,
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
    page_queued,
    started,
)

FollowUp = partial(e.FollowUpAdded, person="ada")
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


def told(*events: e.Event | tuple[Any, e.Event]) -> str:
    """The review of that story, in Markdown."""
    return markdown(review_of(entries(*events), NOW, ROSTER))


def in_html(*events: e.Event | tuple[Any, e.Event], figure: Figure | None = None) -> str:
    """The review of that story, as one HTML file."""
    return html_page(review_document(review_of(entries(*events), NOW, ROSTER)), figure)


def test_durations_are_measured_from_the_onset_and_the_opening() -> None:
    found = durations(make_incident(*STORY))
    assert found.detect == 3 * MINUTE
    assert found.acknowledge == 3 * MINUTE
    assert found.decide == 1 * MINUTE
    assert found.mitigate == 2 * MINUTE
    assert found.recover == 7 * MINUTE
    assert found.shown() == {
        "detect": "3m",
        "acknowledge": "3m",
        "decide": "1m",
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
    text = told(*STORY)
    for line in (
        "# Incident 0301-1409: checkout: success rate 99.0 % → 79.0 %",
        "On 1 March 2026 at 13:57:00 the success rate of checkout fell from 99.0 % to 79.0 %. ",
        "That lasted 7 minutes, and about 702 requests failed. ",
        "What had changed just before: v2 came just before. ",
        "At 14:01:00 Stopgap started release rollback on release:shop, which restored service, as "
        "the metrics showed at 14:07:00. ada responded after 3 minutes. All times are UTC.",
        "| Severity | sev1 |",
        "| Trouble began | 13:57:00 |",
        "| Service restored | 14:07:00 |",
        "| Duration of impact | 7 minutes |",
        "| Failed requests | about 702 |",
        "| Worst level | 79.0 % at 14:01:00; usual: 99.0 % |",
        "| orders lost | 1,240 |",
        "| Restored by | release rollback on release:shop |",
        "| People | ada (Commander) |",
        "- The problem was noticed 3 minutes after it had begun.",
        "- Stopgap restored service by itself; nobody had to act for that.",
        "- 1 call to ada failed in at least one way.",
        "- Step 1, release rollback on release:shop: started at 14:01:00 (pre-approved), ended "
        "after 1 minute, and restored service: 79.0 % → 99.0 %.",
        "| Somebody commands | within 5 minutes | after 3 minutes | in time |",
        "| From the opening until the step that helped was done | 2 minutes |",
        "| 14:01:00 | stopgap | step 1 started: release_rollback on release:shop (pre-approved) |",
        "| 14:03:00 | stopgap | ada is Commander: the first responder |",
        "| 14:07:00 | stopgap | service restored: 79.0 % → 99.0 % |",
        "By the metrics it began between 13:56:30 and 13:57:30.",
        "| 1m | 79.0 % | 99.0 % | 20.0 % | 18.0 % to 22.0 % | 600 |",
        "- euros: x",
        "- The first 4 minutes, before it was measured, are taken to have been as bad as the first "
        "measurement.",
        '    sum(increase(errors{service="checkout"}[1m]))',
        "Not recorded yet (on the page of the incident, or stopgap cause 0301-1409).",
        "None yet (on the page of the incident, or stopgap follow-up add 0301-1409).",
    ):
        assert line in text, line
    timeline = text.partition("## Full timeline")[2]
    assert len(re.findall(r"^\| \d\d:\d\d:\d\d \|", timeline, re.MULTILINE)) == len(STORY)


def test_the_zone_is_named_once_and_no_reason_for_programs_is_shown() -> None:
    held = e.StepRefused(step=1, reason="storm", text="4 services alert; see `stopgap storm`")
    text = told(*STORY[:6], held, *STORY[6:])
    assert text.count("UTC") == 1
    assert re.findall(r"\((?:[a-z]+_)+[a-z]+\)", text) == []
    assert "`" not in text
    assert "Step 1 (release rollback on release:shop) was held back: 4 services alert" in text


def test_a_section_with_nothing_to_say_is_left_out() -> None:
    titles = re.findall(r"^## (.*)$", told((NOW, opening())), re.MULTILINE)
    assert titles == [
        "Summary",
        "What went badly",
        "Cause",
        "Follow-ups",
        "The first ten minutes",
        "Timeline",
        "Full timeline",
    ]


def test_what_came_after_the_end_is_told_apart() -> None:
    """One that people closed while it was bad, and one that came back."""
    by_person = told(*STORY[:6], (NOW, e.IncidentClosed(reason="by_person", text="bo: enough")))
    assert "That lasted at least 4 minutes" in by_person
    assert "bo closed the incident at 14:10:00: enough. Nobody responded." in by_person
    assert "| Duration of impact | 4 minutes, and not over |" in by_person
    back = told(
        *STORY[:-1], (ago(2), e.Relapsed(text="x")), (ago(1), e.Recovered(step=0, text="y"))
    )
    assert (
        "Service came back without a step of the plan, as the metrics showed at 14:09:00." in back
    )
    assert "In between, the problem came back once. The incident is still open." in back
    assert "- The problem came back once after it had seemed over." in back


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "less than a second"),
        (1, "1 second"),
        (61, "1 minute and 1 second"),
        (3600, "1 hour"),
        (3605, "1 hour"),
        (90_000, "1 day and 1 hour"),
        (172_800, "2 days"),
    ],
)
def test_a_duration_is_told_by_its_two_largest_units(seconds: float, words: str) -> None:
    assert in_words(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ((), "- Nothing was measured: Prometheus was never read for it."),
        (
            (e.ProblemDefined(problem=make_problem("no_data", "targets_down")),),
            "- The metrics did not confirm a problem: ",
        ),
        ((confirmed(),), "- The rule has no recovery step."),
        (
            (e.StepSkipped(step=1, reason="ambiguous_suspects", text="2 changes fit"),),
            "- Step 1: was passed over.",
        ),
        ((e.StepVetoed(step=1, person="ada"),), "- Step 1: vetoed by ada."),
        (
            (
                (ago(9), e.ApprovalRequested(step=1, reason="storm", text="4 services alert")),
                (ago(4), e.StepApproved(step=1, person="ada", content="c")),
            ),
            "- Step 1 waited 5 minutes for somebody's approval.",
        ),
        ((e.DeadlineMissed(item="commander", text="late"),), "- Nobody responded."),
    ],
)
def test_the_review_says_what_went_badly(events: tuple[Any, ...], said: str) -> None:
    assert said in told(*events)


def test_the_review_of_an_alert_without_a_rule_asks_for_one() -> None:
    text = told((NOW, opening("")))
    assert "| Rule | none matched |" in text
    assert "No rule matches it, so nothing was measured. " in text
    assert "- No rule matches these alerts, so nothing could be measured or recovered; " in text


def test_the_review_of_a_declared_incident_speaks_of_no_alert() -> None:
    text = told(
        (NOW, opening("")),
        (NOW, e.IncidentDeclared(person="ada", title="customers cannot pay", via="cli")),
        (NOW, e.IncidentClosed(reason="by_person", text="ada: a test")),
    )
    [summary] = [line for line in text.splitlines() if line.startswith("On ")]
    assert "ada declared it by hand: " in summary
    assert "It was declared without a rule, so nothing was measured. " in summary
    assert "ada closed the incident at 14:10:00: a test. " in summary
    assert "- It was declared without a rule, so nothing could be measured or recovered." in text
    assert not re.search(r"alert came in|these alerts|No rule matches", text)


def test_cause_and_follow_ups_stand_in_the_review_as_fields() -> None:
    text = told(
        *STORY,
        e.CauseRecorded(person="ada", text="the pool was cut", category="change", change="v2"),
        FollowUp(follow_up=1, title="test the pool", owner="bo", due=date(2026, 3, 9)),
        FollowUp(follow_up=2, title="an alert", owner="ada", due=None),
        e.FollowUpPushed(follow_up=1, tracker="github", key="7", url="https://x/issues/7"),
        e.FollowUpMoved(follow_up=2, status="dropped", reason="there is one", person="ada"),
    )
    assert "**the pool was cut**" in text
    assert "Recorded by ada as: change, v2." in text
    for row in (
        "| 1 | test the pool | bo | 2026-03-09 | open | https://x/issues/7 |",
        "| 2 | an alert | ada | – | dropped (there is one) | – |",
    ):
        assert row in text


def test_the_timeline_has_what_matters_and_the_full_one_all() -> None:
    refused = e.StepRefused(step=1, reason="storm", text="4 services alert")
    measured = e.RecoveryMeasured(step=0, reading=impaired(NOW, 0.1))
    drafted = page_queued()
    noted = e.Noted(text="we roll back by hand")
    journal = entries(confirmed(), refused, drafted, refused, measured, noted)
    journal[-1] = journal[-1].model_copy(update={"by": f"{PERSON_PREFIX}ada"})
    text = markdown(review_of(journal, NOW, ROSTER))
    short = text.partition("## Timeline")[2].partition("\n## ")[0]
    full = text.partition("## Full timeline")[2]
    assert short.count("step 1 not started: 4 services alert") == 1
    assert full.count("step 1 not started (storm): 4 services alert") == 2
    for timeline in (short, full):
        assert "| ada | we roll back by hand |" in timeline
    assert "measured" not in short
    assert "measured: impaired" in full
    assert "calling ada" not in short


def test_what_went_well_needs_facts() -> None:
    """Nobody is praised for what did not happen."""
    assert what_went_well(make_incident((NOW, opening()))) == []
    late = make_problem(at=ago(1), onset=ago(20))
    assert what_went_well(make_incident((ago(1), opening()), (ago(1), confirmed(late)))) == []


def test_durations_stand_beside_what_is_usual_for_the_team() -> None:
    heads = [head(acknowledged=2 * MINUTE), head(acknowledged=4 * MINUTE), head(acknowledged=None)]
    trend = trend_of([*heads, head(acknowledged=None).model_copy(update={"outcome": None})])
    assert (trend.incidents, dict(trend.medians)) == (3, {"acknowledge": 3 * MINUTE})
    text = markdown(review_of(entries(*STORY), NOW, ROSTER, trend))
    assert "|  | This incident | Median of the team's last 3 |" in text
    assert "| From the opening until somebody responded | 3 minutes | 3 minutes |" in text
    assert "| From the opening until service was proven to be restored | 7 minutes | – |" in text


def head(acknowledged: timedelta | None) -> Head:
    """An incident before, that was acknowledged after so long."""
    at = None if acknowledged is None else NOW + acknowledged
    return Head(
        incident="before",
        key="k",
        seq=1,
        phase="closed",
        title="t",
        severity="",
        opened_at=NOW,
        outcome=OutcomeFacts(acknowledged_at=at),
    )


def test_the_course_is_sketched_where_no_picture_can_be() -> None:
    readings = [e.RecoveryMeasured(step=0, reading=impaired(ago(8), 0.1)), *recovered_readings()]
    text = told((ago(9), confirmed(PROBLEM)), *((ago(1), r) for r in readings))
    line = next(x for x in text.splitlines() if "▁" in x)
    assert re.fullmatch(r" {4}█+▁+▅+█+", line), "the usual level, the trouble, and the end of it"
    assert len(line) == 64
    assert ": ▁ is 79.0 %, █ is 99.0 %." in text


def recovered_readings() -> list[e.RecoveryMeasured]:
    return [e.RecoveryMeasured(step=0, reading=healthy(ago(at))) for at in (4, 2)]


def test_html_has_the_picture_in_it_and_nothing_from_elsewhere() -> None:
    figure = Figure("data:image/svg+xml;base64,AAAA", "success rate from 13:45")
    page = in_html(*STORY, figure=figure)
    assert page.startswith("<!doctype html>")
    assert '<img src="data:image/svg+xml;base64,AAAA" alt="success rate from 13:45">' in page
    assert "▁" not in page
    assert "@media print" in page
    assert "▁" in in_html(*STORY)
    assert set(re.findall(r'(?:src|href)="([^"]*)"', page)) == {figure.source}
    assert "<script" not in page


def test_both_ways_tell_the_same() -> None:
    """Every text of the document is in the Markdown and in the HTML."""
    page, text = in_html(*STORY), told(*STORY)
    for words in ("79.0 % → 99.0 %", "Somebody commands", "Failed requests", "ada responds"):
        assert words in page
        assert words in text
    assert page.count("<h2>") == text.count("\n## ")
    assert page.count("<details>") == 2
    assert page.index("<details>") > page.index("<h2>Timeline</h2>")


@pytest.mark.parametrize(
    ("events", "kinds"),
    [
        ((confirmed(),), {"plan", "commander"}),
        ((confirmed(), *ACKNOWLEDGED, *STORY[6:9]), set()),
        (
            (confirmed(), e.ApprovalRequested(step=1, reason="approval_expired", text="x")),
            {"approval", "commander"},
        ),
        (
            (confirmed(), e.StepSkipped(step=1, reason="changes_unseen", text="x")),
            {"changes", "commander"},
        ),
        (
            (
                confirmed(),
                e.StepSkipped(step=1, reason="no_suspect_change", text="x"),
                e.StepApproved(step=1, person="ada", content="c", first=True),
                *ACKNOWLEDGED,
            ),
            {"judgement"},
        ),
        (
            (
                e.TeamEngaged(team="database", person="ada", packet=""),
                e.DeadlineMissed(item="first_update", text="late"),
                e.EscalationDefect(text="x"),
            ),
            {"measurement", "team", "milestone", "call", "commander"},
        ),
    ],
)
def test_what_went_badly_is_told_by_kind(events: tuple[e.Event, ...], kinds: set[str]) -> None:
    journal = entries(*events)
    found = what_went_badly(make_incident(*events), journal)
    assert {one.kind for one in found} == kinds


HOSTILE = (
    "<script>alert(1)</script>|[x](javascript:y)![i](u)`c`**b**_e_#{}\\\n# head\r\n\x1b[31m\u202e"
)


def test_people_stand_in_the_timeline_by_their_names() -> None:
    [opened, noted] = entries(e.Noted(text="it was the cache"))
    by_ada = noted.model_copy(update={"by": "person:ada"})
    text = markdown(review_of([opened, by_ada], NOW))
    assert "| ada | it was the cache |" in text
    assert "person:" not in text


def test_hostile_text_is_escaped_wherever_it_stands() -> None:
    bad = make_alert(alertname=HOSTILE)
    impact = (Impact(name=HOSTILE, value=1),)
    hostile = make_problem(text=HOSTILE, impact=impact, queries=("\x1b[31m# x\n# y",))
    journal = (
        *(
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
            (NOW, e.CauseRecorded(person=HOSTILE, text=HOSTILE, category="data", change=HOSTILE)),
            (NOW, FollowUp(follow_up=1, title=HOSTILE, owner=HOSTILE, due=None)),
            (NOW, e.FollowUpPushed(follow_up=1, tracker="jira", key=HOSTILE, url=HOSTILE)),
        ),
    )
    page = in_html(*journal)
    assert "<script" not in page
    assert "javascript:" not in re.sub(r">[^<]*<", "><", page)
    assert "\x1b" not in page
    text = told(*journal)
    assert "<script" not in text.replace("\\<script", "")
    assert "](" not in text.replace("\\](", "")
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\n# head" not in text
    assert text.count("\n# ") == 0
    rows = re.findall(r"^\| \d\d:\d\d:\d\d .*$", text, re.MULTILINE)
    assert len(rows) > 12
    for row in rows:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 4


@given(st.text())
def test_plain_text_is_one_line_without_markup(text: str) -> None:
    shown = markdown_text(text)
    assert shown.isprintable()
    assert shown == shown.strip()
    plain = re.sub(r"(?<=[A-Za-z0-9])_(?=[A-Za-z0-9])", "", re.sub(r"\\.", "~", shown))
    assert not re.search(r"[`*_{}\[\]<>#|]", plain)
    assert markdown_text("plain words, 5 %") == "plain words, 5 %"
    assert markdown_text("release_rollback of _v2_") == "release_rollback of \\_v2\\_"


@pytest.mark.parametrize(
    "text",
    ["1. release_rollback on shop", "12) x", "- a", "+ a", "-", "= b", "===", "---", "a &lt; b"],
)
def test_a_line_that_looks_like_a_list_is_shown_as_it_is(text: str) -> None:
    for around in ("{}\n", "- {}\n", "words\n\n{}\n"):
        made = MarkdownIt().render(around.format(markdown_text(text)))
        assert f">{escape(text)}</" in made
        assert "<ol" not in made
        assert made.count("<li>") == around.count("- ")


def test_the_lines_of_another_day_have_their_day() -> None:
    [opened, noted] = entries(e.Noted(text="it was the cache"))
    later = noted.model_copy(update={"by": "person:ada", "at": noted.at + timedelta(days=2)})
    text = markdown(review_of([opened, later], NOW))
    day = f"{later.at:%Y-%m-%d %H:%M:%S}"
    assert text.count(f"| {day} | ada | it was the cache |") == 2  # of both timelines
    assert f"| {opened.at:%H:%M:%S} | stopgap | incident opened" in text


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


def _dossier(**more: Any) -> e.DossierGathered:
    found = DiagnosisFinding(
        kind="contribution",
        text="zone=eu-1b: 22.0 % of the traffic, 97.0 % of the added failures",
        subject="zone=eu-1b",
        query='sum by (zone) (increase(errors{service="checkout"}[1m]))',
    )
    told = {"findings": (found,), "limits": ("not parted by pod: 2,000 values",), "queries": 20}
    return e.DossierGathered(dossier=Dossier(begin=ago(13), end=ago(9), **{**told, **more}))


def test_what_was_found_out_about_the_cause_is_told_with_its_queries() -> None:
    said = told(
        *STORY[:-1],
        _dossier(),
        e.HypothesisAdded(hypothesis="h1", text="the fault is at zone=eu-1b"),
        e.HypothesisAdded(hypothesis="h2", text="the disk is full", person="bo", owner="bo"),
        e.HypothesisJudged(hypothesis="h2", state="ruled_out", person="bo", evidence="half empty"),
        e.FindingAdded(
            finding=DiagnosisFinding(kind="external", text="a switch lost link", source="holmes"),
            hypothesis="h1",
        ),
    )
    section = said.partition("## What was found out about the cause")[2].partition("\n## ")[0]
    assert "Likeliest so far: the fault is at zone=eu-1b." in said.partition("## Cause")[2]
    assert "| 1 | zone=eu-1b: 22.0 % of the traffic, 97.0 % of the added failures | stopgap |" in (
        section
    )
    assert '    1: sum by (zone) (increase(errors{service="checkout"}[1m]))' in section
    assert "| 2 | a switch lost link | holmes |" in section
    assert "| h1 | the fault is at zone=eu-1b | open | – | holmes: a switch lost link |" in section
    assert "| h2 | the disk is full | ruled out | bo | bo: half empty |" in section
    assert "- not parted by pod: 2,000 values" in section
    assert "(20 queries)." in section


def test_a_supported_hypothesis_is_what_the_diagnosis_comes_down_to() -> None:
    said = told(
        _dossier(),
        e.HypothesisAdded(hypothesis="h1", text="the zone"),
        e.HypothesisAdded(hypothesis="h2", text="the pool"),
        e.HypothesisJudged(hypothesis="h2", state="supported", person="bo"),
    )
    assert "Supported by evidence: the pool." in said


def test_findings_of_others_are_harmless_and_many_do_not_bury_the_review() -> None:
    evil = "<script>alert(1)</script> | **[x](http://e)** \x1b[31m\n# Cause"
    many = [
        e.FindingAdded(finding=DiagnosisFinding(kind="external", text=f"{n} {evil}", source="x|y"))
        for n in range(100)
    ]
    said = told(_dossier(), *many)
    section = said.partition("## What was found out about the cause")[2].partition("\n## ")[0]
    assert section.count("alert(1)") == 30
    assert "And 70 earlier ones of others" in section
    assert "<script>" not in section.replace("\\<", "")
    assert "\x1b" not in said
    assert all(
        len(re.findall(r"(?<!\\)\|", row)) == 4 for row in section.splitlines() if "99" in row
    )
    page = in_html(_dossier(), *many)
    assert "<script>alert" not in page


def test_a_merged_incident_points_to_the_other_and_blames_nobody() -> None:
    merged = told(
        (ago(30), opening()),
        (ago(2), e.MergeStarted(into="inc-9", title="cart", person="ada")),
        (ago(1), e.IncidentClosed(reason="merged", text="merged into inc-9: cart")),
    )
    assert "At 14:09:00 it was merged into the incident inc-9, whose review tells the rest." in (
        merged
    )
    assert "Nobody responded" not in merged
    assert "Everything that the first ten minutes" not in merged


def test_what_the_rule_leaves_to_people_is_no_lapse() -> None:
    asked = e.ApprovalRequested(
        step=1,
        reason="commander_decides",
        text="step 1 (rollback) waits for approval: the rule leaves this step to you",
    )
    storm = e.ApprovalRequested(
        step=2, reason="storm", text="step 2 (restart) waits for approval: many services alert"
    )
    text = told((ago(30), opening()), (ago(5), asked), (ago(4), storm))
    badly = text.partition("## What went badly")[2].partition("##")[0]
    assert "leaves this step" not in badly
    assert "was not started by itself: many services alert." in badly


def test_what_a_rule_would_have_done_stands_among_what_was_tried() -> None:
    observed = e.StepObserved(step=1, action="rollback", target="shop", reason="", text="all well")
    recovered = e.Recovered(step=0, text="well again")
    text = told((ago(30), opening()), (ago(5), observed), (ago(1), recovered))
    assert "the rule only observes: Stopgap would start step 1, rollback on shop." in text


def test_who_has_left_was_there_all_the_same() -> None:
    arrived = e.ResponderArrived(person="ada", via="cli")
    left = e.ResponderLeft(person="ada", via="cli")
    text = told((ago(30), opening()), (ago(5), arrived), (ago(3), left))
    assert "| People | ada |" in text
