"""Sessions and API tokens, as every Credentials keeps them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from daemon.adapters.store import StorePlace, open_store
from daemon.core.people.access import ApiToken, Credentials, Session, hash_of
from tests.credentials import MemoryCredentials
from tests.postgresql import place_on, shell

NOW = datetime(2026, 3, 1, 14, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)
ADA = Session(hash_of("a"), "ada", "password", NOW, NOW + HOUR, "Firefox")
GUEST = Session(hash_of("b"), "x@y", "oidc", NOW + HOUR / 2, NOW + 2 * HOUR, "", "admin", True)
CI = ApiToken("1a", "ada", "ci", ("read", "changes"), NOW, NOW + HOUR, date(2026, 3, 1))
BOT = ApiToken("2b", "bo", "bot", ("respond",), NOW + HOUR)


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
async def credentials(request: pytest.FixtureRequest) -> AsyncIterator[Credentials]:
    if request.param == "memory":
        yield MemoryCredentials()
        return
    async with open_store(place_on(request.param, request)) as store:
        yield store.credentials


async def test_a_session_is_there_until_its_end(credentials: Credentials) -> None:
    await credentials.begin_session(ADA)
    await credentials.begin_session(GUEST)
    last = ADA.ends_at - timedelta(microseconds=1)
    assert await credentials.session(ADA.id, last) == ADA
    assert await credentials.session(ADA.id, ADA.ends_at) is None
    assert await credentials.session(GUEST.id, ADA.ends_at) == GUEST
    assert await credentials.session("a", NOW) is None
    assert await credentials.sessions(last) == [GUEST, ADA]
    assert await credentials.sessions(last, "ada") == [ADA]
    assert await credentials.sessions(ADA.ends_at) == [GUEST]


async def test_an_ended_session_is_gone(credentials: Credentials) -> None:
    await credentials.begin_session(ADA)
    await credentials.begin_session(GUEST)
    assert await credentials.end_session(ADA.id)
    assert not await credentials.end_session(ADA.id)
    assert await credentials.sessions(NOW) == [GUEST]


async def test_a_new_session_sweeps_out_those_that_are_over(credentials: Credentials) -> None:
    await credentials.begin_session(ADA)
    await credentials.begin_session(replace(GUEST, started_at=ADA.ends_at))
    assert not await credentials.end_session(ADA.id)


async def test_tokens_are_found_by_their_hash(credentials: Credentials) -> None:
    await credentials.add_token(CI, hash_of("one"))
    await credentials.add_token(BOT, hash_of("two"))
    assert await credentials.token(hash_of("one")) == CI
    assert await credentials.token(hash_of("three")) is None
    assert await credentials.tokens() == [BOT, CI]
    assert await credentials.tokens("ada") == [CI]


async def test_a_revoked_token_stays_to_tell_who_did_it(credentials: Credentials) -> None:
    await credentials.add_token(CI, hash_of("one"))
    assert await credentials.revoke_token("1a", "bo", NOW)
    assert not await credentials.revoke_token("1a", "ada", NOW + HOUR)
    assert not await credentials.revoke_token("9z", "ada", NOW)
    assert await credentials.tokens() == []
    found = await credentials.token(hash_of("one"))
    assert found == replace(CI, revoked_at=NOW, revoked_by="bo")
    assert found is not None
    assert not found.valid(NOW)


async def test_the_day_of_its_use_is_noted(credentials: Credentials) -> None:
    await credentials.add_token(BOT, hash_of("two"))
    await credentials.used_token("2b", date(2026, 3, 2))
    assert await credentials.tokens() == [replace(BOT, used_on=date(2026, 3, 2))]


async def test_they_outlive_a_restart_and_the_store_holds_no_secret(place: StorePlace) -> None:
    cookie, secret = "the-cookie-of-ada", "stopgap_the-token-of-ada"
    async with open_store(place) as store:
        await store.credentials.begin_session(replace(ADA, id=hash_of(cookie)))
        await store.credentials.add_token(CI, hash_of(secret))
    async with open_store(place) as store:
        assert await store.credentials.session(hash_of(cookie), NOW) is not None
        assert await store.credentials.token(hash_of(secret)) == CI
    content = str([shell(place, "SELECT * FROM sessions"), shell(place, "SELECT * FROM tokens")])
    assert hash_of(cookie) in content
    assert cookie not in content
    assert secret not in content
