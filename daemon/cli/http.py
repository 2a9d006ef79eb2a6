"""Asking other people's servers for JSON, where there is no daemon to do it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from daemon.adapters.http_access import HttpAccess
from daemon.adapters.tls import distrust, distrust_mend
from daemon.core.values.formats import printable
from daemon.core.values.outcome import Permanent, Temporary

_WORDS = 200
_LARGEST = 64 << 20
"""Bytes; the rules of a large Prometheus are a few million."""


@dataclass(frozen=True)
class DaemonReply:
    """The JSON, and the server's own clock (whole seconds) if it told it."""

    data: Any
    at: datetime | None


@dataclass(frozen=True)
class AccessMends:
    """What helps if a server is not believed, or does not believe us; empty: its settings."""

    tls: str = ""
    login: str = ""


async def fetch(
    session: aiohttp.ClientSession,
    access: HttpAccess,
    path: str,
    timeout: float,
    mends: AccessMends = AccessMends(),
) -> DaemonReply:
    """The JSON at a path of a server. `timeout` in seconds. Raises Temporary or Permanent."""
    options = access.options()
    limit, where = aiohttp.ClientTimeout(total=timeout), f"{access.address}{path.partition('?')[0]}"
    try:
        async with session.get(f"{access.address}{path}", timeout=limit, **options) as answer:
            body = bytearray()
            async for part in answer.content.iter_any():
                body += part
                if len(body) > _LARGEST:
                    raise Permanent(f"{where} answers more than {_LARGEST >> 20} MB")
            if answer.status == 200:
                return DaemonReply(json.loads(body), _date(answer.headers.get("Date", "")))
            status, reason = answer.status, access.clean(printable(answer.reason or ""))
            reason += _words(access, answer.content_type, bytes(body))
            location = answer.headers.get("Location", "")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        why = distrust(error)
        if why:
            mend = distrust_mend(why, mends.tls or f"see `{access.setting}.tls`")
            raise Permanent(f"{where}: TLS fails ({why}); {mend}") from None
        raise Temporary(f"no answer from {where} ({type(error).__name__})") from None
    except ValueError:
        raise Permanent(f"{where} answers what is no JSON; is the address right?") from None
    if status >= 500:
        raise Temporary(f"{where} answers {status} {reason}")
    if status in {401, 403, 407} and not mends.login:
        raise access.unknown(status, reason)
    if 300 <= status < 400:
        raise access.redirected(status, location)
    mend = mends.login if status in {401, 403, 407} else "is the address right?"
    raise Permanent(f"{where} answers {status} {reason}; {mend}")


def _words(access: HttpAccess, kind: str, body: bytes) -> str:
    """What a refusal says for itself, in brackets; nothing of a page for a browser."""
    text = body.decode(errors="replace") if kind == "text/plain" else ""
    if kind == "application/json":
        try:
            found = json.loads(body)
        except ValueError:
            found = None
        told = found.get("error") or found.get("message") if isinstance(found, dict) else None
        text = told if isinstance(told, str) else ""
    said = access.clean(" ".join(printable(text).replace(";", ",").split()))[:_WORDS]
    return f" ({said})" if said else ""


def _date(header: str) -> datetime | None:
    try:
        return parsedate_to_datetime(header)
    except ValueError:
        return None
