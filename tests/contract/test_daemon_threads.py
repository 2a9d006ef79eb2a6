"""Threads for other people's blocking code: few, used again, and never waited for."""

from __future__ import annotations

import asyncio
import threading

import pytest

from daemon.adapters import daemon_threads
from daemon.adapters.daemon_threads import DaemonThreads


def named(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


async def test_one_call_after_the_other_is_made_by_one_thread() -> None:
    threads = DaemonThreads("one-after-another", 4)
    idents = set()
    for _ in range(20):
        idents.add(await threads.run(threading.get_ident))
    assert len(idents) <= 2  # one is perhaps not yet at rest when the next call comes


async def test_many_calls_at_once_are_made_by_as_many_threads_as_there_may_be() -> None:
    threads = DaemonThreads("at-once", 3)
    together = threading.Barrier(3, timeout=30)
    idents = await asyncio.gather(
        *(threads.run(lambda: (together.wait(), threading.get_ident())[1]) for _ in range(6))
    )
    assert len(set(idents)) == 3


async def test_a_thread_that_rested_in_vain_ends_and_another_takes_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(daemon_threads, "REST_SECONDS", 0.0)
    threads = DaemonThreads("in-vain", 1)
    for number in range(3):
        assert await threads.run(lambda number=number: number) == number
        for thread in named("in-vain"):
            await asyncio.to_thread(thread.join, 30)
        assert named("in-vain") == []


async def test_what_has_not_begun_is_given_up() -> None:
    threads = DaemonThreads("given-up", 1)
    begun, go = threading.Event(), threading.Event()
    first = threads.submit(lambda: (begun.set(), go.wait(30)))
    await asyncio.to_thread(begun.wait, 30)
    second = threads.submit(lambda: None)
    threads.give_up()
    go.set()
    assert second.cancelled()
    assert (await asyncio.wrap_future(first))[1] is True
