"""Texts by others on a terminal."""

from __future__ import annotations

from rich import markup
from rich.console import Console

from daemon.core.units import printable


def escape(text: str) -> str:
    """Text by others for the terminal: no control characters, no markup."""
    return markup.escape(printable(text))


def terminal() -> Console:
    """The terminal; names like release:fire: stay what they are."""
    return Console(emoji=False, highlight=False)
