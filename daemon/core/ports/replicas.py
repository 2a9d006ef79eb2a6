"""The port to the register of replicas: who is alive, and which incidents and deliveries are whose.

Several daemons share one store. An incident is conducted by the replica that its head names, while
that one's lease lasts; what has no living owner is taken by another. All times are the database's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from daemon.core.values.units import Frozen, Moment


@dataclass(frozen=True)
class Fence:
    """Who appends: the replica of that name, as the process `instance`, which no other one is."""

    replica: str
    instance: str


class NotOwner(Exception):
    """The incident is another's, or the lease is over: nothing was appended. `owner` is whom its
    head names; empty for nobody."""

    def __init__(self, incident: str, owner: str, why: str) -> None:
        super().__init__(f"incident {incident} is not ours to conduct: {why}")
        self.owner = owner


class NotOurs(Exception):
    """This replica may not act now: its lease is over, or the incident has gone to another."""


class ReplicaStatus(Frozen):
    """One replica as the store knows it.

    `format`: the revision of the events that it writes; `rules`: a digest of the rules in force on
    it, the roster and all else of the rules folder. `lease_until` is None where there can be one
    daemon only, which needs no lease. `alive`: its lease lasts. `ahead`: by so many seconds its
    clock was before the database's when it last renewed. `incidents` and `deliveries`: how many
    open ones are its own.
    """

    name: str
    version: str
    format: int
    rules: str = ""
    started_at: Moment
    renewed_at: Moment
    lease_until: Moment | None = None
    ahead: float = 0.0
    alive: bool = True
    incidents: int = 0
    deliveries: int = 0


class OwnedIncident(Frozen):
    """An open incident and the replica that conducts it; empty for nobody just now."""

    incident: str
    title: str
    owner: str


@dataclass(frozen=True)
class ReplicaSurvey:
    """All replicas at one moment `now`, by the database's clock, and what has no living owner: so
    many open incidents, so many deliveries. `beyond`: so many open incidents have entries of a
    newer stopgap than any that is alive."""

    now: datetime
    replicas: Sequence[ReplicaStatus]
    orphans: int
    orphaned_deliveries: int
    beyond: int = 0

    @property
    def alive(self) -> int:
        """How many replicas are alive."""
        return sum(replica.alive for replica in self.replicas)

    @property
    def incidents(self) -> int:
        """How many incidents are open, whosever they are."""
        return self.orphans + sum(one.incidents for one in self.replicas if one.alive)

    def own(self, name: str) -> int:
        """How many open incidents are that replica's."""
        return next((one.incidents for one in self.replicas if one.name == name), 0)


class ReplicaRegister(Protocol):
    """Registers this process as a replica, and takes what nobody else conducts. Everything raises
    Temporary or Permanent if the store cannot be asked."""

    async def join(self, rules: str, wall: datetime) -> bool:
        """Be one of the replicas, with a lease. False while another process of that name is
        alive; `wall` is our own time of day."""

    async def renew(self, rules: str, wall: datetime) -> bool:
        """Ask for the lease anew. False if the store knows this process no more: join again."""

    async def leave(self) -> None:
        """Be none any more; what was ours is anybody's at once."""

    async def survey(self) -> ReplicaSurvey:
        """Who is there, and what is nobody's."""

    async def owned(self) -> list[str]:
        """The open incidents that are ours, the oldest first."""

    async def take(self, most: int) -> list[str]:
        """Take so many open incidents of those without a living owner, the oldest first. None if
        our own lease is over."""

    async def take_these(self, incidents: Collection[str]) -> list[str]:
        """Take those of them, open or closed, that are ours already or have no living owner."""

    async def owners(self) -> list[OwnedIncident]:
        """Whose each open incident is, the oldest first."""

    async def owner_of(self, incident: str) -> str:
        """The replica that conducts the incident; empty for nobody just now, for one that is
        closed, and where there is one daemon only."""


class Ownership(Protocol):
    """What of the store is this process's to conduct, known without asking the store."""

    @property
    def fence(self) -> Fence | None:
        """Who appends what begins an effect; None where there is one daemon only."""

    @property
    def lease(self) -> timedelta:
        """So long after it was last heard of a replica may yet begin something."""

    def may_act(self) -> bool:
        """Whether this process may do anything to the world now."""

    def owns(self, incident: str) -> bool:
        """Whether the incident is this process's to conduct."""

    def opens(self, incident: str) -> str:
        """Who conducts an incident that this process opens now: its own name, or empty for
        whoever takes it."""

    def wants(self, incident: str) -> None:
        """There is something to do about a closed incident that is not ours: if nobody alive owns
        it, it is to be."""

    def over(self, incident: str) -> None:
        """The incident is closed, and nothing of it is left to do here: it is forgotten."""

    def lost(self, incident: str, owner: str) -> None:
        """The store has said that the incident is not ours to conduct, but `owner`'s; if that is
        us, our lease is over."""


class SoleDaemon:
    """The `Ownership` of the only daemon of its store: everything is its own, for good."""

    fence: Fence | None = None
    lease = timedelta(0)

    def may_act(self) -> bool:
        """Always."""
        return True

    def owns(self, incident: str) -> bool:
        """Always."""
        return True

    def opens(self, incident: str) -> str:
        """Nobody's name, for there is nobody else."""
        return ""

    def wants(self, incident: str) -> None:
        """Never asked for: it is its own already."""

    def over(self, incident: str) -> None:
        """Nothing is kept of it."""

    def lost(self, incident: str, owner: str) -> None:
        """An incident that was not opened after all."""


SOLE = SoleDaemon()


def must_act(ownership: Ownership, incident: str) -> None:
    """Asked last before anything is done to the world. Raises NotOurs."""
    if not ownership.may_act():
        raise NotOurs("this replica's lease is over, so it does nothing more to the world")
    if not ownership.owns(incident):
        raise NotOurs(f"incident {incident} has gone to another replica")
