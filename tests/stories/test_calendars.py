"""A calendar that is out of date is an incident like any other: it pages, and it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.core.decide import UNRULED_HOLD
from daemon.core.values.outcome import Temporary
from daemon.watching.calendar_feeds import FEEDS_EVERY, Calendars
from tests.fakes import START
from tests.stories.stage import Daemon, Stage, alert

ROSTER = """
people:
  ada: {name: Ada, contact: [{console: true}]}
  bo: {name: Bo, contact: [{console: true}]}
  cy: {name: Cy, contact: [{console: true}]}
teams:
  payments: {owners: [ada], lead: cy, policy: payments}
schedules:
  nights:
    zone: UTC
    calendar: {url: env:FEED, stale_after: 30m}
policies:
  payments: {tiers: [{notify: [nights], wait: 5m}, {notify: [cy], wait: 5m}]}
  duty: {tiers: [{notify: [bo], wait: 5m}]}
default_policy: duty
"""
MINUTE = 60.0
EACH = FEEDS_EVERY.total_seconds()


@pytest.fixture(autouse=True)
def _in_the_loops_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a thread works, time would leap on."""

    async def at_once(work: Callable[..., Any], *given: Any, **more: Any) -> Any:
        return work(*given, **more)

    monkeypatch.setattr(asyncio, "to_thread", at_once)


@dataclass
class Text:
    """A calendar's text and when it was fetched."""

    text: str
    fetched_at: datetime


class Feed:
    """One feed, and the copy that is kept of it."""

    def __init__(self) -> None:
        self.on_call = "Ada"
        self.away = False
        self.copy: Text | None = None

    async def fetch(self, url: str) -> Text:
        if self.away:
            raise Temporary("the calendar's server answered 503")
        return Text(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\n"
            "DTSTAMP:20261101T000000Z\r\nDTSTART:20261101T000000Z\r\nDTEND:20261201T000000Z\r\n"
            f"SUMMARY:{self.on_call}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
            now(),
        )

    async def keep(self, name: str, feed: Any) -> None:
        self.copy = feed

    def cached(self, name: str) -> Text | None:
        return self.copy


def now() -> datetime:
    return START + timedelta(seconds=asyncio.get_running_loop().time())


@asynccontextmanager
async def running(stage: Stage, feed: Feed) -> AsyncIterator[tuple[Daemon, Calendars]]:
    """The daemon with its calendars, put together as the app does."""
    daemons: list[Daemon] = []

    async def alarm(body: bytes) -> None:
        await daemons[0].intake.receive(body)

    calendars = Calendars(feed, stage.folder, lambda _: "http://feed", now, alarm)
    stage.roster = stage.roster.knowing(calendars.shifts)
    async with stage.daemon() as daemon:
        daemons.append(daemon)
        task = asyncio.create_task(calendars.run(lambda: stage.roster, daemon.repository.ring_all))
        try:
            yield daemon, calendars
            assert not task.done(), task.exception()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    stage = Stage(tmp_path, roster_text=ROSTER)
    stage.service.fails(0.10, 60)
    return stage


def pages(stage: Stage, person: str) -> list[str]:
    """The pages of the escalation that a person got."""
    return [page.page for page in stage.phones[person].pages if page.page[:2] in {"r0", "r1"}]


async def test_a_stale_feed_pages_the_default_policy_and_ends_when_it_is_fresh(
    stage: Stage,
) -> None:
    feed = Feed()
    async with running(stage, feed) as (daemon, calendars):
        await daemon.at(10)
        assert stage.journal.entries == {}, "a fresh calendar is no incident"
        feed.away = True
        await daemon.at(29 * MINUTE)
        assert calendars.troubles != {}
        assert stage.journal.entries == {}, "the copy is good for half an hour"
        await daemon.at(30 * MINUTE + 5)
        incident = await daemon.incident()
        assert (incident.rule, incident.title) == ("", "StopgapCalendarStale nights")
        assert pages(stage, "bo") == ["r0.t0.bo"]
        assert stage.roster.on_call("nights", now()) == ("ada",), "and the old plan holds"
        await daemon.acknowledges("bo")
        feed.away = False
        fresh_at = 35 * MINUTE
        await daemon.at(fresh_at + UNRULED_HOLD.total_seconds() - 5)
        incident = await daemon.incident()
        assert incident.all_resolved
        assert incident.closed is None, "Alertmanager's word, and ours, is believed slowly"
        await daemon.at(fresh_at + UNRULED_HOLD.total_seconds() + 5)
        incident = await daemon.incident()
    assert incident.closed is not None
    assert incident.closed.reason == "alerts_resolved"
    assert pages(stage, "bo") == ["r0.t0.bo"], "one incident, however often it was renewed"


async def test_a_second_outage_is_a_second_incident(stage: Stage) -> None:
    feed = Feed()
    async with running(stage, feed) as (daemon, _):
        for begin in (0.0, 2 * 60 * MINUTE):
            await daemon.at(begin + 10)
            feed.away = True
            await daemon.at(begin + 45 * MINUTE)
            feed.away = False
            await daemon.at(begin + 80 * MINUTE)
        incidents = await stage.incidents()
    assert [incident.closed is not None for incident in incidents] == [True, True]


async def test_an_incident_outlives_a_restart_and_ends_if_the_feed_is_back(stage: Stage) -> None:
    feed = Feed()
    async with running(stage, feed) as (daemon, _):
        await daemon.at(10)
        feed.away = True
        await daemon.at(40 * MINUTE)
        assert (await daemon.incident()).closed is None
    feed.away = False
    async with running(stage, feed) as (daemon, _):
        await daemon.at(40 * MINUTE + UNRULED_HOLD.total_seconds() + 10)
        incident = await daemon.incident()
    assert incident.closed is not None, "whoever mended it need not close it by hand"


async def test_who_is_called_follows_the_calendar_even_during_an_incident(stage: Stage) -> None:
    feed = Feed()
    async with running(stage, feed) as (daemon, _):
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(200)
        assert pages(stage, "ada") == ["r0.t0.ada"]
        feed.on_call = "Bo"
        await daemon.at(2 * EACH + 180 + 5)
        incident = await daemon.incident()
    called = [p.queued.page for p in incident.pages.values() if p.queued.purpose == "escalation"]
    assert called[:3] == ["r0.t0.ada", "r0.t1.cy", "r1.t0.bo"]
