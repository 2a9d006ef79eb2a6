"""How `stopgap replay` says what would come out otherwise, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console

from daemon.cli.terminal import escape, terminal
from daemon.core.cases.decisions import ComparedDecision, RecordedDecision
from daemon.core.rules.rule import Rule
from daemon.core.values.units import format_duration
from daemon.replaying.backtest import Backtested
from daemon.replaying.replay import IncidentReplay

_MARKS = {"same": " ", "missing": "[red]-[/red]", "new": "[green]+[/green]"}
_NOTABLE = timedelta(seconds=10)
"""A decision that comes so much earlier or later is told of."""


def show_replay(found: IncidentReplay) -> None:
    """Print the decisions of then and of now, side by side."""
    console = terminal()
    _print(
        console,
        f"{escape(found.incident)} by {escape(found.rule)}: then (-) and by the rules of today (+)",
    )
    told_of_acting = False
    for one in found.compared:
        after = found.acted_at is not None and one.shown.at > found.acted_at
        if after and not told_of_acting and any(c.fate != "same" for c in found.compared):
            told_of_acting = True
            _print(
                console,
                "[dim]  from here on the samples show what came of what was done then[/dim]",
            )
        _print(console, _line(one))
        if one.fate != "same" and one.shown.text:
            _print(console, f"             [dim]{escape(one.shown.text)}[/dim]")
    for note in found.notes:
        _print(console, f"note: {escape(note)}")
    _print(
        console,
        "something is decided otherwise" if found.differs else "nothing is decided otherwise",
    )


def _line(one: ComparedDecision) -> str:
    shown = one.shown
    late = one.later
    moved = ""
    if abs(late) >= _NOTABLE:
        how = "later" if late > timedelta(0) else "earlier"
        moved = f"  [dim]({format_duration(abs(late))} {how})[/dim]"
    return f"{_MARKS[one.fate]} {shown.at:%H:%M:%S}  {escape(shown.word)}{moved}"


def replay_json(found: IncidentReplay) -> dict[str, Any]:
    """It for machines."""
    return {
        "incident": found.incident,
        "rule": found.rule,
        "differs": found.differs,
        "decisions": [
            {"fate": one.fate, "then": _decision(one.then), "now": _decision(one.now)}
            for one in found.compared
        ],
        "notes": list(found.notes),
    }


def show_backtest(rule: Rule, found: Sequence[Backtested], since: datetime, changes: int) -> None:
    console = terminal()
    if not found:
        none = f"no alert of {escape(rule.rule)} fired since {since:%Y-%m-%d %H:%M} UTC"
        mend = "is it the one that evaluates the alert, and does `match` hold?"
        _print(console, f"{none}, as far as this Prometheus remembers: {mend}")
        return
    for one in found:
        labels = ", ".join(f"{n}={v}" for n, v in sorted(rule.group(one.episode.labels).items()))
        _print(console, f"{one.episode.begin:%Y-%m-%d %H:%M} UTC  {escape(labels)}  {one.verdict}")
        if one.statement:
            _print(console, f"    {escape(one.statement)}")
        for made in one.acts:
            _print(
                console, f"    [bold]would act[/bold] at {made.at:%H:%M:%S}: {escape(made.word)}"
            )
        for made in one.asks:
            _print(console, f"    would ask at {made.at:%H:%M:%S}: {escape(made.text)}")
        if one.why_not:
            _print(console, f"    [dim]{escape(one.why_not)}[/dim]")
    acted, asked = sum(bool(o.acts) for o in found), sum(bool(o.asks) for o in found)
    left = len(found) - acted - asked
    times = "once" if len(found) == 1 else f"{len(found)} times"
    fired = f"it fired {times} since {since:%Y-%m-%d}"
    what = f"{acted} acted upon, {asked} asked about, {left} left alone"
    known = f"{changes} change{'s are' if changes != 1 else ' is'} known"
    _print(console, f"{fired}: {what}; {known}")


def episode_json(one: Backtested) -> dict[str, Any]:
    """It for machines."""
    return {
        "begin": one.episode.begin.isoformat(),
        "end": one.episode.end.isoformat(),
        "labels": dict(one.episode.labels),
        "verdict": one.verdict,
        "statement": one.statement,
        "acts": [_decision(made) for made in one.acts],
        "asks": [_decision(made) for made in one.asks],
        "why_not": one.why_not,
    }


def _decision(one: RecordedDecision | None) -> dict[str, str] | None:
    if one is None:
        return None
    return {"at": one.at.isoformat(), "decision": one.word, "text": one.text}


def _print(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True)
