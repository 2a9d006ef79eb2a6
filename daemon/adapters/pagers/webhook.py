"""A generic webhook pager: the page as JSON, signed if there is a secret."""

from __future__ import annotations

import hashlib
import hmac
import json

import aiohttp

from daemon.core.outcome import Permanent, Temporary
from daemon.core.ports import Page

SIGNATURE = "X-Stopgap-Signature"


class WebhookPager:
    """POSTs a page; 2xx is the proof of delivery.

    The body holds incident, page, person, title, text, severity, link and at. `dedup_key` is
    the same for all pages of an incident. The signature is `v1=` and the hex HMAC-SHA256 of
    the body. The URL may hold a secret, so no error names it.
    """

    def __init__(
        self, session: aiohttp.ClientSession, url: str, secret: str | None, timeout: float
    ) -> None:
        self._session = session
        self._url = url
        self._secret = secret
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def page(self, page: Page) -> str:
        """Deliver. Temporary: 429, 5xx and network errors; Permanent: any other refusal."""
        content = {**vars(page), "at": page.at.isoformat(), "dedup_key": page.incident}
        body = json.dumps(content).encode()
        headers = {"Content-Type": "application/json"}
        if self._secret is not None:
            digest = hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
            headers[SIGNATURE] = f"v1={digest}"
        try:
            async with self._session.post(
                self._url,
                data=body,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as answer:
                status = answer.status
        except (aiohttp.InvalidURL, ValueError):
            raise Permanent("the webhook's address is not a URL") from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Temporary(f"the webhook cannot be reached ({type(error).__name__})") from None
        if 200 <= status < 300:
            return f"answered {status}"
        if status == 429 or status >= 500:
            raise Temporary(f"the webhook answered {status}")
        raise Permanent(f"the webhook answered {status}")
