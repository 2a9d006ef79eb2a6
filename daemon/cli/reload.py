"""`reload`: the running daemon reads its rules again."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.cli.client import call, json_option, part_of, print_answer, remote_options
from daemon.core.values.formats import printable


@click.command("reload")
@remote_options
@json_option
def reload_command(url: str, token_file: Path | None, as_json: bool) -> None:
    """Let the daemon read its rules again; it needs the access `admin`.

    Broken rules are refused with every mistake, and the old ones stay in force.

    Example: stopgap reload
    """
    done = call("POST", url, token_file, "/-/reload")
    told = f"reloaded; rules in force: {part_of(done, 'rules', url)}"
    print_answer(as_json, done, told, *map(printable, done.get("notes", ())))
