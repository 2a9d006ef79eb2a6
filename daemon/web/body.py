"""Reading what was sent: the raw body, and the form of a browser."""

from __future__ import annotations

from urllib.parse import parse_qs

from aiohttp import web

from daemon.web.errors import Problem

FORM = "application/x-www-form-urlencoded"


async def raw_body(request: web.Request) -> bytes:
    """The body as it was sent. Raises Problem 400 if it breaks off or is packed wrongly, 413."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        limit = (error.text or "the body is too large").rstrip(".")
        raise Problem(413, "Too large", f"{limit}; see `inbox.max_body_bytes`") from None
    except web.RequestPayloadError:
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
