"""Whose an alert is, where people have merged incidents or split one: by routes, not by its key.

An alert goes to the open incident of its key (`rules.incident_key`). An incident that absorbed
another takes the alerts of that one's key, too; one that was split off takes some of the alerts of
the key that it came from.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from daemon.core.alertmanager import Alert, Labels
from daemon.core.values.units import Frozen


class AlertRoute(Frozen):
    """Alerts that belong to another incident than the one of their key.

    Of the key `key` these are the `alerts` (their identities), and those with all of `labels`;
    without either, all of them.
    """

    key: str
    alerts: tuple[str, ...] = ()
    labels: Labels = Field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether all alerts of the key go this way."""
        return not self.alerts and not self.labels

    def takes(self, alert: Alert) -> bool:
        """Whether an alert of its key goes this way."""
        if self.whole or alert.identity in self.alerts:
            return True
        return bool(self.labels) and self.labels.items() <= alert.labels.items()


Routes = tuple[AlertRoute, ...]


def taker(
    routes: Iterable[tuple[str, Routes]], key: str, alert: Alert, holder: str | None
) -> str | None:
    """The incident that an alert of that key goes to; None if there is none.

    `routes`: what each open incident takes of others, by its id. `holder`: the open incident of
    the key. Routes of some alerts go before it; routes of all only matter without it.
    """
    whole: str | None = None
    for incident, some in routes:
        for route in some:
            if route.key != key or not route.takes(alert):
                continue
            if not route.whole:
                return incident
            whole = incident
    return holder or whole
