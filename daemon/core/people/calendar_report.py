"""What was read from an on-call calendar: who has it now and next, and what in it is no shift."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from daemon.core.people.schedules import Shift
from daemon.core.values.units import Frozen, Moment

if TYPE_CHECKING:
    from daemon.core.people.icalendar_events import PassedOver

_SHOWN = 5


class PassedOverEvents(Frozen):
    """Events of one summary that are no shift for one reason, in the time that was read: how
    many, and when the first begins."""

    summary: str
    why: str
    first: Moment
    times: int


class CalendarReport(Frozen):
    """The on-call calendar of a schedule. `trouble`: why it could not be read the last time.

    `fetched_at` is the age of the copy in use, where it comes from the web; `stale`: it is older
    than the roster allows, or cannot be read at all. `now` and `next` are whom the calendar
    itself names, without layers and overrides: nobody in a gap. `until` is when `now` ends and
    `next` begins; None if nothing changes as far as it was read. Unless it is `known`, nothing
    was read of it yet. `zone` is the schedule's, for times without one of their own.
    """

    schedule: str
    source: Literal["file", "url"]
    fetched_at: Moment | None
    stale: bool
    trouble: str = ""
    zone: str = "UTC"
    known: bool = False
    now: tuple[str, ...] = ()
    until: Moment | None = None
    next: tuple[str, ...] = ()
    passed_over: tuple[PassedOverEvents, ...] = ()


def who_by_calendar(
    shifts: Sequence[Shift], at: datetime
) -> tuple[tuple[str, ...], datetime | None, tuple[str, ...]]:
    """Who has the calendar at that moment, when that changes, and who has it then."""
    now = next((shift for shift in shifts if shift.start <= at < shift.end), None)
    later = [shift for shift in shifts if shift.start > at]
    if now is None:
        return ((), later[0].start, later[0].people) if later else ((), None, ())
    follows = bool(later) and later[0].start == now.end
    return now.people, now.end, later[0].people if follows else ()


def passed_over_events(passed: Iterable[PassedOver]) -> tuple[PassedOverEvents, ...]:
    """Those of one summary and reason together, by the first of them."""
    found: dict[tuple[str, str], PassedOverEvents] = {}
    for event in sorted(passed, key=lambda each: each.start):
        key = (event.summary, event.why)
        known = found.get(key) or PassedOverEvents(
            summary=event.summary, why=event.why, first=event.start, times=0
        )
        found[key] = known.model_copy(update={"times": known.times + 1})
    return tuple(found.values())


def calendar_lines(report: CalendarReport) -> list[str]:
    """What was read, for people: who has it, and a line for what is no shift."""
    if not report.known:
        return [report.trouble or "not read yet; `stopgap oncall` fetches it"]
    zone = ZoneInfo(report.zone)
    who = f"{', '.join(report.now) or 'nobody'} now"
    if report.until is not None:
        then = ", ".join(report.next) or "nobody"
        who += f", {then} from {_shown(report.until, zone)}"
    lines = [f"{who} (zone {report.zone})", *([report.trouble] if report.trouble else ())]
    for events in report.passed_over[:_SHOWN]:
        count = f"{events.times} × " if events.times > 1 else ""
        first = _shown(events.first, zone)
        lines.append(f"no shift: {count}{events.summary!r}, {first}: {events.why}")
    more = len(report.passed_over) - _SHOWN
    return [*lines, f"… and {more} more that are no shift"] if more > 0 else lines


def _shown(moment: datetime, zone: ZoneInfo) -> str:
    local = moment.astimezone(zone)
    return f"{local:%a %Y-%m-%d %H:%M} {local.tzname()}"
