"""The phone of the person on call: it takes the page that Stopgap's webhook pager posts.

Usage: phone.py PORT FILE. Each page is one line of JSON appended to FILE.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from aiohttp import web


def main() -> None:
    """Ring for every POST to /page."""
    port, rings = int(sys.argv[1]), Path(sys.argv[2])

    def note(page: object) -> None:
        with rings.open("a") as lines:
            lines.write(json.dumps(page) + "\n")

    async def ring(request: web.Request) -> web.Response:
        note(await request.json())
        return web.json_response({"rang": True})

    app = web.Application()
    app.add_routes([web.post("/page", ring)])
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None)


if __name__ == "__main__":
    main()
