"""`stopgap maintenance`: announce a window in which nobody is called, list them, end one."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from daemon.cli.client import (
    CommandFailure,
    call,
    duration,
    json_option,
    part_of,
    path_part,
    print_answer,
    remote_options,
)
from daemon.cli.completion import complete_team, complete_window
from daemon.cli.datetime_param import DatetimeParam
from daemon.cli.terminal import columns, escape, terminal
from daemon.core.values.formats import printable

_PATH = "/api/v1/maintenance"


@click.group("maintenance")
def maintenance_command() -> None:
    """Maintenance windows: what opens within one is measured, and calls nobody until its end.

    \b
    Example: stopgap maintenance add --for 2h --team payments the database moves
    Example: stopgap maintenance list
    Example: stopgap maintenance end m-1130-abcdef
    """


@maintenance_command.command("add")
@click.argument("reason", nargs=-1, required=True)
@click.option("--for", "last", callback=duration, help="How long, like 2h; 7d at most.")
@click.option("--until", type=DatetimeParam(), help="Until when, instead of --for.")
@click.option("--from", "begins", type=DatetimeParam(), help="From when.  [default: now]")
@click.option("--team", shell_complete=complete_team, help="Only what this team owns.")
@click.option("--service", help="Only this service (the label `service` of the alerts).")
@click.option("--public", "public_text", default="", help="What customers are told.")
@remote_options
@json_option
def add_window(
    reason: tuple[str, ...],
    last: str | None,
    until: datetime | None,
    begins: datetime | None,
    team: str | None,
    service: str | None,
    public_text: str,
    url: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Announce maintenance: no page and no action for what opens within it.

    It has an end. What is still there then pages and is acted upon as if it had just opened; what
    was open before is called for all along. The audiences of the roster are told.

    Example: stopgap maintenance add --for 2h --team payments the database moves
    """
    if (last is None) == (until is None):
        raise click.UsageError("until when? Give --for, like --for 2h, or --until; not both")
    if team and service:
        raise click.UsageError("give --team or --service, not both")
    scope = f"team:{team}" if team else f"service:{service}" if service else "global"
    body: dict[str, Any] = {"reason": " ".join(reason), "scope": scope, "public_text": public_text}
    body |= {"for": last} if last else {}
    body |= {"until": until.isoformat()} if until else {}
    body |= {"from": begins.isoformat()} if begins else {}
    answer = call("POST", url, token_file, _PATH, body)
    window = part_of(answer, "window", url)
    begun = "calls are held" if window["state"] == "in_force" else "calls will be held"
    span = f"from {_shown(window['begins_at'])} until {_shown(window['over_at'])} UTC"
    ends = f"end it: stopgap maintenance end {printable(window['id'])}"
    print_answer(as_json, answer, f"{begun} ({printable(window['scope'])}) {span}", ends)


@maintenance_command.command("list")
@remote_options
@json_option
def list_windows(url: str, token_file: Path | None, as_json: bool) -> None:
    """List the windows in force, those ahead, and those that ended within a day.

    Example: stopgap maintenance list
    """
    found = call("GET", url, token_file, _PATH)
    windows = part_of(found, "windows", url)
    if as_json:
        click.echo(json.dumps(found))
        return
    table = columns(
        "window", "state", "scope", "from (UTC)", "until (UTC)", "by", "holds", "reason"
    )
    table.columns[0].overflow = "fold"  # it is there to be copied
    for one in windows:
        table.add_row(
            escape(one["id"]),
            one["state"].replace("_", " "),
            escape(one["scope"]),
            _shown(one["begins_at"]),
            _shown(one["over_at"]),
            escape(one["by"]),
            escape(", ".join(one["holds"])),
            escape(one["reason"]),
        )
    terminal().print(table if windows else "no maintenance is in force, and none is announced")


@maintenance_command.command("end")
@click.argument("window", shell_complete=complete_window)
@remote_options
@json_option
def end_window(window: str, url: str, token_file: Path | None, as_json: bool) -> None:
    """End a window now, or call it off: calls that it held begin at once.

    Example: stopgap maintenance end m-1130-abcdef
    """
    answer = call("POST", url, token_file, f"{_PATH}/{path_part(window)}/end")
    part_of(answer, "window", url)
    print_answer(as_json, answer, "ended: what it held is called for now")


def held_lines(url: str, token_file: Path | None) -> list[str]:
    """That calls are held, by whom and until when; for whoever asks who is called."""
    try:
        windows = part_of(call("GET", url, token_file, _PATH), "windows", url)
    except CommandFailure:
        return []  # a daemon older than this command holds nothing
    return [
        f"HELD: nobody is called for what opens in {one['scope']} until "
        f"{_shown(one['over_at'])} UTC ({one['by']}: {one['reason']}); "
        f"stopgap maintenance end {one['id']}"
        for one in windows
        if one["state"] == "in_force"
    ]


def _shown(moment: str) -> str:
    return moment[:16].replace("T", " ")
