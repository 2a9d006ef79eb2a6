"""What `stopgap audit verify` finds: whatever is done to the file behind the daemon's back."""

# ruff: noqa: S608 - to tamper with SQL is the point here

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from itertools import count
from pathlib import Path

import pytest

from daemon.adapters.store import (
    Break,
    PostgresAddress,
    Store,
    StorePlace,
    audit_journal,
    auditing,
    open_store,
)
from daemon.core.people.oncall_changes import OncallOverride, ShiftSwap
from daemon.core.recovery.guardrails import Freeze
from daemon.core.values.anchor import Anchor
from daemon.core.values.outcome import Permanent
from daemon.core.values.seal import UNKEYED, Keyring, Seal
from tests.contract.test_journal_upgrade import AS_SCHEMA_5
from tests.journal_scenes import BEGIN, HOUR, MINUTE, Night, nights
from tests.postgresql import Server, shell

OLD = Seal("an old key, long enough")
NEW = Seal("a new key, long enough!")
_NUMBERS = count()
SCHEMA_4 = Path(__file__).parent.parent / "data" / "store-schema-4.sql"


async def fill(place: StorePlace, keyring: Keyring) -> None:
    """Two whole nights (inc-1, inc-2), one that goes on (inc-3), a freeze and a thawed one."""
    async with open_store(place, keyring=keyring) as store:
        journal = store.journal
        await nights(journal, ["shop", "cart"])
        going_on = Night(journal, "inc-3", "search", BEGIN + 5 * HOUR)
        await going_on.open()
        await going_on.act()
        at = BEGIN + 6 * HOUR
        await journal.freeze(Freeze(scope="global", reason="sale", by="anna", at=at))
        await journal.thaw("global", "ben", at + MINUTE)
        until = at + 900 * HOUR
        freeze = Freeze(scope="team:web", reason="migration", by="anna", at=at, until=until)
        await journal.freeze(freeze)
        await on_call(store, at)


async def on_call(store: Store, at: datetime) -> None:
    """An override that stands, one that was removed, and a swap that was declined."""
    override = OncallOverride(
        id="o1", schedule="web", person="bo", start=at, until=at + HOUR, by="anna", at=at
    )
    await store.oncall.add_override(override)
    await store.oncall.add_override(override.model_copy(update={"id": "o2"}))
    assert await store.oncall.remove_override("o2", "bo", at + MINUTE)
    swap = ShiftSwap(
        id="s1", schedule="web", asker="anna", asked="bo", start=at, until=at + HOUR, at=at
    )
    await store.oncall.ask_swap(swap)
    assert await store.oncall.answer_swap("s1", "declined", at + MINUTE, ())


MADE = {"unkeyed": Keyring(), "keyed": Keyring(NEW)}
"""A store without a key, and one with one."""


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("stores")
    for name, keyring in MADE.items():
        asyncio.run(fill(folder / name, keyring))
    return {name: folder / name for name in MADE}


@pytest.fixture(scope="module")
def templates(postgresql: Server) -> Iterator[dict[str, str]]:
    """Databases to be copied."""
    names = {name: f"audit_{name}_{os.getpid()}" for name in MADE}
    for name, keyring in MADE.items():
        postgresql.create(names[name])
        asyncio.run(fill(postgresql.address(names[name]), keyring))
    yield names
    for database in names.values():
        postgresql.drop(database)


def copied(name: str, kind: str, request: pytest.FixtureRequest) -> Iterator[StorePlace]:
    """A copy of that store on that database."""
    if kind == "sqlite":
        original: Path = request.getfixturevalue("originals")[name]
        yield Path(shutil.copy(original, request.getfixturevalue("tmp_path") / "stopgap.db"))
        return
    server: Server = request.getfixturevalue("postgresql")
    database = f"copy_{os.getpid()}_{next(_NUMBERS)}"
    server.create(database, request.getfixturevalue("templates")[name])
    yield server.address(database)
    server.drop(database)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest) -> Iterator[StorePlace]:
    yield from copied("unkeyed", request.param, request)


@pytest.fixture(params=["sqlite", "postgresql"])
def keyed(request: pytest.FixtureRequest) -> Iterator[StorePlace]:
    yield from copied("keyed", request.param, request)


@pytest.fixture
def keyed_file(request: pytest.FixtureRequest) -> Iterator[StorePlace]:
    yield from copied("keyed", "sqlite", request)


@pytest.fixture
def path(request: pytest.FixtureRequest) -> Iterator[StorePlace]:
    yield from copied("unkeyed", "sqlite", request)


