"""`stopgap storm`: many incidents that opened together, and what is done to all of them."""

from __future__ import annotations

import json
from pathlib import Path

import click

from daemon.cli.client import call, json_option, part_of, path_part, print_answer, remote_options
from daemon.cli.terminal import columns, escape, terminal

DEEDS = ("list", "ack", "freeze", "thaw", "command")


@click.command("storm")
@click.argument("deed", required=False, type=click.Choice(DEEDS))
@remote_options
@json_option
def storm_command(deed: str | None, url: str, token_file: Path | None, as_json: bool) -> None:
    """List the storm's incidents, or acknowledge, freeze, thaw or command them all.

    Incidents that open together, beyond `recovery.storm`, are told as one page. `freeze` pauses
    the automation of each; what others command is left to them.

    Example: stopgap storm ack
    """
    if deed not in (None, "list"):
        done = call("POST", url, token_file, f"/api/v1/storm/{path_part(deed)}")
        print_answer(as_json, done, done["text"])
        return
    found = call("GET", url, token_file, "/api/v1/storm")
    if as_json:
        click.echo(json.dumps(found))
        return
    storms = part_of(found, "storms", url)
    if not storms:
        terminal().print("there is no storm; `stopgap incidents` lists what is open")
    for storm in storms:
        terminal().print(escape(storm["text"]))
        table = columns("severity", "team", "incident", "commander", "title")
        for one in storm["incidents"]:
            row = (one["severity"] or "-", one["team"] or "-", one["incident"])
            table.add_row(*row, escape(one["commander"] or "nobody"), escape(one["title"]))
        terminal().print(table)
