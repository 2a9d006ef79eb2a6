"""`stopgap replicas`: the daemons that share the store, and who conducts what."""

from __future__ import annotations

import json
from pathlib import Path

import click

from daemon.cli.client import call, json_option, part_of, remote_options
from daemon.cli.terminal import DASH, columns, escape, print_stamp, terminal


@click.command("replicas")
@click.option("--incidents", is_flag=True, help="Also list whose each open incident is.")
@remote_options
@json_option
def replicas_command(incidents: bool, url: str, token_file: Path | None, as_json: bool) -> None:
    """List the daemons that share one PostgreSQL, and what each conducts.

    A replica whose lease has ended is dead: the others take what was its own. On SQLite there is
    one, and it needs no lease. Exits with 1 if something is wrong among them.

    Example: stopgap replicas --incidents
    """
    asked = "?owners=incidents" if incidents else ""
    found = call("GET", url, token_file, f"/api/v1/replicas{asked}")
    troubles = part_of(found, "troubles", url)
    if as_json:
        click.echo(json.dumps(found))
    else:
        table = columns("replica", "version", "since", "lease until", "conducts")
        for one in part_of(found, "replicas", url):
            name = escape(one["name"]) + (" (this one)" if one["here"] else "")
            # A lease is some seconds long.
            until = escape(one["lease_until"][11:19]) if one["lease_until"] else DASH
            shown = escape(one["text"]) if one["alive"] else f"[red]{escape(one['text'])}[/red]"
            table.add_row(
                name, escape(one["version"]), print_stamp(one["started_at"]), until, shown
            )
        terminal().print(table)
        if incidents:
            owned = columns("incident", "replica", "title")
            for one in found["owners"]:
                owner = escape(one["owner"]) or "nobody's name"
                owned.add_row(one["incident"], owner, escape(one["title"]))
            terminal().print(owned)
        for trouble in troubles:
            terminal().print(f"[red]✗[/red] {escape(trouble)}")
    if troubles:
        raise SystemExit(1)
