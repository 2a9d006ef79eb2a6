"""POST JSON somewhere and judge the answer. No error names the address: it may hold a secret."""

from __future__ import annotations

import hashlib
import hmac
import json
import unicodedata
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, Literal

import aiohttp
from yarl import URL

from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.outgoing import AddressRefused
from daemon.core.values.units import printable

SIGNATURE = "X-Stopgap-Signature"
WORDS = 300
"""So many characters of a refusal are repeated to people."""
_READ = 16_384
"""Bytes of a refusal that are looked at."""
TAKEN = range(200, 300)

_JOINER = "\u200d"
_LONGEST_CLUSTER = 16


class Poster:
    """POSTs to one provider; `who` is its name in sentences. `timeout` in seconds.

    `signing` is the secret of our signature. `taken` are the statuses of success. `error_text`
    reads the provider's reason out of the JSON of a refusal; without it none is repeated, for an
    address that is secret may be in it. `secrets` are blotted out of the reason.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        who: str,
        timeout: float,
        *,
        headers: Mapping[str, str] | None = None,
        secrets: tuple[str, ...] = (),
        signing: str | None = None,
        taken: Container[int] = TAKEN,
        error_text: Callable[[Mapping[str, Any]], str] | None = None,
    ) -> None:
        self._session = session
        self._who = who
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._headers = dict(headers or {})
        self._secrets = secrets
        self._signing = signing
        self._taken = taken
        self._error_text = error_text

    async def post(
        self,
        url: str,
        content: Mapping[str, Any],
        *,
        harmless: Container[int] = (),
        method: Literal["POST", "PUT"] = "POST",
    ) -> int:
        """The status of a success, or of a `harmless` refusal. `method`: how it is sent.

        Temporary: 429, 5xx, network errors and timeouts. Permanent: any other refusal, in the
        provider's words but without our secrets.
        """
        status, _ = await self._exchange(url, content, harmless, method)
        return status

    async def ask(self, url: str, content: Mapping[str, Any]) -> Mapping[str, Any]:
        """The JSON object that a success answers; empty if it answers none. Raises as `post`."""
        _, body = await self._exchange(url, content, (), read=True)
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            return {}
        return answer if isinstance(answer, dict) else {}

    async def _exchange(
        self,
        url: str,
        content: Mapping[str, Any],
        harmless: Container[int],
        method: Literal["POST", "PUT"] = "POST",
        *,
        read: bool = False,
    ) -> tuple[int, bytes]:
        """The status, and if that is wanted, the beginning of what a success answers. It is taken
        already then, so an answer that breaks off fails nothing."""
        body = json.dumps(content).encode()
        headers = {"Content-Type": "application/json", **self._headers}
        if self._signing is not None:
            headers[SIGNATURE] = f"v1={_digest(self._signing, body)}"
        try:
            async with self._session.request(
                method,
                web_address(url, self._who),
                data=body,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as answer:
                status = answer.status
                taken = status in self._taken
                answered = await _whatever(answer) if taken and read else b""
                reason = "" if taken else await self._reason(answer)
        except AddressRefused as error:
            raise AddressRefused(f"{self._who}: {error}") from None
        except ValueError:  # aiohttp's InvalidURL is one, too
            raise Permanent(
                f"{self._who} cannot be asked: a character of its address or key cannot be sent"
            ) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Temporary(f"{self._who} cannot be reached ({type(error).__name__})") from None
        if status in self._taken or status in harmless:
            return status, answered
        text = f"{self._who} answered {status}{reason}"
        raise Temporary(text) if status == 429 or status >= 500 else Permanent(text)

    async def _reason(self, answer: aiohttp.ClientResponse) -> str:
        """Why it refused."""
        if self._error_text is None:
            return ""
        return await refusal_reason(answer, self._error_text, self._secrets)


def web_address(url: str, who: str) -> URL:
    """The address of `who`, which no error repeats. Raises Permanent if it is none of the web."""
    try:
        address = URL(url)
    except ValueError:
        address = URL()
    if address.scheme not in {"http", "https"} or not address.host:
        raise Permanent(f"the address of {who} is not a URL of http or https")
    return address


async def refusal_reason(
    answer: aiohttp.ClientResponse,
    error_text: Callable[[Mapping[str, Any]], str],
    secrets: Iterable[str],
) -> str:
    """Why a provider refused, in its own words after ": "; empty if it does not say. `error_text`
    reads it out of the JSON, `secrets` are blotted out. The status counts as well without a
    reason, so nothing is raised."""
    try:
        refusal = json.loads(await _beginning(answer))
    except (aiohttp.ClientError, TimeoutError, ValueError, RecursionError):
        return ""
    reason = error_text(refusal) if isinstance(refusal, dict) else ""
    for secret in secrets:
        reason = reason.replace(secret, "…")
    reason = " ".join(printable(reason).split())
    return f": {shortened(reason, WORDS)}" if reason else ""


async def _whatever(answer: aiohttp.ClientResponse) -> bytes:
    """The body, as far as it comes."""
    try:
        return await _beginning(answer)
    except (aiohttp.ClientError, TimeoutError):
        return b""


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    """The body, or as much of it as is looked at."""
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > _READ:
            break
    return bytes(body)


def _digest(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def shortened(text: str, most: int) -> str:
    """At most so many characters, the cut shown by … and never through the middle of one.

    Counted as UTF-16 counts, which is the strictest of the ways in which services do: 🔥 is two.
    """
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    units = whole.encode("utf-16-le")
    if len(units) <= 2 * most:
        return whole
    retained = units[: 2 * (most - 1)].decode("utf-16-le", "ignore")  # half of a pair at the end
    for _ in range(_LONGEST_CLUSTER):
        if not retained or not (_joins(whole[len(retained)]) or retained[-1] == _JOINER):
            break
        retained = retained[:-1]
    return retained + "…"


def _joins(character: str) -> bool:
    """Whether it is drawn together with the character before it: an accent, a skin tone."""
    return (
        unicodedata.category(character) in {"Mn", "Me", "Mc"}
        or character == _JOINER
        or "\U0001f3fb" <= character <= "\U0001f3ff"
    )
