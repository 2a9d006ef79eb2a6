"""Those who were called are told that it is over, on the wire and in the journal."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from daemon.core.decision import TellEnding
from daemon.core.incident import events as e
from daemon.core.ports.notification import Page, Reminder, Ways
from daemon.core.values.outcome import Temporary
from daemon.notifying.endings import tell_ending
from daemon.notifying.reminders import NO_QUIET_WAY
from tests.contract.rig import Rig, rigged
from tests.core.build import confirmed

ORDER = TellEnding("ada", "email-2", "recovered", 1)


class Rings:
    """A way that calls."""

    async def page(self, page: Page) -> str:
        raise AssertionError("nobody's phone rings because it is over")


class Writes(Rings):
    """A way that wakes nobody, and may fail."""

    def __init__(self) -> None:
        self.got: list[Reminder] = []
        self.down = False

    async def remind(self, reminder: Reminder) -> str:
        if self.down:
            raise Temporary("503")
        self.got.append(reminder)
        return "250 ok"


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        await found.happens(confirmed(), e.Recovered(step=0, text="by itself"))
        yield found


async def told(rig: Rig, ways: Ways) -> e.Event:
    await tell_ending(rig.repository, rig.id, ORDER, ways, rig.links)
    return rig.journal.entries[rig.id][-1].event


async def test_one_message_by_the_way_that_called(rig: Rig) -> None:
    other, mail = Writes(), Writes()
    ways = {"ada": [("pagerduty-1", Rings()), ("email-2", mail), ("slack-3", other)]}
    event = await told(rig, ways)
    assert event == e.EndingTold(
        person="ada", ending="recovered", recoveries=1, method="email-2", proof="250 ok"
    )
    (word,) = mail.got
    assert word.text.startswith("Restored at 14:00:00 UTC by itself")
    assert word.link == rig.links.document(rig.id)
    assert other.got == []


async def test_a_way_that_is_down_is_tried_again_a_few_times(rig: Rig) -> None:
    mail = Writes()
    mail.down = True
    lasts = []
    for _ in range(5):
        event = await told(rig, {"ada": [("email-2", mail)]})
        assert isinstance(event, e.EndingUntold)
        lasts.append(event.last)
    assert lasts == [False, False, False, False, True]


async def test_a_way_that_is_gone_from_the_roster_is_given_up(rig: Rig) -> None:
    event = await told(rig, {"ada": [("pagerduty-1", Rings())]})
    assert isinstance(event, e.EndingUntold)
    assert (event.last, event.error) == (True, NO_QUIET_WAY)
