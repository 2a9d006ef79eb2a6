"""The style sheet, the script and the icon: read once, each served with a tag of its content."""

from __future__ import annotations

import hashlib
from importlib.resources import files

from aiohttp import ETag, web

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


class Static:
    """The route. Nobody need be known to see these."""

    def __init__(self) -> None:
        folder = files("daemon.web") / "static"
        self._files = {
            file.name: (file.read_bytes(), _TYPES[file.name.rpartition(".")[2]])
            for file in folder.iterdir()
            if file.name.rpartition(".")[2] in _TYPES
        }

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        return [web.get("/static/{name}", self.serve)]

    async def serve(self, request: web.Request) -> web.Response:
        """One file, or that it is still the same."""
        found = self._files.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        content, kind = found
        tag = ETag(hashlib.sha256(content).hexdigest()[:16])
        headers = {"Cache-Control": "public, max-age=300", "X-Content-Type-Options": "nosniff"}
        if any(known.value == tag.value for known in request.if_none_match or ()):
            response = web.Response(status=304, headers=headers)
        else:
            response = web.Response(
                body=content, content_type=kind, charset="utf-8", headers=headers
            )
        response.etag = tag
        return response
