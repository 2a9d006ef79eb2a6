"""One HTTP exchange: no redirect, a deadline, a bounded answer; and reading what came back."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import quote, quote_plus

import aiohttp
from yarl import URL

from daemon.core.values.outgoing import AddressRefused
from daemon.core.values.units import printable

_LARGEST = 1 << 20
"""Bytes of an answer that are read; the rest is left."""
_WORDS = 200
_SHORTEST = 4
"""A secret's part that is shorter is a word like any other, not worth blotting out."""


class NotSent(Exception):
    """It did not even reach the server."""


class Lost(Exception):
    """It was sent, and nobody knows what became of it."""

    def __init__(self, reason: Literal["timeout", "interrupted"], text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True)
class HttpAnswer:
    """The status and the beginning of the body."""

    status: int
    body: bytes

    @property
    def excerpt(self) -> str:
        """The body as text in one line, whole as far as it was read; quote it by `quoted`."""
        return " ".join(printable(self.body.decode(errors="replace")).split())


async def exchange(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    timeout: timedelta,
    most: int = _LARGEST,
) -> HttpAnswer:
    """Send a request exactly as it is written; of the answer `most` bytes are read. Raises NotSent
    or Lost."""
    limit = timeout.total_seconds()
    try:
        async with session.request(
            method,
            URL(url, encoded=True),
            headers=headers,
            data=body,
            timeout=aiohttp.ClientTimeout(total=limit, sock_connect=limit * 0.8),
            allow_redirects=False,
        ) as answer:
            return HttpAnswer(answer.status, await _beginning(answer, most))
    except AddressRefused as error:
        raise NotSent(str(error)) from None
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise NotSent(f"the server cannot be reached ({_why(error)})") from None
    except TimeoutError:
        raise Lost("timeout", f"no answer came within {limit:g} s") from None
    except aiohttp.ClientError as error:
        text = f"the connection broke before the answer ({type(error).__name__})"
        raise Lost("interrupted", text) from None
    except ValueError as error:
        raise NotSent(f"it cannot be sent ({type(error).__name__})") from None


def _why(error: Exception) -> str:
    inner = getattr(error, "os_error", None)
    reason = getattr(inner, "strerror", None) if inner is not None else None
    return printable(reason) if isinstance(reason, str) else type(error).__name__


async def _beginning(answer: aiohttp.ClientResponse, most: int) -> bytes:
    body = bytearray()
    try:
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > most:
                break
    except (aiohttp.ClientError, TimeoutError):
        pass  # the status has been said, and counts without the rest
    return bytes(body[:most])


def pointed(document: Any, pointer: str) -> tuple[bool, Any]:
    """Whether something stands at a place of a JSON document (RFC 6901), and what."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict) and key in document:
            document = document[key]
        elif isinstance(document, list) and key.isascii() and key.isdecimal() and len(key) < 10:
            if int(key) >= len(document):
                return False, None
            document = document[int(key)]
        else:
            return False, None
    return True, document


def quoted(text: str, secrets: Iterable[str]) -> str:
    """Words of a server with our secrets blotted out, however they were echoed, cut short."""
    for secret in secrets:
        forms = {secret, *(part for part in secret.split() if len(part) >= _SHORTEST)}
        for form in sorted(forms, key=len, reverse=True):
            encoded = base64.b64encode(form.encode()).decode().rstrip("=")
            in_urls = (quote(form, safe=""), quote(form), quote_plus(form))
            for shown in (form, json.dumps(form)[1:-1], encoded, *in_urls):
                text = text.replace(shown, "…")
    return text if len(text) <= _WORDS else f"{text[:_WORDS]}…"
