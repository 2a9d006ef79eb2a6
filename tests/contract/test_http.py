"""What every provider's answer to a POST means, and how text is cut for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from daemon.adapters.http import WORDS, Poster, shortened
from daemon.core.values.outcome import Permanent, Temporary
from tests.contract.calls import HURRY, SECRET, Anything, nobody


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


@pytest.fixture
async def anything() -> AsyncIterator[Anything]:
    async with Anything().serving() as double:
        yield double


def poster(session: aiohttp.ClientSession, **how: Any) -> Poster:
    """To the provider X, whose refusals say why in `why`."""
    given = {"secrets": (SECRET,), "error_text": lambda said: str(said.get("why", ""))}
    return Poster(session, "X", HURRY, **{**given, **how})


async def told(poster: Poster, url: str) -> str:
    """The sentence of a refusal."""
    with pytest.raises((Permanent, Temporary)) as caught:
        await poster.post(url, {})
    text = f"{type(caught.value).__name__}: {caught.value}"
    assert SECRET not in text
    assert url not in text
    assert caught.value.__cause__ is None
    return text


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        ((400, {"why": "no title"}), "Permanent: X answered 400: no title"),
        ((400, {}), "Permanent: X answered 400"),
        ((400, ["why"]), "Permanent: X answered 400"),
        ((413, {"why": f"key {SECRET} is over"}), "Permanent: X answered 413: key … is over"),
        ((422, {"why": "a\x1b[2Jb\r\n c"}), "Permanent: X answered 422: a [2Jb c"),
        ((429, {"why": "slowly"}), "Temporary: X answered 429: slowly"),
        ((500, {"why": "ill"}), "Temporary: X answered 500: ill"),
        ((304, None), "Permanent: X answered 304"),
    ],
)
async def test_a_refusal_in_the_providers_words(
    session: aiohttp.ClientSession, anything: Anything, refusal: tuple[int, Any], sentence: str
) -> None:
    anything.refusal = refusal
    assert await told(poster(session), anything.url) == sentence


async def test_without_words_of_its_own_nothing_is_repeated(
    session: aiohttp.ClientSession, anything: Anything
) -> None:
    anything.refusal = (404, {"why": "no such path: /secret"})
    silent = poster(session, error_text=None)
    assert await told(silent, f"{anything.url}/secret") == "Permanent: X answered 404"


async def test_a_secret_at_the_end_of_a_long_reason_is_not_shown_in_part(
    session: aiohttp.ClientSession, anything: Anything
) -> None:
    anything.refusal = (400, {"why": "x" * (WORDS - 4) + SECRET})
    sentence = await told(poster(session), anything.url)
    assert SECRET[:3] not in sentence
    assert sentence.endswith("x…")


async def test_a_reason_without_end_is_none(
    session: aiohttp.ClientSession, anything: Anything
) -> None:
    anything.refusal = (400, {"why": "x" * 200_000})
    assert await told(poster(session), anything.url) == "Permanent: X answered 400"


async def test_only_what_the_provider_calls_success_is_one(
    session: aiohttp.ClientSession, anything: Anything
) -> None:
    strict = poster(session, taken=frozenset({202}))
    assert await strict.post(anything.url, {}) == 202
    anything.mood = 200
    assert await told(strict, anything.url) == "Permanent: X answered 200"
    assert await poster(session).post(anything.url, {}) == 200
    anything.mood = 404
    assert await strict.post(anything.url, {}, harmless={404}) == 404


async def test_it_hangs_or_nobody_listens(
    session: aiohttp.ClientSession, anything: Anything
) -> None:
    gone = await told(poster(session), nobody())
    assert gone == "Temporary: X cannot be reached (ClientConnectorError)"
    anything.mood = "hang"
    slow = await told(poster(session), anything.url)
    assert slow.startswith("Temporary: X cannot be reached (")
    assert "Timeout" in slow


@pytest.mark.parametrize(
    "url", [f"ftp://h/{SECRET}", SECRET, f"http:///{SECRET}", f"http://[{SECRET}"]
)
async def test_what_is_no_address_can_never_work(session: aiohttp.ClientSession, url: str) -> None:
    assert await told(poster(session), url) == (
        "Permanent: the address of X is not a URL of http or https"
    )


async def test_a_key_that_cannot_be_a_header_is_not_repeated(
    session: aiohttp.ClientSession, anything: Anything
) -> None:
    broken = poster(session, headers={"Authorization": f"Key {SECRET}\r\nX: y"})
    assert (await told(broken, anything.url)).startswith("Permanent: X cannot be asked")
    assert anything.asked == []


@pytest.mark.parametrize(
    ("text", "most", "cut"),
    [
        ("", 3, ""),
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("🔥🔥🔥", 6, "🔥🔥🔥"),  # two of UTF-16 each
        ("🔥🔥🔥", 5, "🔥🔥…"),
        ("🔥🔥🔥", 4, "🔥…"),
        ("xe\u0301y", 3, "x…"),  # not e without its accent
        ("x👍🏽y", 4, "x…"),  # not a thumb of another colour
        ("x👩\u200d🚒yy", 5, "x…"),  # not a woman who is no fire fighter
        ("a\ud800b", 9, "a\ufffdb"),  # half a character, which no encoding takes
    ],
)
def test_text_is_cut_between_characters(text: str, most: int, cut: str) -> None:
    assert shortened(text, most) == cut
    assert len(cut.encode("utf-16-le")) <= 2 * most


def test_a_text_of_accents_alone_is_cut_all_the_same() -> None:
    assert 0 < len(shortened("\u0301" * 1000, 100)) <= 100


async def test_a_redirect_is_not_followed(session: aiohttp.ClientSession) -> None:
    """It would hand the page, and the key in its headers, to whoever is named there."""

    class Elsewhere(Anything):
        async def take(self, request: web.Request) -> web.Response:
            if request.path == "/moved":
                raise web.HTTPTemporaryRedirect("/there")
            return await super().take(request)

    async with Elsewhere().serving() as double:
        assert await told(poster(session), f"{double.url}/moved") == "Permanent: X answered 307"
        assert [asked["path"] for asked in double.asked] == ["/moved"]
