"""Which other incidents the guard tells of, as every Journal does: those of the same onset."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from daemon.adapters.store import open_store
from daemon.core.incident.events import Draft, IncidentOpened
from daemon.core.ports.journal import HeadState, Journal
from daemon.core.recovery.concurrent import MOST_CONCURRENT, Cause, ConcurrentIncident
from daemon.core.recovery.guardrails import ActionScope
from daemon.core.rules.dependencies import RuleDependencies
from tests.contract.test_journal import HOUR, LIMITS, MINUTE, NOW, OPEN, SHOP, claim, note, refused
from tests.core.rules.test_dependencies import rules, text
from tests.fakes import MemoryJournal
from tests.postgresql import place_on

SECOND = timedelta(seconds=1)
CALM = replace(LIMITS, storm=999)
ONSET = NOW - 2 * MINUTE
DEPENDENCIES = RuleDependencies(
    rules(text("shop", "[pay]"), text("pay") + "recover: [{action: undo}]\n")
)
CAUSE = Cause("shop", {}, ONSET - SECOND, ONSET + SECOND, "release:shop", MINUTE, DEPENDENCIES)
SCOPE = replace(SHOP, rule="shop", cause=CAUSE)
DATED = OPEN.model_copy(
    update={
        "phase": "deciding",
        "verdict": "confirmed",
        "onset_from": ONSET - 3 * SECOND,
        "onset_until": ONSET + 3 * SECOND,
        "suspect": "release:pay",
    }
)


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
async def journal(request: pytest.FixtureRequest) -> AsyncIterator[Journal]:
    if request.param == "memory":
        yield MemoryJournal()
        return
    async with open_store(place_on(request.param, request)) as store:
        yield store.journal


async def opens(
    journal: Journal, incident: str, state: HeadState = OPEN, *, rule: str = "pay", age: Any = None
) -> None:
    """An incident of that rule opens, and is as `state` says at once."""
    group = {"service": incident}
    key = json.dumps([rule, sorted(group.items())])
    at = NOW - (age or MINUTE)
    first = IncidentOpened(key=key, rule=rule, group_labels=group, title="it fails", team="shop")
    await journal.open(incident, key, [Draft(at=at, event=first)], OPEN)
    await journal.append(incident, 1, [note("measured", at)], state)


async def seen(journal: Journal, scope: ActionScope = SCOPE) -> list[str]:
    guard = await journal.guard("release:shop", "mine", scope, CALM, NOW)
    return [other.incident for other in guard.concurrent]


def shifted(by: timedelta) -> HeadState:
    return DATED.model_copy(
        update={"onset_from": ONSET + by - SECOND, "onset_until": ONSET + by + SECOND}
    )


async def test_all_that_is_told_of_one(journal: Journal) -> None:
    watched = DATED.model_copy(update={"phase": "watching", "recovered_at": NOW})
    await opens(journal, "inc-1", watched)
    guard = await journal.guard("release:shop", "mine", SCOPE, CALM, NOW)
    assert guard.concurrent == (
        ConcurrentIncident(
            incident="inc-1",
            rule="pay",
            group_labels={"service": "inc-1"},
            phase="watching",
            verdict="confirmed",
            onset_known=True,
            suspect="release:pay",
            opened_at=NOW - MINUTE,
            recovered_at=NOW,
        ),
    )


async def test_onsets_that_may_be_one_moment(journal: Journal) -> None:
    for seconds in (-8, -7, 7, 8):  # each known within a second, and five for the clocks
        await opens(journal, f"at {seconds}", shifted(seconds * SECOND))
    await opens(journal, "vague", DATED.model_copy(update={"onset_from": ONSET - MINUTE}))
    await opens(journal, "an hour", DATED.model_copy(update={"onset_from": ONSET - 2 * HOUR}))
    await opens(journal, "mine", DATED, rule="shop")
    await opens(journal, "unruled", DATED, rule="")
    await opens(journal, "same", DATED.model_copy(update={"suspect": "release:shop"}))
    await opens(journal, "nothing suspected", DATED.model_copy(update={"suspect": ""}))
    closed = DATED.model_copy(update={"phase": "closed", "closed": True})
    await opens(journal, "closed", closed)
    assert set(await seen(journal)) == {"at -7", "at 7", "vague", "nothing suspected", "closed"}
    assert await seen(journal, replace(SCOPE, cause=None)) == []
    nothing = replace(SCOPE, cause=replace(CAUSE, suspect=""))
    assert "same" in await seen(journal, nothing)


async def test_open_ones_without_an_onset_count_if_they_opened_since(journal: Journal) -> None:
    await opens(journal, "old", age=3 * MINUTE)
    await opens(journal, "new")
    await opens(journal, "over", OPEN.model_copy(update={"phase": "closed", "closed": True}))
    assert await seen(journal) == ["new"]


async def test_there_are_no_more_than_a_person_could_read_and_dated_ones_come_first(
    journal: Journal,
) -> None:
    for n in range(MOST_CONCURRENT + 5):
        await opens(journal, f"undated {n:02}")
    await opens(journal, "dated", DATED, age=SECOND)
    found = await seen(journal)
    assert len(found) == MOST_CONCURRENT
    assert found[0] == "dated"


async def test_the_claim_asks_again(journal: Journal) -> None:
    await opens(journal, "mine", DATED, rule="shop")
    await opens(journal, "inc-1", DATED)
    refusal = await refused(journal, "mine", scope=SCOPE, limits=CALM)
    assert refusal.reason == "upstream_first"
    assert "inc-1" in refusal.text
    await claim(journal, "mine", scope=SCOPE, limits=CALM, lifted=True)


async def test_in_a_storm_nobody_looks(journal: Journal) -> None:
    for n in range(LIMITS.storm):
        await opens(journal, f"inc-{n}", DATED)
    guard = await journal.guard("release:shop", "mine", SCOPE, LIMITS, NOW)
    assert (guard.alerting, guard.concurrent) == (LIMITS.storm + 1, ())
