"""Customers: about 20 checkouts and 10 page views a second, over kept-alive connections.

They come at their own pace however the shop is doing (an open loop), and a shop that does not
answer is counted, not fatal. Usage: load.py http://127.0.0.1:PORT
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp

CHECKOUTS_PER_SECOND = 20
VIEWS_PER_SECOND = 10
OLD_MEMBERS = 0.3  # joined the loyalty club before there were points
MEMBERS = 0.5
REPORT_EVERY = 5.0

Seen = Counter[str]


def cart() -> dict[str, Any]:
    """What one customer checks out."""
    lines = [
        {"price_cents": random.choice((390, 1250, 2900)), "quantity": random.randint(1, 3)}
        for _ in range(random.randint(1, 4))
    ]
    chance = random.random()
    if chance < OLD_MEMBERS:
        return {"customer": {"loyalty": {"since": 2016, "points": None}}, "lines": lines}
    if chance < MEMBERS:
        points = random.randint(0, 2000)
        return {"customer": {"loyalty": {"since": 2024, "points": points}}, "lines": lines}
    return {"customer": {}, "lines": lines}


async def check_out(shop: aiohttp.ClientSession, seen: Seen) -> None:
    """Buy something."""
    await ask(shop, "POST", "/checkout", seen, json=cart())


async def view(shop: aiohttp.ClientSession, seen: Seen) -> None:
    """Look at the shop window."""
    await ask(shop, "GET", "/", seen)


async def ask(shop: aiohttp.ClientSession, method: str, path: str, seen: Seen, **how: Any) -> None:
    """Send one request and count how it went."""
    try:
        async with shop.request(method, path, **how) as response:
            await response.read()
            seen[f"{path} {response.status}"] += 1
    except (aiohttp.ClientError, TimeoutError):
        seen[f"{path} no answer"] += 1


async def steadily(per_second: int, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Begin `act` at a steady pace, without waiting for the one before."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    async with asyncio.TaskGroup() as customers:
        while True:
            customers.create_task(act())
            due = max(due + 1 / per_second, loop.time() - 1)
            await asyncio.sleep(due - loop.time())


async def report(seen: Seen) -> None:
    """Say every few seconds how the requests went."""
    while True:
        await asyncio.sleep(REPORT_EVERY)
        print(", ".join(f"{what}: {count}" for what, count in sorted(seen.items())), flush=True)
        seen.clear()


async def main(shop_url: str) -> None:
    """Be the customers until told to stop."""
    seen: Seen = Counter()
    timeout = aiohttp.ClientTimeout(total=3)
    async with (
        aiohttp.ClientSession(shop_url, timeout=timeout) as shop,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(steadily(CHECKOUTS_PER_SECOND, lambda: check_out(shop, seen)))
        tasks.create_task(steadily(VIEWS_PER_SECOND, lambda: view(shop, seen)))
        tasks.create_task(report(seen))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
