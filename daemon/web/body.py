"""Reading what was sent: the raw body, and the form of a browser.

A packed body is unpacked here, once it is all here and its sender may send it, and never further
than a body may be large. aiohttp would unpack while it receives, whoever sends and however much
comes out: a thousand times of what came in, and nobody else has their turn meanwhile.
"""

from __future__ import annotations

import re
import zlib
from urllib.parse import parse_qs

from aiohttp import web

from daemon.web.deliveries import UNTAKEN
from daemon.web.errors import HttpProblem
from daemon.web.serving.connections import CONNECTION

FORM = "application/x-www-form-urlencoded"
FORM_BYTES = 128 * 1024
"""The longest text that people write, and more; reading megabytes of it would hold up everybody,
and a login is read before anybody knows whose it is."""
_REVISION = re.compile(r"[0-9]{1,4}")
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_BROKEN = "the body broke off, or is not packed as `Content-Encoding` says; send it again"


async def raw_body(request: web.Request) -> bytes:
    """The body as it was sent, unpacked. Raises Problem 400 if it breaks off or is packed wrongly,
    413; 503 if it comes too slowly, for Alertmanager sends again after no other answer."""
    try:
        connection = request.get(CONNECTION)
        if connection is None or request.content.is_eof():
            return _unpacked(request, await request.read())
        async with connection.body():
            sent = await request.read()
        return _unpacked(request, sent)
    except web.HTTPRequestEntityTooLarge as error:
        request[UNTAKEN] = "too_large"
        limit = (error.text or "the body is too large").rstrip(".")
        raise HttpProblem(413, "Too large", f"{limit}; see `inbox.max_body_bytes`") from None
    except TimeoutError:
        request[UNTAKEN] = "broken_off"
        text = "the body did not come in time; send it again. See `connections.body`"
        raise HttpProblem(503, "Too slow", text) from None
    except (web.RequestPayloadError, ConnectionError, zlib.error):
        request[UNTAKEN] = "broken_off"
        raise HttpProblem(400, "Bad request", _BROKEN) from None


def _unpacked(request: web.Request, sent: bytes) -> bytes:
    """The body without its packing. Raises zlib.error, HTTPRequestEntityTooLarge."""
    packing = request.headers.get("Content-Encoding", "identity").strip().lower()
    if packing in {"", "identity"}:
        return sent
    if packing not in {"gzip", "deflate"}:
        raise zlib.error(f"packed as {packing}")
    unpacking, most = zlib.decompressobj(_GZIP_OR_ZLIB), request.client_max_size
    body = unpacking.decompress(sent, most + 1)
    if len(body) > most:
        raise web.HTTPRequestEntityTooLarge(max_size=most, actual_size=len(body))
    if not unpacking.eof or unpacking.unused_data:
        raise zlib.error("it does not end where the packing does")
    return body


async def form(request: web.Request) -> dict[str, list[str]]:
    """The fields of a form as browsers send it; none of anything else. Raises Problem 400, 413."""
    if request.content_type != FORM:
        return {}
    sent = await raw_body(request)
    if len(sent) > FORM_BYTES:
        raise HttpProblem(413, "Too large", f"a form of more than {FORM_BYTES} bytes is not read")
    try:
        return parse_qs(sent.decode(), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise HttpProblem(
            400, "Bad form", "this form is not readable; open its page again"
        ) from None


def revision_read(given: str) -> int:
    """The revision of a draft that a form says was read; 0, which no draft has, if it says none."""
    return int(given) if _REVISION.fullmatch(given) else 0