async def found(
    place: StorePlace, keyring: Keyring | None = None, anchors: Sequence[Anchor] = ()
) -> list[Break]:
    async with open_store(place, readonly=True, keyring=keyring) as store:
        return (await audit_journal(store.journal, anchors)).breaks


async def anchor_of(place: StorePlace) -> Anchor:
    async with open_store(place, readonly=True) as store:
        point = await store.journal.anchor()
        assert point is not None
        return point


def rewrite(place: StorePlace, seal: Seal, *, ledger: bool) -> None:
    """Give every entry, and every row of the ledger, the digest that it would have now."""
    previous: dict[str, str] = {}
    ends: dict[tuple[str, int], str] = {}
    changes = []
    for *columns, _ in shell(place, "SELECT * FROM events ORDER BY incident, seq"):
        incident, seq = columns[:2]
        digest = seal.digest(previous.get(incident, ""), *columns)
        previous[incident] = ends[incident, seq] = digest
        where = f"WHERE incident = '{incident}' AND seq = {seq}"
        changes.append(f"UPDATE events SET digest = '{digest}' {where}")
    if ledger:
        digest = ""
        query = "SELECT number, kind, at, incident, seq, body FROM ledger ORDER BY number"
        for number, kind, at, incident, seq, text in shell(place, query):
            body = ends[incident, seq] if kind == "entries" else text
            digest = seal.digest(digest, number, kind, at, incident, seq, body)
            told = f"body = '{body}', " if kind == "entries" else ""
            changes.append(f"UPDATE ledger SET {told}digest = '{digest}' WHERE number = {number}")
    shell(place, ";".join(changes))


