"""What two replicas of one store hear of each other, and what each does alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from daemon.adapters.store import PostgresAddress, Store, StorePlace, open_store
from daemon.adapters.store.hinting import PostgresHint
from daemon.app.sharing import topics_of
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.ports.news import FREEZES_TOPIC, KEYS_TOPIC, MAINTENANCE_TOPIC, note_topic
from daemon.core.recovery.guardrails import Freeze
from daemon.core.recovery.maintenance import MaintenanceWindow
from daemon.repository import IncidentRepository
from daemon.watching.news import NewsKeeper
from daemon.web.site.event_stream import ChangeCounter, PageVersion
from tests.fakes import START

PATIENCE = 60
OPENED = e.IncidentOpened(
    key="shop", rule="shop-errors", group_labels={}, title="shop fails", team="shop"
)
NOTED = e.Noted(text="look at the cache")


class Replica:
    """A repository over a store that others have open, too; and what its listeners heard."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.repository = IncidentRepository(store.journal, lambda: START)
        self.topics: list[str] = []
        self.news = NewsKeeper(store.news, self.repository, {"": self._hear})
        self.heard: list[tuple[bool, int, tuple[str, ...]]] = []
        self.own: list[str] = []
        self.repository.listeners.append(self._on_append)
        self.repository.own_listeners.append(lambda _, __, events: self.own.extend(_kinds(events)))
        self.pages = ChangeCounter(self.repository)

    async def _hear(self, topic: str) -> None:
        self.topics.append(topic)

    def _on_append(
        self, before: Incident | None, after: Incident, events: Sequence[e.Event]
    ) -> None:
        self.heard.append((before is None, after.seq, _kinds(events)))


def _kinds(events: Sequence[e.Event]) -> tuple[str, ...]:
    return tuple(event.kind for event in events)


@pytest.fixture
async def replicas(place: StorePlace) -> AsyncIterator[tuple[Replica, Replica]]:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(open_store(place))
        second = first
        if isinstance(place, PostgresAddress):
            second = await stack.enter_async_context(open_store(place))
        found = Replica(first), Replica(second)
        for replica in found:
            await replica.news.begin()
        yield found


async def test_what_one_appends_the_other_has_at_its_next_look(
    replicas: tuple[Replica, Replica],
) -> None:
    one, other = replicas
    await one.repository.open("inc-1", "shop", [OPENED])
    await other.news.look()
    assert other.repository.at_hand("inc-1") == one.repository.at_hand("inc-1")
    bell = other.repository.bell("inc-1")
    bell.clear()
    await one.repository.record("inc-1", lambda _: (NOTED, NOTED), by="person:ada")
    await other.news.look()
    assert bell.is_set()
    assert other.repository.at_hand("inc-1") == one.repository.at_hand("inc-1")
    assert other.heard == [(True, 1, ("IncidentOpened",)), (False, 3, ("Noted", "Noted"))]
    assert other.own == []


