"""The replicas that share the store, and whose each open incident is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from daemon.core.ports.replicas import OwnedIncident, ReplicaStatus
from daemon.core.reporting.replica_words import replica_line, replica_troubles
from daemon.core.values.units import Frozen
from daemon.web.api.operation import ApiOperation, Call
from daemon.web.context import WebContext


class ReplicaView(Frozen):
    """One replica. `here`: it answers this. `lease_until` is null where there can be one daemon
    only. `ahead_seconds`: by how much its clock was before the database's. `rules`: alike for
    those that have the same rules folder in force, roster and approvals too. `text`: what is its
    own, in words."""

    name: str
    version: str
    rules: str
    started_at: datetime
    renewed_at: datetime
    lease_until: datetime | None
    alive: bool
    here: bool
    ahead_seconds: float
    incidents: int
    deliveries: int
    duties: tuple[str, ...] = ()
    text: str


class ReplicaList(Frozen):
    """All replicas by name, and how many open incidents and deliveries no living one has.
    `troubles`: what is wrong, each in a sentence. `owners`: whose each open incident is, the
    oldest first; null unless asked for."""

    replicas: tuple[ReplicaView, ...]
    unowned_incidents: int
    unowned_deliveries: int
    troubles: tuple[str, ...]
    owners: tuple[OwnedIncident, ...] | None = None


class ReplicaQuery(Frozen):
    """`owners=incidents`: tell whose each open incident is, too."""

    owners: Literal["", "incidents"] = ""


class ReplicaOperations:
    """The rows."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def operations(self) -> list[ApiOperation]:
        """The rows of the table."""
        return [ApiOperation("GET", "/api/v1/replicas", self.replicas, "viewer", "system")]

    async def replicas(self, call: Call[None, ReplicaQuery, None]) -> ReplicaList:
        """List the daemons that share the store: who is alive, and what each conducts.

        With `?owners=incidents`, whose each open incident is.
        """
        return await replica_list(self._context, owners=bool(call.query.owners))


async def replica_list(context: WebContext, *, owners: bool = False) -> ReplicaList:
    """All replicas, for programs and pages. Raises Temporary."""
    register = context.replicas
    if register is None:
        return ReplicaList(replicas=(), unowned_incidents=0, unowned_deliveries=0, troubles=())
    survey = await register.survey()
    duties: dict[str, list[str]] = {}
    for held in await context.duties.holders() if context.duties is not None else ():
        duties.setdefault(held.owner, []).append(held.duty)
    return ReplicaList(
        replicas=tuple(
            _view(one, context.replica_name, duties.get(one.name, ())) for one in survey.replicas
        ),
        unowned_incidents=survey.orphans,
        unowned_deliveries=survey.orphaned_deliveries,
        troubles=replica_troubles(survey),
        owners=tuple(await register.owners()) if owners else None,
    )


def _view(replica: ReplicaStatus, here: str, duties: Sequence[str]) -> ReplicaView:
    return ReplicaView(
        name=replica.name,
        version=replica.version,
        rules=replica.rules,
        started_at=replica.started_at,
        renewed_at=replica.renewed_at,
        lease_until=replica.lease_until,
        alive=replica.alive,
        here=replica.name == here,
        ahead_seconds=replica.ahead,
        incidents=replica.incidents,
        deliveries=replica.deliveries,
        duties=tuple(duties),
        text=replica_line(replica, duties),
    )
