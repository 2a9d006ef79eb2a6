"""A replica of the next version beside one of this: neither is in the other's way.

The next version is this tree with one more column, one more kind of event and one more field, run
in a process of its own (tests/upgrade/next.py).
"""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from daemon.adapters.store import (
    SCHEMA,
    PostgresAddress,
    Store,
    StorePlace,
    audit_journal,
    open_store,
)
from daemon.adapters.store.replicas import SqlReplicas
from daemon.adapters.store.schema import meta
from daemon.core.incident import events as e
from daemon.core.incident.events import FORMAT
from daemon.core.ports.replicas import Fence
from daemon.core.values.outcome import Permanent
from daemon.repository import IncidentRepository
from tests.fakes import START

ROOT = Path(__file__).parents[2]
NEXT = ROOT / "tests/upgrade/next.py"
OPENED = e.IncidentOpened(
    key="shop", rule="shop-errors", group_labels={}, title="shop fails", team="shop"
)


def next_version(place: StorePlace) -> None:
    """The next version opens the store, and writes into what is open there."""
    where = place.url if isinstance(place, PostgresAddress) else str(place)
    command = [sys.executable, str(NEXT), where]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def register(store: Store) -> SqlReplicas:
    database = store.journal.database
    return SqlReplicas(database, Fence("old", "1"), "1", timedelta(minutes=1), lambda: START)


async def test_this_version_goes_on_beside_the_next(postgresql_place: PostgresAddress) -> None:
    async with open_store(postgresql_place) as store:
        replicas = register(store)
        assert await replicas.join("", START)
        repository = IncidentRepository(store.journal, lambda: START)
        await store.journal.open("inc-0", "cart", *_opening(repository), owner="old")
        await repository.open("inc-1", "shop", [OPENED])
        next_version(postgresql_place)
        # What it has not touched is conducted as before; what it has is the next one's.
        assert await replicas.renew("", START)
        assert await replicas.owned() == ["inc-0"]
        assert await replicas.take(10) == []
        await repository.record("inc-0", lambda _: (e.Noted(text="goes on"),))
        # Read as far as can be, and a person's word is taken; the head stays as it was left.
        repository.read_anew("inc-1")
        found = await repository.load("inc-1")
        assert (found.format, found.beyond) == (FORMAT + 1, ("CoffeeFetched",))
        texts = [entry.event.describe() for entry in await store.journal.read("inc-1")]
        assert "a newer stopgap wrote CoffeeFetched here, which this version cannot read" in texts
        assert any("with a field of tomorrow" in text for text in texts)
        await repository.record("inc-1", lambda _: (e.Noted(text="from an old one"),))
        head = next(h for h in await store.journal.open_heads() if h.incident == "inc-1")
        assert (head.title, head.seq, head.format) == ("told by the next", 4, FORMAT + 1)
        # The chain is whole; of what the next version made of its own, this one does not judge.
        (found_by_audit,) = (await audit_journal(store.journal)).breaks
        assert found_by_audit.where == "inc-1"
        assert "entry 2 (CoffeeFetched) is of another version" in found_by_audit.what
        assert found_by_audit.mend == "look again with the newest stopgap"
    # And it starts on the newer tables, for they say that it may.
    async with open_store(postgresql_place) as store:
        assert {head.incident for head in await store.journal.open_heads()} == {"inc-0", "inc-1"}


def _opening(repository: IncidentRepository) -> tuple[list[e.Draft], object]:
    from daemon.core.incident.state import Incident
    from daemon.core.ports.journal import HeadState

    opening = OPENED.model_copy(update={"key": "cart"})
    opened = Incident("inc-0", START, opening, 1)
    return [e.Draft(at=START, event=opening)], HeadState.of(opened, START)


async def test_tables_that_are_not_compatible_are_refused(place: StorePlace) -> None:
    async with open_store(place) as store:
        names = meta.c.name.in_(["schema", "compatible"])
        newer = update(meta).where(names).values(value=str(SCHEMA + 1))
        await store.journal.database.write(lambda connection: connection.execute(newer))
    with pytest.raises(Permanent, match="was written by a newer stopgap"):
        async with open_store(place):
            pass
