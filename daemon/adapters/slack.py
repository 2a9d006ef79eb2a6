"""Slack's Web API by its own library: the client, its errors, its way of escaping."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any

import aiohttp
import structlog
from yarl import URL

from daemon.adapters.http import shortened
from daemon.core.values.outcome import Permanent, Temporary

if TYPE_CHECKING:  # only whoever uses Slack loads its library, when its client is built
    from slack_sdk.web.async_client import AsyncWebClient

_log = structlog.get_logger()

TEXT = 3000
"""Characters of a block; Slack refuses more."""
TITLE = 600
"""Characters of a bold line."""
PASSING = {
    "ratelimited",
    "rate_limited",
    "internal_error",
    "fatal_error",
    "service_unavailable",
    "request_timeout",
    "team_added_to_org",
}
MENDS = {
    "account_inactive": "the token is of a bot that was removed; see slack.token",
    "channel_not_found": "is the id right, and the bot a member?",
    "invalid_auth": "see slack.token",
    "is_archived": "the channel is archived",
    "missing_scope": "the bot needs the scope chat:write",
    "not_authed": "see slack.token",
    "not_in_channel": "invite the bot to the channel",
    "token_revoked": "see slack.token",
}

_WORD = re.compile(r"[a-z][a-z0-9_]{0,60}")


def slack_client(
    session: aiohttp.ClientSession, token: str, url: str, timeout: float
) -> AsyncWebClient:
    """The bot. `timeout` in seconds. It tries once, and what is to be tried again is not its
    business: a message whose answer was lost would stand there twice."""
    from slack_sdk.web.async_client import AsyncWebClient

    client = AsyncWebClient(
        token=token, base_url=url.rstrip("/") + "/", session=session, retry_handlers=[]
    )
    client.proxy = None  # the session decides about proxies, as for everybody else
    # The library says whole seconds, and leaves its own deadline to the session; see `send`.
    client.timeout = timeout  # type: ignore[assignment]
    return client


class Whisperer:
    """Tells whoever tapped a button what came of it, at the address that Slack gave for that.

    It goes to Slack's own hosts, or to that of `url` (the API), and nowhere else. A failure is
    only logged: the deed is done. `timeout` in seconds; Slack waits three for the answer.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, timeout: float = 1.5) -> None:
        self._session = session
        self._own = URL(url).host
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def whisper(self, address: str, text: str) -> None:
        """Never raises."""
        try:
            url = URL(address)
            host = url.host or ""
            theirs = url.scheme == "https" and f".{host}".endswith(".slack.com")
            if not (theirs or host == self._own) or not host:
                return
            message = {"response_type": "ephemeral", "replace_original": False, "text": text}
            async with self._session.post(
                url, json=message, timeout=self._timeout, allow_redirects=False
            ) as answer:
                if answer.status >= 300:
                    _log.warning("Slack did not take the answer to a tap", status=answer.status)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            _log.warning("Slack did not take the answer to a tap", error=type(error).__name__)


def escaped(text: str) -> str:
    """Text by others, so that it makes no link and calls nobody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def fitted(text: str, most: int) -> str:
    """Escaped, at most so many characters, and never cut within an escape."""
    room = most
    while len(fit := escaped(shortened(text, room))) > most:
        room -= max(1, (len(fit) - most) // 5)  # an escape has five characters at most
    return fit


def bold(line: str) -> str:
    """One line in bold type; a longer one than anybody reads is cut."""
    return f"*{fitted(' '.join(line.split()), TITLE)}*" if line.strip() else ""


def section(head: str, text: str) -> dict[str, Any]:
    """A block: a head that is mrkdwn already, and text by others below it."""
    body = fitted(text, TEXT - len(head) - 1)
    return {"type": "section", "text": plain_words(f"{head}\n{body}".strip())}


def plain_words(text: str) -> dict[str, Any]:
    """A text object of mrkdwn. `verbatim`: an address or @here in it stays plain text."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


async def send_to_slack(client: AsyncWebClient, sending: Awaitable[Any]) -> str:
    """Send, within the client's timeout; returns `channel:ts`, by which the message is found again.

    Temporary: rate limits, Slack's own failures, the network. Permanent: what Slack refuses.
    """
    from slack_sdk.errors import SlackApiError, SlackClientError

    try:
        async with asyncio.timeout(client.timeout):
            answer = await sending
    except SlackApiError as error:
        raise _refused(error.response) from None
    except aiohttp.InvalidURL:
        raise Permanent("the address of Slack is not a URL; see slack.url") from None
    except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Temporary(f"Slack cannot be reached ({type(error).__name__})") from None
    except (ValueError, AttributeError):  # the library reads any JSON as if it were an object
        raise Temporary("Slack gave an answer that is none; see slack.url") from None
    return f"{answer.get('channel', '')}:{answer.get('ts', '')}"


def _refused(response: Any) -> Temporary | Permanent:
    """The library's answer, or aiohttp's where it could not read one."""
    status = getattr(response, "status_code", 0) or getattr(response, "status", 0)
    body = getattr(response, "data", None)
    code = str(body.get("error", "")) if isinstance(body, Mapping) else ""
    if not _WORD.fullmatch(code):  # it may be anything then, and repeat the token
        code = f"status {status}"
    if code in PASSING or status == 429 or status >= 500:
        return Temporary(f"Slack cannot take it now: {code}")
    mend = MENDS.get(code)
    return Permanent(f"Slack refuses it: {code}" + (f" ({mend})" if mend else ""))
