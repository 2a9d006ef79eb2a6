"""A load generator in a process of its own: posts the bodies of a file, prints requests/s.

Usage: python load.py URL FILE CONNECTIONS. The file holds one JSON body a line.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator

import aiohttp


async def _post_all(session: aiohttp.ClientSession, url: str, bodies: Iterator[bytes]) -> None:
    headers = {"Content-Type": "application/json"}
    for body in bodies:
        async with session.post(url, data=body, headers=headers) as answer:
            await answer.read()
            if answer.status != 200:
                raise SystemExit(f"{url} answered {answer.status}")


async def _measure(url: str, lines: list[bytes], connections: int) -> float:
    bodies = iter(lines)
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session:
        begin = time.perf_counter()
        await asyncio.gather(*(_post_all(session, url, bodies) for _ in range(connections)))
        return len(lines) / (time.perf_counter() - begin)


if __name__ == "__main__":
    with open(sys.argv[2], "rb") as file:
        asked = file.read().splitlines()
    print(asyncio.run(_measure(sys.argv[1], asked, int(sys.argv[3]))))  # noqa: T201
