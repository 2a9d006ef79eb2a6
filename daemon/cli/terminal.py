"""Texts by others on a terminal, and the looks that all commands share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from rich import box, markup
from rich.console import Console
from rich.table import Table

from daemon.core.values.formats import format_duration, printable

SEVERITY_COLOURS: Mapping[str, str] = {
    "sev1": "bold red",
    "sev2": "red",
    "sev3": "yellow",
    "sev4": "cyan",
}
"""The colour of each severity; its name stands beside it, so nothing is told by colour alone."""
DASH = "–"


def escape(text: str) -> str:
    """Text by others for the terminal: no control characters, no markup."""
    return markup.escape(printable(text))


def terminal() -> Console:
    """The terminal; names like release:fire: stay what they are."""
    return Console(emoji=False, highlight=False)


def columns(*names: str, title: str | None = None) -> Table:
    """A table without a frame, so that it can be copied and narrow terminals hold it."""
    return Table(
        *names,
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
    )


def severity(given: str) -> str:
    """A severity in its colour."""
    look = SEVERITY_COLOURS.get(given)
    return f"[{look}]{given}[/{look}]" if look else escape(given) or DASH


def print_stamp(moment: Any) -> str:
    """A time of the API, for a table: 2026-12-24 18:00 (UTC)."""
    return escape(str(moment)[:16].replace("T", " ")) if moment else DASH


def age(moment: str, now: datetime) -> str:
    """How long ago that was, in its largest unit or two: 45s, 12m, 3h5m, 2d4h."""
    seconds = max(0, int((now - datetime.fromisoformat(moment)).total_seconds()))
    rounded = next(
        seconds - seconds % unit
        for most, unit in ((120, 1), (7200, 60), (172800, 3600), (10**12, 86400))
        if seconds < most
    )
    return format_duration(timedelta(seconds=rounded))
