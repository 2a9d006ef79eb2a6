"""Freezes, as every Journal keeps them: whom they stop, for how long, and through a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial

import pytest

from daemon.adapters.store import StorePlace, open_store
from daemon.core.ports.journal import Journal
from daemon.core.recovery.guardrails import Freeze
from tests.contract.test_journal import HOUR, MINUTE, NOW, SHOP, claim, opened, refused, release
from tests.fakes import MemoryJournal
from tests.postgresql import place_on

Opener = Callable[[], AbstractAsyncContextManager[Journal]]


@asynccontextmanager
async def on_disk(place: StorePlace) -> AsyncIterator[Journal]:
    async with open_store(place) as store:
        yield store.journal


@asynccontextmanager
async def in_memory(journal: MemoryJournal) -> AsyncIterator[Journal]:
    yield journal


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
def opener(request: pytest.FixtureRequest) -> Opener:
    """Opens the same journal each time."""
    if request.param == "memory":
        return partial(in_memory, MemoryJournal())
    return partial(on_disk, place_on(request.param, request))


@pytest.fixture
async def journal(opener: Opener) -> AsyncIterator[Journal]:
    async with opener() as journal:
        yield journal


def stop(
    scope: str = "global",
    reason: str = "sale",
    at: datetime = NOW,
    until: datetime | None = None,
) -> Freeze:
    return Freeze(scope=scope, reason=reason, by="anna", at=at, until=until)


@pytest.mark.parametrize(
    ("scope", "text"),
    [
        ("global", "frozen by anna since 14:03:20 UTC: sale"),
        ("team:payments", "team payments is frozen by anna since 14:03:20 UTC: sale"),
        ("service:shop", "service shop is frozen by anna since 14:03:20 UTC: sale"),
    ],
)
async def test_it_stops_its_scope_whoever_approves(journal: Journal, scope: str, text: str) -> None:
    await opened(journal, "inc-1")
    await journal.freeze(stop(scope))
    for lifted in (False, True):
        refusal = await refused(journal, "inc-1", lifted=lifted)
        assert (refusal.reason, refusal.text) == ("frozen", text)


@pytest.mark.parametrize(
    "scope", ["team:search", "service:search", "service:payments", "team:shop", "team:", "shop"]
)
async def test_it_does_not_stop_others(journal: Journal, scope: str) -> None:
    await opened(journal, "inc-1")
    await journal.freeze(stop(scope))
    assert [f.scope for f in await journal.freezes(NOW)] == [scope]
    await claim(journal, "inc-1")


async def test_the_newest_of_those_that_concern_us_is_named(journal: Journal) -> None:
    await opened(journal, "inc-1")
    freezes = [
        stop("team:search", at=NOW + 3 * MINUTE),
        stop("service:shop", "audit", at=NOW + 2 * MINUTE),
        stop("global", at=NOW + MINUTE),
        stop("team:payments"),
        stop("team:zoo"),
    ]
    for freeze in (freezes[3], freezes[1], freezes[4], freezes[0], freezes[2]):
        await journal.freeze(freeze)
    assert await journal.freezes(NOW) == freezes
    assert (await refused(journal, "inc-1")).text.endswith(": audit")
    assert await journal.thaw("service:shop", "ben", NOW)
    refusal = await refused(journal, "inc-1")
    assert refusal.text == "frozen by anna since 14:04:20 UTC: sale"
    search = replace(SHOP, team="search", service="search")
    assert (await refused(journal, "inc-1", scope=search)).text.startswith("team search is")


async def test_it_ends_at_its_time(journal: Journal) -> None:
    await opened(journal, "inc-1")
    await journal.freeze(stop("team:payments", until=NOW + HOUR))
    refusal = await refused(journal, "inc-1", NOW + HOUR - timedelta(microseconds=1))
    assert refusal.text == (
        "team payments is frozen by anna since 14:03:20 UTC until 2026-03-01 15:03:20 UTC: sale"
    )
    assert await journal.freezes(NOW + HOUR) == []
    assert await journal.thaw("team:payments", "ben", NOW + HOUR) is False
    await claim(journal, "inc-1", NOW + HOUR)


async def test_the_same_scope_frozen_again_is_one(journal: Journal) -> None:
    await journal.freeze(stop(until=NOW + MINUTE))
    endless = stop(reason="audit", at=NOW + MINUTE)
    await journal.freeze(endless)
    assert await journal.freezes(NOW + 99 * HOUR) == [endless]


async def test_a_thaw_lifts_its_scope_alone(journal: Journal) -> None:
    await opened(journal, "inc-1")
    both = [stop("global", at=NOW + MINUTE), stop("team:payments")]
    for freeze in both:
        await journal.freeze(freeze)
    assert await journal.thaw("service:shop", "ben", NOW) is False
    assert await journal.thaw("global", "ben", NOW) is True
    assert await journal.thaw("global", "ben", NOW) is False
    assert await journal.freezes(NOW) == both[1:]
    assert (await refused(journal, "inc-1")).text.startswith("team payments is frozen")
    assert await journal.thaw("team:payments", "ben", NOW) is True
    await claim(journal, "inc-1")
    await release(journal, "inc-1")
    await journal.freeze(both[1])  # a thawed scope can be frozen anew
    assert (await refused(journal, "inc-1", lifted=True)).reason == "frozen"


async def test_it_outlives_a_restart_and_so_does_its_thaw(opener: Opener) -> None:
    kept = stop("team:payments", until=NOW + HOUR)
    async with opener() as journal:
        await opened(journal, "inc-1")
        await journal.freeze(kept)
        await journal.freeze(stop("global"))
        await journal.thaw("global", "ben", NOW)
    async with opener() as journal:
        assert await journal.freezes(NOW) == [kept]
        assert (await refused(journal, "inc-1", lifted=True)).reason == "frozen"
        await journal.thaw("team:payments", "ben", NOW)
    async with opener() as journal:
        await claim(journal, "inc-1")


async def test_the_lock_outlives_a_restart(opener: Opener) -> None:
    async with opener() as journal:
        await opened(journal, "inc-1", "inc-2")
        await claim(journal, "inc-1")
    async with opener() as journal:
        assert (await refused(journal, "inc-2", lifted=True)).reason == "target_locked"
        await release(journal, "inc-1")
        await claim(journal, "inc-2", lifted=True)


async def test_a_decision_from_before_the_freeze_is_stopped(journal: Journal) -> None:
    await opened(journal, "inc-1")
    await journal.freeze(stop(at=NOW + MINUTE))
    assert (await refused(journal, "inc-1", NOW)).reason == "frozen"


async def test_the_calendar_refuses_too_and_by_hand_goes_first(journal: Journal) -> None:
    await opened(journal, "inc-1")
    closed = stop("service:shop", "black friday")
    refusal = await refused(journal, "inc-1", closed=closed, lifted=True)
    assert refusal.reason == "frozen"
    assert refusal.text.endswith(": black friday")
    await journal.freeze(stop(reason="by hand"))
    assert (await refused(journal, "inc-1", closed=closed)).text.endswith(": by hand")
    await journal.thaw("global", "ben", NOW)
    assert await journal.freezes(NOW) == []  # the calendar's is not the store's
    await claim(journal, "inc-1")


async def test_times_of_other_zones_are_the_same_moment(journal: Journal) -> None:
    zone = timezone(timedelta(hours=5, minutes=45))
    until = NOW + HOUR
    await journal.freeze(stop(at=NOW.astimezone(zone), until=until.astimezone(zone)))
    (freeze,) = await journal.freezes(NOW)
    assert (freeze.at, freeze.until) == (NOW.astimezone(UTC), until)
    assert await journal.freezes(until.astimezone(zone)) == []
