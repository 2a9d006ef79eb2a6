"""A direct message in Slack, with a button to acknowledge."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from daemon.adapters.slack import (
    TEXT,
    bold,
    escaped,
    fitted,
    plain_words,
    section,
    send_to_slack,
)
from daemon.core.ports.notification import Page, Reminder
from daemon.core.response.paging import STORM_ALERT
from daemon.core.values.outcome import Permanent

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient

_ACKNOWLEDGE = "acknowledge"
_OF_A_STORM = f"/{STORM_ALERT}"
_PROOF = re.compile(r"message (?P<ts>\S+) in (?P<channel>\S+)")
"""What is answered for a page, by which its message is found again."""


class SlackPager:
    """Writes to one user, by the bot."""

    def __init__(self, client: AsyncWebClient, user: str) -> None:
        self._client = client
        self._user = user

    async def page(self, page: Page) -> str:
        """Raises Temporary or Permanent, in Slack's own word."""
        sending = self._client.chat_postMessage(
            channel=self._user, unfurl_links=False, unfurl_media=False, **_page_content(page)
        )
        return _proof(await send_to_slack(self._client, sending))

    async def amend_alert(self, page: Page, proof: str) -> str:
        """Change the message in place, which rings nobody. Raises Temporary or Permanent."""
        message = _PROOF.fullmatch(proof)
        if message is None:
            raise Permanent("it is not known which message that was")
        changing = self._client.chat_update(
            channel=message["channel"], ts=message["ts"], **_page_content(page)
        )
        return _proof(await send_to_slack(self._client, changing))

    async def remind(self, reminder: Reminder) -> str:
        """Raises Temporary or Permanent, in Slack's own word."""
        elements = [_opens("Everything", reminder.link)]
        sending = self._client.chat_postMessage(
            channel=self._user,
            unfurl_links=False,
            unfurl_media=False,
            **_content(reminder.title, reminder.text, elements),
        )
        return f"message {(await send_to_slack(self._client, sending)).partition(':')[2]}"


def _does(action: str, text: str, incident: str) -> dict[str, Any]:
    """A button that is a command to the incident."""
    label = {"type": "plain_text", "text": text}
    return {"type": "button", "action_id": action, "value": incident, "text": label}


def _page_content(page: Page) -> dict[str, Any]:
    # A tap on a storm's page is meant for all of it.
    value = page.dedup_key if page.dedup_key.endswith(_OF_A_STORM) else page.incident
    elements = [{**_does(_ACKNOWLEDGE, "I am on it", value), "style": "primary"}]
    if page.summons:
        elements += [
            _does("decline", "Not me", page.incident),
            _does("snooze-5", "Again in 5m", page.incident),
            _does("snooze-15", "Again in 15m", page.incident),
        ]
    links = (("Answer", page.answer_link), *page.places.items(), ("Everything", page.link))
    elements += [_opens(text, url) for text, url in links if url]
    content = _content(page.title, page.body, elements)
    content["blocks"] += _context(page)
    return content


def _content(title: str, text: str, elements: list[dict[str, Any]]) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = [
        section(bold(title), text),
        {"type": "actions", "elements": elements},
    ]
    return {"text": fitted(f"{title}: {text}", TEXT), "blocks": blocks}


def _context(page: Page) -> list[dict[str, Any]]:
    """The alert's own links, as many as fit. No button: Slack would refuse the whole page for an
    address that it does not like."""
    links: list[str] = []
    for name, url in page.links:
        link = f"<{escaped(url).replace('|', '%7C')}|{escaped(name)}>"
        if len(" · ".join([*links, link])) <= TEXT:
            links.append(link)
    return [{"type": "context", "elements": [plain_words(" · ".join(links))]}] if links else []


def _proof(reference: str) -> str:
    channel, _, ts = reference.partition(":")
    return f"message {ts} in {channel}"


def _opens(text: str, url: str) -> dict[str, Any]:
    """A button that opens an address."""
    label = {"type": "plain_text", "text": text}
    return {"type": "button", "action_id": f"open-{text.lower()}", "url": url, "text": label}
