"""Calendar feeds: what is fetched, what is refused, and what is kept for an outage."""

from __future__ import annotations

import asyncio
import gzip
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from daemon.adapters import calendar_feeds
from daemon.adapters.calendar_feeds import Feeds, FeedText
from daemon.core.values.outcome import Permanent, Temporary

NOW = datetime(2026, 11, 4, 12, 0, tzinfo=UTC)
SECRET = "private-9f8e7d"
PATH = f"/calendar/{SECRET}/basic.ics"
GOOD = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nX-WR-CALNAME:Über\r\nEND:VCALENDAR\r\n"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Double:
    """A calendar's server, with one answer to everything."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.handler: Handler | None = None
        self.answer(GOOD.encode())

    def answer(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        kind = {"Content-Type": "text/calendar", **(headers or {})}

        async def handler(_: web.Request) -> web.Response:
            return web.Response(body=body, status=status, headers=kind)

        self.handler = handler

    def redirect(self, location: Callable[[int], str], status: int = 302, times: int = 99) -> None:
        """Redirect so often, then be good."""

        async def handler(_: web.Request) -> web.Response:
            hop = len(self.asked)
            if hop > times:
                return web.Response(text=GOOD)
            return web.Response(status=status, headers={"Location": location(hop)})

        self.handler = handler

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        assert self.handler is not None
        return await self.handler(request)


async def kept_copy(subject: Feeds, name: str, url: str) -> FeedText:
    """Fetch it, find it readable, and keep it."""
    feed = await subject.fetch(url)
    await subject.keep(name, feed)
    return feed


@pytest.fixture
async def double() -> AsyncIterator[Double]:
    serving = Double()
    application = web.Application()
    application.router.add_get("/{path:.*}", serving.handle)
    async with TestServer(application) as server:
        serving.url = str(server.make_url(PATH))
        yield serving


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


@pytest.fixture
def subject(session: aiohttp.ClientSession, tmp_path: Path) -> Feeds:
    return Feeds(session, tmp_path / "calendars", timeout=60, clock=lambda: NOW)


async def refused(subject: Feeds, kind: type[Exception], url: str, said: str) -> None:
    """It fails in that way, keeps nothing, and says nothing of the address."""
    with pytest.raises(kind, match=said) as caught:
        await subject.fetch(url)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.args)
    assert SECRET not in shown
    assert "127.0.0.1" not in shown
    assert subject.cached("network") is None


def files_in(folder: Path) -> list[Path]:
    return list(folder.rglob("*"))


class TestFetching:
    async def test_the_text_and_the_time(self, double: Double, subject: Feeds) -> None:
        assert await subject.fetch(double.url) == FeedText(GOOD, NOW)

    async def test_by_its_own_clock_it_is_the_time_in_utc(
        self, double: Double, session: aiohttp.ClientSession, tmp_path: Path
    ) -> None:
        found = await Feeds(session, tmp_path, 5).fetch(double.url)
        assert found.fetched_at.utcoffset() == timedelta(0)

    @pytest.mark.parametrize(
        ("body", "headers"),
        [
            (b"\xef\xbb\xbf" + GOOD.encode(), {}),
            (gzip.compress(GOOD.encode()), {"Content-Encoding": "gzip"}),
            (GOOD.encode(), {"Content-Type": "text/html"}),
            (GOOD.encode(), {"Content-Type": "text/calendar; charset=nonsense"}),
        ],
        ids=["a mark in front", "packed", "called a page", "of a strange charset"],
    )
    async def test_a_calendar_is_one_however_it_comes(
        self, double: Double, subject: Feeds, body: bytes, headers: dict[str, str]
    ) -> None:
        double.answer(body, headers=headers)
        assert (await subject.fetch(double.url)).text == GOOD

    async def test_webcal_means_https(self) -> None:
        assert calendar_feeds._address(" webcal://example.com/a.ics") == URL(
            "https://example.com/a.ics"
        )


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (500, Temporary),
            (503, Temporary),
            (429, Temporary),
            (408, Temporary),
            (404, Permanent),
            (401, Permanent),
            (204, Permanent),
            (304, Permanent),
        ],
    )
    async def test_any_other_status_than_200(
        self, double: Double, subject: Feeds, status: int, kind: type[Exception]
    ) -> None:
        double.answer(b"" if status in (204, 304) else GOOD.encode(), status)
        await refused(subject, kind, double.url, f"server answered {status}")

    @pytest.mark.parametrize(
        ("body", "kind", "said"),
        [
            (b"<html>Please log in</html>", Permanent, "is no calendar"),
            (b"", Permanent, "is no calendar"),
            (b"\xff\xfe\x00\x01", Permanent, "is no calendar"),
            (b"BEGIN:VCALENDARS\r\nEND:VCALENDAR", Permanent, "is no calendar"),
            (GOOD.encode()[:-20], Temporary, "is cut off"),
        ],
    )
    async def test_what_is_no_whole_calendar(
        self, double: Double, subject: Feeds, body: bytes, kind: type[Exception], said: str
    ) -> None:
        double.answer(body)
        await refused(subject, kind, double.url, said)

    @pytest.mark.parametrize("packed", [False, True])
    async def test_too_much(self, double: Double, subject: Feeds, packed: bool) -> None:
        body = b"BEGIN:VCALENDAR\r\n" + b"x" * calendar_feeds._LARGEST + b"\r\nEND:VCALENDAR"
        if packed:
            double.answer(gzip.compress(body), headers={"Content-Encoding": "gzip"})
        else:
            double.answer(body)
        await refused(subject, Permanent, double.url, "more than 5 MB")

    async def test_the_largest_is_not_too_much(self, double: Double, subject: Feeds) -> None:
        double.answer(GOOD.encode() + b" " * (calendar_feeds._LARGEST - len(GOOD.encode())))
        assert len((await subject.fetch(double.url)).text.strip()) == len(GOOD) - 2

    async def test_no_answer_in_time(
        self, double: Double, session: aiohttp.ClientSession, tmp_path: Path
    ) -> None:
        async def hang(_: web.Request) -> web.Response:
            await asyncio.sleep(1)
            return web.Response(text=GOOD)

        double.handler = hang
        impatient = Feeds(session, tmp_path, timeout=0.05)
        await refused(impatient, Temporary, double.url, r"did not arrive within 0\.05 s")

    async def test_half_an_answer(self, double: Double, subject: Feeds) -> None:
        async def half(request: web.Request) -> web.StreamResponse:
            answer = web.StreamResponse(headers={"Content-Length": "1000"})
            await answer.prepare(request)
            await answer.write(GOOD.encode())
            assert request.transport is not None
            request.transport.close()
            return answer

        double.handler = half
        await refused(subject, Temporary, double.url, "cannot be fetched")

    async def test_nobody_there(self, subject: Feeds, unused_tcp_port: int) -> None:
        url = f"http://127.0.0.1:{unused_tcp_port}{PATH}"
        await refused(subject, Temporary, url, "cannot be fetched")

    @pytest.mark.parametrize(
        "url",
        ["", SECRET, f"file:///{SECRET}", f"http:///{SECRET}", f"http://[{SECRET}", "http://a:b:c"],
    )
    async def test_what_is_no_address(self, subject: Feeds, url: str) -> None:
        await refused(subject, Permanent, url, "is not a URL")


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_up_to_three_on_the_same_host(
        self, double: Double, subject: Feeds, status: int
    ) -> None:
        double.redirect(lambda hop: f"/hop/{hop}", status, times=3)
        assert (await subject.fetch(double.url)).text == GOOD
        assert double.asked == [PATH, "/hop/1", "/hop/2", "/hop/3"]

    async def test_a_fourth_is_one_too_many(self, double: Double, subject: Feeds) -> None:
        double.redirect(lambda hop: f"/hop/{hop}")
        await refused(subject, Permanent, double.url, "more than 3 times")
        assert len(double.asked) == 4

    @pytest.mark.parametrize(
        "location",
        [f"http://localhost:1/{SECRET}", f"file:///{SECRET}", "", "http://[", "//localhost/x"],
    )
    async def test_to_where_it_must_not(
        self, double: Double, subject: Feeds, location: str
    ) -> None:
        double.redirect(lambda _: location)
        await refused(subject, Permanent, double.url, "redirects to where it must not")
        assert len(double.asked) == 1

    def test_to_another_host_by_https_alone_and_never_back_from_it(self) -> None:
        other = "https://other.example/a"
        assert calendar_feeds._next(URL("http://a.example/x"), other) == URL(other)
        assert calendar_feeds._next(URL("https://a.example/x"), other) == URL(other)
        with pytest.raises(Permanent):
            calendar_feeds._next(URL("https://a.example/x"), "http://a.example/x")


class TestTheCopy:
    async def test_it_outlives_the_process_and_an_outage(
        self, double: Double, session: aiohttp.ClientSession, subject: Feeds, tmp_path: Path
    ) -> None:
        assert subject.cached("network") is None
        await kept_copy(subject, "network", double.url)
        double.answer(b"", 500)
        with pytest.raises(Temporary):
            await kept_copy(subject, "network", double.url)
        again = Feeds(session, tmp_path / "calendars", 5)
        assert again.cached("network") == FeedText(GOOD, NOW)
        (copy,) = (tmp_path / "calendars").iterdir()
        assert SECRET not in copy.read_text()
        assert copy.stat().st_mode & 0o077 == 0

    async def test_each_name_has_its_own_and_none_leads_out_of_the_folder(
        self, double: Double, subject: Feeds, tmp_path: Path
    ) -> None:
        names = ["a/b", "a", "A", "..", "../../up", "", "x" * 300, "Über uns", "a%2Fb", "\ud800"]
        for number, name in enumerate(names):
            double.answer(GOOD.replace("Über", str(number)).encode())
            await kept_copy(subject, name, double.url)
        for number, name in enumerate(names):
            kept = subject.cached(name)
            assert kept is not None
            assert f"X-WR-CALNAME:{number}\r" in kept.text
        files = [path for path in files_in(tmp_path) if path.is_file()]
        assert {path.parent.name for path in files} == {"calendars"}
        assert len(files) == len(names)

    @pytest.mark.parametrize(
        "damage",
        [
            *("", "{", "[]", '{"text": "x"}', "\udcff"),
            *('{"text": "x", "fetched_at": 5}', '{"text": "x", "fetched_at": "2026-11-04"}'),
        ],
    )
    async def test_a_damaged_one_is_none(
        self, double: Double, subject: Feeds, tmp_path: Path, damage: str
    ) -> None:
        await kept_copy(subject, "network", double.url)
        (copy,) = (tmp_path / "calendars").iterdir()
        copy.write_text(damage, encoding="utf-8", errors="surrogateescape")
        assert subject.cached("network") is None

    async def test_without_room_for_it_the_calendar_is_there_all_the_same(
        self, double: Double, subject: Feeds, tmp_path: Path
    ) -> None:
        (tmp_path / "calendars").write_text("a file where the folder should be")
        assert (await kept_copy(subject, "network", double.url)).text == GOOD
        assert subject.cached("network") is None

    async def test_a_failed_write_leaves_the_old_one(
        self, double: Double, subject: Feeds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await kept_copy(subject, "network", double.url)

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        double.answer(GOOD.replace("Über", "new").encode())
        assert "new" in (await kept_copy(subject, "network", double.url)).text
        assert subject.cached("network") == FeedText(GOOD, NOW)
        assert len(list((tmp_path / "calendars").iterdir())) == 1
