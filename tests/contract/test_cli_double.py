"""A double of the daemon's API for the commands that talk to it, and how it keeps them honest.

It has exactly the routes of the API and takes no field that a route does not have. It remembers
what was asked and answers with a view that the test gives.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from typing import Any, cast
from unittest import mock

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from daemon.cli import main
from daemon.core.recovery.commands import ALLOWED
from daemon.web.api.people import PeopleOperations
from daemon.web.api.updates import UpdateOperations
from daemon.web.context import WebContext
from daemon.web.errors import problem_response as problem

ID = "1123-1403-x7qf"
ONE = f"/api/v1/incidents/{ID}"
TOKEN = "ada-token"
EVIL = "\x1b[31mred\x07 [bold]:fire:"
"""A text by somebody who would like to steer the terminal."""

DEEDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("POST", "leave"): (),
    ("POST", "no-plan"): ("reason",),
    ("POST", "escalate"): ("tier",),
    ("POST", "engage"): ("team", "reason"),
    ("POST", "sentiment"): ("text",),
    ("POST", "roles/{role}"): ("person?",),
    ("DELETE", "roles/{role}"): (),
    ("POST", "requests/{request}"): ("accept",),
    ("POST", "updates"): ("audience",),
    ("POST", "updates/{update}/send"): ("text?", "revision?"),
    ("PUT", "updates/{update}"): ("text",),
    ("POST", "snooze"): ("audience", "for", "reason"),
    ("POST", "dismiss"): ("audience", "reason"),
}
"""The deeds with their fields; those with a question mark may be left out."""


def request(role: str, how: str, taker: str, asked: str, **more: str) -> dict[str, Any]:
    """A question for a role, as the API tells it."""
    name = more.pop("name", f"{role}.1")
    until = "2026-11-23T14:10:00+00:00"
    base = {"request": name, "role": role, "how": how, "taker": taker, "asked": asked}
    return {**base, "by": "ada", "until": until, "why": "", **more}


def update(name: str, text: str, **more: Any) -> dict[str, Any]:
    """An update, as the API tells it; a draft unless `sent` is given."""
    base = {"update": name, "audience": name.split(".")[0], "stage": "investigating"}
    rest = {"revision": 1, "version": 0, "sent": None, "by": "", "person": "", "channels": []}
    return {**base, "text": text, "because": "", **rest, **more}


def channel(name: str, state: str) -> dict[str, Any]:
    """Where an update has arrived, or not."""
    return {"channel": name, "version": 1, "state": state, "reference": "", "failures": 0}


def view(**changes: Any) -> dict[str, Any]:
    """An incident that Ada commands, as the API tells it."""
    return {
        "id": ID,
        "status": "open",
        "phase": "recovering",
        "stage": "restoring",
        "severity": "sev2",
        "title": "checkout success rate 99.1 % → 90.3 %",
        "doing": "step 1 is running: kubernetes_rollback on shop",
        "coming": "its effect is measured",
        "commander": "ada",
        "responders": ["ada"],
        "suspect": "release:shop: v1 → v2",
        "review": "",
        "document": "",
        "durations": {"acknowledge": "2m5s"},
        "roles": {
            "commander": "ada",
            "communicator": "",
            "fast_recovery": "stopgap",
            "diagnosis": "",
        },
        "requests": [],
        "suggestions": {},
        "clock": [],
        "updates": [],
        "engaged": [],
        "sentiment": [],
        **changes,
    }


def step(number: int, status: str = "waiting", **more: Any) -> dict[str, Any]:
    """A step of the plan, as the API tells it."""
    base = {"step": number, "status": status, "action": "kubernetes_rollback", "target": "shop"}
    texts = dict.fromkeys(("summary", "refusal", "waits_for", "verdict_text"), "")
    allowed = ALLOWED[status]  # type: ignore[index]
    return {**base, **texts, "verdict": None, "outcome": None, "allowed": list(allowed), **more}


def roles(**changes: str) -> dict[str, str]:
    """The roles of that incident, with changes."""
    return {**view()["roles"], **changes}


@dataclass
class Ended:
    """How a command ended."""

    code: object
    out: str
    err: str


@dataclass
class Double:
    """The API. `incident` is how it stands, `after` how each deed leaves it, if that differs."""

    incident: dict[str, Any] = field(default_factory=view)
    after: dict[str, Any] | None = None
    timeline: list[dict[str, Any]] = field(default_factory=list)
    replica: str = ""
    snoozed: dict[str, str] = field(default_factory=dict)
    refusal: tuple[int, str, str] | None = None
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    url: str = ""

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application()
        app.router.add_get("/api/v1/incidents/{id}", self._incident)
        app.router.add_get("/api/v1/incidents/{id}/updates", self._updates)
        for (method, tail), fields in DEEDS.items():
            app.router.add_route(
                method, f"/api/v1/incidents/{{id}}/{tail}", self._deed_taking(fields)
            )
        return app

    async def runs(self, *arguments: str) -> Ended:
        """Run the command, as somebody who has this daemon's address in STOPGAP_URL."""
        return await asyncio.to_thread(run, *arguments)

    async def _incident(self, asks: web.Request) -> web.Response:
        return await self._answers(
            asks, {"incident": self.incident, "timeline": self.timeline, "replica": self.replica}
        )

    async def _updates(self, asks: web.Request) -> web.Response:
        return await self._answers(
            asks, {"updates": self.incident["updates"], "snoozed": self.snoozed}
        )

    def _deed_taking(self, fields: tuple[str, ...]) -> Any:
        known = {name.rstrip("?") for name in fields}
        needed = {name for name in fields if not name.endswith("?")}

        async def handle(asks: web.Request) -> web.Response:
            given = set(await _body(asks) or ())
            if not needed <= given <= known:
                return problem(400, "Bad request", f"{sorted(given)} instead of {fields}")
            return await self._answers(asks, {"incident": self.after or self.incident})

        return handle

    async def _answers(self, asks: web.Request, document: dict[str, Any]) -> web.Response:
        if asks.headers.get("Authorization") != f"Bearer {TOKEN}":
            return problem(401, "Who are you?", "this wants a person's token")
        self.asked.append((asks.method, asks.rel_url.raw_path, await _body(asks)))
        if self.refusal is not None and asks.method != "GET":
            return problem(*self.refusal)
        return web.json_response(document)


