"""The commands that post one text about an incident: they differ in words alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from daemon.cli.common import act, incident_path, remote_options


def deed(
    name: str, path: str, field: str, done: str, text: str, *, required: bool = False
) -> click.Command:
    """A command that posts one text about an incident."""

    def carry_out(incident: str, words: tuple[str, ...], url: str, token_file: Path | None) -> None:
        act("POST", url, token_file, incident_path(incident, path), {field: " ".join(words)})
        click.echo(done)

    carry_out.__doc__ = text
    decorated: Callable[..., Any] = remote_options(carry_out)
    decorated = click.argument("words", nargs=-1, required=required, metavar=field.upper())(
        decorated
    )
    return click.command(name)(click.argument("incident")(decorated))
