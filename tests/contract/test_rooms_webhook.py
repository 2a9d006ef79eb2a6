"""Rooms by a webhook, the calls of a template, and the settings of both."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from daemon.adapters.rooms.webhook import WebhookRooms
from daemon.app.rooms import call_address, marks_of, places_for
from daemon.config.settings import Settings
from daemon.core.people.signing_keys import SigningKey, SigningKeys
from daemon.core.ports.rooms import Room, TendsRooms
from daemon.core.response.rooms import NO_ROOMS
from daemon.core.values.outcome import Permanent, Temporary
from tests.contract.test_rooms_slack import DRAFT
from tests.doubles.serving import Double

KEYS = SigningKeys(keys=(SigningKey(id="0123abcd", secret="s3cret"),))


@dataclass
class _Answers:
    """What it answers, and what it got."""

    text: str = ""
    breaks_off: bool = False
    got: list[tuple[dict[str, Any], str]] = field(default_factory=list)


class Flow(Double):
    """A flow of Teams, or any script."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = _Answers()

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/flow", self.take)]

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Take it, and answer."""
        raw = await request.read()
        expected = hmac.new(b"signs", raw, hashlib.sha256).hexdigest()
        assert request.headers["X-Stopgap-Signature"] == f"v1={expected}"
        self.answers.got.append((json.loads(raw), request.content_type))
        if self.answers.breaks_off:
            response = web.StreamResponse(headers={"Content-Length": "100"})
            await response.prepare(request)
            await response.write(b'{"url"')
            assert request.transport is not None
            request.transport.close()
            return response
        return web.Response(text=self.answers.text, content_type="application/json")


@pytest.fixture
async def flow() -> AsyncIterator[Flow]:
    async with Flow().serving() as double:
        yield double


@pytest.fixture
async def rooms(flow: Flow) -> AsyncIterator[WebhookRooms]:
    async with aiohttp.ClientSession() as session:
        yield WebhookRooms(session, f"{flow.url}/flow", "signs", 5)


async def test_a_room_is_asked_for_with_the_facts_and_may_come_with_links(
    flow: Flow, rooms: WebhookRooms
) -> None:
    flow.answers.text = json.dumps(
        {"url": "https://teams/1", "call": "https://teams/meet/1", "key": "19:x", "name": "Room"}
    )
    assert await rooms.open(DRAFT) == Room(
        "19:x", "https://teams/1", "Room", "https://teams/meet/1"
    )
    ((content, kind),) = flow.answers.got
    assert kind == "application/json"
    assert content == {
        "event": "room.open",
        "incident": DRAFT.incident,
        "name": DRAFT.name,
        "title": DRAFT.title,
        "text": DRAFT.text,
        "severity": "sev2",
        "team": "payments",
        "link": DRAFT.link,
        "at": DRAFT.at.isoformat(),
        "call": "",
    }
    await rooms.archive("19:x", DRAFT.incident)
    assert flow.answers.got[1][0] == {
        "event": "room.archive",
        "incident": DRAFT.incident,
        "key": "19:x",
    }
    assert not isinstance(rooms, TendsRooms)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "[]",
        "{",
        "accepted",
        "{}",
        '{"url": 5, "call": null}',
        '{"url": "javascript:alert(1)", "call": "https://a b"}',
        json.dumps({"url": "https://" + "x" * 600}),
    ],
)
async def test_an_answer_without_links_is_a_room_all_the_same(
    flow: Flow, rooms: WebhookRooms, text: str
) -> None:
    flow.answers.text = text
    assert await rooms.open(DRAFT) == Room()


async def test_what_was_taken_is_not_sent_again_because_the_answer_broke_off(
    flow: Flow, rooms: WebhookRooms
) -> None:
    flow.answers.breaks_off = True
    assert await rooms.open(DRAFT) == Room()
    assert len(flow.answers.got) == 1


async def test_trouble_is_told_without_the_address(flow: Flow, rooms: WebhookRooms) -> None:
    flow.mood = 503
    with pytest.raises(Temporary, match=r"^the webhook of rooms answered 503$"):
        await rooms.open(DRAFT)
    flow.mood = 403
    with pytest.raises(Permanent, match=r"^the webhook of rooms answered 403$"):
        await rooms.open(DRAFT)


# ── settings ─────────────────────────────────────────────────────────────────────────────────


def settings(**rooms: Any) -> Settings:
    """Settings with these rooms."""
    given = {"rooms": rooms, "slack": {"token": "env:SLACK"}, "base": Path()}
    return Settings.model_validate(given)


def places(chosen: Settings) -> Any:
    """What is set up by them."""
    session: Any = None  # nothing is asked here
    return places_for(chosen, session, lambda reference: f"<{reference}>", lambda: KEYS)


def test_by_default_there_is_nothing() -> None:
    found = places(Settings())
    assert (found.policy.available, found.rooms, found.call) == (False, None, None)
    assert (NO_ROOMS.available, marks_of(Settings())) == (False, frozenset())


async def test_what_the_settings_name_is_set_up() -> None:
    async with aiohttp.ClientSession() as session:
        chosen = settings(slack={}, call="https://meet/{incident}", open_from="sev2")
        found = places_for(chosen, session, lambda _: "xoxb", lambda: KEYS)
    policy = found.policy
    assert (policy.room, policy.tends, policy.call) == ("slack", True, True)
    assert (policy.open_from, found.prefix) == ("sev2", "inc-")
    assert marks_of(chosen) == {"memo", "stopgap"}
    assert found.call is not None
    assert found.call("1123") == "https://meet/1123"
    hooked = places(settings(webhook={"url": "env:URL"}, archive_after=None)).policy
    assert (hooked.room, hooked.tends, hooked.archive_after) == ("webhook", False, None)


def test_slack_without_a_token_says_what_to_set() -> None:
    with pytest.raises(Permanent, match=r"`rooms.slack` needs the bot's token: set `slack.token`"):
        places(Settings.model_validate({"rooms": {"slack": {}}}))


@pytest.mark.parametrize(
    ("rooms", "told"),
    [
        ({"slack": {}, "webhook": {"url": "env:X"}}, "give `slack` or `webhook`, not both"),
        ({"open_from": "sev1"}, "`open_from` opens nothing without"),
        ({"call": "meet/{incident}"}, "write the address of a call"),
        ({"call": "https://meet/{person}"}, "only {incident} and {secret} may stand in braces"),
        ({"call": "https://meet/{incident"}, "only {incident} and {secret} may stand in braces"),
        ({"slack": {"prefix": "Inc "}}, "should match pattern"),
        ({"slack": {"marks": [":memo:"]}}, "should match pattern"),
        ({"webhook": {"url": "https://secret"}}, "say where the secret is"),
    ],
)
def test_what_cannot_be_is_said_with_its_mend(rooms: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match="rooms") as caught:
        settings(**rooms)
    assert told in str(caught.value)


def test_nobody_can_guess_a_call() -> None:
    template = "https://meet.jit.si/stopgap-{incident}-{secret}"
    one = call_address(template, "1123", KEYS)
    assert one.startswith("https://meet.jit.si/stopgap-1123-")
    hidden = one.rpartition("-")[2]
    assert (len(hidden), hidden.isalnum()) == (20, True)
    assert call_address(template, "1123", KEYS) == one, "asked twice, it is the same"
    assert call_address(template, "1124", KEYS).rpartition("-")[2] != hidden
    other = SigningKeys(keys=(SigningKey(id="0123abcd", secret="another"),))
    assert call_address(template, "1123", other) != one
    assert "s3cret" not in one
    assert call_address("https://zoom.us/j/1", "1123", KEYS) == "https://zoom.us/j/1"
