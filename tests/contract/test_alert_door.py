"""The short way of a delivery answers as the long one does, and counts as it does."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from daemon.core.people.access import TOKEN_PREFIX
from daemon.core.ports.store import StoreDown
from daemon.instrumentation import DeliveryOutcome, Observer
from daemon.web.alert_door import install_alert_door
from daemon.web.application import web_application
from daemon.web.deliveries import ALERTS
from daemon.web.serving.connections import Connections
from daemon.web.serving.listener import Listener
from tests.contract.rig import MAX_BODY, Rig
from tests.core.test_alertmanager import body
from tests.doubles.serving import let_go

TOKEN = "the webhook's"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
USUAL = json.dumps(body()).encode()


class Counting(Observer):
    """Notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def delivery(self, outcome: DeliveryOutcome, took: float) -> None:
        self.heard.append(("delivery", outcome))

    def request(self, method: str, route: str, status: int, took: float | None) -> None:
        self.heard.append((method, route, status))


class House:
    """A served rig; with `short`, its deliveries may take the short way."""

    def __init__(self, rig: Rig, observer: Counting, connections: Connections, port: int) -> None:
        self.rig = rig
        self.observer = observer
        self.connections = connections
        self.port = port

    async def answers(self, raw: bytes) -> tuple[str, Mapping[str, str], bytes]:
        """Status line, headers and body of the answer to a request, which ends its connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(raw)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        head, _, sent = answer.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        return status, dict(line.split(": ", 1) for line in lines if line[:5] != "Date:"), sent


@asynccontextmanager
async def housed(*, short: bool) -> AsyncIterator[House]:
    rig, observer = Rig(), Counting()
    rig.webhook = TOKEN
    rig.intake._observer = observer
    context = replace(rig.context(), observer=observer)
    connections = Connections(100, 100, 60, 60)
    runner = web.AppRunner(web_application(context, MAX_BODY, connections), access_log=None)
    await runner.setup()
    assert runner.server is not None
    if short:
        install_alert_door(runner.server, context, MAX_BODY, connections)
    listener = Listener(connections, runner.server)  # type: ignore[arg-type]
    try:
        async with listener.listening("127.0.0.1", 0) as ((_, port),):
            yield House(rig, observer, connections, port)
    finally:
        await runner.cleanup()
        await let_go()


def post(sent: bytes, path: str = ALERTS, headers: Mapping[str, str] = RIGHT) -> bytes:
    lines = {"Host": "x", "Connection": "close", **headers}
    lines["Content-Length"] = str(len(sent))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + sent


REQUESTS = {
    "usual": post(USUAL),
    "no delivery": post(b"{}"),
    "no JSON": post(b"\xff"),
    "without a token": post(USUAL, headers={}),
    "a wrong token": post(USUAL, headers={"Authorization": "Bearer wrong"}),
    "too large": post(b" " * (MAX_BODY + 1)),
    "misspelt": post(USUAL, path="//api/v1/alerts/"),
    "a query": post(USUAL, path=f"{ALERTS}?x=1"),
    "packed": post(gzip.compress(USUAL), headers={**RIGHT, "Content-Encoding": "gzip"}),
    "GET": post(USUAL).replace(b"POST", b"GET", 1),
}


@pytest.mark.parametrize("kind", REQUESTS)
async def test_both_ways_say_the_same(kind: str) -> None:
    told = []
    for short in (False, True):
        async with housed(short=short) as house:
            answers = [await house.answers(REQUESTS[kind]) for _ in range(2)]
            told.append((answers, house.observer.heard))
    assert told[0] == told[1]
    assert told[0][1], "somebody must have counted it"


async def test_what_cannot_be_stored_is_to_come_again_by_both_ways() -> None:
    told = []
    for short in (False, True):
        async with housed(short=short) as house:

            async def full(*_: object) -> bool:
                raise StoreDown("full", "the disk is full; free some space")

            house.rig.intake._inbox.put = full  # type: ignore[method-assign]
            told.append((await house.answers(post(USUAL)), house.observer.heard))
    assert told[0] == told[1]
    assert " 503 " in told[0][0][0]
    assert told[0][1] == [("delivery", "refused"), ("POST", ALERTS, 503)]


async def test_nobody_makes_room_while_their_delivery_is_stored() -> None:
    async with housed(short=True) as house:
        stages = []
        store = house.rig.intake._inbox.put

        async def put(*given: Any) -> bool:
            (connection,) = house.connections._by_protocol.values()
            stages.append(connection.stage)
            return await store(*given)

        house.rig.intake._inbox.put = put  # type: ignore[method-assign]
        await house.answers(post(USUAL))
        assert stages == ["answering"]


async def test_a_store_that_cannot_say_whose_token_it_is_is_waited_for_by_both_ways() -> None:
    told = []
    for short in (False, True):
        async with housed(short=short) as house:

            async def away(*_: object) -> None:
                raise StoreDown("away", "the database cannot be reached; look at the network")

            house.rig.credentials.token = away  # type: ignore[method-assign]
            sent = post(USUAL, headers={"Authorization": f"Bearer {TOKEN_PREFIX}{'x' * 43}"})
            told.append((await house.answers(sent), house.observer.heard))
    assert told[0] == told[1]
    assert " 503 " in told[0][0][0]
    assert told[0][1] == [("POST", ALERTS, 503)]
