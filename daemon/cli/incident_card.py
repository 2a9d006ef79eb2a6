"""How an incident stands, in a few words: what runs, what comes next, what is late. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from daemon.cli.phrases import (
    ROLE_TITLES,
    View,
    asking,
    clock_line,
    holder,
    how_to_answer,
    moment,
    step_commands,
)
from daemon.cli.terminal import SEVERITY_COLOURS, age, columns
from daemon.core.values.formats import printable

NARROW = 100
"""Columns; below them the table gives way to blocks."""
_STATES: Mapping[str, str] = {
    "running": "green",
    "recovered": "green",
    "worse": "bold red",
    "failed": "red",
    "unchanged": "yellow",
    "vetoed": "yellow",
}


@dataclass(frozen=True)
class Board:
    """What is on the screen: the open incidents, or one with its timeline.

    `frozen` are the freezes in force, `trouble` is a sentence while the daemon does not answer,
    `more` counts the incidents that are not looked at one by one.
    """

    incidents: Sequence[View] = ()
    now: datetime | None = None
    frozen: Sequence[View] = ()
    trouble: str = ""
    more: int = 0


# ── in words ─────────────────────────────────────────────────────────────────────────────────


def late(incident: View) -> list[str]:
    """The items of the ten-minute clock that are late and still to come."""
    return [
        f"{printable(reading['text'])}, due by {moment(reading['due_at'])}"
        for reading in incident.get("clock", ())
        if reading["state"] == "late" and reading["took"] is None
    ]


def gravest_first(incidents: Iterable[View]) -> list[View]:
    """What is real before any drill; of each what is not restored, then by severity; equals stay as
    they are."""

    def rank(one: View) -> tuple[bool, bool, str]:
        return bool(one.get("drill")), one["phase"] == "watching", one["severity"] or "sev5"

    return sorted(incidents, key=rank)


def entry_line(entry: View) -> str:
    """An entry of the timeline: 14:03:20 ada noted: …"""
    who = printable(entry["by"].removeprefix("person:"))
    return f"{entry['at'][11:19]} {who}: {printable(entry['text'])}"


def standing_line(incident: View) -> str:
    """An incident on one line."""
    level = incident["severity"] or "sev?"
    who = printable(incident["commander"]) or "nobody"
    return (
        f"{printable(incident['id'])} {level} {printable(incident['phase'])}, "
        f"Commander {who}: {printable(incident['title'])}"
    )


def _steps(incident: View) -> Sequence[View]:
    steps: Sequence[View] = incident.get("steps", ())
    return steps


# ── on the screen ────────────────────────────────────────────────────────────────────────────


class OpenIncidents:
    """The open incidents, as wide and as many as the terminal can hold at that moment."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or console.height
        shown = len(self._board.incidents)
        while True:
            parts = self._parts(shown, options.max_width)
            used = sum(len(console.render_lines(part, options, pad=False)) for part in parts)
            if used <= height or shown <= 1 or not console.is_terminal:
                break
            shown -= 1
        yield from parts

    def _parts(self, shown: int, width: int) -> list[RenderableType]:
        """The screen with the first so many of them."""
        board = self._board
        hidden = len(board.incidents) - shown + board.more
        parts = [*_head(board, _count(shown + hidden))]
        some = board.incidents[:shown]
        if width < NARROW:
            parts += [_block(incident, board.now) for incident in some]
        elif some:
            parts.append(_table(some, board.now))
        if hidden:
            parts.append(Text(f"… and {hidden} more; `stopgap incidents --open`", style="dim"))
        return parts


class IncidentCard:
    """One incident, its timeline cut to what the terminal can hold; the newest entries stay."""

    def __init__(self, board: Board, timeline: Sequence[View]) -> None:
        self._board = board
        self._timeline = timeline

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        board = self._board
        [incident] = board.incidents
        parts: list[RenderableType] = [*_head(board, printable(incident["id"]))]
        parts += [_block(incident, board.now), *_details(incident)]
        lines = options.max_width, options.height or console.height
        used = sum(len(console.render_lines(part, options, pad=False)) for part in parts)
        yield from parts
        room = max(3, lines[1] - used - 2)
        yield Text("timeline", style="bold")
        for entry in self._timeline[-room:]:
            yield Text(entry_line(entry), no_wrap=True, overflow="ellipsis")


