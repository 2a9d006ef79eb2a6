"""What people do to incidents; each command is one call of the API."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.table import Table

from daemon.cli.common import (
    act,
    call,
    duration,
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


@click.command()
@click.argument("incident")
@click.argument("number", type=click.IntRange(min=1))
@click.argument("word", type=click.Choice(["approve", "veto"]))
@remote_options
def step(incident: str, number: int, word: str, url: str, token_file: Path | None) -> None:
    """Approve or veto a recovery step; the Commander approves, anybody may veto.

    Example: stopgap step 1123-1403-x7qf 2 approve
    """
    act("POST", url, token_file, incident_path(incident, "steps", str(number), word))
    click.echo(f"step {number}: {word}{'d' if word.endswith('e') else 'ed'}")


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


@click.command()
@click.argument("reason", nargs=-1, required=True)
@click.option(
    "--for",
    "last",
    callback=duration,
    help="How long, like 30m or 2h.  [default: until thawed]",
)
@remote_options
def freeze(reason: tuple[str, ...], last: str | None, url: str, token_file: Path | None) -> None:
    """Let no recovery action start anywhere, until it is thawed; survives restarts.

    Example: stopgap freeze --for 2h database migration
    """
    body = {"reason": " ".join(reason), **({"for": last} if last else {})}
    call("PUT", url, token_file, "/api/v1/freeze", body)
    click.echo("frozen: no recovery action will start")


@click.command()
@remote_options
def thaw(url: str, token_file: Path | None) -> None:
    """Lift the freeze.

    Example: stopgap thaw
    """
    lifted = part_of(call("DELETE", url, token_file, "/api/v1/freeze"), "thawed", url)
    click.echo("thawed" if lifted else "there was no freeze")
