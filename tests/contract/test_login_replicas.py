"""Somebody who is logged in at one replica is so at all of them, until they log out at any."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from daemon.adapters.store import PostgresAddress, Store, open_store
from tests.contract.rig import Rig, rigged
from tests.contract.visitor import PLAIN, Visitor, give_passwords


@pytest.fixture
async def two(postgresql_place: PostgresAddress) -> AsyncIterator[Sequence[Rig]]:
    """Two replicas, each with its own connections to one database, and the keys that are in it."""
    rigs = []
    async with AsyncExitStack() as stack:
        for _ in range(2):
            store = await stack.enter_async_context(open_store(postgresql_place))
            making = rigged(url=PLAIN, make=partial(_replica, store))  # type: ignore[arg-type]
            rigs.append(await stack.enter_async_context(making))
        give_passwords(rigs[0], "ada")
        rigs[1].passwords |= rigs[0].passwords  # as both read one roster
        yield rigs


def _replica(store: Store, *args: Any) -> Rig:
    rig = Rig(*args)
    rig.keys = store.keys  # type: ignore[assignment]
    rig.authenticator = replace(rig.authenticator, credentials=store.credentials)
    return rig


async def test_who_logs_out_at_one_is_logged_out_at_the_other(two: Sequence[Rig]) -> None:
    here, there = two
    ada = Visitor(here)
    await ada.logs_in()
    elsewhere = Visitor(there, ada.cookies)
    assert "You are <strong>ada</strong>" in (await elsewhere.opens("/you")).page
    stolen = [Visitor(rig, dict(ada.cookies)) for rig in two]
    assert (await ada.sends("/logout", csrf=await ada.csrf())).went_to == "/login"
    assert [(await one.opens("/you")).status for one in stolen] == [303, 303]


async def test_a_session_that_ends_leaves_the_others_of_that_person_alone(
    two: Sequence[Rig],
) -> None:
    here, there = two
    desk, phone = Visitor(here), Visitor(there)
    await desk.logs_in()
    await phone.logs_in()
    moved = Visitor(here, dict(phone.cookies))
    assert (await moved.sends("/logout", csrf=await moved.csrf())).went_to == "/login"
    assert (await phone.opens("/you")).status == 303
    assert (await Visitor(there, dict(desk.cookies)).opens("/you")).status == 200
