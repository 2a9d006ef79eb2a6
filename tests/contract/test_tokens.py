"""API tokens: scopes, ends, who may make and revoke them; and the page that shows them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from daemon.core.people.access import hash_of
from daemon.core.people.scopes import Scope
from tests.contract.rig import ADA, BO, HOOK, Rig, rigged
from tests.contract.visitor import PLAIN, Visitor, give_access, give_passwords, give_token
from tests.stories.stage import alert, body

TOKENS = "/api/v1/tokens"
CHANGE = {"item": "v3", "labels": {"service": "shop"}}
SENTIMENT = {"labels": {"service": "shop"}, "text": "slow", "source": "desk"}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged(url=PLAIN) as found:
        give_access(found, bo="viewer", cy="admin")
        yield found


CY = {"Authorization": "Bearer cy-token"}


async def makes(rig: Rig, headers: dict[str, str], **given: Any) -> tuple[int, dict[str, Any]]:
    return await rig.asks("POST", TOKENS, headers, json={"name": "ci", **given})


async def statuses(rig: Rig, headers: dict[str, str]) -> list[int]:
    """What it may: look, respond, report a change, deliver, report sentiment."""
    answers = [
        await rig.client.get("/api/v1/incidents", headers=headers),
        await rig.client.post(f"{rig.path}/notes", headers=headers, json={"text": "hi"}),
        await rig.client.post("/api/v1/changes", headers=headers, json=CHANGE),
        await rig.client.post("/api/v1/alerts", headers=headers, data=body(alert())),
        await rig.client.post("/api/v1/sentiment", headers=headers, json=SENTIMENT),
    ]
    return [answer.status for answer in answers]


@pytest.mark.parametrize(
    ("scopes", "may"),
    [
        (("read",), [200, 403, 403, 403, 403]),
        (("respond",), [200, 200, 403, 403, 403]),
        (("admin",), [200, 200, 403, 403, 403]),
        (("changes",), [403, 403, 201, 403, 403]),
        (("alerts",), [403, 403, 403, 200, 403]),
        (("sentiment",), [403, 403, 403, 403, 200]),
        (("read", "changes"), [200, 403, 201, 403, 403]),
    ],
)
async def test_a_token_does_what_its_scopes_say(
    rig: Rig, scopes: tuple[Scope, ...], may: list[int]
) -> None:
    assert await statuses(rig, await give_token(rig, "cy", *scopes)) == may


async def test_it_gives_no_more_than_its_person_has(rig: Rig) -> None:
    everything: tuple[Scope, ...] = ("respond", "admin", "changes", "alerts", "sentiment")
    headers = await give_token(rig, "bo", *everything)
    assert await statuses(rig, headers) == [200, 403, 403, 403, 403]
    _, problem = await rig.asks("POST", "/api/v1/changes", headers, json=CHANGE)
    assert problem["detail"] == (
        "bo has the access `viewer`; this needs `responder`: set it in `people.bo.access`"
    )


async def test_a_scope_too_small_is_named_with_the_mend(rig: Rig) -> None:
    headers = await give_token(rig, "ada", "read")
    seq = rig.seq
    status, problem = await rig.does("ack", headers)
    assert (status, problem["title"]) == (403, "Not allowed")
    assert problem["detail"] == (
        "the token 'robot' has the scopes read; this needs `respond`: "
        "`stopgap token create NAME --scope respond` makes one"
    )
    status, problem = await rig.asks("POST", "/api/v1/alerts", headers, data=body(alert()))
    assert "this needs `alerts`" in problem["detail"]
    assert rig.seq == seq


async def test_the_tokens_of_before_work_as_before(rig: Rig) -> None:
    assert await statuses(rig, ADA) == [200, 200, 401, 401, 401]
    assert await statuses(rig, BO) == [200, 403, 401, 401, 401]
    assert await statuses(rig, HOOK) == [401, 401, 201, 200, 200]


async def test_a_deed_by_token_is_its_persons_and_records_nothing_secret(rig: Rig) -> None:
    headers = await give_token(rig, "ada", "respond")
    seq = rig.seq
    await rig.does("ack", headers)
    entries = rig.journal.entries[rig.id][seq:]
    assert {entry.by for entry in entries} == {"person:ada"}
    assert "stopgap_" not in str(entries)


async def test_a_new_token_is_shown_once(rig: Rig) -> None:
    with capture_logs() as logs:
        status, made = await makes(rig, ADA, scopes=["respond", "read"], expires="1d")
    assert status == 201
    secret = made["secret"]
    assert secret.startswith("stopgap_")
    assert len(secret) == len("stopgap_") + 43
    assert made["token"] == {
        "id": made["token"]["id"],
        "person": "ada",
        "name": "ci",
        "scopes": ["read", "respond"],
        "created_at": rig.now.isoformat(),
        "expires_at": (rig.now + timedelta(days=1)).isoformat(),
        "expired": False,
        "used_on": None,
    }
    assert list(rig.credentials.known) == [hash_of(secret)]
    assert secret not in str(logs)
    assert [log["person"] for log in logs if log["event"] == "API token created"] == ["ada"]
    headers = {"Authorization": f"Bearer {secret}"}
    assert (await rig.does("ack", headers))[0] == 200
    status, listed = await rig.asks("GET", TOKENS, ADA)
    assert listed["tokens"] == [{**made["token"], "used_on": rig.now.date().isoformat()}]
    assert secret not in str(listed)


async def test_its_end_comes_at_its_time_or_never(rig: Rig) -> None:
    _, brief = await makes(rig, ADA, scopes=["read"], expires="1h")
    _, usual = await makes(rig, ADA, scopes=["read"])
    _, endless = await makes(rig, ADA, scopes=["read"], expires=None)

    async def look(made: dict[str, Any]) -> int:
        headers = {"Authorization": f"Bearer {made['secret']}"}
        return (await rig.asks("GET", "/api/v1/me", headers))[0]

    rig.later(hours=1)
    assert [await look(made) for made in (brief, usual, endless)] == [401, 200, 200]
    rig.later(days=90)
    assert [await look(made) for made in (brief, usual, endless)] == [401, 401, 200]
    _, listed = await rig.asks("GET", TOKENS, ADA)
    assert sorted(token["expired"] for token in listed["tokens"]) == [False, True, True]


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        ({"scopes": []}, 400, "scopes"),
        ({"scopes": ["root"]}, 400, "scopes.0"),
        ({"scopes": ["read"], "name": ""}, 400, "name"),
        ({"scopes": ["read"], "name": "a\nb"}, 400, "name"),
        ({"scopes": ["read"], "expires": "0s"}, 400, "expires"),
        ({"scopes": ["read"], "expires": "soon"}, 400, "expires"),
        ({"scopes": ["read"], "expires": "99999d"}, 400, "expires"),
        ({"scopes": ["admin"]}, 403, "the scope `admin` needs the access `admin`"),
        ({"scopes": ["read"], "person": "cy"}, 400, "person"),
    ],
)
async def test_what_cannot_be_made_says_why(
    rig: Rig, given: dict[str, Any], status: int, said: str
) -> None:
    found, problem = await makes(rig, ADA, **given)
    assert found == status
    assert said in problem["detail"]
    assert rig.credentials.known == {}


async def test_one_person_has_so_many_tokens(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.web.auth.tokens.MOST_TOKENS", 2)
    for expected in (201, 201, 409):
        assert (await makes(rig, ADA, scopes=["read"], expires="1d"))[0] == expected
    assert (await makes(rig, BO, scopes=["read"]))[0] == 201
    rig.later(days=1)
    assert (await makes(rig, ADA, scopes=["read"]))[0] == 201


async def test_a_token_makes_no_token_and_revokes_none(rig: Rig) -> None:
    headers = await give_token(rig, "cy", "admin")
    status, problem = await makes(rig, headers, scopes=["read"])
    assert status == 403
    assert "makes and revokes none" in problem["detail"]
    assert (await rig.asks("DELETE", f"{TOKENS}/id-cy-admin", headers))[0] == 403
    assert len(rig.credentials.known) == 1


async def test_people_revoke_their_own_and_admins_anybodys(rig: Rig) -> None:
    mine = await give_token(rig, "ada", "read")
    his = await give_token(rig, "bo", "read")
    status, problem = await rig.asks("DELETE", f"{TOKENS}/id-bo-read", ADA)
    assert (status, problem["title"]) == (404, "No such token")
    assert (await rig.asks("DELETE", f"{TOKENS}/id-ada-read", ADA))[0] == 200
    assert (await rig.asks("DELETE", f"{TOKENS}/id-ada-read", ADA))[0] == 404
    assert (await rig.asks("GET", "/api/v1/me", mine))[0] == 401
    assert (await rig.asks("GET", "/api/v1/me", his))[0] == 200
    status, problem = await rig.asks("GET", f"{TOKENS}?everybody=true", ADA)
    assert status == 403
    assert "this needs `admin`" in problem["detail"]
    _, listed = await rig.asks("GET", f"{TOKENS}?everybody=true", CY)
    assert [token["person"] for token in listed["tokens"]] == ["bo"]
    assert (await rig.asks("DELETE", f"{TOKENS}/id-bo-read", CY))[0] == 200
    assert (await rig.asks("GET", "/api/v1/me", his))[0] == 401
    revoked = rig.credentials.known[hash_of("stopgap_bo-read")]
    assert (revoked.revoked_by, revoked.revoked_at) == ("cy", rig.now)


async def test_whoever_left_the_roster_has_no_token(rig: Rig) -> None:
    headers = await give_token(rig, "ada", "read")
    people = {n: p for n, p in rig.roster.people.items() if n != "ada"}
    rig.roster = rig.roster.model_copy(update={"people": people})
    assert (await rig.asks("GET", "/api/v1/me", headers))[0] == 401
    assert (await rig.asks("GET", "/api/v1/me", ADA))[0] == 401


async def test_a_store_that_only_reads_still_lets_people_in(rig: Rig) -> None:
    headers = await give_token(rig, "ada", "read")
    rig.credentials.full = True
    assert (await rig.asks("GET", "/api/v1/me", headers))[0] == 200
    rig.credentials.failing = True
    assert (await rig.asks("GET", "/api/v1/me", headers))[0] == 503


async def test_me(rig: Rig) -> None:
    _, found = await rig.asks("GET", "/api/v1/me", await give_token(rig, "ada", "changes"))
    assert found["me"] == {
        "person": "ada",
        "name": "Ada",
        "access": "responder",
        "via": "token",
        "guest": False,
        "scopes": ["changes"],
        "token": "robot",
        "csrf": "",
    }
    status, problem = await rig.asks("GET", "/api/v1/me")
    assert status == 401
    assert "log in at /login" in problem["detail"]


# ── the page ─────────────────────────────────────────────────────────────────────────────────


async def test_the_page_makes_and_revokes_tokens(rig: Rig) -> None:
    give_passwords(rig, "ada")
    ada = Visitor(rig)
    await ada.logs_in()
    csrf = await ada.csrf()
    assert (await ada.sends("/you/tokens", name="ci", scope="read")).status == 403
    assert rig.credentials.known == {}
    made = await ada.sends("/you/tokens", csrf=csrf, name="ci", scope=["read", "changes"])
    assert "stopgap_" in made.page
    [token] = rig.credentials.known.values()
    assert (token.scopes, token.expires_at) == (("read", "changes"), None)
    again = (await ada.opens("/you")).page
    assert "stopgap_" not in again
    assert "read, changes" in again
    assert 'value="admin"' not in again  # she could not have it
    assert (await ada.sends(f"/you/tokens/{token.id}/revoke", csrf=csrf)).went_to == "/you"
    assert "None yet." in (await ada.opens("/you")).page
    assert (await ada.sends(f"/you/tokens/{token.id}/revoke", csrf=csrf)).status == 404


async def test_the_page_says_what_is_wrong_with_a_wish(rig: Rig) -> None:
    ada = Visitor(rig)
    await ada.logs_in("", "ada-token")
    csrf = await ada.csrf()
    for fields, status, said in (
        ({"name": "ci"}, 400, "at least one of"),
        ({"name": "ci", "scope": "admin"}, 403, "needs the access `admin`"),
        ({"name": "ci", "scope": "read", "expires": "soon"}, 400, "is not a duration"),
        ({"name": "ci", "scope": "read", "expires": "0s"}, 400, "a time like 90d"),
        ({"name": "ci", "scope": "read", "expires": "9999999d"}, 400, "a time like 90d"),
        ({"name": "<b>", "scope": "read"}, 400, "name: 1 to 63"),
    ):
        seen = await ada.sends("/you/tokens", csrf=csrf, **fields)
        assert seen.status == status
        assert said in seen.page
    assert rig.credentials.known == {}


async def test_the_page_ends_other_logins_and_an_admins_ends_anybodys(rig: Rig) -> None:
    phone, laptop, boss = Visitor(rig), Visitor(rig), Visitor(rig)
    await phone.logs_in("", "ada-token", **{"User-Agent": "<b>Phone</b>"})
    await laptop.logs_in("", "ada-token")
    await boss.logs_in("", "cy-token")
    page = (await laptop.opens("/you")).page
    assert "&lt;b&gt;Phone&lt;/b&gt;" in page
    assert "cy" not in page
    ids = {s.client: s.id for s in rig.credentials.kept.values() if s.person == "ada"}
    [chief] = [s.id for s in rig.credentials.kept.values() if s.person == "cy"]
    csrf = await laptop.csrf()
    assert (await laptop.sends(f"/you/sessions/{chief}/end", csrf=csrf)).status == 404
    lost = ids["<b>Phone</b>"]
    assert (await laptop.sends(f"/you/sessions/{lost}/end", csrf=csrf)).went_to == "/you"
    assert (await phone.opens("/you")).status == 303
    [left] = [s.id for s in rig.credentials.kept.values() if s.person == "ada"]
    assert "Everybody&#39;s logins" in (await boss.opens("/you")).page.replace("'", "&#39;")
    csrf = await boss.csrf()
    assert (await boss.sends(f"/you/sessions/{left}/end", csrf=csrf)).went_to == "/you"
    assert (await laptop.opens("/you")).status == 303
