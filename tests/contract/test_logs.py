"""The daemon's log: JSON lines with what they belong to, libraries among them, and no secrets."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from daemon.app.logs import HIDDEN_KEYS, configure_logging, redacted
from daemon.config.settings import LogSettings, Settings
from daemon.web.request_log import shown_path
from tests.contract.rig import ADA, BO, Rig, rigged
from tests.stories.stage import Stage, alert, healed_by

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Configures logging as the daemon does; what was logged since, each line read as JSON."""
    yield from logged("info")


def logged(level: str) -> Iterator[Lines]:
    root = logging.getLogger()
    handlers, before = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging(Settings(log=LogSettings(level=level)), stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(before)


@pytest.mark.looptime
async def test_the_lines_of_a_story_say_which_incident_and_step(
    tmp_path: Path, lines: Lines
) -> None:
    stage = Stage(tmp_path)
    stage.service.fails(0.10, 60)
    stage.phones["ada"].broken = True
    healed_by(stage, "rollback")
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(1800)
        incident = await daemon.incident()
    said = {line["event"]: line for line in lines()}
    assert said["incident opened"]["incident"] == incident.id
    assert said["problem"]["incident"] == incident.id
    assert said["problem"]["effect"] == "define"
    assert said["page failed"]["page"].endswith(".ada")
    assert said["step finished"]["step"] == 1
    assert said["step finished"]["result"] == "done"
    assert all(line["incident"] == incident.id for line in lines())
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines())


async def test_incidents_side_by_side_do_not_lend_each_other_their_names(lines: Lines) -> None:
    log = structlog.get_logger()

    async def one(name: str) -> None:
        structlog.contextvars.bind_contextvars(incident=name)
        await asyncio.sleep(0)
        log.info("here", name=name)

    await asyncio.gather(one("a"), one("b"))
    assert [line["incident"] == line["name"] for line in lines()] == [True, True]


class TestRequests:
    async def test_a_deed_is_logged_with_who_did_it(self, lines: Lines) -> None:
        async with rigged() as rig:
            await rig.does("ack")
            await rig.does("ack", headers={})
        done, refused = (line for line in lines() if line["event"] == "request")
        assert done["person"] == "ada"
        assert (done["method"], done["path"], done["status"]) == ("POST", f"{rig.path}/ack", 200)
        assert done["duration"] >= 0
        assert (refused["person"], refused["status"]) == ("", 401)

    async def test_reading_and_alertmanager_are_not_worth_a_line(self, lines: Lines) -> None:
        async with rigged() as rig:
            await rig.asks("GET", rig.path, ADA)
            await rig.client.get("/metrics")
        assert [line for line in lines() if line["event"] == "request"] == []

    async def test_signed_links_and_queries_leave_no_token(self, lines: Lines) -> None:
        async with rigged() as rig:
            link = await rig.calls()
            await rig.taps(f"{link}?token=hunter2", deed="ack")
        (tap,) = (line for line in lines() if line["event"] == "request")
        assert tap["path"] == "/a/…"
        text = json.dumps(lines())
        assert link.rpartition("/")[2] not in text
        assert "hunter2" not in text

    @pytest.mark.parametrize(
        ("path", "shown"),
        [
            ("/a/abc.def-ghi", "/a/…"),
            ("/d/abc/more", "/d/…"),
            ("/api/v1/incidents/x/ack", "/api/v1/incidents/x/ack"),
            ("/absent", "/absent"),
        ],
    )
    def test_paths(self, path: str, shown: str) -> None:
        assert shown_path(path) == shown

    async def test_everything_at_debug_holds_no_secret(self) -> None:
        reader = logged("debug")
        lines = next(reader)
        async with rigged() as rig:
            rig = await everything(rig)
        text = json.dumps(lines())
        assert len([line for line in lines() if line["event"] == "request"]) == 5
        for secret in ("ada-token", "bo-token", "hook-token", "pd-new", "slack-secret"):
            assert secret not in text
        assert next(reader, None) is None