EDIT = "UPDATE events SET body = replace(body, 'rolled_back', 'stood_still') WHERE kind = "
EDIT += "'StepFinished' AND incident = 'inc-1';"
LATER = "2030-01-01T00:00:00.000000+00:00"
HEAD = {
    "phase": ("inc-3", "closed", "recovering"),
    "title": (
        "inc-1",
        "nothing",
        "Restored: shop: success rate 99.0 % at the end, 79.0 % at worst, normally 99.0 %, "
        "14:58:00 to 15:09:00 UTC",
    ),
    "severity": ("inc-1", "sev4", "sev1"),
    "key": ("inc-1", "x", '["checkout", [["service", "shop"]]]'),
    "opened_at": ("inc-1", LATER, "2026-03-01T15:00:00.000000+00:00"),
    "closed_at": ("inc-3", LATER, None),
    "rule": ("inc-1", "another", "checkout"),
    "team": ("inc-1", "another", "shop"),
    "service": ("inc-1", "another", "shop"),
    "verdict": ("inc-1", "not_confirmed", "confirmed"),
    "onset_from": ("inc-1", LATER, "2026-03-01T14:57:30.000000+00:00"),
    "suspect": ("inc-1", "another", ""),
    "recovered_at": ("inc-3", LATER, None),
}
"""What heads are edited to, and what the journal says."""
STRANGE = "was put there by something else than the daemon"
ACTION = "action inc-1 1 release:shop 2026-03-01T15:05:00.000000+00:00"
RUNNING = "action inc-3 1 release:search 2026-03-01T19:05:00.000000+00:00"
TAMPERING: dict[str, tuple[str, list[str]]] = {
    "nothing": ("", []),
    "last entry removed and head lowered": (
        "DELETE FROM events WHERE incident = 'inc-1' AND seq = 15;"
        "UPDATE heads SET seq = 14 WHERE incident = 'inc-1';",
        ["inc-1: the ledger says 15 entries (row 15), the journal ends with entry 14"],
    ),
    "head lowered": (
        "UPDATE heads SET seq = 14 WHERE incident = 'inc-1'",
        ["inc-1: the head says 14 entries, the journal ends with entry 15"],
    ),
    "an incident removed": (
        "DELETE FROM events WHERE incident = 'inc-1'; DELETE FROM heads WHERE incident = 'inc-1'",
        ["inc-1: all of it is missing: the ledger has 15 entries (row 15)"],
    ),
    "an incident removed, from the ledger too": (
        "DELETE FROM events WHERE incident = 'inc-1'; DELETE FROM heads WHERE incident = 'inc-1';"
        "DELETE FROM ledger WHERE incident = 'inc-1';",
        [
            "ledger: rows 1…15 missing before row 16",
            f"mark release:shop v1: the row {STRANGE}",
            f"mark release:shop v2: the row {STRANGE}",
            f"{ACTION}: the row {STRANGE}",
        ],
    ),
    "an incident put there": (
        "INSERT INTO events SELECT 'inc-9', seq, at, \"by\", kind, format, body, digest "
        "FROM events WHERE incident = 'inc-1'",
        [
            *(f"inc-9: entry {n} is not what was written" for n in range(1, 16)),
            "inc-9: the head row is missing; the journal holds 15 entries",
            f"inc-9: the ledger does not know it: it {STRANGE}",
        ],
    ),
    "an entry edited": (EDIT, ["inc-1: entry 10 is not what was written"]),
    "an entry that is no text": (
        "UPDATE events SET body = x'00ff' WHERE incident = 'inc-1' AND seq = 4",
        ["inc-1: entry 4 is not what was written"],
    ),
    "a ledger row that is no text": (
        "UPDATE ledger SET at = x'00ff' WHERE number = 4",
        ["ledger: row 4 is not what was written"],
    ),
    **{
        f"head's {column} edited": (
            f"UPDATE heads SET {column} = '{value}' WHERE incident = '{incident}'",
            [f"{incident}: the head says {column} {value!r}, the journal {right!r}"],
        )
        for column, (incident, value, right) in HEAD.items()
    },
    "override moved to another person": (
        "UPDATE oncall_overrides SET person = 'eve' WHERE id = 'o1'",
        ["override o1: person is 'eve', but 'bo' was written"],
    ),
    "swap agreed to": (
        "UPDATE oncall_swaps SET answer = 'accepted' WHERE id = 's1'",
        ["swap s1: answer is 'accepted', but 'declined' was written"],
    ),
    "freeze lifted": (
        f"UPDATE freezes SET thawed_by = 'ben', thawed_at = '{LATER}' WHERE scope = 'team:web'",
        [
            "freeze team:web: thawed_by is 'ben', but None was written",
            f"freeze team:web: thawed_at is '{LATER}', but None was written",
        ],
    ),
    "freeze shortened": (
        "UPDATE freezes SET until = at WHERE scope = 'team:web'",
        [
            "freeze team:web: until is '2026-03-01T20:00:00.000000+00:00', but "
            "'2026-04-08T08:00:00.000000+00:00' was written"
        ],
    ),
    "freeze removed": (
        "DELETE FROM freezes WHERE scope = 'team:web'",
        ["freeze team:web: the row is missing"],
    ),
    "freeze put there": (
        f"INSERT INTO freezes VALUES ('service:x', 'why', 'eve', '{LATER}', NULL, NULL, NULL)",
        [f"freeze service:x: the row {STRANGE}"],
    ),
    "lock given back": (
        f"UPDATE actions SET finished_at = '{LATER}' WHERE incident = 'inc-3'",
        [f"{RUNNING}: finished_at is '{LATER}', but None was written"],
    ),
    "lock taken again": (
        "UPDATE actions SET finished_at = NULL WHERE incident = 'inc-1'",
        [
            f"{ACTION}: finished_at is None, but '2026-03-01T15:07:00.000000+00:00' was written",
        ],
    ),
    "budget of another domain": (
        "UPDATE actions SET domain = 'us' WHERE incident = 'inc-1'",
        [f"{ACTION}: domain is 'us', but 'eu' was written"],
    ),
    "lock of another target": (
        "UPDATE actions SET target = 'release:x' WHERE incident = 'inc-1'",
        [
            f"{ACTION}: the row is missing",
            f"{ACTION.replace('release:shop', 'release:x')}: the row {STRANGE}",
        ],
    ),
    "action removed": (
        "DELETE FROM actions WHERE incident = 'inc-1'",
        [f"{ACTION}: the row is missing"],
    ),
    "action counted twice": (
        "INSERT INTO actions SELECT 99, incident, step, target, started_at, finished_at, rule, "
        "team, domain, by_person FROM actions WHERE incident = 'inc-1'",
        [f"{ACTION} #2: the row {STRANGE}"],
    ),
    "action given to a person": (
        "UPDATE actions SET by_person = NOT by_person WHERE incident = 'inc-1'",
        [f"{ACTION}: by_person is 1, but False was written"],
    ),
    "mark edited": (
        "UPDATE marks SET mark = 'healthy' WHERE item = 'v2' AND subject = 'release:shop'",
        ["mark release:shop v2: mark is 'healthy', but 'bad' was written"],
    ),
    "mark removed": (
        "DELETE FROM marks WHERE item = 'v2' AND subject = 'release:shop'",
        ["mark release:shop v2: the row is missing"],
    ),
    "ledger row edited": (
        "UPDATE ledger SET body = 'x' WHERE number = 3",
        ["ledger: row 3 is not what was written"],
    ),
    "ledger row removed": (
        "DELETE FROM ledger WHERE number = 3",
        ["ledger: row 3 missing before row 4"],
    ),
    "ledger cut off": (
        "DELETE FROM ledger WHERE number >= 32",
        [
            "inc-3: the ledger says 2 entries (row 31), the journal ends with entry 9",
            f"freeze global: the row {STRANGE}",
            f"freeze team:web: the row {STRANGE}",
            f"override o1: the row {STRANGE}",
            f"override o2: the row {STRANGE}",
            f"swap s1: the row {STRANGE}",
            f"{RUNNING}: the row {STRANGE}",
            "inc-3: step 1 was started on release:search, but the ledger has no lock for it",
        ],
    ),
}


