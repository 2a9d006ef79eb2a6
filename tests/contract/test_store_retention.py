"""No table grows without end: what is over goes by age, and the audit knows that it did."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.adapters.store import FileArchive, Store, audit_journal, open_store
from daemon.adapters.store.retention import CHANGES_KEPT, RETENTION_RULES
from daemon.adapters.store.schema import metadata
from daemon.core.changes.change import Change
from daemon.core.people.access import ApiToken, Session
from daemon.core.people.oncall_changes import OncallOverride, ShiftSwap
from daemon.core.recovery.guardrails import Freeze
from daemon.core.recovery.maintenance import MaintenanceWindow
from tests.journal_scenes import BEGIN, HOUR, nights

DAY = timedelta(days=1)
MUCH_LATER = BEGIN + 800 * DAY
BEFORE = MUCH_LATER - 400 * DAY


def test_of_every_table_it_is_said_how_long_its_rows_are_kept() -> None:
    assert set(metadata.tables) - set(RETENTION_RULES) == set()


def test_the_settings_say_the_same() -> None:
    told = (Path(__file__).parents[2] / "deploy" / "stopgap.yaml").read_text()
    for word in ("tokens", "freezes", "windows", "overrides", "swaps", f"newest {CHANGES_KEPT}"):
        assert word in told.partition("retention:")[2].partition("follow_ups:")[0]


def _rows(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
        return int(count)


async def _one_of_each(store: Store, day: int) -> None:
    """Everything that people and systems leave behind on a day; all of it over the day after."""
    at = BEGIN + day * DAY
    end, name = at + HOUR, f"n{day}"
    await store.journal.freeze(
        Freeze(scope=f"service:{name}", reason="release", by="ada", at=at, until=end)
    )
    await store.maintenance.add_window(
        MaintenanceWindow(
            id=name,
            scope="global",
            reason="x",
            by="ada",
            announced_at=at,
            begins_at=at,
            ends_at=end,
        )
    )
    await store.oncall.add_override(
        OncallOverride(
            id=name,
            schedule="s",
            person="ada",
            replaces="bo",
            start=at,
            until=end,
            reason="",
            by="ada",
            at=at,
            swap="",
        )
    )
    await store.oncall.ask_swap(
        ShiftSwap(
            id=name,
            schedule="s",
            asker="ada",
            asked="bo",
            start=at,
            until=end,
            return_start=None,
            return_until=None,
            reason="",
            at=at,
        )
    )
    await store.journal.saw_change(
        Change(subject="release:shop", item=name, previous="", at=at, seen_by="test")
    )
    token = ApiToken(
        id=name,
        person="ada",
        name=name,
        scopes=("read",),
        created_at=at,
        expires_at=end,
        used_on=None,
    )
    await store.credentials.add_token(token, name)
    await store.credentials.begin_session(
        Session(
            id=name,
            person="ada",
            proof="password",
            started_at=at,
            ends_at=end,
            client="x",
            granted=None,
            guest=False,
        )
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stopgap.db"


async def test_what_is_over_goes_by_age_and_the_audit_holds(path: Path, tmp_path: Path) -> None:
    tables = ["freezes", "maintenance_windows", "oncall_overrides", "oncall_swaps", "tokens"]
    async with open_store(path) as store:
        await nights(store.journal, ["shop", "cart"])
        for day in range(300, 450):
            await _one_of_each(store, day)
        archive = FileArchive(store.journal, tmp_path / "archive")
        for incident in await archive.due(BEFORE, 9):
            await archive.put_away(incident, MUCH_LATER)
        assert _rows(path, "actions") == 2
        gone = await store.records.expire(BEFORE, MUCH_LATER)
        assert gone == {**dict.fromkeys(tables, 100), "changes": 100, "sessions": 1} | {
            "actions": 2,
            "marks": 4,
        }
        assert [_rows(path, table) for table in tables] == [50] * 5
        assert (await audit_journal(store.journal)).breaks == []
        assert await store.records.expire(BEFORE, MUCH_LATER) == {}
        await _one_of_each(store, 451)  # and life goes on
        assert (await audit_journal(store.journal)).breaks == []


async def test_the_newest_changes_of_a_subject_stay_and_their_marks(path: Path) -> None:
    async with open_store(path) as store:
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


async def test_an_action_stays_as_long_as_its_incident(path: Path) -> None:
    async with open_store(path) as store:
        await nights(store.journal, ["shop"])
        assert "actions" not in await store.records.expire(BEFORE, MUCH_LATER)
        assert (await audit_journal(store.journal)).breaks == []


async def test_what_others_take_out_is_found(path: Path) -> None:
    async with open_store(path) as store:
        await _one_of_each(store, 300)
        await _one_of_each(store, 449)
        await store.records.expire(BEFORE, MUCH_LATER)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM oncall_overrides")
    async with open_store(path) as store:
        (found,) = (await audit_journal(store.journal)).breaks
    assert str(found) == "override n449: the row is missing"
