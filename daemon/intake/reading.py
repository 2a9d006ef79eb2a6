"""Reading a delivery without holding up the event loop, however large it is."""

from __future__ import annotations

import asyncio

from daemon.core.alertmanager import Delivery
from daemon.core.grafana import parse_any_delivery
from daemon.intake.slices import parse_in_slices

LARGE = 256 * 1024
"""Bytes; up to here reading a body takes some milliseconds and is done at once."""
TURN = 500
"""After so many alerts everybody else has their turn."""


class Reader:
    """Reads bodies; of the large ones, one at a time, so that many do not add up."""

    def __init__(self) -> None:
        self._large = asyncio.Lock()

    async def read(self, body: bytes) -> Delivery:
        """The delivery. Raises NotADelivery."""
        if len(body) <= LARGE:
            return parse_any_delivery(body)
        async with self._large:
            slices = parse_in_slices(body)
            while True:
                try:
                    next(slices)
                except StopIteration as done:
                    read: Delivery = done.value
                    return read
                await asyncio.sleep(0)