async def test_a_title_as_earlier_versions_wrote_it_is_not_a_break(place: StorePlace) -> None:
    """It told the measurement that confirmed the problem, also when that was over."""
    title = "shop: success rate 99.0 % → 79.0 %"
    shell(place, f"UPDATE heads SET title = '{title}' WHERE incident = 'inc-1'")
    assert await found(place) == []


@pytest.mark.parametrize("case", TAMPERING)
async def test_what_is_edited_is_found_and_named(place: StorePlace, case: str) -> None:
    script, breaks = TAMPERING[case]
    if isinstance(place, PostgresAddress):
        if "x'00ff'" in script:
            pytest.skip("PostgreSQL keeps text in columns of text")
        breaks = [text.replace("by_person is 1", "by_person is True") for text in breaks]
    shell(place, script)
    seen = await found(place)
    assert [str(one) for one in seen] == breaks
    assert all(one.mend for one in seen)


async def test_digests_made_anew_are_not_those_of_the_ledger(place: StorePlace) -> None:
    shell(place, EDIT)
    rewrite(place, UNKEYED, ledger=False)
    assert [str(one) for one in await found(place)] == [
        "inc-1: its entries were rewritten: the ledger's row 15 has others"
    ]


async def test_a_wholly_rewritten_journal_is_found_by_an_anchor(place: StorePlace) -> None:
    """Without a key whoever can write the file can write all of it; an anchor kept elsewhere
    tells."""
    anchor = await anchor_of(place)
    shell(place, EDIT)
    rewrite(place, UNKEYED, ledger=True)
    assert await found(place) == []
    (one,) = await found(place, anchors=[anchor])
    assert f"row {anchor.number} is another one than your anchor has" in one.what


async def test_the_newest_part_cut_off_cleanly_is_found_by_an_anchor(path: Path) -> None:
    """As an older backup would be, put in the place of the store."""
    older = path.with_name("older.db")
    shutil.copy(path, older)
    async with open_store(path) as store:
        await Night(store.journal, "inc-4", "mail", BEGIN + 9 * HOUR).whole()
    early, late = await anchor_of(older), await anchor_of(path)
    assert await found(path, anchors=[early, late]) == []
    assert await found(older, anchors=[early]) == []
    (one,) = await found(older, anchors=[early, late])
    assert one.what == (
        f"it ends with row {early.number}, but your anchor of 2026-03-01 23:11:00 UTC has row "
        f"{late.number}: the newest part of the journal is gone"
    )


async def test_text_that_is_none_is_said_and_not_fallen_over(path: Path) -> None:
    """As a failing disk leaves it, or somebody who wants no audit."""
    shell(path, "UPDATE events SET body = CAST(x'ff' AS TEXT) WHERE incident = 'inc-1'")
    with pytest.raises(Permanent, match="refused a statement: Could not decode to UTF-8"):
        await found(path)


