"""Every channel against a stand-in of what is behind it: what arrives, and what a failure means."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web

from daemon.adapters.channels.apprise import AppriseChannel
from daemon.adapters.channels.console import ConsoleChannel
from daemon.adapters.channels.mail import MailChannel
from daemon.adapters.channels.slack import SlackChannel
from daemon.adapters.channels.webhook import WebhookChannel
from daemon.adapters.slack import slack_client
from daemon.core.ports.notification import Channel, Edits, Message
from daemon.core.values.outcome import Permanent, Temporary
from tests.doubles.serving import Double
from tests.loopback import LOOPBACK

SECRET = "s3cr3t-9f8e7d"
SIGNING = "k3y-of-the-webhook"
ROOM = "C0ROOM1"
MESSAGE = Message(
    incident="1124-0200-abcd",
    update="responders.1",
    version=1,
    audience="responders",
    title="shop: success rate 99.1 % → 90.3 %",
    text="shop: success rate 99.1 % → 90.3 %\nRollback is running.",
    severity="sev2",
    stage="restoring",
    link="http://stopgap/d/x",
    at=datetime(2026, 11, 24, 2, 0, tzinfo=UTC),
)


class Receiver(Double):
    """Takes every POST with 202; a refusal repeats where it was sent to, as many servers do."""

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/{path:.*}", self.take)]

    async def take(self, request: web.Request) -> web.Response:
        if "refused" in request.path:
            told = {"error": "no such hook", "message": f"no such hook: {request.path_qs}"}
            return web.json_response(told, status=404)
        return web.json_response({}, status=202)

    def body(self, number: int = -1) -> Any:
        """What was sent."""
        return json.loads(self.asked[number]["body"])


class Mailbox:
    """A post office that keeps what it was given."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.away = False

    async def send(self, *given: Any) -> str:
        if self.away:
            raise Temporary("the mail server is away")
        self.sent.append(given)
        return "taken by mail.example"


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().serving() as double:
        yield double


def mail(mailbox: Mailbox, *addresses: str) -> MailChannel:
    return MailChannel(mailbox, addresses)  # type: ignore[arg-type]


def every_channel(session: aiohttp.ClientSession, url: str, timeout: float) -> dict[str, Channel]:
    """All that speak HTTP, with a secret each."""
    return {
        "slack": SlackChannel(slack_client(session, SECRET, f"{url}/api/", timeout), ROOM),
        "webhook": WebhookChannel(session, f"{url}/{SECRET}", SIGNING, timeout),
    }


def test_which_can_change_what_they_have_published() -> None:
    kinds = {
        "slack": SlackChannel,
        "webhook": WebhookChannel,
        "email": MailChannel,
        "apprise": AppriseChannel,
        "console": ConsoleChannel,
    }
    edits = {kind for kind, made in kinds.items() if issubclass(made, Edits)}
    assert edits == {"slack", "webhook"}


class TestFailures:
    @pytest.mark.parametrize("kind", ["slack", "webhook"])
    @pytest.mark.parametrize(
        ("mood", "failure"),
        [
            (429, Temporary),
            (500, Temporary),
            (503, Temporary),
            ("hang", Temporary),
            (400, Permanent),
            (401, Permanent),
            (404, Permanent),
            (302, Permanent),
        ],
    )
    async def test_what_one_means(
        self,
        session: aiohttp.ClientSession,
        receiver: Receiver,
        kind: str,
        mood: int | str,
        failure: type[Exception],
    ) -> None:
        receiver.mood = mood
        timeout = 1 if mood == "hang" else 5
        channel = every_channel(session, receiver.url, timeout)[kind]
        with pytest.raises(failure) as caught:
            await channel.post(MESSAGE)
        assert SECRET not in str(caught.value)
        assert SIGNING not in str(caught.value)
        assert len(receiver.asked) == 1, "trying again is not the channel's business"

    @pytest.mark.parametrize("kind", ["slack", "webhook"])
    async def test_nobody_listens(
        self, session: aiohttp.ClientSession, kind: str, unused_tcp_port: int
    ) -> None:
        url = f"http://127.0.0.1:{unused_tcp_port}"
        with pytest.raises(Temporary) as caught:
            await every_channel(session, url, 5)[kind].post(MESSAGE)
        assert SECRET not in str(caught.value)
        assert str(unused_tcp_port) not in str(caught.value)

    @pytest.mark.parametrize("url", [SECRET, f"ftp://{SECRET}", f"http://[{SECRET}", ""])
    async def test_what_is_no_address(self, session: aiohttp.ClientSession, url: str) -> None:
        with pytest.raises(Permanent, match="URL") as caught:
            await WebhookChannel(session, url, None, 5).post(MESSAGE)
        assert SECRET not in str(caught.value)

    async def test_a_refusal_that_repeats_the_address_is_not_repeated(
        self, session: aiohttp.ClientSession, receiver: Receiver
    ) -> None:
        url = f"{receiver.url}/refused/{SECRET}?key={SECRET}"
        with pytest.raises(Permanent, match="answered 404") as caught:
            await WebhookChannel(session, url, None, 5).post(MESSAGE)
        assert SECRET not in str(caught.value)


