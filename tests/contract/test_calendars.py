"""The on-call calendars as the daemon keeps them: renewed, kept for an outage, never silent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from daemon.core.alertmanager import Alert, Delivery, fresh, parse_delivery
from daemon.core.people.roster import Roster
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.yaml_document import one_document
from daemon.watching.calendar_feeds import Calendars, aliases

NOW = datetime(2026, 11, 4, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROSTER = """
people:
  ada: {name: Ada Lovelace, contact: [{email: ada@example.org}]}
  bo: {name: Bo, contact: [{console: true}], known_as: {calendar: [Brackets]}}
schedules:
  network:
    zone: Europe/London
    calendar: {url: env:FEED, stale_after: 24h}
policies:
  all: {tiers: [{notify: [network]}]}
default_policy: all
"""
LAYERS = "layers: [{rotation: [ada], start: 2026-11-02}]"


def calendar(*summaries: str) -> str:
    """A calendar with one event a day from NOW on, with these summaries."""
    events = "".join(
        f"BEGIN:VEVENT\r\nUID:{day}\r\nDTSTAMP:20261101T000000Z\r\n"
        f"DTSTART:{NOW + day * 24 * HOUR:%Y%m%dT%H%M%SZ}\r\n"
        f"DTEND:{NOW + (day + 1) * 24 * HOUR:%Y%m%dT%H%M%SZ}\r\n"
        f"SUMMARY:{summary}\r\nEND:VEVENT\r\n"
        for day, summary in enumerate(summaries)
    )
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{events}END:VCALENDAR\r\n"


@dataclass
class Text:
    """A calendar's text and when it was fetched."""

    text: str
    fetched_at: datetime


class Scene:
    """Calendars over a feed and a folder of the test's making; alarms as they were posted."""

    def __init__(self, folder: Path, roster: str = ROSTER) -> None:
        self.folder = folder
        self.now = NOW
        self.feed: str | Exception = calendar("Ada Lovelace", "Bo")
        self.copies: dict[str, Text] = {}
        self.asked: list[str] = []
        self.alarms: list[Delivery] = []
        self.inbox_full = False
        self.roster = one_document(roster, "roster.yaml").read(Roster)
        self.restart()

    def restart(self) -> None:
        """Another process: what is not on disk is forgotten."""
        self.subject = Calendars(
            feeds=self,
            folder=self.folder,
            secret=lambda reference: f"http://feed/{reference}",
            clock=lambda: self.now,
            alarm=self.alarm,
        )

    async def fetch(self, url: str) -> Text:
        self.asked.append(url)
        if isinstance(self.feed, Exception):
            raise self.feed
        return Text(self.feed, self.now)

    async def keep(self, name: str, feed: Any) -> None:
        self.copies[name] = feed

    def cached(self, name: str) -> Text | None:
        return self.copies.get(name)

    async def alarm(self, body: bytes) -> None:
        if self.inbox_full:
            raise Temporary("too much is waiting")
        self.alarms.append(parse_delivery(body))

    async def renews(self, after: timedelta = timedelta(0)) -> None:
        """Renew, some time later."""
        self.now += after
        await self.subject.renew(self.roster)

    @property
    def people(self) -> list[tuple[str, ...]]:
        """Whose shifts they are, in order."""
        return [shift.people for shift in self.subject.shifts.get("network", ())]

    @property
    def firing(self) -> list[Alert]:
        """The alerts of the posted deliveries that fire."""
        return [a for d in self.alarms for a in d.alerts if a.status == "firing"]

    @property
    def resolved(self) -> list[Alert]:
        return [a for d in self.alarms for a in d.alerts if a.status == "resolved"]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


