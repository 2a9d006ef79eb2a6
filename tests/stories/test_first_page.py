"""The first page says the problem; where its numbers come later they follow, and ring nobody."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daemon.core.ports.notification import Page, Reminder
from daemon.core.values.outcome import Temporary
from tests.fakes import START, Phone, Switchboard
from tests.stories.stage import Daemon, Stage, alert, healed_by

HOLD = 2.0


class Pagerduty(Switchboard):
    """A pager whose alert can be changed; `refusals`: so many changes fail for now."""

    def __init__(self) -> None:
        super().__init__()
        self.amended: list[tuple[Page, str]] = []
        self.refusals = 0

    async def amend_alert(self, page: Page, proof: str) -> str:
        if self.refusals:
            self.refusals -= 1
            raise Temporary("not now")
        self.amended.append((page, proof))
        return "changed"


class Mail(Phone):
    """A way that can also write without ringing."""

    def __init__(self) -> None:
        super().__init__()
        self.reminders: list[Reminder] = []

    async def remind(self, reminder: Reminder) -> str:
        self.reminders.append(reminder)
        return "written"


@pytest.fixture
def held(stage: Stage) -> Stage:
    stage.page_hold = timedelta(seconds=HOLD)
    stage.service.fails(0.3, at=60)
    return stage


async def opens(daemon: Daemon) -> None:
    await daemon.at(180)
    await daemon.receives(alert())


async def paged_at(stage: Stage, seconds: float = 200) -> list[float]:
    """When pages were queued, in seconds after the opening."""
    (incident,) = await stage.incidents()
    return sorted(
        (page.at - incident.opened_at).total_seconds() for page in incident.pages.values()
    )


async def test_the_first_page_says_the_problem_with_numbers_suspect_and_severity(
    held: Stage,
) -> None:
    async with held.daemon() as daemon:
        await opens(daemon)
        await daemon.at(183)
    first, *_ = held.phones["ada"].pages
    assert first.title.startswith("shop: success rate 99.0 % → 70")
    assert first.severity == "sev1"
    lines = first.text.splitlines()
    assert lines[0].startswith(first.title), "the first line is what matters most"
    assert any(line.startswith("Severity: sev1, since 14:01:0") for line in lines)
    assert any(line.startswith("Suspect: ") and "v2" in line for line in lines)
    assert "Alert: CheckoutSuccessRateLow: checkout fails" in lines
    assert any("step 1 is running: rollback on shop" in line for line in lines)
    assert "measuring now" not in first.text
    assert first.short.startswith("sev1 shop: success rate 99.0 % → 70")
    assert len(first.short) <= 130
    assert min(await paged_at(held)) < HOLD


@pytest.mark.parametrize("answers_after", [1.5, 30.0, 3600.0])
async def test_it_waits_never_longer_whatever_prometheus_does(
    held: Stage, answers_after: float
) -> None:
    held.service.answer_after = answers_after
    async with held.daemon() as daemon:
        await opens(daemon)
        await daemon.at(183)
    (page,) = held.phones["ada"].pages
    assert await paged_at(held) == [HOLD]
    assert page.text.splitlines()[0] == "CheckoutSuccessRateLow shop · measuring now"
    assert "Alert: CheckoutSuccessRateLow: checkout fails" in page.text


async def test_an_unreachable_prometheus_is_said_at_once(held: Stage) -> None:
    held.service.down = "connection refused"
    async with held.daemon() as daemon:
        await opens(daemon)
        await daemon.at(182)
    (page,) = held.phones["ada"].pages
    assert "the monitoring is out" in page.text


async def test_without_a_hold_it_is_paged_at_once(held: Stage) -> None:
    held.page_hold = timedelta(0)
    async with held.daemon() as daemon:
        await opens(daemon)
        await daemon.at(183)
    assert min(await paged_at(held)) == 0.0


async def test_what_no_rule_matches_is_not_held_and_tells_the_alerts_own_words(
    held: Stage,
) -> None:
    odd = alert()
    odd["labels"] = {"alertname": "DiskFull", "host": "db1"}
    odd["annotations"] = {
        "summary": "db1 is full\x1b[31m",
        "description": "97 % used",
        "runbook_url": "https://runbooks.example.org/disk",
        "dashboard_url": "javascript:alert(1)",
    }
    odd["generatorURL"] = "http://prometheus:9090/graph?g0.expr=x"
    async with held.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(odd)
        await daemon.at(181)
    assert await paged_at(held) == [0.0]
    (page,) = held.phones["ada"].pages
    assert "db1 is full" in page.text.splitlines()[0]
    assert "\x1b" not in page.text
    assert page.links == (
        ("Runbook", "https://runbooks.example.org/disk"),
        ("Source", "http://prometheus:9090/graph?g0.expr=x"),
    )
    assert "javascript" not in page.text


async def test_a_crash_during_the_hold_neither_loses_the_page_nor_rings_twice(
    held: Stage,
) -> None:
    held.service.answer_after = 30.0
    async with held.daemon() as daemon:
        await opens(daemon)
        await daemon.at(181)
    assert held.phones["ada"].pages == []
    async with held.daemon() as daemon:
        await daemon.at(190)
    assert [page.page for page in held.phones["ada"].pages] == ["r0.t0.ada"]


async def test_numbers_that_come_later_are_told_in_the_same_alert(held: Stage) -> None:
    held.phones["ada"] = pager = Pagerduty()
    pager.refusals = 1
    held.service.answer_after = 3.0
    async with held.daemon() as daemon:
        await opens(daemon)
        await daemon.at(240)
        incident = await daemon.incident()
    first, (later, proof) = pager.pages[0], pager.amended[0]
    assert first.severity == ""
    assert "measuring now" in first.text
    assert later.dedup_key == first.dedup_key
    assert proof == "rang"
    assert later.severity == "sev1"
    assert later.title.startswith("shop: success rate 70.0 % now, the worst so far, normally 99")
    assert len(pager.amended) == 1
    assert incident.pages["r0.t0.ada"].amendment.over
    assert [page.page for page in pager.pages if page.page.startswith("r0")] == ["r0.t0.ada"]


async def test_others_get_one_message_that_rings_nobody(held: Stage) -> None:
    held.phones["ada"] = mail = Mail()
    held.service.answer_after = 3.0
    async with held.daemon() as daemon:
        await opens(daemon)
        await daemon.at(400)
        await daemon.acknowledges("ada")
        await daemon.at(440)
    (reminder,) = mail.reminders
    assert reminder.title.startswith("Measured now: shop: success rate")
    assert "Suspect: " in reminder.text


async def test_nothing_follows_a_page_that_told_the_numbers(held: Stage) -> None:
    held.phones["ada"] = mail = Mail()
    async with held.daemon() as daemon:
        await opens(daemon)
        await daemon.at(240)
    assert mail.pages
    assert mail.reminders == []


async def test_nobody_is_called_after_the_recovery_and_each_page_tells_its_own_moment(
    held: Stage,
) -> None:
    """The night of the issue: restored by the rollback while nobody had come."""
    healed_by(held, "rollback")
    async with held.daemon() as daemon:
        await opens(daemon)
        await daemon.at(470)
        assert (await daemon.incident()).recovered_at is not None
        before = {name: len(phone.pages) for name, phone in held.phones.items()}
        await daemon.at(900)
        after = await daemon.incident()
    assert {name: len(phone.pages) for name, phone in held.phones.items()} == before
    assert after.title.startswith("Restored: shop: success rate 99.0 % now, 70")
    assert "at worst" in after.title


async def test_a_page_that_is_tried_again_tells_the_numbers_of_then(held: Stage) -> None:
    held.phones["ada"].away = True
    held.service.answer_after = 3.0
    held.actions["rollback"].takes = 3600.0
    async with held.daemon() as daemon:
        await opens(daemon)
        await daemon.at(210)
        held.phones["ada"].away = False
        await daemon.at(320)
    first = next(p for p in held.phones["ada"].pages if p.page.startswith("r0.t0"))
    assert first.page == "r0.t0.ada+1"
    assert first.text.splitlines()[0].startswith("shop: success rate")
    assert "measuring now" not in first.text
    assert first.at > START + timedelta(seconds=210)
