"""Logging in by OpenID Connect: there and back, whom the claims mean, whose answer it is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from structlog.testing import capture_logs

from tests.contract.oidc_scene import ADA, Scene, scene
from tests.contract.rig import rigged
from tests.contract.visitor import PLAIN, Visitor, give_access

SESSION = "stopgap_session"


@pytest.fixture
async def here() -> AsyncIterator[Scene]:
    async with scene() as found:
        yield found


async def test_there_and_back_again(here: Scene) -> None:
    visitor = Visitor(here.rig)
    form = (await visitor.opens("/login?next=/you")).page
    assert 'href="/login/oidc?next=%2Fyou"' in form
    seen = await here.logs_in(visitor)
    assert seen.went_to == "/you"
    assert list(visitor.cookies) == [SESSION]
    page = (await visitor.opens("/you")).page
    assert "You are <strong>ada</strong>" in page
    assert '<td data-name="By">oidc</td>' in page


async def test_mail_addresses_are_alike_in_capitals(here: Scene) -> None:
    assert (await here.logs_in(email="bo@example.ORG", email_verified=True)).status == 303
    [session] = here.rig.credentials.kept.values()
    assert session.person == "bo"


async def test_whom_the_roster_does_not_know_is_refused_with_the_mend(here: Scene) -> None:
    with capture_logs() as logs:
        page = await here.refused(email="eve@example.org", email_verified=True)
    assert "set `people.NAME.known_as.oidc` to it" in page
    assert "login by OpenID Connect failed" in [log["event"] for log in logs]


async def test_a_mail_address_alone_is_no_proof_of_it(here: Scene) -> None:
    assert "did not verify" in await here.refused(email="ada@example.org")
    assert "did not verify" in await here.refused(email="ada@example.org", email_verified=False)


async def test_without_the_claim_it_says_which_is_missing(here: Scene) -> None:
    assert "has no `email`" in await here.refused(name="Ada")
    assert "has no `email`" in await here.refused(email=["ada@example.org"])


async def test_another_claim_and_the_name_in_the_roster() -> None:
    async with scene(claim="preferred_username") as here:
        assert (await here.logs_in(preferred_username="cy")).status == 303
        # Ada is known as something else, so that her name in the roster is not her any more.
        assert (await here.logs_in(preferred_username="ada")).status == 403


async def test_anyone_may_look_if_the_settings_say_so() -> None:
    async with scene(anyone="viewer", claim="sub") as here:
        guest = Visitor(here.rig)
        assert (await here.logs_in(guest, sub="eve|1")).status == 303
        page = (await guest.opens("/you")).page
        assert "eve|1</strong> with the access <strong>viewer" in page
        assert "API token" not in page
        csrf = {"X-CSRF-Token": await guest.csrf()}
        assert (await guest.asks("GET", "/api/v1/incidents")).status == 200
        seen = await guest.asks("POST", f"{here.rig.path}/ack", csrf)
        assert (seen.status, "guests may look" in seen.text) == (403, True)
        made = {"Content-Type": "application/json", **csrf}
        body = json.dumps({"name": "x", "scopes": ["read"]})
        assert (await guest.asks("POST", "/api/v1/tokens", made, body)).status == 403
        # Nobody becomes somebody of the roster by calling themselves so.
        assert (await here.logs_in(sub="ada")).status == 403


async def test_a_guest_is_out_when_the_roster_takes_the_name() -> None:
    async with scene(anyone="viewer", claim="sub") as here:
        guest = Visitor(here.rig)
        await here.logs_in(guest, sub="eve")
        people = dict(here.rig.roster.people)
        here.rig.roster = here.rig.roster.model_copy(
            update={"people": {**people, "eve": people["cy"]}}
        )
        assert (await guest.opens("/you")).status == 303


@pytest.mark.parametrize(
    ("groups", "access"),
    [
        (["ops", "leads"], "admin"),
        ("leads", "admin"),
        (["ops"], "responder"),
        (["other", 7, {}], "viewer"),
        ({"leads": 1}, "viewer"),
        (None, "viewer"),
    ],
)
async def test_groups_raise_the_access_of_the_roster(groups: Any, access: str) -> None:
    async with scene(access={"responder": ["ops"], "admin": ["leads"]}) as here:
        give_access(here.rig, ada="viewer")
        visitor = Visitor(here.rig)
        await here.logs_in(visitor, **ADA, groups=groups)
        assert f"access <strong>{access}" in (await visitor.opens("/you")).page


async def test_a_session_of_before_is_ended(here: Scene) -> None:
    visitor = Visitor(here.rig)
    await visitor.logs_in("", "bo-token")
    before = visitor.cookies[SESSION]
    await here.logs_in(visitor)
    assert visitor.cookies[SESSION] != before
    assert [session.person for session in here.rig.credentials.kept.values()] == ["ada"]


# ── state, code and cookie ───────────────────────────────────────────────────────────────────


async def test_an_answer_serves_once(here: Scene) -> None:
    visitor = Visitor(here.rig)
    seen = await visitor.opens("/login/oidc")
    back, begun = here.there.agrees(seen.went_to, **ADA), dict(visitor.cookies)
    assert (await visitor.opens(back)).status == 303
    assert (await visitor.opens(back)).status == 403  # the browser forgot its half
    again = await Visitor(here.rig, begun).opens(back)  # whoever kept it finds the code used
    assert (again.status, "invalid_grant" in again.text) == (403, True)
    assert "not  this time" in again.page
    assert len(here.rig.credentials.kept) == 1


async def test_somebody_elses_answer_is_not_taken(here: Scene) -> None:
    mallory, victim = Visitor(here.rig), Visitor(here.rig)
    back = here.there.agrees((await mallory.opens("/login/oidc")).went_to, **ADA)
    assert (await victim.opens(back)).status == 403  # never began
    await victim.opens("/login/oidc")
    seen = await victim.opens(back)
    assert (seen.status, "begun in another browser" in seen.page) == (403, True)
    assert victim.cookies == {}
    state = parse_qs(urlsplit(back).query)["state"][0]
    for forged in (state, f'["{state}"]', mallory.cookies["stopgap_oidc"] + "x"):
        assert (await Visitor(here.rig, {"stopgap_oidc": forged}).opens(back)).status == 403


async def test_who_takes_too_long_begins_again(here: Scene) -> None:
    for minutes, status in ((10, 303), (11, 403)):
        visitor = Visitor(here.rig)
        seen = await visitor.opens("/login/oidc")
        here.there.now = here.rig.later(minutes=minutes)
        assert (await visitor.opens(here.there.agrees(seen.went_to, **ADA))).status == status


async def test_the_providers_refusal_is_told(here: Scene) -> None:
    visitor = Visitor(here.rig)
    state = parse_qs(urlsplit((await visitor.opens("/login/oidc")).went_to).query)["state"][0]
    said = {"state": state, "error": "access_denied", "error_description": "<b>no</b>"}
    seen = await visitor.opens(f"/login/oidc/callback?{urlencode(said)}")
    assert seen.status == 403
    assert "refused: access_denied: &lt;b&gt;no&lt;/b&gt;" in seen.page


async def test_another_providers_answer_is_not_taken(here: Scene) -> None:
    visitor = Visitor(here.rig)
    back = here.there.agrees((await visitor.opens("/login/oidc")).went_to, **ADA)
    mixed = back.replace(urlencode({"iss": here.there.url}), "iss=https%3A%2F%2Fevil.example")
    assert mixed != back
    assert (await visitor.opens(mixed)).status == 403


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example"])
async def test_it_leads_to_no_other_site(here: Scene, path: str) -> None:
    assert (await here.logs_in(path=path)).went_to == "/"


async def test_without_it_there_is_no_such_login() -> None:
    async with rigged(url=PLAIN) as rig:
        visitor = Visitor(rig)
        assert "/login/oidc" not in (await visitor.opens("/login")).page
        for path in ("/login/oidc", "/login/oidc/callback?code=x&state=y"):
            seen = await visitor.opens(path)
            assert (seen.status, "`auth.oidc`" in seen.page) == (404, True)
