"""Where people meet over an incident, and who else is asked to help: teams and vendors."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode

import click

from daemon.cli.client import (
    act,
    call,
    incident_path,
    json_option,
    part_of,
    print_answer,
    remote_options,
)
from daemon.cli.completion import (
    complete_incident,
    complete_team,
    complete_vendor,
    incident_argument,
)
from daemon.cli.phrases import View, engaged_line, meeting_lines
from daemon.core.values.formats import printable

_SEVERAL = "name a team, or a vendor by --vendor; `stopgap show` lists who could help"


@click.command("room")
@incident_argument
@remote_options
@json_option
def room_command(incident: str, url: str, token_file: Path | None, as_json: bool) -> None:
    """Open the incident's room and call, as its Commander.

    Where they open is set up in the section `rooms` of stopgap.yaml: a Slack channel, a webhook,
    the address of a call. Asked again, it tells where they are; what failed is tried once more.

    Example: stopgap room 1123-1403-x7qf
    """
    after = act("POST", url, token_file, incident_path(incident, "room"))
    lines = meeting_lines(after) or [f"being opened; `stopgap show {after['id']}` has the link"]
    print_answer(as_json, {"incident": after}, *lines)


@click.command("engage")
@click.argument("incident", shell_complete=complete_incident)
@click.argument("team", required=False, shell_complete=complete_team)
@click.argument("reason", nargs=-1)
@click.option(
    "--vendor",
    shell_complete=complete_vendor,
    help="Print a ticket for this vendor of the roster instead, to copy.",
)
@click.option("--ticket", metavar="NUMBER", help="Keep the number that the vendor gave the ticket.")
@remote_options
@json_option
def engage_command(
    incident: str,
    team: str | None,
    reason: tuple[str, ...],
    vendor: str | None,
    ticket: str | None,
    url: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Call in an expert team, or write a ticket to a vendor.

    A team is told what is known and what was tried. A vendor is told nothing by Stopgap: the text
    of a ticket is printed to copy, and --ticket keeps its number. Words behind the team, or behind
    the incident with --vendor, say what is asked of them.

    \b
    Example: stopgap engage 1123-1403-x7qf database the primary does not take connections
    Example: stopgap engage 1123-1403-x7qf --vendor aws
    Example: stopgap engage 1123-1403-x7qf --vendor aws --ticket 4711
    """
    if vendor is not None:
        ask = " ".join(filter(None, (team, *reason)))
        if ticket is not None:
            _keep(incident, vendor, ticket, url, token_file, as_json=as_json)
        else:
            _draft(incident, vendor, ask, url, token_file, as_json=as_json)
        return
    if team is None or ticket is not None:
        text = "--ticket needs the --vendor who gave it" if ticket is not None else _SEVERAL
        raise click.UsageError(text, click.get_current_context())
    body = {"team": team, "reason": " ".join(reason)}
    after = act("POST", url, token_file, incident_path(incident, "engage"), body)
    lines = (engaged_line(engaged) for engaged in after["engaged"] if engaged["team"] == team)
    print_answer(as_json, {"incident": after}, *lines)


def _draft(
    incident: str, vendor: str, ask: str, url: str, token_file: Path | None, *, as_json: bool
) -> None:
    query = f"?{urlencode({'ask': ask})}" if ask else ""
    path = incident_path(incident, "vendors", vendor) + query
    found = call("GET", url, token_file, path)
    if as_json:
        click.echo(json.dumps(found))
        return
    text, one = part_of(found, "text", url), part_of(found, "vendor", url)
    click.echo("\n".join(printable(line) for line in text.splitlines()))
    # Beside the text, so that `| pbcopy` takes the text alone.
    click.echo(f"\n{_where(one)}; it goes outside, so read it first", err=True)
    keep = f"stopgap engage {incident} --vendor {vendor} --ticket NUMBER"
    click.echo(f"once the ticket is opened: {keep}", err=True)


def _keep(
    incident: str, vendor: str, ticket: str, url: str, token_file: Path | None, *, as_json: bool
) -> None:
    path = incident_path(incident, "vendors", vendor, "tickets")
    after = act("POST", url, token_file, path, {"ticket": ticket})
    print_answer(as_json, {"incident": after}, f"ticket {ticket} with {vendor} is kept")


def _where(vendor: View) -> str:
    """Where a ticket is opened with them."""
    ways = " · ".join(printable(way) for way in vendor["ways"].values())
    return f"{printable(vendor['name'])}: {ways}"