class TestWebhook:
    async def test_the_fields_of_the_message_signed_over_what_is_sent(
        self, session: aiohttp.ClientSession, receiver: Receiver
    ) -> None:
        receipt = await WebhookChannel(session, receiver.url, SIGNING, 5).post(MESSAGE)
        assert (receipt.proof, receipt.reference) == ("answered 202", "responders.1")
        sent = receiver.asked[0]
        expected = {**vars(MESSAGE), "at": "2026-11-24T02:00:00+00:00"}
        assert json.loads(sent["body"]) == expected
        digest = hmac.new(SIGNING.encode(), sent["body"], hashlib.sha256).hexdigest()
        assert sent["headers"]["X-Stopgap-Signature"] == f"v1={digest}"

    async def test_an_edit_is_the_same_update_in_a_higher_version(
        self, session: aiohttp.ClientSession, receiver: Receiver
    ) -> None:
        channel = WebhookChannel(session, receiver.url, None, 5)
        receipt = await channel.post(MESSAGE)
        await channel.edit(receipt.reference, replace(MESSAGE, version=2, text="It is over"))
        versions = [(sent["update"], sent["version"]) for sent in map(receiver.body, (0, 1))]
        assert versions == [("responders.1", 1), ("responders.1", 2)]
        assert receiver.body()["text"] == "It is over"
        assert "X-Stopgap-Signature" not in receiver.asked[0]["headers"]


class TestMail:
    async def test_one_mail_for_all_in_the_incidents_thread(self) -> None:
        mailbox = Mailbox()
        receipt = await mail(mailbox, "a@example.org", "b@example.org").post(MESSAGE)
        ((to, subject, text, incident),) = mailbox.sent
        assert (receipt.proof, receipt.reference) == ("taken by mail.example", "")
        assert tuple(to) == ("a@example.org", "b@example.org")
        assert subject == "[sev2] shop: success rate 99.1 % → 90.3 %"
        assert text.startswith(MESSAGE.text)
        assert text.endswith("http://stopgap/d/x")
        assert incident == "1124-0200-abcd"

    async def test_without_severity_and_link(self) -> None:
        mailbox = Mailbox()
        await mail(mailbox, "a@example.org").post(replace(MESSAGE, severity="", link=""))
        ((_, subject, text, _),) = mailbox.sent
        assert subject.startswith("[incident] ")
        assert text == MESSAGE.text

    async def test_a_failure_is_the_post_offices(self) -> None:
        mailbox = Mailbox()
        mailbox.away = True
        with pytest.raises(Temporary, match="is away"):
            await mail(mailbox, "a@example.org").post(MESSAGE)


class TestApprise:
    async def test_it_delivers_over_http_and_tells_no_reason(self, receiver: Receiver) -> None:
        url = receiver.url.replace("http://", "json://")
        receipt = await AppriseChannel(f"{url}/{SECRET}", LOOPBACK).post(MESSAGE)
        assert receipt.proof == "accepted by apprise"
        sent = receiver.body()
        assert sent["title"] == MESSAGE.title
        assert sent["type"] == "info", "an update is no alarm"
        assert sent["message"].endswith("http://stopgap/d/x")
        receiver.mood = 500
        with pytest.raises(Temporary, match="could not deliver") as caught:
            await AppriseChannel(f"{url}/{SECRET}", LOOPBACK).post(MESSAGE)
        assert SECRET not in str(caught.value)

    def test_a_url_that_it_does_not_know_is_not_repeated(self) -> None:
        with pytest.raises(Permanent, match="does not know") as caught:
            AppriseChannel(f"nonsense://{SECRET}", LOOPBACK)
        assert SECRET not in str(caught.value)


async def test_the_console_is_the_daemons_own_log() -> None:
    with structlog.testing.capture_logs() as logged:
        receipt = await ConsoleChannel().post(MESSAGE)
    assert receipt.proof == "written to the console"
    (entry,) = logged
    assert (entry["update"], entry["text"]) == ("responders.1", MESSAGE.text)
