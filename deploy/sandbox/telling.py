"""How the demo tells its story: in colour on a terminal, in plain lines everywhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

MARKS = {
    "PageQueued": ("☎", "yellow"),
    "PageDelivered": ("☎", "yellow"),
    "ProblemDefined": ("◆", "red"),
    "ResponderArrived": ("●", "cyan"),
    "CommanderAppointed": ("●", "cyan"),
    "StepStarted": ("▶", "magenta"),
    "StepPrepared": ("▶", "magenta"),
    "StepProgressed": ("▶", "magenta"),
    "StepFinished": ("▶", "magenta"),
    "StepVerified": ("✔", "green"),
    "Recovered": ("✔", "green"),
    "IncidentClosed": ("✔", "green"),
    "StepRefused": ("!", "red"),
    "StepSkipped": ("!", "red"),
    "DiagnosisOpened": ("!", "red"),
    "PageFailed": ("!", "red"),
}


class Teller:
    """Tells lines as they come, each with the time of day."""

    def __init__(self) -> None:
        self.fancy = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self.console = Console(highlight=False, markup=False)

    def heading(self, text: str) -> None:
        """A new part of the story."""
        if self.fancy:
            self.console.print(Rule(Text(f" {text} ", "bold"), align="left", style="dim"))
        else:
            self.plain(f"== {text}")

    def scene(self, text: str) -> None:
        """Something that the demo itself does or sees."""
        self.line(datetime.now(UTC), "·", "dim", text)

    def stage(self, text: str) -> None:
        """A stage that was checked and has happened."""
        self.line(datetime.now(UTC), "✓", "bold green", text)

    def entry(self, at: datetime, kind: str, by: str, text: str) -> None:
        """An entry of the incident's timeline, as the daemon wrote it."""
        mark, style = MARKS.get(kind, ("│", "blue"))
        who = "" if by == "stopgap" else f" (by {by.removeprefix('person:')})"
        self.line(at, mark, style, f"{text}{who}")

    def line(self, at: datetime, mark: str, style: str, text: str) -> None:
        """One line; further lines of a text are set under the first."""
        time = f"{at.astimezone(UTC):%H:%M:%S}"
        first, *more = text.splitlines() or [""]
        if not self.fancy:
            self.plain("\n".join([f"{time} {mark} {first}", *(f"           {m}" for m in more)]))
            return
        grid = Table.grid(padding=(0, 1))
        grid.add_row(Text(time, "dim"), Text(mark, style), Text("\n".join([first, *more])))
        self.console.print(grid)

    def facts(self, title: str, rows: list[tuple[str, str]]) -> None:
        """A small table: names and values."""
        if self.fancy:
            table = Table("", "", title=title, title_justify="left", show_header=False)
            for row in rows:
                table.add_row(*row)
            self.console.print(table)
            return
        width = max(len(name) for name, _ in rows)
        self.plain(f"{title}:", *(f"  {name:<{width}}  {value}" for name, value in rows))

    def problem(self, text: str) -> None:
        """What went wrong, for the person who has to mend it."""
        if self.fancy:
            self.console.print(Text(f"✗ {text}", "bold red"))
        else:
            self.plain(f"✗ {text}")

    def plain(self, *lines: str) -> None:
        """Lines as they are; each is out at once, also into a pipe."""
        for line in lines:
            print(line, flush=True)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Show on a terminal what is being waited for."""
        if not self.fancy:
            yield
            return
        with self.console.status(Text(f"waiting for {what}", "dim")):
            yield
