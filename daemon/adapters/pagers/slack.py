"""A direct message in Slack, with a button to acknowledge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.adapters.slack import TEXT, bold, fitted, section, send_to_slack
from daemon.core.ports.notification import Page

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
        for text, url in (("Answer", page.answer_link), ("Everything", page.link)):
            if url:
                label = {"type": "plain_text", "text": text}
                name = f"open-{text.lower()}"
                elements.append({"type": "button", "action_id": name, "url": url, "text": label})
        blocks: list[dict[str, Any]] = [
            section(bold(page.title), page.text),
            {"type": "actions", "elements": elements},
        ]
        text = fitted(f"{page.title}: {page.text}", TEXT)
        sending = self._client.chat_postMessage(
            channel=self._user, text=text, blocks=blocks, unfurl_links=False, unfurl_media=False
        )
        return f"message {(await send_to_slack(self._client, sending)).partition(':')[2]}"
