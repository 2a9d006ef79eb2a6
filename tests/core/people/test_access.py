"""Accesses, scopes, and what the roster says of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from daemon.core.people.access import (
    BY_ACCESS,
    LEVELS,
    NEEDED,
    ApiToken,
    higher,
    is_password_hash,
    reaches,
    scopes_reach,
)
from daemon.core.people.roster import Roster
from daemon.core.people.roster_checks import check_roster
from daemon.core.people.scopes import SCOPES, Scope
from daemon.core.values.yaml_document import Mistakes, one_document

HASH = (
    "$argon2id$v=19$m=65536,t=3,p=4$zJYJmj1kf8E7VYg9A1jwhg"
    "$d3kt+vcQKfSjgBcoEvC8FhxCL9kbRV7wMy6qDmctOcE"
)
ROSTER = """
people:
  ada: {{name: Ada, contact: [{{console: true}}], {ada}}}
  bo: {{name: Bo, contact: [{{console: true}}], {bo}}}
policies: {{p: {{tiers: [{{notify: [ada]}}]}}}}
default_policy: p
"""


def read(ada: str = "", bo: str = "") -> Roster:
    document = one_document(ROSTER.format(ada=ada, bo=bo), "roster.yaml")
    roster = document.read(Roster)
    found = check_roster(roster, document)
    if found:
        raise Mistakes(found)
    return roster


def test_each_level_has_what_the_one_before_has() -> None:
    assert [[reaches(a, b) for b in LEVELS] for a in LEVELS] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
    assert higher("viewer", "admin") == higher("admin", "viewer") == "admin"


def test_narrow_scopes_reach_nothing_else() -> None:
    reach = {scope: [scopes_reach([scope], needs) for needs in LEVELS] for scope in SCOPES}
    assert reach == {
        "read": [True, False, False],
        "respond": [True, True, False],
        "admin": [True, True, True],
        "changes": [False] * 3,
        "alerts": [False] * 3,
        "sentiment": [False] * 3,
        "findings": [False] * 3,
    }


def test_every_scope_is_explained_and_needs_an_access() -> None:
    assert set(get_args(Scope)) == set(SCOPES) == set(NEEDED)
    assert {NEEDED[scope]: scope for scope in BY_ACCESS.values()} == dict(BY_ACCESS)


def test_a_token_is_valid_until_its_end_or_its_revocation() -> None:
    now, hour = datetime(2026, 3, 1, tzinfo=UTC), timedelta(hours=1)
    token = ApiToken("1", "ada", "ci", ("read",), now, now + hour)
    assert token.valid(now + hour - timedelta(microseconds=1))
    assert not token.valid(now + hour)
    assert ApiToken("1", "ada", "ci", ("read",), now).valid(now + 9999 * hour)
    assert not ApiToken("1", "ada", "ci", ("read",), now, revoked_at=now).valid(now)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (HASH, True),
        (HASH.replace("argon2id", "argon2i"), False),
        (HASH.replace("v=19", "v=16"), False),
        (HASH[:60], False),
        (HASH + "$", False),
        (HASH + "\n", False),
        ("hunter2", False),
        ("", False),
    ],
)
def test_what_is_a_password_hash(text: str, good: bool) -> None:
    assert is_password_hash(text) is good


def test_people_are_responders_unless_the_roster_says_otherwise() -> None:
    roster = read(bo="access: admin")
    assert [person.access for person in roster.people.values()] == ["responder", "admin"]
    with pytest.raises(Mistakes, match=r"people.ada.access: input should be 'viewer', 'respond"):
        read(ada="access: root")


@pytest.mark.parametrize("given", [f"'{HASH}'", "env:ADA_HASH", "file:secrets/ada"])
def test_a_password_is_a_hash_or_where_it_is(given: str) -> None:
    assert read(ada=f"password: {given}").people["ada"].password == given.strip("'")


@pytest.mark.parametrize("given", ["hunter2hunter2", "12345678", "['hunter2hunter2']", "$2b$12$x"])
def test_a_password_itself_is_refused_and_not_repeated(given: str) -> None:
    with pytest.raises(Mistakes) as caught:
        read(ada=f"password: {given}")
    told = str(caught.value)
    assert "people.ada.password: write the hash that `stopgap password` prints" in told
    assert given.strip("[']") not in told


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        ("ada@example.org", "ada"),
        ("ADA@Example.ORG", "ada"),
        ("ada", None),  # she is known as something else
        ("bo", "bo"),
        ("Bo", None),
        ("", None),
        ("adа@example.org", None),  # a Cyrillic а
    ],
)
def test_whom_an_identity_means(identity: str, name: str | None) -> None:
    assert read(ada="known_as: {oidc: Ada@example.org}").known_by(identity) == name


@pytest.mark.parametrize(
    ("people", "said"),
    [
        ({"ada": "x@y", "bo": "X@Y"}, "people.bo.known_as.oidc: 'ada' is known by that already"),
        ({"ada": "bo"}, "people.bo.known_as.oidc: 'ada' is known by that already"),
        ({"bo": "ada"}, "people.bo.known_as.oidc: 'ada' is known by that already"),
        ({"ada": "' '"}, "people.ada.known_as.oidc"),
    ],
)
def test_one_identity_is_one_person(people: dict[str, Any], said: str) -> None:
    given = {name: f"known_as: {{oidc: {identity}}}" for name, identity in people.items()}
    with pytest.raises(Mistakes) as caught:
        read(**given)
    assert said in str(caught.value)


def test_two_may_swap_names() -> None:
    roster = read(ada="known_as: {oidc: bo}", bo="known_as: {oidc: ada}")
    assert roster.known_by("bo") == "ada"
