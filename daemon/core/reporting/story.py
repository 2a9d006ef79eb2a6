"""The timeline as people read it: parted by what it is about, and short where nothing changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from daemon.core.incident import events as e
from daemon.core.incident.events import Entry
from daemon.core.reporting.timeline import describe, for_people
from daemon.core.values.units import clock_time

EventGroup = Literal["problem", "recovery", "people", "calls", "updates"]
GROUPS: dict[EventGroup, str] = {
    "problem": "Problem",
    "recovery": "Recovery",
    "people": "People",
    "calls": "Calls",
    "updates": "Updates",
}
_GROUP_OF: dict[str, EventGroup] = {
    "lifecycle": "problem",
    "steps": "recovery",
    "responders": "people",
    "pages": "calls",
    "updates": "updates",
}


@dataclass(frozen=True)
class StoryLine:
    """One line of the timeline. `at` is when it was so last, if it was so several times."""

    at: datetime
    by: str
    text: str


def story(entries: Sequence[Entry], group: EventGroup | None = None) -> list[StoryLine]:
    """The timeline, the newest first; of one group, or all. Measurements in a row that say the
    same are one line."""
    lines: list[StoryLine] = []
    run: list[Entry] = []
    for entry in entries:
        if not for_people(entry.event):
            continue
        if group is not None and group_of(entry.event) != group:
            continue
        if run and not _says_the_same(run[-1], entry):
            lines.append(_told(run))
            run = []
        run.append(entry)
    if run:
        lines.append(_told(run))
    return lines[::-1]


def _says_the_same(one: Entry, other: Entry) -> bool:
    match one.event, other.event:
        case e.RecoveryMeasured(reading=a), e.RecoveryMeasured(reading=b):
            return (a.state, a.reason) == (b.state, b.reason)
        case _:
            return False


def _told(run: Sequence[Entry]) -> StoryLine:
    last, text = run[-1], describe(run[-1].event)
    if len(run) > 1:
        text += f" (the last of {len(run)} since {clock_time(run[0].at)})"
    return StoryLine(last.at, last.by, text)


def group_of(event: e.Event) -> EventGroup:
    """Which part of the story an event belongs to: the vocabulary's own division."""
    return _GROUP_OF[type(event).__module__.rpartition(".")[2]]
