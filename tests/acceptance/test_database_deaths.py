"""PostgreSQL dies by kill -9, alone or with one of its backends, and is shut down at once, while
alerts come in: the daemon says 503 meanwhile, loses nothing, does nothing twice, and goes on."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.deliveries import alert, encoded
from tests.acceptance.running import SETTINGS, Daemon, lay_out, run_command
from tests.acceptance.waiting import until
from tests.postgresql import Server

MakeDaemon = Callable[..., Daemon]
DATABASE = "stopgap"
BETWEEN = 6
"""So many alerts come between two deaths."""
BACK_WITHIN = 30


@pytest.fixture
def server() -> Iterator[Server]:
    """One of our own that keeps what it has said to keep."""
    folder = Path(tempfile.mkdtemp(prefix="stopgap-dying-"))
    server = Server.made(folder, durable=True)
    server.create(DATABASE)
    yield server
    if server.process is not None and server.process.poll() is None:
        server.stop()
    shutil.rmtree(folder)


def backends(server: Server) -> list[int]:
    """The processes that serve the daemon."""
    query = "SELECT pid FROM pg_stat_activity WHERE datname = 'stopgap'"
    return [int(str(pid)) for (pid,) in server.execute(query)]


def a_backend_is_killed(server: Server) -> None:
    """By that the server ends all the others, looks through its log and begins anew."""
    os.kill(backends(server)[0], signal.SIGKILL)


def all_is_killed(server: Server) -> None:
    """As the machine's end, and its start."""
    server.kill()
    server.start()


def it_is_shut_down_at_once(server: Server) -> None:
    """`pg_ctl stop -m immediate`, and its start."""
    server.stop(signal.SIGQUIT)
    server.start()


DEATHS = (a_backend_is_killed, all_is_killed, it_is_shut_down_at_once)


class Alertmanager:
    """Posts alerts, each of a service of its own, until it is told that it was taken."""

    def __init__(self, http: aiohttp.ClientSession, daemon: Daemon) -> None:
        self._http = http
        self._daemon = daemon
        self.answers: Counter[int] = Counter()
        self.taken: list[str] = []

    async def post(self, service: str) -> bool:
        body = encoded(alert(service))
        async with self._http.post(f"{self._daemon.url}/api/v1/alerts", data=body) as answer:
            self.answers[answer.status] += 1
            if answer.status == 200:
                self.taken.append(service)
            return answer.status == 200

    async def insists(self, service: str) -> None:
        """Until it is taken."""
        await until(f"{service} to be taken", lambda: self.post(service), BACK_WITHIN)


@pytest.fixture
def daemon(tmp_path: Path, server: Server, make_daemon: MakeDaemon) -> Daemon:
    """One whose store is on that server."""
    settings = f"{SETTINGS}store: {server.url(DATABASE)}\n"
    return make_daemon(lay_out(tmp_path, settings=settings)).start()


def incidents(server: Server) -> list[str]:
    """The services that have an incident, one each time."""
    return [str(service) for (service,) in server.execute("SELECT service FROM heads", DATABASE)]


NO_PAGE_YET = """
SELECT count(*) FROM heads WHERE incident NOT IN
    (SELECT incident FROM events WHERE kind IN ('PageDelivered', 'StormJoined'))"""
"""An incident of a storm is told with the others, by whichever carries the storm's pages."""
NOT_DELIVERED = """
SELECT (SELECT count(*) FROM events WHERE kind = 'PageQueued')
    - (SELECT count(*) FROM events WHERE kind = 'PageDelivered')"""


def all_called(server: Server) -> bool:
    """Whether each incident has its page, or that of its storm, and none is still on its way."""
    ended = (NO_PAGE_YET, NOT_DELIVERED)
    return bool(pages(server)) and all(server.execute(q, DATABASE) == [(0,)] for q in ended)


def pages(server: Server) -> set[tuple[str, str]]:
    """Each page that was queued, by its incident and its name."""
    query = "SELECT incident, body FROM events WHERE kind = 'PageQueued'"
    return {
        (str(at), json.loads(str(body))["page"]) for at, body in server.execute(query, DATABASE)
    }


async def ready(http: aiohttp.ClientSession, daemon: Daemon, status: int) -> bool:
    """Whether that is what it says of itself."""
    async with http.get(f"{daemon.url}/-/ready") as answer:
        return answer.status == status


async def test_it_rides_out_every_death_of_its_database(
    server: Server, daemon: Daemon, http: aiohttp.ClientSession
) -> None:
    alertmanager = Alertmanager(http, daemon)
    for number, death in enumerate(DEATHS):
        dying = None
        for each in range(BETWEEN):
            if each == BETWEEN // 2:  # in the middle of what is being written
                posting = [
                    asyncio.create_task(alertmanager.insists(f"s{number}-{each}-{one}"))
                    for one in range(4)
                ]
                dying = asyncio.create_task(asyncio.to_thread(death, server))
                await asyncio.gather(*posting)
                continue
            await alertmanager.insists(f"s{number}-{each}")
        assert dying is not None
        await dying
    server.stop(signal.SIGQUIT)
    assert not await alertmanager.post("while it is away")
    assert set(alertmanager.answers) == {200, 503}
    await until("it to say that it takes nothing", lambda: ready(http, daemon, 503), BACK_WITHIN)
    server.start()
    await alertmanager.insists("while it is away")
    await until(
        "every incident", lambda: len(incidents(server)) >= len(alertmanager.taken), BACK_WITHIN
    )
    assert sorted(incidents(server)) == sorted(set(alertmanager.taken)), "nothing lost or double"
    await until("the page of every incident", lambda: all_called(server), BACK_WITHIN)
    queued = pages(server)
    calls = Counter((page["incident"], page["page"]) for page in daemon.logged("PAGE"))
    assert queued <= set(calls), "a page that is delivered in the journal only"
    assert set(calls.values()) == {1}
    assert daemon.stop() == 0
    assert "whole" in run_command(daemon.folder, "audit", "verify")
