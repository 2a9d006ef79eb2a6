"""Which alerts were heard, remembered from one look to the next: as exact as asking for all."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from daemon.core.incident.events import Draft, IncidentClosed
from daemon.core.ports.journal import AlertSighting, Journal
from daemon.reporting import sightings
from daemon.reporting.sightings import SightingCache
from tests.contract.test_journal_search import HOUR, NOW, journal, opens, received, state
from tests.fakes import MemoryJournal

__all__ = ["journal"]
DAY = timedelta(days=1)
MONTH = 30 * DAY


class Asked(MemoryJournal):
    """Remembers since when it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.since: list[datetime] = []

    async def alert_sightings(self, since: datetime) -> list[AlertSighting]:
        self.since.append(since)
        return await super().alert_sightings(since)


@pytest.fixture
def cache() -> SightingCache:
    return SightingCache()


async def test_every_look_tells_what_asking_for_all_tells(
    journal: Journal, cache: SightingCache
) -> None:
    async def agree(now: datetime, past: timedelta = MONTH) -> int:
        found = await cache.seen(journal, now - past, now)
        assert set(found) == set(await journal.alert_sightings(now - past))
        assert found == sorted(found, key=lambda one: one.at, reverse=True)
        return len(found)

    assert await agree(NOW) == 0
    await opens(journal, "a")
    await opens(journal, "b", at=NOW + HOUR, alerts=("Slow", "Disk"))
    assert await agree(NOW + 2 * HOUR) == 3
    again = Draft(at=NOW + 5 * HOUR, event=received("High"))
    await journal.append("a", 2, [again], state("it fails", ""))
    closing = Draft(at=NOW + 5 * HOUR, event=IncidentClosed(reason="recovered", text=""))
    closed = state("it fails", "").model_copy(update={"closed": True})
    await journal.append("a", 3, [closing], closed)
    assert await agree(NOW + 6 * HOUR) == 3
    assert await agree(NOW + 6 * HOUR, 2 * HOUR) == 1
    assert await agree(NOW + 7 * HOUR, 2 * MONTH) == 3
    assert await agree(NOW + 29 * HOUR, DAY) == 1


async def test_the_past_is_looked_through_once_a_day() -> None:
    asked, cache = Asked(), SightingCache()
    for hours in (0, 2, 20, 25):
        now = NOW + hours * HOUR
        await cache.seen(asked, now - MONTH, now)
    assert asked.since == [NOW - MONTH, NOW - HOUR, NOW + HOUR, NOW + 25 * HOUR - MONTH]


async def test_a_clock_that_was_set_back_has_all_asked_for_again() -> None:
    asked, cache = Asked(), SightingCache()
    for now in (NOW, NOW - HOUR):
        await cache.seen(asked, now - DAY, now)
    assert asked.since == [NOW - DAY, NOW - HOUR - DAY]


async def test_only_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sightings, "MOST_SIGHTINGS", 2)
    asked, cache = Asked(), SightingCache()
    for number, name in enumerate("abc"):
        await opens(asked, name, at=NOW + number * HOUR)
    found = await cache.seen(asked, NOW, NOW + 3 * HOUR)
    assert ([one.incident for one in found], len(cache)) == (["c", "b"], 2)
