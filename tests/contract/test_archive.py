"""Old incidents move to files and stay provable: nothing is lost, and nothing in use is moved."""

# ruff: noqa: S608 - to tamper with SQL is the point here

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from daemon.adapters.store import (
    FileArchive,
    StorePlace,
    archive_files,
    archived,
    audit_journal,
    check_archive,
    open_store,
    read_archived,
)
from daemon.adapters.store.journal import SqlJournal
from daemon.config.active import ActiveConfig, Live
from daemon.core.incident import events as e
from daemon.core.people.roster import Roster
from daemon.core.ports.journal import Head, IncidentSearch
from daemon.core.rules.rule import RuleBook
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.seal import Keyring, Seal
from daemon.reporting.reviews import unfinished
from daemon.repository import IncidentRepository
from daemon.watching import retention
from tests.contract.rig import overview_of
from tests.fakes import MemoryInbox
from tests.journal_scenes import BEGIN, HOUR, Night, nights
from tests.postgresql import shell

LATER = BEGIN + timedelta(days=500)
BEFORE = BEGIN + timedelta(days=100)
KEYRING = Keyring(Seal("a key that is long enough"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


async def test_an_incident_moves_with_all_its_entries(place: StorePlace, folder: Path) -> None:
    async with open_store(place, keyring=KEYRING) as store:
        journal, archive = store.journal, FileArchive(store.journal, folder)
        await nights(journal, ["shop", "cart"])
        before = await journal.read("inc-1")
        assert await archive.due(BEFORE, 9) == ["inc-1", "inc-2"]
        assert await archive.put_away("inc-1", LATER) == "2026-03/inc-1.jsonl.gz"
        assert await journal.read("inc-1") == []
        assert [head.incident for head in await journal.heads(9)] == ["inc-2"]
        (moved,) = await archived(journal)
        assert read_archived(folder, moved) == before
        report = await audit_journal(journal)
        assert (report.breaks, report.archived) == ([], [moved])
        assert check_archive(folder, report.archived, KEYRING) == []
        # What guards automation stays: marks and actions.
        assert await journal.marks("release:shop") == {"v1": "healthy", "v2": "bad"}
        assert await archive.due(BEFORE, 9) == ["inc-2"]


async def test_an_incident_stays_while_something_of_it_is_to_be_done(
    place: StorePlace, folder: Path
) -> None:
    added = e.FollowUpAdded(follow_up=1, title="test it", owner="ada", person="bo")
    done = e.FollowUpMoved(follow_up=1, status="done", person="ada")
    async with open_store(place, keyring=KEYRING) as store:
        journal, archive = store.journal, FileArchive(store.journal, folder)
        await nights(journal, ["shop", "cart"])
        repository = IncidentRepository(journal, lambda: LATER)
        await repository.record("inc-1", lambda _: (added,))
        assert await archive.due(BEFORE, 9) == ["inc-2"]
        assert [h.incident for h in await journal.heads(9, IncidentSearch(pending=True))] == [
            "inc-1"
        ]
        await repository.record("inc-1", lambda _: (done,))
        assert await archive.due(BEFORE, 9) == ["inc-2"], "its review lacks what was done"
        renewed = e.ReviewWritten(path="reviews/inc-1.md", revision=2)
        await repository.record("inc-1", lambda _: (renewed,))
        assert await archive.due(BEFORE, 9) == ["inc-1", "inc-2"]
        assert await journal.heads(9, IncidentSearch(pending=True)) == []
        assert (await audit_journal(journal)).breaks == []
    shell(place, "UPDATE heads SET pending = 3 WHERE incident = 'inc-1'")
    async with open_store(place, keyring=KEYRING) as store:
        (broken,) = (await audit_journal(store.journal)).breaks
        assert "the head says pending 3, the journal 0" in str(broken)


async def test_a_follow_up_that_comes_while_it_is_archived_keeps_it(
    place: StorePlace, folder: Path
) -> None:
    added = e.FollowUpAdded(follow_up=1, title="test it", owner="ada", person="bo")
    async with open_store(place) as store:
        journal, archive = store.journal, FileArchive(store.journal, folder)
        await nights(journal, ["shop"])
        assert await archive.due(BEFORE, 9) == ["inc-1"]
        repository = IncidentRepository(journal, lambda: LATER)
        await repository.record("inc-1", lambda _: (added,))
        with pytest.raises(Permanent, match="the ledger says"):
            await archive.put_away("inc-1", LATER)
        assert (await journal.read("inc-1"))[-1].event == added


async def test_its_file_is_for_its_owner_alone(place: StorePlace, folder: Path) -> None:
    async with open_store(place) as store:
        await nights(store.journal, ["shop"])
        archive = FileArchive(store.journal, folder)
        await archive.due(BEFORE, 9)
        name = await archive.put_away("inc-1", LATER)
    assert (folder / name).stat().st_mode & 0o777 == 0o600
    assert [each.name for each in (folder / name).parent.iterdir()] == ["inc-1.jsonl.gz"]


async def test_the_ledger_gives_back_its_room(place: StorePlace, folder: Path) -> None:
    def size() -> int:
        columns = "at || kind || incident || body || digest"
        query = f"SELECT sum(length({columns})) FROM ledger WHERE kind <> 'archived'"
        return int(shell(place, query)[0][0])

    async with open_store(place) as store:
        await nights(store.journal, ["shop"])
        before = size()
        archive = FileArchive(store.journal, folder)
        await archive.due(BEFORE, 9)
        await archive.put_away("inc-1", LATER)
        assert size() < 0.6 * before


async def test_what_is_still_needed_is_not_due(place: StorePlace, folder: Path) -> None:
    async with open_store(place) as store:
        journal = store.journal
        await Night(journal, "open", "a").open()
        unreviewed = Night(journal, "unreviewed", "b")
        await unreviewed.open()
        await unreviewed.close(reviewed=False)
        locking = Night(journal, "locking", "c")
        await locking.open()
        await locking.act()
        await locking.close()
        await Night(journal, "young", "d", BEFORE).whole()
        await Night(journal, "old", "e").whole()
        archive = FileArchive(journal, folder)
        assert await archive.due(BEFORE, 9) == ["old"]
        for incident in ("open", "nobody"):
            with pytest.raises(Permanent):
                await archive.put_away(incident, LATER)


@pytest.mark.parametrize(
    "script",
    [
        "UPDATE events SET body = replace(body, 'come', 'stay') WHERE incident = 'inc-1'",
        "DELETE FROM events WHERE incident = 'inc-1' AND seq = 15;"
        "UPDATE heads SET seq = 14 WHERE incident = 'inc-1';",
        "DELETE FROM ledger WHERE incident = 'inc-1'",
    ],
    ids=["edited", "cut off", "not on the ledger"],
)
async def test_what_was_tampered_with_is_not_laundered(
    place: StorePlace, folder: Path, script: str
) -> None:
    async with open_store(place) as store:
        await nights(store.journal, ["shop", "cart"])
    shell(place, script)
    async with open_store(place) as store:
        archive = FileArchive(store.journal, folder)
        await archive.due(BEFORE, 9)
        with pytest.raises(Permanent, match=r"inc-1 is not archived: .*`stopgap audit verify`"):
            await archive.put_away("inc-1", LATER)
        assert [head.incident for head in await store.journal.heads(9)] == ["inc-2", "inc-1"]
    assert list(folder.parent.glob("archive*")) == []


async def test_a_crash_after_the_file_loses_and_doubles_nothing(
    place: StorePlace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(place) as store:
        await nights(store.journal, ["shop"])
        before = await store.journal.read("inc-1")
        archive = FileArchive(store.journal, folder)
        await archive.due(BEFORE, 9)

        def crash(*_: object) -> None:
            raise RuntimeError("the plug is pulled")

        with monkeypatch.context() as patch:
            patch.setattr(archive, "_take_out", crash)
            with pytest.raises(RuntimeError):
                await archive.put_away("inc-1", LATER)
        assert await store.journal.read("inc-1") == before
        assert (await audit_journal(store.journal)).breaks == []
        await archive.due(BEFORE, 9)
        await archive.put_away("inc-1", LATER)
        (moved,) = await archived(store.journal)
        assert read_archived(folder, moved) == before


@pytest.fixture
def blocked(folder: Path) -> Path:
    folder.write_text("a file where the folder should be")
    return folder


async def test_a_folder_that_cannot_be_written_keeps_the_incident(
    place: StorePlace, blocked: Path
) -> None:
    async with open_store(place) as store:
        await nights(store.journal, ["shop"])
        archive = FileArchive(store.journal, blocked)
        await archive.due(BEFORE, 9)
        with pytest.raises(Temporary, match=r"cannot write .*inc-1\.jsonl\.gz"):
            await archive.put_away("inc-1", LATER)
        assert len(await store.journal.heads(9)) == 1


async def test_a_disk_that_loses_what_it_took_is_noticed(
    place: StorePlace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(place) as store:
        await nights(store.journal, ["shop"])
        archive = FileArchive(store.journal, folder)
        await archive.due(BEFORE, 9)
        monkeypatch.setattr(archive_files, "read_archive_file", lambda _: [])
        with pytest.raises(Temporary, match="does not hold what was written to it"):
            await archive.put_away("inc-1", LATER)
        assert len(await store.journal.heads(9)) == 1


async def test_the_audit_looks_into_the_files(place: StorePlace, folder: Path) -> None:
    async with open_store(place, keyring=KEYRING) as store:
        await nights(store.journal, ["a", "b", "c", "d"])
        archive = FileArchive(store.journal, folder)
        names = {each: await _put_away(archive, each) for each in await archive.due(BEFORE, 9)}
        report = await audit_journal(store.journal)
    (folder / names["inc-1"]).unlink()
    (folder / names["inc-2"]).write_bytes((folder / names["inc-2"]).read_bytes()[:-9])
    rows = archive_files.read_archive_file(folder / names["inc-3"])
    rows[3] = (*rows[3][:6], rows[3][6].replace("console", "nobody!"), rows[3][7])
    archive_files.write(folder, names["inc-3"], rows)
    archive_files.write(
        folder, names["inc-4"], archive_files.read_archive_file(folder / names["inc-4"])[:-1]
    )
    found = [str(one) for one in check_archive(folder, report.archived, KEYRING)]
    assert found[0] == f"inc-1: its archive 2026-03/inc-1.jsonl.gz is not in {folder}"
    assert found[1].startswith("inc-2: its archive 2026-03/inc-2.jsonl.gz cannot be read: it is")
    assert found[2:] == [
        "inc-3: its archive 2026-03/inc-3.jsonl.gz is edited: entry 4 is not what was written",
        "inc-4: its archive 2026-03/inc-4.jsonl.gz holds 14 entries, not 15",
    ]


async def _put_away(archive: FileArchive, incident: str) -> str:
    return await archive.put_away(incident, LATER)


async def test_a_deleted_incident_does_not_pass_for_an_archived_one(
    place: StorePlace, folder: Path
) -> None:
    """Its ledger rows emptied as those of archived ones are."""
    async with open_store(place, keyring=KEYRING) as store:
        await nights(store.journal, ["shop", "cart", "mail"])
        archive = FileArchive(store.journal, folder)
        await archive.due(BEFORE, 9)
        await archive.put_away("inc-2", LATER)
        assert (await audit_journal(store.journal)).breaks == []
    shell(
        place,
        "DELETE FROM events WHERE incident = 'inc-3'; DELETE FROM heads WHERE incident = 'inc-3';"
        "UPDATE ledger SET kind = 'blank', at = '', incident = '', seq = 0, body = '' "
        "WHERE incident = 'inc-3' AND kind = 'entries'",
    )
    async with open_store(place, readonly=True, keyring=KEYRING) as store:
        breaks = [str(one) for one in (await audit_journal(store.journal)).breaks]
    assert breaks == [
        "ledger: rows 32…36 are empty, and no archived incident was there",
        "ledger: rows 38…39 are empty, and no archived incident was there",
        "ledger: rows 41…42 are empty, and no archived incident was there",
        "ledger: rows 44…46 are empty, and no archived incident was there",
    ]


async def test_anchors_of_an_archived_part_still_hold(place: StorePlace, folder: Path) -> None:
    async with open_store(place) as store:
        await nights(store.journal, ["shop"])
        anchor = await store.journal.anchor()
        assert anchor is not None
        await nights(store.journal, [])
        await Night(store.journal, "inc-2", "cart", BEFORE).open()
        archive = FileArchive(store.journal, folder)
        await archive.due(BEFORE, 9)
        await archive.put_away("inc-1", LATER)
        assert (await audit_journal(store.journal, [anchor])).breaks == []
        other = anchor.model_copy(update={"digest": "0" * 64})
        assert len((await audit_journal(store.journal, [other])).breaks) == 1


class Lagging:
    """A journal whose lists are read just before an incident in them is archived."""

    def __init__(self, journal: SqlJournal, archive: FileArchive) -> None:
        self._journal = journal
        self._archive = archive

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    async def heads(self, *asked: Any) -> Sequence[Head]:
        found = await self._journal.heads(*asked)
        for incident in await self._archive.due(BEFORE, 9):
            await self._archive.put_away(incident, LATER)
        return found


async def test_who_has_just_read_a_list_misses_what_is_archived_and_goes_on(
    place: StorePlace, folder: Path
) -> None:
    async with open_store(place) as store:
        await nights(store.journal, ["shop"])
        await Night(store.journal, "inc-2", "cart", BEGIN + 9 * HOUR).open()
        journal = Lagging(store.journal, FileArchive(store.journal, folder))
        repository = IncidentRepository(journal, lambda: LATER)  # type: ignore[arg-type]
        assert await unfinished(repository) == []
        await Night(store.journal, "inc-3", "web", BEGIN + 10 * HOUR).whole()
        overview = overview_of(
            repository, MemoryInbox(), Live(ActiveConfig(RuleBook(()), Roster.model_construct()))
        )
        assert await overview.observed(None) == []
        assert [each.incident for each in await archived(store.journal)] == ["inc-1", "inc-3"]


class Shelf:
    """An archive as far as retention sees it: incidents that are due, and what goes wrong."""

    def __init__(self, *incidents: str, broken: tuple[str, ...] = ()) -> None:
        self.waiting, self.broken = list(incidents), broken
        self.moved: list[str] = []
        self.before: list[datetime] = []
        self.failing = False

    async def due(self, before: datetime, limit: int) -> list[str]:
        self.before.append(before)
        if self.failing:
            raise Temporary("the disk is full")
        return self.waiting[:limit]

    async def put_away(self, incident: str, at: datetime) -> str:
        if incident in self.broken:
            raise Permanent("it was tampered with")
        self.waiting.remove(incident)
        self.moved.append(incident)
        return f"{at:%Y-%m}/{incident}"


@pytest.mark.looptime
class TestRetention:
    """When the daemon puts away what."""

    async def test_all_that_is_due_and_what_cannot_be_moved_stays(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retention, "_AT_ONCE", 2)
        shelf = Shelf("a", "b", "c", "d", "e", broken=("a", "d"))
        with structlog.testing.capture_logs() as logged:
            assert await retention.sweep(shelf, timedelta(days=400), lambda: LATER) == 3
        assert (shelf.moved, shelf.waiting) == (["b", "c", "e"], ["a", "d"])
        assert set(shelf.before) == {LATER - timedelta(days=400)}
        assert [each["incident"] for each in logged if each["log_level"] == "error"] == ["a", "d"]

    async def test_once_a_day_and_after_trouble_the_next_day(self) -> None:
        shelf = Shelf()
        shelf.failing = True
        task = asyncio.create_task(retention.retain(shelf, 24 * HOUR, lambda: LATER))
        await asyncio.sleep(60)
        assert len(shelf.before) == 1
        shelf.failing, shelf.waiting = False, ["a"]
        await asyncio.sleep(86_400)
        assert shelf.moved == ["a"]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