async def test_of_its_own_appends_each_hears_once(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    await one.repository.open("inc-1", "shop", [OPENED])
    await other.news.look()
    # Both write before either looks, and the second finds its number taken.
    await one.repository.record("inc-1", lambda _: (NOTED,))
    await other.repository.record("inc-1", lambda _: (NOTED,))
    await one.repository.record("inc-1", lambda _: (NOTED,))
    for replica in (one, other, one, other):
        await replica.news.look()
    expected = ["IncidentOpened", "Noted", "Noted", "Noted"]
    assert [kind for _, _, kinds in one.heard for kind in kinds] == expected
    assert [kind for _, _, kinds in other.heard for kind in kinds] == expected
    assert one.own == ["IncidentOpened", "Noted", "Noted"]
    assert other.own == ["Noted"]


async def test_a_decision_on_what_another_has_moved_on_is_void(
    replicas: tuple[Replica, Replica],
) -> None:
    one, other = replicas
    read = await one.repository.open("inc-1", "shop", [OPENED])
    await other.news.look()
    await other.repository.record("inc-1", lambda _: (NOTED,))
    await one.news.look()
    assert one.repository.at_hand("inc-1") is not read
    assert (await one.repository.load("inc-1")).seq == 2


async def test_topics_are_told_once(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    hour = START + timedelta(hours=1)
    await one.store.journal.freeze(
        Freeze(scope="global", reason="sale", by="ada", at=START, until=None)
    )
    await one.store.notes.write("label values of shop", ["x"])
    await one.store.keys.rotate("ada", START, revoke=False, longest=timedelta(days=1))
    await one.store.maintenance.add_window(
        MaintenanceWindow(
            id="m-1",
            scope="global",
            reason="move",
            by="ada",
            announced_at=START,
            begins_at=START,
            ends_at=hour,
        )
    )
    await other.news.look()
    assert sorted(other.topics) == sorted(
        [FREEZES_TOPIC, KEYS_TOPIC, MAINTENANCE_TOPIC, note_topic("label values of shop")]
    )
    other.topics.clear()
    await other.news.look()
    assert other.topics == []


async def test_a_link_of_a_new_key_holds_on_the_other_replica(
    replicas: tuple[Replica, Replica],
) -> None:
    one, other = replicas
    await one.store.keys.rotate("ada", START, revoke=True, longest=timedelta(days=1))
    await other.store.keys.recall()
    assert other.store.keys.current == one.store.keys.current


async def test_a_session_begun_on_one_holds_on_the_other_until_it_is_ended(
    replicas: tuple[Replica, Replica],
) -> None:
    from daemon.core.people.access import Session

    one, other = replicas
    session = Session(
        id="hash",
        person="ada",
        proof="password",
        started_at=START,
        ends_at=START + timedelta(hours=1),
        client="browser",
    )
    await one.store.credentials.begin_session(session)
    assert await other.store.credentials.session("hash", START) == session
    await other.store.credentials.end_session("hash")
    assert await one.store.credentials.session("hash", START) is None


async def told(counter: ChangeCounter, seen: PageVersion, incident: str = "") -> bool:
    """Whether a page with that version would be told at once."""
    try:
        async with asyncio.timeout(0.05):
            return await counter.after(seen, incident) is not None
    except TimeoutError:
        return False


async def test_a_page_of_one_replica_listens_to_the_other_without_being_told_in_vain(
    replicas: tuple[Replica, Replica],
) -> None:
    one, other = replicas
    await one.repository.open("inc-1", "shop", [OPENED])
    await one.news.look()
    await other.news.look()
    page, home = one.pages.version("inc-1"), one.pages.version()
    assert not await told(other.pages, page, "inc-1")
    assert not await told(other.pages, home)
    await one.repository.record("inc-1", lambda _: (NOTED,))
    await other.news.look()
    assert await told(other.pages, page, "inc-1")
    assert await told(other.pages, home)


async def test_a_store_that_was_away_is_caught_up_with(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    for number in range(3):
        await one.repository.open(f"inc-{number}", f"shop-{number}", [OPENED])
        await one.repository.record(f"inc-{number}", lambda _: (NOTED,))
    await other.news.look()
    assert {i.id: i.seq for i in other.repository.known} == {f"inc-{n}": 2 for n in range(3)}
    assert len(other.heard) == 3
    assert {kinds for _, _, kinds in other.heard} == {("IncidentOpened", "Noted")}


@pytest.mark.parametrize("name", ["note:autonomy of shop", KEYS_TOPIC, FREEZES_TOPIC])
def test_every_topic_has_who_takes_it_up(name: str) -> None:
    class Anything:
        def __getattr__(self, _: str) -> Anything:
            return self

    anything = Anything()
    topics = topics_of(*[anything] * 7)  # type: ignore[arg-type]
    assert [topic for topic in topics if name.startswith(topic)] != []


async def test_a_notification_is_a_hint(postgresql_place: PostgresAddress) -> None:
    rung: asyncio.Queue[None] = asyncio.Queue()
    hint = PostgresHint(postgresql_place.url)
    listening = asyncio.create_task(hint.run(lambda: rung.put_nowait(None)))
    try:
        async with open_store(postgresql_place) as store, asyncio.timeout(PATIENCE):
            await rung.get()  # it listens
            await rung.get()  # and has heard itself
            await store.notes.write("anything", ["x"])
            await rung.get()
    finally:
        listening.cancel()
