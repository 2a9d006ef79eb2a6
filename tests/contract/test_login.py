"""Logging in and out by a browser, and what somebody hostile tries instead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from daemon.core.people.access import Session, hash_of
from daemon.web import body
from daemon.web.auth.csrf import local_path
from tests.contract.rig import ADA, CHEAP, TOKENS, Rig, rigged
from tests.contract.visitor import (
    PASSWORD,
    PLAIN,
    Visitor,
    give_access,
    give_passwords,
    give_token,
)

COOKIE = "stopgap_session"
JSON = {"Accept": "application/json"}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged(url=PLAIN) as found:
        give_passwords(found, "ada", "bo")
        yield found


@pytest.fixture
def ada(rig: Rig) -> Visitor:
    return Visitor(rig)


async def test_a_name_and_a_password_log_in(rig: Rig, ada: Visitor) -> None:
    assert (await ada.opens("/you")).went_to == "/login?next=%2Fyou"
    form = await ada.opens("/login?next=%2Fyou")
    assert 'name="next" value="/you"' in form.page
    seen = await ada.logs_in()
    assert seen.went_to == "/you"
    morsel = seen.set_cookies[COOKIE]
    assert (morsel["httponly"], morsel["samesite"], morsel["path"]) == (True, "Lax", "/")
    assert (morsel["secure"], morsel["domain"], morsel["max-age"]) == ("", "", "43200")
    assert "You are <strong>ada</strong>" in (await ada.opens("/you")).page
    status, me = await rig.asks("GET", "/api/v1/me", {"Cookie": f"{COOKIE}={ada.cookies[COOKIE]}"})
    assert (status, me["me"]["person"], me["me"]["via"]) == (200, "ada", "session")


async def test_with_https_the_cookie_is_for_this_host_alone() -> None:
    async with rigged() as rig:
        give_passwords(rig, "ada")
        ada = Visitor(rig)
        morsel = (await ada.logs_in()).set_cookies["__Host-stopgap"]
        assert (morsel["secure"], morsel["path"], morsel["domain"]) == (True, "/", "")
        assert "ada" in (await ada.opens("/you")).page
        assert (await Visitor(rig, {COOKIE: morsel.value}).opens("/you")).status == 303


async def test_a_token_of_the_roster_logs_in_with_or_without_the_name(rig: Rig) -> None:
    for name in ("", "bo"):
        visitor = Visitor(rig)
        assert (await visitor.logs_in(name, f" {TOKENS['bo']}\n")).went_to == "/you"
        assert "You are <strong>bo</strong>" in (await visitor.opens("/you")).page
    assert (await Visitor(rig).logs_in("ada", TOKENS["bo"])).status == 401


async def test_an_api_token_does_not_log_in(rig: Rig, ada: Visitor) -> None:
    token = (await give_token(rig, "ada", "read"))["Authorization"].removeprefix("Bearer ")
    for name in ("", "ada"):
        seen = await ada.logs_in(name, token)
        assert seen.status == 401
        assert "an API token is for programs" in seen.page
    assert ada.cookies == {}


async def test_wrong_name_and_wrong_password_get_the_same_answer(rig: Rig) -> None:
    answers = set()
    for name, secret in (("ada", "wrong"), ("eve", PASSWORD), ("cy", PASSWORD), ("", PASSWORD)):
        seen = await Visitor(rig).logs_in(name, secret)
        assert (seen.status, seen.set_cookies) == (401, {})
        answers.add(seen.page.replace(f'value="{name}" autocomplete', ""))
        assert secret not in seen.page
    assert len({text.replace('value=""', "") for text in answers}) == 1


async def test_a_program_gets_a_problem_document(ada: Visitor) -> None:
    seen = await ada.logs_in("ada", "wrong", **JSON)
    assert seen.headers["Content-Type"].startswith("application/problem+json")
    assert seen.status == 401


async def test_logging_out_is_real(rig: Rig, ada: Visitor) -> None:
    await ada.logs_in()
    stolen = Visitor(rig, dict(ada.cookies))
    refused = await ada.sends("/logout")
    assert (refused.status, (await ada.opens("/you")).status) == (403, 200)
    assert (await ada.sends("/logout", csrf=await ada.csrf())).went_to == "/login"
    assert ada.cookies == {}
    assert (await stolen.opens("/you")).status == 303
    assert rig.credentials.kept == {}
    assert (await ada.sends("/logout")).went_to == "/login"


async def test_a_session_ends_by_itself(rig: Rig, ada: Visitor) -> None:
    await ada.logs_in()
    rig.later(hours=12, seconds=-1)
    assert (await ada.opens("/you")).status == 200
    rig.later(seconds=1)
    assert (await ada.opens("/you")).status == 303
    assert (await ada.opens("/login?next=/you")).status == 200


async def test_the_session_id_is_new_at_each_login(rig: Rig) -> None:
    fixed = "chosen-by-somebody-else"
    victim = Visitor(rig, {COOKIE: fixed})
    await victim.logs_in()
    first = victim.cookies[COOKIE]
    assert first != fixed
    assert (await Visitor(rig, {COOKIE: fixed}).opens("/you")).status == 303
    await victim.logs_in("bo")
    assert victim.cookies[COOKIE] != first
    assert [session.person for session in rig.credentials.kept.values()] == ["bo"]


@pytest.mark.parametrize("forged", ["x", "", "é", "a" * 5000, hash_of("x"), "../../etc"])
async def test_a_forged_cookie_is_nobody(rig: Rig, ada: Visitor, forged: str) -> None:
    await ada.logs_in()
    [session] = rig.credentials.kept.values()
    for value in (forged, session.id):
        visitor = Visitor(rig, {COOKIE: value})
        assert (await visitor.opens("/you")).status == 303
        assert (await visitor.asks("GET", "/api/v1/me")).status == 401


async def test_whoever_leaves_the_roster_is_out_and_accesses_hold_at_once(
    rig: Rig, ada: Visitor
) -> None:
    await ada.logs_in()
    headers = {"X-CSRF-Token": await ada.csrf()}
    give_access(rig, ada="viewer")
    seen = await ada.asks("POST", f"{rig.path}/ack", headers)
    assert seen.status == 403
    assert "ada has the access `viewer`; this needs `responder`" in seen.text
    rig.roster = rig.roster.model_copy(update={"people": {"bo": rig.roster.people["bo"]}})
    assert (await ada.opens("/you")).status == 303


async def test_a_changed_password_or_token_ends_what_it_began(
    rig: Rig, ada: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ada.logs_in()
    other = Visitor(rig)
    await other.logs_in("", "ada-token")
    old = dict(rig.passwords)
    rig.passwords["ada"] = CHEAP.hash("another one")
    assert (await ada.opens("/you")).status == 303
    assert (await other.opens("/you")).status == 200, "the token is what it was"
    rig.passwords.clear()
    assert (await ada.opens("/you")).status == 303
    rig.passwords.update(old)
    assert (await ada.opens("/you")).status == 200
    monkeypatch.setitem(TOKENS, "ada", "another token")
    assert (await other.opens("/you")).status == 303


# ── other sites ──────────────────────────────────────────────────────────────────────────────


async def test_a_deed_by_cookie_needs_the_token_of_our_pages(rig: Rig, ada: Visitor) -> None:
    await ada.logs_in()
    csrf, ack = await ada.csrf(), f"{rig.path}/ack"
    seq = rig.seq
    bo = Visitor(rig)
    await bo.logs_in("bo")
    foreign = await bo.csrf()
    for headers in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": foreign}, {"X-CSRF-Token": "é"}):
        assert (await ada.asks("POST", ack, headers)).status == 403
    for fields in ({}, {"csrf": ""}, {"csrf": foreign}):
        assert (await ada.sends(ack, **fields)).status == 403
    plain = {"Content-Type": "text/plain"}
    assert (await ada.asks("POST", ack, plain, f"csrf={csrf}")).status == 403
    assert rig.seq == seq
    assert (await ada.asks("POST", ack, {"X-CSRF-Token": csrf})).status == 200
    assert {entry.by for entry in rig.journal.entries[rig.id][seq:]} == {"person:ada"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://stopgap.test.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},  # as a frame in a sandbox has it
        {"Origin": "https://[evil"},
    ],
)
async def test_another_site_changes_nothing_even_with_the_token(
    rig: Rig, ada: Visitor, headers: dict[str, str]
) -> None:
    await ada.logs_in()
    csrf = await ada.csrf()
    seen = await ada.asks("POST", f"{rig.path}/ack", {"X-CSRF-Token": csrf, **headers})
    assert seen.status == 403
    assert "another site" in seen.text
    assert (await ada.sends("/logout", headers, csrf=csrf)).status == 403
    login = await Visitor(rig).logs_in(**headers)
    assert (login.status, login.set_cookies) == (403, {})
    assert (await ada.opens("/you", headers)).status == 200  # looking changes nothing


@pytest.mark.parametrize("origin", ["http://stopgap.test", "HTTP://Stopgap.TEST"])
async def test_our_own_pages_are_no_other_site(rig: Rig, ada: Visitor, origin: str) -> None:
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
    assert (await ada.logs_in(**headers)).status == 303
    csrf = {"X-CSRF-Token": await ada.csrf(), **headers}
    assert (await ada.asks("POST", f"{rig.path}/ack", csrf)).status == 200


async def test_a_token_in_a_header_needs_no_other_proof(rig: Rig, ada: Visitor) -> None:
    evil = {"Origin": "https://evil.example", **ADA}
    assert (await ada.asks("POST", f"{rig.path}/ack", evil)).status == 200


async def test_a_wrong_token_is_not_made_good_by_a_cookie(rig: Rig, ada: Visitor) -> None:
    await ada.logs_in()
    wrong = {"Authorization": "Bearer wrong"}
    assert (await ada.asks("GET", "/api/v1/me", wrong)).status == 401


@pytest.mark.parametrize(
    "given",
    [
        "//evil.example",
        "///evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " //evil.example",
        "evil",
        "/é",
        "",
        "/" + "x" * 5000,
    ],
)
async def test_a_login_leads_to_no_other_site(rig: Rig, given: str) -> None:
    assert local_path(given) == "/"
    assert (await Visitor(rig).logs_in(next_=given)).went_to == "/"


@pytest.mark.parametrize("given", ["/", "/incidents/x?y=//z&a=%2F#b", "/you", "/@evil.example"])
async def test_it_leads_on_to_where_one_wanted(rig: Rig, ada: Visitor, given: str) -> None:
    assert (await ada.logs_in(next_=given)).went_to == given
    again = await ada.asks("GET", "/login?next=/you")
    assert again.went_to == "/you"


# ── guessing ─────────────────────────────────────────────────────────────────────────────────


async def test_guessing_a_name_gets_slower_and_the_token_still_works(rig: Rig) -> None:
    for _ in range(5):
        assert (await Visitor(rig).logs_in("ada", "guess")).status == 401
    seen = await Visitor(rig).logs_in("ada")  # even with the right one
    assert (seen.status, seen.headers["Retry-After"]) == (429, "2")
    assert "try again in 2 s" in seen.page
    program = await Visitor(rig).logs_in("ada", **JSON)
    assert (program.status, program.headers["Retry-After"]) == (429, "2")
    assert program.headers["Content-Type"].startswith("application/problem+json")
    assert (await Visitor(rig).logs_in("bo")).status == 303
    assert (await Visitor(rig).logs_in("ada", TOKENS["ada"])).status == 303
    rig.later(seconds=2)
    assert (await Visitor(rig).logs_in("ada", "guess")).status == 401
    assert (await Visitor(rig).logs_in("ada")).headers["Retry-After"] == "4"
    rig.later(seconds=4)
    assert (await Visitor(rig).logs_in("ada")).status == 303
    assert (await Visitor(rig).logs_in("ada", "guess")).status == 401  # it begins anew


async def test_names_that_do_not_exist_get_slower_just_so(rig: Rig) -> None:
    statuses = [(await Visitor(rig).logs_in("eve", "guess")).status for _ in range(6)]
    assert statuses == [401] * 5 + [429]


async def test_an_address_that_tries_many_names_gets_slower(rig: Rig) -> None:
    for number in range(20):
        assert (await Visitor(rig).logs_in(f"x{number}", "guess")).status == 401
    assert (await Visitor(rig).logs_in("ada")).status == 429
    assert (await Visitor(rig).logs_in("", TOKENS["ada"])).status == 429
    rig.later(seconds=2)
    assert (await Visitor(rig).logs_in("ada")).status == 303


async def test_who_does_not_wait_is_told_of_once_a_minute(rig: Rig) -> None:
    for number in range(20):
        await Visitor(rig).logs_in(f"x{number}", "guess")
    with capture_logs() as logs:
        for _ in range(5):
            assert (await Visitor(rig).logs_in("ada")).status == 429
    refused = "login refused, too many failures"
    assert [each["count"] for each in logs if each["event"] == refused] == [1]


async def test_guesses_at_the_same_moment_count_too(rig: Rig) -> None:
    seen = await asyncio.gather(*(Visitor(rig).logs_in("ada", f"g{n}") for n in range(10)))
    assert sorted(each.status for each in seen) == [401] * 5 + [429] * 5


# ── what is kept and told ────────────────────────────────────────────────────────────────────


async def test_logins_are_logged_without_secrets(rig: Rig, ada: Visitor) -> None:
    with capture_logs() as logs:
        await ada.logs_in()
        await ada.logs_in("ada", "a wrong one")
        await ada.logs_in(PASSWORD, "ada")  # the fields mixed up
    assert PASSWORD not in str(logs)
    assert "a wrong one" not in str(logs)
    told: list[dict[str, Any]] = [
        {name: value for name, value in log.items() if name != "log_level"}
        for log in logs
        if log["event"] != "request"
    ]
    address = {"address": "127.0.0.1"}
    assert told == [
        {"event": "login", "person": "ada", "proof": "password", **address},
        {"event": "login failed", "person": "ada", **address},
        {"event": "login failed", "person": "not in the roster", **address},
    ]


async def test_what_is_kept_of_a_session_proves_nothing(rig: Rig, ada: Visitor) -> None:
    await ada.logs_in(**{"User-Agent": "Phone\u0085" + "x" * 300})
    [session] = rig.credentials.kept.values()
    assert isinstance(session, Session)
    assert session.id == hash_of(ada.cookies[COOKIE])
    assert len(session.client) == 200
    assert session.client.isprintable()


async def test_a_store_that_fails_is_no_wrong_password(rig: Rig, ada: Visitor) -> None:
    rig.credentials.full = True
    seen = await ada.logs_in()
    assert (seen.status, seen.set_cookies) == (503, {})
    assert "try again" in seen.page
    rig.credentials.failing = True
    assert (await Visitor(rig, {COOKIE: "x"}).asks("GET", "/api/v1/me")).status == 503
    assert (await Visitor(rig).asks("GET", "/api/v1/me", ADA)).status == 200  # needs no store


async def test_a_form_that_is_none_is_refused_in_words(rig: Rig, ada: Visitor) -> None:
    assert (await ada.asks("POST", "/login", None, b"\xff")).status == 401
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for sent in (b"\xff\xfe=%", b"a=1&" * 200):
        seen = await ada.asks("POST", "/login", form, sent)
        assert (seen.status, "not readable" in seen.page) == (400, True)
    assert (await ada.asks("POST", "/login", form, b"x" * 100_000)).status == 413


async def test_a_form_of_megabytes_is_not_read(
    ada: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "FORM_BYTES", 1000)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    sent = b"name=ada&secret=" + b"%41" * 400
    assert (await ada.asks("POST", "/login", form, sent)).status == 413
    assert (await ada.asks("POST", "/login", form, sent[:1000])).status == 401
