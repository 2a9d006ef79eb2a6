"""The one writer: who shares a commit, who goes first, and what the fault of one does to others.

Nothing here depends on time: commits are counted, and the writer is held while others queue up.
"""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import threading
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from daemon.adapters.store import Store, open_store
from daemon.adapters.store.database import Database
from daemon.adapters.store.schema import meta
from daemon.adapters.store.turns import MOST_AT_ONCE, PASSED_OVER, Unit, WriteQueue
from daemon.adapters.store.writer import UNITS_AT_ONCE
from daemon.core.ports.journal import Claim, KeyTaken
from daemon.core.ports.urgency import Urgency
from daemon.core.values.outcome import Permanent, Temporary
from tests.contract.damage import engine_of
from tests.contract.test_journal import LIMITS, NOW, OPEN, SHOP, TARGET, claim, note, opened, seq
from tests.contract.test_journal_sqlite import with_page_limit

HIGH, NORMAL, LOW = Urgency


class Watched:
    """A store whose commits are counted, and whose writer can be held."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.database: Database = store.journal.database
        self.commits = 0
        self.done: list[str] = []
        writer = engine_of(self.database)
        assert writer is not None
        event.listen(writer, "commit", self._count)

    def _count(self, _: Connection) -> None:
        self.commits += 1

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Whatever comes in here comes while a commit is under way."""
        begun, let_go = threading.Event(), threading.Event()

        def hold(_: Connection) -> None:
            begun.set()
            let_go.wait()

        holding = asyncio.create_task(self.database.write(hold))
        await asyncio.to_thread(begun.wait)
        try:
            yield
        finally:
            self.commits = -1  # the one that was held is not counted
            let_go.set()
            await holding

    async def together(self, *work: Coroutine[Any, Any, Any]) -> list[Any]:
        """The results of what came during one commit; `commits` is what they took."""
        async with self.held():
            tasks = [asyncio.create_task(one) for one in work]
            for _ in range(5):
                await asyncio.sleep(0)  # by now each waits for the writer
        return await asyncio.gather(*tasks, return_exceptions=True)

    async def say(self, name: str, urgency: Urgency = NORMAL) -> str:
        """Write something, and remember in which order that was done."""

        def work(_: Connection) -> str:
            self.done.append(name)
            return name

        return await self.database.write(work, urgency)

    async def put(self, name: str, size: int = 0) -> bool:
        return await self.store.inbox.put(name, b"x" * size, NOW)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stopgap.db"


@pytest.fixture
async def watched(path: Path) -> AsyncIterator[Watched]:
    async with open_store(path) as store:
        yield Watched(store)


def names(results: Sequence[object]) -> list[str]:
    """The results, errors by their type."""
    return [type(r).__name__ if isinstance(r, Exception) else str(r) for r in results]


class TestTurns:
    """Who is written next."""

    @staticmethod
    def wait(turns: WriteQueue, urgency: Urgency, count: int = 1) -> list[Unit]:
        loop = asyncio.get_running_loop()
        units = [
            Unit(lambda *_: (), None, urgency, loop.create_future(), 0.0) for _ in range(count)
        ]
        for unit in units:
            turns.add(unit)
        return units

    async def test_the_urgent_go_first_and_equals_in_the_order_of_coming(self) -> None:
        turns = WriteQueue()
        low, normal, high = (self.wait(turns, urgency, 2) for urgency in (LOW, NORMAL, HIGH))
        assert turns.take() == [*high, *normal, *low]
        assert turns.take() == []

    async def test_more_than_fit_wait_for_the_next(self) -> None:
        turns = WriteQueue()
        low = self.wait(turns, LOW)
        high = self.wait(turns, HIGH, MOST_AT_ONCE + 1)
        assert turns.take() == high[:-1]
        assert turns.take() == [high[-1], *low]

    async def test_a_flood_of_the_urgent_delays_the_others_and_starves_none(self) -> None:
        turns = WriteQueue()
        low = self.wait(turns, LOW)[0]
        self.wait(turns, HIGH, MOST_AT_ONCE)
        for _ in range(2 * PASSED_OVER):
            assert low not in turns.take()
            self.wait(turns, HIGH, MOST_AT_ONCE)
        assert turns.take()[0] is low  # by now it came before all who are as urgent


