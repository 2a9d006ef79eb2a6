"""Who guesses has to wait longer each time; everybody else does not notice."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError

from daemon.web.auth import throttle as throttling
from daemon.web.auth.passwords import HASHES_AT_ONCE, LONGEST_PASSWORD, WAITING, Busy, Passwords
from daemon.web.auth.throttle import Throttle
from tests.contract.rig import CHEAP

NOW = datetime(2026, 3, 1, 14, 3, tzinfo=UTC)
NONE = timedelta(0)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def throttle() -> Throttle:
    return Throttle(3, seconds(2), seconds(60))


def test_a_few_failures_cost_nothing_then_the_wait_doubles_up_to_a_bound() -> None:
    slow, now, waits = throttle(), NOW, []
    for _ in range(11):
        now += slow.wait("ada", now)
        slow.begin("ada", now)
        waits.append(slow.wait("ada", now).total_seconds())
    assert waits == [0, 0, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert slow.wait("bo", now) == NONE
    assert slow.wait("ada", now + seconds(59)) == seconds(1)
    assert slow.wait("ada", now + seconds(60)) == NONE


def test_after_a_quiet_time_one_begins_anew() -> None:
    slow = throttle()
    for _ in range(9):
        slow.begin("ada", NOW)
    later = NOW + seconds(121)
    slow.begin("ada", later)
    assert slow.wait("ada", later) == NONE


def test_success_is_forgotten_or_forgiven() -> None:
    slow = throttle()
    for _ in range(3):
        slow.begin("ada", NOW)
    assert slow.wait("ada", NOW) == seconds(2)
    slow.forgive("ada")
    assert slow.wait("ada", NOW) == NONE
    for _ in range(5):
        slow.begin("ada", NOW)
    slow.forget("ada")
    slow.forgive("nobody")
    assert slow.wait("ada", NOW) == NONE


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "_REMEMBERED", 100)
    slow = throttle()
    for _ in range(3):
        slow.begin("ada", NOW)
    for number in range(99):
        slow.begin(f"x{number}", NOW)
    assert slow.wait("ada", NOW) == seconds(2)
    slow.begin("one more", NOW)
    assert slow.wait("ada", NOW) == NONE
    assert len(slow._tries) == 100


async def test_a_password_fits_its_hash_and_nothing_fits_none() -> None:
    passwords = Passwords(CHEAP)
    known = CHEAP.hash("correct horse")
    assert await passwords.fits(known, "correct horse")
    assert not await passwords.fits(known, "correct horse ")
    assert not await passwords.fits("$argon2id$nonsense", "correct horse")
    assert not await passwords.fits(None, "nobody has this one")
    long = "x" * LONGEST_PASSWORD
    assert not await passwords.fits(CHEAP.hash(long), long + "y")


async def test_an_unknown_name_costs_the_same_work() -> None:
    verified: list[str] = []

    class Counting(PasswordHasher):
        def verify(self, hash: Any, password: Any) -> Literal[True]:  # noqa: A002
            verified.append(hash)
            return super().verify(hash, password)

    hasher = Counting(time_cost=2, memory_cost=64, parallelism=1)
    ada = hasher.hash("ada's own")
    passwords = Passwords(hasher)
    assert not await passwords.fits(None, "ada's own")
    assert await passwords.fits(ada, "ada's own")
    assert not await passwords.fits(ada, "guess")
    nobody = verified[0]
    assert verified == [nobody, ada, ada]
    assert extract_parameters(nobody) == extract_parameters(ada)
    with pytest.raises(VerifyMismatchError):  # it was worked out, and not refused at a glance
        hasher.verify(nobody, "ada's own")


async def test_few_are_verified_at_once_and_too_many_are_sent_away() -> None:
    gate, running, most = threading.Event(), [0], [0]
    lock = threading.Lock()

    class Slow(PasswordHasher):
        def verify(self, *_: Any) -> Literal[True]:
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            gate.wait(30)
            with lock:
                running[0] -= 1
            return True

    passwords = Passwords(Slow())
    tasks = [asyncio.create_task(passwords.fits("known", "x")) for _ in range(WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await passwords.fits("known", "x")
    gate.set()
    assert await asyncio.gather(*tasks) == [True] * WAITING
    assert most[0] <= HASHES_AT_ONCE
    assert await passwords.fits("known", "x")
