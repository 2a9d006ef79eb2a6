"""Ask a tracker's REST API in JSON. No error names a token, or an address with a secret in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp

from daemon.adapters.http import TAKEN, refusal_reason, web_address
from daemon.core.ports.trackers import IssueDraft
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.outgoing import AddressRefused

_MOST_BYTES = 4 * 1024 * 1024
"""A longer answer is none of ours."""


class TrackerClient:
    """One API; `who` is its name in sentences, `base` its address, `timeout` in seconds.

    `error_text` reads the reason out of the JSON of a refusal; `secrets` are blotted out of it.
    `mend` is what to look at when the credentials are not taken.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        who: str,
        base: str,
        timeout: float,
        *,
        headers: Mapping[str, str],
        secrets: tuple[str, ...],
        error_text: Callable[[Mapping[str, Any]], str],
        mend: str,
    ) -> None:
        self._session = session
        self._who = who
        self._base = base.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._headers = {"Accept": "application/json", "User-Agent": "stopgap", **headers}
        self._secrets = secrets
        self._error_text = error_text
        self._mend = mend

    async def get(self, path: str, **query: str) -> Any:
        """What the API has at that path. Raises as `_ask`."""
        return await self._ask("GET", path, query, None)

    async def post(self, path: str, content: Mapping[str, Any]) -> Any:
        """What the API answers to that. Raises as `_ask`."""
        return await self._ask("POST", path, {}, content)

    async def _ask(
        self, method: str, path: str, query: Mapping[str, str], content: Mapping[str, Any] | None
    ) -> Any:
        """The JSON of a success. Temporary: 429 and what else is a rate limit, 5xx, network errors
        and timeouts. Permanent: any other refusal, and what is no JSON."""
        try:
            async with self._session.request(
                method,
                web_address(self._base + path, self._who).update_query(query),
                json=content,
                headers=self._headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as answer:
                if answer.status in TAKEN:
                    return await self._json(answer)
                raise await self._refusal(answer)
        except AddressRefused as error:
            raise AddressRefused(f"{self._who}: {error}") from None
        except ValueError:  # aiohttp's InvalidURL is one, too
            raise Permanent(
                f"{self._who} cannot be asked: a character of its address or token cannot be sent"
            ) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Temporary(f"{self._who} cannot be reached ({type(error).__name__})") from None

    async def _json(self, answer: aiohttp.ClientResponse) -> Any:
        body = await answer.content.read(_MOST_BYTES)
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise Permanent(
                f"{self._who} answered what is no JSON: is the address that of its API?"
            ) from None

    async def _refusal(self, answer: aiohttp.ClientResponse) -> Temporary | Permanent:
        status = answer.status
        reason = await refusal_reason(answer, self._error_text, self._secrets)
        text = f"{self._who} answered {status}{reason}"
        limited = status == 403 and answer.headers.get("x-ratelimit-remaining") == "0"
        if status == 429 or status >= 500 or limited or "Retry-After" in answer.headers:
            return Temporary(text)
        if 300 <= status < 400:  # not followed: the token is for that address alone
            return Permanent(f"{text}: it has moved; look at {self._mend}")
        if status in {401, 403, 404}:  # trackers call what one may not see not found
            return Permanent(f"{text}; look at {self._mend}")
        return Permanent(text)


def issue_text(draft: IssueDraft) -> str:
    """The text of an issue, with the marker by which it is found again at its end."""
    due = "" if draft.due is None else f", due {draft.due}"
    lines = (
        draft.text,
        f"Owner: {draft.owner}{due}",
        f"Incident: {draft.incident} {draft.link}",
        draft.marker,
    )
    return "\n\n".join(lines)


def has_marker(text: object, draft: IssueDraft) -> bool:
    """Whether that is the text of its issue: the marker of follow-up 1 is the beginning of that of
    follow-up 10, so it has to be a line of its own, or a word."""
    return draft.marker in str(text or "").split()


def objects(answer: Any) -> list[Mapping[str, Any]]:
    """The objects of an answer that is a list; none if it is something else."""
    listed = answer if isinstance(answer, list) else []
    return [one for one in listed if isinstance(one, Mapping)]


def field(answer: Any, name: str, who: str) -> Any:
    """A field of an answer. Raises Permanent if the answer does not have it."""
    if not isinstance(answer, Mapping) or answer.get(name) is None:
        raise Permanent(f"{who} answered without `{name}`: is the address that of its API?")
    return answer[name]
