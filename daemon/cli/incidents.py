"""What people do to incidents; each command is one call of the API."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.table import Table

from daemon.cli.common import (
    act,
    call,
    incident_path,
    json_option,
    part_of,
    remote_options,
)
from daemon.cli.deed import deed
from daemon.cli.terminal import escape, terminal
from daemon.core.units import printable


@click.command()
@remote_options
@json_option
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
def incidents(url: str, token_file: Path | None, as_json: bool, limit: int) -> None:
    """List the newest incidents.

    Example: stopgap incidents --json
    """
    found = call("GET", url, token_file, f"/api/v1/incidents?limit={limit}")
    if as_json:
        click.echo(json.dumps(found))
        return
    table = Table("id", "opened (UTC)", "severity", "phase", "title")
    rows = part_of(found, "incidents", url)
    for row in rows:
        opened = row["opened_at"][:19].replace("T", " ")
        table.add_row(row["id"], opened, row["severity"], row["phase"], escape(row["title"]))
    terminal().print(table if rows else "no incidents")


@click.command()
@click.argument("incident")
@remote_options
def review(incident: str, url: str, token_file: Path | None) -> None:
    """Print the incident's review, in Markdown.

    Example: stopgap review 1123-1403-x7qf > review.md
    """
    click.echo(call("GET", url, token_file, incident_path(incident, "review")))


@click.command()
@click.argument("incident")
@remote_options
def ack(incident: str, url: str, token_file: Path | None) -> None:
    """Respond to an incident. The first responder becomes its Commander.

    Example: stopgap ack 1123-1403-x7qf
    """
    after = act("POST", url, token_file, incident_path(incident, "ack"))
    click.echo(f"you respond; the Commander is {after['commander']}")
    click.echo(printable(after["title"]))


pause = deed(
    "pause",
    "pause",
    "reason",
    "paused: nothing more is started for this incident",
    """Stop the automation of one incident; what runs is finished.

    Example: stopgap pause 1123-1403-x7qf we are on it by hand
    """,
)
say = deed(
    "say",
    "notes",
    "text",
    "noted",
    """Put a note on the timeline.

    Example: stopgap say 1123-1403-x7qf the provider confirms an outage
    """,
    required=True,
)
close = deed(
    "close",
    "close",
    "reason",
    "closed",
    """End an incident by your word.

    Example: stopgap close 1123-1403-x7qf a test alert
    """,
)


@click.command()
@click.argument("incident")
@remote_options
def resume(incident: str, url: str, token_file: Path | None) -> None:
    """Let the automation of an incident go on.

    Example: stopgap resume 1123-1403-x7qf
    """
    act("POST", url, token_file, incident_path(incident, "resume"))
    click.echo("resumed")
