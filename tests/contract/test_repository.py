"""What is decided on an incident is carried out on that very state of it, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from daemon.adapters.store import open_store
from daemon.core.incident import events as e
from daemon.core.incident.fold import fold
from daemon.core.ports.journal import Claim, ClaimRefused, Journal, Owed
from daemon.core.recovery.guardrails import ActionScope
from daemon.core.values.outcome import Outcome, Temporary
from daemon.repository import IncidentRepository, Stale, UnknownIncident
from tests.fakes import MemoryDebts, MemoryJournal
from tests.postgresql import place_on
from tests.stories.stage import LIMITS

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
PAGE = e.PageQueued(page="r0.t0.ada", person="ada", purpose="escalation", text="come")
CLAIM = e.EffectClaimed(effect="page", about=PAGE.page)
DELIVERED = e.PageDelivered(page=PAGE.page, method="phone-1", proof="rang")
OPENED = e.IncidentOpened(key="k", rule="r", group_labels={}, title="t", team="payments")


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def journal(request: pytest.FixtureRequest) -> AsyncIterator[Journal]:
    """Each journal that there is."""
    if request.param == "memory":
        yield MemoryJournal()
        return
    async with open_store(place_on(request.param, request)) as store:
        yield store.journal


@pytest.fixture
async def repository(journal: Journal) -> IncidentRepository:
    """A repository with one incident and a page that nobody has delivered."""
    repository = IncidentRepository(journal, lambda: NOW)
    await repository.open("inc-1", "k", [OPENED, PAGE])
    return repository


async def kinds(repository: IncidentRepository) -> list[str]:
    return [entry.event.kind for entry in await repository.journal.read("inc-1")]


async def test_only_one_of_two_who_decided_the_same_may_begin(
    repository: IncidentRepository,
) -> None:
    decided_on = await repository.load("inc-1")
    claims = [repository.claim(decided_on, [CLAIM]) for _ in range(5)]
    ends = await asyncio.gather(*claims, return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["Incident", *["Stale"] * 4]
    assert (await kinds(repository)).count("EffectClaimed") == 1


async def test_another_daemon_on_the_same_journal_makes_a_claim_stale(
    repository: IncidentRepository,
) -> None:
    other = IncidentRepository(repository.journal, lambda: NOW)
    decided_on = await repository.load("inc-1")
    await other.record("inc-1", lambda _: [e.Noted(text="I was here")])
    with pytest.raises(Stale):
        await repository.claim(decided_on, [CLAIM])
    assert "EffectClaimed" not in await kinds(repository)
    await repository.claim(await repository.load("inc-1"), [CLAIM])


async def test_facts_and_claims_are_written_together_or_not_at_all(
    repository: IncidentRepository,
) -> None:
    scope = ActionScope(rule="r", team="payments", domain="", service="shop")
    lock = Claim(target="shop", step=1, scope=scope, limits=LIMITS)
    started = e.StepStarted(step=1, action="rollback", target="shop", params={}, authority="ada")
    await repository.claim(await repository.load("inc-1"), [started], lock)
    await repository.open("inc-2", "k2", [OPENED.model_copy(update={"key": "k2"})])
    with pytest.raises(ClaimRefused):
        await repository.claim(
            await repository.load("inc-2"), [e.Noted(text="a fact"), started], lock
        )
    assert (await repository.load("inc-2")).seq == 1
    assert len(await repository.journal.read("inc-2")) == 1


async def test_a_repeated_outcome_is_no_news(repository: IncidentRepository) -> None:
    await repository.report("inc-1", DELIVERED)
    await repository.report("inc-1", DELIVERED)
    assert (await kinds(repository)).count("PageDelivered") == 1


async def test_who_is_cancelled_has_still_written_what_happened(
    repository: IncidentRepository,
) -> None:
    reporting = asyncio.create_task(repository.report("inc-1", DELIVERED))
    await asyncio.sleep(0)
    reporting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reporting
    assert (await kinds(repository)).count("PageDelivered") == 1


class SlowReader:
    """A journal of which a read is long on its way."""

    def __init__(self, inner: Journal) -> None:
        self.inner = inner
        self.has_read, self.may_answer = asyncio.Event(), asyncio.Event()
        self.slow = True

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    async def read(self, incident: str, after: int = 0) -> list[e.Entry]:
        slow, self.slow = self.slow, False
        entries = await self.inner.read(incident, after)
        if slow:
            self.has_read.set()
            await self.may_answer.wait()
        return entries


async def test_a_read_that_comes_late_takes_no_outcome_away(journal: Journal) -> None:
    """Whoever looked first, a page in the browser say, saw nothing of the page that went out."""
    await IncidentRepository(journal, lambda: NOW).open("inc-1", "k", [OPENED])
    reader = SlowReader(journal)
    repository = IncidentRepository(reader, lambda: NOW)  # type: ignore[arg-type]
    looking = asyncio.create_task(repository.load("inc-1"))
    await reader.has_read.wait()
    await repository.claim(await repository.load("inc-1"), [PAGE, CLAIM])
    reader.may_answer.set()
    assert PAGE.page in (await looking).pages
    await repository.report("inc-1", DELIVERED)
    assert (await kinds(repository))[-1] == "PageDelivered"


async def test_an_incident_that_is_found_while_it_opens_keeps_what_was_told_it(
    journal: Journal,
) -> None:
    repository = IncidentRepository(journal, lambda: NOW)
    inner = journal.open

    async def found(*args: Any, **more: Any) -> None:
        await inner(*args, **more)
        await repository.record("inc-1", lambda _: [PAGE])

    journal.open = found  # type: ignore[method-assign]
    await repository.open("inc-1", "k", [OPENED])
    assert PAGE.page in (await repository.load("inc-1")).pages


class Broken:
    """A journal that reads, and takes nothing while it is broken."""

    def __init__(self, inner: Journal) -> None:
        self.inner = inner
        self.broken = False
        self.loses_the_answer = False

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    async def append(self, *args: object, **more: object) -> None:
        if self.broken:
            raise Temporary("the disk is full")
        await self.inner.append(*args, **more)  # type: ignore[arg-type]
        if self.loses_the_answer:
            raise Temporary("the connection was lost after the commit")


@pytest.fixture
def debts() -> MemoryDebts:
    """What outlives the daemon."""
    return MemoryDebts()


async def test_what_is_owed_counts_and_is_paid_with_the_next_entry(
    repository: IncidentRepository, debts: MemoryDebts
) -> None:
    journal = Broken(repository.journal)
    owing = IncidentRepository(journal, lambda: NOW, debts)  # type: ignore[arg-type]
    journal.broken = True
    seen = await owing.report("inc-1", DELIVERED)
    assert not seen.pages[PAGE.page].pending
    assert list(owing.owing) == ["inc-1"]
    with pytest.raises(Temporary):
        await owing.pay("inc-1")
    journal.broken = False
    after = await owing.record("inc-1", lambda _: [e.Noted(text="goes on")])
    assert await kinds(repository) == ["IncidentOpened", "PageQueued", "PageDelivered", "Noted"]
    assert after == fold(await repository.journal.read("inc-1"))
    assert (list(owing.owing), debts.owed) == ([], [])


async def test_the_next_run_pays_what_the_last_one_owed(
    repository: IncidentRepository, debts: MemoryDebts
) -> None:
    journal = Broken(repository.journal)
    journal.broken = True
    await IncidentRepository(journal, lambda: NOW, debts).report("inc-1", DELIVERED)  # type: ignore[arg-type]
    heir = IncidentRepository(repository.journal, lambda: NOW, debts)
    assert not (await heir.load("inc-1")).pages[PAGE.page].pending
    await heir.pay("inc-1")
    await heir.pay("inc-1")
    assert (await kinds(repository)).count("PageDelivered") == 1
    assert debts.owed == []


async def test_an_answer_that_was_lost_after_the_commit_is_not_written_twice(
    repository: IncidentRepository, debts: MemoryDebts
) -> None:
    journal = Broken(repository.journal)
    owing = IncidentRepository(journal, lambda: NOW, debts)  # type: ignore[arg-type]
    journal.loses_the_answer = True
    await owing.report("inc-1", DELIVERED)
    journal.loses_the_answer = False
    await owing.pay("inc-1")
    assert (await kinds(repository)).count("PageDelivered") == 1
    assert debts.owed == []


async def test_an_old_debt_does_not_give_back_the_lock_of_the_next_step(
    repository: IncidentRepository, debts: MemoryDebts
) -> None:
    """It was paid, but the side file could not be told so before the daemon died."""
    scope = ActionScope(rule="r", team="payments", domain="", service="shop")
    failed = Outcome(result="failed", reason="action_failed", detail="no")
    finished = e.StepFinished(step=1, outcome=failed)
    for step in (1, 2):
        lock = Claim(target="shop", step=step, scope=scope, limits=LIMITS)
        started = e.StepStarted(step=step, action="a", target="shop", params={}, authority="ada")
        await repository.claim(await repository.load("inc-1"), [started], lock)
        if step == 1:
            await repository.report("inc-1", finished, release=True)
    paid = Owed(incident="inc-1", drafts=(e.Draft(at=NOW, event=finished),), release=True)
    debts.owed = [paid]
    heir = IncidentRepository(repository.journal, lambda: NOW, debts)
    await heir.record("inc-1", lambda _: [e.Noted(text="I am here")])
    guard = await heir.journal.guard("shop", "inc-2", scope, LIMITS, NOW)
    assert guard.locked_by == "inc-1"
    assert debts.owed == []


async def test_debts_to_an_incident_that_is_gone_are_dropped(debts: MemoryDebts) -> None:
    draft = e.Draft(at=NOW, event=DELIVERED)
    debts.owed = [Owed(incident="gone", drafts=(draft,))]
    repository = IncidentRepository(MemoryJournal(), lambda: NOW, debts)
    await repository.pay("gone")
    assert list(repository.owing) == []
    with pytest.raises(UnknownIncident):
        await repository.report("never", DELIVERED)
