"""Asking other people's servers for JSON, where there is no daemon to do it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from daemon.adapters.tls import Trust, distrust
from daemon.core.values.formats import printable
from daemon.core.values.outcome import Permanent, Temporary

_LARGEST = 64 << 20
"""Bytes; the rules of a large Prometheus are a few million."""


@dataclass(frozen=True)
class DaemonReply:
    """The JSON, and the server's own clock (whole seconds) if it told it."""

    data: Any
    at: datetime | None


def shown_url(url: str) -> str:
    """The address for a sentence, without credentials in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


async def fetch(
    session: aiohttp.ClientSession,
    url: str,
    timeout: float,
    bearer: str | None = None,
    trust: Trust | None = None,
    mend: str = "see `prometheus.tls`",
) -> DaemonReply:
    """The JSON at an address. `timeout` in seconds. `mend`: what helps if TLS fails. Raises
    Temporary or Permanent."""
    tls = True if trust is None else trust.context()
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    limit, where = aiohttp.ClientTimeout(total=timeout), shown_url(url)
    try:
        async with session.get(url, headers=headers, timeout=limit, ssl=tls) as answer:
            body = bytearray()
            async for part in answer.content.iter_any():
                body += part
                if len(body) > _LARGEST:
                    raise Permanent(f"{where} answers more than {_LARGEST >> 20} MB")
            if answer.ok:
                return DaemonReply(json.loads(body), _date(answer.headers.get("Date", "")))
            status, reason = answer.status, printable(answer.reason or "")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        why = distrust(error)
        if why:
            raise Permanent(f"{where}: TLS fails ({why}); {mend}") from None
        raise Temporary(f"no answer from {where} ({type(error).__name__})") from None
    except ValueError:
        raise Permanent(f"{where} answers what is no JSON; is the address right?") from None
    if status >= 500:
        raise Temporary(f"{where} answers {status} {reason}")
    mend = "; does it want a token?" if status in {401, 403} else "; is the address right?"
    raise Permanent(f"{where} answers {status} {reason}{mend}")


def _date(header: str) -> datetime | None:
    try:
        return parsedate_to_datetime(header)
    except ValueError:
        return None
