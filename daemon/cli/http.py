"""Asking other people's servers for JSON, where there is no daemon to do it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import requests

from daemon.core.outcome import Permanent, Temporary
from daemon.core.units import printable

LARGEST = 64 << 20
"""Bytes; the rules of a large Prometheus are a few million."""


def shown(url: str) -> str:
    """The address for a sentence, without credentials in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def fetch(url: str, timeout: float, bearer: str | None = None) -> Any:
    """The JSON at an address. `timeout` in seconds. Raises Temporary or Permanent."""
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    where = shown(url)
    try:
        with (
            requests.Session() as session,
            session.get(url, headers=headers, timeout=timeout, stream=True) as answer,
        ):
            body = answer.raw.read(LARGEST + 1, decode_content=True)
            if len(body) > LARGEST:
                raise Permanent(f"{where} answers more than {LARGEST >> 20} MB")
            if answer.ok:
                return json.loads(body)
            status, reason = answer.status_code, printable(answer.reason or "")
    except requests.RequestException as error:
        raise Temporary(f"no answer from {where} ({type(error).__name__})") from None
    except ValueError:
        raise Permanent(f"{where} answers what is no JSON; is the address right?") from None
    except OSError as error:
        raise Temporary(f"{where} broke off its answer ({type(error).__name__})") from None
    if status >= 500:
        raise Temporary(f"{where} answers {status} {reason}")
    mend = "; does it want a token?" if status in {401, 403} else "; is the address right?"
    raise Permanent(f"{where} answers {status} {reason}{mend}")
