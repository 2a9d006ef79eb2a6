"""A notification that Alertmanager cut short is completed from its own API."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import structlog

from daemon.core.alertmanager import Alert, Delivery
from daemon.core.grafana import of_grafana
from daemon.core.values.outcome import Permanent, Temporary

_log = structlog.get_logger()

PAUSES = (1, 5, 15, 60, 300)
"""Seconds between the tries."""

Tell = Callable[[Sequence[Alert]], Awaitable[None]]


class AlertSource(Protocol):
    """Alertmanager's own API."""

    async def alerts(self, group_labels: Mapping[str, str], receiver: str) -> Sequence[Alert]:
        """The firing alerts of a group that go to `receiver`. Raises Temporary or Permanent."""


async def complete(source: AlertSource | None, delivery: Delivery, tell: Tell) -> None:
    """Read what the truncated notification left out, and tell it; try again while that fails
    for now. Without a source it stays incomplete, and the log says so."""
    for pause in (*PAUSES, None):
        try:
            if of_grafana(delivery):
                raise Permanent("Grafana cut it short: set `Max Alerts` of its contact point to 0")
            if source is None:
                raise Permanent("no `alertmanager.url` in the settings")
            await tell(await source.alerts(delivery.group_labels, delivery.receiver))
        except Exception as error:
            if pause is None or not isinstance(error, Temporary):
                _log.error("a truncated notification stays incomplete", error=str(error))
                return
            _log.warning("a truncated notification is not complete yet", error=str(error))
            await asyncio.sleep(pause)
        else:
            return
