"""The keys in the store: made once, rotated beside each other, and read by another process."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from daemon.adapters.store import Store, StorePlace, open_store
from daemon.core.people.signing_keys import SigningKeys
from daemon.core.values.outcome import Permanent, Temporary
from tests.postgresql import shell

NOW = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)
LONG = timedelta(days=90)


async def rotate(store: Store, by: str = "ada", *, revoke: bool = False) -> SigningKeys:
    return await store.keys.rotate(by, NOW, revoke=revoke, longest=LONG)


async def test_a_new_store_has_one_key_and_keeps_it(place: StorePlace) -> None:
    async with open_store(place) as store:
        made = store.keys.current
    [key] = made.keys
    assert (len(key.secret), key.made_by, key.nameless) == (43, "stopgap", False)
    assert key.made_at is not None
    async with open_store(place) as store:
        assert store.keys.current == made


async def test_the_key_of_a_store_from_before_moves_and_is_not_kept_twice(
    place: StorePlace,
) -> None:
    async with open_store(place):
        pass
    shell(place, "DELETE FROM meta WHERE name = 'keys'")
    shell(place, "INSERT INTO meta VALUES ('key', 'of old')")
    async with open_store(place) as store:
        [key] = store.keys.current.keys
        assert (key.secret, key.nameless, key.made_at) == ("of old", True, None)
        await rotate(store, revoke=True)
    assert [name for name, _ in shell(place, "SELECT * FROM meta")] == [
        "schema",
        "compatible",
        "keys",
    ]
    assert not [v for _, v in shell(place, "SELECT * FROM meta") if "of old" in v]


async def test_a_rotation_is_in_force_at_once_and_after_a_restart(place: StorePlace) -> None:
    async with open_store(place) as store:
        [before] = store.keys.current.keys
        with capture_logs() as logs:
            after = await rotate(store)
        assert store.keys.current == after
        async with open_store(place, readonly=True) as tool:
            assert await tool.keys.read() == after
    async with open_store(place) as store:
        assert store.keys.current == after
    assert after.keys[0].secret == before.secret
    assert (after.keys[0].retired_at, after.keys[0].retired_by) == (NOW, "ada")
    [told] = logs
    assert told == {
        "event": "the keys were rotated",
        "log_level": "warning",
        "by": "ada",
        "key": after.signing.id,
        "before": before.id,
        "revoked": False,
    }


async def test_two_rotations_at_the_same_moment_are_two_and_lose_no_key(place: StorePlace) -> None:
    async with open_store(place) as store:
        [first] = store.keys.current.keys
        results = await asyncio.gather(*(rotate(store, by) for by in ("ada", "bo", "cy")))
        assert store.keys.current == max(results, key=lambda keys: len(keys.keys))
        keys = store.keys.current.keys
        assert len({key.id for key in keys}) == 4
        assert [key.made_by for key in keys] == ["stopgap", "ada", "bo", "cy"]
        assert [key.retired_by for key in keys] == ["ada", "bo", "cy", ""]
        assert store.keys.current.secrets(NOW, LONG)[0] == first.secret
        async with open_store(place, readonly=True) as tool:
            assert await tool.keys.read() == store.keys.current


async def test_a_rotation_whose_caller_has_gone_is_in_force_all_the_same(place: StorePlace) -> None:
    async with open_store(place) as store:
        rotating = asyncio.create_task(rotate(store))
        await asyncio.sleep(0)
        rotating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await rotating
        async with open_store(place, readonly=True) as tool:
            assert store.keys.current == await tool.keys.read()
        assert len(store.keys.current.keys) == 2


async def test_what_the_store_did_not_take_is_not_in_force(place: StorePlace) -> None:
    async with open_store(place) as store:
        before = store.keys.current
    with pytest.raises(Temporary):
        await rotate(store)
    assert store.keys.current == before


async def test_damaged_keys_are_told_without_what_is_in_them(place: StorePlace) -> None:
    async with open_store(place):
        pass
    broken = json.dumps({"keys": [{"id": "?", "secret": "hunter2"}]})
    shell(place, f"UPDATE meta SET value = '{broken}' WHERE name = 'keys'")  # noqa: S608
    with pytest.raises(Permanent, match="the keys that sign links are damaged; delete") as caught:
        async with open_store(place):
            pass
    assert "hunter2" not in str(caught.value)


async def test_a_store_that_no_daemon_of_today_has_opened_has_no_keys_to_list(
    place: StorePlace,
) -> None:
    async with open_store(place):
        pass
    shell(place, "DELETE FROM meta WHERE name = 'keys'")
    async with open_store(place, readonly=True) as tool:
        with pytest.raises(Permanent, match="has no keys yet; start this version's daemon"):
            await tool.keys.read()
