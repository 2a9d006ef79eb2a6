"""What only one replica at a time may do: leases in the store, and who goes by them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import timedelta

from daemon.adapters.store import StorePlace, open_store
from daemon.core.ports.duties import Duties, DutyHolder
from daemon.core.values.lease import ClockReading
from daemon.core.values.outcome import Temporary
from daemon.replaying.virtual_time import run_virtually
from daemon.watching.duties import ALL_DUTIES, DutyKeeper
from tests.fakes import START

LEASE = timedelta(seconds=15)


async def test_a_duty_is_one_replicas_until_its_lease_ends(place: StorePlace) -> None:
    async with open_store(place) as store:
        duties: Duties = store.duties
        assert await duties.take(["retention", "drills"], "a", LEASE) == {"retention", "drills"}
        assert await duties.take(["retention", "changes"], "b", LEASE) == {"changes"}
        assert await duties.take(["retention"], "a", LEASE) == {"retention"}  # renewed
        assert [(one.duty, one.owner) for one in await duties.holders()] == [
            ("changes", "b"),
            ("drills", "a"),
            ("retention", "a"),
        ]
        await duties.leave("a")
        assert await duties.take(["retention"], "b", LEASE) == {"retention"}


async def test_a_lease_that_has_ended_is_anybodys(place: StorePlace) -> None:
    async with open_store(place) as store:
        assert await store.duties.take(["retention"], "a", timedelta(0)) == {"retention"}
        assert await store.duties.holders() == []
        assert await store.duties.take(["retention"], "b", LEASE) == {"retention"}
        assert await store.duties.take(["retention"], "a", LEASE) == frozenset()


async def test_of_many_that_ask_at_once_one_has_it(place: StorePlace) -> None:
    async with open_store(place) as store:
        taken = await asyncio.gather(
            *(store.duties.take(["retention"], f"r{n}", LEASE) for n in range(20))
        )
    assert sum(bool(names) for names in taken) == 1


class Leases:
    """The duties of a store in memory, whose clock is the loop's; it may be out of reach."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[str, float]] = {}
        self.away: set[str] = set()

    async def take(self, names: Collection[str], owner: str, lease: timedelta) -> frozenset[str]:
        if owner in self.away:
            raise Temporary("the database is away")
        now = asyncio.get_running_loop().time()
        for name in names:
            holder, until = self.rows.get(name, ("", 0.0))
            if holder == owner or until <= now:
                self.rows[name] = (owner, now + lease.total_seconds())
        return frozenset(name for name in names if self.rows[name][0] == owner)

    async def leave(self, owner: str) -> None:
        if owner in self.away:
            raise Temporary("the database is away")
        self.rows = {n: row for n, row in self.rows.items() if row[0] != owner}

    async def holders(self) -> list[DutyHolder]:
        now = asyncio.get_running_loop().time()
        return [DutyHolder(n, owner, until - now) for n, (owner, until) in self.rows.items()]


class Worker:
    """One replica that does one duty, and notes each second that it did."""

    def __init__(self, leases: Leases, name: str, log: list[tuple[str, float]]) -> None:
        self.name = name
        self.log = log
        self.slept = 0.0
        self.keeper = DutyKeeper(self._clocks, leases, name, LEASE)

    def _clocks(self) -> ClockReading:
        now = asyncio.get_running_loop().time() + self.slept
        return ClockReading(now, START + timedelta(seconds=now))

    async def work(self) -> None:
        while True:
            if self.keeper.mine("retention"):
                self.log.append((self.name, asyncio.get_running_loop().time()))
            await asyncio.sleep(1)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(self.keeper.run()),
            asyncio.create_task(self.keeper.hold("retention", self.work)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def turns(log: list[tuple[str, float]]) -> list[str]:
    """Who did it, one after the other."""
    names = [name for name, _ in log]
    return [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]


def story(tell: Callable[[Leases, Worker, Worker], object]) -> list[tuple[str, float]]:
    log: list[tuple[str, float]] = []

    async def play() -> None:
        leases = Leases()
        one, other = Worker(leases, "a", log), Worker(leases, "b", log)
        async with one.running():
            await asyncio.sleep(1)
            async with other.running():
                await tell(leases, one, other)  # type: ignore[misc]

    run_virtually(play)
    return log


def test_one_does_it_and_the_other_waits() -> None:
    async def tell(*_: object) -> None:
        await asyncio.sleep(120)

    assert turns(story(tell)) == ["a"]


def test_one_that_cannot_renew_stops_before_the_other_begins() -> None:
    async def tell(leases: Leases, *_: object) -> None:
        await asyncio.sleep(30)
        leases.away.add("a")
        await asyncio.sleep(60)

    log = story(tell)
    assert turns(log) == ["a", "b"]
    ended = max(at for name, at in log if name == "a")
    began = min(at for name, at in log if name == "b")
    assert ended < 31 + LEASE.total_seconds()
    assert began > ended
    assert began <= 31 + LEASE.total_seconds() * 4 / 3 + 1


def test_one_that_was_suspended_does_nothing_more() -> None:
    async def tell(_: Leases, one: Worker, __: Worker) -> None:
        await asyncio.sleep(30)
        one.slept = 3600.0  # its clocks go on while it sleeps; it wakes in the middle of its work
        assert not one.keeper.mine("retention")

    story(tell)


def test_what_is_given_up_at_the_end_is_taken_at_the_next_look() -> None:
    log: list[tuple[str, float]] = []

    async def play() -> None:
        leases = Leases()
        one, other = Worker(leases, "a", log), Worker(leases, "b", log)
        async with one.running():
            await asyncio.sleep(10)
            begun = other.running()
            await begun.__aenter__()
            await asyncio.sleep(1)
        await asyncio.sleep(LEASE.total_seconds() / 3)
        await begun.__aexit__(None, None, None)

    run_virtually(play)
    assert turns(log) == ["a", "b"]


async def test_without_other_replicas_all_duties_are_ours() -> None:
    keeper = DutyKeeper(lambda: ClockReading(0.0, START))
    done: list[str] = []

    async def work() -> None:
        done.append("done")

    await keeper.hold("retention", work)
    assert done == ["done"]
    assert all(keeper.mine(duty) for duty in ALL_DUTIES)
