"""Sends through apprise: more than a hundred services by one kind of URL, which is a secret."""

from __future__ import annotations

import asyncio
import logging

from apprise import Apprise, NotifyFormat, NotifyType

from daemon.core.values.outcome import Permanent, Temporary

logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its messages can hold the URL


class AppriseSender:
    """One apprise URL."""

    def __init__(self, url: str) -> None:
        self._apprise = Apprise()
        if not self._apprise.add(url):
            raise Permanent("apprise does not know this kind of URL; see its list of services")

    @property
    def room(self) -> int:
        """Characters of a body that the service takes at once."""
        return min(int(server.body_maxlen) for server in self._apprise)

    async def send(self, title: str, body: str, *, failure: bool) -> str:
        """Deliver; `failure` says that something is broken. apprise tells no reason when it
        fails, so each failure is Temporary."""
        kind = NotifyType.FAILURE if failure else NotifyType.INFO
        sent = await asyncio.to_thread(
            self._apprise.notify,
            body=body,
            title=title,
            notify_type=kind,
            body_format=NotifyFormat.TEXT,  # so that labels make no markup where it is HTML
        )
        if not sent:
            raise Temporary("apprise could not deliver it")
        return "accepted by apprise"
