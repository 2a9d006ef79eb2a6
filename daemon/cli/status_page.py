"""The public status page, as it stands."""

from __future__ import annotations

import json
from pathlib import Path

import click

from daemon.cli.client import call, json_option, part_of, remote_options
from daemon.cli.phrases import moment, paragraphs
from daemon.core.values.formats import printable


@click.command("status-page")
@click.option("--html", "as_html", is_flag=True, help="The page itself, to look at in a browser.")
@remote_options
@json_option
def status_page_command(as_html: bool, url: str, token_file: Path | None, as_json: bool) -> None:
    """Show what the public status page says: the updates that customers were sent.

    \b
    Example: stopgap status-page
    Example: stopgap status-page --html > page.html
    """
    found = call("GET", url, token_file, "/api/v1/status-page")
    entries = part_of(found, "entries", url)
    if as_html:
        # Only this needs the daemon's code.
        from daemon.core.reporting.status_page.html import status_html
        from daemon.core.reporting.status_page.model import StatusPage

        click.echo(status_html(StatusPage.model_validate(found)), nl=False)
        return
    if as_json:
        click.echo(json.dumps(found))
        return
    state = "no known problem" if found["state"] == "ok" else "a problem"
    click.echo(f"{printable(found['title'])}: {state}, as of {moment(found['written_at'])}")
    for one in found["components"]:
        word = "no known problem" if one["state"] == "ok" else "problem"
        click.echo(f"  {printable(one['name'])}: {word}")
    for entry in entries:
        until = f"to {moment(entry['ended'])}" if entry["ended"] else "goes on"
        names = ", ".join(map(printable, entry["components"]))
        click.echo(f"\n{names or 'Problem'}, {moment(entry['began'])} {until}")
        for update in entry["updates"]:
            click.echo(f"  {moment(update['at'])}")
            for line in paragraphs(update["text"]):
                click.echo(f"    {line}")
