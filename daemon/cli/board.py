"""How an incident stands, in a few words: what runs, what comes next, what is late. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from daemon.cli.sentences import ROLES, View, asking, clock_line, holder, how_to_answer, moment
from daemon.cli.terminal import SEVERITY, age, columns
from daemon.core.units import printable

NARROW = 100
"""Columns; below them the table gives way to blocks."""
_PHASES: Mapping[str, str] = {
    "defining": "measuring",
    "observing": "no problem confirmed; watching the alert",
    "deciding": "deciding on recovery",
    "diagnosing": "looking for the cause",
    "watching": "recovered; watching for a relapse",
    "closed": "closed",
}
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


def runs_now(incident: View) -> str:
    """What the daemon does at this moment."""
    if incident.get("paused_by"):
        return f"paused by {printable(incident['paused_by'])}"
    for step in _steps(incident):
        if step["status"] == "running":
            return f"step {step['step']} runs: {printable(step['summary'] or step['action'])}"
    if incident["phase"] == "verifying":
        done = [s for s in _steps(incident) if s["status"] == "finished"]
        what = f" after step {done[-1]['step']} ({printable(done[-1]['action'])})" if done else ""
        return f"measuring whether it helped{what}"
    return _PHASES.get(incident["phase"], printable(incident["phase"]))


def comes_next(incident: View) -> str:
    """What waits, and for what; empty if nothing does."""
    for step in _steps(incident):
        if step["status"] != "waiting":
            continue
        what = f"step {step['step']}"
        if step["action"]:
            what = f"{what} ({printable(step['action'])})"
        if step["waits_for"]:
            return f"{what} waits for a person: {printable(step['waits_for'])}"
        return f"{what}: {printable(step['refusal'])}" if step["refusal"] else what
    for request in incident.get("requests", ()):
        return asking(request)
    return ""


def late(incident: View) -> list[str]:
    """The items of the ten-minute clock that are late and still to come."""
    return [
        f"{printable(reading['text'])}, due by {moment(reading['due_at'])}"
        for reading in incident.get("clock", ())
        if reading["state"] == "late" and reading["took"] is None
    ]


def headline(incident: View) -> str:
    """The statement with its numbers, or the title while there is none."""
    return printable(incident.get("statement") or incident["title"])


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
        f"Commander {who}: {headline(incident)}"
    )


def _steps(incident: View) -> Sequence[View]:
    steps: Sequence[View] = incident.get("steps", ())
    return steps


# ── on the screen ────────────────────────────────────────────────────────────────────────────


class OpenIncidents:
    """The open incidents, as wide as the terminal is at that moment."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        board = self._board
        yield from _head(board, _count(len(board.incidents) + board.more))
        if not board.incidents:
            return
        if options.max_width < NARROW:
            for incident in board.incidents:
                yield _block(incident, board.now)
        else:
            yield _table(board)
        if board.more:
            yield Text(f"… and {board.more} more; `stopgap incidents --open`", style="dim")


class OneIncident:
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


def _head(board: Board, what: str) -> Sequence[RenderableType]:
    at = f" · {board.now:%H:%M:%S} UTC" if board.now is not None else ""
    parts = [Text.assemble((what, "bold"), (at, "dim"))]
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


def _table(board: Board) -> Table:
    table = columns("severity", "incident", "age", "stage", "commander", "what, now and next")
    table.columns[-1].ratio = 1
    for name in ("severity", "incident", "age", "stage"):
        next(c for c in table.columns if c.header == name).no_wrap = True
    table.expand = True
    for incident in board.incidents:
        table.add_row(
            _severity(incident),
            printable(incident["id"]),
            _age(incident, board.now),
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
    lines = [Text(headline(incident)), Text(f"now: {runs_now(incident)}", style="green")]
    following = comes_next(incident)
    if following:
        lines.append(Text(f"next: {following}"))
    lines += [Text(f"late: {item}", style="yellow") for item in late(incident)]
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
    for step in _steps(incident):
        if step["status"] == "waiting" and step["waits_for"]:
            order = f"stopgap step {printable(incident['id'])} {step['step']}"
            parts.append(Text(f"yours to decide: {order} approve, or veto", style="yellow"))
    roles = ", ".join(f"{name}: {holder(incident, role)}" for role, name in ROLES.items())
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
    return Text(level or "sev?", style=SEVERITY.get(level, "dim"))


def _commander(incident: View) -> Text:
    who = printable(incident["commander"])
    return Text(who) if who else Text("nobody commands", style="bold yellow")


def _age(incident: View, now: datetime | None) -> str:
    return age(incident["opened_at"], now) if now is not None else ""


def _indented(text: Text) -> Text:
    text = text.copy()
    text.pad_left(2)
    return text