def _head(board: Board, what: str) -> list[RenderableType]:
    at = f" · {board.now:%H:%M:%S} UTC" if board.now is not None else ""
    parts: list[RenderableType] = [Text.assemble((what, "bold"), (at, "dim"))]
    if board.trouble:
        parts.append(Text(board.trouble, style="bold red"))
    for freeze in board.frozen:
        by, why = printable(freeze["by"]), printable(freeze["reason"])
        text = f"FROZEN {printable(freeze['scope'])}: no recovery action starts ({by}: {why})"
        parts.append(Text(text, style="bold cyan"))
    return parts


def _count(number: int) -> str:
    if not number:
        return "no open incidents"
    return f"{number} open incident{'' if number == 1 else 's'}"


def _table(incidents: Sequence[View], now: datetime | None) -> Table:
    table = columns("severity", "incident", "age", "stage", "commander", "what, now and next")
    table.columns[-1].ratio = 1
    for name in ("severity", "incident", "age", "stage"):
        next(c for c in table.columns if c.header == name).no_wrap = True
    table.expand = True
    for incident in incidents:
        table.add_row(
            _severity(incident),
            printable(incident["id"]),
            _age(incident, now),
            printable(incident.get("stage", "")),
            _commander(incident),
            Group(*_sentences(incident)),
        )
    return table


def _block(incident: View, now: datetime | None) -> Group:
    """An incident in a few lines, for a narrow terminal."""
    line = Text.assemble(
        _severity(incident),
        (f"  {printable(incident['id'])}", "bold"),
        f"  {_age(incident, now)}  {printable(incident.get('stage', ''))}  ",
        _commander(incident),
    )
    return Group(line, *(_indented(text) for text in _sentences(incident)), Text())


def _sentences(incident: View) -> list[Text]:
    lines = [
        Text(printable(incident["title"])),
        Text(f"now: {printable(incident['doing'])}", style="green"),
        Text(f"next: {printable(incident['coming'])}"),
    ]
    lines += [Text(asking(request), style="yellow") for request in incident.get("requests", ())]
    lines += [Text(f"late: {item}", style="yellow") for item in late(incident)]
    lines += [
        Text(f"could help: {printable(helper['team'])}, for {printable(helper['why'])}")
        for helper in incident.get("help", ())
    ]
    return lines


def _details(incident: View) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if _steps(incident):
        table = columns("step", "action", "state", "what")
        for step in _steps(incident):
            outcome = (step["outcome"] or {}).get("result", "")
            state = printable(step["verdict"] or outcome or step["status"])
            text = step["verdict_text"] or step["refusal"] or step["summary"] or step["target"]
            table.add_row(
                str(step["step"]),
                printable(step["action"]),
                Text(state, style=_STATES.get(state, "")),
                Text(printable(text or "")),
            )
        parts.append(table)
    parts += [Text(line, style="yellow") for line in step_commands(incident)]
    roles = ", ".join(f"{name}: {holder(incident, role)}" for role, name in ROLE_TITLES.items())
    parts.append(Text(roles))
    for request in incident.get("requests", ()):
        answer = how_to_answer(incident["id"], request)
        parts.append(Text(f"{asking(request)}: {answer}", style="yellow"))
    parts += [
        Text(line, style="yellow" if line.startswith("✗") else "")
        for reading in incident.get("clock", ())
        if (line := clock_line(reading))
    ]
    return [*parts, Text()]


def _severity(incident: View) -> Text:
    level = incident["severity"]
    return Text(level or "sev?", style=SEVERITY_COLOURS.get(level, "dim"))


def _commander(incident: View) -> Text:
    who = printable(incident["commander"])
    return Text(who) if who else Text("nobody commands", style="bold yellow")


def _age(incident: View, now: datetime | None) -> str:
    return age(incident["opened_at"], now) if now is not None else ""


def _indented(text: Text) -> Text:
    text = text.copy()
    text.pad_left(2)
    return text