class TestRenewing:
    async def test_a_feed_becomes_shifts_and_is_kept(self, scene: Scene) -> None:
        await scene.renews()
        assert scene.people == [("ada",), ("bo",)]
        assert scene.asked == ["http://feed/env:FEED"]
        assert scene.copies["network"].text == scene.feed
        assert (scene.firing, scene.subject.troubles) == ([], {})

    async def test_a_roster_that_knows_them_sees_new_ones_at_once(self, scene: Scene) -> None:
        roster = scene.roster.knowing(scene.subject.shifts)
        assert roster.on_call("network", NOW) == ()
        await scene.renews()
        assert roster.on_call("network", NOW) == ("ada",)
        scene.feed = calendar("Bo", "Bo")
        await scene.renews()
        assert roster.on_call("network", NOW) == ("bo",)

    async def test_it_reports_whom_the_feed_names_and_what_is_no_shift(self, scene: Scene) -> None:
        (unread,) = scene.subject.reports(scene.roster)
        assert (unread.known, unread.now) == (False, ())
        scene.feed = calendar("Ada Lovelace", "Zed", "Brackets", "Zed")
        await scene.renews()
        (report,) = scene.subject.reports(scene.roster)
        assert (report.known, report.zone, report.source) == (True, "Europe/London", "url")
        assert (report.now, report.until, report.next) == (("ada",), NOW + 24 * HOUR, ())
        (passed,) = report.passed_over
        assert (passed.summary, passed.times, passed.first) == ("Zed", 2, NOW + 24 * HOUR)
        (gap,) = scene.subject.reports(scene.roster, NOW + 30 * HOUR)
        assert (gap.now, gap.until, gap.next) == ((), NOW + 48 * HOUR, ("bo",))

    async def test_another_moment_than_now_can_be_asked_for(self, scene: Scene) -> None:
        await scene.subject.renew(scene.roster, NOW - timedelta(days=300))
        assert scene.people == []

    async def test_whom_nobody_knows_is_logged_with_the_mend(self, scene: Scene) -> None:
        scene.feed = calendar("Ada Lovelace", "Zed", "Brackets")
        with structlog.testing.capture_logs() as logged:
            await scene.renews()
        assert scene.people == [("ada",), ("bo",)]
        (entry,) = logged
        assert (entry["schedule"], entry["names"]) == ("network", ["Zed"])
        assert "known_as.calendar" in entry["mend"]

    def test_by_which_words_a_calendar_may_name_people(self, scene: Scene) -> None:
        assert aliases(scene.roster) == {
            "ada": "ada",
            "Ada Lovelace": "ada",
            "ada@example.org": "ada",
            "bo": "bo",
            "Bo": "bo",
            "Brackets": "bo",
        }

    @pytest.mark.parametrize("left", ["schedules: {}", f"schedules: {{network: {LAYERS}}}"])
    async def test_what_the_roster_does_not_name_any_more_is_dropped(
        self, scene: Scene, left: str
    ) -> None:
        """Also when the schedule is still there, but goes by a rotation now."""
        scene.feed = Temporary("away")
        await scene.renews()
        assert len(scene.firing) == 1
        scene.copies["network"] = Text(calendar("Bo"), NOW)
        await scene.renews()
        assert scene.people == [("bo",)]
        begin, end = ROSTER.index("schedules:"), ROSTER.index("policies:")
        text = ROSTER[:begin] + left.replace("{network: ", "{network: {zone: UTC, ") + "\n"
        text = text.replace("2026-11-02}]}", "2026-11-02}]}}") + ROSTER[end:]
        scene.roster = one_document(text, "roster.yaml").read(Roster)
        await scene.renews()
        assert (scene.subject.shifts, scene.subject.troubles) == ({}, {})
        assert scene.resolved[-1].identity == scene.firing[0].identity, "nobody would end it"


