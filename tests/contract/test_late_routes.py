"""The pages and the API are loaded when somebody looks, and hold up nobody who sends alerts."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from daemon.web.errors import problems
from daemon.web.late_routes import LateRoutes, Loaded


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello")


def routes() -> Iterable[web.AbstractRouteDef]:
    return [web.get("/page", hello), web.post("/form", hello)]


def served(late: LateRoutes) -> TestClient[web.Request, web.Application]:
    application = web.Application(middlewares=[problems])
    application.router.add_get("/-/healthy", hello)
    application.router.register_resource(late)
    return TestClient(TestServer(application))


async def test_others_are_answered_while_the_first_who_looks_waits() -> None:
    begun, over, loads = asyncio.Event(), threading.Event(), []
    loop = asyncio.get_running_loop()

    def load() -> Loaded:
        loads.append(1)
        loop.call_soon_threadsafe(begun.set)
        assert over.wait(60)
        return routes

    async with served(LateRoutes(load)) as client:
        looking = [asyncio.create_task(client.get("/page")) for _ in range(3)]
        await begun.wait()
        assert (await client.get("/-/healthy")).status == 200
        assert not any(task.done() for task in looking)
        over.set()
        assert [(await task).status for task in looking] == [200] * 3
        assert (await client.get("/nowhere")).status == 404
        wrong = await client.get("/form")
        assert (wrong.status, wrong.headers["Allow"]) == (405, "POST")
    assert loads == [1]


async def test_what_cannot_be_loaded_says_what_to_do_and_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = [True]

    def load() -> Loaded:
        if broken[0]:
            raise ImportError("cannot import name 'Frame'")
        return routes

    async with served(LateRoutes(load)) as client:
        answer = await client.get("/page")
        assert answer.status == 503
        told = json.loads(await answer.read())["detail"]
        assert "cannot import name 'Frame'" in told
        assert "Restart it" in told
        assert (await client.get("/-/healthy")).status == 200
        broken[0] = False
        assert await (await client.get("/page")).text() == "hello"
    assert "cannot be loaded" in caplog.text