async def _body(asks: web.Request) -> Any:
    text = await asks.text()
    return json.loads(text) if text else None


def run(*arguments: str) -> Ended:
    """Run the command to its end, here."""
    out, err = io.StringIO(), io.StringIO()
    argv = mock.patch.object(sys, "argv", ["stopgap", *arguments])
    with argv, redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main()
    return Ended(ended.value.code, out.getvalue(), err.getvalue())


@asynccontextmanager
async def listening(patch: pytest.MonkeyPatch) -> AsyncIterator[Double]:
    """The double on a port of its own, known to the commands by their environment."""
    double = Double()
    async with TestServer(double.application()) as server:
        double.url = str(server.make_url(""))
        patch.setenv("STOPGAP_URL", double.url)
        patch.setenv("STOPGAP_TOKEN", TOKEN)
        patch.setenv("COLUMNS", "120")
        yield double


def test_the_double_has_the_routes_of_the_api() -> None:
    context = cast("WebContext", None)
    real = {
        (r.method, r.path)
        for r in (*PeopleOperations(context).operations(), *UpdateOperations(context).operations())
    }
    assert {(method, f"/api/v1/incidents/{{id}}/{tail}") for method, tail in DEEDS} <= real


async def test_the_double_takes_no_field_that_a_route_does_not_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening(monkeypatch) as daemon:
        ended = await daemon.runs("say", ID, "there is no such route here")
        assert (ended.code, daemon.asked) == (1, [])
        monkeypatch.setitem(DEEDS, ("POST", "no-plan"), ("nothing",))
    async with listening(monkeypatch) as daemon:
        ended = await daemon.runs("no-plan", ID, "why")
        assert ended.code == 1
        assert "Bad request: ['reason']" in ended.err


async def test_a_token_that_the_daemon_does_not_know_is_called_wrong_and_where_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening(monkeypatch) as daemon:
        monkeypatch.setenv("STOPGAP_TOKEN", "stale")
        ended = await daemon.runs("leave", ID)
        assert (ended.code, ended.out) == (1, "")
        assert ended.err.startswith(f"stopgap: wrong token: the daemon at {daemon.url} does not ")
        assert "the one in the variable STOPGAP_TOKEN" in ended.err