class TestAnOutage:
    @pytest.mark.parametrize(
        "failure",
        [Temporary("the server answered 503"), Permanent("not a URL"), "BEGIN:VCALENDAR\r\nEND:"],
    )
    async def test_the_kept_copy_is_gone_by_and_never_replaced_by_what_is_broken(
        self, scene: Scene, failure: Exception | str
    ) -> None:
        await scene.renews()
        good, scene.feed = scene.copies["network"], failure
        scene.restart()
        await scene.renews(23 * HOUR)
        assert scene.people == [("ada",), ("bo",)]
        assert scene.copies["network"] is good
        assert set(scene.subject.troubles) == {"network"}
        assert scene.firing == [], "an old plan is better than none, for a day"

    async def test_a_stale_one_is_an_alarm_once_until_it_is_fresh_again(self, scene: Scene) -> None:
        await scene.renews()
        good, scene.feed = scene.feed, Temporary("the server answered 503")
        await scene.renews(24 * HOUR)
        await scene.renews(HOUR)
        await scene.renews(HOUR)
        (alert,) = scene.firing
        assert (alert.name, alert.labels["schedule"]) == ("StopgapCalendarStale", "network")
        assert alert.starts_at == NOW + 24 * HOUR
        assert "answered 503" in alert.annotations["summary"]
        assert scene.people == [("ada",), ("bo",)], "it is gone by all the same"
        scene.feed = good
        told = len(scene.resolved)
        await scene.renews(HOUR)
        await scene.renews(HOUR)
        (over,) = scene.resolved[told:]
        assert (over.identity, over.ends_at) == (alert.identity, NOW + 27 * HOUR)
        assert scene.subject.troubles == {}

    async def test_after_a_restart_it_is_the_same_delivery(self, scene: Scene) -> None:
        await scene.renews()
        scene.feed = Temporary("away")
        await scene.renews(25 * HOUR)
        scene.restart()
        await scene.renews(HOUR)
        first, second = (d for d in scene.alarms if d.status == "firing")
        assert first.identity == second.identity, "so the inbox takes it for a duplicate"

    async def test_what_was_mended_while_nobody_ran_is_taken_back(self, scene: Scene) -> None:
        await scene.renews()
        good, scene.feed = scene.feed, Temporary("away")
        await scene.renews(25 * HOUR)
        scene.restart()
        scene.feed, told = good, len(scene.resolved)
        await scene.renews(HOUR)
        assert [a.identity for a in scene.resolved[told:]] == [scene.firing[0].identity]

    async def test_without_a_copy_it_is_an_alarm_at_once(self, scene: Scene) -> None:
        scene.feed = Permanent("the calendar's server answered 404")
        await scene.renews()
        await scene.renews(HOUR)
        (alert,) = scene.firing
        assert (alert.starts_at, scene.people) == (NOW, [])

    async def test_so_it_is_with_a_copy_that_cannot_be_read(self, scene: Scene) -> None:
        scene.feed = Temporary("away")
        scene.copies["network"] = Text("no calendar", NOW)
        await scene.renews()
        assert len(scene.firing) == 1

    async def test_an_alarm_that_could_not_be_stored_is_raised_later(self, scene: Scene) -> None:
        good, scene.feed = scene.feed, Temporary("away")
        scene.inbox_full = True
        await scene.renews()
        scene.inbox_full = False
        await scene.renews(HOUR)
        assert len(scene.firing) == 1
        scene.feed, scene.inbox_full = good, True
        await scene.renews(HOUR)
        scene.inbox_full = False
        await scene.renews(HOUR)
        assert len(scene.resolved) == 1

    async def test_a_second_alarm_is_not_taken_for_the_first_one_come_late(
        self, scene: Scene
    ) -> None:
        """The copy was too old to begin with, for no disk took the newer one."""
        old = scene.copies["network"] = Text(calendar("Bo"), NOW - 48 * HOUR)
        good, scene.feed = scene.feed, Temporary("away")
        await scene.renews()
        scene.feed = good
        await scene.renews(HOUR)
        scene.copies["network"], scene.feed = old, Temporary("away")
        await scene.renews(HOUR)
        first, second = scene.firing
        assert fresh([second], {first.identity: scene.resolved[-1].ends_at}) == (second,)
