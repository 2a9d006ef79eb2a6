"""An update in a Slack channel, against a stand-in of Slack."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest

from daemon.adapters.channels.slack import SlackChannel
from daemon.adapters.slack import slack_client
from daemon.core.values.outcome import Permanent, Temporary
from tests.contract.test_channels import MESSAGE, ROOM, SECRET
from tests.doubles.slack import TOKEN, Slack


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    async with Slack().serving() as double:
        yield double


def room(session: aiohttp.ClientSession, slack: Slack, token: str = TOKEN) -> SlackChannel:
    return SlackChannel(slack_client(session, token, f"{slack.url}/api/", 5), ROOM)


async def test_a_message_in_the_channel(session: aiohttp.ClientSession, slack: Slack) -> None:
    receipt = await room(session, slack).post(MESSAGE)
    ((channel, ts), sent) = next(iter(slack.messages.items()))
    assert (channel, receipt.reference) == (ROOM, f"{ROOM}:{ts}")
    assert ts in receipt.proof
    assert "success rate 99.1 % → 90.3 %" in sent["text"], "what a notification shows"
    statement, context = sent["blocks"]
    assert "Rollback is running." in statement["text"]["text"]
    (about,) = context["elements"]
    assert about["text"].split(" · ") == [
        "sev2",
        "restoring stage",
        "<http://stopgap/d/x|the document>",
    ]


async def test_an_edit_changes_it_in_place_and_says_so(
    session: aiohttp.ClientSession, slack: Slack
) -> None:
    channel = room(session, slack)
    receipt = await channel.post(MESSAGE)
    again = await channel.edit(receipt.reference, replace(MESSAGE, version=2, text="It is over"))
    ((_, sent),) = slack.messages.items()
    assert again.reference == receipt.reference
    assert sent["text"] == "It is over"
    assert "It is over" in sent["blocks"][0]["text"]["text"]
    assert sent["blocks"][1]["elements"][0]["text"].endswith(" · edited")


async def test_the_public_sees_no_link(session: aiohttp.ClientSession, slack: Slack) -> None:
    await room(session, slack).post(replace(MESSAGE, link="", severity=""))
    (sent,) = slack.messages.values()
    assert sent["blocks"][1]["elements"][0]["text"] == "restoring stage"


@pytest.mark.parametrize("evil", ["<!channel>", "<@U0ADA>", "<http://evil.example|the bank>"])
async def test_text_by_others_calls_nobody_and_links_nowhere(
    session: aiohttp.ClientSession, slack: Slack, evil: str
) -> None:
    await room(session, slack).post(replace(MESSAGE, text=f"{evil} & first\n{evil} & more"))
    (sent,) = slack.messages.values()
    assert evil not in json.dumps(sent)
    assert "&amp; first" in sent["text"]
    assert "&amp; more" in sent["blocks"][0]["text"]["text"]


async def test_a_long_text_is_cut_to_what_slack_takes(
    session: aiohttp.ClientSession, slack: Slack
) -> None:
    await room(session, slack).post(replace(MESSAGE, text="&" * 5000 + "\n" + "<" * 5000))
    (sent,) = slack.messages.values()
    text = sent["blocks"][0]["text"]["text"]
    assert len(text) <= 3000
    assert "…" in text


async def test_a_message_that_is_gone_cannot_be_changed_later_either(
    session: aiohttp.ClientSession, slack: Slack
) -> None:
    with pytest.raises(Permanent, match="message_not_found"):
        await room(session, slack).edit(f"{ROOM}:1.2", replace(MESSAGE, version=2))


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ("ratelimited", Temporary),
        ("internal_error", Temporary),
        ("channel_not_found", Permanent),
        ("not_in_channel", Permanent),
    ],
)
async def test_it_refuses_in_its_own_word(
    session: aiohttp.ClientSession, slack: Slack, error: str, failure: type[Exception]
) -> None:
    channel = room(session, slack)
    receipt = await channel.post(MESSAGE)
    slack.error = error
    for sending in (channel.post(MESSAGE), channel.edit(receipt.reference, MESSAGE)):
        with pytest.raises(failure, match=error) as caught:
            await sending
        assert TOKEN not in str(caught.value)


async def test_a_wrong_token_is_not_repeated(session: aiohttp.ClientSession, slack: Slack) -> None:
    with pytest.raises(Permanent, match="invalid_auth") as caught:
        await room(session, slack, SECRET).post(MESSAGE)
    assert SECRET not in str(caught.value)
