"""An update through apprise. What was sent cannot be changed."""

from __future__ import annotations

from daemon.adapters.apprise import AppriseSender
from daemon.core.ports.notification import Message, Receipt
from daemon.core.values.outgoing import OutgoingPolicy


class AppriseChannel:
    """Sends to one apprise URL, which is a secret, where `outgoing` lets it lead."""

    def __init__(self, url: str, outgoing: OutgoingPolicy) -> None:
        self._sender = AppriseSender(url, outgoing, paced=True)

    async def post(self, message: Message) -> Receipt:
        """Raises Temporary; Permanent if the service redirects."""
        body = f"{message.text}\n\n{message.link}".strip()
        return Receipt(await self._sender.send(message.title, body, failure=False))
