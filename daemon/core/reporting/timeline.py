"""The timeline as people read it: parted by what it is about, and short where nothing changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

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


DRAFTS_WITHIN = timedelta(minutes=5)
"""Drafts that follow each other so closely are one line of the timeline."""


@dataclass(frozen=True)
class TimelineLine:
    """One line of the timeline. `at` is when it was so last, if it was so several times; `seqs`
    are the entries of the journal that it stands for, the newest last."""

    at: datetime
    by: str
    text: str
    seqs: tuple[int, ...] = ()


def timeline_lines(
    entries: Sequence[e.Entry], group: EventGroup | None = None
) -> list[TimelineLine]:
    """The timeline, the newest first; of one group, or all.

    What says the same again is one line, at the place of the newest: measurements until the state
    of the service changes or something is done about it, drafts until an update is sent.
    """
    runs = _Runs()
    for entry in entries:
        if entry.event.for_people and group in (None, entry.event.group):
            runs.add(entry)
    return [_line(run) for run in sorted(runs.all, key=lambda run: run[-1].seq, reverse=True)]


_Fold = tuple[str, ...]
"""What entries have in common that are one line: first their family, of which one run is open."""


class _Runs:
    """The entries, put together with those that say the same."""

    def __init__(self) -> None:
        self.all: list[list[e.Entry]] = []
        self._open: dict[str, tuple[_Fold, list[e.Entry]]] = {}

    def add(self, entry: e.Entry) -> None:
        fold = _fold(entry.event)
        if fold is None:
            self._interrupt(entry.event)
            self.all.append([entry])
            return
        known, run = self._open.get(fold[0], (None, []))
        drafted_long_ago = fold == _DRAFTED and run and entry.at - run[-1].at > DRAFTS_WITHIN
        if known == fold and not drafted_long_ago:
            run.append(entry)
            return
        run = [entry]
        self._open[fold[0]] = (fold, run)
        self.all.append(run)

    def _interrupt(self, event: e.Event) -> None:
        if isinstance(event, e.UpdateReleased):
            self._open.pop(_DRAFTED[0], None)
        if event.group in {"problem", "recovery"}:
            self._open = {name: run for name, run in self._open.items() if name == _DRAFTED[0]}


_DRAFTED: _Fold = ("drafted",)


def _fold(event: e.Event) -> _Fold | None:
    match event:
        case e.RecoveryMeasured(reading=reading):
            return ("measured", reading.state, reading.reason)
        case e.ProblemDefined(problem=problem, suspicion=suspicion):
            said = suspicion.text if suspicion else ""
            return ("defined", problem.verdict, problem.reason, said)
        case e.AlertsReceived():
            return ("alerts", event.describe())
        case e.StepRehearsed():
            return ("dry run", event.describe())
        case e.UpdateDrafted():
            return _DRAFTED
        case _:
            return None


def _line(run: Sequence[e.Entry]) -> TimelineLine:
    last, text = run[-1], run[-1].event.describe()
    if len(run) > 1:
        text = _drafted(run) + f" (the last of {len(run)} since {clock_time(run[0].at)})"
    return TimelineLine(last.at, last.by, text, tuple(entry.seq for entry in run))


def _drafted(run: Sequence[e.Entry]) -> str:
    """What a run says: its newest entry; of several drafts, which updates they are of."""
    drafts = dict.fromkeys(x.event.update for x in run if isinstance(x.event, e.UpdateDrafted))
    return f"updates {', '.join(drafts)} drafted" if len(drafts) > 1 else run[-1].event.describe()
