"""Sends the heartbeat: one GET, whose URL is a secret, with the journal's anchor as a header."""

from __future__ import annotations

import aiohttp

from daemon.core.values.anchor import Anchor
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.outgoing import AddressRefused

ANCHOR = "X-Stopgap-Anchor"
"""Whoever keeps what the heartbeats say can show later that the journal was cut off."""


class Heartbeat:
    """GETs one URL; 2xx is good."""

    def __init__(self, session: aiohttp.ClientSession, url: str, timeout: float) -> None:
        self._session = session
        self._url = url
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def send(self, anchor: Anchor | None = None) -> None:
        """Raises Temporary or Permanent, which never name the URL."""
        headers = {} if anchor is None else {ANCHOR: str(anchor)}
        request = self._session.get(self._url, timeout=self._timeout, headers=headers)
        try:
            async with request as answer:
                if not 200 <= answer.status < 300:
                    raise Temporary(f"the heartbeat's receiver answered {answer.status}")
        except AddressRefused as error:
            raise AddressRefused(f"the heartbeat's receiver: {error}") from None
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, ValueError):
            raise Permanent("the heartbeat's address is not a URL") from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Temporary(
                f"the heartbeat's receiver cannot be reached ({type(error).__name__})"
            ) from None
