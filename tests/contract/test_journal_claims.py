"""The right to act, as every Journal gives it: locks, cooldowns, budgets, storms.

The fake of the stories is held to the same: what a story proves on it must hold on the disk.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from daemon.adapters.store import SqlJournal, StorePlace, backend_for, open_store
from daemon.adapters.store.database import Database
from daemon.core.incident.events import Draft, StepFinished
from daemon.core.ports.journal import Claim, ClaimRefused, Journal, SequenceConflict
from daemon.core.recovery.guardrails import ActionScope, Freeze, Guard, Level
from daemon.core.values.outcome import Outcome
from tests.contract.test_journal import (
    CLOSED,
    HOUR,
    LIMITS,
    MINUTE,
    NOW,
    OPEN,
    SHOP,
    TARGET,
    claim,
    note,
    opened,
    refused,
    release,
    seq,
)
from tests.fakes import MemoryJournal
from tests.postgresql import place_on

ONE_SERVICE = replace(LIMITS, storm=99)
SALE = Freeze(scope="global", reason="sale", by="anna", at=NOW)


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
async def journal(request: pytest.FixtureRequest) -> AsyncIterator[Journal]:
    if request.param == "memory":
        yield MemoryJournal()
        return
    async with open_store(place_on(request.param, request)) as store:
        yield store.journal


async def seen(journal: Journal, incident: str, scope: ActionScope = SHOP) -> Guard:
    return await journal.guard(TARGET, incident, scope, LIMITS, NOW)


async def started(journal: Journal, *scopes: ActionScope) -> None:
    """An action of each scope, by an incident of its own on a target of its own."""
    free = replace(LIMITS, budgets={}, storm=99)
    for number, scope in enumerate(scopes):
        incident = f"earlier-{number}"
        await opened(journal, incident, at=NOW - HOUR)
        at = NOW - 10 * MINUTE
        await claim(journal, incident, at, f"target {number}", scope=scope, limits=free)
        await release(journal, incident, at + MINUTE)


def key(service: str, rule: str = "Errors") -> str:
    return json.dumps([rule, [["service", service]]])


async def outcomes(*claims: object) -> list[str]:
    """Why each of these concurrent claims was refused, sorted; empty for who got it."""
    results = await asyncio.gather(*claims, return_exceptions=True)  # type: ignore[call-overload]
    for result in results:
        assert result is None or isinstance(result, ClaimRefused)
    return sorted(result.reason if result else "" for result in results)


class TestLock:
    """One action on a target at a time."""

    async def test_a_locked_target_names_its_holder(self, journal: Journal) -> None:
        await opened(journal, "inc-1", "inc-2")
        await claim(journal, "inc-1")
        refusal = await refused(journal, "inc-2", lifted=True)
        assert refusal.reason == "target_locked"
        assert refusal.text == "incident inc-1 is acting on the same target"
        await claim(journal, "inc-2", target="release:search")

    async def test_of_concurrent_claims_one_gets_the_lock(self, journal: Journal) -> None:
        incidents = [f"inc-{n}" for n in range(5)]
        await opened(journal, *incidents)
        got = await outcomes(*(claim(journal, i, limits=ONE_SERVICE) for i in incidents))
        assert got == ["", *["target_locked"] * 4]

    async def test_a_conflict_comes_before_any_claim(self, journal: Journal) -> None:
        await opened(journal, "inc-1")
        wanted = Claim(TARGET, 1, SHOP, LIMITS, closed=SALE)
        with pytest.raises(SequenceConflict):
            await journal.append("inc-1", 7, [note()], OPEN, claim=wanted)
        assert (await seen(journal, "inc-2")).locked_by == ""


class TestTooSoon:
    """The cooldown, and the second recovery."""

    async def test_another_incident_waits_then_asks_then_may(self, journal: Journal) -> None:
        await opened(journal, "inc-1", "inc-2")
        await claim(journal, "inc-1")
        await release(journal, "inc-1", NOW + MINUTE)
        soon = await refused(journal, "inc-2", NOW + 5 * MINUTE)
        assert soon.reason == "cooldown"
        assert soon.text == (
            "incident inc-1 acted on this target 4m ago; the cooldown is 30m; a person decides"
        )
        again = await refused(journal, "inc-2", NOW + 31 * MINUTE)
        assert again.reason == "second_recovery"
        assert again.text == (
            "incident inc-1 acted on this target 30m ago; a second recovery within 1d means that "
            "the first did not last; a person decides"
        )
        await claim(journal, "inc-2", NOW + 24 * HOUR + MINUTE)

    async def test_a_persons_approval_lifts_it(self, journal: Journal) -> None:
        await opened(journal, "inc-1", "inc-2")
        await claim(journal, "inc-1")
        await release(journal, "inc-1")
        await claim(journal, "inc-2", NOW + MINUTE, lifted=True)

    async def test_the_newest_of_the_others_counts(self, journal: Journal) -> None:
        await opened(journal, "inc-1", "inc-2", "inc-3")
        for n, incident in enumerate(("inc-1", "inc-2", "inc-3")):
            await claim(journal, incident, NOW + n * MINUTE, lifted=True)
            await release(journal, incident, NOW + (n + 0.5) * MINUTE)
        guard = await seen(journal, "inc-3")
        assert (guard.last_incident, guard.last_finished) == ("inc-2", NOW + 1.5 * MINUTE)
        assert (await seen(journal, "inc-2")).last_incident == "inc-3"

    async def test_what_was_refused_before_it_changed_anything_cools_nothing_down(
        self, journal: Journal
    ) -> None:
        await opened(journal, "inc-1", "inc-2")
        await claim(journal, "inc-1")
        outcome = Outcome(result="refused", reason="paused", detail="x")
        ended = Draft(at=NOW + MINUTE, by="daemon", event=StepFinished(step=1, outcome=outcome))
        await journal.append("inc-1", await seq(journal, "inc-1"), [ended], OPEN, release=True)
        guard = await seen(journal, "inc-2")
        assert (guard.locked_by, guard.last_finished) == ("", None)
        assert guard.started["rule"] == 1, "the budgets count every attempt"

    async def test_the_alternatives_of_one_incident_do_not_cool_each_other(
        self, journal: Journal
    ) -> None:
        await opened(journal, "inc-1")
        await claim(journal, "inc-1")
        await release(journal, "inc-1")
        assert (await seen(journal, "inc-1")).last_finished is None
        await claim(journal, "inc-1", NOW + MINUTE)


class TestBudgets:
    """How many actions start, by rule, team, domain, and in all."""

    @pytest.mark.parametrize(
        ("level", "alike", "text"),
        [
            ("rule", ActionScope("Errors", "a", "x", "b"), "of rule Errors"),
            ("team", ActionScope("R", "payments", "x", "b"), "of team payments"),
            ("domain", ActionScope("R", "a", "x", "eu"), "of domain eu"),
            ("global", ActionScope("R", "a", "x"), "in all"),
        ],
    )
    async def test_each_level_has_its_own(
        self, journal: Journal, level: Level, alike: ActionScope, text: str
    ) -> None:
        budget = LIMITS.budgets[level]
        await started(journal, *[alike] * (budget - 1))
        await opened(journal, "inc-1", "inc-2")
        await claim(journal, "inc-1")  # its own start is the last that the budget allows
        refusal = await refused(journal, "inc-2", target="other")
        assert refusal.reason == "budget_spent"
        assert refusal.text == (
            f"{budget} actions {text} started by themselves in the last 1h; "
            f"the budget is {budget}; "
            "a person decides"
        )
        await claim(journal, "inc-2", target="other", lifted=True)

    async def test_every_attempt_counts_also_its_own(self, journal: Journal) -> None:
        await opened(journal, "inc-1")
        for n in range(3):
            await claim(journal, "inc-1", NOW + n * MINUTE)
            await release(journal, "inc-1", NOW + n * MINUTE)
        assert (await refused(journal, "inc-1", NOW + 3 * MINUTE)).reason == "budget_spent"
        await claim(journal, "inc-1", NOW + HOUR)  # the first start is out of the window

    async def test_what_a_person_starts_is_no_budgets(self, journal: Journal) -> None:
        await opened(journal, "inc-1")
        for n in range(3):
            await claim(journal, "inc-1", NOW + n * MINUTE, lifted=True)
            await release(journal, "inc-1", NOW + n * MINUTE)
        assert not any((await seen(journal, "inc-1")).started.values())
        await claim(journal, "inc-1", NOW + 3 * MINUTE)
        assert (await seen(journal, "inc-1")).started["rule"] == 1

    async def test_other_rules_teams_and_domains_are_not_counted(self, journal: Journal) -> None:
        await started(journal, *[ActionScope("R", "a", "shop", "us")] * 4)
        guard = await seen(journal, "inc-1")
        assert guard.started == {"rule": 0, "team": 0, "domain": 0, "global": 4}
        await opened(journal, "inc-1")
        await claim(journal, "inc-1")

    async def test_who_has_no_domain_shares_none(self, journal: Journal) -> None:
        bare = replace(SHOP, domain="")
        await started(journal, *[replace(bare, rule="R", team="a")] * 3)
        assert (await seen(journal, "inc-1", bare)).started == {"rule": 0, "team": 0, "global": 3}
        await opened(journal, "inc-1")
        await claim(journal, "inc-1", scope=bare)

    async def test_concurrent_claims_cannot_overspend(self, journal: Journal) -> None:
        incidents = [f"inc-{n}" for n in range(5)]
        await opened(journal, *incidents)
        limits = replace(ONE_SERVICE, budgets={"global": 2})
        got = await outcomes(*(claim(journal, i, target=i, limits=limits) for i in incidents))
        assert got == ["", "", *["budget_spent"] * 3]


class TestStorm:
    """Many services at once have one cause."""

    async def test_none_of_many_acts(self, journal: Journal) -> None:
        scopes = {f"inc-{n}": replace(SHOP, service=f"s{n}") for n in range(5)}
        for incident, scope in scopes.items():
            await opened(journal, incident, key=key(scope.service))
        got = await outcomes(
            *(claim(journal, i, target=i, scope=s) for i, s in scopes.items()),
        )
        assert got == ["storm"] * 5
        refusal = await refused(journal, "inc-0", scope=scopes["inc-0"])
        assert refusal.text == (
            "5 services began to alert within 5m (4 are a storm): a shared cause is likelier "
            "than that many bad deployments; a person decides"
        )
        await claim(journal, "inc-0", scope=scopes["inc-0"], lifted=True)
        later = NOW + 5 * MINUTE
        await claim(journal, "inc-1", later, "x", scope=scopes["inc-1"])  # they are no news now

    async def test_the_fourth_makes_it_one(self, journal: Journal) -> None:
        for n in range(3):
            await opened(journal, f"inc-{n}", key=key(f"s{n}"))
        mine = replace(SHOP, service="s0")
        assert (await seen(journal, "inc-0", mine)).alerting == 3
        await claim(journal, "inc-0", scope=mine)
        await opened(journal, "inc-3", key=key("s3"))
        refusal = await refused(journal, "inc-1", target="x", scope=replace(SHOP, service="s1"))
        assert refusal.reason == "storm"

    async def test_many_rules_of_one_service_are_none(self, journal: Journal) -> None:
        for n in range(9):
            await opened(journal, f"inc-{n}", key=key("shop", f"Rule {n}"))
        assert (await seen(journal, "inc-0")).alerting == 1
        await claim(journal, "inc-0")

    async def test_closed_incidents_count_and_old_ones_do_not(self, journal: Journal) -> None:
        await opened(journal, "gone", key=key("a"))
        await journal.append("gone", 1, [note()], CLOSED)
        await opened(journal, "old", at=NOW - 5 * MINUTE, key=key("b"))
        await opened(journal, "mine", at=NOW - HOUR, key=key("shop"))
        assert (await seen(journal, "mine")).alerting == 2


async def test_refusals_come_in_a_fixed_order(journal: Journal) -> None:
    await opened(journal, "inc-1", "inc-2", "inc-3", "inc-4")
    await claim(journal, "inc-1", lifted=True)
    await release(journal, "inc-1")
    await claim(journal, "inc-1", lifted=True)
    await journal.freeze(SALE)
    tight = replace(LIMITS, budgets={"global": 0})
    calm = replace(tight, storm=99)
    reasons = [(await refused(journal, "inc-2", limits=tight)).reason]
    await journal.thaw("global", "anna", NOW)
    reasons.append((await refused(journal, "inc-2", limits=tight)).reason)
    await release(journal, "inc-1", NOW + MINUTE)
    reasons.append((await refused(journal, "inc-2", limits=tight)).reason)
    reasons.append((await refused(journal, "inc-2", limits=calm)).reason)
    reasons.append((await refused(journal, "inc-2", NOW + HOUR, limits=calm)).reason)
    reasons.append((await refused(journal, "inc-2", limits=calm, target="other")).reason)
    assert reasons == [
        *("frozen", "target_locked", "storm"),
        *("cooldown", "second_recovery", "budget_spent"),
    ]


async def test_the_guard_sees_what_the_claim_will(journal: Journal) -> None:
    none: dict[Level, int] = {"rule": 0, "team": 0, "domain": 0, "global": 0}
    assert await seen(journal, "inc-2") == Guard(started=none)
    await opened(journal, "inc-1", at=NOW - HOUR)
    await claim(journal, "inc-1")
    one: dict[Level, int] = dict.fromkeys(none, 1)
    assert await seen(journal, "inc-2") == Guard(locked_by="inc-1", started=one)
    await release(journal, "inc-1", NOW + MINUTE)
    await journal.freeze(SALE)
    assert await seen(journal, "inc-2") == Guard(
        freeze=SALE, last_finished=NOW + MINUTE, last_incident="inc-1", started=one
    )


class TestTwoConnections:
    """The transaction decides, not this process: two writers on one store; a file without its
    lock."""

    @pytest.fixture
    async def writers(self, place: StorePlace) -> AsyncIterator[list[Journal]]:
        async with open_store(place):
            pass
        async with AsyncExitStack() as stack:
            databases = [Database(backend_for(place), readonly=False) for _ in range(2)]
            for database in databases:
                stack.push_async_callback(database.close)
            yield [SqlJournal(database) for database in databases]

    @pytest.mark.parametrize("turn", range(5))
    async def test_one_lock_and_one_budget(self, writers: list[Journal], turn: int) -> None:
        one, two = writers
        await opened(one, "inc-1", "inc-2", "inc-3", "inc-4")
        got = await outcomes(
            claim(one, "inc-1", limits=ONE_SERVICE), claim(two, "inc-2", limits=ONE_SERVICE)
        )
        assert got == ["", "target_locked"]
        last = replace(ONE_SERVICE, budgets={"rule": 2})
        got = await outcomes(
            claim(one, "inc-3", target="x", limits=last),
            claim(two, "inc-4", target="y", limits=last),
        )
        assert got == ["", "budget_spent"]
        assert sorted([await seq(one, "inc-3"), await seq(two, "inc-4")]) == [1, 2]
