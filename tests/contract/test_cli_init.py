"""`stopgap init`: what it writes, and that all of it works as it stands."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from aiohttp import web

from daemon.config.settings import Settings
from daemon.core.values.yaml_document import one_document
from tests.contract.test_cli import ROOT
from tests.contract.test_cli_double import Ended, run
from tests.doubles.serving import Double

RULES = {
    "data": {
        "groups": [
            {
                "name": "web",
                "interval": 15,
                "rules": [
                    {
                        "type": "alerting",
                        "name": "ErrorsHigh",
                        "query": 'sum by (service) (rate(calls{code="500"}[5m])) / '
                        "sum by (service) (rate(calls[5m])) > 0.1",
                        "labels": {"severity": "critical"},
                    },
                    {"type": "alerting", "name": "Full", "query": "used / size > 0.9"},
                    {"type": "alerting", "name": "Watchdog", "query": "vector(1)"},
                    {"type": "alerting", "name": "Down", "query": "up == 0"},
                ],
            }
        ]
    }
}


class Prometheus(Double):
    """Answers what `init` asks; `rules` is its answer of the rules."""

    def __init__(self) -> None:
        super().__init__()
        self.rules: Any = RULES

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/rules", self._rules),
            web.get("/api/v1/labels", self._labels),
        ]

    async def _rules(self, _: web.Request) -> web.Response:
        return web.json_response(self.rules)

    async def _labels(self, _: web.Request) -> web.Response:
        return web.json_response({"data": ["__name__", "service", "instance"]})


Runs = Callable[..., Ended]


@pytest.fixture
def stopgap(monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    """Run the command in a folder."""
    for name in os.environ:
        if name.startswith("STOPGAP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "120")

    def runs(folder: Path, *arguments: str) -> Ended:
        monkeypatch.chdir(folder)
        return run(*arguments)

    logging = structlog.get_config()
    yield runs
    structlog.configure(**logging)


def files_of(folder: Path) -> set[str]:
    return {str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()}


def test_what_it_writes_passes_the_check_as_it_stands(tmp_path: Path, stopgap: Runs) -> None:
    made = stopgap(tmp_path, "init", "here")
    assert (made.code, made.err) == (0, "")
    home = tmp_path / "here"
    [token] = (home / "secrets").iterdir()
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert token.read_text() not in made.out
    assert files_of(home) == {
        "stopgap.yaml",
        ".gitignore",
        f"secrets/{token.name}",
        "rules/roster.yaml",
        "rules/first.yaml",
        "rules/cases/first.yaml",
        "rules/drills/first.yaml",
    }
    assert "secrets/" in (home / ".gitignore").read_text().splitlines()
    checked = stopgap(home, "check")
    assert (checked.code, checked.out) == (0, "1 rule and 1 drill, no mistake\n")
    played = stopgap(home, "test")
    assert (played.code, played.err) == (0, "")
    assert "2 passed" in played.out
    assert yaml.safe_load((home / "rules/first.yaml").read_text())["mode"] == "observe"
    for command in (
        "stopgap check",
        "stopgap test",
        "stopgap run",
        f"--token-file secrets/{token.name}",
    ):
        assert command in made.out


def test_nothing_is_written_over(tmp_path: Path, stopgap: Runs) -> None:
    stopgap(tmp_path, "init")
    before = {name: (tmp_path / name).read_bytes() for name in files_of(tmp_path)}
    (tmp_path / "rules/first.yaml").rename(tmp_path / "rules/mine.yaml")
    again = stopgap(tmp_path, "init")
    assert again.code == 0
    assert "kept     stopgap.yaml (it exists)" in again.out
    assert "written" not in again.out
    after = {name.replace("mine", "first") for name in files_of(tmp_path)}
    assert after == set(before)


def test_a_missing_roster_is_written_beside_settings_that_are_there(
    tmp_path: Path, stopgap: Runs
) -> None:
    (tmp_path / "stopgap.yaml").write_text("rules: context-rules\n")
    made = stopgap(tmp_path, "init")
    assert made.code == 0
    assert (tmp_path / "context-rules/roster.yaml").exists()
    assert (tmp_path / "stopgap.yaml").read_text() == "rules: context-rules\n"


def test_mistakes_that_were_there_are_told(tmp_path: Path, stopgap: Runs) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/own.yaml").write_text("rule: own\nmatch: [a=b]\nteam: nobody\n")
    made = stopgap(tmp_path, "init")
    assert made.code == 1
    assert "no team 'nobody' in the roster" in made.err


def test_the_settings_are_those_of_the_documentation() -> None:
    packaged = (files("daemon.cli") / "templates/stopgap.yaml").read_text(encoding="utf-8")
    assert packaged == (ROOT / "deploy/stopgap.yaml").read_text(encoding="utf-8")
    written = one_document(packaged, "stopgap.yaml").read(Settings)
    assert written == Settings()


@pytest.mark.parametrize(
    ("url", "code", "told"),
    [
        ("localhost:9090", 2, "is no address"),
        ("http://ada:hunter2@prometheus", 2, "credentials in an address"),
        ("http://127.0.0.1:1", 1, "no answer from http://127.0.0.1:1/api/v1/rules"),
    ],
)
def test_a_prometheus_that_cannot_be_asked_leaves_nothing_behind(
    tmp_path: Path, stopgap: Runs, url: str, code: int, told: str
) -> None:
    ended = stopgap(tmp_path, "init", "--from-prometheus", url)
    assert ended.code == code
    assert told in ended.err
    assert "hunter2" not in ended.err
    assert files_of(tmp_path) == set()


async def test_a_prometheus_whose_name_leads_to_this_machine_is_asked_once_that_is_allowed(
    tmp_path: Path, stopgap: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Debian has it for the machine's own name."""
    real = socket.getaddrinfo

    def found(host: Any, *given: Any, **more: Any) -> Any:
        return real("127.0.0.1" if host == "metrics.test" else host, *given, **more)

    monkeypatch.setattr(socket, "getaddrinfo", found)
    async with Prometheus().serving() as prometheus:
        port = prometheus.url.rpartition(":")[2]
        asks = ("init", "--from-prometheus", f"http://metrics.test:{port}")
        ended = await asyncio.to_thread(stopgap, tmp_path, *asks)
        assert ended.code == 1
        assert (
            f'add "127.0.0.1:{port}" to `outgoing.allow` in stopgap.yaml, which `stopgap init` '
            "alone writes" in ended.err
        )
        (tmp_path / "stopgap.yaml").write_text(f"outgoing: {{allow: ['127.0.0.1:{port}']}}\n")
        assert (await asyncio.to_thread(stopgap, tmp_path, *asks)).code == 0


