"""Which of Alertmanager's receivers lead to us.

A name alone proves nothing: another Alertmanager may have a receiver of the same name, which here
goes to somebody else. So a name is ours once an alert that came to us by it is listed under it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import structlog

from daemon.core.alertmanager import Delivery
from daemon.core.grafana import of_grafana
from daemon.core.ports.notes import Notes
from daemon.core.reconciliation.listing import Listing, firing_of

_log = structlog.get_logger()

NOTE = "alertmanager-receivers"
_REMEMBERED = 1000
"""So many of the newest alerts of a receiver that is not known yet are compared."""


class Receivers:
    """Learns the names, and remembers them in the store. `chosen`: the settings say which."""

    def __init__(self, chosen: str | None, notes: Notes) -> None:
        self._chosen = chosen
        self._notes = notes
        self._learned: frozenset[str] | None = None
        self._came_by: dict[str, dict[str, int]] = {}

    @property
    def ours(self) -> Collection[str]:
        """The names that are known to be ours, as they are configured."""
        return {self._chosen} if self._chosen else self._learned or frozenset()

    @property
    def candidates(self) -> Collection[str]:
        """Those, and the names that may turn out to be ours."""
        return {*self.ours, *self._came_by}

    def on_delivery(self, delivery: Delivery) -> None:
        """A delivery came in by one of them."""
        name = delivery.receiver_name
        if delivery.reconciled or of_grafana(delivery) or self._chosen or name in self.ours:
            return
        alerts = self._came_by.setdefault(name, {})
        for alert in delivery.alerts:
            alerts.pop(alert.identity, None)
            alerts.update([firing_of(alert)])
        for identity in list(alerts)[:-_REMEMBERED]:
            del alerts[identity]

    async def recall(self) -> None:
        """Read what was learned before, once. Raises Temporary."""
        if self._learned is None:
            self._learned = frozenset(await self._notes.read(NOTE))

    async def learn(self, listed: Iterable[Listing]) -> None:
        """Compare what came with what is listed. Raises Temporary."""
        found = set(self.ours)
        for listing in listed:
            identity, start = listing.firing
            if self._came_by.get(listing.receiver, {}).get(identity) == start:
                found.add(listing.receiver)
        if self._chosen or found == set(self.ours):
            return
        await self._notes.write(NOTE, sorted(found))
        _log.info("learned which of Alertmanager's receivers are ours", receivers=sorted(found))
        self._learned = frozenset(found)
        for name in found:
            self._came_by.pop(name, None)
