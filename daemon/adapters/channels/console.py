"""The console: for a first try, and for the sandbox."""

from __future__ import annotations

import structlog

from daemon.core.ports.notification import Message, Receipt

_log = structlog.get_logger()


class ConsoleChannel:
    """Writes the update to the daemon's own log."""

    async def post(self, message: Message) -> Receipt:
        """Always succeeds."""
        _log.info("UPDATE", audience=message.audience, update=message.update, text=message.text)
        return Receipt("written to the console")