async def test_rules_are_proposed_for_the_alerts_that_have_none(
    tmp_path: Path, stopgap: Runs
) -> None:
    async with Prometheus().serving() as prometheus:
        asks = ("init", "--from-prometheus", prometheus.url)
        made = await asyncio.to_thread(stopgap, tmp_path, *asks)
        assert (made.code, made.err) == (0, "")
        assert "4 rules proposed, in the mode `observe`, for 4 of 4 alerting rules\n" in made.out
        for told in (
            "1 measured as two counts",
            "1 measured by the levels of the alert",
            "1 measured by how many series are in the state that the alert names",
            "1 only counted by ALERTS: it looks at no metric",
        ):
            assert told in made.out
        assert "rules/web/errors-high.yaml" in made.out
        assert "stopgap test" not in made.out, "nothing was written that it could play"
        assert f"url: {prometheus.url}\n" in (tmp_path / "stopgap.yaml").read_text()
        checked = await asyncio.to_thread(stopgap, tmp_path, "check")
        assert (checked.code, checked.out) == (0, "4 rules, no mistake\n")
        assert "stopgap test" not in made.out, "no case came with them"
        played = await asyncio.to_thread(stopgap, tmp_path, "test")
        assert "no case is written yet: they stand in rules/cases" in played.err
        (tmp_path / "rules/web/down.yaml").unlink()
        again = await asyncio.to_thread(stopgap, tmp_path, *asks)
        assert "1 rules proposed" not in again.out
        assert "for 1 of 4 alerting rules; 3 have a rule already" in again.out
        assert (tmp_path / "rules/web/down.yaml").exists()


