"""What people do to incidents; each command is one call of the API."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich import markup
from rich.console import Console
from rich.table import Table

from daemon.cli.common import call, json_option, remote_options
from daemon.core.units import printable


def escape(text: str) -> str:
    """Text by others for the terminal: no control characters, no markup."""
    return markup.escape(printable(text))


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
    for row in found["incidents"]:
        opened = row["opened_at"][:19].replace("T", " ")
        table.add_row(row["id"], opened, row["severity"], row["phase"], escape(row["title"]))
    Console().print(table if found["incidents"] else "no incidents")


@click.command()
@click.argument("incident")
@remote_options
@json_option
def show(incident: str, url: str, token_file: Path | None, as_json: bool) -> None:
    """Show one incident: statement, roles, plan, timeline.

    Example: stopgap show 1123-1403-x7qf
    """
    found = call("GET", url, token_file, f"/api/v1/incidents/{incident}")
    if as_json:
        click.echo(json.dumps(found))
        return
    _show(found["incident"], found["timeline"], Console())


@click.command()
@click.argument("incident")
@remote_options
def review(incident: str, url: str, token_file: Path | None) -> None:
    """Print the incident's review, in Markdown.

    Example: stopgap review 1123-1403-x7qf > review.md
    """
    click.echo(call("GET", url, token_file, f"/api/v1/incidents/{incident}/review"))


@click.command()
@click.argument("incident")
@remote_options
def ack(incident: str, url: str, token_file: Path | None) -> None:
    """Respond to an incident. The first responder becomes its Commander.

    Example: stopgap ack 1123-1403-x7qf
    """
    after = call("POST", url, token_file, f"/api/v1/incidents/{incident}/ack")["incident"]
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
    call("POST", url, token_file, f"/api/v1/incidents/{incident}/steps/{number}/{word}")
    click.echo(f"step {number}: {word}{'d' if word.endswith('e') else 'ed'}")


def _deed(
    name: str, path: str, field: str, done: str, text: str, *, required: bool = False
) -> click.Command:
    """A command that posts one text about an incident."""

    def carry_out(incident: str, words: tuple[str, ...], url: str, token_file: Path | None) -> None:
        body = {field: " ".join(words)}
        call("POST", url, token_file, f"/api/v1/incidents/{incident}/{path}", body)
        click.echo(done)

    carry_out.__doc__ = text
    decorated: Callable[..., Any] = remote_options(carry_out)
    decorated = click.argument("words", nargs=-1, required=required, metavar=field.upper())(
        decorated
    )
    return click.command(name)(click.argument("incident")(decorated))


pause = _deed(
    "pause",
    "pause",
    "reason",
    "paused: nothing more is started for this incident",
    """Stop the automation of one incident; what runs is finished.

    Example: stopgap pause 1123-1403-x7qf we are on it by hand
    """,
)
say = _deed(
    "say",
    "notes",
    "text",
    "noted",
    """Put a note on the timeline.

    Example: stopgap say 1123-1403-x7qf the provider confirms an outage
    """,
    required=True,
)
close = _deed(
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
    call("POST", url, token_file, f"/api/v1/incidents/{incident}/resume")
    click.echo("resumed")


@click.command()
@click.argument("reason", nargs=-1, required=True)
@click.option("--for", "last", help="How long, like 30m or 2h.  [default: until thawed]")
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
    lifted = call("DELETE", url, token_file, "/api/v1/freeze")["thawed"]
    click.echo("thawed" if lifted else "there was no freeze")


def _show(incident: dict[str, Any], timeline: list[dict[str, Any]], console: Console) -> None:
    console.print(f"[bold]{escape(incident['title'])}[/bold]")
    facts = {
        "incident": f"{incident['id']} ({incident['phase']})",
        "severity": incident["severity"] or "not established",
        "commander": incident["commander"] or "nobody yet",
        "responders": ", ".join(incident["responders"]) or "nobody yet",
        "suspect": incident["suspect"] or "none",
        "review": incident["review"] or "not yet",
        **{f"time to {name}": value for name, value in incident["durations"].items()},
    }
    table = Table(show_header=False, box=None)
    for name, value in facts.items():
        table.add_row(name, escape(str(value)))
    console.print(table)
    for entry in timeline:
        at = entry["at"][11:19]
        who = entry["by"].removeprefix("person:")
        console.print(f"{at} {escape(who):>8}  {escape(entry['text'])}", highlight=False)
