"""Why a start on a large store is quick: how much is read, and by how many statements."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from daemon.adapters.store import Store, open_store
from daemon.conduct.starting import left_behind, most_urgent_first
from daemon.config.active import ActiveConfig, Live
from daemon.core.incident import events as e
from daemon.core.incident.outcome_facts import OutcomeFacts
from daemon.core.ports.journal import Head, IncidentSearch, OpeningOutcome
from daemon.core.ports.replicas import SoleDaemon
from daemon.core.reporting.figures import USUAL_PERIOD, figures
from daemon.core.rules.rule import RuleBook
from daemon.core.values.drill_key import drill_incident, drill_key
from daemon.core.values.outcome import Permanent
from daemon.notifying.storms import StormKeeper
from daemon.recovering.autonomy import AutonomyKeeper
from daemon.reporting import figures as reading
from daemon.repository import READ_TOGETHER, IncidentRepository
from tests.core.build import LIMITS, MINUTE, NOW, make_roster, make_rule, page_queued
from tests.fakes import MemoryJournal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stopgap.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    async with open_store(path) as opened:
        yield opened


@contextmanager
def statements() -> Iterator[list[str]]:
    """The statements that are carried out meanwhile."""
    said: list[str] = []

    def hear(_: object, __: object, statement: str, *___: object) -> None:
        said.append(statement)

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        event.remove(Engine, "before_cursor_execute", hear)


class Owning(SoleDaemon):
    """A replica that one incident belongs to."""

    def __init__(self, incident: str) -> None:
        self._incident = incident

    def owns(self, incident: str) -> bool:
        return incident == self._incident


async def opens(
    repository: IncidentRepository, name: str, *more: e.Event, rule: str = "checkout"
) -> None:
    opened = e.IncidentOpened(key=name, rule=rule, group_labels={}, title="t", team="shop")
    await repository.open(name, name, [opened, page_queued(), *more])


def fresh(store: Store) -> IncidentRepository:
    """A repository that has read nothing yet."""
    return IncidentRepository(store.journal, lambda: NOW)


async def test_a_hundred_open_incidents_are_read_by_one_statement(store: Store) -> None:
    names = [f"inc-{number:03}" for number in range(READ_TOGETHER + 1)]
    for name in names:
        await opens(fresh(store), name)
    one_by_one = [await fresh(store).load(name) for name in names]
    repository = fresh(store)
    with statements() as said:
        await repository.load_together(names)
        together = [await repository.load(name) for name in names]
    assert len([text for text in said if "FROM events" in text]) == 2
    assert together == one_by_one


async def test_one_that_is_unreadable_is_no_other_s_trouble(store: Store, path: Path) -> None:
    for name in ("good", "bad"):
        await opens(fresh(store), name)
    with closing(sqlite3.connect(path)) as shell:
        shell.execute("UPDATE events SET body = '{}' WHERE incident = 'bad' AND seq = 2")
        shell.commit()
    repository = fresh(store)
    await repository.load_together(["good", "bad", "unknown"])
    assert (await repository.load("good")).seq == 2
    with pytest.raises(Permanent):
        await repository.load("bad")


async def test_an_incident_that_is_unreadable_leaves_the_storm_one_page(
    store: Store, path: Path
) -> None:
    names = ["inc-0", "inc-1", "inc-2"]
    joined = e.StormJoined(storm="0301-1400", began=NOW)
    for name in names:
        await opens(fresh(store), name, joined)
    with closing(sqlite3.connect(path)) as shell:
        shell.execute("UPDATE events SET body = '{}' WHERE incident = 'inc-0' AND seq = 2")
        shell.commit()
    keeper = StormKeeper(fresh(store), replace(LIMITS, storm=1))
    await keeper.begin()
    (storm,) = keeper.storms
    assert {member.id for member in storm.members} == {"inc-1", "inc-2"}


async def test_of_many_open_incidents_only_those_of_a_storm_and_the_new_are_read(
    store: Store,
) -> None:
    began = NOW + timedelta(hours=1)
    joined = e.StormJoined(storm="0301-1500", began=began)
    released = e.PagesReleased(window="m-1", reason="over", text="it is over")
    moments: dict[str, tuple[timedelta, tuple[e.Event, ...]]] = {
        "old": (timedelta(0), ()),
        "released": (timedelta(0), (released,)),
        "before": (timedelta(minutes=58), ()),
        "member-1": (timedelta(hours=1), (joined,)),
        "member-2": (timedelta(hours=1), (joined,)),
        "late": (timedelta(minutes=64), ()),
    }
    for name, (at, more) in moments.items():
        await opens(IncidentRepository(store.journal, lambda at=at: NOW + at), name, *more)  # type: ignore[misc]
    now = began + LIMITS.storm_window + MINUTE
    repository = IncidentRepository(store.journal, lambda: now)
    keeper = StormKeeper(repository, replace(LIMITS, storm=1))
    await keeper.begin()
    assert {incident.id for incident in repository.known} == moments.keys() - {"old"}
    (storm,) = keeper.storms
    assert {member.id for member in storm.members} == {"before", "member-1", "member-2"}


async def test_of_the_open_incidents_a_replica_reads_its_own_alone(store: Store) -> None:
    for name in ("ours", "theirs"):
        await opens(fresh(store), name)
    repository = fresh(store)
    repository.ownership = Owning("ours")
    assert await left_behind(repository, None) == ["ours"]
    assert [incident.id for incident in repository.known] == ["ours"]


async def test_an_incident_that_is_unreadable_keeps_no_daemon_from_starting(
    store: Store, path: Path
) -> None:
    await opens(fresh(store), "inc-0")
    with closing(sqlite3.connect(path)) as shell:
        shell.execute("UPDATE events SET body = '{}' WHERE seq = 2")
        shell.commit()
    active = Live(ActiveConfig(RuleBook([make_rule(rule="checkout")]), make_roster()))
    keeper = AutonomyKeeper(fresh(store), store.notes, active)
    await keeper.begin()
    await keeper.catch_up()
    assert not keeper.withdrawn("checkout")


async def test_what_changes_while_it_is_read_is_not_read_back(store: Store) -> None:
    await opens(fresh(store), "inc")
    repository = fresh(store)
    read = store.journal.read_together

    async def meanwhile(names: list[str]) -> dict[str, list[e.Entry]]:
        found = await read(names)
        await repository.record("inc", lambda _: (e.ResponderArrived(person="ada", via="cli"),))
        return found

    store.journal.read_together = meanwhile  # type: ignore[method-assign,assignment]
    await repository.load_together(["inc"])
    assert (await repository.load("inc")).seq == 3


async def test_openings_are_counted_by_the_index_and_without_drills(
    store: Store, path: Path
) -> None:
    repository = fresh(store)
    for number in range(3):
        await opens(repository, f"inc-{number}")
    for run in ("0301-1400-abcdef", "0301-1500-ghjkmn"):
        key, name = drill_key(run, "k"), drill_incident(run, "a")
        opened = e.IncidentOpened(key=key, rule="checkout", group_labels={}, title="t", team="")
        await repository.open(name, key, [opened])
    with statements() as said:
        told = await store.journal.openings()
    assert told["checkout"].count == 3
    counted = next(text for text in said if "count(" in text)
    with closing(sqlite3.connect(path)) as shell:
        plan = shell.execute(f"EXPLAIN QUERY PLAN {counted}", ("",)).fetchall()
    assert "USING COVERING INDEX heads_by_rule" in str(plan)


async def test_the_place_to_go_on_from_is_found_by_the_index(store: Store, path: Path) -> None:
    await opens(fresh(store), "inc")
    cursor = {"opened_at": NOW, "incident": "inc"}
    with statements() as said:
        await store.journal.outcomes(5, IncidentSearch.model_validate({"after": cursor}))
    with closing(sqlite3.connect(path)) as shell:
        asked = said[-1]
        plan = shell.execute(f"EXPLAIN QUERY PLAN {asked}", ("",) * asked.count("?")).fetchall()
    assert "SEARCH heads USING INDEX heads_by_age (opened_at<?)" in str(plan)


async def test_figures_are_read_in_portions_and_are_those_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    portions: list[int] = []

    class Counting(MemoryJournal):
        async def outcomes(self, limit: int, search: IncidentSearch) -> list[OpeningOutcome]:  # type: ignore[override]
            found = await super().outcomes(limit, search)
            portions.append(len(found))
            return found

    monkeypatch.setattr(reading, "_PORTION", 2)
    journal = Counting()
    for number in range(5):
        at = NOW - number * timedelta(days=9)
        await opens(IncidentRepository(journal, lambda at=at: at), f"inc-{number}")
    until = NOW + MINUTE
    found = await reading.read_figures(
        IncidentRepository(journal, lambda: NOW), USUAL_PERIOD, until
    )
    assert portions == [2, 2, 1, 0]  # the last: of a year, those that people have recovered
    every = await MemoryJournal.outcomes(journal, 100)
    assert found == figures(every, until - USUAL_PERIOD, until)
    assert (found.now.incidents, found.before.incidents) == (4, 1)


def head(incident: str, *, wakes: float, **facts: object) -> Head:
    return Head(
        incident=incident,
        key=incident,
        seq=1,
        phase="deciding",
        title="t",
        severity="",
        opened_at=NOW,
        wake_at=NOW + wakes * MINUTE,
        outcome=OutcomeFacts.model_validate(facts),
    )


def test_a_start_looks_first_at_what_nobody_has_come_to() -> None:
    heads = [
        head("drill-1-a", wakes=-90),
        head("attended", wakes=-60, acknowledged_at=NOW),
        head("recovered", wakes=-50, restored_at=NOW),
        head("waits", wakes=-5),
        head("waits longer", wakes=-10),
    ]
    found = most_urgent_first(heads)
    assert found == ["waits longer", "waits", "attended", "recovered", "drill-1-a"]
