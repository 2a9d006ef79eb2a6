"""Who else could help: suggested by what is involved, never called in by that."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.core.changes.suspects import Suspicion
from daemon.core.incident import events as e
from daemon.core.incident.drill_mark import DrillMark
from daemon.core.incident.state import Incident
from daemon.core.people.roster import Roster
from daemon.core.people.vendors import Vendor, first_match
from daemon.core.response.collaboration_commands import RecordTicket
from daemon.core.response.command import NotPossible
from daemon.core.response.external_help import HelpSources, help_suggestions, vendors_for
from daemon.core.response.help_packet import vendor_ticket
from daemon.core.rules.dependencies import RuleDependencies
from daemon.core.rules.rule import Rule
from tests.commanding import situated
from tests.core.build import (
    EVERYTHING,
    NOW,
    TARGET,
    blamed,
    confirmed,
    finished,
    make_change,
    make_incident,
    make_problem,
    make_rule,
    opening,
    started,
)

OPEN = (NOW, opening())
AWS = Vendor.model_validate(
    {
        "name": "Amazon",
        "what": "the machines",
        "matches": ["check*"],
        "url": "https://aws.example",
        "contract": "C-4711",
    }
)


def roster(**teams: Any) -> Roster:
    """The house with these teams besides."""
    more = {name: {"owners": ["gus"], "policy": "shop", **given} for name, given in teams.items()}
    known = {**EVERYTHING, "teams": {**EVERYTHING["teams"], **more}}
    return Roster.model_validate({**known, "vendors": {"aws": AWS.model_dump(), "cdn": CDN}})


CDN = {"name": "Cdn Inc", "matches": ["edge"], "email": "help@cdn.example"}


def suggested(
    incident: Incident, house: Roster, *rules: Rule, others: tuple[Incident, ...] = ()
) -> dict[str, str]:
    """The teams that are suggested, and why."""
    sources = HelpSources(
        house, {rule.rule: rule for rule in rules}, RuleDependencies(rules), others
    )
    return {one.team: one.why for one in help_suggestions(incident, sources, "ada", "http://doc")}


def changed(**labels: str) -> Suspicion:
    """Another system reported a change with these labels, and it is the suspect."""
    change = make_change("v9", NOW).model_copy(update={"labels": labels, "item": "v9"})
    return blamed().model_copy(update={"change": change})


def test_the_team_of_the_suspect_change_is_suggested_by_its_labels() -> None:
    by_team = make_incident(OPEN, confirmed(suspicion=changed(team="pay")))
    assert suggested(by_team, roster(pay={})) == {
        "pay": "the suspect change v9 is theirs, by its label team"
    }
    pay = make_rule(rule="pay", team="pay", match=['service="pay"'])
    by_service = make_incident(OPEN, confirmed(suspicion=changed(service="pay")))
    assert suggested(by_service, roster(pay={}), pay) == {
        "pay": "the suspect change v9 is one of their service pay"
    }
    experts = roster(pay={"expert_in": ["release:*"]})
    by_target = make_incident(OPEN, confirmed(suspicion=blamed()))
    assert list(suggested(by_target, experts)) == ["pay"]
    assert TARGET in suggested(by_target, experts)["pay"]


def test_what_is_asked_of_them_and_told_is_prepared() -> None:
    incident = make_incident(OPEN, confirmed(suspicion=changed(team="pay")), started(), finished())
    sources = HelpSources(roster(pay={}), {}, RuleDependencies())
    (one,) = help_suggestions(incident, sources, "ada", "http://doc")
    first, *rest = one.packet.splitlines()
    assert first == f"ada asks for your help: {one.ask}"
    assert one.ask.startswith("look at v9, live since ")
    told = "\n".join(rest)
    assert "Problem: success rate 99.0 % → 79.0 %" in told
    assert "Since: 2026-03-01 14:06 UTC, by the metrics" in told
    assert "Tried: release_rollback on release:shop: done, its effect is being measured" in told
    assert told.endswith("Everything: http://doc")


@pytest.mark.parametrize(
    "later",
    [
        e.TeamEngaged(team="pay", person="ada", packet=""),
        e.Recovered(step=0, text="x"),
        e.IncidentClosed(reason="by_person", text="x"),
    ],
)
def test_nobody_is_suggested_who_was_called_in_or_when_it_is_over(later: e.Event) -> None:
    before = confirmed(suspicion=changed(team="pay"))
    assert suggested(make_incident(OPEN, before), roster(pay={}))
    assert suggested(make_incident(OPEN, before, later), roster(pay={})) == {}


def test_neither_the_own_team_nor_one_that_is_not_there() -> None:
    own = make_incident(OPEN, confirmed(suspicion=changed(team="shop")))
    gone = make_incident(OPEN, confirmed(suspicion=changed(team="choir")))
    assert suggested(own, roster(pay={})) == suggested(gone, roster(pay={})) == {}


def test_the_team_of_what_the_rule_depends_on() -> None:
    checkout = make_rule(depends_on=["pay"])
    pay = make_rule(rule="pay", team="pay", match=['alertname="PayFails"'])
    incident = make_incident(OPEN, confirmed())
    assert suggested(incident, roster(pay={}), checkout, pay) == {}, "all may be well there"
    upstream = make_incident((NOW, opening("pay", "pay")))
    upstream = type(upstream)("0301-1400", upstream.opened_at, upstream.opened)
    found = suggested(incident, roster(pay={}), checkout, pay, others=(incident, upstream))
    assert found == {"pay": "checkout depends on pay, which fails too: CheckoutFails"}
    over = make_incident(OPEN, confirmed(), e.DiagnosisOpened(reason="plan_exhausted", text="x"))
    assert suggested(over, roster(pay={}), checkout, pay) == {
        "pay": "checkout depends on pay, and fast recovery is over"
    }


def test_experts_in_what_is_involved() -> None:
    incident = make_incident(OPEN, confirmed())
    assert suggested(incident, roster(db={"expert_in": ["mysql-*"]})) == {}
    checkout = make_rule(depends_on=['service="MySQL-main"'])
    found = suggested(incident, roster(db={"expert_in": ["mysql-*"]}), checkout)
    assert found == {"db": "MySQL-main is involved, in which they are expert"}


def test_the_vendors_that_are_involved_come_first() -> None:
    incident = make_incident(OPEN, confirmed())
    assert vendors_for(incident, roster(), None) == {"aws": "checkout", "cdn": ""}
    checkout = make_rule(group_by=[], depends_on=['service="edge"'])
    bare = make_incident((NOW, opening().model_copy(update={"group_labels": {}})))
    assert list(vendors_for(bare, roster(), checkout).items()) == [("cdn", "edge"), ("aws", "")]


def test_a_name_is_meant_whatever_its_capitals() -> None:
    assert first_match(["My*"], ["x", "mysql"]) == "mysql"
    assert first_match(["mysql"], ["mysql-main"]) == ""
    assert first_match([], ["x"]) == first_match(["*"], []) == ""


def test_a_ticket_says_what_a_vendor_needs_and_nothing_of_ours() -> None:
    problem = make_problem(queries=('sum(secret_metric{host="db-7"})',), failed_per_minute=120.4)
    incident = make_incident(
        (NOW, opening()),
        (NOW, e.CommanderAppointed(person="ada", reason="x")),
        confirmed(problem, changed(team="pay", host="db-7")),
        started(),
        finished(),
        e.StepVerified(step=1, verdict="unchanged", text="x"),
    )
    text = vendor_ticket(incident, AWS, "Paying in the shop.", "")
    lines = text.splitlines()
    assert lines[0] == "Subject: Paying in the shop since 2026-03-01 14:06 UTC"
    assert "Contract: C-4711" in lines
    assert f"Our reference: {incident.id}" in lines
    assert "About 120 requests a minute failed." in lines
    assert any(one.endswith("success rate 79.0 %; normal is 99.0 %.") for one in lines)
    assert "What we tried: release rollback (nothing changed)." in lines
    assert lines[-1].startswith("What we ask: do you see or know of anything wrong with the machi")
    internal = ("ada", "pay", TARGET, "v9", "v2", "db-7", "secret_metric", "CheckoutFails", "http")
    assert not [word for word in internal if word in text]
    asked = vendor_ticket(incident, AWS, "", " is the zone\nill? ")
    assert (
        asked.splitlines()[0] == "Subject: success rate far from normal since 2026-03-01 14:06 UTC"
    )
    assert asked.endswith("What we ask: is the zone ill?")


def test_a_ticket_of_what_nobody_measures() -> None:
    text = vendor_ticket(make_incident(OPEN), AWS, "", "")
    assert text.startswith("Subject: a service of ours is impaired since ")
    assert "What we tried: nothing was changed on our side so far." in text


def test_the_number_of_a_ticket_is_kept_once() -> None:
    incident, situation = make_incident(OPEN), situated("ada", roster=roster())
    (kept,) = RecordTicket("aws", " 47\n11 ").apply(incident, situation)
    assert kept == e.VendorTicketOpened(vendor="aws", ticket="47 11", person="ada")
    assert RecordTicket("aws", "47 11").apply(make_incident(OPEN, kept), situation) == ()
    for vendor, ticket, told in (
        ("eve", "1", "no vendor 'eve'; `vendors` in the roster has aws, cdn"),
        ("aws", " ", "the ticket number is empty"),
        ("aws", "x" * 101, "100 characters at most"),
    ):
        with pytest.raises(NotPossible, match=told):
            RecordTicket(vendor, ticket).apply(incident, situation)


def test_a_ticket_of_a_drill_says_first_that_nobody_should_send_it() -> None:
    mark = DrillMark(run="r", scenario="s", title="t", by="x", began_at=NOW, blue=("ada",))
    drilled = make_incident((NOW, opening().model_copy(update={"drill": mark})))
    text = vendor_ticket(drilled, AWS, "Paying.", "")
    assert text.startswith("Subject: [DRILL] do not send this: Paying since ")


@pytest.mark.parametrize(
    ("failed", "said"),
    [(120.4, "About 120 requests a minute failed."), (1.2, "About 1 request a minute failed.")],
)
def test_how_much_fails_is_told_as_a_person_would(failed: float, said: str) -> None:
    problem = make_problem(failed_per_minute=failed)
    assert said in vendor_ticket(make_incident(confirmed(problem)), AWS, "Paying.", "")
    few = make_incident(confirmed(make_problem(failed_per_minute=0.3)))
    assert " a minute failed." not in vendor_ticket(few, AWS, "Paying.", "")
