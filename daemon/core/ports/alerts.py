"""The port to what Alertmanager lists."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from daemon.core.reconciliation.listing import PeerListing, Silence


class AlertsApi(Protocol):
    """One peer of an Alertmanager. Everything raises Temporary or Permanent."""

    @property
    def name(self) -> str:
        """Its address for people, without credentials."""

    async def look(self, receivers: Collection[str]) -> PeerListing:
        """What it lists in the groups of these receivers (all peers alike; none: nothing)."""

    async def present(self) -> Collection[str]:
        """The identities of all alerts that it lists, whatever their receivers."""

    async def silence(self, identity: str) -> Silence:
        """A silence as it stands."""
