"""The register of replicas in SQL: `daemon.core.ports.replicas.ReplicaRegister`.

Leases begin and end by the database's clock, which is the same for all who share it. SQLite has
none of its own that is any better than ours, and there the daemon's is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import (
    ColumnElement,
    Connection,
    DateTime,
    bindparam,
    delete,
    func,
    select,
    update,
)

from daemon.adapters.store.database import Database
from daemon.adapters.store.schema import delivery_waits, head_is_open, heads, inbox, replicas_table
from daemon.adapters.store.statements import portions
from daemon.core.incident.events import FORMAT
from daemon.core.ports.replicas import (
    Fence,
    NotOwner,
    OwnedIncident,
    ReplicaStatus,
    ReplicaSurvey,
)
from daemon.core.ports.urgency import Urgency
from daemon.core.values.units import format_duration

_DEAD_KEPT = timedelta(days=1)
"""So long a replica is remembered after its lease has ended and nothing is its own."""
_MOST_REPORTED = 10_000
_understood = heads.c.format <= FORMAT
"""What this version can conduct."""


def utc_now() -> datetime:
    """The time of day, in UTC."""
    return datetime.now(UTC)


class SqlReplicas:
    """The register of one store, for the process `fence`. `lease` None: there can be one daemon
    only, which is registered for people to see, and owns everything."""

    def __init__(
        self,
        database: Database,
        fence: Fence,
        version: str,
        lease: timedelta | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._fence = fence
        self._version = version
        self._lease = lease
        self._clock = clock

    async def join(self, rules: str, wall: datetime) -> bool:
        """Be one of the replicas, with a lease. False while another process of that name is
        alive."""
        return await self._database.write(partial(self._join, rules, wall), Urgency.HIGH)

    async def renew(self, rules: str, wall: datetime) -> bool:
        """Ask for the lease anew. False if the store knows this process no more."""
        return await self._database.write(partial(self._renew, rules, wall), Urgency.HIGH)

    async def leave(self) -> None:
        """Be none any more; what was ours is anybody's at once."""
        await self._database.write(self._leave, Urgency.HIGH)

    async def survey(self) -> ReplicaSurvey:
        """Who is there, and what is nobody's."""
        return await self._database.read(partial(survey_replicas, self._clock))

    async def owned(self) -> list[str]:
        """The open incidents that are ours, the oldest first; all, for the only daemon."""
        query = select(heads.c.incident).where(head_is_open, _understood)
        if self._lease is not None:
            query = query.where(heads.c.owner == self._fence.replica)
        ordered = query.order_by(heads.c.opened_at, heads.c.incident)
        return await self._database.read(lambda c: list(c.execute(ordered).scalars()))

    async def take(self, most: int) -> list[str]:
        """Take so many open incidents of those without a living owner, the oldest first."""
        return await self._database.write(partial(self._take, most), Urgency.HIGH)

    async def take_these(self, incidents: Collection[str]) -> list[str]:
        """Take those of them, open or closed, that are ours already or have no living owner."""
        return await self._database.write(partial(self._take_these, incidents), Urgency.HIGH)

    async def owners(self) -> list[OwnedIncident]:
        """Whose each open incident is, the oldest first."""
        return await self._database.read(owned_incidents)

    async def owner_of(self, incident: str) -> str:
        """The replica that conducts the incident; empty for nobody just now, for one that is
        closed, and where there is one daemon only."""
        query = select(heads.c.owner).where(heads.c.incident == incident, head_is_open)
        return await self._database.read(lambda c: c.scalar(query) or "")

    def _join(self, rules: str, wall: datetime, connection: Connection) -> bool:
        now = database_now(connection, self._clock)
        name = replicas_table.c.name == self._fence.replica
        there = connection.execute(select(replicas_table).where(name)).one_or_none()
        # Where there is no lease, the lock of the store's file has kept a second one away.
        namesake = there is not None and there.instance != self._fence.instance
        until = there.lease_until if there is not None and namesake else None
        if until is not None and until > now:
            return False
        connection.execute(delete(replicas_table).where(name))
        connection.execute(
            replicas_table.insert().values(
                name=self._fence.replica,
                instance=self._fence.instance,
                version=self._version,
                started_at=now,
                **self._renewal(rules, wall, now),
            )
        )
        connection.execute(delete(replicas_table).where(self._past(now)))
        return True

    def _past(self, now: datetime) -> ColumnElement[bool]:
        """The others that are remembered no more."""
        others = replicas_table.c.name != self._fence.replica
        if self._lease is None:
            return others
        until = replicas_table.c.lease_until
        return others & (until.is_(None) | (until < now - _DEAD_KEPT))

    def _renew(self, rules: str, wall: datetime, connection: Connection) -> bool:
        now = database_now(connection, self._clock)
        # A newer replica has written into what was ours: it is left to those that can read that.
        beyond = update(heads).where(heads.c.owner == self._fence.replica, ~_understood)
        connection.execute(beyond.values(owner=""))
        renewed = update(replicas_table).where(_is(self._fence))
        return connection.execute(renewed.values(**self._renewal(rules, wall, now))).rowcount == 1

    def _renewal(self, rules: str, wall: datetime, now: datetime) -> dict[str, object]:
        return {
            "format": FORMAT,
            "rules": rules,
            "renewed_at": now,
            "lease_until": None if self._lease is None else now + self._lease,
            "ahead": round((wall - now).total_seconds(), 3),
        }

    def _leave(self, connection: Connection) -> None:
        gone = connection.execute(delete(replicas_table).where(_is(self._fence))).rowcount
        if not gone or self._lease is None:
            return
        owner = self._fence.replica
        ours = update(heads).where(heads.c.owner == owner, head_is_open)
        connection.execute(ours.values(owner=""))
        ours = update(inbox).where(inbox.c.owner == owner, delivery_waits)
        connection.execute(ours.values(owner=""))

    def _take(self, most: int, connection: Connection) -> list[str]:
        now = self._leased_now(connection)
        if now is None:
            return []
        query = (
            select(heads.c.incident)
            .where(head_is_open, _understood, without_owner(heads.c.owner, now))
            .order_by(heads.c.opened_at, heads.c.incident)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        return self._own(connection.execute(query).scalars().all(), connection)

    def _take_these(self, incidents: Collection[str], connection: Connection) -> list[str]:
        now = self._leased_now(connection)
        if now is None:
            return []
        taken: list[str] = []
        ours = heads.c.owner == self._fence.replica
        for some in portions(list(incidents)):
            query = (
                select(heads.c.incident)
                .where(heads.c.incident.in_(some), _understood)
                .where(ours | without_owner(heads.c.owner, now))
                .order_by(heads.c.opened_at, heads.c.incident)
                .with_for_update(skip_locked=True)
            )
            taken += self._own(connection.execute(query).scalars().all(), connection)
        return taken

    def _leased_now(self, connection: Connection) -> datetime | None:
        """The database's time, if we have a lease now."""
        query = select(replicas_table.c.lease_until, moment_column(connection.dialect.name))
        values = moment_values(connection, self._clock)
        row = connection.execute(query.where(_is(self._fence)), values).one_or_none()
        if row is None or lease_fault(self._fence, *row, there=True):
            return None
        now: datetime = row[1]
        return now

    def _own(self, found: Iterable[str], connection: Connection) -> list[str]:
        taken = list(found)
        for some in portions(taken):
            mine = update(heads).where(heads.c.incident.in_(some))
            connection.execute(mine.values(owner=self._fence.replica))
        return taken


def database_now(connection: Connection, clock: Callable[[], datetime]) -> datetime:
    """The time by which leases are reckoned: the database's, or without one of its own `clock`."""
    if connection.dialect.name == "postgresql":
        # Not now(), which stands still in a transaction that waits for its turn to write.
        moment: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return moment
    return clock()


def moment_column(dialect: str) -> ColumnElement[datetime]:
    """The same as a column, for a statement that asks for more; it is carried out with
    `moment_values`."""
    if dialect == "postgresql":
        return func.clock_timestamp(type_=DateTime(timezone=True))
    return bindparam("moment", type_=replicas_table.c.lease_until.type)


def moment_values(connection: Connection, clock: Callable[[], datetime]) -> Mapping[str, datetime]:
    """The parameters of a statement with `moment_column`."""
    return {} if connection.dialect.name == "postgresql" else {"moment": clock()}


def lease_fault(fence: Fence, until: datetime | None, now: datetime, *, there: bool) -> str:
    """Why that process may not begin an effect now; empty if it may. `there`: it is registered,
    with a lease until then."""
    if not there:
        return f"the replica {fence.replica} is registered no more"
    if until is None or until > now:
        return ""
    return f"its lease ended {format_duration(now - until)} ago"


def not_owner(incident: str, owner: str, fence: Fence, why: str) -> NotOwner | None:
    """Why that process, of which `why` says what is wrong with its lease, does not conduct the
    incident; None if it does."""
    if owner != fence.replica:
        return NotOwner(incident, owner, f"it is {owner}'s" if owner else "it is nobody's now")
    return NotOwner(incident, owner, why) if why else None


def survey_replicas(clock: Callable[[], datetime], connection: Connection) -> ReplicaSurvey:
    """Who is there, and what is nobody's."""
    now = database_now(connection, clock)
    incidents = _counts(connection, heads.c.owner, head_is_open)
    deliveries = _counts(connection, inbox.c.owner, delivery_waits)
    rows = connection.execute(select(replicas_table).order_by(replicas_table.c.name)).mappings()
    replicas = []
    for row in rows:
        told = {name: value for name, value in row.items() if name != "instance"}
        until, name = row["lease_until"], row["name"]
        # The only daemon owns what has no owner's name.
        own = (name,) if until is not None else (name, "")
        replicas.append(
            ReplicaStatus(
                **told,
                alive=until is None or until > now,
                incidents=sum(incidents.pop(one, 0) for one in own),
                deliveries=sum(deliveries.pop(one, 0) for one in own),
            )
        )
    dead = [replica for replica in replicas if not replica.alive]
    newest = max((replica.format for replica in replicas if replica.alive), default=FORMAT)
    newer = select(func.count()).select_from(heads).where(head_is_open, heads.c.format > newest)
    return ReplicaSurvey(
        now,
        replicas,
        sum(incidents.values()) + sum(one.incidents for one in dead),
        sum(deliveries.values()) + sum(one.deliveries for one in dead),
        connection.scalar(newer) or 0,
    )


def owned_incidents(connection: Connection) -> list[OwnedIncident]:
    """Whose each open incident is, the oldest first."""
    query = (
        select(heads.c.incident, heads.c.title, heads.c.owner)
        .where(head_is_open)
        .order_by(heads.c.opened_at, heads.c.incident)
        .limit(_MOST_REPORTED)
    )
    return [OwnedIncident(**row) for row in connection.execute(query).mappings()]


def without_owner(owner: ColumnElement[str], now: datetime) -> ColumnElement[bool]:
    """What no living replica owns."""
    until = replicas_table.c.lease_until
    living = select(replicas_table.c.name).where(until.is_(None) | (until > now))
    return owner.not_in(living)


def _counts(
    connection: Connection, owner: ColumnElement[str], those: ColumnElement[bool]
) -> dict[str, int]:
    query = select(owner, func.count().label("number")).where(those).group_by(owner)
    return {row.owner: row.number for row in connection.execute(query)}


def _is(fence: Fence) -> ColumnElement[bool]:
    table = replicas_table.c
    return (table.name == fence.replica) & (table.instance == fence.instance)
