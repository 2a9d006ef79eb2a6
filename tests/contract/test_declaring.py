"""Declared by hand: by the API, the page and Slack; once, or led to what is open already."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest

from daemon.core.incident import events as e
from tests.contract.rig import ADA, BO, Rig, rigged
from tests.contract.test_hooks_slack import headers
from tests.contract.visitor import give_access
from tests.stories.stage import alert, body

TITLE = "customers cannot pay"
RULED = {"title": TITLE, "rule": "checkout-success-rate", "labels": {"service": "cart"}}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        yield found


async def declares(rig: Rig, key: str = "", who: dict[str, str] = ADA, **sent: Any) -> Any:
    """(status, answer) of a declaration by the API."""
    more = {"Idempotency-Key": key} if key else {}
    return await rig.asks("POST", "/api/v1/incidents", {**who, **more}, json=sent)


async def test_without_a_rule_it_says_that_nothing_is_measured(rig: Rig) -> None:
    status, answer = await declares(rig, title=TITLE, team="database", severity="sev2")
    assert status == 201
    after = answer["incident"]
    assert (after["title"], after["team"], after["severity"]) == (TITLE, "database", "sev2")
    assert after["organization"]["declared_by"] == "ada"
    assert "it was declared without a rule, so nothing is measured" in after["doing"]
    page = await (await rig.client.get(f"/incidents/{after['id']}", headers=ADA)).text()
    assert "It was declared without a rule, so nothing is measured" in page


async def test_sent_twice_with_a_key_it_is_one_also_after_it_was_closed(rig: Rig) -> None:
    _, first = await declares(rig, "click-1", title=TITLE)
    status, again = await declares(rig, "click-1", title=TITLE)
    assert (status, again["incident"]["id"]) == (201, first["incident"]["id"])
    closed = e.IncidentClosed(reason="by_person", text="x")
    await rig.repository.record(first["incident"]["id"], lambda _: (closed,))
    _, later = await declares(rig, "click-1", title=TITLE)
    assert later["incident"]["id"] == first["incident"]["id"]
    _, other = await declares(rig, "click-2", title=TITLE)
    _, bos = await declares(rig, "click-1", BO, title=TITLE)
    assert len({first["incident"]["id"], other["incident"]["id"], bos["incident"]["id"]}) == 3


async def test_a_later_alert_of_the_rule_and_group_joins_it(rig: Rig) -> None:
    _, answer = await declares(rig, **RULED)
    identity = answer["incident"]["id"]
    await rig.delivers(body(alert(service="cart")))
    assert set((await rig.repository.load(identity)).alerts) == {"fp-cart"}
    assert len(rig.journal.rows) == 2  # this, and the shop's of the rig


async def test_who_declares_what_is_open_is_told_and_led_there(rig: Rig) -> None:
    status, answer = await declares(rig, **{**RULED, "labels": {"service": "shop"}})
    assert status == 409
    assert answer["incident"] == rig.id
    assert f"{rig.id} is open already for checkout-success-rate of shop" in answer["detail"]
    assert f"stopgap ack {rig.id}" in answer["detail"]
    form = {"title": TITLE, "rule": "checkout-success-rate", "label-service": "shop"}
    page = await rig.client.post("/declare", headers=ADA, data=form, allow_redirects=False)
    assert (page.status, page.headers["Location"]) == (303, f"/incidents/{rig.id}?already")
    shown = await (await rig.client.get(page.headers["Location"], headers=ADA)).text()
    assert "It is open already: this is it. Nothing new was opened." in shown
    assert len(rig.journal.rows) == 1


async def test_what_was_merged_is_open_where_it_went(rig: Rig) -> None:
    _, cart = await declares(rig, **RULED)
    path = f"/api/v1/incidents/{cart['incident']['id']}/merge"
    status, after = await rig.asks("POST", path, ADA, json={"incident": rig.id})
    assert (status, after["incident"]["organization"]["merged_into"]) == (200, rig.id)
    status, answer = await declares(rig, **RULED)
    assert (status, answer["incident"]) == (409, rig.id)


async def test_the_groups_of_a_rule_are_offered(rig: Rig) -> None:
    await rig.delivers(body(alert(service="cart")))
    path = "/api/v1/rules/checkout-success-rate/groups"
    status, found = await rig.asks("GET", path, ADA)
    assert (status, found["group_by"]) == (200, ["service"])
    assert sorted(group["service"] for group in found["groups"]) == ["cart", "shop"]
    page = await (await rig.client.get("/declare?rule=checkout-success-rate", headers=ADA)).text()
    assert '<option value="cart"></option><option value="shop"></option>' in page
    assert (await rig.asks("GET", "/api/v1/rules/nope/groups", ADA))[0] == 404


async def test_a_missing_label_is_named(rig: Rig) -> None:
    status, answer = await declares(rig, title=TITLE, rule="checkout-success-rate")
    assert status == 400
    assert "measures by service; say which service" in answer["detail"]


async def test_the_same_form_sent_twice_is_one_incident(rig: Rig) -> None:
    page = await (await rig.client.get("/declare", headers=ADA)).text()
    token = page.partition('name="request" value="')[2].partition('"')[0]
    assert token
    form = {"title": TITLE, "request": token, "labels": "service=cart\nzone=eu", "respond": "yes"}
    places = set()
    for _ in range(2):
        answer = await rig.client.post("/declare", headers=ADA, data=form, allow_redirects=False)
        places.add(answer.headers["Location"])
    (place,) = places
    incident = await rig.repository.load(place.rpartition("/")[2])
    assert incident.commander == "ada"
    assert incident.group_labels == {"service": "cart", "zone": "eu"}
    wrong = {"title": TITLE, "labels": "service"}
    refused = await rig.client.post("/declare", headers=ADA, data=wrong, allow_redirects=False)
    assert refused.status == 409
    assert "is no label; write it as NAME=VALUE" in await refused.text()


async def test_whoever_may_only_look_declares_nothing(rig: Rig) -> None:
    give_access(rig, ada="viewer")
    assert (await declares(rig, title=TITLE))[0] == 403
    assert (await rig.client.get("/declare", headers=ADA)).status == 403


# ── Slack ────────────────────────────────────────────────────────────────────────────────────


def typed(text: str, user: str = "U0ADA00", trigger: str = "t1") -> bytes:
    """The form that Slack posts for a slash command."""
    fields = {
        "command": "/stopgap",
        "text": text,
        "user_id": user,
        "user_name": "ada",
        "team_id": "T1",
        "channel_id": "C1",
        "response_url": "https://hooks.slack.example/2",
        "trigger_id": trigger,
    }
    return urlencode(fields).encode()


async def types(rig: Rig, text: str, **more: str) -> str:
    sent = typed(text, **more)
    status, answer = await rig.hooked("slack/commands", sent, headers(rig, sent))
    assert status == 200, answer
    assert answer["response_type"] == "ephemeral"
    said: str = answer["text"]
    return said


async def test_a_slash_command_declares_once(rig: Rig) -> None:
    text = "declare customers cannot pay —severity sev1 --team database"
    said = await types(rig, text)
    assert "database is being called; no rule measures it, and nothing will be done" in said
    assert await types(rig, text) == said
    (identity,) = set(rig.journal.rows) - {rig.id}
    incident = await rig.repository.load(identity)
    assert (incident.title, incident.severity) == (TITLE, "sev1")
    assert incident.organization.declared is not None
    assert incident.organization.declared.via == "slack"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is one command here, declare. Write it like: /stopgap declare TITLE"),
        ("declare", "what is wrong? Give a title"),
        ('declare "x', "this cannot be read"),
        ("declare x --rule", "expected one argument"),
        ("declare x --severity sev9", "'sev9' is no severity; there are sev1, sev2"),
        ("declare x --rule checkout-success-rate", "say which service"),
        (
            "declare x --rule checkout-success-rate --label service=shop",
            "is open already for checkout-success-rate of shop",
        ),
    ],
)
async def test_what_cannot_be_declared_is_said_to_whoever_typed_it(
    rig: Rig, text: str, said: str
) -> None:
    assert said in await types(rig, text)
    assert len(rig.journal.rows) == 1


async def test_strangers_and_forgers_declare_nothing(rig: Rig) -> None:
    assert "is nobody in the roster" in await types(rig, "declare x", user="U0EVE00")
    sent = typed("declare x")
    for wrong in (headers(rig, sent, key="another"), headers(rig, sent, age=301), {}):
        assert (await rig.hooked("slack/commands", sent, wrong))[0] == 401
    assert len(rig.journal.rows) == 1
