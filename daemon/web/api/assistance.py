"""A request by an assistant is noted for the audit before anything is done or told."""

from __future__ import annotations

import re

from aiohttp import web

from daemon.core.ports.assistants import MOST_ARGUMENTS, TOOL_NAME, AssistantCall
from daemon.core.values.units import printable
from daemon.web.body import raw_body
from daemon.web.context import WebContext
from daemon.web.errors import HttpProblem

TOOL = "X-Stopgap-Tool"
"""The header in which `stopgap mcp` names the tool that was used."""


def by_assistant(request: web.Request) -> bool:
    """Whether the request says that a tool of an assistant makes it."""
    return TOOL in request.headers


async def note_assistant(context: WebContext, request: web.Request, person: str) -> None:
    """Keep what an assistant asks in the name of that person. Raises HttpProblem 400 if it does
    not name its tool properly; Temporary."""
    if not by_assistant(request):
        return
    tool = request.headers[TOOL]
    if re.fullmatch(TOOL_NAME, tool) is None:
        raise HttpProblem(
            400, "Bad request", f"{TOOL}: name the tool in small letters, like `show`"
        )
    sent = (await raw_body(request)).decode("utf-8", "replace")
    asked = printable(f"{request.method} {request.path_qs} {sent}".strip())
    call = AssistantCall(
        at=context.repository.clock(),
        person=person,
        tool=tool,
        incident=request.match_info.get("id", "") if "/incidents/" in request.path else "",
        asked=asked[:MOST_ARGUMENTS],
    )
    await context.assistants.note(call)
