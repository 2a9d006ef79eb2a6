"""Many deliveries at once: none is lost, none is done twice, and too many are sent back."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp

from tests.acceptance.deliveries import alert, encoded
from tests.acceptance.running import SETTINGS, Daemon, lay_out
from tests.acceptance.waiting import until

SERVICES = 20
MakeDaemon = Callable[..., Daemon]


async def _post(http: aiohttp.ClientSession, daemon: Daemon, body: bytes) -> int:
    status, _ = await _ask(http, daemon, body)
    return status


async def _ask(http: aiohttp.ClientSession, daemon: Daemon, body: bytes) -> tuple[int, Any]:
    async with http.post(f"{daemon.url}/api/v1/alerts", data=body) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_a_storm_of_500_deliveries_is_20_incidents_and_every_alert_is_in_them(
    tmp_path: Path, make_daemon: MakeDaemon, http: aiohttp.ClientSession
) -> None:
    daemon = make_daemon(lay_out(tmp_path)).start()
    sent = [alert(f"s{n % SERVICES}", instance=f"i{n}", started=n) for n in range(500)]
    bodies = [encoded(one) for one in sent]
    random.Random(1).shuffle(bodies)  # noqa: S311 - any order will do
    statuses = await asyncio.gather(*(_post(http, daemon, body) for body in bodies))
    assert Counter(statuses) == {200: 500}
    await until("the inbox to be empty", lambda: daemon.journal.unprocessed() == 0, 30)
    told = Counter((a["labels"]["service"], a["labels"]["instance"]) for _, a in _told(daemon))
    assert told == Counter((a["labels"]["service"], a["labels"]["instance"]) for a in sent)
    assert len(daemon.journal.incidents()) == SERVICES
    homes = {(incident, a["labels"]["service"]) for incident, a in _told(daemon)}
    assert len(homes) == SERVICES
    assert daemon.stop() == 0


async def test_kill_9_during_a_storm_loses_no_acknowledged_delivery_and_repeats_none(
    tmp_path: Path, make_daemon: MakeDaemon, http: aiohttp.ClientSession
) -> None:
    daemon = make_daemon(lay_out(tmp_path)).start()
    acknowledged: set[str] = set()
    for round_ in range(3):
        await _kill_while_posting(http, daemon, acknowledged, round_)
        daemon.start()
    await until("the inbox to be empty", lambda: daemon.journal.unprocessed() == 0, 30)
    told = Counter(a["labels"]["instance"] for _, a in _told(daemon))
    assert len(acknowledged) > 300
    assert acknowledged <= set(told)
    assert set(told.values()) == {1}
    assert len(daemon.journal.incidents()) == SERVICES


async def _kill_while_posting(
    http: aiohttp.ClientSession, daemon: Daemon, acknowledged: set[str], round_: int
) -> None:
    """32 clients post until the daemon is killed, which is after the hundredth answer."""
    before = len(acknowledged)

    async def client(number: int) -> None:
        for turn in range(1000):
            instance = f"r{round_}.c{number}.t{turn}"
            body = encoded(alert(f"s{(number + turn) % SERVICES}", instance=instance))
            try:
                if await _post(http, daemon, body) == 200:
                    acknowledged.add(instance)
            except aiohttp.ClientError:
                return

    async def killer() -> None:
        await until("a hundred answers", lambda: len(acknowledged) >= before + 100, 20)
        assert daemon.process is not None
        daemon.process.kill()
        daemon.process.wait()

    await asyncio.gather(killer(), *(client(number) for number in range(32)))


async def test_deliveries_over_the_bound_of_the_inbox_are_sent_back_for_later(
    tmp_path: Path, make_daemon: MakeDaemon, http: aiohttp.ClientSession
) -> None:
    bound = 5
    settings = SETTINGS + f"inbox: {{max_pending: {bound}}}\n"
    daemon = make_daemon(lay_out(tmp_path, settings=settings)).start()
    with closing(sqlite3.connect(daemon.journal.path, isolation_level=None)) as backup:
        backup.execute("BEGIN IMMEDIATE")  # as some backups do: nothing can be written meanwhile
        bodies = [encoded(alert(f"s{n}")) for n in range(bound + 3)]
        async with asyncio.TaskGroup() as group:
            posts = [group.create_task(_ask(http, daemon, body)) for body in bodies]
            await until("three answers", lambda: sum(post.done() for post in posts) >= 3)
            answers = [post.result() for post in posts if post.done()]
            backup.execute("ROLLBACK")
    assert [status for status, _ in answers] == [503] * 3
    assert f"{bound} deliveries that nobody has processed" in answers[0][1]["detail"]
    assert Counter(post.result()[0] for post in posts) == {200: bound, 503: 3}
    await until("all incidents", lambda: len(daemon.journal.incidents()) == bound)
    await until("the inbox to be empty", lambda: daemon.journal.unprocessed() == 0)
    refused = [b for b, post in zip(bodies, posts, strict=True) if post.result()[0] == 503]
    for body in refused:  # sent again until it is taken, as Alertmanager does
        while (status := await _post(http, daemon, body)) == 503:
            pass
        assert status == 200
    await until("all incidents", lambda: len(daemon.journal.incidents()) == bound + 3)


def _told(daemon: Daemon) -> list[tuple[str, dict[str, dict[str, str]]]]:
    return list(daemon.journal.alerts())
