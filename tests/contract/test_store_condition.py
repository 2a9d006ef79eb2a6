"""A store that is damaged, full, moved, deleted or replaced says so at once, and stops saying so
when it is mended."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.adapters.store import Store, open_store
from daemon.adapters.store import inbox as inbox_module
from daemon.core.alertmanager import NotADelivery
from daemon.core.incident.events import Draft, IncidentOpened
from daemon.core.ports.store import StoreDamaged, StoreDown, StoreTrouble
from daemon.core.rules.rule import RuleBook, incident_key, load
from daemon.core.values.outcome import Permanent, Temporary
from daemon.intake.intake import Intake
from daemon.repository import IncidentRepository
from daemon.watching.store_health import RECHECK_SECONDS, StoreWatch, judge
from tests.contract.damage import (
    beside,
    copy_of,
    damage,
    delete,
    holds_something,
    move,
    put_back,
    settled,
)
from tests.contract.test_inbox import NOW, OPEN
from tests.contract.test_journal import CLOSED, note, opened, seq
from tests.contract.test_journal_sqlite import with_page_limit
from tests.stories.stage import RULE, alert, body

MINUTE = timedelta(minutes=1)
NAME = "checkout-success-rate"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "stopgap.db"


@dataclass
class Daemon:
    """As much of a daemon as this needs."""

    store: Store
    watch: StoreWatch
    intake: Intake

    async def looks(self) -> StoreTrouble | None:
        """The watch looks once; what it thinks of the store then."""
        with suppress(Temporary, Permanent):
            await self.watch.look()
        return self.watch.trouble()

    async def kind(self) -> str:
        """Likewise, in a word."""
        trouble = await self.looks()
        return trouble.kind if trouble else ""

    async def takes(self, service: str) -> bool:
        """An alert is delivered. Raises Temporary if it is refused."""
        _, new = await self.intake.receive(body(alert(service=service)))
        return new


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[Daemon]:
    """A store with its watch and its intake."""
    path.parent.mkdir(exist_ok=True)
    async with open_store(path) as store:
        watch = StoreWatch(store.condition, store.inbox, MINUTE)
        repository = IncidentRepository(store.journal, lambda: NOW)
        rules = RuleBook(rule for rule, _ in load(RULE, "checkout.yaml"))
        intake = Intake(
            store.inbox, repository, lambda: rules, None, MINUTE, store_trouble=watch.why_not
        )
        yield Daemon(store, watch, intake)


class TestDamaged:
    async def test_a_damaged_page_of_the_inbox_is_trouble_at_once(self, path: Path) -> None:
        async with running(path) as daemon:
            for name in ("one", "needle", "three"):
                await daemon.store.inbox.put(name, name.encode() * 600, NOW)
            settled(path)
            damage(path, b"needle" * 100)
            assert daemon.watch.trouble() is None
            with pytest.raises(StoreDamaged):
                await daemon.store.inbox.pending(9)
            trouble = daemon.watch.trouble()
            assert trouble is not None
            assert trouble.kind == "damaged"
            assert f"{path} is damaged" in trouble.text
            assert "stopgap store restore" in trouble.text
            with pytest.raises(Temporary, match="is damaged"):
                await daemon.takes("shop")
            with pytest.raises(NotADelivery):
                await daemon.intake.receive(b"{}")

    async def test_that_other_pages_can_be_read_and_written_does_not_excuse_it(
        self, path: Path
    ) -> None:
        async with running(path) as daemon:
            journal = daemon.store.journal
            await journal.open("whole", "k1", [note("fine")], CLOSED)
            await journal.open("broken", "k2", [note("needle" * 2000)], CLOSED)
            await journal.open("other", "k3", [note("fine")], CLOSED)
            settled(path)
            damage(path, b"needle" * 100)
            with pytest.raises(StoreDamaged):
                await journal.read("broken")
            assert await seq(journal, "whole") == 1
            await journal.append("other", 1, [note("it goes on")], CLOSED)
            assert await seq(journal, "other") == 2
            assert await daemon.kind() == "damaged"

    async def test_an_incident_that_cannot_be_read_holds_up_no_other_and_its_alert_is_not_lost(
        self, path: Path
    ) -> None:
        async with running(path) as daemon:
            journal, key = daemon.store.journal, incident_key(NAME, {"service": "broken"})
            opening = IncidentOpened(key=key, rule=NAME, group_labels={}, title="", team="")
            await journal.open(
                "broken", key, [Draft(at=NOW, event=opening), note("needle" * 2000)], OPEN
            )
            await daemon.takes("broken")
            await daemon.takes("whole")
            settled(path)
            damage(path, b"needle" * 100)
            async with asyncio.TaskGroup() as group:
                with pytest.raises(StoreDamaged):
                    await daemon.intake._work(group)
                await daemon.intake._single_out(group)
            assert daemon.store.inbox.backlog() == 0
            titles = [head.title.partition(" ")[0] for head in await journal.open_heads()]
            assert sorted(titles) == ["CheckoutSuccessRateLow", "UnreadableDelivery", "checkout"]
            assert await daemon.kind() == "damaged"

    async def test_a_daemon_starts_on_what_is_whole_and_says_that_not_all_is(
        self, path: Path
    ) -> None:
        async with running(path) as daemon:
            await daemon.store.journal.open("broken", "k", [note("needle" * 2000)], CLOSED)
            await opened(daemon.store.journal, "whole")
        damage(path, b"needle" * 100)
        async with running(path) as daemon:
            assert [head.incident for head in await daemon.store.journal.open_heads()] == ["whole"]
            assert await daemon.kind() == "damaged"

    @pytest.mark.looptime
    async def test_it_is_over_only_when_all_of_it_can_be_read_again(self, path: Path) -> None:
        async with running(path) as daemon:
            await daemon.store.journal.open("broken", "k", [note("needle" * 2000)], CLOSED)
            settled(path)
            whole = copy_of(path)
            damage(path, b"needle" * 100)
            with pytest.raises(StoreDamaged):
                await daemon.store.journal.read("broken")
            await asyncio.sleep(RECHECK_SECONDS)
            assert await daemon.kind() == "damaged"
            put_back(path, whole)
            assert await daemon.kind() == "damaged"
            await asyncio.sleep(RECHECK_SECONDS)
            assert await daemon.kind() == ""
            assert await seq(daemon.store.journal, "broken") == 1

    async def test_one_refused_statement_is_no_damage(self, path: Path) -> None:
        async with running(path) as daemon:
            database = daemon.store.journal.database
            with pytest.raises(Permanent, match="refused a statement"):
                await database.read(lambda c: c.exec_driver_sql("SELECT * FROM nowhere"))
            assert await daemon.kind() == ""


class TestFull:
    async def test_a_full_disk_is_one_trouble_until_it_can_be_written(self, path: Path) -> None:
        async with running(path) as daemon:
            await with_page_limit(daemon.store.journal, 1)
            with pytest.raises(Temporary):
                await daemon.store.inbox.put("a", b"x" * 900_000, NOW)
            trouble = daemon.watch.trouble()
            assert trouble is not None
            assert trouble.kind == "full"
            with pytest.raises(Temporary, match="free some space"):
                await daemon.takes("shop")
            await with_page_limit(daemon.store.journal, 100_000)
            assert await daemon.kind() == ""
            assert await daemon.takes("shop") is True

    async def test_a_read_proves_no_room(self, path: Path) -> None:
        async with running(path) as daemon:
            await with_page_limit(daemon.store.journal, 1)
            with pytest.raises(Temporary):
                await daemon.store.inbox.put("a", b"x" * 900_000, NOW)
            await daemon.store.inbox.pending(1)
            assert daemon.watch.trouble() is not None

    async def test_who_holds_the_file_for_a_moment_is_no_trouble(self, path: Path) -> None:
        async with running(path) as daemon:
            daemon.store.condition.note("write", StoreDown("held", "is held by a backup"))
            assert daemon.watch.trouble() is None
            assert await daemon.kind() == ""
        faults = {"held": "is held by a backup"}
        assert judge(faults, 59, 0, MINUTE) is None
        assert judge(faults, 61, 0, MINUTE) == StoreTrouble(kind="held", text=faults["held"])


class TestMoved:
    async def test_no_alert_is_accepted_into_a_file_that_was_moved(self, path: Path) -> None:
        async with running(path) as daemon:
            assert await daemon.takes("before") is True
            away = path.with_name("elsewhere.db")
            move(path, away)
            with pytest.raises(Temporary, match="is not there any more"):
                await daemon.takes("meanwhile")
            with pytest.raises(StoreDown):
                await daemon.store.inbox.pending(9)
            assert await daemon.kind() == "gone"
            assert not holds_something(path)
            move(away, path)
            assert await daemon.kind() == ""
            assert await daemon.takes("meanwhile") is True
            assert len(await daemon.store.inbox.pending(9)) == 2

    async def test_it_is_noticed_between_the_write_and_the_answer(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was written then is worked off when the file is back, though it was refused."""
        away = path.with_name("elsewhere.db")

        def store_then_move(*given: Any) -> set[str]:
            done = add(*given)
            move(path, away)
            return done

        add = inbox_module._add
        async with running(path) as daemon:
            monkeypatch.setattr(inbox_module, "_add", store_then_move)
            with pytest.raises(Temporary, match="is not there any more"):
                await daemon.takes("shop")
            monkeypatch.undo()
            assert daemon.intake._arrived.is_set()
            move(away, path)
            assert await daemon.kind() == ""
            async with asyncio.TaskGroup() as group:
                assert await daemon.intake._work(group) is True
            assert daemon.store.inbox.backlog() == 0
            assert [head.rule for head in await daemon.store.journal.open_heads()] == [NAME]
            assert await daemon.takes("shop") is False

    async def test_it_is_noticed_without_any_transaction(self, path: Path) -> None:
        async with running(path) as daemon:
            shutil.rmtree(path.parent)
            assert await daemon.kind() == "gone"

    async def test_another_file_in_its_place_is_not_taken_for_it(self, path: Path) -> None:
        async with running(path) as daemon:
            shutil.copy(path, path.with_name("copy.db"))
            os.replace(path.with_name("copy.db"), path)
            with pytest.raises(Temporary, match="is another file than the one"):
                await daemon.takes("shop")
            assert await daemon.kind() == "gone"

    @pytest.mark.parametrize("suffix", ["-wal", "-shm"])
    async def test_a_log_that_was_removed_is_noticed_and_an_ordered_stop_saves_it(
        self, path: Path, suffix: str
    ) -> None:
        async with running(path) as daemon:
            await opened(daemon.store.journal, "inc-1")
            delete(beside(path, suffix))
            with pytest.raises(Temporary, match="stop the daemon with SIGTERM"):
                await daemon.takes("shop")
            assert await daemon.kind() == "gone"
        async with running(path) as daemon:
            assert await seq(daemon.store.journal, "inc-1") == 1
            assert await daemon.kind() == ""

    async def test_who_only_reads_beside_the_daemon_disturbs_nothing(self, path: Path) -> None:
        async with running(path) as daemon:
            async with open_store(path, readonly=True) as reader:
                await reader.journal.open_heads()
            with closing(sqlite3.connect(path)) as shell:
                shell.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                shell.execute("VACUUM")
            assert await daemon.kind() == ""
            assert await daemon.takes("shop") is True


