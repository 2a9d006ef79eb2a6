"""The calls about the store itself: to everybody of the default policy, not too often, and over."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from daemon.adapters.emergency_file import EmergencyFile
from daemon.config.active import ActiveConfig
from daemon.core.people.roster import Roster
from daemon.core.ports.emergency import CallMemory, EmergencyNotice
from daemon.core.ports.store import StoreTrouble
from daemon.core.rules.rule import RuleBook
from daemon.core.values.yaml_document import one_document
from daemon.instrumentation import Observer
from daemon.notifying.emergency import (
    EMERGENCY_AGAIN,
    EMERGENCY_CALM,
    EMERGENCY_RETRY,
    EmergencyCalls,
)
from tests.fakes import START, Following, Phone, Switchboard

ROSTER = """
people:
  ada: {name: Ada, contact: [{console: true}, {console: true}]}
  bo: {name: Bo, contact: [{console: true}]}
  cy: {name: Cy, contact: [{console: true}]}
policies:
  default: {tiers: [{notify: [ada], wait: 5m}, {notify: [bo], wait: 5m}]}
  other: {tiers: [{notify: [cy]}]}
default_policy: default
"""
FULL = StoreTrouble(kind="full", text="the disk of stopgap.db is full; free some space")
GONE = StoreTrouble(kind="gone", text="stopgap.db is not there any more; put it back")
SECOND = timedelta(seconds=1)


class Counting(Observer):
    """Counts the calls by what became of them."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def emergency_call(self, outcome: str) -> None:
        self.calls.append(outcome)


class Alarm:
    """The calls of one store, with phones; time stands still until a test moves it."""

    def __init__(self, memory: CallMemory) -> None:
        self.now = START
        self.memory = memory
        self.roster = one_document(ROSTER, "roster.yaml").read(Roster)
        self.ada, self.desk, self.bo, self.cy = Phone(), Phone(), Switchboard(), Phone()
        self.counted = Counting()
        self.restart()

    def restart(self) -> None:
        """Another process with the same memory."""
        self.calls = EmergencyCalls(
            Following(
                lambda: ActiveConfig(
                    RuleBook(()),
                    self.roster,
                    ways={
                        "ada": [("phone-1", self.ada), ("desk-2", self.desk)],
                        "bo": [("pager-1", self.bo)],
                        "cy": [("phone-1", self.cy)],
                    },
                )
            ),
            self.memory,
            lambda: self.now,
            "https://stopgap.example",
            self.counted,
        )

    async def lasts(self, trouble: StoreTrouble | None, how_long: timedelta) -> None:
        """It is so from now on, for so long, looked at every second."""
        end = self.now + how_long
        while self.now < end:
            await self.calls.look(trouble)
            self.now += SECOND

    def rang(self) -> list[int]:
        """How often each phone has rung."""
        return [len(phone.pages) for phone in (self.ada, self.desk, self.bo, self.cy)]


@pytest.fixture
def alarm(tmp_path: Path) -> Alarm:
    return Alarm(EmergencyFile(tmp_path / "stopgap.db.emergency"))


async def test_everybody_of_the_default_policy_is_called_once_while_it_lasts(alarm: Alarm) -> None:
    await alarm.lasts(FULL, EMERGENCY_AGAIN - SECOND)
    assert alarm.rang() == [1, 0, 1, 0]
    (page,) = alarm.ada.pages
    assert page.title == "the disk of Stopgap's store is full"
    assert page.text.startswith(FULL.text)
    assert "Alertmanager sends them again" in page.text
    assert page.link == "https://stopgap.example"
    assert page.answer_link == ""
    await alarm.lasts(FULL, 2 * SECOND)
    assert alarm.rang() == [2, 0, 2, 0]


async def test_another_trouble_is_called_for_at_once(alarm: Alarm) -> None:
    for trouble in (FULL, GONE, FULL):
        await alarm.lasts(trouble, timedelta(minutes=1))
    assert [page.page for page in alarm.ada.pages] == ["store-full", "store-gone"]


