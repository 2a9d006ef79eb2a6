"""A tap on the button in Slack: signed, recent, and by somebody whom the roster knows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.contract.rig import ADA, MAX_BODY, Rig, rigged, signature
from tests.contract.visitor import give_access


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        yield found


def tap(rig: Rig, user: str = "U0ADA00", **more: Any) -> bytes:
    """The form that Slack posts."""
    action = {"type": "button", "action_id": "acknowledge", "value": rig.id, **more}
    payload = {
        "type": "block_actions",
        "user": {"id": user, "username": "ada"},
        "api_app_id": "A1",
        "response_url": "https://hooks.slack.example/1",
        "actions": [action],
    }
    return urlencode({"payload": json.dumps(payload)}).encode()


def headers(rig: Rig, sent: bytes, key: str = "slack-secret", age: float = 0) -> dict[str, str]:
    """Slack's headers, `age` seconds old."""
    stamp = str(int(rig.now.timestamp() - age))
    return {
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={signature(key, f'v0:{stamp}:'.encode() + sent)}",
        "Content-Type": "application/x-www-form-urlencoded",
    }


async def taps(rig: Rig, sent: bytes, status: int = 200) -> Any:
    found, answer = await rig.hooked("slack", sent, headers(rig, sent))
    assert found == status, answer
    return answer


async def test_a_tap_acknowledges_and_tells_who_commands(rig: Rig) -> None:
    text = f"You respond to {rig.id}, and you command it."
    assert await taps(rig, tap(rig)) == {"text": text}
    assert rig.whispers == [("https://hooks.slack.example/1", text)]
    entry = rig.journal.entries[rig.id][-2]
    assert (entry.by, entry.event.via) == ("person:ada", "slack")
    told = await taps(rig, tap(rig, "U0BO000"))
    assert told["text"] == f"You respond to {rig.id}; the Commander is ada."
    seq = rig.seq
    await taps(rig, tap(rig))
    assert rig.seq == seq


async def test_a_tap_declines_or_puts_off_a_call_and_says_what_comes_of_it(rig: Rig) -> None:
    await rig.calls("ada")
    told = await taps(rig, tap(rig, action_id="snooze-15"))
    assert told["text"] == (
        f"You are called again for {rig.id} at 14:15:00 UTC, unless enough have come."
    )
    told = await taps(rig, tap(rig, action_id="decline"))
    assert told["text"] == f"Noted: somebody else is called for {rig.id}."
    told = await taps(rig, tap(rig, "U0BO000", action_id="decline"))
    assert told["text"].startswith("Not possible: you were not called for this incident")
    assert set((await rig.incident()).call_answers.declined) == {"ada"}


async def test_whoever_may_only_look_commands_nothing_by_a_tap(rig: Rig) -> None:
    give_access(rig, ada="viewer")
    seq = rig.seq
    told = await taps(rig, tap(rig))
    assert "Not possible: ada has the access `viewer` and may only look" in told["text"]
    assert rig.seq == seq


@pytest.mark.parametrize("age", [300, -300])
async def test_a_clock_may_be_five_minutes_off(rig: Rig, age: float) -> None:
    sent = tap(rig)
    assert (await rig.hooked("slack", sent, headers(rig, sent, age=age)))[0] == 200


@pytest.mark.parametrize("age", [301, 86_400, -301])
async def test_an_old_request_is_401_however_well_signed(rig: Rig, age: float) -> None:
    sent = tap(rig)
    status, problem = await rig.hooked("slack", sent, headers(rig, sent, age=age))
    assert (status, "older than five minutes" in problem["detail"]) == (401, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"X-Slack-Request-Timestamp": ""},
        {"X-Slack-Request-Timestamp": "soon"},
        {"X-Slack-Request-Timestamp": "1e9"},
        {"X-Slack-Request-Timestamp": "-1"},
        {"X-Slack-Request-Timestamp": "²"},
        {"X-Slack-Request-Timestamp": "9" * 400},
        {"X-Slack-Signature": ""},
        {"X-Slack-Signature": "v0="},
        {"X-Slack-Signature": "v0=ü"},
        {"X-Slack-Signature": "v0=" + "0" * 64},
    ],
)
async def test_wrong_headers_are_401(rig: Rig, changes: dict[str, str]) -> None:
    sent = tap(rig)
    status, _ = await rig.hooked("slack", sent, {**headers(rig, sent), **changes})
    assert (status, (await rig.incident()).commander) == (401, "")


async def test_another_secret_another_body_or_no_headers_are_401(rig: Rig) -> None:
    sent = tap(rig)
    assert (await rig.hooked("slack", sent, headers(rig, sent, "wrong")))[0] == 401
    assert (await rig.hooked("slack", sent + b"&x=1", headers(rig, sent)))[0] == 401
    assert (await rig.hooked("slack", sent, {}))[0] == 401


async def test_a_stranger_is_told_how_to_be_known(rig: Rig) -> None:
    seq = rig.seq
    told = await taps(rig, tap(rig, "U0EVE00"))
    assert "set people.NAME.known_as.slack to U0EVE00" in told["text"]
    assert rig.seq == seq


async def test_why_it_is_not_possible_is_told_where_it_was_tapped(rig: Rig) -> None:
    told = await taps(rig, tap(rig, value="none"))
    assert told["text"] == "Not possible: there is no incident none"
    await rig.does("close")
    told = await taps(rig, tap(rig))
    assert told["text"].startswith(f"Not possible: incident {rig.id} is closed, and takes")


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "block_actions", "actions": [{"action_id": "open", "value": "x"}]},
        {"type": "block_actions", "actions": []},
        {"type": "view_submission", "user": {"id": "U0ADA00"}, "view": {}},
    ],
)
async def test_other_interactions_are_taken_without_a_word(
    rig: Rig, payload: dict[str, Any]
) -> None:
    assert await taps(rig, urlencode({"payload": json.dumps(payload)}).encode()) == {}


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"payload",
        b"payload=",
        b"payload={",
        b"payload=null",
        b"payload=[]",
        b"payload=%7B%22type%22%3A1%7D&payload=2",
        b"\xff\xfe=1",
        b"payload=%ED%A0%80",
        b"a=1&" * 30,
        urlencode({"payload": '{"type": "block_actions", "actions": 5}'}).encode(),
        urlencode({"payload": '{"type": "block_actions", "user": "x"}'}).encode(),
        urlencode({"payload": '{"type": "block_actions", "actions": [null]}'}).encode(),
        urlencode({"payload": '{"type": {}, "actions": []}'}).encode(),
    ],
)
async def test_a_malformed_payload_is_400(rig: Rig, sent: bytes) -> None:
    problem = await taps(rig, sent, 400)
    assert problem["title"] == "Not a Slack payload"


async def test_an_over_large_body_is_413_and_a_failing_store_503(rig: Rig) -> None:
    await taps(rig, b"x" * (MAX_BODY + 1), 413)
    rig.journal.failing = True
    await taps(rig, tap(rig), 503)


async def test_a_persons_token_is_no_signature(rig: Rig) -> None:
    assert (await rig.hooked("slack", tap(rig), ADA))[0] == 401