class TestSharing:
    """What waits together is committed together."""

    async def test_all_kinds_of_writes_share_one_commit(self, watched: Watched) -> None:
        await opened(watched.store.journal, "inc-1")
        results = await watched.together(
            watched.put("a"),
            watched.store.journal.append("inc-1", 1, [note("x")], OPEN),
            watched.store.journal.open("inc-2", "k2", [note("y")], OPEN),
            watched.store.inbox.processed([], {"alert": NOW}),
            watched.put("b"),
        )
        assert results == [True, None, None, None, True]
        assert watched.commits == 1

    async def test_five_hundred_incidents_open_in_a_few_commits(self, watched: Watched) -> None:
        journal = watched.store.journal
        await watched.together(
            *(journal.open(f"inc-{n}", f"k{n}", [note("x")], OPEN) for n in range(500))
        )
        assert len(await journal.open_heads()) == 500
        assert watched.commits == -(-500 // MOST_AT_ONCE)

    async def test_what_is_alone_is_written_at_once(self, watched: Watched) -> None:
        for name in "abc":
            await watched.say(name)
        assert watched.commits == 3

    async def test_the_urgent_are_done_first(self, watched: Watched) -> None:
        said = [("low", LOW), ("normal", NORMAL), ("high", HIGH), ("high too", HIGH)]
        await watched.together(*(watched.say(*one) for one in said))
        assert watched.done == ["high", "high too", "normal", "low"]

    async def test_nobody_is_told_before_the_commit(self, watched: Watched) -> None:
        told_early: list[bool] = []
        loop = asyncio.get_running_loop()
        writer = engine_of(watched.database)
        assert writer is not None
        async with watched.held():
            tasks = [asyncio.create_task(watched.say(name)) for name in "ab"]
            await asyncio.sleep(0)

            @event.listens_for(writer, "commit")
            def look(_: Connection) -> None:
                turn = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop)
                turn.result()  # time enough for the loop to tell them
                told_early.append(any(task.done() for task in tasks))

        await asyncio.gather(*tasks)
        assert told_early == [False, False]  # the one that was held, and theirs

    async def test_a_crowd_that_is_told_lets_others_in_between(self, watched: Watched) -> None:
        counts = [0]
        async with watched.held():
            tasks = [asyncio.create_task(watched.say(str(n))) for n in range(5 * UNITS_AT_ONCE)]
            counting = asyncio.create_task(self.count(tasks, counts))
            await asyncio.sleep(0)
        await counting
        assert max(after - before for before, after in pairwise(counts)) <= UNITS_AT_ONCE

    @staticmethod
    async def count(tasks: Sequence[asyncio.Task[str]], counts: list[int]) -> None:
        """How many are done, at each turn of the event loop."""
        while counts[-1] < len(tasks):
            await asyncio.sleep(0)
            counts.append(sum(task.done() for task in tasks))


