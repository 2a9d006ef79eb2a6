"""Label values are found before an incident has them, and watched at a pace that fits them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import yaml

from daemon.core.changes.change import Change
from daemon.core.measurement.samples import QueryAnswer, Series
from daemon.core.ports.metrics import MetricsServers, NamedMetrics
from daemon.core.rules.label_values import MOST_VALUES
from daemon.core.rules.rule import Rule, load
from daemon.repository import IncidentRepository
from daemon.watching.changes import Watcher
from daemon.watching.label_values import LabelValues
from tests.fakes import START, MemoryJournal, MemoryNotes, Service
from tests.stories.stage import RULE

MANY = yaml.safe_dump({**yaml.safe_load(RULE), "changes": {"releases": {"directory": "$service"}}})
((RULE_OF_MANY, _),) = load(MANY, "many.yaml")


class Prometheus(Service):
    """Tells which services there are, or fails once for each trouble."""

    troubles: list[Exception]

    def __init__(self, count: int) -> None:
        super().__init__(services=[f"s{number:04}" for number in range(count)])
        self.troubles = []

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        if self.troubles:
            raise self.troubles.pop(0)
        return await super().instant(query, at)


class Target:
    """A watch that counts its looks; one takes a moment."""

    def __init__(self, looks: dict[str, list[float]], name: str) -> None:
        self.looks, self.name = looks, name

    async def look(self) -> Sequence[Change]:
        self.looks.setdefault(self.name, []).append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.01)
        return ()


def clock() -> datetime:
    return START + timedelta(seconds=asyncio.get_running_loop().time())


def values(prometheus: Service, notes: MemoryNotes) -> LabelValues:
    servers = MetricsServers(NamedMetrics(prometheus, timedelta(minutes=2)))
    return LabelValues(notes, lambda: [RULE_OF_MANY], servers, lambda _, __: (), clock)


async def test_five_hundred_values_are_looked_at_in_turns() -> None:
    known, looks = values(Prometheus(500), MemoryNotes()), dict[str, list[float]]()

    def make(_: Rule, __: str, params: Mapping[str, Any]) -> Target:
        return Target(looks, str(params["directory"]))

    await known.look()
    repository = IncidentRepository(MemoryJournal(), clock)
    watcher = Watcher(repository, lambda: [RULE_OF_MANY], make, known)
    watching = asyncio.create_task(watcher.run())
    await asyncio.sleep(600)
    watching.cancel()
    assert len(looks) == 500
    gaps = [later - first for at in looks.values() for first, later in pairwise(at)]
    assert max(gaps) < 120
    assert sum(map(len, looks.values())) <= 600 * 5 + 10


async def test_more_values_than_are_watched_are_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    known = values(Prometheus(MOST_VALUES + 1), MemoryNotes())
    await known.look()
    await known.look()
    assert len(known.of(RULE_OF_MANY)) == MOST_VALUES
    assert caplog.text.count("too many label values") == 1


async def test_what_was_found_outlives_the_daemon_and_an_outage() -> None:
    notes, prometheus = MemoryNotes(), Prometheus(2)
    assert await values(prometheus, notes).look()
    prometheus.troubles = [TimeoutError()]
    after = values(prometheus, notes)
    assert not await after.look()
    assert after.of(RULE_OF_MANY) == [{"service": "s0000"}, {"service": "s0001"}]


async def test_it_looks_soon_again_after_an_outage_and_every_five_minutes() -> None:
    prometheus = Prometheus(0)
    prometheus.troubles = [TimeoutError()]
    known = values(prometheus, MemoryNotes())
    looking = asyncio.create_task(known.run())
    await asyncio.sleep(1)
    prometheus.services = ["shop"]
    await asyncio.sleep(30)
    assert known.of(RULE_OF_MANY) == [{"service": "shop"}]
    prometheus.services = ["cart", "shop"]
    await asyncio.sleep(300)
    assert known.of(RULE_OF_MANY) == [{"service": "cart"}, {"service": "shop"}]
    prometheus.services = ["cart", "news", "shop"]
    known.look_again()
    await asyncio.sleep(1)
    assert len(known.of(RULE_OF_MANY)) == 3
    looking.cancel()


async def test_an_incident_of_an_unknown_value_is_kept_at_once() -> None:
    notes = MemoryNotes()
    known = values(Prometheus(0), notes)
    looking = asyncio.create_task(known.run())
    await asyncio.sleep(1)
    known.met(RULE_OF_MANY, {"service": "shop"})
    await asyncio.sleep(1)
    looking.cancel()
    after = values(Prometheus(0), notes)
    await after.look()
    assert after.of(RULE_OF_MANY) == [{"service": "shop"}]


async def test_odd_answers_are_no_values() -> None:
    class Odd(Service):
        async def instant(self, query: str, at: datetime) -> QueryAnswer:
            names = ["", "../etc", "shop"]
            return QueryAnswer(query, [Series({"service": name}, [(0.0, 1.0)]) for name in names])

    known = values(Odd(), MemoryNotes())
    await known.look()
    assert known.of(RULE_OF_MANY) == [{"service": "shop"}]
