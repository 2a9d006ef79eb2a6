"""Test alerts of `stopgap doctor`: known when they arrive, and kept from the incidents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from daemon.core.alertmanager import Alert, Delivery
from daemon.core.ports.notes import Notes
from daemon.core.reconciliation.probe_alerts import (
    PROBE_LABEL,
    PROBE_NOTE,
    REMEMBERED,
    probe_number,
)

_log = structlog.get_logger()


class Probes:
    """Notes in the store which test alerts arrived. `secrets`: of the keys that sign them."""

    def __init__(
        self, secrets: Callable[[], Sequence[str]], notes: Notes, clock: Callable[[], datetime]
    ) -> None:
        self._secrets = secrets
        self._notes = notes
        self._clock = clock

    async def took(self, alert: Alert, delivery: Delivery) -> bool:
        """Whether the alert is a test alert and concerns nobody. Raises Temporary or Permanent if
        it cannot be noted."""
        if PROBE_LABEL not in alert.labels:
            return False
        number = probe_number(alert.labels, self._secrets(), self._clock())
        if not number:
            text = (
                "an alert carries the label of a test alert and is none; it is taken as any other"
            )
            _log.warning(text, alert=alert.name, label=PROBE_LABEL)
            return False
        if alert.status != "firing" or delivery.reconciled:
            return True  # that it is listed does not prove that it can be delivered
        known = await self._notes.read(PROBE_NOTE)
        if number not in known:
            await self._notes.write(PROBE_NOTE, [*known, number][-REMEMBERED:])
            text = "a test alert of `stopgap doctor` arrived; it pages nobody"
            _log.info(text, number=number, receiver=delivery.receiver_name)
        return True