async def test_rules_ask_the_server_that_their_alerts_come_from(
    tmp_path: Path, stopgap: Runs
) -> None:
    """Alerts of a further Prometheus must not be measured by the main one unsaid."""
    async with Prometheus().serving() as eu, Prometheus().serving() as us:
        (tmp_path / "token").write_text("hunter2")
        (tmp_path / "stopgap.yaml").write_text(
            f"prometheus: {{url: '{us.url}', servers: "
            f"{{eu: {{url: '{eu.url}/', bearer_token: 'file:token'}}}}}}\n"
        )
        asks = ("init", "--from-prometheus")
        made = await asyncio.to_thread(stopgap, tmp_path, *asks, eu.url)
        assert (made.code, made.err) == (0, "")
        assert "Note:" not in made.out
        assert eu.asked[0]["headers"]["Authorization"] == "Bearer hunter2"
        drafts = [yaml.safe_load(f.read_text()) for f in (tmp_path / "rules/web").iterdir()]
        assert [rule["prometheus"] for rule in drafts] == ["eu"] * 4
        main = await asyncio.to_thread(stopgap, tmp_path, *asks, us.url)
        assert (
            "alerts of it have a rule that another Prometheus measures: down, errors-high, full, "
            "watchdog. Where both have the alert, give each a rule of its own" in main.out
        )


async def test_rules_for_a_server_that_the_settings_do_not_have_are_warned_of(
    tmp_path: Path, stopgap: Runs
) -> None:
    async with Prometheus().serving() as other:
        (tmp_path / "stopgap.yaml").write_text("prometheus: {url: 'http://main:9090'}\n")
        asks = ("init", "--from-prometheus", other.url)
        made = await asyncio.to_thread(stopgap, tmp_path, *asks)
        assert (made.code, made.err) == (0, "")
        assert f"Note: {other.url} is no Prometheus of stopgap.yaml" in made.out
        assert "would be measured by http://main:9090: set `prometheus.url` to it; or" in made.out
        assert "name it in `prometheus.servers`, and `prometheus: NAME` in each rule" in made.out


@pytest.mark.parametrize(
    ("mood", "rules", "told"),
    [
        (500, RULES, "answers 500"),
        (401, RULES, "does it want a token?"),
        ("", {"status": "success"}, "not what Prometheus answers"),
        ("", {"data": {"groups": []}}, None),
    ],
)
async def test_what_is_wrong_with_a_prometheus_is_said(
    tmp_path: Path, stopgap: Runs, mood: int | str, rules: Any, told: str | None
) -> None:
    async with Prometheus().serving() as prometheus:
        prometheus.mood, prometheus.rules = mood, rules
        secret = tmp_path / "bearer"
        secret.write_text("hunter2\n")
        asks = ("init", "--from-prometheus", prometheus.url, "--bearer-file", str(secret))
        ended = await asyncio.to_thread(stopgap, tmp_path, *asks)
        assert prometheus.asked[0]["headers"]["Authorization"] == "Bearer hunter2"
    if told is None:
        assert ended.code == 0
        assert "has no alerting rules" in ended.out
        written = (tmp_path / "stopgap.yaml").read_text()
        assert yaml.safe_load(written)["prometheus"]["bearer_token"] == f"file:{secret}"
        assert "hunter2" not in written
        return
    assert ended.code == 1
    assert told in ended.err
    assert "hunter2" not in ended.out + ended.err
    assert not (tmp_path / "stopgap.yaml").exists()
