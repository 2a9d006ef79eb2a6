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
from daemon.core.ports.rooms import RateLimited
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.outgoing import AddressRefused

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
    "missing_scope": "the bot needs the scope {needed}: add it to the app in Slack, then reinstall",
    "restricted_action": "the workspace lets bots not do this; its admins can",
    "method_not_supported_for_channel_type": "is the id that of a channel?",
    "not_authed": "see slack.token",
    "not_in_channel": "invite the bot to the channel",
    "token_revoked": "see slack.token",
}

_SCOPES = re.compile(r"[a-z:._,]{1,200}")
_LINK = re.compile(r"<(?P<to>[^<>|]+)(?:\|(?P<label>[^<>]*))?>")
_LATER_AT_MOST = 3600
"""Seconds of rest that are believed."""
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
        except AddressRefused as error:
            _log.warning("Slack's address for the answer to a tap is refused", why=str(error))
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


class SlackRefusal(Permanent):
    """Slack refuses it; `code` is its own word."""

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text)
        self.code = code


async def send_to_slack(client: AsyncWebClient, sending: Awaitable[Any]) -> str:
    """Send, within the client's timeout; returns `channel:ts`, by which the message is found again.

    Temporary: rate limits, Slack's own failures, the network. Permanent: what Slack refuses.
    """
    answer = await ask_slack(client, sending)
    return f"{answer.get('channel', '')}:{answer.get('ts', '')}"


async def ask_slack(client: AsyncWebClient, asking: Awaitable[Any]) -> Mapping[str, Any]:
    """Ask, within the client's timeout; returns Slack's answer.

    Temporary: rate limits (`RateLimited`), Slack's own failures, the network. Permanent
    (`SlackRefusal`): what Slack refuses.
    """
    found = getattr(await _answer_of(client, asking), "data", None)
    return found if isinstance(found, Mapping) else {}


async def granted_scopes(client: AsyncWebClient) -> frozenset[str] | None:
    """What the bot may do; None if Slack does not say. Raises as `ask_slack`."""
    headers = getattr(await _answer_of(client, client.auth_test()), "headers", None)
    found = {str(name).lower(): str(value) for name, value in dict(headers or {}).items()}
    scopes = found.get("x-oauth-scopes")
    return None if scopes is None else frozenset(one.strip() for one in scopes.split(","))


async def _answer_of(client: AsyncWebClient, asking: Awaitable[Any]) -> Any:
    """The library's answer. Raises as `ask_slack`."""
    from slack_sdk.errors import SlackApiError, SlackClientError

    try:
        async with asyncio.timeout(client.timeout):
            answer: Any = await asking
    except SlackApiError as error:
        raise _refused(error.response) from None
    except aiohttp.InvalidURL:
        raise Permanent("the address of Slack is not a URL; see slack.url") from None
    except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Temporary(f"Slack cannot be reached ({type(error).__name__})") from None
    except (ValueError, AttributeError):  # the library reads any JSON as if it were an object
        raise Temporary("Slack gave an answer that is none; see slack.url") from None
    if not isinstance(getattr(answer, "data", None), Mapping):
        raise Temporary("Slack gave an answer that is none; see slack.url")
    return answer


def unescaped(text: str) -> str:
    """What Slack holds of a message, as people read it: links with their address, names by id."""

    def shown(link: re.Match[str]) -> str:
        to, label = link["to"], link["label"]
        if to[0] in "@!":
            return f"@{label or to[1:].partition('^')[0]}"
        if to[0] == "#":
            return f"#{label or to[1:]}"
        return f"{label} ({to})" if label and label != to else to

    plain = _LINK.sub(shown, text)
    return plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _refused(response: Any) -> Temporary | Permanent:
    """The library's answer, or aiohttp's where it could not read one."""
    status = getattr(response, "status_code", 0) or getattr(response, "status", 0)
    data = getattr(response, "data", None)
    body: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
    code = str(body.get("error", ""))
    if not _WORD.fullmatch(code):  # it may be anything then, and repeat the token
        code = f"status {status}"
    if code in PASSING or status == 429 or status >= 500:
        text = f"Slack cannot take it now: {code}"
        seconds = _rest(getattr(response, "headers", None))
        return RateLimited(text, seconds) if seconds else Temporary(text)
    needed = str(body.get("needed", ""))
    scopes = needed if _SCOPES.fullmatch(needed) else "chat:write"
    mend = MENDS.get(code, "").format(needed=scopes)
    return SlackRefusal(f"Slack refuses it: {code}" + (f" ({mend})" if mend else ""), code)


def _rest(headers: Any) -> int:
    """For how many seconds Slack wants to be left alone; 0 if it does not say."""
    given = headers.get("Retry-After", "") if isinstance(headers, Mapping) else ""
    return min(int(given), _LATER_AT_MOST) if str(given).isascii() and str(given).isdigit() else 0