class TestIsolation:
    """What one raises takes back that one alone."""

    async def test_a_conflict_a_refusal_and_a_taken_key_harm_no_other(
        self, watched: Watched
    ) -> None:
        journal = watched.store.journal
        await opened(journal, "inc-1", "inc-2", "inc-3")
        await claim(journal, "inc-1", limits=replace(LIMITS, storm=99))
        results = await watched.together(
            journal.append("inc-2", 1, [note("right")], OPEN),
            journal.append("inc-2", 7, [note("late")], OPEN),
            journal.append("nobody", 1, [note("lost")], OPEN),
            journal.open("inc-4", "key of inc-1", [note("other")], OPEN),
            journal.open("inc-5", "key of inc-5", [note("first")], OPEN),
            journal.open("inc-6", "key of inc-5", [note("second")], OPEN),
            journal.append("inc-3", 1, [note("act")], OPEN, claim=Claim(TARGET, 1, SHOP, LIMITS)),
            watched.put("a"),
            journal.append("inc-3", 1, [note("right too")], OPEN),
        )
        told = (
            "None SequenceConflict SequenceConflict KeyTaken None KeyTaken ClaimRefused True None"
        )
        assert names(results) == told.split()
        assert isinstance(results[5], KeyTaken)
        assert results[5].incident == "inc-5"
        assert watched.commits == 1
        assert [await seq(journal, f"inc-{n}") for n in (1, 2, 3, 5)] == [2, 2, 2, 1]
        assert [head.incident for head in await journal.open_heads() if head.seq == 1] == ["inc-5"]

    async def test_of_two_appends_at_one_place_the_first_stands(self, watched: Watched) -> None:
        journal = watched.store.journal
        await opened(journal, "inc-1")
        results = await watched.together(
            *(journal.append("inc-1", 1, [note(word)], OPEN) for word in ("one", "two")),
            journal.append("inc-1", 2, [note("after it")], OPEN),
        )
        assert names(results) == ["None", "SequenceConflict", "None"]
        said = [entry.event.text for entry in await journal.read("inc-1", 1)]  # type: ignore[union-attr]
        assert said == ["one", "after it"]

    async def test_a_defect_of_one_is_its_own(self, watched: Watched) -> None:
        def broken(connection: Connection) -> None:
            connection.execute(meta.insert().values(name="half", value="done"))
            raise ZeroDivisionError

        results = await watched.together(
            watched.put("a"), watched.database.write(broken), watched.say("b")
        )
        assert names(results) == ["True", "ZeroDivisionError", "b"]
        assert await watched.store.inbox.pending(9) == [("a", b"")]
        query = meta.select().where(meta.c.name == "half")
        assert await watched.database.read(lambda c: c.execute(query).all()) == []

    async def test_what_makes_sqlite_undo_all_of_it_fails_alone(self, watched: Watched) -> None:
        # So SQLite may answer a full disk or an I/O error; this is the way to get it at will.
        script = "INSERT OR ROLLBACK INTO meta SELECT * FROM meta"
        results = await watched.together(
            watched.put("a"),
            watched.database.write(lambda c: c.exec_driver_sql(script)),
            watched.store.journal.open("inc-1", "k", [note("x")], OPEN),
            watched.put("b"),
        )
        assert names(results) == ["True", "Permanent", "None", "True"]
        assert [name for name, _ in await watched.store.inbox.pending(9)] == ["a", "b"]
        assert await seq(watched.store.journal, "inc-1") == 1

    async def test_what_a_full_disk_has_no_room_for_fails_alone(self, watched: Watched) -> None:
        pages = await watched.database.read(
            lambda c: c.exec_driver_sql("PRAGMA page_count").scalar_one()
        )
        await with_page_limit(watched.store.journal, pages + 3)
        results = await watched.together(
            watched.put("small"), watched.put("big", 200_000), watched.put("small too")
        )
        assert names(results) == ["True", "StoreDown", "True"]
        assert "is full; free some space" in str(results[1])
        assert await watched.put("after it") is True
        assert watched.store.inbox.backlog() == 3

    async def test_what_a_failing_commit_kept_from_the_disk_fails_alone(
        self, watched: Watched, path: Path
    ) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        async with watched.held():
            puts = [("small", 0), ("big", 500_000), ("small too", 0)]
            tasks = [asyncio.create_task(watched.put(*one)) for one in puts]
            said = asyncio.create_task(watched.say("it"))
            await asyncio.sleep(0)
            room = path.with_name("stopgap.db-wal").stat().st_size + 100_000
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))  # past it, write() fails
        try:
            results = await asyncio.gather(*tasks, said, return_exceptions=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert names(results) == ["True", "StoreDown", "True", "it"]
        assert await watched.put("big", 500_000) is True

    async def test_a_held_file_fails_all_who_wait_and_the_writer_lives(
        self, watched: Watched, path: Path
    ) -> None:
        writer = engine_of(watched.database)
        assert writer is not None
        with writer.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout = 1")
            connection.commit()
        with closing(sqlite3.connect(path, isolation_level=None)) as shell:
            shell.execute("BEGIN IMMEDIATE")
            answers = await asyncio.gather(
                *(watched.put(name) for name in "def"), return_exceptions=True
            )
            shell.execute("ROLLBACK")
        assert all(isinstance(answer, Temporary) for answer in answers)
        assert watched.store.inbox.backlog() == 0
        assert await watched.put("d") is True


class TestCancelled:
    """Who goes leaves behind what is committed."""

    async def test_who_is_cancelled_while_waiting_is_let_go_after_the_commit(
        self, watched: Watched
    ) -> None:
        journal = watched.store.journal
        async with watched.held():
            going = asyncio.create_task(journal.open("inc-1", "k", [note("x")], OPEN))
            staying = asyncio.create_task(journal.open("inc-2", "k2", [note("y")], OPEN))
            await asyncio.sleep(0)
            going.cancel()
            await asyncio.sleep(0)
            assert not going.done()
        assert await staying is None
        with pytest.raises(asyncio.CancelledError):
            await going
        assert [head.incident for head in await journal.open_heads()] == ["inc-1", "inc-2"]

    async def test_a_cancelled_put_is_counted_until_it_is_worked_off(
        self, watched: Watched
    ) -> None:
        async with watched.held():
            going = asyncio.create_task(watched.put("a"))
            await asyncio.sleep(0)
            going.cancel()
            with pytest.raises(asyncio.CancelledError):
                await going
            assert watched.store.inbox.backlog() == 1
        await watched.say("after it")
        assert watched.store.inbox.backlog() == 1
        await watched.store.inbox.processed(["a"], {})
        assert watched.store.inbox.backlog() == 0

    async def test_what_waits_at_the_end_is_written(self, path: Path) -> None:
        async with open_store(path) as store:
            watched = Watched(store)
            async with watched.held():
                tasks = [asyncio.create_task(watched.put(str(n))) for n in range(3 * MOST_AT_ONCE)]
                await asyncio.sleep(0)
        assert await asyncio.gather(*tasks) == [True] * 3 * MOST_AT_ONCE
        with pytest.raises(Temporary, match="is closed; the daemon is stopping"):
            await watched.say("late")
        async with open_store(path, readonly=True) as store:
            assert len(await store.inbox.pending(9 * MOST_AT_ONCE)) == 3 * MOST_AT_ONCE
            with pytest.raises(Permanent, match="opened for reading only"):
                await store.journal.open("inc-1", "k", [note("x")], OPEN)
