"""Who is called, and the names that lead nowhere."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.core.people.contact_methods import Contact
from daemon.core.people.roster import Roster
from daemon.core.people.roster_checks import check_roster
from daemon.core.people.schedules import Shift
from daemon.core.values.yaml_document import Mistakes, one_document
from tests.core.build import HOUR, HOUSE, MINUTE, NOW, ROSTER, make_roster

GOOD = """\
people:
  ada:
    name: Ada
    token: env:ADA_TOKEN
    contact: [{webhook: "env:ADA_PAGER", secret: "file:/run/ada"}, {console: true}]
  bo: {name: Bo, contact: [{apprise: env:BO_MAIL}]}
teams:
  shop: {owners: [ada, bo], lead: bo, policy: shop}
policies:
  shop:
    tiers:
      - {notify: [shop, ada], wait: 2m}
      - {notify: [bo]}
default_policy: shop
"""


def mistakes(text: str) -> list[tuple[int, str, str]]:
    document = one_document(text, "roster.yaml")
    try:
        found = check_roster(document.read(Roster), document)
    except Mistakes as error:
        found = list(error.mistakes)
    return [(m.line, m.place, m.text) for m in found]


def test_a_good_roster_has_no_mistake() -> None:
    assert mistakes(GOOD) == []


def test_a_tier_calls_people_and_the_owners_of_teams_each_once() -> None:
    roster = one_document(GOOD, "roster.yaml").read(Roster)
    first, second = roster.tiers("shop", NOW)
    assert first.people == ("ada", "bo")
    assert second.people == ("bo",)
    assert (first.wait, second.wait) == (2 * MINUTE, 5 * MINUTE)


def test_an_unknown_team_is_called_by_the_default_policy() -> None:
    assert ROSTER.policy_for("shop") is ROSTER.policies["shop"]
    assert ROSTER.policy_for("") is ROSTER.policies["shop"]


@pytest.mark.parametrize(
    ("old", "new", "line", "place", "said"),
    [
        ("default_policy: shop", "default_policy: x", 14, "default_policy", "known: shop"),
        ("lead: bo, policy: shop", "lead: bo, policy: x", 8, "teams.shop.policy", "no 'x'"),
        ("owners: [ada, bo]", "owners: [ada, cy]", 8, "teams.shop.owners.1", "known: ada, bo"),
        ("lead: bo", "lead: cy", 8, "teams.shop.lead", "no 'cy'"),
        ("notify: [bo]", "notify: [cy]", 13, "policies.shop.tiers.1.notify", "no 'cy'"),
        ("owners: [ada, bo]", "owners: []", 12, "policies.shop.tiers.0.notify", "call nobody"),
        ("notify: [bo]", "notify: []", 13, "policies.shop.tiers.1.notify", "at least one"),
        ("wait: 2m", "wait: 2", 12, "policies.shop.tiers.0.wait", "not a duration"),
        ("wait: 2m", "wait: 0s", 12, "policies.shop.tiers.0.wait", "no time"),
        ("contact: [{apprise: env:BO_MAIL}]", "contact: []", 6, "people.bo.contact", "at least"),
        ("apprise: env:BO_MAIL", "console: false", 6, "people.bo.contact.0", "exactly one of"),
        ("{console: true}", "{console: true, secret: env:X}", 5, "people.ada.contact.1", "signs a"),
        ("    token:", "    tokn:", 4, "people.ada.tokn", "did you mean `token`?"),
        ("name: Bo,", "name: Bo, access: viewer,", 8, "teams.shop.lead", "and may only look"),
        ("name: Bo,", "name: Bo, access: viewer,", 8, "teams.shop.owners", "and may only look"),
        ("name: Bo,", "name: Bo, access: viewer,", 13, "policies.shop.tiers.1.notify", "look"),
        ("    tiers:", "    tiers:\n    repeat: -1\n    tier:", 12, "policies.shop.repeat", "0"),
    ],
)
def test_a_mistake_is_told_where_it_stands(
    old: str, new: str, line: int, place: str, said: str
) -> None:
    assert old in GOOD
    found = mistakes(GOOD.replace(old, new))
    assert any((at, where) == (line, place) and said in text for at, where, text in found), found


@pytest.mark.parametrize("secret", ["s3cret", "env:", "env:A B", "env:1A", "file:", 5, None, ["x"]])
def test_a_secret_is_named_never_written_and_never_repeated(secret: Any) -> None:
    text = GOOD.replace("env:ADA_TOKEN", repr(secret) if secret is not None else "''")
    ((line, place, said),) = mistakes(text)
    assert (line, place) == (4, "people.ada.token")
    assert "env:NAME or file:PATH" in said
    assert not secret or str(secret) not in said.replace("env:NAME", "").replace("file:PATH", "")


@pytest.mark.parametrize(
    ("contact", "method"),
    [
        ({"webhook": "env:A"}, "webhook"),
        ({"apprise": "file:/a"}, "apprise"),
        ({"console": True}, "console"),
    ],
)
def test_a_contact_is_one_way(contact: dict[str, Any], method: str) -> None:
    assert Contact.model_validate(contact).method == method


def test_names_mean_people_schedules_and_teams_each_person_once() -> None:
    changes = {"schedules": {"night": {"zone": "UTC", "calendar": {"file": "x.ics"}}}}
    roster = make_roster(**changes).knowing(
        {"night": [Shift(NOW, NOW + HOUR, ("gus", "gone", "ada"))]}
    )
    assert set(roster.on_call("night", NOW)) == {"gus", "ada"}, "and nobody it does not know"
    assert roster.on_call("night", NOW + HOUR) == ()
    assert roster.named(["shop", "night", "ada", "hal"], NOW) == ("ada", "eve", "gus", "hal")
    assert roster.named(["night"], NOW + HOUR) == ()
    assert make_roster(**changes).on_call("night", NOW) == (), (
        "a copy knows the calendar, not the file"
    )


def test_a_defect_of_ours_is_told_to_everybody_responsible() -> None:
    assert HOUSE.everybody_responsible("shop", NOW) == ("ada", "fay", "gus", "bo", "cy")
    assert HOUSE.everybody_responsible("", NOW) == ("ada", "fay", "gus")
    empty = {"shop": {"tiers": [{"notify": ["none"]}]}}
    nobody = {"none": {"owners": [], "policy": "shop"}}
    roster = make_roster(policies=empty, teams=nobody)
    assert set(roster.everybody_responsible("none", NOW)) == set(roster.people)


def test_a_team_has_its_dedicated_commanders_in_order() -> None:
    team = HOUSE.teams["shop"]
    assert team.commanders == ("bo", "cy")
    both = team.model_copy(update={"stability_owner": "bo"})
    assert both.commanders == ("bo",)
    assert team.model_copy(update={"lead": None}).commanders == ("cy",)


@pytest.mark.parametrize("name", ["answer", "silence", "overdue", "stale_ack"])
def test_nobody_is_given_no_time_at_all(name: str) -> None:
    with pytest.raises(ValueError, match="nobody can answer in no time"):
        make_roster(timing={name: "0s"})
    assert make_roster(timing={"vacancy": "0s"}).timing.vacancy == 0 * MINUTE, (
        "asked at once is fine"
    )
