"""The timeline as people read it: parted by what it is about, and short where nothing changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.core.incident import events as e
from daemon.core.incident.events.base import EventGroup
from daemon.core.values.units import clock_time

GROUPS: dict[EventGroup, str] = {
    "problem": "Problem",
    "recovery": "Recovery",
    "people": "People",
    "calls": "Calls",
    "updates": "Updates",
    "learning": "Learning",
    "diagnosis": "Diagnosis",
}


@dataclass(frozen=True)
class TimelineLine:
    """One line of the timeline. `at` is when it was so last, if it was so several times."""

    at: datetime
    by: str
    text: str


def timeline_lines(
    entries: Sequence[e.Entry], group: EventGroup | None = None
) -> list[TimelineLine]:
    """The timeline, the newest first; of one group, or all. Measurements in a row that say the
    same are one line."""
    lines: list[TimelineLine] = []
    run: list[e.Entry] = []
    for entry in entries:
        if not entry.event.for_people or group not in (None, entry.event.group):
            continue
        if run and not _says_the_same(run[-1], entry):
            lines.append(_line(run))
            run = []
        run.append(entry)
    if run:
        lines.append(_line(run))
    return lines[::-1]


def _says_the_same(one: e.Entry, other: e.Entry) -> bool:
    match one.event, other.event:
        case e.RecoveryMeasured(reading=a), e.RecoveryMeasured(reading=b):
            return (a.state, a.reason) == (b.state, b.reason)
        case _:
            return False


def _line(run: Sequence[e.Entry]) -> TimelineLine:
    last, text = run[-1], run[-1].event.describe()
    if len(run) > 1:
        text += f" (the last of {len(run)} since {clock_time(run[0].at)})"
    return TimelineLine(last.at, last.by, text)
