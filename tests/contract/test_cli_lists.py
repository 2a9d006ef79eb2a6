"""`incidents`, `rules`, `coverage`, `system`: found page by page, and shown as tables."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from tests.contract.test_cli_double import EVIL, Ended, run
from tests.doubles.serving import Double

AT = "2026-11-23T14:03:20+00:00"
RULES = {
    "rules": [
        {
            "rule": "checkout",
            "description": EVIL,
            "file": "checkout.yaml",
            "mode": "observe",
            "team": "shop",
            "match": ['alertname="Errors"'],
            "group_by": [],
            "steps": [
                {
                    "step": 1,
                    "action": "rollback",
                    "when": "always",
                    "standing": "valid",
                    "text": "",
                    "by": "ada",
                    "until": "2027-01-02T00:00:00Z",
                },
                {
                    "step": 2,
                    "action": "flag_off",
                    "when": "always",
                    "standing": "approval_void",
                    "text": "",
                    "by": "",
                    "until": None,
                },
            ],
            "incidents": 3,
            "last_at": AT,
            "autonomy": {
                "right": 4,
                "wrong": 1,
                "undone": 0,
                "overruled": 0,
                "withdrawn": f"it made it worse {EVIL}",
            },
        }
    ]
}
ALERT = {"incidents": 2, "last_at": AT, "last_incident": "x"}
COVERAGE = {
    "since": AT,
    "matched": [{**ALERT, "alert": "Errors", "rule": "checkout", "in_force": False}],
    "unmatched": [{**ALERT, "alert": f"Disk {EVIL}", "rule": "", "in_force": False}],
    "silent": ["latency"],
}
SYSTEM = {
    "version": "0.1.0",
    "started_at": AT,
    "uptime_seconds": 3700,
    "ready": True,
    "store": {"kind": "sqlite", "name": "stopgap.db", "schema_version": 5},
    "inbox": 0,
    "open_incidents": 1,
    "pages": {"waiting": 1, "failing": 2, "given_up": 0},
    "updates": {"waiting": 0, "failing": 0, "given_up": 0},
    "rules": 4,
    "loading": {"at": AT, "failed_at": AT, "error": f"rules/a.yaml:1: {EVIL}"},
    "actions": 9,
    "peers": [
        {
            "name": "prometheus",
            "reachable": True,
            "version": "2.42",
            "latency_ms": 3.5,
            "trouble": "",
        },
        {
            "name": "prometheus eu",
            "reachable": True,
            "version": "2.24.0",
            "latency_ms": 4,
            "server": "VictoriaMetrics",
            "flavour": "victoriametrics",
            "behind_seconds": 11.0,
            "trouble": "",
        },
        {
            "name": "alertmanager",
            "reachable": None,
            "version": "",
            "latency_ms": None,
            "trouble": "not configured",
        },
    ],
    "calendars": [
        {"schedule": "nights", "source": "url", "fetched_at": AT, "stale": True, "trouble": "gone"}
    ],
}


class Api(Double):
    """Has so many incidents, and tells two at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 5
        self.answers = {"rules": RULES, "coverage": COVERAGE, "system": SYSTEM}

    def routes(self) -> list[web.RouteDef]:
        one = [web.get(f"/api/v1/{name}", self._answer) for name in self.answers]
        return [web.get("/api/v1/incidents", self._incidents), *one]

    async def _answer(self, request: web.Request) -> web.Response:
        return web.json_response(self.answers[request.path.rpartition("/")[2]])

    async def _incidents(self, request: web.Request) -> web.Response:
        begin = int(request.query.get("cursor", "0"))
        end = min(begin + min(2, int(request.query["limit"])), self.count)
        rows = [_row(number) for number in range(begin, end)]
        return web.json_response(
            {"incidents": rows, "next": str(end) if end < self.count else None}
        )

    @property
    def queries(self) -> list[str]:
        return [asked["path"].partition("?")[2] for asked in self.asked]


def _row(number: int) -> dict[str, Any]:
    rest = {"status": "open", "phase": "deciding", "severity": f"sev{number % 4 + 1}"}
    return {"id": f"id-{number}", "opened_at": AT, "title": f"title {number} {EVIL}", **rest}