async def everything(rig: Rig) -> Rig:
    """A few requests, with credentials in all the places where they are."""
    await rig.does("ack")
    await rig.does("ack", BO)
    await rig.asks("GET", f"{rig.path}?token=ada-token", ADA)
    await rig.asks("POST", "/api/v1/alerts", {"Authorization": "Bearer hook-token"}, data=b"{}")
    return rig


class TestLibraries:
    def test_their_warnings_are_lines_like_ours(self, lines: Lines) -> None:
        structlog.contextvars.bind_contextvars(incident="1124-0200-abcd")
        try:
            logging.getLogger("urllib3").warning("watch %s ended", 7)
        finally:
            structlog.contextvars.clear_contextvars()
        (line,) = lines()
        assert line["event"] == "watch 7 ended"
        assert line["logger"] == "urllib3"
        assert line["level"] == "warning"
        assert line["incident"] == "1124-0200-abcd"

    def test_their_chatter_is_left_out_at_any_level(self) -> None:
        reader = logged("debug")
        lines = next(reader)
        logging.getLogger("urllib3").debug("POST /services/T0/secret")
        logging.getLogger("apprise").info("sent")
        structlog.get_logger().debug("ours")
        assert [line["event"] for line in lines()] == ["ours"]
        assert next(reader, None) is None

    def test_a_crash_of_theirs_is_one_line_with_the_traceback(self, lines: Lines) -> None:
        try:
            raise RuntimeError("at https://user:hunter2@example.org/x")
        except RuntimeError:
            logging.getLogger("asyncio").exception("Task exception was never retrieved")
        (line,) = lines()
        assert "RuntimeError" in line["exception"]
        assert "hunter2" not in line["exception"]

    def test_warnings_of_python_too(self, lines: Lines) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old", DeprecationWarning, stacklevel=1)
        (line,) = lines()
        assert "DeprecationWarning: old" in line["event"]
        assert line["logger"] == "py.warnings"


class TestTheLastDefence:
    @pytest.mark.parametrize(
        "name", ["token", "webhook_token", "Authorization", "smtp.password", "api-key", "apikey"]
    )
    def test_values_under_telling_names_are_hidden(self, name: str) -> None:
        assert redacted(None, "", {name: "hunter2", "event": "x"})[name] == HIDDEN_KEYS

    @pytest.mark.parametrize(
        "text",
        [
            "no answer from https://ada:hunter2@pager.example/x",
            "Authorization: Bearer hunter2hunter2",
            "GET /x?a=1&token=hunter2&b=2",
            "see http://stopgap/a/WyJodW50ZXIyIl0.aBc4.hunter2-x_y",
            "see http://stopgap/d/3f9a1c07.WyJodW50ZXIyIl0.hunter2-x_y",
            "see http://stopgap/a/3f9a1c07..eJyLVsrJTFayhunter2.aBc4.hunter2-x_y",
        ],
    )
    def test_secrets_in_texts_are_hidden_at_any_depth(self, text: str) -> None:
        event = {"event": text, "deep": {"list": [text], "password": "hunter2"}}
        assert "hunter2" not in json.dumps(redacted(None, "", event))

    @pytest.mark.parametrize(
        "text",
        [
            'ALERTS{alertstate="firing"}',
            "http://127.0.0.1:9090/api/v1/query",
            "cannot read rules/a/checkout.yaml:12: a bearer token is missing",
            "the file /etc/stopgap/token is empty",
        ],
    )
    def test_what_is_no_secret_stays(self, text: str) -> None:
        event = {"event": text, "tokens_seen": 3, "token": ""}
        assert redacted(None, "", event) == event


async def test_what_is_no_http_is_told_without_what_it_holds(lines: Lines) -> None:
    async with rigged() as rig:
        reader, writer = await asyncio.open_connection(rig.client.host, rig.client.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer s3cr\x01et\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.0 400 ")
    (line,) = [line for line in lines() if line.get("logger") == "aiohttp.server"]
    assert (line["level"], "exception" in line) == ("warning", False)
    assert line["event"].startswith("Error handling request from 127.0.0.1: ")
    assert "s3cr" not in str(lines())
