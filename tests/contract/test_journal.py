"""What every Journal promises: entries, heads, history. The right to act: test_journal_claims."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from daemon.adapters.store import Store, StorePlace, open_store
from daemon.core.changes.suspects import Change, HealthMark
from daemon.core.incident.events import FORMAT, Draft, Noted, chain, encode
from daemon.core.ports.journal import (
    Claim,
    ClaimRefused,
    HeadState,
    Journal,
    KeyTaken,
    SequenceConflict,
)
from daemon.core.recovery.guardrails import ActionScope, Freeze, Limits
from tests.core.build import page_queued

NOW = datetime(2026, 3, 1, 14, 3, 20, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
OPEN = HeadState(phase="defining", title="checkout", severity="", wake_at=None, closed=False)
CLOSED = OPEN.model_copy(update={"phase": "closed", "closed": True})
SHOP = ActionScope(rule="Errors", team="payments", service="shop", domain="eu")
LIMITS = Limits(
    cooldown=30 * MINUTE,
    flap=24 * HOUR,
    budgets={"rule": 3, "team": 4, "domain": 3, "global": 5},
    budget_window=HOUR,
    storm=4,
    storm_window=5 * MINUTE,
)
TARGET = "release:shop"

Opener = Callable[[], AbstractAsyncContextManager[Store]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stopgap.db"


@pytest.fixture
def opener(place: StorePlace) -> Opener:
    """Opens the same store each time, on each database."""
    return partial(open_store, place)


@pytest.fixture
async def journal(opener: Opener) -> AsyncIterator[Journal]:
    async with opener() as store:
        yield store.journal


def note(text: str = "seen", at: datetime = NOW, by: str = "stopgap") -> Draft:
    return Draft(at=at, by=by, event=Noted(text=text))


async def opened(journal: Journal, *incidents: str, at: datetime = NOW, key: str = "") -> None:
    for incident in incidents:
        await journal.open(incident, key or f"key of {incident}", [note(at=at)], OPEN)


async def seq(journal: Journal, incident: str) -> int:
    return len(await journal.read(incident))


async def claim(
    journal: Journal,
    incident: str,
    at: datetime = NOW,
    target: str = TARGET,
    *,
    scope: ActionScope = SHOP,
    limits: Limits = LIMITS,
    lifted: bool = False,
    closed: Freeze | None = None,
) -> None:
    wanted = Claim(target, 1, scope, limits, lifted, closed)
    expected = await seq(journal, incident)
    await journal.append(incident, expected, [note(f"claim {target}", at)], OPEN, claim=wanted)


async def release(journal: Journal, incident: str, at: datetime = NOW) -> None:
    await journal.append(
        incident, await seq(journal, incident), [note("release", at)], OPEN, release=True
    )


async def refused(journal: Journal, incident: str, *where: Any, **how: Any) -> ClaimRefused:
    """The refusal of that claim, which must have written nothing."""
    before = await journal.read(incident), await journal.heads(9)
    with pytest.raises(ClaimRefused) as caught:
        await claim(journal, incident, *where, **how)
    assert (await journal.read(incident), await journal.heads(9)) == before
    assert str(caught.value) == caught.value.text
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
        with pytest.raises(SequenceConflict, match="inc-0 does not exist"):
            await journal.append("inc-0", 0, [note()], OPEN)

    async def test_of_two_concurrent_appenders_exactly_one_wins(self, journal: Journal) -> None:
        await opened(journal, "inc-1")
        results = await asyncio.gather(
            *(journal.append("inc-1", 1, [note(str(n))], OPEN) for n in range(8)),
            return_exceptions=True,
        )
        assert results.count(None) == 1
        assert sum(isinstance(r, SequenceConflict) for r in results) == 7
        assert await seq(journal, "inc-1") == 2

    async def test_an_append_ahead_of_the_journal_conflicts(self, journal: Journal) -> None:
        await opened(journal, "inc-1")
        with pytest.raises(SequenceConflict, match="inc-1 is at entry 1, not at entry 2"):
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
        assert await journal.find_open(["k", "other"]) == {"k": winner}
        assert [h.incident for h in await journal.heads(9)] == [winner]

    async def test_closing_frees_the_key_and_a_review_keeps_it_free(self, journal: Journal) -> None:
        await journal.open("inc-1", "k", [note()], OPEN)
        await journal.append("inc-1", 1, [note(at=NOW + MINUTE)], CLOSED)
        assert await journal.find_open(["k"]) == {}
        await journal.open("inc-2", "k", [note(at=NOW + HOUR)], OPEN)
        await journal.append("inc-1", 2, [note("review", NOW + 2 * HOUR)], OPEN)
        assert await journal.find_open(["k"]) == {"k": "inc-2"}
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
        assert await journal.open_incidents() == ["inc-c", "inc-a"]
        assert [h.incident for h in await journal.heads(2)] == ["inc-a", "inc-b"]

    async def test_open_incidents_are_found_by_what_has_happened_to_them(
        self, journal: Journal
    ) -> None:
        for name in ("inc-a", "inc-b", "inc-c"):
            await opened(journal, name)
        paged = Draft(at=NOW, event=page_queued())
        for name, state in (("inc-a", OPEN), ("inc-b", CLOSED)):
            await journal.append(name, 1, [paged, paged], state)
        assert await journal.open_with(["PageQueued"]) == {"inc-a"}
        assert await journal.open_with(["Noted", "PageQueued"]) == {"inc-a", "inc-c"}
        assert await journal.open_with(["PageDelivered"]) == set()

    async def test_reading_goes_on_after_an_entry(self, journal: Journal) -> None:
        await journal.open("inc-1", "k", [note("a"), note("b"), note("c")], OPEN)
        assert [e.seq for e in await journal.read("inc-1", 1)] == [2, 3]
        assert await journal.read("inc-1", 3) == []

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
        await opened(journal, "inc-0")
        assert await seq(journal, "inc-0") == 1  # what reads entries is built with the first
        await journal.open("inc-1", "k", [note(f"note {n}") for n in range(500)], OPEN)
        started = time.perf_counter()
        assert await seq(journal, "inc-1") == 500
        assert time.perf_counter() - started < 0.05


class TestHistory:
    """Changes and marks."""

    async def test_a_change_seen_twice_is_one(self, journal: Journal) -> None:
        late = Change(subject=TARGET, item="v3", previous="v2", at=NOW, seen_by="files")
        early = Change(subject=TARGET, item="v2", at=NOW - HOUR, seen_by="files")
        for change in (late, early, late.model_copy(update={"seen_by": "other"})):
            await journal.saw_change(change)
        assert await journal.changes(TARGET) == [early, late]
        assert await journal.changes("release:search") == []

    async def test_a_change_comes_back_whole_but_for_rolling(self, journal: Journal) -> None:
        change = Change(
            subject=TARGET,
            item="a1",
            at=NOW,
            seen_by="kubernetes",
            text="app:2, revision 3 → “Größe”",
            target="deployment:eu/shop",
            labels={"service": "shop", "région": "é\"'%"},
            rolling=True,
        )
        await journal.saw_change(change)
        assert await journal.changes(TARGET) == [change.model_copy(update={"rolling": False})]

    async def test_what_was_reported_is_found_by_its_time(self, journal: Journal) -> None:
        flags = Change(subject="reported:flags", item="on", at=NOW, seen_by="flags")
        dns = Change(subject="reported:dns", item="new", at=NOW, seen_by="dns", labels={"a": "b"})
        early = flags.model_copy(update={"at": NOW - HOUR})
        others = [dns.model_copy(update={"subject": s}) for s in ("Reported:dns", "reported", "x")]
        for change in (flags, early, *others, dns):
            await journal.saw_change(change)
        assert await journal.reported(NOW - HOUR) == [early, dns, flags]
        assert await journal.reported(NOW) == [dns, flags]
        assert await journal.reported(NOW + MINUTE) == []

    async def test_the_newest_mark_wins(self, journal: Journal) -> None:
        await opened(journal, "inc-1")
        measured: list[tuple[datetime, dict[tuple[str, str], HealthMark]]] = [
            (NOW + HOUR, {(TARGET, "v2"): "bad", (TARGET, "v1"): "healthy"}),
            (NOW, {(TARGET, "v2"): "healthy", ("other", "v9"): "bad"}),
            (NOW + 2 * HOUR, {(TARGET, "v1"): "bad"}),
        ]
        for at, marks in measured:
            expected = await seq(journal, "inc-1")
            await journal.append("inc-1", expected, [note(at=at)], OPEN, marks=marks)
        assert await journal.marks(TARGET) == {"v1": "bad", "v2": "bad"}
        assert await journal.marks("other") == {"v9": "bad"}
