"""Slack's Web API by its library: the page on the wire, its limits, and every kind of trouble."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from daemon.adapters.pagers.slack import SlackPager
from daemon.adapters.slack import MENDS, fitted, slack_client
from daemon.core.ports.notification import Reminds
from daemon.core.values.outcome import Permanent, Temporary
from tests.contract.calls import HURRY, INCIDENT, nobody, page, reminder
from tests.contract.rig import rigged
from tests.doubles.serving import Double
from tests.doubles.slack import TOKEN, Slack

ADA = "U0ADA00"


class Blunt(Double):
    """Answers everything with the same: a status, a type of content, a text."""

    def __init__(self, status: int, kind: str, text: str) -> None:
        super().__init__()
        self.answer = {"status": status, "content_type": kind, "text": text}
        self.hangs_up = 0

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/{path:.*}", self.say)]

    async def say(self, request: web.Request) -> web.Response:
        """That, or nothing at all."""
        if self.hangs_up:
            assert request.transport is not None
            request.transport.close()
        return web.Response(**self.answer)  # type: ignore[arg-type]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    async with Slack().serving() as double:
        yield double


def pager(
    session: aiohttp.ClientSession, url: str, token: str = TOKEN, timeout: float = 5
) -> SlackPager:
    """A pager to Ada."""
    return SlackPager(slack_client(session, token, f"{url}/api", timeout), ADA)


async def refused(pager: SlackPager) -> str:
    """The sentence of a page that fails."""
    with pytest.raises((Permanent, Temporary)) as caught:
        await pager.page(page())
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None
    kind = "Temporary" if isinstance(caught.value, Temporary) else "Permanent"
    return f"{kind}: {caught.value}"


def shown(slack: Slack) -> list[dict[str, Any]]:
    """The blocks of the only message."""
    ((_, said),) = slack.messages.items()
    blocks: list[dict[str, Any]] = said["blocks"]
    return blocks


async def test_a_page_is_a_message_with_a_button(
    session: aiohttp.ClientSession, slack: Slack
) -> None:
    proof = await pager(session, slack.url).page(page())
    assert proof == "message 1764000000.000000 in D0ADA00"
    ((place, said),) = slack.messages.items()
    assert place == ("D0ADA00", "1764000000.000000")
    assert slack.asked[0]["headers"]["Authorization"] == f"Bearer {TOKEN}"
    assert said["channel"] == ADA
    assert (said["unfurl_links"], said["unfurl_media"]) == (False, False)
    assert said["text"].startswith("shop: success rate 99.1 % → 90.3 %: rollback")
    section, actions = said["blocks"]
    assert section["text"] == {
        "type": "mrkdwn",
        "verbatim": True,
        "text": ("*shop: success rate 99.1 % → 90.3 %*\nrollback is running"),
    }
    acknowledge, answer, everything = actions["elements"]
    assert (acknowledge["action_id"], acknowledge["value"]) == ("acknowledge", INCIDENT)
    assert "url" not in acknowledge
    assert (answer["url"], everything["url"]) == ("http://stopgap/a/x", "http://stopgap/d/x")


async def test_a_reminder_is_a_message_that_nobody_has_to_acknowledge(
    session: aiohttp.ClientSession, slack: Slack
) -> None:
    subject = pager(session, slack.url)
    assert isinstance(subject, Reminds)
    assert await subject.remind(reminder()) == "message 1764000000.000000"
    section, actions = shown(slack)
    assert section["text"]["text"] == "*Follow-up due today: test it*\nIt is due."
    assert [one["url"] for one in actions["elements"]] == ["http://stopgap/i"]


async def test_without_an_answer_link_there_is_no_button_for_it(
    session: aiohttp.ClientSession, slack: Slack
) -> None:
    await pager(session, slack.url).page(page(answer_link=""))
    urls = [element.get("url") for element in shown(slack)[1]["elements"]]
    assert urls == [None, "http://stopgap/d/x"]


async def test_labels_call_nobody_and_link_nowhere(
    session: aiohttp.ClientSession, slack: Slack
) -> None:
    hostile = "<!channel> <@U1> <http://evil|here> & @here"
    await pager(session, slack.url).page(page(title=f"a\n*{hostile}", text=hostile))
    said = slack.asked[0]["body"].decode()
    assert "<" not in said
    head, text = shown(slack)[0]["text"]["text"].split("\n")
    escaped = "&lt;!channel&gt; &lt;@U1&gt; &lt;http://evil|here&gt; &amp; @here"
    assert (head, text) == (f"*a *{escaped}*", escaped)


@pytest.mark.parametrize("character", ["x", "🔥", "&", "<", "\n", "e\u0301"])
async def test_the_longest_page_fits(
    session: aiohttp.ClientSession, slack: Slack, character: str
) -> None:
    await pager(session, slack.url).page(page(title=character * 5000, text=character * 50_000))
    (said,) = slack.messages.values()  # the double refuses what is over the limits
    assert len(json.dumps(said)) < 60_000


@pytest.mark.parametrize(
    ("text", "most", "fit"),
    [
        ("a&b", 7, "a&amp;b"),
        ("a&b", 6, "a…"),  # not a&am…
        ("&&&", 10, "&amp;…"),
        ("<<", 8, "&lt;&lt;"),
        ("abc", 2, "a…"),
    ],
)
def test_text_is_cut_between_escapes(text: str, most: int, fit: str) -> None:
    assert fitted(text, most) == fit


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("ratelimited", "Temporary: Slack cannot take it now: ratelimited"),
        ("internal_error", "Temporary: Slack cannot take it now: internal_error"),
        ("fatal_error", "Temporary: Slack cannot take it now: fatal_error"),
        ("service_unavailable", "Temporary: Slack cannot take it now: service_unavailable"),
        ("msg_too_long", "Permanent: Slack refuses it: msg_too_long"),
        ("invalid_auth", "Permanent: Slack refuses it: invalid_auth (see slack.token)"),
        (
            "not_in_channel",
            "Permanent: Slack refuses it: not_in_channel (invite the bot to the channel)",
        ),
        (f"no such token: {TOKEN}", "Permanent: Slack refuses it: status 200"),
    ],
)
async def test_slacks_word_and_what_to_do(
    session: aiohttp.ClientSession, slack: Slack, error: str, sentence: str
) -> None:
    slack.error = error
    assert await refused(pager(session, slack.url)) == sentence
    assert len(slack.asked) == 1, "trying again is not the pager's business"


async def test_a_wrong_token(session: aiohttp.ClientSession, slack: Slack) -> None:
    sentence = await refused(pager(session, slack.url, token="xoxb-wr0ng"))
    assert sentence == f"Permanent: Slack refuses it: invalid_auth ({MENDS['invalid_auth']})"


@pytest.mark.parametrize(
    ("status", "kind", "text", "sentence"),
    [
        (503, "text/html", "<h1>ill</h1>", "Temporary: Slack cannot take it now: status 503"),
        (502, "application/json", "{", "Temporary: Slack cannot take it now: status 502"),
        (429, "text/plain", "slowly", "Temporary: Slack cannot take it now: status 429"),
        (404, "text/html", "no", "Permanent: Slack refuses it: status 404"),
        (200, "text/html", "log in", "Permanent: Slack refuses it: status 200"),
        (200, "application/json", "{", "Permanent: Slack refuses it: status 200"),
        (200, "application/json", "[1]", "Temporary: Slack gave an answer that is none"),
        (200, "text/plain", "ok", "Temporary: Slack gave an answer that is none"),
    ],
)
async def test_an_answer_that_is_not_slacks(
    session: aiohttp.ClientSession, status: int, kind: str, text: str, sentence: str
) -> None:
    async with Blunt(status, kind, text).serving() as blunt:
        assert (await refused(pager(session, blunt.url))).startswith(sentence)


async def test_a_message_whose_answer_was_lost_is_not_sent_twice(
    session: aiohttp.ClientSession,
) -> None:
    async with Blunt(200, "text/plain", "").serving() as blunt:
        blunt.hangs_up = True
        sentence = await refused(pager(session, blunt.url))
        assert sentence.startswith("Temporary: Slack cannot be reached (")
        assert len(blunt.asked) == 1


async def test_it_hangs_or_nobody_listens(session: aiohttp.ClientSession, slack: Slack) -> None:
    slack.mood = "hang"
    slow = await refused(pager(session, slack.url, timeout=HURRY))
    assert slow == "Temporary: Slack cannot be reached (TimeoutError)"
    gone = await refused(pager(session, nobody()))
    assert gone == "Temporary: Slack cannot be reached (ClientConnectorError)"


async def test_no_proxy_of_the_environment_is_used_behind_the_sessions_back(
    session: aiohttp.ClientSession, slack: Slack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, nobody())
    await pager(session, slack.url).page(page())
    assert len(slack.messages) == 1


async def test_the_token_is_not_in_the_log_of_the_library(
    session: aiohttp.ClientSession, slack: Slack, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await pager(session, slack.url).page(page())
    slack.error = "invalid_auth"
    await refused(pager(session, slack.url))
    assert TOKEN not in caplog.text


async def test_the_doubles_tap_is_one_that_the_hook_takes() -> None:
    async with rigged() as rig:
        headers, sent = Slack.tap(ADA, "acknowledge", rig.id, rig.now, "slack-secret")
        status, answer = await rig.hooked("slack", sent, headers)
        assert status == 200, answer
        assert (await rig.incident()).commander == "ada"
        headers, sent = Slack.tap(ADA, "open-answer", rig.id, rig.now, "slack-secret")
        assert await rig.hooked("slack", sent, headers) == (200, {}), "a link is only a link"


async def test_numbers_that_come_later_change_the_message_in_place(
    session: aiohttp.ClientSession, slack: Slack
) -> None:
    subject = pager(session, slack.url)
    proof = await subject.page(page(title="shop", text="shop · measuring now"))
    await subject.amend_alert(page(), proof)
    head, *_ = shown(slack)
    assert head["text"]["text"].startswith("*shop: success rate 99.1 % → 90.3 %*")
    with pytest.raises(Permanent, match="which message"):
        await subject.amend_alert(page(), "message 1")


async def test_the_alerts_own_links_cannot_break_the_page_nor_its_markup(
    session: aiohttp.ClientSession, slack: Slack
) -> None:
    links = (("Runbook", "https://r.example/a|b>c&d"), *[("Long", "https://r/" + "x" * 1900)] * 9)
    await pager(session, slack.url).page(page(links=links, text="<!channel> & <http://x|y>"))
    *_, context = shown(slack)
    text = context["elements"][0]["text"]
    assert text.startswith("<https://r.example/a%7Cb&gt;c&amp;d|Runbook>")
    assert len(text) <= 3000
    assert "<!channel>" not in json.dumps(shown(slack))


async def test_where_people_meet_is_a_tap_away(
    session: aiohttp.ClientSession, slack: Slack
) -> None:
    places = {"Room": "https://s/archives/C1", "Call": "https://meet/1"}
    await pager(session, slack.url).page(page(places=places))
    buttons = {one["text"]["text"]: one.get("url") for one in shown(slack)[1]["elements"]}
    assert list(buttons) == ["I am on it", "Answer", "Room", "Call", "Everything"]
    assert buttons | places == buttons
