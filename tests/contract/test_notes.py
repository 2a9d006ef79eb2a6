"""The few facts of a store that belong to no incident."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from daemon.adapters.store import StorePlace, open_store
from daemon.core.ports.notes import Notes
from tests.fakes import MemoryNotes
from tests.postgresql import place_on


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
async def notes(request: pytest.FixtureRequest) -> AsyncIterator[Notes]:
    if request.param == "memory":
        yield MemoryNotes()
        return
    async with open_store(place_on(request.param, request)) as store:
        yield store.notes


async def test_what_was_written_last_is_read(notes: Notes) -> None:
    assert await notes.read("a") == ()
    await notes.write("a", ["one", "zwei\n"])
    await notes.write("b", ["three"])
    await notes.write("a", ["four", 'fi"ve'])
    assert await notes.read("a") == ("four", 'fi"ve')
    assert await notes.read("b") == ("three",)
    await notes.write("b", [])
    assert await notes.read("b") == ()


async def test_they_outlive_the_process_and_no_fact_of_the_store_is_one(place: StorePlace) -> None:
    async with open_store(place) as store:
        await store.notes.write("key", ["not the key"])
        key = store.keys.current
    async with open_store(place) as store:
        assert await store.notes.read("key") == ("not the key",)
        assert await store.notes.read("schema") == ()
        assert store.keys.current == key
