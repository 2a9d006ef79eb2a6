"""The last word is reminded of by mail or chat, also after a restart, and by no call."""

from __future__ import annotations

import asyncio
from datetime import time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from daemon.config.active import ActiveConfig, Live
from daemon.core.incident import events as e
from daemon.core.recovery.approvals import Approvals
from daemon.core.response.follow_ups import ReminderTiming
from daemon.core.rules.rule import RuleBook
from daemon.core.values.outcome import Temporary
from daemon.notifying.reminders import NO_QUIET_WAY
from daemon.replaying.virtual_time import run_virtually
from daemon.repository import IncidentRepository
from daemon.watching.last_word import LastWordKeeper
from tests.contract.test_follow_up_keeper import ID, MORNING, Mail, Phone
from tests.core.build import ACKNOWLEDGED, make_roster, opening
from tests.fakes import MemoryJournal

ROSTER = make_roster(
    audiences={"customers": {"channels": ["mail"], "wording": "public"}}, ladder={}
)
HOUR = timedelta(hours=1)


def draft(number: int, stage: e.StageOfSteps) -> e.UpdateDrafted:
    return e.UpdateDrafted(
        update=f"customers.{number}",
        audience="customers",
        revision=1,
        stage=stage,
        text=f"text {number}",
        because="x",
        facts="x",
        automatic=False,
        public=True,
    )


def sent(number: int) -> e.UpdateReleased:
    return e.UpdateReleased(update=f"customers.{number}", text=f"text {number}", person="ada")


class Keeping:
    """A keeper over a journal in memory; time stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = MORNING
        self.journal = MemoryJournal()
        self.mail = Mail()
        self.ways: dict[str, Any] = {"ada": [("webhook-1", Phone()), ("email-2", self.mail)]}
        self.begin()

    def begin(self) -> None:
        """Start, or start anew: only the journal is left."""
        self.repository = IncidentRepository(self.journal, lambda: self.now)
        active = Live(ActiveConfig(RuleBook((), {}), ROSTER, Approvals(), self.ways, {}))
        timing = ReminderTiming(timedelta(days=2), time(9), ZoneInfo("UTC"))
        self.keeper = LastWordKeeper(
            self.repository, active, timing, page=lambda i: f"https://s/incidents/{i}#last-word"
        )

    async def opens(self) -> None:
        """An incident of which the customers were told, and which is over."""
        await self.repository.open(ID, "key", [opening()])
        await self.happens(*ACKNOWLEDGED, draft(1, "early"), sent(1))
        self.now += HOUR
        await self.happens(e.IncidentClosed(reason="recovered", text="held"), draft(2, "late"))

    async def happens(self, *events: e.Event) -> None:
        await self.repository.record(ID, lambda _: events)

    async def after(self, hours: float) -> None:
        """So much later the keeper looks."""
        self.now += hours * HOUR
        await self.keeper.look()

    @property
    def told(self) -> list[e.LastWordReminded]:
        """The reminders in the journal."""
        found = (entry.event for entry in self.journal.entries[ID])
        return [event for event in found if isinstance(event, e.LastWordReminded)]


@pytest.fixture
def keeping() -> Keeping:
    return Keeping()


async def test_the_reminder_says_what_to_type(keeping: Keeping) -> None:
    await keeping.opens()
    await keeping.after(0.2)
    assert keeping.told == []
    await keeping.after(0.1)
    assert keeping.told == [
        e.LastWordReminded(audience="customers", person="ada", method="email-2", proof="taken")
    ]
    [reminder] = keeping.mail.reminders
    assert reminder.title.startswith("The audience customers was never told that it is over: ")
    assert f"`stopgap update {ID} send customers.2`" in reminder.text
    assert f"`stopgap update {ID} dismiss customers REASON`" in reminder.text
    assert reminder.link == f"https://s/incidents/{ID}#last-word"
    await keeping.after(0.1)
    assert len(keeping.mail.reminders) == 1


async def test_what_was_sent_or_dismissed_meanwhile_reminds_nobody(keeping: Keeping) -> None:
    await keeping.opens()
    await keeping.happens(sent(2))
    await keeping.after(1)
    assert keeping.mail.reminders == []


async def test_a_way_that_fails_is_tried_again_and_no_phone_rings(keeping: Keeping) -> None:
    await keeping.opens()
    keeping.mail.troubles = [Temporary("no route")]
    await keeping.after(0.5)
    await keeping.after(0.1)
    assert keeping.told == []
    await keeping.after(0.2)
    assert [told.method for told in keeping.told] == ["email-2"]


async def test_where_no_way_is_quiet_that_is_written_down(keeping: Keeping) -> None:
    keeping.ways["ada"] = [("webhook-1", Phone())]
    await keeping.opens()
    await keeping.after(0.5)
    assert [(told.method, told.proof) for told in keeping.told] == [("", NO_QUIET_WAY)]


def test_a_restart_goes_on_with_what_was_owed_before(keeping: Keeping) -> None:
    async def story() -> None:
        await keeping.opens()
        await keeping.after(0.5)
        keeping.begin()
        keeping.now += 5 * HOUR
        running = asyncio.create_task(keeping.keeper.run())
        await asyncio.sleep(5)
        running.cancel()

    run_virtually(story)
    assert [told.person for told in keeping.told] == ["ada", "ada"]
    assert "This is the last reminder" not in keeping.mail.reminders[-1].text
