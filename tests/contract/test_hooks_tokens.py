"""Grafana OnCall and Opsgenie: unsigned webhooks, so a shared secret in a header."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from tests.contract.rig import ADA, HOOK, MAX_BODY, Rig, rigged
from tests.fakes import START

SECRETS = {"grafana-oncall": "oncall-secret", "opsgenie": "genie-secret"}
UPDATED = int(START.timestamp())
USER = {"id": "UX", "username": "ada", "email": "ADA@example.org"}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        yield found


def oncall(rig: Rig, said: str = "acknowledge", **more: Any) -> dict[str, Any]:
    return {
        "event": {"type": said, "time": START.isoformat()},
        "user": USER,
        "alert_group_id": "I6HN",
        "alert_group": {"id": "I6HN", "state": "acknowledged"},
        "alert_payload": {"alert_uid": rig.id, "title": "checkout"},
        **more,
    }


def genie(rig: Rig, said: str = "Acknowledge", **more: Any) -> dict[str, Any]:
    alert = {
        "alertId": "0526",
        "alias": rig.id,
        "username": "Ada@X.y",
        "userId": "daed",
        "updatedAt": UPDATED * 10**9,
        **more,
    }
    return {"action": said, "alert": alert, "source": {"name": "", "type": "web"}}


async def hears(rig: Rig, name: str, sent: Any, status: int = 202) -> Any:
    found, answer = await rig.hooked(name, sent, {"X-Stopgap-Token": SECRETS[name]})
    assert found == status, answer
    return answer


@pytest.mark.parametrize("name", SECRETS)
async def test_the_secret_comes_in_either_header_and_no_other_is_taken(rig: Rig, name: str) -> None:
    sent = oncall(rig) if name == "grafana-oncall" else genie(rig)
    for wrong in (
        {},
        ADA,
        HOOK,
        {"X-Stopgap-Token": ""},
        {"X-Stopgap-Token": "ünicode"},
        {"X-Stopgap-Token": SECRETS[name] + "x"},
        {"Authorization": f"Basic {SECRETS[name]}"},
    ):
        status, problem = await rig.hooked(name, sent, wrong)
        assert (status, ".webhook_secret" in problem["detail"]) == (401, True)
    assert (await rig.incident()).commander == ""
    bearer = {"Authorization": f"Bearer {SECRETS[name]}"}
    assert (await rig.hooked(name, sent, bearer))[0] == 202
    assert (await rig.incident()).commander == "ada"


@pytest.mark.parametrize(
    ("user", "person"),
    [
        (USER, "ada"),
        ({"id": "ada@EXAMPLE.org"}, "ada"),
        ({"username": "BO", "email": None}, "bo"),
        ({"username": "eve"}, ""),
        ({"id": None, "username": "", "email": None}, ""),
        ({}, ""),
        (None, ""),
    ],
)
async def test_the_user_of_oncall_is_found_by_any_name(
    rig: Rig, user: dict[str, str] | None, person: str
) -> None:
    await hears(rig, "grafana-oncall", oncall(rig, user=user))
    said = next(x for x in rig.journal.entries[rig.id] if x.event.kind == "PagerSaid")
    assert (said.event.person, (await rig.incident()).commander) == (person, person)
    assert said.by == (f"person:{person}" if person else "grafana_oncall")
    if not person:
        stranger = "eve is not in the roster: people.NAME.known_as.grafana_oncall"
        assert said.event.who == (stranger if user and user.get("username") else "automation")


@pytest.mark.parametrize(
    ("names", "person", "who"),
    [
        ({}, "ada", "Ada@X.y"),
        ({"username": "x", "userId": "BO-ID"}, "bo", "x"),
        (
            {"username": "Alert API", "userId": ""},
            "",
            "Alert API is not in the roster: people.NAME.known_as.opsgenie",
        ),
        ({"username": None, "userId": None}, "", "automation"),
    ],
)
async def test_the_user_of_opsgenie_is_found_by_name_or_id(
    rig: Rig, names: dict[str, Any], person: str, who: str
) -> None:
    await hears(rig, "opsgenie", genie(rig, **names))
    said = next(x for x in rig.journal.entries[rig.id] if x.event.kind == "PagerSaid")
    assert (said.event.person, said.event.who) == (person, who)
    assert (await rig.incident()).commander == person


async def test_oncall_takes_it_back_once_and_in_order(rig: Rig) -> None:
    rig.later(minutes=10)

    def at(said: str, minute: int) -> dict[str, Any]:
        time = (START + timedelta(minutes=minute)).isoformat()
        return oncall(rig, event={"type": said, "time": time})

    await hears(rig, "grafana-oncall", at("acknowledge", 5))
    await hears(rig, "grafana-oncall", at("unacknowledge", 4))
    assert (await rig.incident()).commander == "ada"
    await hears(rig, "grafana-oncall", at("unacknowledge", 6))
    seq = rig.seq
    for again in (at("unacknowledge", 6), at("acknowledge", 5)):
        await hears(rig, "grafana-oncall", again)
    assert ((await rig.incident()).commander, rig.seq) == ("", seq)


async def test_opsgenie_takes_it_back_and_old_news_do_not_count(rig: Rig) -> None:
    await hears(rig, "opsgenie", genie(rig))
    rig.later(minutes=1)
    await hears(rig, "opsgenie", genie(rig, "UnAcknowledge", updatedAt=(UPDATED + 60) * 1000))
    assert (await rig.incident()).commander == ""
    rig.later(hours=2)
    await hears(rig, "opsgenie", genie(rig, updatedAt=(UPDATED + 120) * 1000))
    assert (await rig.incident()).commander == ""
    await hears(rig, "opsgenie", genie(rig, updatedAt=None))  # without a time it is now
    assert (await rig.incident()).commander == "ada"


@pytest.mark.parametrize("scale", [1000, 10**9])
async def test_opsgenie_counts_in_either_unit(rig: Rig, scale: int) -> None:
    await hears(rig, "opsgenie", genie(rig, updatedAt=UPDATED * scale))
    assert (await rig.incident()).people.pager_reports["opsgenie"].at == START


async def test_what_is_not_ours_is_taken_without_a_word(rig: Rig) -> None:
    await rig.does("ack")
    seq = rig.seq
    for sent in (
        oncall(rig, "silence"),
        oncall(rig, alert_payload=None),
        oncall(rig, alert_payload={}),
        oncall(rig, alert_payload={"alert_uid": "other"}),
        oncall(rig, "unacknowledge", alert_payload={"alert_uid": f"{rig.id}/role-x.1.bo"}),
    ):
        await hears(rig, "grafana-oncall", sent)
    for sent in (genie(rig, "Close"), genie(rig, alias="other"), genie(rig, alias=None)):
        await hears(rig, "opsgenie", sent)
    assert rig.seq == seq


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("grafana-oncall", b"{"),
        ("grafana-oncall", {}),
        ("grafana-oncall", {"event": "acknowledge"}),
        ("grafana-oncall", {"event": {"type": ["acknowledge"]}}),
        ("grafana-oncall", {"event": {"type": "acknowledge", "time": "x"}}),
        ("grafana-oncall", {"event": {"type": "acknowledge"}, "user": "ada"}),
        ("grafana-oncall", {"event": {"type": "acknowledge"}, "user": {"email": {}}}),
        ("grafana-oncall", {"event": {"type": "acknowledge"}, "alert_payload": []}),
        ("grafana-oncall", {"event": {"type": "x"}, "alert_payload": {"alert_uid": {}}}),
        ("opsgenie", b"null"),
        ("opsgenie", {"action": "Acknowledge"}),
        ("opsgenie", {"action": {}, "alert": {}}),
        ("opsgenie", {"action": "Acknowledge", "alert": "x"}),
        ("opsgenie", {"action": "Acknowledge", "alert": {"alias": []}}),
        ("opsgenie", {"action": "Acknowledge", "alert": {"updatedAt": "now"}}),
        ("opsgenie", {"action": "Acknowledge", "alert": {"updatedAt": -1}}),
        ("opsgenie", {"action": "Acknowledge", "alert": {"updatedAt": 1e300}}),
        ("opsgenie", {"action": "Acknowledge", "alert": {"updatedAt": 10**16}}),
    ],
)
async def test_a_malformed_body_is_400_and_says_where(rig: Rig, name: str, sent: Any) -> None:
    problem = await hears(rig, name, sent, 400)
    assert problem["title"] in ("Not a Grafana OnCall webhook", "Not an Opsgenie webhook")
    assert ": " in problem["detail"]


@pytest.mark.parametrize("name", SECRETS)
async def test_too_large_is_413_a_failing_store_503_and_closed_is_closed(
    rig: Rig, name: str
) -> None:
    sent = oncall(rig) if name == "grafana-oncall" else genie(rig)
    await hears(rig, name, b"x" * (MAX_BODY + 1), 413)
    rig.journal.failing = True
    await hears(rig, name, sent, 503)
    rig.journal.failing = False
    await rig.does("close")
    seq = rig.seq
    await hears(rig, name, sent)
    assert rig.seq == seq
