"""The port to the maintenance windows that were announced."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from daemon.core.recovery.maintenance import MaintenanceWindow


class MaintenanceStore(Protocol):
    """Keeps the windows, durably. Everything raises Temporary or Permanent."""

    async def add_window(self, window: MaintenanceWindow) -> None:
        """Keep a window that was announced."""

    async def end_window(self, window: str, by: str, at: datetime) -> bool:
        """End a window before its time; False if there is none, or it is over already."""

    async def windows_since(self, since: datetime) -> list[MaintenanceWindow]:
        """The windows that end then or later, by their announced end, the first to begin first."""
