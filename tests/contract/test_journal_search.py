"""What every Journal answers when it is asked as a whole: the one in memory as the real one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemon.adapters.store import open_store
from daemon.core.alertmanager import Alert
from daemon.core.incident.events import AlertsReceived, Draft, Event, IncidentClosed, IncidentOpened
from daemon.core.ports.journal import (
    AlertSighting,
    HeadState,
    IncidentSearch,
    Journal,
    ListCursor,
    RuleOpenings,
)
from daemon.core.rules.rule import incident_key
from tests.fakes import MemoryJournal
from tests.postgresql import place_on

NOW = datetime(2026, 3, 1, 14, 3, 20, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
async def journal(request: pytest.FixtureRequest) -> AsyncIterator[Journal]:
    if request.param == "memory":
        yield MemoryJournal()
        return
    async with open_store(place_on(request.param, request)) as store:
        yield store.journal


def received(*names: str) -> AlertsReceived:
    alerts = [
        Alert.model_validate({"status": "firing", "labels": {"alertname": n}, "startsAt": NOW})
        for n in names
    ]
    return AlertsReceived(alerts=tuple(alerts))


async def opens(
    journal: Journal,
    incident: str,
    *,
    at: datetime = NOW,
    rule: str = "errors",
    team: str = "shop",
    service: str = "cart",
    title: str = "it fails",
    severity: str = "",
    alerts: tuple[str, ...] = ("High",),
) -> None:
    labels = {"service": service}
    key = incident_key(rule, labels | {"n": incident})
    opened = IncidentOpened(key=key, rule=rule, group_labels=labels, title=title, team=team)
    events: list[Event] = [opened, received(*alerts)]
    await journal.open(
        incident, key, [Draft(at=at, event=event) for event in events], state(title, severity)
    )


def state(title: str, severity: str, *, closed: bool = False) -> HeadState:
    return HeadState(phase="deciding", title=title, severity=severity, wake_at=None, closed=closed)


async def closes(journal: Journal, incident: str, at: datetime) -> None:
    over = IncidentClosed(reason="by_person", text="enough")
    seq = len(await journal.read(incident))
    await journal.append(
        incident, seq, [Draft(at=at, event=over)], state("it fails", "sev1", closed=True)
    )


@pytest.fixture
async def four(journal: Journal) -> Journal:
    """Four incidents; c is closed, and a and b opened at the same moment."""
    await opens(journal, "a", title="100% of carts_fail", severity="sev2")
    await opens(journal, "b", rule="", team="", service="search", alerts=("Disk", "High"))
    await opens(journal, "c", at=NOW + HOUR, team="edge", severity="sev1")
    await closes(journal, "c", NOW + 2 * HOUR)
    await opens(journal, "d", at=NOW + 3 * HOUR, rule="latency", alerts=("Slow",))
    return journal


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, "dcba"),
        ({"status": "open"}, "dba"),
        ({"status": "closed"}, "c"),
        ({"severity": "sev2"}, "a"),
        ({"key": incident_key("errors", {"service": "cart", "n": "c"})}, "c"),
        ({"rule": "errors"}, "ca"),
        ({"rule": ""}, "b"),
        ({"team": "edge"}, "c"),
        ({"service": "search"}, "b"),
        ({"text": "CARTS_"}, "a"),
        ({"text": "100%"}, "a"),
        ({"text": "s_a"}, ""),
        ({"text": "LATEN"}, "d"),
        ({"text": "nothing like it"}, ""),
        ({"since": NOW + HOUR}, "dc"),
        ({"until": NOW + HOUR}, "ba"),
        ({"since": NOW, "until": NOW + HOUR, "status": "open", "team": "shop"}, "a"),
        ({"after": ListCursor(opened_at=NOW + HOUR, incident="c")}, "ba"),
        ({"after": ListCursor(opened_at=NOW, incident="b")}, "a"),
        ({"after": ListCursor(opened_at=NOW, incident="a")}, ""),
    ],
)
async def test_incidents_are_found_newest_first(
    four: Journal, asked: dict[str, Any], found: str
) -> None:
    heads = await four.heads(9, IncidentSearch(**asked))
    assert "".join(head.incident for head in heads) == found


async def test_a_head_says_what_it_is_found_by(four: Journal) -> None:
    (newest,) = await four.heads(1)
    assert (newest.rule, newest.team, newest.service) == ("latency", "shop", "cart")


async def test_openings_are_counted_by_rule(four: Journal) -> None:
    assert await four.openings() == {
        "errors": RuleOpenings(count=2, last_at=NOW + HOUR),
        "latency": RuleOpenings(count=1, last_at=NOW + 3 * HOUR),
    }


async def test_what_was_heard_is_told_once_for_each_incident(four: Journal) -> None:
    again = Draft(at=NOW + 4 * HOUR, event=received("High"))
    await four.append("a", 2, [again], state("it fails", ""))
    found = await four.alert_sightings(NOW + HOUR)
    assert found == [
        AlertSighting(alert="High", rule="errors", incident="a", at=NOW + 4 * HOUR),
        AlertSighting(alert="Slow", rule="latency", incident="d", at=NOW + 3 * HOUR),
        AlertSighting(alert="High", rule="errors", incident="c", at=NOW + HOUR),
    ]
    assert {h.alert for h in await four.alert_sightings(NOW) if not h.rule} == {"Disk", "High"}
