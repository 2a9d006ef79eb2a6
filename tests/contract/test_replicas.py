"""The register of replicas, in either database: leases, claims, and who may begin an effect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemon.adapters.store import SqlReplicas, Store, StorePlace, open_store
from daemon.app.replicas import RulesDigest
from daemon.config.active import ActiveConfig
from daemon.core.incident.events import Draft, IncidentClosed, IncidentOpened, Noted
from daemon.core.ports.journal import HeadState
from daemon.core.ports.replicas import Fence, NotOwner
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.freeze_windows import FreezeWindows, Window
from daemon.core.rules.rule import RuleBook
from tests.core.build import approved, make_roster, make_rule

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
LEASE = timedelta(seconds=15)
OVER = timedelta(seconds=-1)
"""A lease that is over as soon as it is granted."""
STATE = HeadState(phase="observing", title="t", severity="", wake_at=None, closed=False)


@pytest.fixture
async def store(place: StorePlace) -> AsyncIterator[Store]:
    """A store that any of the replicas works on."""
    async with open_store(place, clock=lambda: NOW) as store:
        yield store


def replica(
    store: Store, name: str, lease: timedelta | None = LEASE, process: str = ""
) -> SqlReplicas:
    """One of the replicas of the store."""
    fence = Fence(name, process or name)
    return SqlReplicas(store.journal.database, fence, "1.2.3", lease, lambda: NOW)


async def joined(store: Store, name: str, lease: timedelta = LEASE) -> SqlReplicas:
    """A replica that has joined."""
    one = replica(store, name, lease)
    assert await one.join("", NOW)
    return one


async def opened(store: Store, *incidents: str, owner: str = "") -> None:
    """Incidents are opened, a minute apart."""
    for number, incident in enumerate(incidents):
        event = IncidentOpened(key=incident, rule="r", group_labels={}, title="t", team="x")
        drafts = [Draft(at=NOW + timedelta(minutes=number), event=event)]
        await store.journal.open(incident, incident, drafts, STATE, owner=owner)


async def append(store: Store, incident: str, after: int, fence: Fence | None) -> None:
    """One entry is appended."""
    drafts = [Draft(at=NOW, event=Noted(text="on it"))]
    await store.journal.append(incident, after, drafts, STATE, fence=fence)


async def test_who_joins_is_seen_with_what_is_its_own(store: Store) -> None:
    await joined(store, "a")
    await joined(store, "b", OVER)
    await opened(store, "i-1", "i-2", owner="a")
    await opened(store, "i-3", owner="b")
    await opened(store, "i-4")
    survey = await replica(store, "a").survey()
    a, b = survey.replicas
    assert (a.name, a.version, a.alive, a.incidents) == ("a", "1.2.3", True, 2)
    assert (b.name, b.alive, b.incidents) == ("b", False, 1)
    assert (survey.alive, survey.orphans, survey.incidents) == (1, 2, 4)
    assert a.lease_until is not None
    assert timedelta(seconds=14) < a.lease_until - survey.now <= LEASE


async def test_a_name_is_one_living_process(store: Store) -> None:
    await joined(store, "a")
    second = replica(store, "a", process="another")
    assert not await second.join("", NOW)
    assert not await second.renew("", NOW)
    await replica(store, "a").leave()
    assert await second.join("", NOW)
    assert not await replica(store, "a").renew("", NOW), "its place was taken"


async def test_the_place_of_a_dead_process_of_the_same_name_is_taken(store: Store) -> None:
    dead = await joined(store, "a", OVER)
    await opened(store, "i-1", owner="a")
    second = replica(store, "a", process="another")
    assert await second.join("", NOW)
    assert await second.owned() == ["i-1"]
    assert not await dead.renew("", NOW)
    with pytest.raises(NotOwner, match="a is registered no more"):
        await append(store, "i-1", 1, Fence("a", "a"))
    await append(store, "i-1", 1, Fence("a", "another"))


async def test_of_several_that_take_each_incident_is_one_s(store: Store) -> None:
    await joined(store, "dead", OVER)
    await opened(store, *(f"i-{n}" for n in range(6)), owner="dead")
    await opened(store, *(f"j-{n}" for n in range(6)))
    several = [await joined(store, name) for name in ("a", "b", "c")]
    taken = await asyncio.gather(*(one.take(4) for one in several))
    assert sorted(map(len, taken)) == [4, 4, 4]
    assert len({incident for some in taken for incident in some}) == 12
    assert (await several[0].survey()).orphans == 0
    assert {one.owner for one in await several[0].owners()} == {"a", "b", "c"}


async def test_nothing_is_taken_from_the_living_nor_by_the_dead(store: Store) -> None:
    a, dead = await joined(store, "a"), await joined(store, "dead", OVER)
    await opened(store, "i-1", owner="a")
    await opened(store, "i-2")
    b = await joined(store, "b")
    assert await dead.take(9) == []
    assert await dead.take_these(["i-2"]) == []
    assert await b.take_these(["i-1", "i-2"]) == ["i-2"]
    assert await b.take(9) == []
    assert await a.owned() == ["i-1"]


async def test_a_closed_incident_is_taken_by_name_alone(store: Store) -> None:
    b = await joined(store, "b")
    await opened(store, "i-1", owner="dead")
    closing = [Draft(at=NOW, event=IncidentClosed(reason="recovered", text="held"))]
    await store.journal.append(
        "i-1", 1, closing, STATE.model_copy(update={"closed": True, "phase": "closed"})
    )
    assert await b.take(9) == []
    assert await b.take_these(["i-1"]) == ["i-1"]


async def test_who_leaves_leaves_everything_to_the_others(store: Store) -> None:
    a, b = await joined(store, "a"), await joined(store, "b")
    await opened(store, "i-1", owner="a")
    await store.inbox.start("a")
    await store.inbox.put("one", b"{}", NOW)
    await a.leave()
    survey = await b.survey()
    assert [one.name for one in survey.replicas] == ["b"]
    assert (survey.orphans, survey.orphaned_deliveries) == (1, 1)
    assert await b.take(9) == ["i-1"]


async def test_only_the_owner_whose_lease_lasts_begins_an_effect(store: Store) -> None:
    await joined(store, "a")
    await joined(store, "late", OVER)
    await opened(store, "i-1", owner="a")
    await opened(store, "i-2", owner="late")
    await opened(store, "i-3")
    for incident, name, why in (
        ("i-1", "late", "it is a's"),
        ("i-2", "late", r"its lease ended .* ago"),
        ("i-3", "a", "it is nobody's now"),
    ):
        with pytest.raises(NotOwner, match=why):
            await append(store, incident, 1, Fence(name, name))
        assert len(await store.journal.read(incident)) == 1, "nothing was written"
    await append(store, "i-1", 1, Fence("a", "a"))
    # What people say is taken by any of them.
    await append(store, "i-1", 2, None)


async def test_a_refused_append_takes_nothing_from_those_that_share_its_commit(
    store: Store,
) -> None:
    await joined(store, "a")
    names = [f"i-{n}" for n in range(8)]
    await opened(store, *names[:4], owner="a")
    await opened(store, *names[4:], owner="b")
    several = (append(store, name, 1, Fence("a", "a")) for name in names)
    ended: list[Any] = await asyncio.gather(*several, return_exceptions=True)
    assert [type(one) for one in ended] == [type(None)] * 4 + [NotOwner] * 4
    assert [len(await store.journal.read(name)) for name in names] == [2] * 4 + [1] * 4


async def test_deliveries_of_the_dead_are_worked_off_by_the_living(store: Store) -> None:
    await joined(store, "dead", OVER)
    await store.inbox.start("dead")
    await store.inbox.put("one", b"1", NOW)
    await joined(store, "a")
    await store.inbox.start("a")
    assert store.inbox.backlog() == 0
    await store.inbox.put("two", b"2", NOW)
    assert await store.inbox.put("one", b"1", NOW) is False, "another one's is a duplicate, too"
    assert await store.inbox.pending(9) == [("two", b"2")]
    assert await store.inbox.take_over(9) == 1
    assert sorted(await store.inbox.pending(9)) == [("one", b"1"), ("two", b"2")]
    assert store.inbox.backlog() == 2
    assert await store.inbox.take_over(9) == 0
    await store.inbox.processed(["one", "two"], {})
    assert store.inbox.backlog() == 0


async def test_the_only_daemon_is_shown_and_owns_everything(store: Store) -> None:
    sole = replica(store, "host", lease=None)
    assert await sole.join("", NOW)
    await opened(store, "i-1")
    await store.inbox.put("one", b"{}", NOW)
    (one,) = (await sole.survey()).replicas
    assert (one.alive, one.lease_until, one.incidents, one.deliveries) == (True, None, 1, 1)
    assert (await sole.survey()).orphans == 0
    assert await replica(store, "host", lease=None, process="next").join("", NOW)
    assert len((await sole.survey()).replicas) == 1


async def test_whose_an_incident_is_can_be_asked_until_it_is_over(store: Store) -> None:
    a = await joined(store, "a")
    await opened(store, "i-1", owner="a")
    await opened(store, "i-2")
    assert [await a.owner_of(one) for one in ("i-1", "i-2", "unknown")] == ["a", "", ""]


async def test_clocks_that_differ_are_known(store: Store) -> None:
    one = replica(store, "a")
    survey = await one.survey()
    await one.join("", survey.now + timedelta(seconds=40))
    (shown,) = (await one.survey()).replicas
    assert 39 < shown.ahead <= 40


async def test_only_the_lately_dead_are_remembered(store: Store) -> None:
    await joined(store, "old", timedelta(days=-2))
    await joined(store, "lately", OVER)
    a = await joined(store, "a")
    assert [one.name for one in (await a.survey()).replicas] == ["a", "lately"]


RULE = make_rule()
WINDOW = Window(name="w", reason="r", calendar="changes.ics")
IN_FORCE = ActiveConfig(
    RuleBook([RULE]), make_roster(), Approvals(), freezes=FreezeWindows(windows=(WINDOW,))
)


@pytest.mark.parametrize(
    "part",
    [
        {"rules": RuleBook([make_rule(team="other")])},
        {"roster": make_roster(audiences={})},
        {"approvals": approved(RULE, 1)},
        {"freezes": FreezeWindows()},
        {"freezes": FreezeWindows(windows=(WINDOW,), calendars={"changes.ics": "moved"})},
    ],
)
def test_a_rules_folder_that_differs_in_anything_has_another_digest(part: dict[str, Any]) -> None:
    """Whoever is removed from the roster of one replica may log in at another, and is called."""
    same = replace(IN_FORCE, rules=RuleBook([make_rule()]))
    digests = [RulesDigest(lambda one=one: one)() for one in (IN_FORCE, same)]  # type: ignore[misc]
    assert digests[0] == digests[1] != RulesDigest(lambda: replace(IN_FORCE, **part))()
