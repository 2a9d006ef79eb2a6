"""When a dossier is due, and what people do about the cause."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.core.decision import GatherDossier
from daemon.core.diagnosis.commands import (
    AddFinding,
    AddHypothesis,
    AssignHypothesis,
    JudgeHypothesis,
    OrderDiagnosis,
    RequestHelp,
)
from daemon.core.diagnosis.due import FIRST_OF_A_STORM, MOST_DOSSIERS, dossier_due
from daemon.core.diagnosis.explain import hypotheses_from
from daemon.core.incident import events as e
from daemon.core.incident.dossier import DiagnosisFinding, Dossier
from daemon.core.incident.state import Incident
from daemon.core.reporting.now_and_next import doing
from daemon.core.response.commands import EngageTeam
from daemon.core.response.storm import Storm
from tests.commanding import NotPossible, given
from tests.core.build import HOUSE, MINUTE, NOW, confirmed, make_incident, make_rule, opening

OPENED = e.DiagnosisOpened(reason="plan_exhausted", text="x")
RECOVERED = e.Recovered(step=0, text="x")
RELAPSED = e.Relapsed(text="x")
GATHERED = e.DossierGathered(dossier=Dossier(begin=NOW, end=NOW))
ORDERED = e.DiagnosisOrdered(person="ada")
ADA = (e.ResponderArrived(person="ada", via="cli"), e.CommanderAppointed(person="ada", reason="x"))
ZONE = DiagnosisFinding(kind="contribution", text="zone=b: 97 %", subject="zone=b", query="sum")


def happened(*events: e.Event) -> Incident:
    """One a minute, after an opening."""
    timed = [(NOW + number * MINUTE, event) for number, event in enumerate((opening(), *events))]
    return make_incident(*timed)


@pytest.mark.parametrize(
    ("events", "due"),
    [
        ((), False),
        ((confirmed(),), False),
        ((confirmed(), OPENED), True),
        ((confirmed(), RECOVERED), True),
        ((confirmed(), ORDERED), True),
        ((ORDERED,), False),
        ((RECOVERED,), False),
        ((confirmed(), OPENED, GATHERED), False),
        ((confirmed(), OPENED, GATHERED, RECOVERED), False),
        ((confirmed(), RECOVERED, GATHERED, RELAPSED), False),
        ((confirmed(), RECOVERED, GATHERED, RELAPSED, RECOVERED), True),
        ((confirmed(), RECOVERED, GATHERED, RELAPSED, RECOVERED, GATHERED), False),
        ((confirmed(), OPENED, GATHERED, ORDERED), True),
        ((confirmed(), OPENED, GATHERED, ORDERED, GATHERED), False),
        ((confirmed(), RECOVERED, e.IncidentClosed(reason="recovered", text="x")), False),
        ((confirmed(), OPENED, *[GATHERED] * MOST_DOSSIERS, ORDERED), False),
    ],
)
def test_a_dossier_is_due_once_for_each_time(events: tuple[e.Event, ...], due: bool) -> None:
    effects = dossier_due(happened(*events), None).effects
    assert effects == ((GatherDossier(),) if due else ())


@pytest.mark.parametrize(
    ("events", "waits"),
    [
        ((OPENED,), True),
        ((OPENED, RECOVERED), False),  # by then the metrics have little else to do
        ((OPENED, ORDERED), False),
    ],
)
def test_of_a_storm_the_first_are_looked_into(events: tuple[e.Event, ...], waits: bool) -> None:
    many = happened(confirmed(), *events)
    members = tuple(replace(many, id=f"inc-{n}") for n in range(FIRST_OF_A_STORM + 2))
    storm = Storm("s", NOW, NOW + MINUTE, members)
    late = [bool(dossier_due(one, storm).effects) for one in members[FIRST_OF_A_STORM:]]
    assert all(dossier_due(one, storm).effects for one in members[:FIRST_OF_A_STORM])
    assert late == [not waits] * 2
    # One that closes makes room; and what is none of it waits for nobody.
    shorter = replace(storm, members=members[2:], _places={})
    assert all(dossier_due(one, shorter).effects for one in shorter.members)
    assert dossier_due(replace(many, id="else"), storm).effects


def test_the_commander_orders_it_once_until_it_is_there() -> None:
    rule, commanded = make_rule(), happened(confirmed(), *ADA)
    ordered = given(commanded, OrderDiagnosis(" hands free "), "ada", rule=rule)
    assert ordered == (e.DiagnosisOrdered(person="ada", reason="hands free"),)
    waiting = happened(confirmed(), *ADA, ORDERED)
    assert given(waiting, OrderDiagnosis(), "ada", rule=rule) == ()
    again = happened(confirmed(), *ADA, ORDERED, GATHERED)
    assert len(given(again, OrderDiagnosis(), "ada", rule=rule)) == 1
    for incident, person, why in (
        (commanded, "bo", "only the Commander may have the dossier gathered; that is ada"),
        (happened(*ADA), "ada", "have not confirmed"),
    ):
        with pytest.raises(NotPossible, match=why):
            given(incident, OrderDiagnosis(), person, rule=rule)
    with pytest.raises(NotPossible, match="no rule in force"):
        given(commanded, OrderDiagnosis(), "ada")


def test_an_order_makes_a_diagnosis_owner_needed() -> None:
    from daemon.core.response.role_requests import roles_needed_since

    assert "diagnosis" not in roles_needed_since(happened(confirmed(), *ADA), HOUSE)
    assert "diagnosis" in roles_needed_since(happened(confirmed(), *ADA, ORDERED), HOUSE)


def test_hypotheses_are_numbered_judged_and_owned() -> None:
    before = happened(e.HypothesisAdded(hypothesis="h1", text="the zone"))
    (added,) = given(before, AddHypothesis(" the disk "), "bo")
    assert added == e.HypothesisAdded(hypothesis="h2", text="the disk", person="bo", owner="bo")
    judged = e.HypothesisJudged(
        hypothesis="h1", state="ruled_out", person="bo", evidence="well since noon"
    )
    assert given(before, JudgeHypothesis("h1", "ruled_out", "well since noon"), "bo") == (judged,)
    after = happened(e.HypothesisAdded(hypothesis="h1", text="the zone"), judged)
    one = after.causes.hypotheses["h1"]
    assert (one.state, one.evidence) == ("ruled_out", ("bo: well since noon",))
    assert given(after, JudgeHypothesis("h1", "ruled_out"), "bo") == ()
    (owned,) = given(before, AssignHypothesis("h1"), "bo")
    assert (
        happened(e.HypothesisAdded(hypothesis="h1", text="x"), owned).causes.hypotheses["h1"].owner
        == "bo"
    )


def test_what_is_said_of_a_hypothesis_that_is_not_there_is_refused_or_passed_over() -> None:
    with pytest.raises(NotPossible, match="no hypothesis 'h1'; there are: none yet"):
        given(happened(), JudgeHypothesis("h1", "supported"), "bo")
    # A journal may hold it all the same, of a version that knew better.
    stray = e.HypothesisJudged(hypothesis="h9", state="supported", person="bo")
    assert (
        happened(stray, e.HypothesisAssigned(hypothesis="h9", owner="bo")).causes.hypotheses == {}
    )


def test_a_state_that_this_version_does_not_know_is_open() -> None:
    judged = e.decode(
        '{"kind":"HypothesisJudged","hypothesis":"h1","state":"proven","person":"bo"}'
    )
    known = happened(e.HypothesisAdded(hypothesis="h1", text="x"), judged)
    assert known.causes.hypotheses["h1"].state == "open"
    assert judged.describe() == "hypothesis h1 is proven by bo"


def test_a_finding_is_taken_once_and_becomes_evidence() -> None:
    finding = DiagnosisFinding(kind="external", text="n7 is full", source="df")
    before = happened(e.HypothesisAdded(hypothesis="h1", text="x"))
    added = given(before, AddFinding(finding, "h1"), "")
    after = happened(e.HypothesisAdded(hypothesis="h1", text="x"), *added)
    assert after.causes.findings == (finding,)
    assert after.causes.hypotheses["h1"].evidence == ("df: n7 is full",)
    assert given(after, AddFinding(finding, "h1"), "") == ()


def test_help_calls_the_commander_and_the_communicator_once() -> None:
    posts = (*ADA, e.RoleTaken(role="communicator", person="cy", reason="x"))
    before = happened(confirmed(), *posts)
    team = min(HOUSE.teams)
    asked, *pages = given(before, RequestHelp(team, "slow queries"), "bo")
    assert asked == e.HelpRequested(team=team, person="bo", reason="slow queries")
    assert [page.person for page in pages if isinstance(page, e.PageQueued)] == ["ada", "cy"]
    assert given(happened(confirmed(), *posts, asked), RequestHelp(team, "now"), "bo") == ()


def test_the_daemon_supposes_what_it_found_and_nothing_twice() -> None:
    (made,) = hypotheses_from(happened().causes, [ZONE])
    assert (made.hypothesis, made.text, made.person) == ("h1", "the fault is at zone=b", "")
    assert made.evidence == ("zone=b: 97 % — sum",)
    assert hypotheses_from(happened(made).causes, [ZONE]) == []
    silent = DiagnosisFinding(kind="nothing_stands_out", text="no label value stands out")
    assert hypotheses_from(happened().causes, [silent]) == []


def test_a_closed_incident_takes_hypotheses_and_findings_for_its_review() -> None:
    closed = happened(confirmed(), e.IncidentClosed(reason="recovered", text="x"))
    assert given(closed, AddHypothesis("the disk"), "bo")
    finding = DiagnosisFinding(kind="external", text="n7 is full", source="df")
    assert given(closed, AddFinding(finding), "")
    with pytest.raises(NotPossible, match="is closed"):
        given(closed, RequestHelp(min(HOUSE.teams), "r"), "bo")
    assert closed.closed_at is not None
    assert closed.closed_at - NOW == timedelta(minutes=2)


def test_what_is_likeliest_is_told_while_people_look_for_the_cause() -> None:
    zone = e.HypothesisAdded(hypothesis="h1", text="the zone")
    disk = e.HypothesisAdded(hypothesis="h2", text="the disk", person="bo")
    told = doing(happened(confirmed(), OPENED, zone, disk))
    assert told == (
        "people look for the cause; fast recovery is over (plan exhausted); "
        "likeliest so far: the zone"
    )
    supported = e.HypothesisJudged(hypothesis="h2", state="supported", person="bo")
    assert doing(happened(confirmed(), OPENED, zone, disk, supported)).endswith(
        "supported: the disk"
    )
    ruled_out = [
        e.HypothesisJudged(hypothesis=name, state="ruled_out", person="bo", evidence="x")
        for name in ("h1", "h2")
    ]
    told = doing(happened(confirmed(), OPENED, zone, disk, *ruled_out))
    assert told.endswith("(plan exhausted)")


def test_a_team_that_is_called_in_is_told_what_was_found() -> None:
    found = e.DossierGathered(dossier=Dossier(begin=NOW, end=NOW, findings=(ZONE,)))
    incident = happened(confirmed(), OPENED, found)
    (engaged,) = given(incident, EngageTeam(min(HOUSE.teams), "slow"), "ada")
    assert "Found: zone=b: 97 %" in engaged.packet
