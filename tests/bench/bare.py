"""The yardstick: an aiohttp handler that parses the same JSON and does nothing else."""

from __future__ import annotations

import sys

from aiohttp import web


async def _alerts(request: web.Request) -> web.Response:
    await request.json()
    return web.json_response({"stored": True})


if __name__ == "__main__":
    application = web.Application(client_max_size=8 * 1024 * 1024)
    application.add_routes([web.post("/api/v1/alerts", _alerts)])
    web.run_app(application, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
