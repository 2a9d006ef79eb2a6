"""Updates, sentiment from other systems, and who is on call, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from daemon.core.incident import events as e
from tests.contract.rig import ADA, BO, HOOK, Rig, rigged
from tests.stories.stage import alert, body


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        yield found


async def test_a_draft_is_sent_as_it_was_read_and_then_edited(rig: Rig) -> None:
    status, after = await rig.does("updates", audience="room")
    (draft,) = after["updates"]
    assert (status, draft["update"], draft["sent"], draft["revision"]) == (200, "room.1", None, 1)
    assert draft["channels"][0]["state"] == "draft"
    await rig.does("updates", audience="room")
    status, problem = await rig.does("updates/room.1/send", revision=1)
    assert (status, "changed since you read it" in problem["detail"]) == (409, True)
    status, after = await rig.does("updates/room.1/send", BO, revision=2)
    (sent,) = after["updates"]
    assert (status, sent["by"], sent["sent"], sent["version"]) == (
        200,
        "bo",
        rig.now.isoformat(),
        1,
    )
    assert sent["text"] == draft["text"]
    status, after = await rig.does("updates/room.1", method="PUT", text="in my words")
    assert (status, after["updates"][0]["text"], after["updates"][0]["version"]) == (
        200,
        "in my words",
        2,
    )
    status, problem = await rig.does("updates/room.1/send", text="again")
    assert (status, "was sent already" in problem["detail"]) == (409, True)


async def test_ones_own_words_are_sent_whatever_the_draft_has_become(rig: Rig) -> None:
    await rig.does("updates", audience="room")
    _, after = await rig.does("updates/room.1/send", text="we are on it")
    assert after["updates"][0]["text"] == "we are on it"


async def test_each_channel_tells_what_it_has(rig: Rig) -> None:
    await rig.does("updates", audience="room")
    await rig.does("updates/room.1/send", text="first")

    async def state() -> str:
        _, found = await rig.asks("GET", f"{rig.path}/updates", BO)
        (channel,) = found["updates"][0]["channels"]
        return str(channel["state"])

    failed = e.UpdateFailed(update="room.1", version=1, channel="room", error="away", last=False)
    assert await state() == "waiting"
    await rig.happens(failed)
    assert await state() == "failing"
    await rig.happens(failed.model_copy(update={"last": True}))
    assert await state() == "given_up"
    await rig.happens(
        e.UpdatePublished(update="room.1", version=1, channel="room", proof="ok", reference="7")
    )
    assert await state() == "delivered"
    await rig.does("updates/room.1", method="PUT", text="second")
    assert await state() == "waiting"
    await rig.happens(e.UpdateKept(update="room.1", version=2, channel="room"))
    assert await state() == "kept"


async def test_updates_are_put_off(rig: Rig) -> None:
    status, _ = await rig.does("snooze", audience="room", for_="15m", reason="busy")
    _, found = await rig.asks("GET", f"{rig.path}/updates", ADA)
    assert (status, found) == (
        200,
        {
            "updates": [],
            "snoozed": {"room": rig.later(minutes=15).isoformat()},
            "untold": [],
        },
    )
    status, problem = await rig.does("snooze", audience="room", for_="5h", reason="x")
    assert (status, "up to 4h" in problem["detail"]) == (409, True)


@pytest.mark.parametrize(
    ("deed", "method", "body", "status", "told"),
    [
        ("updates", "POST", {}, 400, "audience"),
        ("updates", "POST", {"audience": "nobody"}, 409, "no audience 'nobody'"),
        ("updates/x/send", "POST", {"revision": "1"}, 400, "revision"),
        ("updates/x/send", "POST", {"text": "x" * 2001}, 400, "text"),
        ("updates/x/send", "POST", {}, 409, "there is no update 'x'"),
        ("updates/x", "PUT", {}, 400, "text"),
        ("updates/x", "PUT", {"text": "x"}, 409, "there is no update 'x'"),
        ("snooze", "POST", {"audience": "room"}, 400, "for"),
        ("snooze", "POST", {"audience": "room", "for": "soon"}, 400, "for: 'soon' is not a"),
    ],
)
async def test_what_is_wrong_with_an_update_is_said(
    rig: Rig, deed: str, method: str, body: dict[str, Any], status: int, told: str
) -> None:
    found, problem = await rig.does(deed, method=method, **body)
    assert (found, problem["detail"].startswith(told)) == (status, True), problem


async def reports(rig: Rig, **more: Any) -> tuple[int, dict[str, Any]]:
    sent = {"labels": {"service": "shop"}, "text": "40 tickets", "source": "desk", **more}
    return await rig.asks("POST", "/api/v1/sentiment", HOOK, json=sent)


async def test_sentiment_goes_to_the_open_incidents_that_its_labels_fit(rig: Rig) -> None:
    other = await rig.delivers(body(alert(service="search")))
    assert await reports(rig, value=40) == (200, {"incidents": [rig.id]})
    assert await reports(rig, labels={"env": "prod"}) == (200, {"incidents": [rig.id, other]})
    assert await reports(rig, labels={"env": "prod", "service": "x"}) == (200, {"incidents": []})
    (first, _) = (await rig.incident()).sentiment
    assert first == e.SentimentHeard(source="desk", text="40 tickets", value=40)
    await rig.does("close")
    assert await reports(rig) == (200, {"incidents": []})


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"labels": {}}, "labels"),
        ({"labels": {"service": 1}}, "labels.service"),
        ({"text": " "}, "text"),
        ({"text": "x" * 2001}, "text"),
        ({"source": "x" * 101}, "source"),
        ({"source": "metrics"}, "source"),
        ({"source": "ada"}, "source"),
        ({"value": "many"}, "value"),
        ({"extra": 1}, "extra"),
    ],
)
async def test_sentiment_that_makes_no_sense_is_400(
    rig: Rig, more: dict[str, Any], told: str
) -> None:
    status, problem = await reports(rig, **more)
    assert (status, problem["detail"].split(":")[0]) == (400, told)


async def test_sentiment_needs_the_webhooks_token_and_is_nobodys_sign_of_life(rig: Rig) -> None:
    sent = {"labels": {"service": "shop"}, "text": "x", "source": "person:ada"}
    assert (await rig.asks("POST", "/api/v1/sentiment", ADA, json=sent))[0] == 401
    assert (await rig.asks("POST", "/api/v1/sentiment", HOOK, json=sent))[0] == 200
    assert (await rig.incident()).people.seen == {}


async def test_who_is_on_call_now_and_then(rig: Rig) -> None:
    status, now = await rig.asks("GET", "/api/v1/oncall", ADA)
    assert (status, now["at"]) == (200, rig.now.isoformat())
    assert now["teams"]["payments"]["tiers"] == [
        {"tier": 1, "people": ["ada"], "wait": "5m"},
        {"tier": 2, "people": ["bo"], "wait": "10m"},
    ]
    path = "/api/v1/oncall?at=2026-12-24T18:00%2B01:00"
    assert (await rig.asks("GET", path, ADA))[1]["at"] == "2026-12-24T17:00:00+00:00"
    path = "/api/v1/oncall?at=2026-12-24%2018:00"
    assert (await rig.asks("GET", path, ADA))[1]["at"] == "2026-12-24T18:00:00+00:00"


@pytest.mark.parametrize("at", ["", "soon", "9999-12-31", "0001-01-01T00:00%2B23:00", "1e99"])
async def test_a_time_that_is_none_is_400(rig: Rig, at: str) -> None:
    status, problem = await rig.asks("GET", f"/api/v1/oncall?at={at}", ADA)
    assert (status, problem["title"]) == (400, "Bad request")
