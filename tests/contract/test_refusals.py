"""Deliveries and requests that are refused: counted, said once a minute, and never lost for good
where sending again may help."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.client_exceptions import ClientConnectionResetError
from aiohttp.http_exceptions import BadStatusLine
from structlog.testing import capture_logs

from daemon.app.logs import NoHttp
from daemon.config.auth import AuthSettings
from daemon.instrumentation import DeliveryOutcome, Observer
from daemon.web.application import web_application
from daemon.web.auth.refusals import FREE
from tests.contract.rig import ADA, HOOK, MAX_BODY, Rig, rigged
from tests.stories.stage import alert, body

ALERTS = "/api/v1/alerts"
SENT = body(alert(service="cart"))
ALERTMANAGER = {"User-Agent": "Alertmanager/0.28.1"}
WRONG = {"Authorization": "Bearer wr0ng-token-itself"}


class Counting(Observer):
    """Counts what became of deliveries, and the routes."""

    def __init__(self) -> None:
        self.deliveries: Counter[str] = Counter()
        self.routes: Counter[tuple[str, int]] = Counter()

    def delivery(self, outcome: DeliveryOutcome, took: float) -> None:
        assert took >= 0
        self.deliveries[outcome] += 1

    def request(self, method: str, route: str, status: int, took: float | None) -> None:
        self.routes[route, status] += 1


class Watched(Rig):
    """A rig whose door is watched."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.watch = Counting()

    def context(self) -> Any:
        return replace(super().context(), observer=self.watch)

    async def delivers_to(self, path: str, headers: dict[str, str], sent: bytes = SENT) -> int:
        url = self.client.make_url("/").with_path(path, encoded=True)
        answer = await self.client.session.post(
            url, data=sent, headers=headers, allow_redirects=False
        )
        self.said = await answer.text()
        return answer.status


@pytest.fixture
async def rig() -> AsyncIterator[Watched]:
    async with rigged(make=Watched) as found:
        found.watch.deliveries.clear()
        found.watch.routes.clear()
        yield found


@pytest.mark.parametrize(
    "path", [f"{ALERTS}/", f"/{ALERTS}", "/api/v1//alerts", "//api//v1//alerts//"]
)
async def test_a_slash_too_many_loses_no_page(rig: Watched, path: str) -> None:
    assert await rig.delivers_to(path, {**HOOK, **ALERTMANAGER}) == 200
    assert len(rig.inbox.waiting) == 1
    assert rig.watch.routes == {(ALERTS, 200): 1}
    assert await rig.delivers_to(path, WRONG) == 401


@pytest.mark.parametrize(
    "path", ["/", "/alerts", "/api/v1/alert", "/api/v2/alerts", "/api/v1/rules", "/-/ready"]
)
async def test_what_alertmanager_posts_elsewhere_is_answered_so_that_it_sends_again(
    rig: Watched, path: str
) -> None:
    with capture_logs() as logs:
        assert await rig.delivers_to(path, {**HOOK, **ALERTMANAGER}) == 503
    assert "alerts go to /api/v1/alerts" in rig.said
    assert rig.watch.deliveries == {"misdirected": 1}
    (line,) = [x for x in logs if x["event"] == "deliveries were not taken"]
    assert (line["outcome"], line["path"], line["address"]) == ("misdirected", path, "127.0.0.1")
    assert "end the `url`" in line["mend"]


async def test_others_are_told_that_there_is_nothing(rig: Watched) -> None:
    assert await rig.delivers_to("/api/v1/alert", HOOK) == 404
    assert await rig.delivers_to("/-/ready", HOOK) == 405
    answer = await rig.client.get("/api/v1/alert", headers=ALERTMANAGER)
    assert answer.status == 404
    assert not rig.watch.deliveries


async def test_deliveries_that_are_not_let_in_count_and_are_told_once(rig: Watched) -> None:
    with capture_logs() as logs:
        for _ in range(3):
            assert await rig.delivers_to(ALERTS, WRONG) == 401
        assert await rig.delivers_to(ALERTS, {}) == 401
        for _ in range(2):
            assert await rig.delivers_to(ALERTS, HOOK, b" " * (MAX_BODY + 1)) == 413
    assert rig.watch.deliveries == {"unauthorized": 4, "too_large": 2}
    refused, large = [x for x in logs if x["log_level"] == "warning"]
    assert (refused["outcome"], refused["count"]) == ("unauthorized", 1)
    assert (large["outcome"], large["status"]) == ("too_large", 413)
    assert "inbox.max_body_bytes" in large["mend"]
    assert "wr0ng" not in str(logs)
    assert "hook-token" not in str(logs)


@pytest.mark.parametrize("path", [ALERTS, f"{ALERTS}/"])
async def test_a_delivery_of_another_format_is_told_with_what_is_wrong_with_it(
    rig: Watched, path: str
) -> None:
    """It is lost, for after 400 Alertmanager does not send again."""
    sent = SENT.replace(b'"labels": {', b'"labels": {"' + b"x" * 1000 + b'": 5, ')
    with capture_logs() as logs:
        for _ in range(2):
            assert await rig.delivers_to(path, HOOK, sent) == 400
    assert not rig.watch.deliveries, "the intake counts it, which here nobody watches"
    (line,) = [x for x in logs if x["event"] == "deliveries were not taken"]
    assert (line["outcome"], line["status"], line["address"]) == ("invalid", 400, "127.0.0.1")
    assert "alerts.0.labels.xxx" in line["why"]
    assert len(line["why"]) <= 300
    assert "version 4" in line["mend"]


