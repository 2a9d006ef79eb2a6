"""What every Journal promises, and what ours in SQLite promises beyond that."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, closing
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import pytest

from daemon.adapters.store import SqlJournal, Store, audit, open_store
from daemon.core.events import FORMAT, Draft, Noted, chain, encode
from daemon.core.outcome import Permanent, Temporary
from daemon.core.ports import (
    Claim,
    ClaimRefused,
    Conflict,
    Freeze,
    Guard,
    HeadState,
    Journal,
    KeyTaken,
    Limits,
)
from daemon.core.suspects import Change, Mark

NOW = datetime(2026, 3, 1, 14, 3, 20, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
OPEN = HeadState(phase="defining", title="checkout", severity="", wake_at=None, closed=False)
CLOSED = OPEN.model_copy(update={"phase": "closed", "closed": True})
LIMITS = Limits(cooldown=30 * MINUTE, budget=3, budget_window=HOUR)
LIFTED = Limits(cooldown=30 * MINUTE, budget=3, budget_window=HOUR, lifted=True)
TARGET = "release:shop"

Opener = Callable[[], AbstractAsyncContextManager[Store]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stopgap.db"


@pytest.fixture(params=["sqlite"])
def opener(request: pytest.FixtureRequest, path: Path) -> Opener:
    """Opens the same store each time: one entry here for each implementation."""
    return {"sqlite": partial(open_store, path)}[request.param]


@pytest.fixture
async def journal(opener: Opener) -> AsyncIterator[Journal]:
    async with opener() as store:
        yield store.journal


def note(text: str = "seen", at: datetime = NOW, by: str = "stopgap") -> Draft:
    return Draft(at=at, by=by, event=Noted(text=text))


async def opened(journal: Journal, *incidents: str, at: datetime = NOW) -> None:
    for incident in incidents:
        await journal.open(incident, f"key of {incident}", [note(at=at)], OPEN)


async def seq(journal: Journal, incident: str) -> int:
    return len(await journal.read(incident))


async def claim(
    journal: Journal,
    incident: str,
    at: datetime = NOW,
    target: str = TARGET,
    limits: Limits = LIMITS,
) -> None:
    await journal.append(
        incident,
        await seq(journal, incident),
        [note(f"claim {target}", at)],
        OPEN,
        claim=Claim(target=target, step=1, limits=limits),
    )


async def release(journal: Journal, incident: str, at: datetime = NOW) -> None:
    await journal.append(
        incident, await seq(journal, incident), [note("release", at)], OPEN, release=True
    )


async def refused(journal: Journal, incident: str, **how: object) -> ClaimRefused:
    """The refusal of that claim, which must have written nothing."""
    before = await journal.read(incident), await journal.heads(9)
    with pytest.raises(ClaimRefused) as caught:
        await claim(journal, incident, **how)  # type: ignore[arg-type]
    assert (await journal.read(incident), await journal.heads(9)) == before
    return caught.value


class TestJournal:
    """Opening, appending, reading."""

    async def test_entries_come_back_as_they_were_and_chained(self, journal: Journal) -> None:
        await journal.open("inc-1", "k", [note("a"), note("b", by="anna")], OPEN)
        await journal.append("inc-1", 2, [note("c", NOW + MINUTE)], OPEN)
        entries = await journal.read("inc-1")
        assert [(e.seq, e.by, e.event) for e in entries] == [
            (1, "stopgap", Noted(text="a")),
            (2, "anna", Noted(text="b")),
            (3, "stopgap", Noted(text="c")),
        ]
        assert [e.at for e in entries] == [NOW, NOW, NOW + MINUTE]
        at = "2026-03-01T14:03:20.123456+00:00"
        first = chain("", "inc-1", 1, at, "stopgap", "Noted", FORMAT, encode(Noted(text="a")))
        second = chain(first, "inc-1", 2, at, "anna", "Noted", FORMAT, encode(Noted(text="b")))
        assert [e.digest for e in entries[:2]] == [first, second]

    async def test_times_of_other_zones_are_the_same_moment(self, journal: Journal) -> None:
        local = NOW.astimezone(timezone(timedelta(hours=5, minutes=45)))
        await opened(journal, "inc-1", at=local)
        assert (await journal.read("inc-1"))[0].at == NOW

    async def test_an_unknown_incident_is_empty_and_takes_no_append(self, journal: Journal) -> None:
        assert await journal.read("inc-0") == []
        with pytest.raises(Conflict, match="inc-0 does not exist"):
            await journal.append("inc-0", 0, [note()], OPEN)

    async def test_of_two_concurrent_appenders_exactly_one_wins(self, journal: Journal) -> None:
        await opened(journal, "inc-1")
        results = await asyncio.gather(
            *(journal.append("inc-1", 1, [note(str(n))], OPEN) for n in range(8)),
            return_exceptions=True,
        )
        assert results.count(None) == 1
        assert sum(isinstance(r, Conflict) for r in results) == 7
        assert await seq(journal, "inc-1") == 2

    async def test_an_append_ahead_of_the_journal_conflicts(self, journal: Journal) -> None:
        await opened(journal, "inc-1")
        with pytest.raises(Conflict, match="inc-1 is at entry 1, not at entry 2"):
            await journal.append("inc-1", 2, [note()], OPEN)

    async def test_one_open_incident_a_key_under_concurrency(self, journal: Journal) -> None:
        results = await asyncio.gather(
            *(journal.open(f"inc-{n}", "k", [note()], OPEN) for n in range(8)),
            return_exceptions=True,
        )
        winner = f"inc-{results.index(None)}"
        losers = [r for r in results if isinstance(r, KeyTaken)]
        assert results.count(None) == 1
        assert {loser.incident for loser in losers} == {winner}
        assert len(losers) == 7
        assert await journal.find_open("k") == winner
        assert [h.incident for h in await journal.heads(9)] == [winner]

    async def test_closing_frees_the_key_and_a_review_keeps_it_free(self, journal: Journal) -> None:
        await journal.open("inc-1", "k", [note()], OPEN)
        await journal.append("inc-1", 1, [note(at=NOW + MINUTE)], CLOSED)
        assert await journal.find_open("k") is None
        await journal.open("inc-2", "k", [note(at=NOW + HOUR)], OPEN)
        await journal.append("inc-1", 2, [note("review", NOW + 2 * HOUR)], OPEN)
        assert await journal.find_open("k") == "inc-2"
        old = (await journal.heads(9))[1]
        assert (old.incident, old.seq, old.closed_at) == ("inc-1", 3, NOW + MINUTE)

    async def test_the_head_follows_the_append(self, journal: Journal) -> None:
        await opened(journal, "inc-1")
        wake = NOW + timedelta(seconds=1)
        state = HeadState(
            phase="recovering", title="t", severity="sev2", wake_at=wake, closed=False
        )
        await journal.append("inc-1", 1, [note()], state)
        (head,) = await journal.open_heads()
        assert (head.seq, head.phase, head.title, head.severity) == (2, "recovering", "t", "sev2")
        assert (head.opened_at, head.wake_at, head.closed_at) == (NOW, wake, None)
        await journal.append("inc-1", 2, [], OPEN)  # a timer may be cleared without an event
        (head,) = await journal.open_heads()
        assert (head.seq, head.phase, head.wake_at) == (2, "defining", None)

    async def test_heads_are_ordered_by_age(self, journal: Journal) -> None:
        await opened(journal, "inc-b", at=NOW + MINUTE)
        await opened(journal, "inc-a", at=NOW + HOUR)
        await opened(journal, "inc-c", at=NOW)
        await journal.append("inc-b", 1, [note()], CLOSED)
        assert [h.incident for h in await journal.open_heads()] == ["inc-c", "inc-a"]
        assert [h.incident for h in await journal.heads(2)] == ["inc-a", "inc-b"]

    async def test_what_needs_a_time_needs_an_entry(self, journal: Journal) -> None:
        await opened(journal, "inc-1")
        with pytest.raises(ValueError, match="at least one entry"):
            await journal.open("inc-2", "k", [], OPEN)
        with pytest.raises(ValueError, match="needs an entry"):
            await journal.append("inc-1", 1, [], CLOSED)

    @pytest.mark.parametrize("turns", range(0, 60, 3))
    async def test_a_cancelled_append_is_whole_or_absent(
        self, journal: Journal, turns: int
    ) -> None:
        await opened(journal, "inc-1")
        task = asyncio.create_task(journal.append("inc-1", 1, [note("x"), note("y")], OPEN))
        for _ in range(turns):
            await asyncio.sleep(0.0001)
        task.cancel()
        await asyncio.wait([task])
        written = await seq(journal, "inc-1")
        assert written in {1, 3}
        assert (await journal.open_heads())[0].seq == written
        await journal.append("inc-1", written, [note("z")], OPEN)

    @pytest.mark.bench
    async def test_five_hundred_entries_are_read_in_50_ms(self, journal: Journal) -> None:
        await journal.open("inc-1", "k", [note(f"note {n}") for n in range(500)], OPEN)
        started = time.perf_counter()
        assert await seq(journal, "inc-1") == 500
        assert time.perf_counter() - started < 0.05


class TestClaims:
    """Locks, cooldowns, the budget, freezes."""

    async def test_a_locked_target_names_its_holder(self, journal: Journal) -> None:
        await opened(journal, "inc-1", "inc-2")
        await claim(journal, "inc-1")
        refusal = await refused(journal, "inc-2", limits=LIFTED)
        assert refusal.reason == "target_locked"
        assert refusal.text == "release:shop is being recovered by inc-1"
        await claim(journal, "inc-2", target="release:search")

    async def test_of_two_concurrent_claims_one_gets_the_lock(self, journal: Journal) -> None:
        await opened(journal, "inc-1", "inc-2")
        results = await asyncio.gather(
            claim(journal, "inc-1"), claim(journal, "inc-2"), return_exceptions=True
        )
        (loser,) = (r for r in results if r is not None)
        assert isinstance(loser, ClaimRefused)
        assert loser.reason == "target_locked"

    async def test_the_lock_outlives_a_restart(self, opener: Opener) -> None:
        async with opener() as store:
            await opened(store.journal, "inc-1", "inc-2")
            await claim(store.journal, "inc-1")
        async with opener() as store:
            assert (await refused(store.journal, "inc-2")).reason == "target_locked"
            await release(store.journal, "inc-1")
            await claim(store.journal, "inc-2", limits=LIFTED)

    async def test_the_cooldown_holds_across_incidents(self, journal: Journal) -> None:
        await opened(journal, "inc-1", "inc-2")
        await claim(journal, "inc-1")
        await release(journal, "inc-1", NOW + MINUTE)
        refusal = await refused(journal, "inc-2", at=NOW + 5 * MINUTE)
        assert refusal.reason == "cooldown"
        assert refusal.text == ("release:shop was recovered 4m ago by inc-1; the cooldown is 30m")
        await claim(journal, "inc-2", at=NOW + 31 * MINUTE)

    async def test_the_alternatives_of_one_incident_do_not_cool_each_other(
        self, journal: Journal
    ) -> None:
        await opened(journal, "inc-1")
        await claim(journal, "inc-1")
        await release(journal, "inc-1")
        assert (await journal.guard(TARGET, "inc-1", NOW, HOUR)).last_finished is None
        await claim(journal, "inc-1", at=NOW + MINUTE)

    async def test_the_budget_counts_every_start_on_any_target(self, journal: Journal) -> None:
        await opened(journal, "inc-1", "inc-2")
        for n in range(3):
            await claim(journal, "inc-1", at=NOW + n * MINUTE, target=f"t{n}")
            if n:  # one still runs, two have ended, with whatever verdict
                await release(journal, "inc-1", NOW + n * MINUTE)
        refusal = await refused(journal, "inc-2", at=NOW + 3 * MINUTE)
        assert refusal.reason == "budget_spent"
        assert refusal.text == "actions started in the last 1h: 3; the budget is 3"
        await claim(journal, "inc-2", at=NOW + HOUR)

    async def test_approval_lifts_cooldown_and_budget_alone(self, journal: Journal) -> None:
        await opened(journal, "inc-1", "inc-2")
        spent = Limits(cooldown=HOUR, budget=0, budget_window=HOUR, lifted=True)
        await claim(journal, "inc-1", limits=spent)
        await release(journal, "inc-1")
        await claim(journal, "inc-2", limits=spent)
        await release(journal, "inc-2")
        await journal.freeze(Freeze(scope="global", reason="sale", by="anna", at=NOW))
        assert (await refused(journal, "inc-1", limits=spent)).reason == "frozen"

    async def test_refusals_come_in_a_fixed_order(self, journal: Journal) -> None:
        await opened(journal, "inc-1", "inc-2")
        tight = Limits(cooldown=HOUR, budget=0, budget_window=HOUR)
        await claim(journal, "inc-1")
        await release(journal, "inc-1")
        await claim(journal, "inc-1", limits=LIFTED)
        await journal.freeze(Freeze(scope="global", reason="sale", by="anna", at=NOW))
        reasons = [(await refused(journal, "inc-2", limits=tight)).reason]
        await journal.thaw("global", "anna", NOW)
        reasons.append((await refused(journal, "inc-2", limits=tight)).reason)
        await release(journal, "inc-1")
        reasons.append((await refused(journal, "inc-2", limits=tight)).reason)
        reasons.append((await refused(journal, "inc-2", limits=tight, target="other")).reason)
        assert reasons == ["frozen", "target_locked", "cooldown", "budget_spent"]

    async def test_a_conflict_comes_before_any_claim(self, journal: Journal) -> None:
        await opened(journal, "inc-1")
        wanted = Claim(target=TARGET, step=1, limits=LIMITS)
        with pytest.raises(Conflict):
            await journal.append("inc-1", 7, [note()], OPEN, claim=wanted)
        assert (await journal.guard(TARGET, "inc-2", NOW, HOUR)).locked_by == ""

    async def test_the_guard_sees_what_the_claim_will(self, journal: Journal) -> None:
        assert await journal.guard(TARGET, "inc-2", NOW, HOUR) == Guard()
        await opened(journal, "inc-1")
        await claim(journal, "inc-1")
        assert await journal.guard(TARGET, "inc-2", NOW, HOUR) == Guard(
            locked_by="inc-1", started_in_window=1
        )
        await release(journal, "inc-1", NOW + MINUTE)
        freeze = Freeze(scope="global", reason="sale", by="anna", at=NOW)
        await journal.freeze(freeze)
        assert await journal.guard(TARGET, "inc-2", NOW, HOUR) == Guard(
            freeze=freeze, last_finished=NOW + MINUTE, started_in_window=1
        )

    async def test_a_freeze_stands_until_it_ends_or_is_thawed(self, opener: Opener) -> None:
        first = Freeze(scope="global", reason="sale", by="anna", at=NOW, until=NOW + HOUR)
        endless = Freeze(scope="global", reason="audit", by="ben", at=NOW + MINUTE)
        async with opener() as store:
            await opened(store.journal, "inc-1")
            await store.journal.freeze(first)
        async with opener() as store:
            journal = store.journal
            assert await journal.frozen(NOW) == first
            refusal = await refused(journal, "inc-1")
            assert refusal.text == (
                "automation is frozen by anna since 14:03:20 UTC until 15:03:20 UTC: sale"
            )
            assert await journal.frozen(NOW + HOUR) is None
            assert await journal.thaw("global", "ben", NOW + HOUR) is False
            await journal.freeze(endless)
            assert await journal.frozen(NOW + 99 * HOUR) == endless
            assert await journal.thaw("elsewhere", "ben", NOW) is False
            assert await journal.thaw("global", "ben", NOW) is True
            assert await journal.thaw("global", "ben", NOW) is False
            assert await journal.frozen(NOW) is None
            await claim(journal, "inc-1")
            await journal.freeze(first)  # a thawed scope can be frozen anew
            assert await journal.frozen(NOW) == first

    async def test_a_decision_from_before_the_freeze_is_stopped(self, journal: Journal) -> None:
        await opened(journal, "inc-1")
        await journal.freeze(Freeze(scope="global", reason="sale", by="anna", at=NOW + MINUTE))
        assert (await refused(journal, "inc-1", at=NOW)).reason == "frozen"


class TestHistory:
    """Changes and marks."""

    async def test_a_change_seen_twice_is_one(self, journal: Journal) -> None:
        late = Change(subject=TARGET, item="v3", previous="v2", at=NOW, seen_by="files")
        early = Change(subject=TARGET, item="v2", at=NOW - HOUR, seen_by="files")
        for change in (late, early, late.model_copy(update={"seen_by": "other"})):
            await journal.saw_change(change)
        assert await journal.changes(TARGET) == [early, late]
        assert await journal.changes("release:search") == []

    async def test_the_newest_mark_wins(self, journal: Journal) -> None:
        await opened(journal, "inc-1")
        measured: list[tuple[datetime, dict[tuple[str, str], Mark]]] = [
            (NOW + HOUR, {(TARGET, "v2"): "bad", (TARGET, "v1"): "healthy"}),
            (NOW, {(TARGET, "v2"): "healthy", ("other", "v9"): "bad"}),
            (NOW + 2 * HOUR, {(TARGET, "v1"): "bad"}),
        ]
        for at, marks in measured:
            expected = await seq(journal, "inc-1")
            await journal.append("inc-1", expected, [note(at=at)], OPEN, marks=marks)
        assert await journal.marks(TARGET) == {"v1": "bad", "v2": "bad"}
        assert await journal.marks("other") == {"v9": "bad"}


TAMPERING = {
    "edited body": (
        """UPDATE events SET body = replace(body, 'three', 'xxxxx') WHERE seq = 3""",
        ["inc-1: entry 3 is not what was written"],
    ),
    "edited actor": (
        """UPDATE events SET "by" = 'eve' WHERE seq = 2""",
        ["inc-1: entry 2 is not what was written"],
    ),
    "edited label": (
        "UPDATE events SET kind = 'StepApproved' WHERE seq = 2",
        ["inc-1: entry 2 is not what was written"],
    ),
    "removed in the middle": (
        "DELETE FROM events WHERE seq = 3",
        ["inc-1: entry 3 missing before entry 4"],
    ),
    "removed and renumbered": (
        "DELETE FROM events WHERE seq = 3; UPDATE events SET seq = 3 WHERE seq = 4;"
        "UPDATE events SET seq = 4 WHERE seq = 5; UPDATE heads SET seq = 4",
        [f"inc-1: entry {n} is not what was written" for n in (3, 4)],
    ),
    "reordered": (
        "UPDATE events SET seq = 9 WHERE seq = 2; UPDATE events SET seq = 2 WHERE seq = 3;"
        "UPDATE events SET seq = 3 WHERE seq = 9",
        [f"inc-1: entry {n} is not what was written" for n in (2, 3, 4)],
    ),
    "truncated tail": (
        "DELETE FROM events WHERE seq > 3",
        ["inc-1: the head says 5 entries, the journal ends with entry 3"],
    ),
    "head removed": (
        "DELETE FROM heads",
        ["inc-1: the head row is missing; the journal holds 5 entries"],
    ),
    "all entries removed": (
        "DELETE FROM events",
        ["inc-1: the head says 5 entries, the journal ends with entry 0"],
    ),
}


async def with_page_limit(journal: SqlJournal, pages: int) -> None:
    """Make the disk as small as that for the writer: SQLite's own way to be full."""
    writer = journal.database._writer
    assert writer is not None
    with writer.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        connection.commit()


