"""On-call calendars from the web, with a copy of each on disk for the time when it is away.

The address of a feed usually holds a secret, so no error names it, nor does a copy hold it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import aiohttp
import structlog
from yarl import URL

from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.outgoing import AddressRefused

_LARGEST = 5_000_000
"""Bytes; more than any on-call calendar has."""
MOST_REDIRECTS = 3

_REDIRECTS = {301, 302, 303, 307, 308}
_PASSING = {408, 425, 429}
_WEBCAL = re.compile(r"^webcals?://", re.IGNORECASE)
_BEGIN = re.compile(r"\s*BEGIN:VCALENDAR\s", re.IGNORECASE)
_END = re.compile(r"END:VCALENDAR\s*\Z", re.IGNORECASE)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class FeedText:
    """The text of a calendar, and when it was fetched."""

    text: str
    fetched_at: datetime


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Feeds:
    """Fetches calendars and keeps the last good copy of each in `folder`.

    `timeout` in seconds is the deadline of one fetch, redirects included.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        folder: Path,
        timeout: float,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._session = session
        self._folder = folder
        self._timeout = timeout
        self._clock = clock

    async def fetch(self, url: str) -> FeedText:
        """Fetch a calendar; `keep` it once it has proved to be readable.

        Temporary: timeouts, network errors, 408, 425, 429, 5xx, half a calendar. Permanent: any
        other refusal, something else than a calendar, too much of it. A copy that cannot be
        written is logged; the fetched calendar is as good without one.
        """
        try:
            async with asyncio.timeout(self._timeout):
                text = _calendar(await self._read(_address(url)))
        except TimeoutError:
            raise Temporary(f"the calendar did not arrive within {self._timeout:g} s") from None
        except AddressRefused as error:
            raise AddressRefused(f"the calendar's address: {error}") from None
        except (aiohttp.InvalidURL, ValueError):
            raise Permanent("the calendar's address is not a URL") from None
        except aiohttp.ClientError as error:
            why = type(error).__name__
            raise Temporary(f"the calendar cannot be fetched ({why})") from None
        return FeedText(text, self._clock())

    async def keep(self, name: str, feed: FeedText) -> None:
        """Keep a copy; one that cannot be written is logged, for the feed is as good without."""
        try:
            await asyncio.to_thread(self._keep, name, feed)
        except OSError as error:
            _log.warning("calendar not kept", name=name, error=error.strerror or str(error))

    def cached(self, name: str) -> FeedText | None:
        """The last good copy; None if there is none, or it is damaged."""
        try:
            copy = json.loads(self._path(name).read_text(encoding="utf-8"))
            text, fetched_at = str(copy["text"]), datetime.fromisoformat(copy["fetched_at"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return FeedText(text, fetched_at) if fetched_at.tzinfo is not None else None

    async def _read(self, url: URL) -> bytes:
        """The body. Follows redirects itself: aiohttp would follow them anywhere."""
        for _ in range(MOST_REDIRECTS + 1):
            deadline = aiohttp.ClientTimeout(total=self._timeout)
            async with self._session.get(
                url, allow_redirects=False, timeout=deadline, headers={"Accept": "text/calendar"}
            ) as answer:
                if answer.status not in _REDIRECTS:
                    _refuse_failure(answer.status)
                    return await _body(answer)
                url = _next(url, answer.headers.get("Location", ""))
        raise Permanent(f"the calendar's server redirects more than {MOST_REDIRECTS} times")

    def _keep(self, name: str, feed: FeedText) -> None:
        """Write the copy, atomically and durably. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Private by its mode 0600: a calendar tells where people are.
        handle, beside = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=".tmp")
        try:
            with open(handle, "w", encoding="utf-8") as file:
                json.dump({"fetched_at": feed.fetched_at.isoformat(), "text": feed.text}, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, self._path(name))
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise

    def _path(self, name: str) -> Path:
        """One file for each name, whatever characters it has and however long it is."""
        digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:16]
        readable = quote(name, safe="", errors="replace")[:60].lstrip(".")
        return self._folder / f"{readable}-{digest}.json"


def _address(url: str) -> URL:
    """webcal:// is how calendars offer their feeds to calendar programs: https by another name."""
    try:
        address = URL(_WEBCAL.sub("https://", url.strip()))
    except ValueError:
        raise Permanent("the calendar's address is not a URL") from None
    if address.scheme not in {"http", "https"} or not address.host:
        raise Permanent("the calendar's address is not a URL of http or https")
    return address


def _next(url: URL, location: str) -> URL:
    """Where a redirect leads. Raises Permanent unless it is https, or http on the same host."""
    try:
        following = url.join(URL(location))
    except ValueError:
        following = URL()
    plain = following.scheme == "http" and url.scheme == "http" and following.host == url.host
    if not location or not following.host or not (following.scheme == "https" or plain):
        raise Permanent("the calendar's server redirects to where it must not: use https")
    return following


def _refuse_failure(status: int) -> None:
    if status in _PASSING or status >= 500:
        raise Temporary(f"the calendar's server answered {status}")
    if status != 200:
        raise Permanent(f"the calendar's server answered {status}")


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """The unpacked body; a small one can unpack to a large one, so it is measured here."""
    body = bytearray()
    async for chunk in answer.content.iter_chunked(65536):
        body += chunk
        if len(body) > _LARGEST:
            raise Permanent(f"the calendar is too large: more than {_LARGEST // 1_000_000} MB")
    return bytes(body)


def _calendar(body: bytes) -> str:
    """The body as text, RFC 5545 says in UTF-8, if it is a whole calendar."""
    text = body.decode("utf-8-sig", errors="replace")
    if not _BEGIN.match(text):
        raise Permanent("the answer is no calendar: it does not begin with BEGIN:VCALENDAR")
    if not _END.search(text):
        raise Temporary("the calendar is cut off: it does not end with END:VCALENDAR")
    return text
