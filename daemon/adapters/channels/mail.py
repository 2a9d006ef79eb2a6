"""An update by mail. What was sent cannot be changed."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.adapters.mail import PostOffice
from daemon.core.ports.notification import Message, Receipt
from daemon.core.values.drill_key import marked_subject


class MailChannel:
    """Writes to a list of addresses, who do not see each other."""

    def __init__(self, post_office: PostOffice, addresses: Sequence[str]) -> None:
        self._post_office = post_office
        self._addresses = addresses

    async def post(self, message: Message) -> Receipt:
        """Raises Temporary or Permanent."""
        subject = marked_subject(f"[{message.severity or 'incident'}]", message.title)
        text = message.text + (f"\n\nEverything: {message.link}" if message.link else "")
        proof = await self._post_office.send(self._addresses, subject, text, message.incident)
        return Receipt(proof)