async def test_other_rooms_count_no_deliveries(rig: Watched) -> None:
    for path in ("/api/v1/sentiment", "/api/v1/changes"):
        assert (await rig.client.post(path, headers=WRONG, json={})).status == 401
    assert not rig.watch.deliveries


async def test_a_body_that_breaks_off_counts_and_is_no_crash(rig: Watched) -> None:
    # As the daemon serves: the server of the rig would cancel the handler instead.
    runner = web.AppRunner(web_application(rig.context(), MAX_BODY), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection(*runner.addresses[0])
        head = f"POST {ALERTS} HTTP/1.1\r\nHost: x\r\nAuthorization: {HOOK['Authorization']}\r\n"
        with capture_logs() as logs:
            wants = f"{head}Expect: 100-continue\r\nContent-Length: 100\r\n\r\n"
            writer.write(wants.encode())
            await reader.readuntil(b"\r\n\r\n")  # it waits for the body now
            writer.close()
            while not rig.watch.deliveries:  # noqa: ASYNC110 - the loop that turns is our own
                await asyncio.sleep(0)
    finally:
        await runner.cleanup()
    assert rig.watch.deliveries == {"broken_off": 1}
    said = [x["event"] for x in logs if x["log_level"] != "debug"]
    assert said == ["deliveries were not taken"]


async def guesses(rig: Rig, count: int, **headers: str) -> list[int]:
    """The statuses of so many wrong tokens."""
    found = []
    for number in range(count):
        wrong = {"Authorization": f"Bearer guess-{number}", **headers}
        found.append((await rig.client.get("/api/v1/me", headers=wrong)).status)
    return found


async def test_who_guesses_tokens_has_to_wait_and_nobody_else(rig: Watched) -> None:
    with capture_logs() as logs:
        assert await guesses(rig, FREE + 3) == [401] * FREE + [429] * 3
        wrong = await rig.client.post(ALERTS, data=SENT, headers=WRONG)
        assert (wrong.status, wrong.headers["Retry-After"]) == (429, "2")
        assert (await rig.client.get("/api/v1/me", headers=ADA)).status == 200
        assert await rig.delivers_to(ALERTS, HOOK) == 200
        assert (await rig.client.get("/api/v1/me")).status == 401  # that is no guess
        rig.later(seconds=3)
        assert await guesses(rig, 2) == [401, 429]
    said = [x for x in logs if x["event"] == "wrong credentials"]
    assert [(x["address"], x["count"], x["path"]) for x in said] == [("127.0.0.1", 1, "/api/v1/me")]
    assert "guess-" not in str(logs)
    rig.later(seconds=60)
    with capture_logs() as logs:
        await guesses(rig, 1)
    assert logs[0]["count"] == FREE + 2 + 1 + 2 + 1  # the first was said


async def test_behind_a_trusted_proxy_one_guesser_slows_only_himself() -> None:
    auth = AuthSettings.model_validate({"proxy": {"header": None, "from": ["127.0.0.1/32"]}})
    async with rigged(auth, make=Watched) as rig:
        one, other = {"X-Forwarded-For": "203.0.113.7"}, {"X-Forwarded-For": "198.51.100.1"}
        assert (await guesses(rig, FREE + 1, **one))[-1] == 429
        assert await guesses(rig, 1, **other) == [401]


async def test_secrets_of_pagers_are_not_guessed_faster(rig: Watched) -> None:
    statuses = [
        (await rig.hooked("opsgenie", {}, {"X-Stopgap-Token": f"guess-{n}"}))[0]
        for n in range(FREE + 1)
    ]
    assert statuses == [401] * FREE + [429]


def test_what_is_no_http_is_said_once_a_minute_and_without_what_was_sent() -> None:
    only = NoHttp()
    said = []
    for at in (0.0, 1.0, 2.0, 61.0):
        error = BadStatusLine("s3cret-itself")
        record = logging.LogRecord(
            "aiohttp.server", 40, "", 0, "Error from %s", ("192.0.2.1",), (type(error), error, None)
        )
        record.created = at
        if only.filter(record):
            said.append((record.levelname, record.getMessage(), record.exc_info))
    first = "Error from 192.0.2.1: BadStatusLine"
    assert said == [
        ("WARNING", first, None),
        ("WARNING", f"{first} (3 since it was last said)", None),
    ]
    assert only.filter(logging.LogRecord("aiohttp.server", 40, "", 0, "a defect", (), None))


def test_who_has_gone_before_the_answer_leaves_no_traceback() -> None:
    error = ClientConnectionResetError("Cannot write to closing transport")
    told = (type(error), error, None)
    record = logging.LogRecord("aiohttp.server", 40, "", 0, "Error handling request", (), told)
    assert not NoHttp().filter(record)
