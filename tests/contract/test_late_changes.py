"""A change that becomes known while an incident is open rings it: reported, or seen by a watch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from daemon.core.changes.suspects import Change
from daemon.core.incident.state import Incident
from daemon.core.ports.metrics import MetricsServers, NamedMetrics
from daemon.core.rules.rule import Rule
from daemon.repository import IncidentRepository
from daemon.watching.changes import Watcher
from daemon.watching.label_values import LabelValues
from tests.contract.rig import HOOK, Rig, rigged
from tests.core.build import NOW, ago, make_change, make_rule, opening
from tests.fakes import START, MemoryJournal, MemoryNotes, Service

SERVERS = MetricsServers(NamedMetrics(Service(), timedelta(minutes=2)))

REPORT = {
    "item": "v2.3",
    "previous": "v2.2",
    "labels": {"service": "shop"},
    "source": "github",
    "target": "shop",
    "at": (START - timedelta(minutes=1)).isoformat(),
}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as rig:
        yield rig


@pytest.mark.parametrize("again", [REPORT, {**REPORT, "text": "the same once more"}])
async def test_a_report_stands_in_the_open_incident_once(rig: Rig, again: dict[str, Any]) -> None:
    bell, before = rig.repository.bell(rig.id), rig.seq
    bell.clear()
    for sent in (REPORT, again):
        status, _ = await rig.asks("POST", "/api/v1/changes", HOOK, json=sent)
        assert status == 201
    assert bell.is_set()
    assert await rig.kinds(before) == ["ChangeReported"]
    (told,) = (await rig.incident()).told
    assert told.describe() == (
        "change told by github at 14:00:00 UTC: shop: v2.2 → v2.3, made at 13:59:00 UTC"
    )


@pytest.mark.parametrize(
    "more",
    [
        {"labels": {"service": "cart"}},
        {"at": (START - timedelta(hours=5)).isoformat()},
    ],
    ids=["of another service", "long ago"],
)
async def test_what_does_not_concern_it_is_not_told(rig: Rig, more: dict[str, Any]) -> None:
    before = rig.seq
    await rig.asks("POST", "/api/v1/changes", HOOK, json={**REPORT, **more})
    assert await rig.kinds(before) == []


class Seen:
    """`daemon.core.ports.changes.Watch`: sees what a test puts there."""

    def __init__(self, *changes: Change) -> None:
        self.changes = list(changes)

    async def look(self) -> Sequence[Change]:
        return self.changes


async def incident_of(rule: Rule) -> tuple[IncidentRepository, Incident]:
    repository = IncidentRepository(MemoryJournal(), lambda: NOW)
    opened = opening(rule.rule)
    return repository, await repository.open("0301-1409", opened.key, [opened])


@pytest.mark.parametrize(("watched", "told"), [("shop", ["v2"]), ("$service", []), ("cart", [])])
async def test_what_a_watch_sees_late_rings_the_incidents_whose_rule_watches_it(
    watched: str, told: list[str]
) -> None:
    rule = make_rule(rule="other", changes={"releases": {"directory": watched}})
    repository, incident = await incident_of(rule)
    looking = make_rule()  # it watches `shop`
    watch = Seen(make_change("v1", ago(300)))
    values = LabelValues(
        MemoryNotes(), lambda: [looking, rule], SERVERS, lambda _, __: (), lambda: NOW
    )
    watcher = Watcher(repository, lambda: [looking, rule], lambda _, __, ___: watch, values)
    await watcher.of(looking, incident)
    assert (await repository.load(incident.id)).told == (), "of a subject met first, all is old"
    watch.changes.append(make_change("v2", ago(5), "v1"))
    await watcher.of(looking, incident)
    await watcher.of(looking, incident)
    found = (await repository.load(incident.id)).told
    assert [one.change.item for one in found] == told
