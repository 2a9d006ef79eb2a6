"""An update as a message in a Slack channel, changed in place when it is edited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.adapters.slack import TEXT, bold, escaped, fitted, plain_words, section, send_to_slack
from daemon.core.ports.notification import Message, Receipt

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient

_HEAD = 100
"""Characters; a longer first line is a text, not a head."""


class SlackChannel:
    """Writes to one channel, by the bot."""

    def __init__(self, client: AsyncWebClient, channel: str) -> None:
        self._client = client
        self._channel = channel

    async def post(self, message: Message) -> Receipt:
        """Raises Temporary or Permanent, in Slack's own word."""
        # Slack would open the links to preview them; the document is for those who tap on it.
        posting = self._client.chat_postMessage(
            channel=self._channel, unfurl_links=False, unfurl_media=False, **_content(message)
        )
        reference = await send_to_slack(self._client, posting)
        return Receipt(f"message {reference.partition(':')[2]}", reference)

    async def edit(self, reference: str, message: Message) -> Receipt:
        """Change it in place."""
        channel, _, ts = reference.partition(":")
        changing = self._client.chat_update(channel=channel, ts=ts, **_content(message))
        return Receipt("changed", await send_to_slack(self._client, changing))


def _content(message: Message) -> dict[str, Any]:
    about = [message.severity, f"{escaped(message.stage)} stage"]
    if message.link:
        about.append(f"<{escaped(message.link)}|the document>")
    if message.version > 1:
        about.append("edited")
    context = plain_words(" · ".join(filter(None, about)))
    blocks = [
        _statement(message.text),
        {"type": "context", "elements": [context]},
    ]
    return {"text": fitted(message.text, TEXT), "blocks": blocks}


def _statement(text: str) -> dict[str, Any]:
    """The first line is the head, unless it is more than that: nothing of it may be cut."""
    first, _, rest = text.partition("\n")
    return section(bold(first), rest) if len(first) <= _HEAD else section("", text)
