"""Sees changes as they happen, so that a suspect is known before anybody asks for one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import structlog

from daemon.casebook import Casebook
from daemon.core.outcome import Permanent, Temporary
from daemon.core.ports import Watch
from daemon.core.rules import Rule
from daemon.core.suspects import Change

log = structlog.get_logger()

EVERY = timedelta(seconds=2)

MakeWatch = Callable[[str, Mapping[str, Any]], Watch]


class Watcher:
    """Looks at what the rules' `changes:` name, every two seconds and when asked."""

    def __init__(
        self, book: Casebook, rules: Callable[[], Sequence[Rule]], make: MakeWatch
    ) -> None:
        self._book = book
        self._rules = rules
        self._make = make

    async def run(self) -> None:
        """Look at everything again and again, until cancelled."""
        while True:
            for rule in self._rules():
                try:
                    await self.changes(rule)
                except (Temporary, Permanent) as error:
                    log.warning("changes cannot be seen", rule=rule.rule, error=str(error))
                except Exception:
                    log.exception("watching for changes crashed", rule=rule.rule)
            await asyncio.sleep(EVERY.total_seconds())

    async def changes(self, rule: Rule) -> list[Change]:
        """Look now, and return all changes known of what this rule watches, oldest first.

        Raises Temporary or Permanent.
        """
        found: list[Change] = []
        for kind, params in rule.changes.items():
            seen = await self._make(kind, params).look()
            if seen is None:
                continue
            known = await self._book.journal.changes(seen.subject)
            # Two looks may meet here. Each saves what its own reading did not hold, which is
            # harmless twice, and returns it; only so none of them misses a change.
            noted = any((c.item, c.at) == (seen.item, seen.at) for c in known)
            if not noted and (not known or known[-1].item != seen.item):
                previous = known[-1].item if known else ""
                seen = seen.model_copy(update={"previous": previous})
                await self._book.journal.saw_change(seen)
                log.info("change seen", subject=seen.subject, item=seen.item)
                known.append(seen)
            found += known
        return sorted(found, key=lambda change: change.at)
