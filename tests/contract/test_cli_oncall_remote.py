"""`stopgap oncall` where the roster is not: it asks the daemon."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from daemon.core.people.roster import Roster
from daemon.core.values.yaml_document import one_document
from daemon.web.application import web_application
from tests.contract.rig import MAX_BODY, Rig
from tests.contract.test_cli_double import TOKEN, run
from tests.contract.test_cli_oncall import ROSTER, view_of
from tests.doubles.serving import Double


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without settings, in which the command runs, by somebody with a token."""
    monkeypatch.setenv("STOPGAP_TOKEN", TOKEN)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("STOPGAP_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
async def url(home: Path) -> AsyncIterator[str]:
    """The real API."""
    rig = Rig()
    rig.roster = one_document(ROSTER, "roster.yaml").read(Roster)
    async with TestServer(web_application(rig.context(), MAX_BODY)) as server:
        yield str(server.make_url(""))


class Stranger(Double):
    """Something else than a Stopgap daemon, at its address."""

    def __init__(self, answer: str, kind: str) -> None:
        super().__init__()
        self._answer = {"text": answer, "content_type": kind}

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/{path:.*}", self.greet)]

    async def greet(self, _: web.Request) -> web.Response:
        return web.Response(**self._answer)  # type: ignore[arg-type]


@pytest.mark.parametrize("at", ["2027-03-28T03:30+02:00", "2027-03-28 01:30"])
async def test_it_says_the_same_as_the_roster_here(
    home: Path, url: str, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOPGAP_URL", url)
    ended = await asyncio.to_thread(run, "oncall", "--json", "--at", at)
    monkeypatch.delenv("STOPGAP_URL")
    (home / "stopgap.yaml").write_text("")
    (home / "rules").mkdir()
    here = await asyncio.to_thread(view_of, home, ROSTER, at)
    assert ended.code == 0, ended
    assert json.loads(ended.out) == here


async def test_an_address_goes_before_the_settings_here(home: Path, url: str) -> None:
    (home / "stopgap.yaml").write_text("nonsense: [")
    ended = await asyncio.to_thread(run, "oncall", "--url", url, "--team", "zed")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "stopgap: no team 'zed'; there are shop, duty\n"


async def test_without_settings_it_looks_for_a_daemon_on_this_machine(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STOPGAP_TOKEN")
    ended = await asyncio.to_thread(run, "oncall")
    assert (ended.code, ended.out) == (1, "")
    assert "who are you?" in ended.err


async def test_a_wrong_token_is_refused_and_not_repeated(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOPGAP_TOKEN", "hunter2")
    ended = await asyncio.to_thread(run, "oncall", "--url", url)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("stopgap: ")
    assert "hunter2" not in ended.err


@pytest.mark.parametrize(
    ("answer", "kind"),
    [("<html>hello</html>", "text/html"), ("[]", "application/json"), ("{}", "application/json")],
)
async def test_whatever_else_answers_there_is_said(home: Path, answer: str, kind: str) -> None:
    async with Stranger(answer, kind).serving() as double:
        ended = await asyncio.to_thread(run, "oncall", "--url", double.url)
    assert (ended.code, ended.out) == (1, "")
    assert "is that a Stopgap daemon?" in ended.err
