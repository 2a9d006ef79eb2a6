"""The status page is in its folder, whole, at each change; and on every surface the same."""

from __future__ import annotations

import asyncio
import json
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.app.status_page import status_page_for
from daemon.config.active import ActiveConfig, Live
from daemon.config.settings import Settings
from daemon.config.status_page import StatusPageSettings
from daemon.core.incident import events as e
from daemon.core.reporting.status_page.html import status_html
from daemon.core.reporting.status_page.model import (
    StatusEntry,
    StatusPage,
    StatusPageSpec,
    StatusUpdate,
    status_page,
)
from daemon.core.rules.rule import RuleBook
from daemon.core.values.outcome import Permanent, Temporary
from daemon.instrumentation import QUIET
from daemon.replaying.virtual_time import run_virtually
from daemon.repository import IncidentRepository
from daemon.watching.status_page import StatusPageKeeper
from daemon.web.api.system import NO_STATUS_PAGE
from tests.contract.rig import ADA, Rig, rigged
from tests.contract.test_cli_double import run
from tests.contract.test_last_word_keeper import ID, ROSTER, draft, sent
from tests.core.build import opening
from tests.fakes import START, MemoryJournal

SPEC = StatusPageSpec(
    title="Acme", audience="customers", history=timedelta(days=14), every=timedelta(minutes=5)
)
ENTRY = StatusEntry(
    id="20261123-140000",
    began=START,
    ended=None,
    components=(),
    updates=(StatusUpdate(at=START, text="We see a problem."),),
)


class Kept:
    """A keeper over a journal in memory, in virtual time."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.folder = base / "public"
        self.journal = MemoryJournal()
        self.begin()

    def begin(self) -> None:
        """Start, or start anew: only the journal is left."""
        self.repository = IncidentRepository(self.journal, self.clock)
        self.keeper = self.keeps("customers")

    def clock(self) -> Any:
        loop = asyncio.get_running_loop()
        return START + timedelta(seconds=loop.time())

    def keeps(self, audience: str) -> StatusPageKeeper:
        chosen = StatusPageSettings(folder=Path("public"), audience=audience)
        settings = Settings(base=self.base, status_page=chosen)
        active = Live(ActiveConfig(RuleBook((), {}), ROSTER))
        keeper = status_page_for(settings, self.repository, active, QUIET)
        assert keeper is not None
        return keeper

    async def happens(self, *events: e.Event) -> None:
        await self.repository.record(ID, lambda _: events)

    @property
    def page(self) -> StatusPage:
        """What is in the folder."""
        return StatusPage.model_validate_json((self.folder / "status.json").read_text())


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_it_is_written_at_each_change_and_while_nothing_happens(kept: Kept) -> None:
    async def story() -> None:
        running = asyncio.create_task(kept.keeper.run())
        await asyncio.sleep(1)
        assert (kept.page.state, kept.page.entries) == ("ok", ())
        await kept.repository.open(ID, "key", [opening()])
        await kept.happens(draft(1, "early"))
        await asyncio.sleep(1)
        assert kept.page.entries == ()
        await kept.happens(sent(1))
        await asyncio.sleep(1)
        assert kept.page.state == "problem"
        assert "text 1" in (kept.folder / "index.html").read_text()
        before = kept.page.written_at
        await asyncio.sleep(kept.page.written_every + 1)
        assert kept.page.written_at > before
        running.cancel()

    run_virtually(story)
    assert sorted(path.name for path in kept.folder.iterdir()) == ["index.html", "status.json"]
    assert stat.S_IMODE(kept.folder.stat().st_mode) == 0o755
    for path in kept.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o644, "for the web server that serves it"


def test_a_restart_finds_what_was_told_before(kept: Kept) -> None:
    async def story() -> None:
        await kept.repository.open(ID, "key", [opening()])
        await kept.happens(draft(1, "early"), sent(1))
        await kept.happens(e.IncidentClosed(reason="recovered", text="x"))
        await kept.happens(draft(2, "late"), sent(2))
        kept.begin()
        running = asyncio.create_task(kept.keeper.run())
        await asyncio.sleep(1)
        running.cancel()

    run_virtually(story)
    [entry] = kept.page.entries
    assert kept.page.state == "ok"
    assert [update.text for update in entry.updates] == ["text 2", "text 1"]


async def test_a_folder_that_takes_nothing_is_named(kept: Kept) -> None:
    kept.folder.write_text("a file")
    with pytest.raises(Temporary, match=r"`status_page.folder` in .*: cannot write .*public"):
        await kept.keeper.write()


def test_an_audience_that_is_not_public_keeps_the_page_away_and_no_daemon_from_starting(
    kept: Kept,
) -> None:
    keeper = kept.keeps("x")
    assert "has no audience 'x'" in keeper.trouble

    async def story() -> None:
        running = asyncio.create_task(keeper.run())
        await asyncio.sleep(100)
        assert not running.done()
        with pytest.raises(Permanent, match=r"`status_page.audience` in .* has no audience 'x'"):
            keeper.page()
        running.cancel()

    run_virtually(story)
    assert not kept.folder.exists()
    off = Settings(base=kept.base)
    active = Live(ActiveConfig(RuleBook((), {}), ROSTER))
    assert status_page_for(off, kept.repository, active, QUIET) is None


class Showing(Rig):
    """A rig whose customers were told of one problem."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.status_page = lambda: status_page([ENTRY], SPEC, START)


async def test_every_surface_shows_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rigged(make=Showing) as rig:
        told = await rig.asks("GET", "/api/v1/status-page", ADA)
        assert told == (200, json.loads(status_page([ENTRY], SPEC, START).model_dump_json()))
        answer = await rig.client.get("/status-page", headers=ADA)
        shown = await answer.text()
        assert shown == status_html(status_page([ENTRY], SPEC, START))
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src")
        system = await rig.client.get("/system", headers=ADA)
        assert 'href="/status-page"' in await system.text()
        for path in ("/api/v1/status-page", "/status-page"):
            anonymous = await rig.client.get(path, allow_redirects=False)
            assert anonymous.status in {401, 303}, "only its files are public"

        monkeypatch.setenv("STOPGAP_URL", str(rig.client.server.make_url("")))
        monkeypatch.setenv("STOPGAP_TOKEN", "ada-token")
        asked = ((), ("--html",), ("--json",))
        plain, html, found = [await asyncio.to_thread(run, "status-page", *more) for more in asked]
        assert plain.out.startswith("Acme: a problem, as of ")
        assert "    We see a problem." in plain.out
        assert html.out == shown
        assert json.loads(found.out) == told[1]


async def test_without_a_folder_each_surface_says_what_to_set() -> None:
    async with rigged() as rig:
        status, problem = await rig.asks("GET", "/api/v1/status-page", ADA)
        assert (status, problem["detail"]) == (404, NO_STATUS_PAGE)
        page = await rig.client.get("/status-page", headers=ADA)
        assert page.status == 404
        assert "status_page.folder" in await page.text()
        system = await rig.client.get("/system", headers=ADA)
        assert 'href="/status-page"' not in await system.text()


async def test_each_surface_says_why_it_is_not_written() -> None:
    class Barred(Rig):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.status_page = self.barred

        def barred(self) -> StatusPage:
            raise Permanent("the updates to 'customers' are internal")

    async with rigged(make=Barred) as rig:
        status, told = await rig.asks("GET", "/api/v1/status-page", ADA)
        assert (status, told["detail"]) == (409, "the updates to 'customers' are internal")
        page = await rig.client.get("/status-page", headers=ADA)
        assert page.status == 409
