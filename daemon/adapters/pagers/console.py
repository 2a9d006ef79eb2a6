"""The console: for a first try, and for the sandbox. It wakes nobody."""

from __future__ import annotations

import structlog

from daemon.core.ports.notification import Page, Reminder

_log = structlog.get_logger()


class ConsolePager:
    """Writes the page to the daemon's own log."""

    async def page(self, page: Page) -> str:
        """Always succeeds."""
        _log.warning(
            "PAGE", person=page.person, incident=page.incident, title=page.title, text=page.text
        )
        return "written to the console"

    async def remind(self, reminder: Reminder) -> str:
        """Always succeeds."""
        _log.info("REMINDER", **vars(reminder))
        return "written to the console"