async def test_over_is_said_once_when_it_has_been_well_for_a_while(alarm: Alarm) -> None:
    await alarm.lasts(FULL, timedelta(minutes=2))
    await alarm.lasts(None, EMERGENCY_CALM)
    assert alarm.rang() == [1, 0, 1, 0]
    await alarm.lasts(None, timedelta(hours=1))
    assert alarm.rang() == [2, 0, 1, 0]
    assert alarm.ada.pages[-1].title == "over: the disk of Stopgap's store is full"
    assert alarm.bo.told == [(alarm.bo.pages[0].dedup_key, "resolved")]
    await alarm.lasts(FULL, SECOND)
    assert alarm.rang() == [3, 0, 2, 0]


async def test_a_trouble_that_comes_and_goes_is_one_trouble(alarm: Alarm) -> None:
    for _ in range(8):
        await alarm.lasts(FULL, timedelta(seconds=5))
        await alarm.lasts(None, timedelta(seconds=40))
    assert alarm.rang() == [1, 0, 1, 0]


async def test_a_restart_neither_calls_again_nor_forgets_to_say_that_it_is_over(
    alarm: Alarm,
) -> None:
    for _ in range(5):
        await alarm.calls.recall()
        await alarm.lasts(FULL, timedelta(minutes=2))
        alarm.restart()
    assert alarm.rang() == [1, 0, 1, 0]
    await alarm.calls.recall()
    await alarm.lasts(None, EMERGENCY_CALM + 2 * SECOND)
    assert alarm.rang() == [2, 0, 1, 0]


async def test_the_next_way_is_tried_at_once(alarm: Alarm) -> None:
    alarm.ada.broken = True
    await alarm.lasts(FULL, timedelta(minutes=5))
    assert alarm.rang() == [0, 1, 1, 0]
    assert alarm.counted.calls.count("failed") == 1
    await alarm.lasts(None, EMERGENCY_CALM + 2 * SECOND)
    assert alarm.rang() == [0, 2, 1, 0]


async def test_nobody_can_be_reached_is_said_in_the_log_and_tried_again(alarm: Alarm) -> None:
    for phone in (alarm.ada, alarm.desk, alarm.bo):
        phone.away = True
    with structlog.testing.capture_logs() as logged:
        await alarm.lasts(FULL, EMERGENCY_RETRY)
    (said,) = [line for line in logged if line["log_level"] == "critical"]
    assert "NOBODY can be told" in said["event"]
    assert (said["people"], said["why"]) == (["ada", "bo"], FULL.text)
    alarm.desk.away = False
    await alarm.lasts(FULL, timedelta(minutes=3))
    assert alarm.rang() == [0, 1, 0, 0]
    alarm.bo.away = False
    await alarm.lasts(FULL, EMERGENCY_RETRY)
    assert alarm.rang() == [0, 1, 1, 0]


async def test_a_clock_that_is_set_back_silences_nothing(alarm: Alarm) -> None:
    await alarm.lasts(FULL, SECOND)
    alarm.now -= timedelta(days=1)
    await alarm.lasts(FULL, timedelta(minutes=5))
    assert alarm.rang() == [2, 0, 2, 0]


async def test_without_a_memory_people_are_called_all_the_same(tmp_path: Path) -> None:
    alarm = Alarm(EmergencyFile(tmp_path / "no such folder" / "stopgap.db.emergency"))
    with structlog.testing.capture_logs() as logged:
        await alarm.calls.recall()
        await alarm.lasts(FULL, EMERGENCY_AGAIN + SECOND)
    assert alarm.rang() == [2, 0, 2, 0]
    events = [line["event"] for line in logged]
    assert events.count("a restart will call again about the store") == 1


class TestFile:
    async def test_it_is_written_over_in_place_and_never_grows(self, tmp_path: Path) -> None:
        path = tmp_path / "stopgap.db.emergency"
        memory = EmergencyFile(path)
        assert await memory.load() == ()
        before = path.stat()
        told = tuple(
            EmergencyNotice(kind="full", person=name, method="phone-1", at=START)
            for name in ("ada", "bo")
        )
        await memory.save(told)
        assert await EmergencyFile(path).load() == told
        await memory.save(())
        assert await memory.load() == ()
        after = path.stat()
        assert (after.st_size, after.st_ino) == (before.st_size, before.st_ino)
        assert after.st_mode & 0o077 == 0

    @pytest.mark.parametrize("content", [b"", b"\0" * 4096, b'[{"kind": "full", "per'])
    async def test_what_was_torn_is_nothing(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "stopgap.db.emergency"
        (tmp_path / path.name).write_bytes(content)
        assert await EmergencyFile(path).load() == ()
