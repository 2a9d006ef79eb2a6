"""Every Journal keeps drills apart: in its guards, its searches and its counts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.adapters.store import open_store
from daemon.core.alertmanager import Alert
from daemon.core.incident.events import AlertsReceived, Draft, IncidentOpened
from daemon.core.measurement.problem import Severity
from daemon.core.ports.journal import HeadState, IncidentSearch, Journal
from daemon.core.recovery.concurrent import Cause
from daemon.core.recovery.guardrails import Guard
from daemon.core.rules.dependencies import RuleDependencies
from daemon.core.rules.rule import incident_key
from daemon.core.values.drill_key import drill_incident, drill_key
from tests.contract.test_journal import HOUR, LIMITS, MINUTE, NOW, SHOP, TARGET, claim, release
from tests.fakes import MemoryJournal
from tests.postgresql import place_on

RUN, OTHER = "0301-1400-abcdef", "0301-1401-ghjkmn"
DRILLED = replace(SHOP, drill=RUN)
HEADED = HeadState(phase="deciding", title="it fails", severity="sev2", wake_at=None, closed=False)


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
async def journal(request: pytest.FixtureRequest) -> AsyncIterator[Journal]:
    if request.param == "memory":
        yield MemoryJournal()
        return
    async with open_store(place_on(request.param, request)) as store:
        yield store.journal


async def opens(journal: Journal, service: str, run: str = "", **onset: object) -> str:
    """An incident of that service, in a drill or in earnest."""
    key = incident_key("Errors", {"service": service})
    incident = drill_incident(run, service) if run else f"real-{service}"
    key = drill_key(run, key) if run else key
    event = IncidentOpened(
        key=key, rule="Errors", group_labels={"service": service}, title="x", team="payments"
    )
    labels = {"alertname": f"High {run or 'real'}"}
    alert = Alert.model_validate({"status": "firing", "labels": labels, "startsAt": NOW})
    events = (event, AlertsReceived(alerts=(alert,)))
    state = HEADED.model_copy(update=onset)
    await journal.open(incident, key, [Draft(at=NOW, event=one) for one in events], state)
    return incident


async def guard(journal: Journal, run: str = "", incident: str = "asking") -> Guard:
    scope = DRILLED if run == RUN else replace(SHOP, drill=run)
    return await journal.guard(TARGET, incident, scope, LIMITS, NOW + MINUTE)


async def test_a_storm_of_one_world_is_calm_in_the_others(journal: Journal) -> None:
    for service in ("a", "b", "c"):
        await opens(journal, service, RUN)
    await opens(journal, "d")
    assert (await guard(journal, RUN)).alerting == 4  # with the one that asks
    assert (await guard(journal)).alerting == 2
    assert (await guard(journal, OTHER)).alerting == 1


async def test_actions_of_one_world_spend_nothing_of_the_others(journal: Journal) -> None:
    drilled = await opens(journal, "a", RUN)
    await claim(journal, drilled, target=f"drill:{RUN}:{TARGET}", scope=DRILLED)
    await release(journal, drilled, NOW + timedelta(seconds=5))
    spent = (await guard(journal, RUN)).started
    assert set(spent.values()) == {1}
    assert set((await guard(journal)).started.values()) == {0}
    assert set((await guard(journal, OTHER)).started.values()) == {0}
    real = await guard(journal)
    assert (real.locked_by, real.last_finished) == ("", None)


async def test_an_onset_is_shared_within_one_world_alone(journal: Journal) -> None:
    onset = {"onset_from": NOW - MINUTE, "onset_until": NOW, "verdict": "confirmed"}
    await opens(journal, "a", RUN, **onset)
    await opens(journal, "b", **onset)
    cause = Cause("Errors", {}, NOW - MINUTE, NOW, "", MINUTE, RuleDependencies([]))
    for run, incident in (("", "real-b"), (RUN, drill_incident(RUN, "a"))):
        scope = replace(SHOP, cause=cause, drill=run)
        seen = await journal.guard(TARGET, "asking", scope, LIMITS, NOW)
        assert [one.incident for one in seen.concurrent] == [incident]


async def test_searches_find_drills_only_where_they_are_wanted(journal: Journal) -> None:
    drilled, real = await opens(journal, "a", RUN), await opens(journal, "a")

    async def found(search: IncidentSearch) -> set[str]:
        return {head.incident for head in await journal.heads(10, search)}

    severity: Severity = "sev2"
    assert await found(IncidentSearch(severity=severity)) == {real}
    assert await found(IncidentSearch(drills="with")) == {drilled, real}
    assert await found(IncidentSearch(drills="only")) == {drilled}
    assert {head.incident for head in await journal.open_heads()} == {drilled, real}
    assert {head.service for head in await journal.open_heads()} == {"a"}


async def test_no_count_is_of_a_drill(journal: Journal) -> None:
    await opens(journal, "a", RUN)
    assert await journal.openings() == {}
    assert await journal.alert_sightings(NOW - HOUR) == []
    await opens(journal, "a")
    assert (await journal.openings())["Errors"].count == 1
    heard = await journal.alert_sightings(NOW - HOUR)
    assert [sighting.alert for sighting in heard] == ["High real"]
