"""What a person declares, with a rule and without; and that it is one, however often it is sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.core.decide import decide
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.situation import Surroundings
from daemon.core.response.command import InvalidCommand
from daemon.core.response.declaring import Declaration, declared_opening
from daemon.core.rules.rule import incident_key
from tests.core.build import HOUR, HOUSE, LIMITS, NOW, make_alert, make_incident, make_rule

RULES = {"checkout": make_rule()}
DECLARED = Declaration(title="customers cannot pay", person="ada", via="cli")
RULED = replace(DECLARED, rule="checkout", labels={"service": "checkout"})


def begun(declaration: Declaration, *more: e.Event) -> Incident:
    opening = declared_opening(declaration, RULES, HOUSE, "1130-0400-abcdef")
    return make_incident(*((NOW, event) for event in (*opening.events, *more)))


def test_with_a_rule_it_is_the_incident_that_an_alert_would_have_opened() -> None:
    opening = declared_opening(RULED, RULES, HOUSE, "x")
    assert opening.key == incident_key("checkout", {"service": "checkout"})
    incident = begun(RULED)
    assert (incident.rule, incident.opened.team) == ("checkout", "shop")
    assert incident.title == "customers cannot pay"
    assert incident.organization.declared is not None
    assert incident.organization.declared.person == "ada"


@pytest.mark.parametrize(
    ("declaration", "said"),
    [
        (replace(RULED, labels={}), "say which service: a label service=VALUE is missing"),
        (replace(RULED, labels={"service": " "}), "say which service"),
        (
            replace(RULED, labels={"service": "checkout", "zone": "eu"}),
            "does not measure by 'zone', but by service",
        ),
        (replace(RULED, rule="chekout"), "no rule 'chekout' is in force; there are: checkout"),
        (replace(DECLARED, team="shopp"), "no team 'shopp'; the roster has mysql, shop"),
        (replace(DECLARED, title=" "), "what is wrong\\? Give a title"),
        (replace(DECLARED, title="x" * 201), "201 characters; 200 at most"),
    ],
)
def test_what_is_wrong_is_said_with_the_mend(declaration: Declaration, said: str) -> None:
    with pytest.raises(InvalidCommand, match=said):
        declared_opening(declaration, RULES, HOUSE, "x")


def test_without_a_rule_two_of_the_same_words_are_two() -> None:
    one = declared_opening(DECLARED, RULES, HOUSE, "one")
    other = declared_opening(DECLARED, RULES, HOUSE, "other")
    assert one.key != other.key


def test_the_same_request_of_the_same_person_is_one() -> None:
    click = replace(DECLARED, request="click-1")
    keys = {declared_opening(click, RULES, HOUSE, name).key for name in ("one", "other")}
    assert len(keys) == 1
    theirs = declared_opening(replace(click, person="bo"), RULES, HOUSE, "one").key
    assert theirs not in keys


def test_whoever_responds_at_once_commands_and_nobody_is_called() -> None:
    incident = begun(replace(DECLARED, respond=True))
    assert incident.commander == "ada"


def test_the_end_of_alerts_does_not_close_what_a_person_declared() -> None:
    around = Surroundings(HOUSE, Approvals(), LIMITS)
    joined = e.AlertsReceived(alerts=(make_alert("resolved"),))
    declared = begun(replace(DECLARED, respond=True), joined)
    assert declared.all_resolved
    alerted = replace(declared, organization=replace(declared.organization, declared=None))
    closed = [
        [x.reason for x in decide(i, None, around, NOW + HOUR).record if x.kind == "IncidentClosed"]
        for i in (declared, alerted)
    ]
    assert closed == [[], ["alerts_resolved"]]
