"""A direct message in Slack, with a button to acknowledge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.adapters.slack import TEXT, bold, fitted, section, send_to_slack
from daemon.core.ports.notification import Page, Reminder

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient

_ACKNOWLEDGE = "acknowledge"


class SlackPager:
    """Writes to one user, by the bot."""

    def __init__(self, client: AsyncWebClient, user: str) -> None:
        self._client = client
        self._user = user

    async def page(self, page: Page) -> str:
        """Raises Temporary or Permanent, in Slack's own word."""
        button = {
            "type": "button",
            "action_id": _ACKNOWLEDGE,
            "value": page.incident,
            "style": "primary",
            "text": {"type": "plain_text", "text": "I am on it"},
        }
        elements: list[dict[str, Any]] = [button]
        links = (("Answer", page.answer_link), *page.places.items(), ("Everything", page.link))
        elements += [_opens(text, url) for text, url in links if url]
        return await self._send(page.title, page.text, elements)

    async def remind(self, reminder: Reminder) -> str:
        """Raises Temporary or Permanent, in Slack's own word."""
        return await self._send(
            reminder.title, reminder.text, [_opens("Everything", reminder.link)]
        )

    async def _send(self, title: str, text: str, elements: list[dict[str, Any]]) -> str:
        blocks: list[dict[str, Any]] = [
            section(bold(title), text),
            {"type": "actions", "elements": elements},
        ]
        sending = self._client.chat_postMessage(
            channel=self._user,
            text=fitted(f"{title}: {text}", TEXT),
            blocks=blocks,
            unfurl_links=False,
            unfurl_media=False,
        )
        return f"message {(await send_to_slack(self._client, sending)).partition(':')[2]}"


def _opens(text: str, url: str) -> dict[str, Any]:
    """A button that opens an address."""
    label = {"type": "plain_text", "text": text}
    return {"type": "button", "action_id": f"open-{text.lower()}", "url": url, "text": label}
