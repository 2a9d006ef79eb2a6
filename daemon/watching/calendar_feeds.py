"""Keeps the on-call calendars that the roster names: read, expanded into shifts, never silent.

A feed that cannot be fetched is used as it was fetched last, for an old plan is better than none;
once it is older than its `stale_after`, that is an alert of our own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import structlog

from daemon.core.alertmanager import own_alert
from daemon.core.people.calendar_report import (
    CalendarReport,
    PassedOverEvents,
    passed_over_events,
    who_by_calendar,
)
from daemon.core.people.roster import Roster
from daemon.core.people.schedules import CalendarSource, Schedule, Shift
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.units import format_duration

_log = structlog.get_logger()

FEEDS_EVERY = timedelta(minutes=5)
BEFORE = timedelta(days=2)
_AHEAD = timedelta(days=40)
"""How far around now calendars are expanded; `stopgap oncall` looks two weeks ahead."""


class Kept(Protocol):
    """The text of a calendar and when it was fetched."""

    @property
    def text(self) -> str:
        """iCalendar."""

    @property
    def fetched_at(self) -> datetime:
        """UTC."""


class FeedSource(Protocol):
    """Fetches feeds and keeps the last good copy of each."""

    async def fetch(self, url: str) -> Kept:
        """Raises Temporary or Permanent."""

    async def keep(self, name: str, feed: Any) -> None:
        """Remember what was fetched, once it has proved to be readable."""

    def cached(self, name: str) -> Kept | None:
        """The last good copy."""


class Calendars:
    """`shifts` by schedule; the mapping stays the same object while its content is renewed.
    `tells`: whether this replica raises alarms now; each reads the calendars itself."""

    def __init__(
        self,
        feeds: FeedSource,
        folder: Path,
        secret: Callable[[str], str],
        clock: Callable[[], datetime],
        alarm: Callable[[bytes], Awaitable[None]],
        tells: Callable[[], bool] = lambda: True,
    ) -> None:
        self.shifts: dict[str, tuple[Shift, ...]] = {}
        self.troubles: dict[str, str] = {}
        self._passed_over: dict[str, tuple[PassedOverEvents, ...]] = {}
        self._feeds = feeds
        self._folder = folder
        self._secret = secret
        self._clock = clock
        self._alarm = alarm
        self._alarmed: dict[str, datetime] = {}
        self._calm: dict[str, datetime] = {}
        self._tells = tells
        self._told = False
        """Whether this replica raised the alarms until now."""

    async def run(self, roster: Callable[[], Roster], changed: Callable[[], None]) -> None:
        """Renew everything every five minutes, until cancelled. `changed` hears of new shifts."""
        while True:
            before = dict(self.shifts)
            try:
                await self.renew(roster())
            except Exception:
                _log.exception("renewing the calendars crashed; trying again")
            if self.shifts != before:
                changed()
            await asyncio.sleep(FEEDS_EVERY.total_seconds())

    def recall(self, roster: Roster) -> None:
        """Begin with what is on disk: files, and the copies of feeds. Asks nothing of the net."""
        for name, schedule in _with_calendar(roster):
            source = schedule.calendar
            assert source is not None  # noqa: S101 - by _with_calendar
            try:
                text = self._file(source) if source.file else self._kept_text(name)
                if text is not None:
                    self._expand(name, schedule, text, roster, self._clock())
            except (Temporary, Permanent, ValueError) as error:
                _log.error("an on-call calendar cannot be read", schedule=name, error=str(error))
                self.troubles[name] = str(error)

    async def renew(self, roster: Roster, around: datetime | None = None) -> None:
        """Read all calendars, for the time around now or another moment."""
        if self._tells() != self._told:
            # Another replica has raised alarms, or will: what stands is told anew by the one that
            # does it now, and an alarm that stands already is no news to anybody.
            self._told = not self._told
            self._alarmed.clear()
            self._calm.clear()
        schedules = dict(_with_calendar(roster))
        for gone in self.shifts, self.troubles, self._passed_over:
            for name in gone.keys() - schedules.keys():
                del gone[name]
        for name in sorted(self._alarmed.keys() - schedules.keys()):
            await self._take_back(name, f"the roster has no on-call calendar of {name} any more")
        for name, schedule in schedules.items():
            await self._renew(name, schedule, roster, around or self._clock())

    def reports(self, roster: Roster, at: datetime | None = None) -> list[CalendarReport]:
        """How each calendar stands, and whom it names now or at another moment."""
        moment = at or self._clock()
        return [self._report(name, schedule, moment) for name, schedule in _with_calendar(roster)]

    def _report(self, name: str, schedule: Schedule, at: datetime) -> CalendarReport:
        now, until, following = who_by_calendar(self.shifts.get(name, ()), at)
        is_file = schedule.calendar is not None and bool(schedule.calendar.file)
        copy = None if is_file else self._feeds.cached(name)
        return CalendarReport(
            schedule=name,
            source="file" if is_file else "url",
            fetched_at=copy.fetched_at if copy else None,
            stale=name in self._alarmed,
            trouble=self.troubles.get(name, ""),
            zone=schedule.zone,
            known=name in self.shifts,
            now=now,
            until=until,
            next=following,
            passed_over=self._passed_over.get(name, ()),
        )

    async def _renew(self, name: str, schedule: Schedule, roster: Roster, around: datetime) -> None:
        source = schedule.calendar
        assert source is not None  # noqa: S101 - by _with_calendar
        self.troubles.pop(name, None)
        try:
            fetched = None
            if source.url:
                fetched = await self._feeds.fetch(self._secret(source.url))
            text = fetched.text if fetched else await asyncio.to_thread(self._file, source)
            await asyncio.to_thread(self._expand, name, schedule, text, roster, around)
            if fetched is not None:
                await self._feeds.keep(name, fetched)
        except (Temporary, Permanent, ValueError) as error:
            _log.warning("an on-call calendar is away", schedule=name, error=str(error))
            self.troubles[name] = str(error)
            await self._notify(name, await self._fall_back(name, schedule, roster, around))
        else:
            await self._notify(name, None)

    async def _fall_back(
        self, name: str, schedule: Schedule, roster: Roster, around: datetime
    ) -> datetime | None:
        """Go by the copy of a feed; returns since when that, or a broken file, is out of date."""
        source, now = schedule.calendar, self._clock()
        copy = self._feeds.cached(name) if source is not None and source.url else None
        if source is None or copy is None:
            return self._alarmed.get(name, now)
        try:
            await asyncio.to_thread(self._expand, name, schedule, copy.text, roster, around)
        except ValueError:
            return self._alarmed.get(name, now)
        stale_at = copy.fetched_at + source.stale_after
        return stale_at if stale_at <= now else None

    def _file(self, source: CalendarSource) -> str:
        try:
            return (self._folder / (source.file or "")).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise Permanent(f"cannot read the calendar {source.file}: {why}") from None

    def _kept_text(self, name: str) -> str | None:
        copy = self._feeds.cached(name)
        return copy.text if copy else None

    def _expand(
        self, name: str, schedule: Schedule, text: str, roster: Roster, around: datetime
    ) -> None:
        # Large, and nothing without calendars: they come after the start.
        from daemon.core.people.icalendar_shifts import read_calendar

        calendar = read_calendar(
            text, schedule.zone_info, aliases(roster), around - BEFORE, around + _AHEAD
        )
        if calendar.unknown:
            _log.warning(
                "an on-call calendar names nobody we know",
                schedule=name,
                names=list(calendar.unknown[:10]),
                mend="people.NAME.known_as.calendar in roster.yaml",
            )
        self.shifts[name] = calendar.shifts
        self._passed_over[name] = passed_over_events(calendar.passed_over)

    async def _notify(self, name: str, stale_since: datetime | None) -> None:
        """Raise the alarm once, and take it back when the calendar is fresh again.

        An alarm that an earlier process raised is not known here, so what is fresh at first is
        said to be over too; that is no news to anybody unless there is an incident.
        """
        began, now = self._alarmed.get(name), self._clock()
        if stale_since is not None and began is None:
            # Not before the last alarm was over: it would be taken for that one, come late.
            since = max(stale_since, self._calm.get(name, stale_since))
            age = format_duration(timedelta(seconds=round((now - stale_since).total_seconds())))
            text = f"the on-call calendar of {name} is out of date for {age}: who is on call may "
            text += f"be wrong ({self.troubles.get(name, '')})"
            if await self._stored(_stale(name, text, since, None)):
                self._alarmed[name] = since
        elif stale_since is None and (began is not None or name not in self._calm):
            await self._take_back(name, f"the on-call calendar of {name} is up to date again")

    async def _take_back(self, name: str, text: str) -> None:
        now = self._clock()
        if await self._stored(_stale(name, text, self._alarmed.get(name, now), now)):
            self._alarmed.pop(name, None)
            self._calm[name] = now

    async def _stored(self, alarm: bytes) -> bool:
        if not self._told:
            return True
        try:
            await self._alarm(alarm)
        except Temporary as error:
            _log.error("an alarm about a calendar is not stored; trying again", error=str(error))
            return False
        return True


def aliases(roster: Roster) -> Mapping[str, str]:
    """By which words a calendar may name each person."""
    found: dict[str, str] = {}
    for name, person in roster.people.items():
        mails = [contact.email for contact in person.contact if contact.email]
        for alias in (name, person.name, *mails, *person.known_as.calendar):
            found.setdefault(alias, name)
    return found


def _with_calendar(roster: Roster) -> list[tuple[str, Schedule]]:
    return [(n, s) for n, s in roster.schedules.items() if s.calendar is not None]


def _stale(name: str, text: str, started_at: datetime, ended_at: datetime | None) -> bytes:
    return own_alert("StopgapCalendarStale", {"schedule": name}, text, started_at, ended_at)
