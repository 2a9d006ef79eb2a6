"""Freeze windows by calendar: while one stands, no recovery action starts. `freezes.yaml`.

A window is weekly hours on the wall clock of a zone, one span of time, or every event of an
iCalendar file that lies beside the rules. Instants are aware, in UTC; a range is [start, end).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from daemon.core.people.rotations import Restriction, instant
from daemon.core.people.schedules import LocalMoment, Zone
from daemon.core.recovery.guardrails import GLOBAL, Freeze, is_scope
from daemon.core.values.units import Frozen

CALENDAR = "calendar"
"""The author of a freeze that stands by the calendar."""
LONGEST_WINDOW = timedelta(days=31)
"""How far back the beginning of a window is looked for; none may be longer."""


def _scope(text: str) -> str:
    if not is_scope(text):
        raise ValueError(f"{text!r} is no scope; it is global, team:NAME or service:NAME")
    return text


ScopeName = Annotated[
    str,
    AfterValidator(_scope),
    WithJsonSchema({"type": "string", "pattern": "^(global|(team|service):.*[!-~].*)$"}),
]
"""What a freeze is of: everything, a team or a service."""


class FreezeSpan(Frozen):
    """From one moment until another, on the wall clock if they have no offset."""

    start: LocalMoment = Field(alias="from")
    end: LocalMoment = Field(alias="until")

    def instants(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """The two instants."""
        return instant(self.start, zone), instant(self.end, zone)


class Window(Frozen):
    """When what is frozen, and why."""

    name: str = Field(pattern=r"\S", max_length=100)
    reason: str = Field(pattern=r"\S", max_length=300)
    scope: ScopeName = GLOBAL
    zone: Zone = "UTC"
    weekly: Restriction | None = None
    between: FreezeSpan | None = None
    calendar: str | None = Field(default=None, pattern=r"^[^/\\]+\.ics$")

    @model_validator(mode="after")
    def _one(self) -> Window:
        given = [name for name in ("weekly", "between", "calendar") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError("give one of `weekly`, `between` and `calendar`")
        if self.between is not None:
            start, end = self.between.instants(ZoneInfo(self.zone))
            if end <= start:
                raise ValueError("`between` ends before it begins: `until` must be later")
            if end - start > LONGEST_WINDOW:
                days = LONGEST_WINDOW.days
                raise ValueError(f"a window lasts {days} days at most; write several")
        return self

    def spans(
        self, start: datetime, end: datetime, calendars: Mapping[str, str]
    ) -> Iterator[tuple[datetime, datetime]]:
        """Every span of it that touches the range. `calendars` maps file names to their text.

        Raises ValueError, in a sentence, if its calendar cannot be read.
        """
        zone = ZoneInfo(self.zone)
        found: Iterable[tuple[datetime, datetime]] = ()
        if self.weekly is not None:
            found = self.weekly.windows(start, end, zone)
        elif self.between is not None:
            found = [self.between.instants(zone)]
        elif self.calendar is not None:
            from daemon.core.people.icalendar_shifts import busy  # few have calendars; it is large

            found = busy(calendars[self.calendar], zone, start, end)
        yield from ((begin, over) for begin, over in found if begin < end and start < over)


class FreezeWindows(Frozen):
    """The whole file; `calendars` is filled in by whoever reads the files that it names."""

    windows: tuple[Window, ...] = ()
    calendars: dict[str, str] = Field(default_factory=dict, exclude=True, repr=False)

    def latest_for(self, scopes: Collection[str], now: datetime) -> Freeze | None:
        """The freeze in force for these scopes; of several, the one that ends last."""
        ours = [freeze for freeze in self.in_force(now) if freeze.scope in scopes]
        return max(ours, key=lambda freeze: freeze.until or now, default=None)

    def in_force(self, now: datetime) -> list[Freeze]:
        """Every freeze that stands, of whatever scope."""
        found = self.upcoming(now, now + timedelta(microseconds=1))
        return [freeze for freeze in found if freeze.at <= now]

    def upcoming(self, now: datetime, until: datetime) -> list[Freeze]:
        """Every freeze that touches [now, until), the first to begin first.

        Spans of one window that meet are one freeze.
        """
        found: list[Freeze] = []
        for window in self.windows:
            spans = sorted(
                window.spans(now - LONGEST_WINDOW, until + LONGEST_WINDOW, self.calendars)
            )
            found += (
                Freeze(
                    scope=window.scope,
                    reason=f"{window.name}: {window.reason}",
                    by=CALENDAR,
                    at=begin,
                    until=end,
                )
                for begin, end in _joined(spans)
                if begin < until and now < end
            )
        return sorted(found, key=lambda freeze: (freeze.at, freeze.scope, freeze.reason))


def check_freeze_windows(freezes: FreezeWindows, teams: Collection[str]) -> list[tuple[int, str]]:
    """(index, what is wrong) of windows that only the roster shows to be wrong."""
    found = []
    for index, window in enumerate(freezes.windows):
        team = window.scope.removeprefix("team:")
        if team != window.scope and team not in teams:
            known = ", ".join(sorted(teams)) or "none"
            found.append((index, f"no team {team!r} in the roster; known: {known}"))
    return found


def _joined(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    joined: list[tuple[datetime, datetime]] = []
    for begin, end in spans:
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        elif begin < end:
            joined.append((begin, end))
    return joined
