"""The port to what Alertmanager lists."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from daemon.core.reconciliation.listing import PeerListing, Silence
from daemon.core.rules.matchers import Matcher


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


@dataclass(frozen=True)
class Silencing:
    """A silence to be: whom it concerns, until when, and why, with a link."""

    matchers: tuple[Matcher, ...]
    until: datetime
    comment: str


@dataclass(frozen=True)
class StandingSilence:
    """A silence of ours that has not ended: its id, and when it began."""

    silence: str
    began: datetime


class Silencer(Protocol):
    """Sets silences in an Alertmanager, in our name. Everything raises Temporary or Permanent."""

    async def standing(self, mark: str) -> Sequence[StandingSilence]:
        """Those of ours that have not ended and whose comment begins with this mark."""

    async def put(self, silencing: Silencing, instead: StandingSilence | None) -> tuple[str, str]:
        """Set it, `instead` of one that stands, which is extended if it matches the same. Returns
        the id, and the address where people see it."""

    async def end(self, silence: str) -> None:
        """Let it end now; one that has ended or is gone is no error."""