class TestKeys:
    """HMAC with a key that is not in the store."""

    async def test_it_is_whole_with_its_key_and_cannot_be_told_without(
        self, keyed: StorePlace
    ) -> None:
        assert await found(keyed, Keyring(NEW)) == []
        assert await found(keyed, Keyring(former=[NEW])) == []
        for keyring in (Keyring(), Keyring(OLD)):
            first = (await found(keyed, keyring))[0]
            assert f"the audit key {NEW.id} cannot be checked: it is not set here" in first.what
            assert "`audit.former_keys`" in first.mend

    @pytest.mark.parametrize("seal", [UNKEYED, OLD], ids=["no key", "another key"])
    async def test_a_rewritten_journal_is_found(self, keyed: StorePlace, seal: Seal) -> None:
        shell(keyed, EDIT)
        rewrite(keyed, seal, ledger=True)
        seen = [str(one) for one in await found(keyed, Keyring(NEW, [OLD]))]
        assert f"made with {f'the audit key {seal.id}' if seal.id else 'no key'}" in seen[0]

    async def test_entries_without_a_key_after_it_was_introduced_are_found(
        self, keyed: StorePlace
    ) -> None:
        """The row that introduced the key taken away too: as if there had never been one."""
        shell(keyed, EDIT + "DELETE FROM ledger WHERE kind = 'key';")
        shell(keyed, "UPDATE ledger SET number = number - 1")
        rewrite(keyed, UNKEYED, ledger=True)
        (one,) = await found(keyed, Keyring(NEW))
        assert one.what == f"no row is made with the key of `audit.key` ({NEW.id})"

    async def test_a_key_that_is_introduced_vouches_for_what_was_before(
        self, place: StorePlace
    ) -> None:
        async with open_store(place, keyring=Keyring(OLD)) as store:
            assert (await audit_journal(store.journal)).breaks == []  # before anything is written
            await Night(store.journal, "inc-4", "mail", BEGIN + 9 * HOUR).whole()
        assert await found(place, Keyring(OLD)) == []
        shell(place, EDIT)
        rewrite(place, UNKEYED, ledger=True)
        assert await found(place, Keyring(OLD)) != []

    async def test_a_key_is_changed_and_given_up(self, place: StorePlace) -> None:
        for number, keyring in enumerate(
            (Keyring(OLD), Keyring(NEW, [OLD]), Keyring(former=[NEW, OLD])), start=4
        ):
            async with open_store(place, keyring=keyring) as store:
                night = Night(store.journal, f"inc-{number}", f"s{number}", BEGIN + 9 * HOUR)
                await night.whole()
            assert await found(place, keyring) == []
        assert await found(place, Keyring(former=[OLD, NEW])) == []

    async def test_a_daemon_without_the_key_is_told_and_writes_nothing(
        self, keyed: StorePlace
    ) -> None:
        with pytest.raises(Permanent, match=f"is kept with the audit key {NEW.id}, which is not"):
            async with open_store(keyed):
                pass
        assert await found(keyed, Keyring(NEW)) == []


class TestOldStores:
    """A store that a stopgap of schema 4 wrote, without a ledger."""

    @pytest.fixture
    def old(self, tmp_path: Path) -> Path:
        path = tmp_path / "old.db"
        shell(path, SCHEMA_4.read_text(encoding="utf-8"))
        return path

    async def test_it_is_whole_and_goes_on(self, old: Path) -> None:
        async with open_store(old) as store:
            assert (await audit_journal(store.journal)).breaks == []
            await Night(store.journal, "inc-5", "shop", BEGIN + 9 * HOUR).open()
            report = await audit_journal(store.journal)
        assert report.breaks == []
        assert (report.incidents, report.entries) == (5, 48)

    async def test_its_ledger_says_what_was_there_before(self, old: Path) -> None:
        async with open_store(old):
            pass
        with closing(sqlite3.connect(old)) as connection:
            query = "SELECT kind, incident, seq FROM ledger ORDER BY number"
            rows = connection.execute(query).fetchall()
        incidents = [("inc-1", 15), ("inc-2", 15), ("inc-3", 9), ("inc-4", 5)]
        assert rows[:4] == [("entries", *each) for each in incidents]
        assert rows[-1] == ("begun", "", 0)

    @pytest.mark.parametrize(
        ("script", "told"),
        [
            (EDIT, "inc-1: entry 10 is not what was written"),
            (
                "DELETE FROM events WHERE incident = 'inc-3'; DELETE FROM heads WHERE incident = "
                "'inc-3'",
                "inc-3: all of it is missing: the ledger has 9 entries (row 3)",
            ),
            (
                "DELETE FROM freezes WHERE scope = 'team:shop'",
                "freeze team:shop: the row is missing",
            ),
        ],
    )
    async def test_from_then_on_it_is_watched(self, old: Path, script: str, told: str) -> None:
        async with open_store(old, keyring=Keyring(NEW)):
            pass
        assert await found(old, Keyring(NEW)) == []
        shell(old, script)
        assert told in [str(one) for one in await found(old, Keyring(NEW))]

    @pytest.mark.parametrize(
        ("script", "told"),
        [
            (EDIT, "inc-1: entry 10 is not what was written"),
            (
                "UPDATE heads SET phase = 'closed', closed_at = opened_at WHERE incident = 'inc-3'",
                "inc-3: the head says phase 'closed', the journal 'recovering'",
            ),
        ],
    )
    async def test_what_was_edited_before_is_still_found(
        self, old: Path, script: str, told: str
    ) -> None:
        shell(old, script)
        async with open_store(old):
            pass
        assert told in [str(one) for one in await found(old)]