@pytest.fixture
async def api(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    async with Api().serving() as api:
        monkeypatch.setenv("STOPGAP_URL", api.url)
        monkeypatch.setenv("STOPGAP_TOKEN", "t")
        monkeypatch.setenv("COLUMNS", "140")
        yield api


async def runs(*arguments: str) -> Ended:
    ended = await asyncio.to_thread(run, *arguments)
    assert "\x1b" not in ended.out
    return ended


async def test_pages_are_followed_up_to_the_limit(api: Api) -> None:
    told = json.loads((await runs("incidents", "--limit", "3", "--json")).out)
    assert [row["id"] for row in told["incidents"]] == ["id-0", "id-1", "id-2"]
    assert (told["next"], len(api.queries)) == ("3", 2)
    shown = (await runs("incidents", "--limit", "3")).out
    assert "… and more; --limit 15 shows them" in shown
    assert "title 0  [31mred  [bold]:fire:" in shown
    everything = (await runs("incidents")).out
    assert all(f"id-{number}" in everything for number in range(5))
    assert "more" not in everything


async def test_filters_go_to_the_daemon(api: Api) -> None:
    asks = ("--closed", "--severity", "sev1", "--rule", "", "--team", "a b", "--q", "x&y=z")
    await runs("incidents", *asks, "--limit", "2")
    assert api.queries == ["status=closed&severity=sev1&rule=&team=a+b&q=x%26y%3Dz&limit=2"]
    await runs("incidents", "--open", "--all", "--limit", "2")
    assert api.queries[1] == "limit=2"


async def test_times_may_lie_so_far_back(api: Api) -> None:
    await runs("incidents", "--since", "2026-11-01", "--limit", "2")
    assert "since=2026-11-01T00%3A00%3A00%2B00%3A00" in api.queries[0]
    await runs("incidents", "--since", "7d", "--limit", "2")
    given = dict(pair.split("=") for pair in api.queries[1].split("&"))["since"]
    since = datetime.fromisoformat(given.replace("%3A", ":").replace("%2B", "+"))
    assert timedelta(days=6) < datetime.now(UTC) - since < timedelta(days=8)


@pytest.mark.parametrize(
    "arguments",
    [
        ["incidents", "--severity", "sev9"],
        ["incidents", "--since", "soon"],
        ["incidents", "--since", "99999999w"],
        ["incidents", "--limit", "0"],
        ["coverage", "--days", "400"],
    ],
)
async def test_wrong_usage_asks_nothing(api: Api, arguments: list[str]) -> None:
    ended = await runs(*arguments)
    assert (ended.code, api.asked) == (2, [])


async def test_nothing_is_said_to_be_nothing(api: Api) -> None:
    api.count = 0
    api.answers["rules"] = {"rules": []}
    api.answers["coverage"] = {"since": AT, "matched": [], "unmatched": [], "silent": []}
    assert (await runs("incidents")).out == "no incidents\n"
    assert "stopgap init --from-prometheus" in (await runs("rules")).out
    assert (await runs("coverage", "--days", "7")).out == "no alert has come in 7 days\n"


async def test_rules_are_listed_with_their_approvals(api: Api) -> None:
    told = (await runs("rules")).out
    assert "1 rollback: valid by ada to 2027-01-02" in told
    assert "2 flag_off: approval void" in told
    assert "observe" in told
    assert "asks for each step" in told
    assert "4 right, 1 wrong" in told


async def test_coverage_tells_the_uncovered_first(api: Api) -> None:
    told = (await runs("coverage")).out
    assert told.index("Disk") < told.index("Errors")
    assert "checkout (no longer in force)" in told
    assert "rules without an alert: latency" in told


async def test_the_daemon_is_told_as_a_whole(api: Api) -> None:
    told = " ".join((await runs("system")).out.split())
    for part in (
        "0.1.0, ready, up 1h1m40s",
        "sqlite stopgap.db, schema 5",
        "1 waiting, 2 failing, 0 given up",
        "newer ones are broken since 2026-11-23 14:03",
        "2.42, answers in 3.5 ms",
        "VictoriaMetrics, answers in 4 ms, up to 11 s behind",
        "not configured",
        "calendar nights gone",
    ):
        assert part in told, part


@pytest.mark.parametrize("command", ["rules", "coverage", "system"])
async def test_for_machines_it_is_what_the_daemon_said(api: Api, command: str) -> None:
    assert json.loads((await runs(command, "--json")).out) == api.answers[command]


@pytest.mark.parametrize("command", ["incidents", "rules", "coverage", "system"])
async def test_what_is_no_stopgap_is_said(api: Api, command: str) -> None:
    api.mood = 404
    ended = await runs(command)
    assert (ended.code, "is that a Stopgap daemon?" in ended.err) == (1, True)
