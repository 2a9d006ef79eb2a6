"""A stop ends by its deadline, whichever part of it hangs; a second signal ends it at once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from daemon.app.shutdown import CLIENTS, CONNECTIONS, DOOR, DRAINED, OVERRUN, TRACED, Shutdown

PARTS = {
    "door": DOOR,
    "clients": CLIENTS,
    "http client": CONNECTIONS,
    "traces": TRACED,
    "store": 1.0,
}
WITHIN = timedelta(seconds=20)


async def _hang() -> None:
    while True:  # a cancellation is not heard either
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if _over.is_set():
                raise


_over: asyncio.Event


def _elapsed(shutdown: Shutdown) -> float:
    """Seconds since the signal; the deadline is at 20."""
    assert shutdown._asked_at is not None
    return asyncio.get_running_loop().time() - shutdown._asked_at


@pytest.fixture
async def shutdown() -> AsyncIterator[Shutdown]:
    """Not asked for yet; what hangs may end after the test."""
    global _over
    _over = asyncio.Event()
    ended: list[str] = []
    shutdown = Shutdown(WITHIN, ended.append)
    yield shutdown
    _over.set()
    hanging = asyncio.all_tasks() - {asyncio.current_task()}
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    assert ended == [], "the process was not ended: its own deadline is of the real clock"


@pytest.mark.looptime
@pytest.mark.parametrize("hanging", PARTS)
async def test_whatever_hangs_the_others_have_their_time(shutdown: Shutdown, hanging: str) -> None:
    done = []
    shutdown.ask()

    async def ends(name: str) -> None:
        await asyncio.sleep(0.5)
        done.append(name)

    for name, share in PARTS.items():
        await shutdown.step(name, _hang() if name == hanging else ends(name), share)
    assert done == [name for name in PARTS if name != hanging]
    assert _elapsed(shutdown) < 20.1


@pytest.mark.looptime
async def test_if_all_of_them_hang_it_is_over_by_the_deadline(shutdown: Shutdown) -> None:
    shutdown.ask()
    for name, share in PARTS.items():
        await shutdown.step(name, _hang(), share)
    assert _elapsed(shutdown) == pytest.approx(20)


@pytest.mark.looptime
async def test_what_is_early_leaves_its_time_to_what_comes_after(shutdown: Shutdown) -> None:
    async def takes(seconds: float) -> None:
        await asyncio.sleep(seconds)

    shutdown.ask()
    await shutdown.step("drain", takes(1), DRAINED)
    await shutdown.step("clients", takes(14), CLIENTS)
    assert _elapsed(shutdown) == pytest.approx(15)


@pytest.mark.looptime
async def test_a_part_that_fails_hinders_none(shutdown: Shutdown) -> None:
    closed = []

    @asynccontextmanager
    async def part(name: str, broken: bool = False) -> AsyncIterator[str]:
        yield name
        closed.append(name)
        if broken:
            raise OSError("the connection is gone")

    async with AsyncExitStack() as stack:
        assert await shutdown.enter(stack, "store", part("store"), 1.0) == "store"
        await shutdown.enter(stack, "clients", part("clients", broken=True), CLIENTS)
    assert closed == ["clients", "store"]


@pytest.mark.looptime
async def test_the_deadline_runs_from_the_first_signal() -> None:
    shutdown = Shutdown(WITHIN, lambda _: None)
    await asyncio.sleep(100)
    assert shutdown.left() == 20, "nobody has asked yet"
    shutdown.ask()
    await asyncio.sleep(5)
    shutdown.ask()
    assert shutdown.left() == pytest.approx(15)
    assert shutdown.left(0.5) == pytest.approx(5)
    assert shutdown.requested.is_set()


PROGRAM = """
import asyncio, sys, threading, time
from datetime import timedelta
from typing import Any
from daemon.app.shutdown import Shutdown

async def hang_in_a_thread(shutdown):
    # As a library's pool does: nobody may leave before this thread has ended.
    threading.Thread(target=time.sleep, args=(60,)).start()
    await shutdown.requested.wait()

async def hang_the_loop(shutdown):
    while True:
        pass

async def hang_in_the_pool(shutdown):
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 60)
    await shutdown.requested.wait()

async def refuse(shutdown):
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

async def main():
    shutdown = Shutdown(timedelta(seconds=float(sys.argv[2])))
    shutdown.listen()
    print("listening", flush=True)
    await globals()[sys.argv[1]](shutdown)

asyncio.run(main())
"""


@pytest.fixture
def spawn() -> Iterator[Callable[[str, float], subprocess.Popen[str]]]:
    """Starts a program that hangs in that way, with that deadline; it listens to signals. None
    outlives its test."""
    started: list[subprocess.Popen[str]] = []

    def spawned(way: str, within: float) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, way, str(within)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        return process

    yield spawned
    for process in started:
        with process:
            process.kill()


@pytest.mark.parametrize("way", ["hang_in_a_thread", "hang_the_loop", "hang_in_the_pool", "refuse"])
def test_what_cannot_be_given_up_is_ended_with_the_process(
    spawn: Callable[[str, float], subprocess.Popen[str]], way: str
) -> None:
    process = spawn(way, 0.3)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == OVERRUN
    assert "not stopped within 300ms of the signal (`shutdown` in stopgap.yaml)" in said


async def test_a_second_signal_may_come_before_the_first_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listeners: dict[int, Any] = {}
    ended: list[int] = []
    monkeypatch.setattr(signal, "signal", listeners.__setitem__)
    monkeypatch.setattr(os, "kill", lambda _, number: ended.append(number))
    shutdown = Shutdown(timedelta(seconds=60))
    shutdown.listen()
    monkeypatch.setattr(shutdown, "ask", lambda: listeners[signal.SIGINT](signal.SIGINT, None))
    listeners[signal.SIGTERM](signal.SIGTERM, None)
    assert ended == [signal.SIGINT]
    assert listeners[signal.SIGINT] == signal.SIG_DFL


@pytest.mark.parametrize("way", ["hang_the_loop", "refuse"])
def test_a_second_signal_ends_it_at_once(
    spawn: Callable[[str, float], subprocess.Popen[str]], way: str
) -> None:
    process = spawn(way, 60)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode in {-signal.SIGTERM, -signal.SIGINT}