class TestStuck:
    @pytest.mark.looptime
    async def test_an_inbox_that_is_not_worked_off_takes_nothing_more(self, path: Path) -> None:
        async with running(path) as daemon:
            await daemon.takes("first")
            await asyncio.sleep(40)
            await daemon.takes("second")
            await asyncio.sleep(19)
            assert daemon.watch.trouble() is None
            await asyncio.sleep(2)
            assert await daemon.kind() == "stuck"
            with pytest.raises(Temporary, match=r"inbox\.max_age"):
                await daemon.takes("third")
            (first, _), (second, _) = await daemon.store.inbox.pending(9)
            await daemon.store.inbox.processed([first], {})
            assert await daemon.kind() == ""
            await asyncio.sleep(40)
            assert await daemon.kind() == "stuck"
            await daemon.store.inbox.processed([second], {})
            assert daemon.store.inbox.waited() == 0

    @pytest.mark.looptime
    async def test_what_piled_up_while_the_disk_was_full_has_its_time_after_that(
        self, path: Path
    ) -> None:
        async with running(path) as daemon:
            await daemon.takes("first")
            daemon.store.condition.note("write", StoreDown("full", "free some space"))
            assert daemon.watch.trouble() is not None
            await asyncio.sleep(600)
            assert await daemon.kind() == ""
            await asyncio.sleep(59)
            assert await daemon.kind() == ""
            await asyncio.sleep(2)
            assert await daemon.kind() == "stuck"

    @pytest.mark.looptime
    async def test_what_an_earlier_run_left_waits_from_the_start_on(self, path: Path) -> None:
        async with running(path) as daemon:
            await daemon.takes("first")
            await asyncio.sleep(300)
        async with running(path) as daemon:
            assert daemon.store.inbox.waited() == 0
            await asyncio.sleep(61)
            assert await daemon.kind() == "stuck"

    @pytest.mark.looptime
    async def test_what_cannot_even_be_stored_counts_too(self, path: Path) -> None:
        async with running(path) as daemon:
            held: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            daemon.store.journal.database.take = lambda *_, **__: held  # type: ignore[assignment, method-assign]
            put = asyncio.create_task(daemon.store.inbox.put("a", b"a", NOW))
            await asyncio.sleep(61)
            assert await daemon.kind() == "stuck"
            held.set_result(False)
            assert await put is False
            assert daemon.watch.trouble() is None


