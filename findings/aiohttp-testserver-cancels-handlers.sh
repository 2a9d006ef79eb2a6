#!/usr/bin/env bash
# aiohttp 3.14.5: test servers cancel a handler whose client leaves, real servers do not.
#
# Behaviour: aiohttp.test_utils.TestServer (so TestClient and pytest-aiohttp too) always runs with
#   handler_cancellation=True, and refuses to be told otherwise; web.AppRunner and web.run_app run
#   with False. When the client leaves in the middle of a body, the same handler gets
#   CancelledError in the test and ConnectionResetError in production; when it leaves while the
#   handler works, it is cancelled in the test and runs to its end in production.
# Matters to: whoever tests what an abort does: cleaning up, rolling back, writing half. The test
#   shows a path that production never takes, and the other way round.
# Way out: test aborts against web.AppRunner and a TCPSite on port 0.
#
# Seen 2026-11-29:
#   aiohttp 3.14.5
#   TestServer: left in the middle of the body: CancelledError
#   TestServer: left while the handler works: CancelledError
#   AppRunner: left in the middle of the body: ConnectionResetError
#   AppRunner: left while the handler works: ran to its end
#   TestServer.start_server(handler_cancellation=False) is a TypeError: True
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --no-compile aiohttp==3.14.5
"$dir/venv/bin/python" - <<'PY'
import asyncio
import logging

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

logging.disable(logging.CRITICAL)  # the aborted requests' tracebacks


async def trial(kind: str, sent: int) -> str:
    """What a handler meets whose client leaves after so many of 100 bytes."""
    started, done = asyncio.Event(), asyncio.Event()
    met = []

    async def handler(request: web.Request) -> web.Response:
        started.set()
        try:
            await request.read()
            await asyncio.sleep(1)
            met.append("ran to its end")
        except BaseException as error:
            met.append(type(error).__name__)
            raise
        finally:
            done.set()
        return web.Response()

    app = web.Application()
    app.router.add_post("/", handler)
    if kind == "TestServer":
        server = TestServer(app)
        await server.start_server()
        port, close = server.port, server.close
    else:
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port, close = runner.addresses[0][1], runner.cleanup
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" + b"a" * sent)
    await writer.drain()
    await asyncio.wait_for(started.wait(), 10)
    await asyncio.sleep(0.2)
    writer.close()
    await asyncio.wait_for(done.wait(), 10)
    await close()
    return met[0]


async def main() -> None:
    print("aiohttp", aiohttp.__version__)
    seen = {}
    for kind in ("TestServer", "AppRunner"):
        seen[kind] = [await trial(kind, 50), await trial(kind, 100)]
        print(f"{kind}: left in the middle of the body: {seen[kind][0]}")
        print(f"{kind}: left while the handler works: {seen[kind][1]}")
    try:
        await TestServer(web.Application()).start_server(handler_cancellation=False)
        refused = False
    except TypeError:
        refused = True
    print("TestServer.start_server(handler_cancellation=False) is a TypeError:", refused)
    wanted = {
        "TestServer": ["CancelledError", "CancelledError"],
        "AppRunner": ["ConnectionResetError", "ran to its end"],
    }
    if seen != wanted or not refused:
        raise SystemExit("CHANGED: the two servers treat handlers otherwise than described")


asyncio.run(main())
PY
