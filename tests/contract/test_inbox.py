"""What every Inbox promises, and how the store's file is opened, shared and survived."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from daemon.adapters.store import SCHEMA, Store, StorePlace, open_store
from daemon.adapters.store import inbox as inbox_module
from daemon.core.incident.events import Draft, Noted
from daemon.core.ports.inbox import Inbox
from daemon.core.ports.journal import HeadState
from daemon.core.values.outcome import Permanent, Temporary
from tests.contract.damage import engine_of

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 1, 14, 3, 20, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)
OPEN = HeadState(phase="defining", title="checkout", severity="", wake_at=None, closed=False)

Opener = Callable[..., AbstractAsyncContextManager[Store]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stopgap.db"


@pytest.fixture
def damaged(path: Path) -> Path:
    path.write_bytes(b"not a database at all, " * 99)
    return path


@pytest.fixture
def opener(place: StorePlace) -> Opener:
    """Opens the same store each time: one entry here for each implementation."""
    return partial(open_store, place)


@pytest.fixture
async def inbox(opener: Opener) -> AsyncIterator[Inbox]:
    async with opener() as store:
        yield store.inbox


class TestInbox:
    """Putting, processing, forgetting."""

    async def test_deliveries_wait_in_the_order_of_arrival(self, inbox: Inbox) -> None:
        for identity in ("c", "a", "b"):
            assert await inbox.put(identity, identity.encode() * 2, NOW) is True
        assert await inbox.pending(9) == [("c", b"cc"), ("a", b"aa"), ("b", b"bb")]
        assert await inbox.pending(1) == [("c", b"cc")]

    async def test_they_outlive_a_restart(self, opener: Opener) -> None:
        async with opener() as store:
            await store.inbox.put("a", b"\x00\xff", NOW)
        async with opener() as store:
            assert await store.inbox.pending(9) == [("a", b"\x00\xff")]
            assert await store.inbox.put("a", b"again", NOW) is False

    async def test_a_known_content_is_told_and_not_stored(self, inbox: Inbox) -> None:
        assert await inbox.put("a", b"first", NOW) is True
        assert await inbox.put("a", b"second", NOW) is False
        await inbox.processed(["a"], {})
        assert await inbox.put("a", b"third", NOW) is False
        assert await inbox.pending(9) == []

    async def test_of_identical_ones_in_one_batch_the_first_is_new(self, inbox: Inbox) -> None:
        await inbox.put("old", b"", NOW)
        identities = ["a", "b", "a", "old", "b", "c", "a"]
        answers = await asyncio.gather(
            *(inbox.put(identity, b"%d" % n, NOW) for n, identity in enumerate(identities))
        )
        assert answers == [True, True, False, False, False, True, False]
        assert (await inbox.pending(9))[1:] == [("a", b"0"), ("b", b"1"), ("c", b"5")]

    async def test_the_bound_is_temporary_and_yields_to_processing(self, opener: Opener) -> None:
        async with opener(max_pending=3) as store:
            inbox = store.inbox
            answers = await asyncio.gather(
                *(inbox.put(str(n), b"", NOW) for n in range(5)), return_exceptions=True
            )
            assert answers[:3] == [True, True, True]
            assert all(isinstance(answer, Temporary) for answer in answers[3:])
        async with opener(max_pending=3) as store:
            inbox = store.inbox
            with pytest.raises(Temporary, match="the inbox holds 3 deliveries"):
                await inbox.put("3", b"", NOW)
            await inbox.processed(["1", "1", "unknown"], {})
            await inbox.processed(["1"], {})  # twice makes no more room than once
            assert await inbox.put("3", b"", NOW) is True
            with pytest.raises(Temporary):
                await inbox.put("4", b"", NOW)

    async def test_the_later_end_of_an_alert_is_kept(self, inbox: Inbox) -> None:
        await inbox.processed([], {"x": NOW + HOUR, "y": NOW})
        await inbox.processed([], {"x": NOW, "y": NOW + HOUR})
        assert await inbox.ended(["x", "y", "z"]) == {"x": NOW + HOUR, "y": NOW + HOUR}
        assert await inbox.ended([]) == {}

    async def test_more_than_one_statement_can_hold(self, inbox: Inbox) -> None:
        many = [str(n) for n in range(2500)]
        assert all(await asyncio.gather(*(inbox.put(n, b"", NOW) for n in many)))
        await inbox.processed(many, dict.fromkeys(many, NOW))
        assert await inbox.pending(9) == []
        assert len(await inbox.ended(many)) == 2500

    async def test_forget_drops_what_is_processed_and_old(self, inbox: Inbox) -> None:
        for identity, at in (("old", NOW), ("waiting", NOW), ("new", NOW + HOUR)):
            await inbox.put(identity, b"", at)
        await inbox.processed(["old", "new"], {"x": NOW, "y": NOW + HOUR})
        await inbox.forget(NOW + HOUR)
        assert await inbox.ended(["x", "y"]) == {"y": NOW + HOUR}
        assert await inbox.pending(9) == [("waiting", b"")]
        assert await inbox.put("new", b"", NOW) is False
        assert await inbox.put("old", b"", NOW) is True

    @pytest.mark.parametrize("turns", range(0, 40, 4))
    async def test_a_cancelled_put_harms_no_other(self, inbox: Inbox, turns: int) -> None:
        gone = asyncio.create_task(inbox.put("gone", b"", NOW))
        stays = asyncio.create_task(inbox.put("stays", b"", NOW))
        for _ in range(turns):
            await asyncio.sleep(0.0001)
        gone.cancel()
        assert await stays is True
        assert await inbox.put("next", b"", NOW) is True
        assert [i for i, _ in await inbox.pending(9) if i != "gone"] == ["stays", "next"]

    async def test_what_was_put_before_the_end_is_written(self, opener: Opener) -> None:
        async with opener() as store:
            puts = [asyncio.create_task(store.inbox.put(str(n), b"", NOW)) for n in range(50)]
            await asyncio.sleep(0)
        assert await asyncio.gather(*puts) == [True] * 50
        with pytest.raises(Temporary, match="takes nothing now"):
            await store.inbox.put("late", b"", NOW)
        async with opener() as store:
            assert len(await store.inbox.pending(99)) == 50

    async def test_puts_and_appends_share_the_store(self, opener: Opener) -> None:
        async with opener() as store:

            async def put(name: int) -> None:
                for n in range(20):
                    await store.inbox.put(f"{name}-{n}", b"", NOW)
                    await store.inbox.processed([f"{name}-{n}"], {})

            async def append(name: int) -> None:
                draft = Draft(at=NOW, event=Noted(text="x"))
                await store.journal.open(f"inc-{name}", f"k{name}", [draft], OPEN)
                for n in range(1, 20):
                    await store.journal.append(f"inc-{name}", n, [draft], OPEN)

            await asyncio.gather(*map(put, range(8)), *map(append, range(8)))
            assert [head.seq for head in await store.journal.open_heads()] == [20] * 8
            assert await store.inbox.pending(9) == []

    @pytest.mark.bench
    async def test_two_thousand_puts_a_second(self, opener: Opener) -> None:
        async with opener() as store:

            async def writer(name: int) -> None:
                for n in range(100):
                    await store.inbox.put(f"{name}-{n}", b"x" * 2000, NOW)

            started = time.perf_counter()
            await asyncio.gather(*map(writer, range(32)))
            assert 3200 / (time.perf_counter() - started) > 2000


PUTTING = """
import asyncio, os, sys
from datetime import UTC, datetime
from pathlib import Path
from daemon.adapters.store import open_store