class TestBesideADaemon:
    """What is appended while it looks is no false alarm."""

    async def test_appends_between_the_two_looks(
        self, place: StorePlace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loop, first = asyncio.get_running_loop(), auditing.look_at_all
        async with open_store(place) as store:

            async def meanwhile() -> None:
                at = BEGIN + 9 * HOUR
                await Night(store.journal, "inc-3", "search", at).recover()
                await Night(store.journal, "inc-4", "mail", at).whole()
                await store.journal.thaw("team:web", "ben", at)

            def look(*asked: object) -> list[object]:
                seen = list(first(*asked))  # type: ignore[arg-type]
                asyncio.run_coroutine_threadsafe(meanwhile(), loop).result()
                return [*seen]

            monkeypatch.setattr(auditing, "look_at_all", look)
            assert (await audit_journal(store.journal)).breaks == []

    async def test_portions_are_looked_at_by_processes(
        self, place: StorePlace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(auditing.portions, "SIZE", 2)
        shell(place, EDIT + "UPDATE heads SET team = 'x' WHERE incident = 'inc-3'")
        async with open_store(place, readonly=True) as store:
            report = await audit_journal(store.journal)
        assert [one.where for one in report.breaks] == ["inc-1", "inc-3"]
        assert (report.incidents, report.entries) == (3, 39)


TYPES = {
    "events": ("incident", "seq", "at", "by", "kind", "format", "body", "digest"),
    "heads": ("incident", "key", "seq", "phase", "severity", "opened_at", "closed_at"),
    "actions": ("incident", "step", "target", "started_at"),
    "freezes": ("scope", "at", "until"),
    "marks": ("subject", "item", "at"),
    "ledger": ("at", "kind", "incident", "seq", "body", "digest"),
}


@pytest.mark.parametrize("value", ["x'ff00'", "'{}'"])
@pytest.mark.parametrize(
    ("table", "column"), [(table, column) for table, columns in TYPES.items() for column in columns]
)
async def test_a_value_of_another_type_is_found_and_ends_no_audit(
    path: StorePlace, table: str, column: str, value: str
) -> None:
    last = f"WHERE rowid = (SELECT max(rowid) FROM {table})"
    shell(path, f'UPDATE {table} SET "{column}" = {value} {last}')
    assert await found(path)


@pytest.mark.parametrize(
    "script",
    [
        "ALTER TABLE actions RENAME COLUMN domain TO realm",
        'ALTER TABLE freezes RENAME COLUMN "by" TO who',
        "DROP TABLE marks",
        "UPDATE meta SET value = 'x' WHERE name = 'schema'",
    ],
)
async def test_tables_that_are_not_ours_any_more_are_told(place: StorePlace, script: str) -> None:
    shell(place, script)
    with pytest.raises(Permanent):
        await found(place)


async def vouched(place: StorePlace) -> tuple[bool, int, int]:
    async with open_store(place, readonly=True, keyring=Keyring(NEW)) as store:
        seen = await audit_journal(store.journal)
        return not seen.breaks, seen.vouched_from, seen.rows


async def test_a_store_made_to_look_old_shows_by_the_row_from_which_the_key_vouches(
    keyed_file: StorePlace,
) -> None:
    """Without its ledger it is one of an earlier version, which had no keys: a start takes it as
    it stands."""
    whole, first, rows = await vouched(keyed_file)
    assert (whole, first) == (True, 1)
    assert rows > 1
    older = "DROP TABLE ledger; UPDATE meta SET value = '4' WHERE name = 'schema'"
    shell(keyed_file, f"{EDIT} {AS_SCHEMA_5} {older}")
    rewrite(keyed_file, UNKEYED, ledger=False)
    async with open_store(keyed_file, keyring=Keyring(NEW)):
        pass  # as the daemon does
    whole, first, rows = await vouched(keyed_file)
    assert (whole, first) == (True, rows)  # for nothing of before
    async with open_store(keyed_file, keyring=Keyring(former=[NEW])):
        pass  # the key is given up
    assert (await vouched(keyed_file))[1] == 0