class TestMissing:
    async def test_a_first_start_makes_a_store_and_later_ones_find_it(self, path: Path) -> None:
        for _ in range(2):
            async with running(path) as daemon:
                assert await daemon.kind() == ""

    @pytest.mark.parametrize("how", ["deleted", "emptied"])
    async def test_a_store_that_was_there_is_not_replaced_by_an_empty_one(
        self, path: Path, how: str
    ) -> None:
        async with running(path) as daemon:
            await opened(daemon.store.journal, "inc-1")
        delete(path, leave=how == "emptied")
        with pytest.raises(StoreDown, match="stopgap run --new-store") as caught:
            async with open_store(path):
                pass
        assert caught.value.fault == "gone"
        assert not holds_something(path)
        async with open_store(path, new=True) as store:
            assert await store.journal.heads(9) == []
        async with open_store(path):
            pass

    async def test_a_store_of_before_the_marker_is_marked(self, path: Path) -> None:
        async with running(path):
            pass
        delete(beside(path, ".made"))
        async with running(path):
            pass
        delete(path)
        with pytest.raises(StoreDown):
            async with open_store(path):
                pass

    async def test_nobody_begins_anew_over_a_store(self, path: Path) -> None:
        async with running(path) as daemon:
            await opened(daemon.store.journal, "inc-1")
        with pytest.raises(Permanent, match="--new-store was refused"):
            async with open_store(path, new=True):
                pass
        async with running(path) as daemon:
            assert await seq(daemon.store.journal, "inc-1") == 1

    async def test_what_is_left_of_a_missing_store_is_set_aside(self, path: Path) -> None:
        async with running(path):
            pass
        delete(path)
        beside(path, "-wal").write_bytes(b"the last transactions")
        async with open_store(path, new=True):
            pass
        assert copy_of(beside(path, ".old-1-wal")) == b"the last transactions"
