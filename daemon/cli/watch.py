"""`stopgap watch`: the open incidents, or one, live; line by line without a terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import click
from rich.live import Live

from daemon.cli.client import DaemonUnreachable, call, incident_path, part_of, remote_options
from daemon.cli.completion import complete_open_incident
from daemon.cli.incident_card import (
    Board,
    IncidentCard,
    OpenIncidents,
    entry_line,
    gravest_first,
    standing_line,
)
from daemon.cli.phrases import View, timeline_of
from daemon.cli.terminal import terminal
from daemon.core.values.formats import parse_duration

_LOOKED_AT = 20
"""So many incidents are looked at one by one."""
_Ask = Callable[[str], Any]
"""GETs a path of the API. Raises DaemonUnreachable, CommandFailure."""


@dataclass(frozen=True)
class WatchSnapshot:
    """What one look has found. `details` maps an incident to its answer, the gravest first."""

    at: datetime
    details: Mapping[str, View] = field(default_factory=dict)
    frozen: tuple[View, ...] = ()
    more: int = 0


class Looker:
    """Looks at the daemon again and again. `only` is one incident; None is all that are open."""

    def __init__(self, ask: _Ask, clock: Callable[[], datetime], only: str | None) -> None:
        self._fetch = ask
        self._clock = clock
        self._only = only

    def look(self, before: WatchSnapshot | None) -> WatchSnapshot:
        """One look. What was open before is looked at once more, to tell how it ended.

        Raises DaemonUnreachable, CommandFailure.
        """
        if self._only is not None:
            ids, more = [self._only], 0
        else:
            found = self._fetch("/api/v1/incidents?status=open&limit=1000")
            rows = gravest_first(part_of(found, "incidents", "it"))
            opened = [row["id"] for row in rows if row["status"] == "open"]
            still = before.details if before is not None else {}
            gone = [one for one in still if one not in opened and _is_open(still[one])]
            ids, more = [*opened[:_LOOKED_AT], *gone], max(0, len(opened) - _LOOKED_AT)
        details = {one: self._fetch(incident_path(one)) for one in ids}
        frozen = self._fetch("/api/v1/freeze").get("freezes", ())
        return WatchSnapshot(self._clock(), details, tuple(frozen), more)


class Screen(Protocol):
    """Where it is shown."""

    def show(self, seen: WatchSnapshot) -> None:
        """What was found."""

    def trouble(self, since: datetime, why: str) -> None:
        """The daemon has not answered since then; told once each time it is so."""


def follow_incidents(
    looker: Looker,
    screen: Screen,
    pause: Callable[[], None],
    clock: Callable[[], datetime],
    *,
    until_closed: bool,
) -> None:
    """Look, show, pause, again; a daemon that goes away is waited for. Raises CommandFailure."""
    seen: WatchSnapshot | None = None
    since: datetime | None = None
    while True:
        try:
            seen = looker.look(seen)
            since = None
            screen.show(seen)
        except DaemonUnreachable as error:
            since = since or (seen.at if seen is not None else clock())
            screen.trouble(since, str(error))
        if until_closed and seen is not None and not any(map(_is_open, seen.details.values())):
            return
        pause()


class LiveScreen:
    """On a terminal. It draws itself anew when the terminal is resized."""

    def __init__(self, live: Live, *, one: bool) -> None:
        self._live = live
        self._one = one
        self._seen: WatchSnapshot | None = None

    def show(self, seen: WatchSnapshot) -> None:
        """Draw it."""
        self._seen = seen
        self._draw("")

    def trouble(self, since: datetime, why: str) -> None:
        """What was last known stays."""
        self._draw(f"no answer since {since:%H:%M:%S} UTC: {why}")

    def _draw(self, trouble: str) -> None:
        seen = self._seen
        if seen is None:
            self._live.update(OpenIncidents(Board(trouble=trouble)) if trouble else "")
            return
        details = list(seen.details.values())
        incidents = [d["incident"] for d in details if self._one or _is_open(d)]
        board = Board(incidents, seen.at, seen.frozen, trouble, seen.more)
        view = IncidentCard(board, timeline_of(details[0])) if self._one else OpenIncidents(board)
        self._live.update(view, refresh=True)


class Lines:
    """Without a terminal: one line, or one JSON object, for each thing that changed."""

    def __init__(self, echo: Callable[[str], None], *, as_json: bool) -> None:
        self._print = echo
        self._as_json = as_json
        self._last_seq: dict[str, int] = {}
        self._silent = False
        self._begun = False

    def show(self, seen: WatchSnapshot) -> None:
        """What is new since the last look."""
        if self._silent:
            self._print_change(
                {"kind": "answers", "at": seen.at.isoformat()}, "the daemon answers again"
            )
        self._silent = False
        if not self._begun and not seen.details and not self._as_json:
            self._print("no open incidents")
        self._begun = True
        for one, detail in seen.details.items():
            for record, line in self._changes(one, detail):
                self._print_change(record, line)

    def trouble(self, since: datetime, why: str) -> None:
        """Told once."""
        if not self._silent:
            at = since.isoformat()
            line = f"no answer since {since:%H:%M:%S} UTC: {why}"
            self._print_change({"kind": "no_answer", "since": at, "why": why}, line)
        self._silent = True

    def _changes(self, one: str, detail: View) -> Iterator[tuple[dict[str, Any], str]]:
        known = self._last_seq.get(one)
        timeline = detail["timeline"]
        self._last_seq[one] = timeline[-1]["seq"] if timeline else 0
        if known is None:
            incident = detail["incident"]
            yield {"kind": "incident", "incident": one, "view": incident}, standing_line(incident)
            return
        for entry in timeline:
            if entry["seq"] > known:
                record = {"kind": "entry", "incident": one, "entry": entry}
                yield record, f"{one} {entry_line(entry)}"

    def _print_change(self, record: dict[str, Any], line: str) -> None:
        self._print(json.dumps(record) if self._as_json else line)


def _seconds(_: click.Context, option: click.Parameter, given: str) -> float:
    try:
        seconds = parse_duration(given).total_seconds()
    except ValueError as error:
        raise click.BadParameter(str(error), param=option) from None
    if not 0.2 <= seconds <= 3600:
        raise click.BadParameter("choose from 200ms to 1h", param=option)
    return seconds


@click.command("watch")
@click.argument("incident", required=False, shell_complete=complete_open_incident)
@click.option(
    "--every", callback=_seconds, default="2s", show_default=True, help="How often it looks."
)
@remote_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each change.")
def watch_command(
    incident: str | None, every: float, url: str, token_file: Path | None, as_json: bool
) -> None:
    """Watch the open incidents live, or one with its steps, clock, roles and timeline.

    Ends by Ctrl-C; of one incident when it is closed. A daemon that goes away is waited for.
    Without a terminal it prints a line for each change.

    \b
    Example: stopgap watch
    Example: stopgap watch 1123-1403-x7qf
    Example: stopgap watch --json | jq .entry.text
    """

    def ask(path: str) -> Any:
        return call("GET", url, token_file, path)

    def clock() -> datetime:
        return datetime.now(UTC)

    def pause() -> None:
        time.sleep(every)

    looker, one = Looker(ask, clock, incident), incident is not None
    console = terminal()
    try:
        if as_json or not console.is_terminal:
            lines = Lines(lambda line: click.echo(line), as_json=as_json)
            follow_incidents(looker, lines, pause, clock, until_closed=one)
            return
        with Live(console=console, screen=True, auto_refresh=True, refresh_per_second=2) as live:
            follow_incidents(looker, LiveScreen(live, one=one), pause, clock, until_closed=one)
        if incident is not None:
            click.echo(standing_line(ask(incident_path(incident))["incident"]))
    except KeyboardInterrupt:
        return


def _is_open(detail: View) -> bool:
    return bool(detail["incident"]["status"] == "open")
