"""A daemon that answers but conducts nothing is told apart from one that waits for a slow store."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest

from daemon.adapters.service_manager import ServiceManager
from daemon.adapters.store.progress import Progress
from daemon.app.service import ServiceReport
from daemon.conduct.pulse import Pulse
from daemon.watching.liveness import Liveness
from tests.stories.stage import Daemon, Stage, alert


class _Store:
    """How long nothing of it has ended."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def unanswered(self) -> float:
        return self.seconds


class _Judged:
    """A running daemon, and who judges it."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.store = _Store()
        self.liveness = Liveness(self.store, daemon.conductor.pulse.fault)

    async def faults(self, until: float) -> list[str]:
        """What is found every ten seconds, until that many seconds after the start."""
        found = []
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(10)
            found.append(self.liveness.fault())
        return list(dict.fromkeys(found))


@asynccontextmanager
async def _open(stage: Stage) -> AsyncIterator[_Judged]:
    """An incident is open, and conducted."""
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(200)
        yield _Judged(daemon)


async def test_a_daemon_that_does_its_work_is_never_stuck(stage: Stage) -> None:
    stage.service.fails(0.3, 120)
    async with _open(stage) as judged:
        assert await judged.faults(4000) == [""]
        assert (await judged.daemon.incident()).pages, "it was at work meanwhile"


async def test_without_an_incident_it_goes_round_all_the_same(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        assert await _Judged(daemon).faults(4000) == [""]


async def test_a_turn_that_never_ends_is_found(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _open(stage) as judged:
        await _hang_turns(judged, monkeypatch)
        incident = await judged.daemon.incident()
        assert await judged.faults(900) == [
            "",
            f"the decision on incident {incident.id} has not come to its end for more than 2m",
        ]


async def test_a_turn_that_waits_for_a_slow_store_is_left_its_time(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _open(stage) as judged:
        judged.store.seconds = 30  # transactions end, each after half a minute
        release = await _hang_turns(judged, monkeypatch)
        assert await judged.faults(900) == [""]
        judged.store.seconds = 0
        release.set()
        assert await judged.faults(1800) == [""]


async def test_a_long_queue_of_turns_that_moves_is_no_hang(looptime: object) -> None:
    """A start with so many open incidents that the last waits for minutes: a restart would begin
    anew with all of them, and never come to its end."""
    pulse, names = Pulse(), [f"inc-{n}" for n in range(20)]
    task = asyncio.create_task(asyncio.Event().wait())
    for name in names:
        pulse.begins(name, task)
        pulse.turns(name)
    for name in names[:10]:
        await asyncio.sleep(50)
        assert pulse.fault(0) == ""
        pulse.sleeps(name, None)
    for _ in range(5):  # and then one hangs, whatever those do that began later
        await asyncio.sleep(25)
        pulse.turns(names[0])
        pulse.sleeps(names[0], None)
        pulse.ends(names[15])
    assert "inc-10 has not come to its end" in pulse.fault(0)
    pulse.ends(names[10])
    assert pulse.fault(0) == ""
    task.cancel()


async def test_a_task_that_ended_without_a_word_is_found(stage: Stage) -> None:
    async with _open(stage) as judged:
        incident = await judged.daemon.incident()
        (task,) = (t for t in asyncio.all_tasks() if t.get_name() == f"conduct-{incident.id}")
        task.cancel()  # as a library's stray cancellation would
        assert await judged.faults(220) == [
            f"nobody conducts incident {incident.id} any more: its task has ended",
            "",
        ]
        assert judged.daemon.conductor.tasks[0] == 1, "whoever read it next had it conducted anew"


async def test_a_conductor_that_does_not_go_round_is_found(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _open(stage) as judged:
        never = asyncio.Event()
        monkeypatch.setattr(judged.daemon.repository.opened, "get", _uncancellable(never))
        assert await judged.faults(600) == [
            "",
            "the conductor has not gone round for more than 2m",
        ]
        never.set()


async def test_a_decision_that_is_overdue_is_found(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _open(stage) as judged:
        conductor = judged.daemon.conductor
        incident = await judged.daemon.incident()
        judged.daemon.repository.bell(incident.id).set()
        asleep = asyncio.Event()

        async def oversleep(name: str, *_: object) -> None:
            conductor.pulse.sleeps(name, 30)
            await asleep.wait()

        monkeypatch.setattr(conductor, "_sleep", oversleep)
        assert await judged.faults(600) == [
            "",
            f"the next decision on incident {incident.id} has been due for more than 2m",
        ]
        asleep.set()


async def test_a_store_that_ends_nothing_is_found(stage: Stage) -> None:
    async with _open(stage) as judged:
        judged.store.seconds = 121
        assert await judged.faults(220) == ["the store has ended no transaction for more than 2m"]


@pytest.mark.parametrize("name", ["conductor", "calendars"])
async def test_a_part_that_was_cancelled_is_found(stage: Stage, name: str) -> None:
    async with _open(stage) as judged:
        part = asyncio.create_task(asyncio.Event().wait())
        judged.liveness.watch({name: part})
        assert judged.liveness.fault() == ""
        part.cancel()
        await asyncio.wait([part])
        assert judged.liveness.fault() == f"a part of the daemon has ended: {name}"


async def test_what_ends_by_itself_may_unless_it_is_vital(stage: Stage) -> None:
    async with _open(stage) as judged:
        parts = {name: asyncio.create_task(asyncio.sleep(0)) for name in ("intake", "retention")}
        await asyncio.wait(parts.values())
        judged.liveness.watch(parts)
        assert judged.liveness.fault() == "a part of the daemon has ended: intake"


async def test_progress_tells_slow_from_hung(looptime: object) -> None:
    progress = Progress()
    assert progress.unanswered() == 0
    progress.began("write")
    await asyncio.sleep(40)
    progress.began("write")
    assert progress.unanswered() == 40
    progress.ended("write")
    assert progress.unanswered() == 0, "one has ended, so it lives"
    await asyncio.sleep(30)
    progress.began("read")
    progress.ended("read")
    assert progress.unanswered() == 30, "reads do not speak for the writer"
    progress.ended("write")
    await asyncio.sleep(300)
    assert progress.unanswered() == 0, "nothing waits"


async def test_systemd_hears_no_more_of_a_daemon_whose_decisions_hang(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop turns, and the report itself goes on: what is missing is the sign alone."""
    address = str(tmp_path / "notify")
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as systemd:
        systemd.bind(address)
        systemd.setblocking(False)
        async with _open(stage) as judged:
            environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000"}
            report = ServiceReport(ServiceManager(environ), judged.liveness, lambda: 1, lambda: "")
            telling = asyncio.create_task(report.run())
            assert await hears(systemd, 1) == ["READY=1", "WATCHDOG=1", "STATUS=1 open incident"]
            incident = await judged.daemon.incident()
            release = await _hang_turns(judged, monkeypatch)
            *signs, last = await hears(systemd, 600)
            assert signs.count("WATCHDOG=1") == len(signs), "it was well for a while"
            stuck = f"the decision on incident {incident.id} has not come to its end"
            assert last.startswith(f"STATUS=1 open incident; {stuck}")
            assert await hears(systemd, 600) == [], (
                "systemd restarts it half a minute after the last sign"
            )
            release.set()
            assert "WATCHDOG=1" in await hears(systemd, 30)
            telling.cancel()


async def hears(systemd: socket.socket, seconds: int) -> list[str]:
    """What comes in so many seconds; the socket holds but a handful that nobody has read."""
    messages = []
    for _ in range(seconds):
        await asyncio.sleep(1)
        with suppress(BlockingIOError):
            while True:
                messages.append(systemd.recv(4096).decode())
    return messages


async def _hang_turns(judged: _Judged, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """From now on no decision comes to its end until the event is set."""
    release = asyncio.Event()
    repository = judged.daemon.repository
    pay = repository.pay

    async def never_paid(incident: str) -> None:
        await release.wait()
        await pay(incident)

    monkeypatch.setattr(repository, "pay", never_paid)
    repository.ring_all()
    await asyncio.sleep(0)
    return release


def _uncancellable(event: asyncio.Event):  # type: ignore[no-untyped-def]
    async def get() -> str:
        while not event.is_set():
            try:
                await event.wait()
            except asyncio.CancelledError:
                continue
        raise asyncio.CancelledError

    return get
