"""The durable floor: aiohttp, `json.loads`, and each body appended to one file before its answer.

Usage: python floor.py PORT FILE. What arrives during one fdatasync shares the next. It is the
least that any durable webhook in Python can do: it knows no duplicates, and reads nothing back.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web


class _Log:
    """One file, whose appends are committed in groups."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._writer = ThreadPoolExecutor(1)
        self._busy = False

    async def append(self, body: bytes) -> None:
        """Returns once it is on disk."""
        loop = asyncio.get_running_loop()
        stored = loop.create_future()
        self._waiting.append((body, stored))
        if not self._busy:
            self._busy = True
            loop.call_soon(self._begin)
        await stored

    def _begin(self) -> None:
        group, self._waiting = self._waiting, []
        self._busy = bool(group)
        if group:
            loop = asyncio.get_running_loop()
            committed = loop.run_in_executor(self._writer, self._commit, [b for b, _ in group])
            committed.add_done_callback(lambda done: self._answer(done, group))

    def _commit(self, bodies: list[bytes]) -> None:
        os.write(self._file, b"\n".join(bodies) + b"\n")
        os.fdatasync(self._file)

    def _answer(
        self, done: asyncio.Future[None], group: list[tuple[bytes, asyncio.Future[None]]]
    ) -> None:
        done.result()
        for _, stored in group:
            stored.set_result(None)
        self._begin()


async def _application(path: str) -> web.Application:
    log = _Log(path)

    async def alerts(request: web.Request) -> web.Response:
        body = await request.read()
        told = json.loads(body)
        await log.append(body)
        return web.json_response({"stored": True, "alerts": len(told["alerts"])})

    application = web.Application(client_max_size=8 * 1024 * 1024)
    application.add_routes([web.post("/api/v1/alerts", alerts)])
    return application


if __name__ == "__main__":
    web.run_app(
        _application(sys.argv[2]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=None,
        print=None,
    )
