"""Reading what was sent: the raw body, and the form of a browser."""

from __future__ import annotations

from urllib.parse import parse_qs

from aiohttp import web

from daemon.web.deliveries import UNTAKEN
from daemon.web.errors import Problem
from daemon.web.serving.connections import CONNECTION

FORM = "application/x-www-form-urlencoded"


async def raw_body(request: web.Request) -> bytes:
    """The body as it was sent. Raises Problem 400 if it breaks off or is packed wrongly, 413; 503
    if it comes too slowly, for Alertmanager sends again after no other answer."""
    try:
        connection = request.get(CONNECTION)
        if connection is None:
            return await request.read()
        async with connection.body():
            return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        request[UNTAKEN] = "too_large"
        limit = (error.text or "the body is too large").rstrip(".")
        raise Problem(413, "Too large", f"{limit}; see `inbox.max_body_bytes`") from None
    except TimeoutError:
        request[UNTAKEN] = "broken_off"
        text = "the body did not come in time; send it again. See `connections.body`"
        raise Problem(503, "Too slow", text) from None
    except (web.RequestPayloadError, ConnectionError):
        request[UNTAKEN] = "broken_off"
        text = "the body broke off, or is not packed as `Content-Encoding` says; send it again"
        raise Problem(400, "Bad request", text) from None


async def form(request: web.Request) -> dict[str, list[str]]:
    """The fields of a form as browsers send it; none of anything else. Raises Problem 400, 413."""
    if request.content_type != FORM:
        return {}
    try:
        sent = (await raw_body(request)).decode()
        return parse_qs(sent, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise Problem(400, "Bad form", "this form is not readable; open its page again") from None
