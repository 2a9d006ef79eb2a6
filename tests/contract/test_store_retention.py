"""No table grows without end: what is over goes by age, and the audit knows that it did."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select

from daemon.adapters.store import FileArchive, Store, StorePlace, audit_journal, open_store
from daemon.adapters.store.open_store import backend_for
from daemon.adapters.store.retention import CHANGES_KEPT, RETENTION_RULES
from daemon.adapters.store.schema import metadata
from daemon.core.changes.change import Change
from tests.journal_scenes import BEGIN, HOUR, nights
from tests.store_content import one_of_each

DAY = timedelta(days=1)
MUCH_LATER = BEGIN + 800 * DAY
BEFORE = MUCH_LATER - 400 * DAY


def test_of_every_table_it_is_said_how_long_its_rows_are_kept() -> None:
    assert set(metadata.tables) - set(RETENTION_RULES) == set()


def test_the_settings_say_the_same() -> None:
    told = (Path(__file__).parents[2] / "deploy" / "stopgap.yaml").read_text()
    for word in ("tokens", "freezes", "windows", "overrides", "swaps", f"newest {CHANGES_KEPT}"):
        assert word in told.partition("retention:")[2].partition("follow_ups:")[0]


def _rows(place: StorePlace, table: str) -> int:
    transactions = backend_for(place).reading()
    try:
        with transactions.begin() as connection:
            query = select(func.count()).select_from(metadata.tables[table])
            return int(connection.execute(query).scalar_one())
    finally:
        transactions.dispose()


async def _one_of_each(store: Store, day: int) -> None:
    await one_of_each(store, f"n{day}", BEGIN + day * DAY)


async def test_what_is_over_goes_by_age_and_the_audit_holds(
    place: StorePlace, tmp_path: Path
) -> None:
    tables = ["freezes", "maintenance_windows", "oncall_overrides", "oncall_swaps", "tokens"]
    async with open_store(place) as store:
        await nights(store.journal, ["shop", "cart"])
        for day in range(380, 420):
            await _one_of_each(store, day)
        archive = FileArchive(store.journal, tmp_path / "archive")
        for incident in await archive.due(BEFORE, 9):
            await archive.put_away(incident, MUCH_LATER)
        assert _rows(place, "actions") == 2
        gone = await store.records.expire(BEFORE, MUCH_LATER)
        assert gone == {**dict.fromkeys(tables, 20), "changes": 20, "sessions": 1} | {
            "actions": 2,
            "marks": 4,
        }
        assert [_rows(place, table) for table in tables] == [20] * 5
        assert (await audit_journal(store.journal)).breaks == []
        assert await store.records.expire(BEFORE, MUCH_LATER) == {}
        await _one_of_each(store, 451)  # and life goes on
        assert (await audit_journal(store.journal)).breaks == []


async def test_the_newest_changes_of_a_subject_stay_and_their_marks(place: StorePlace) -> None:
    async with open_store(place) as store:
        for number in range(CHANGES_KEPT + 5):
            at = BEGIN + number * HOUR
            for subject in ("release:shop", "release:cart"):
                change = Change(
                    subject=subject, item=f"v{number}", previous="", at=at, seen_by="test"
                )
                await store.journal.saw_change(change)
        await nights(store.journal, ["shop"])  # marks v1 and v2, which are among the oldest
        gone = await store.records.expire(BEFORE, MUCH_LATER)
        assert gone == {"changes": 10, "marks": 2}
        kept = await store.journal.changes("release:cart")
        assert [change.item for change in kept] == [f"v{n}" for n in range(5, CHANGES_KEPT + 5)]
        assert (await audit_journal(store.journal)).breaks == []


async def test_an_action_stays_as_long_as_its_incident(place: StorePlace) -> None:
    async with open_store(place) as store:
        await nights(store.journal, ["shop"])
        assert "actions" not in await store.records.expire(BEFORE, MUCH_LATER)
        assert (await audit_journal(store.journal)).breaks == []


async def test_what_others_take_out_is_found(tmp_path: Path) -> None:
    path = tmp_path / "stopgap.db"
    async with open_store(path) as store:
        await _one_of_each(store, 300)
        await _one_of_each(store, 449)
        await store.records.expire(BEFORE, MUCH_LATER)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM oncall_overrides")
    async with open_store(path) as store:
        (found,) = (await audit_journal(store.journal)).breaks
    assert str(found) == "override n449: the row is missing"