class TestSqlite:
    """What is this store's own: the audit over its columns, and its failures."""

    @pytest.mark.parametrize("case", TAMPERING)
    async def test_the_audit_finds_tampering(self, path: Path, case: str) -> None:
        script, breaks = TAMPERING[case]
        async with open_store(path) as store:
            words = ("one", "two", "three", "four", "five")
            await store.journal.open("inc-1", "k", [note(word) for word in words], OPEN)
            assert await audit(store.journal) == []
        with closing(sqlite3.connect(path)) as shell:
            shell.executescript(script)
        async with open_store(path, readonly=True) as store:
            assert await audit(store.journal) == breaks

    async def test_an_entry_of_a_newer_vocabulary_is_named(self, path: Path) -> None:
        async with open_store(path) as store:
            await opened(store.journal, "inc-1")
        with closing(sqlite3.connect(path)) as shell:
            shell.executescript("""UPDATE events SET body = '{"kind":"Teleported"}', format = 2""")
        async with open_store(path) as store:
            with pytest.raises(Permanent, match="entry 1 of inc-1 cannot be read"):
                await store.journal.read("inc-1")

    async def test_a_full_disk_is_temporary_and_leaves_nothing(self, path: Path) -> None:
        async with open_store(path) as store:
            journal = store.journal
            await opened(journal, "inc-1")
            await with_page_limit(journal, 1)
            with pytest.raises(Temporary, match=r"the disk of .*stopgap\.db is full; free some"):
                await journal.append("inc-1", 1, [note("small"), note("x" * 200_000)], CLOSED)
            with pytest.raises(Temporary):
                await journal.open("inc-2", "k2", [note("x" * 200_000)], OPEN)
            assert await seq(journal, "inc-1") == 1
            assert [h.closed_at for h in await journal.heads(9)] == [None]
            await with_page_limit(journal, 100_000)
            await journal.append("inc-1", 1, [note("x" * 200_000)], CLOSED)
            assert await audit(journal) == []

    async def test_a_held_file_is_temporary(self, path: Path) -> None:
        async with open_store(path) as store:
            writer = store.journal.database._writer
            assert writer is not None
            with writer.connect() as connection:
                connection.exec_driver_sql("PRAGMA busy_timeout = 1")
                connection.commit()
            with closing(sqlite3.connect(path, isolation_level=None)) as shell:
                shell.execute("BEGIN IMMEDIATE")
                with pytest.raises(Temporary, match="is held by another program"):
                    await opened(store.journal, "inc-1")
            await opened(store.journal, "inc-1")

    async def test_readers_do_not_wait_for_a_writer(self, path: Path) -> None:
        async with open_store(path) as store:
            await opened(store.journal, "inc-1")
            with closing(sqlite3.connect(path, isolation_level=None)) as shell:
                shell.execute("BEGIN IMMEDIATE")
                assert await seq(store.journal, "inc-1") == 1
