"""Reading the rules again: who may ask for it, and what happens to broken ones."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from daemon.app.outgoing import refuse_literally
from daemon.app.reload import Reloader
from daemon.config.pending_settings import PendingSettings, pending_settings
from daemon.config.rules_folder import Ruleset, read_ruleset
from daemon.config.settings import Settings, load_settings
from daemon.core.people.access import Access
from daemon.core.values.outcome import Permanent
from daemon.core.values.yaml_document import FileMistake, Mistakes
from daemon.instrumentation import Observer
from daemon.reporting.status import Loading
from daemon.web.application import web_application
from daemon.web.auth.identity import Identity
from daemon.web.context import WebContext
from tests.contract.rig import ADA, MAX_BODY, Rig
from tests.contract.test_cli_double import Ended, run
from tests.fakes import START

BROKEN = "rules/checkout.yaml:7: problem.windows: expected a duration like 5m"


@dataclass(frozen=True)
class Door(WebContext):
    """A context that knows what each person may do."""

    accesses: Mapping[str, Access] = field(default_factory=dict)

    async def identify(self, request: web.Request) -> Identity:
        identity = await super().identify(request)
        return replace(identity, access=self.accesses.get(identity.person, identity.access))


@asynccontextmanager
async def reloading(access: Access) -> AsyncIterator[Rig]:
    """A rig in which ada has that access."""
    rig = Rig()
    context = rig.context()
    door = Door(**{**vars(context), "accesses": {"ada": access}})
    async with TestClient(TestServer(web_application(door, MAX_BODY))) as client:
        rig.client = client
        yield rig


class TestOverHttp:
    @pytest.mark.parametrize("method", ["POST", "PUT"])
    async def test_an_admin_reloads_and_is_answered_when_it_is_done(self, method: str) -> None:
        async with reloading("admin") as rig:
            status, answer = await rig.asks(method, "/-/reload", ADA)
        told = {"rules": 1, "notes": [], "changed": [], "error": ""}
        assert (status, answer) == (200, told)
        assert rig.reloads == ["ada"]

    async def test_nobody_else_may(self) -> None:
        async with reloading("responder") as rig:
            status, answer = await rig.asks("POST", "/-/reload", ADA)
            assert status == 403
            assert "needs `admin`" in answer["detail"]
            status, _ = await rig.asks("POST", "/-/reload")
            assert status == 401
            assert (await rig.client.get("/-/reload", headers=ADA)).status == 405
        assert rig.reloads == []

    async def test_broken_rules_are_answered_with_every_mistake(self) -> None:
        async with reloading("admin") as rig:
            error = f"{BROKEN}\nrules/roster.yaml:2: no such person"
            rig.loading = Loading(at=START, failed_at=START, error=error)
            status, answer = await rig.asks("POST", "/-/reload", ADA)
        assert status == 422
        assert [x["detail"] for x in answer["errors"]] == [
            BROKEN,
            "rules/roster.yaml:2: no such person",
        ]
        assert answer["title"] == "The rules are broken"
        assert answer["detail"].startswith("the old rules stay in force:\nrules/checkout.yaml:7:")

    async def test_beside_broken_rules_it_names_settings_that_would_mend_them(self) -> None:
        """A command that was allowed in the settings since the start is not allowed yet."""
        async with reloading("admin") as rig:
            waiting = PendingSettings(changed=("commands.allow",))
            rig.loading = Loading(at=START, failed_at=START, error=BROKEN, settings=waiting)
            _, answer = await rig.asks("POST", "/-/reload", ADA)
        assert answer["detail"].splitlines()[1:] == [
            BROKEN,
            "changed in the settings, and not in force before a restart: commands.allow",
        ]
        assert [x["detail"] for x in answer["errors"]] == [BROKEN]


class TestCommand:
    async def runs(self, rig: Rig, patch: pytest.MonkeyPatch) -> Ended:
        """`stopgap reload`, by ada."""
        patch.setenv("STOPGAP_TOKEN", "ada-token")
        return await asyncio.to_thread(run, "reload", "--url", str(rig.client.make_url("")))

    async def test_it_says_how_many_rules_are_in_force(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with reloading("admin") as rig:
            ended = await self.runs(rig, monkeypatch)
        assert (ended.code, ended.out) == (0, "reloaded; rules in force: 1\n")

    async def test_what_only_a_restart_puts_in_force_is_named(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pending = PendingSettings(changed=("prometheus.url", "recovery.storm"), error="line 3: no")
        async with reloading("admin") as rig:
            rig.loading = Loading(at=START, settings=pending)
            ended = await self.runs(rig, monkeypatch)
        assert (ended.code, ended.out.splitlines()[1:]) == (
            0,
            [
                "changed in the settings, and not in force before a restart: "
                "prometheus.url, recovery.storm",
                "the settings file is broken, so a restart would fail; mend it first: line 3: no",
            ],
        )

    async def test_broken_rules_fail_with_their_mistakes(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with reloading("admin") as rig:
            rig.loading = Loading(at=START, failed_at=START, error=BROKEN)
            ended = await self.runs(rig, monkeypatch)
        assert ended.code == 1
        assert ended.err == (
            f"stopgap: The rules are broken: the old rules stay in force: {BROKEN}\n"
        )


class Bench(Observer):
    """A reloader whose files and clock the test holds; it hears of each reload itself."""

    def __init__(self) -> None:
        self.now = START
        self.wrong: Exception | None = None
        self.taken: list[Ruleset] = []
        self.notes: list[str] = []
        self.heard: list[bool] = []
        self.reading = 0
        self.at_once = 0
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Event()
        self.done = threading.Event()
        self.reloader = Reloader(
            self._read, self._take, lambda: self.now, self, Path("/srv/stopgap")
        )

    def _read(self) -> Ruleset:
        self.reading += 1
        self.began.set()
        self.at_once = max(self.at_once, self.reading)
        self.gate.wait(60)
        self.reading -= 1
        if self.wrong is not None:
            raise self.wrong
        return read_ruleset([], {}, {})

    def _take(self, ruleset: Ruleset) -> list[str]:
        self.taken.append(ruleset)
        return self.notes

    def reloaded(self, at: float, ok: bool) -> None:
        self.heard.append(ok)
        self.done.set()


def _any(_: Settings) -> None:
    """Settings that every daemon starts by."""


def test_settings_by_which_no_daemon_would_start_are_told_at_a_reload(tmp_path: Path) -> None:
    file = tmp_path / "stopgap.yaml"
    file.write_text("recovery: {storm: 4}\n")
    running = load_settings(file, {})
    file.write_text("argocd: {url: 'http://localhost:8443'}\n")
    pending = pending_settings(running, {}, lambda it: refuse_literally(it, lambda _: ""))
    assert pending.error.startswith("argocd.url: it leads to 127.0.0.1:8443, which is loopback")


def test_settings_that_were_edited_since_the_start_are_found_by_name(tmp_path: Path) -> None:
    file = tmp_path / "stopgap.yaml"
    file.write_text("recovery: {storm: 4}\nshutdown: 20s\n")
    running = load_settings(file, {})
    assert pending_settings(running, {}, _any) == PendingSettings()
    file.write_text("recovery: {storm: 9}\nprometheus: {url: 'http://10.0.0.1:9090'}\n")
    assert pending_settings(running, {}, _any).changed == ("prometheus.url", "recovery.storm")
    environ = {"STOPGAP_SHUTDOWN": "5s"}
    assert "shutdown" in pending_settings(running, environ, _any).changed
    file.write_text("recovery: {storms: 9}\n")
    assert "storms" in pending_settings(running, {}, _any).error
    assert pending_settings(load_settings(None, {}), {}, _any) == PendingSettings()


@pytest.fixture
def bench() -> Bench:
    return Bench()


class TestReloader:
    async def test_sound_rules_are_taken(self, bench: Bench) -> None:
        bench.now += timedelta(minutes=5)
        done = await bench.reloader.reload("ada")
        assert done == bench.reloader.last == Loading(at=bench.now)
        assert done.warning == ""
        assert len(bench.taken) == 1
        assert bench.heard == [True]

    async def test_what_is_to_be_mended_though_they_are_sound_is_told(self, bench: Bench) -> None:
        bench.notes = ["the override 3f9a1c07 is orphaned"]
        assert (await bench.reloader.reload("ada")).notes == (bench.notes[0],)
        assert bench.reloader.last.warning == ""

    async def test_broken_rules_change_nothing_and_are_said_loudly(self, bench: Bench) -> None:
        mistakes = [
            FileMistake(file="/srv/stopgap/rules/a.yaml", line=7, place="team", text="no team 'x'"),
            FileMistake(file="/srv/stopgap/rules/b.yaml", line=1, place="", text="not YAML"),
        ]
        bench.wrong = Mistakes(mistakes)
        bench.now += timedelta(minutes=3)
        with structlog.testing.capture_logs() as logged:
            done = await bench.reloader.reload("SIGHUP")
        assert bench.taken == []
        assert bench.heard == [False]
        assert (done.at, done.failed_at) == (START, bench.now)
        assert done.error == "rules/a.yaml:7: team: no team 'x'\nrules/b.yaml:1: not YAML"
        assert done.warning == (
            "the rules on disk are broken since 14:03:00 UTC, the old ones are in force: 2 mistakes"
        )
        assert [line["log_level"] for line in logged] == ["error", "error"]
        assert [line["error"] for line in logged] == [str(mistake) for mistake in mistakes]
        assert all("the old rules stay in force" in line["event"] for line in logged)

        bench.wrong = None
        bench.now += timedelta(minutes=1)
        assert (await bench.reloader.reload("SIGHUP")) == Loading(at=bench.now)
        assert bench.heard == [False, True]

    async def test_a_secret_that_is_not_there_is_a_mistake_too(self, bench: Bench) -> None:
        bench.wrong = Permanent("the environment variable X is not set; it should hold a secret")
        done = await bench.reloader.reload("ada")
        assert done.error == str(bench.wrong)
        assert "1 mistake" in done.warning

    async def test_one_at_a_time(self, bench: Bench) -> None:
        bench.gate.clear()
        both = asyncio.gather(bench.reloader.reload("ada"), bench.reloader.reload("bo"))
        assert await asyncio.to_thread(bench.began.wait, 10)
        bench.gate.set()
        await both
        assert bench.at_once == 1
        assert bench.heard == [True, True]

    async def test_a_defect_in_it_ends_nothing(self, bench: Bench) -> None:
        bench.wrong = RuntimeError("a defect")
        asked = asyncio.Event()
        running = asyncio.create_task(bench.reloader.run(asked))
        with structlog.testing.capture_logs() as logged:
            asked.set()
            assert await asyncio.to_thread(bench.began.wait, 10)
            bench.wrong = None
            asked.set()
            assert await asyncio.to_thread(bench.done.wait, 10)
        running.cancel()
        assert logged[0]["event"] == "reloading crashed; the old rules stay in force"
        assert bench.heard == [True]