async def put_forever(inbox, name):
    for n in range(1_000_000):
        await inbox.put(f"{name}-{n}", b"x" * 500, datetime.now(UTC))
        os.write(1, f"{name}-{n}\\n".encode())

async def main():
    async with open_store(Path(sys.argv[1]), max_pending=1_000_000) as store:
        await asyncio.gather(*(put_forever(store.inbox, n) for n in range(16)))

asyncio.run(main())
"""


class TestSqlite:
    """The file itself: killed, full, failing, shared, foreign."""

    async def test_a_kill_loses_no_acknowledged_delivery(self, path: Path) -> None:
        daemon = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", PUTTING, str(path)),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
            stdout=asyncio.subprocess.PIPE,
        )
        assert daemon.stdout is not None
        acknowledged = [await daemon.stdout.readline() for _ in range(500)]
        with pytest.raises(Permanent, match=f"in use by another daemon, process {daemon.pid};"):
            async with open_store(path):
                pass
        daemon.send_signal(signal.SIGKILL)
        acknowledged += (await daemon.stdout.read()).splitlines(keepends=True)
        assert await daemon.wait() == -signal.SIGKILL
        known = {line.decode().strip() for line in acknowledged if line.endswith(b"\n")}
        assert len(known) >= 500
        async with open_store(path) as store:  # the lock went with its holder
            stored = {identity for identity, _ in await store.inbox.pending(1_000_000)}
        assert known <= stored

    async def test_what_was_just_stored_is_known_without_asking(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with open_store(path) as store:
            assert await store.inbox.put("a", b"", NOW) is True
            with monkeypatch.context() as patch:
                asked = partial(pytest.fail, "asked of the store")
                patch.setattr(store.journal.database, "take", asked)
                assert await store.inbox.put("a", b"", NOW + HOUR / 2) is False
            assert await store.inbox.put("a", b"", NOW + HOUR) is False  # it still waits
            await store.inbox.processed(["a"], {})
            assert await store.inbox.put("a", b"", NOW + HOUR) is True

    async def test_beyond_so_many_the_store_is_asked(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(inbox_module, "MOST_AT_HAND", 1)
        async with open_store(path) as store:
            for name in "ab":
                assert await store.inbox.put(name, b"", NOW) is True
            asked: list[str] = []
            take = store.journal.database.take
            monkeypatch.setattr(
                store.journal.database,
                "take",
                lambda work, put, urgency: asked.append(put.identity) or take(work, put, urgency),
            )
            assert [await store.inbox.put(name, b"", NOW) for name in "ab"] == [False, False]
            assert asked == ["a"]

    async def test_a_full_disk_is_temporary_for_all_who_wait(self, path: Path) -> None:
        async with open_store(path) as store:
            await store.inbox.put("before", b"", NOW)
            writer = engine_of(store.journal.database)
            assert writer is not None
            with writer.connect() as connection:
                connection.exec_driver_sql("PRAGMA max_page_count = 1")
                connection.commit()
            answers = await asyncio.gather(
                *(store.inbox.put(str(n), b"x" * 50_000, NOW) for n in range(5)),
                return_exceptions=True,
            )
            assert all(isinstance(answer, Temporary) for answer in answers)
            assert "is full; free some space: nothing was acknowledged" in str(answers[0])
            assert await store.inbox.pending(9) == [("before", b"")]
            with writer.connect() as connection:
                connection.exec_driver_sql("PRAGMA max_page_count = 100000")
                connection.commit()
            assert await store.inbox.put("0", b"x" * 50_000, NOW) is True

    async def test_a_failing_disk_is_temporary(self, path: Path) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        async with open_store(path) as store:
            await store.inbox.put("before", b"", NOW)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # write() now fails
            try:
                with pytest.raises(Temporary, match="met an I/O error"):
                    await store.inbox.put("big", b"x" * 500_000, NOW)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert await store.inbox.pending(9) == [("before", b"")]
            assert await store.inbox.put("big", b"x" * 500_000, NOW) is True

    async def test_a_second_daemon_is_refused(self, path: Path) -> None:
        async with open_store(path) as store:
            with pytest.raises(Permanent) as caught:
                async with open_store(path):
                    pass
            assert str(path) in str(caught.value)
            assert f"process {os.getpid()};" in str(caught.value)
            assert await store.inbox.put("a", b"", NOW) is True
        async with open_store(path):
            pass

    async def test_tools_read_beside_the_daemon_and_after_it(self, path: Path) -> None:
        async with open_store(path) as store:
            await store.inbox.put("a", b"", NOW)
            async with open_store(path, readonly=True) as tool:
                assert await tool.inbox.pending(9) == [("a", b"")]
                with pytest.raises(Permanent, match="opened for reading only"):
                    await tool.inbox.forget(NOW)
                with pytest.raises(Temporary, match="takes nothing now"):
                    await tool.inbox.put("b", b"", NOW)
        path.with_name("stopgap.db.lock").unlink()
        async with open_store(path, readonly=True) as tool:
            assert await tool.inbox.pending(9) == [("a", b"")]
        assert not path.with_name("stopgap.db.lock").exists()

    async def test_a_tool_does_not_make_the_file(self, path: Path) -> None:
        with pytest.raises(Permanent, match=r"there is no journal at .*; start the daemon"):
            async with open_store(path, readonly=True):
                pass
        assert list(path.parent.iterdir()) == []

    async def test_a_closed_store_says_so(self, path: Path) -> None:
        async with open_store(path) as store:
            pass
        with pytest.raises(Temporary, match="is closed; the daemon is stopping"):
            await store.journal.heads(1)

    @pytest.mark.parametrize("readonly", [False, True])
    async def test_a_newer_schema_names_the_mend(self, path: Path, readonly: bool) -> None:
        async with open_store(path):
            pass
        with closing(sqlite3.connect(path)) as shell:
            newer = SCHEMA + 1
            # Of tables that say that we may go on with them: test_rolling_upgrade.py.
            shell.execute("UPDATE meta SET value = ? WHERE name != 'keys'", (str(newer),))
            shell.commit()
        text = rf"newer stopgap \(schema {newer}, .*; install that version"
        with pytest.raises(Permanent, match=text):
            async with open_store(path, readonly=readonly):
                pass

    @pytest.mark.parametrize("readonly", [False, True])
    async def test_databases_of_others_are_left_alone(self, path: Path, readonly: bool) -> None:
        with closing(sqlite3.connect(path)) as shell:
            shell.executescript("CREATE TABLE theirs (x)")
        with pytest.raises(Permanent, match="not a journal of stopgap; name another one"):
            async with open_store(path, readonly=readonly):
                pass
        with closing(sqlite3.connect(path)) as shell:
            assert shell.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]

    @pytest.mark.parametrize("readonly", [False, True])
    async def test_a_damaged_file_is_permanent(self, damaged: Path, readonly: bool) -> None:
        with pytest.raises(Permanent, match="is damaged or no SQLite database"):
            async with open_store(damaged, readonly=readonly):
                pass

    async def test_a_missing_folder_names_the_mend(self, tmp_path: Path) -> None:
        with pytest.raises(Permanent, match=r"there is no folder .*; correct `store`"):
            async with open_store(tmp_path / "nowhere" / "at-all" / "stopgap.db"):
                pass
