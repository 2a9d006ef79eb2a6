"""What is learned from incidents: causes, follow-ups, figures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from daemon.cli.client import (
    act,
    call,
    duration,
    incident_path,
    json_option,
    part_of,
    print_answer,
    remote_options,
)
from daemon.cli.completion import complete_incident, complete_person, complete_team
from daemon.cli.phrases import View
from daemon.cli.terminal import DASH, columns, escape, terminal
from daemon.core.values.formats import format_duration, percent, printable, quantity

CATEGORIES = (
    "change",
    "configuration",
    "capacity",
    "dependency",
    "infrastructure",
    "data",
    "security",
    "monitoring",
    "unknown",
)
"""What kinds of causes the daemon knows."""
_DAY = "%Y-%m-%d"
_closed_too = click.argument("incident", shell_complete=complete_incident)
_number = click.argument("number", type=click.IntRange(min=1))
_due = click.option(
    "--due", type=click.DateTime([_DAY]), metavar="DAY", help="The last day for it: 2026-12-24."
)


@click.command("cause")
@_closed_too
@click.argument("text", nargs=-1, required=True)
@click.option(
    "--category", type=click.Choice(CATEGORIES), default="unknown", help="What kind of cause."
)
@click.option(
    "--change", default="", metavar="ITEM", help="Which change; left out, the suspect, if any."
)
@remote_options
@json_option
def cause_command(
    incident: str,
    text: tuple[str, ...],
    category: str,
    change: str,
    url: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Record what the cause of an incident was; its review has it then.

    A cause that was recorded before is replaced. It can be done after the incident is closed.

    Example: stopgap cause 1123-1403-x7qf --category change v41 closed its connections too early
    """
    body = {"text": " ".join(text), "category": category, "change": change}
    after = act("POST", url, token_file, incident_path(incident, "cause"), body)
    cause = after["cause"]
    of = f" ({printable(cause['change'])})" if cause["change"] else ""
    print_answer(as_json, {"incident": after}, f"recorded: {printable(cause['category'])}{of}")


@click.group("follow-up")
def follow_up_command() -> None:
    """What is to be done after incidents: list, add, change, begin, done, drop, reopen.

    Owners are reminded of the due day by mail, Slack or apprise, never by a page.

    Example: stopgap follow-up list --overdue
    """


@follow_up_command.command("list")
@click.option("--overdue", is_flag=True, help="Only those whose day is over.")
@click.option("--owner", default="", shell_complete=complete_person, help="Only this person's.")
@click.option("--team", default="", shell_complete=complete_team, help="Only this team's.")
@remote_options
@json_option
def follow_up_list_command(
    overdue: bool, owner: str, team: str, url: str, token_file: Path | None, as_json: bool
) -> None:
    """List the open follow-ups of all incidents, what is overdue first.

    Example: stopgap follow-up list --owner ada
    """
    asked = {"overdue": "true" if overdue else "", "owner": owner, "team": team}
    query = urlencode({name: value for name, value in asked.items() if value})
    found = call("GET", url, token_file, f"/api/v1/follow-ups{f'?{query}' if query else ''}")
    listed = part_of(found, "follow_ups", url)
    if as_json:
        click.echo(json.dumps({"follow_ups": listed}))
        return
    if not listed:
        click.echo("nothing is overdue" if overdue else "no follow-up is open")
        return
    table = columns("incident", "", "what", "owner", "due", "state", "issue")
    for each in listed:
        one = each["follow_up"]
        due = escape(one["due"] or DASH)
        table.add_row(
            escape(each["incident"]),
            str(one["number"]),
            escape(one["title"]),
            escape(one["owner"]),
            f"[bold red]{due}[/bold red]" if each["overdue"] else due,
            escape(one["status"].replace("_", " ")),
            escape(one["url"] or one["key"] or DASH),
        )
    terminal().print(table)


@follow_up_command.command("add")
@_closed_too
@click.argument("title", nargs=-1, required=True)
@click.option("--owner", default="", shell_complete=complete_person, help="Who; else you.")
@_due
@remote_options
@json_option
def follow_up_add_command(
    incident: str,
    title: tuple[str, ...],
    owner: str,
    due: Any,
    url: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Add what is to be done after an incident, which may be closed already.

    Without --due nobody is reminded of it.

    Example: stopgap follow-up add 1123-1403-x7qf test the pool --owner bo --due 2026-12-24
    """
    body: dict[str, Any] = {"title": " ".join(title), "owner": owner}
    if due is not None:
        body["due"] = due.strftime(_DAY)
    after = act("POST", url, token_file, incident_path(incident, "follow-ups"), body)
    one = after["follow_ups"][-1]
    print_answer(as_json, {"incident": after}, f"follow-up {one['number']}, {_whose(one)}")


@follow_up_command.command("change")
@_closed_too
@_number
@click.argument("title", nargs=-1)
@click.option("--owner", shell_complete=complete_person, help="Who does it now.")
@_due
@remote_options
@json_option
def follow_up_change_command(
    incident: str,
    number: int,
    title: tuple[str, ...],
    owner: str | None,
    due: Any,
    url: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Give a follow-up other words, another owner or another day.

    Example: stopgap follow-up change 1123-1403-x7qf 1 --owner cy --due 2027-01-15
    """
    body: dict[str, Any] = {"title": " ".join(title)} if title else {}
    if owner is not None:
        body["owner"] = owner
    if due is not None:
        body["due"] = due.strftime(_DAY)
    if not body:
        context = click.get_current_context()
        raise click.UsageError("what is to change? Give --owner, --due or other words", context)
    path = incident_path(incident, "follow-ups", str(number))
    after = act("PUT", url, token_file, path, body)
    one = _numbered(after, number)
    print_answer(as_json, {"incident": after}, f"follow-up {number}, {_whose(one)}")


def _moving(name: str, status: str, done: str, story: str, *, why: bool) -> click.Command:
    """A command that says how far a follow-up is."""

    def move(
        incident: str,
        number: int,
        reason: tuple[str, ...],
        url: str,
        token_file: Path | None,
        as_json: bool,
    ) -> None:
        path = incident_path(incident, "follow-ups", str(number), "state")
        body = {"status": status, "reason": " ".join(reason)}
        after = act("POST", url, token_file, path, body)
        print_answer(as_json, {"incident": after}, f"follow-up {number} {done}")

    move.__doc__ = story
    given = click.argument("reason", nargs=-1, required=why)
    return click.command(name)(_closed_too(_number(given(remote_options(json_option(move))))))


for _command in (
    _moving(
        "begin",
        "in_progress",
        "is in progress",
        """Say that somebody is at it.

        Example: stopgap follow-up begin 1123-1403-x7qf 1
        """,
        why=False,
    ),
    _moving(
        "done",
        "done",
        "is done",
        """Say that it is done.

        Example: stopgap follow-up done 1123-1403-x7qf 1
        """,
        why=False,
    ),
    _moving(
        "drop",
        "dropped",
        "is dropped",
        """Say that nobody will do it, and why.

        Example: stopgap follow-up drop 1123-1403-x7qf 1 the pool is gone
        """,
        why=True,
    ),
    _moving(
        "reopen",
        "open",
        "is open again",
        """Open one again that was done or dropped.

        Example: stopgap follow-up reopen 1123-1403-x7qf 1
        """,
        why=False,
    ),
):
    follow_up_command.add_command(_command)


def _numbered(after: View, number: int) -> View:
    found: View = next(one for one in after["follow_ups"] if one["number"] == number)
    return found


def _whose(one: View) -> str:
    due = f", due {printable(one['due'])}" if one["due"] else ", without a due day"
    return f"for {printable(one['owner'])}{due}: {printable(one['title'])}"


@click.command("figures")
@click.option(
    "--for", "last", default="30d", show_default=True, callback=duration, help="How far back."
)
@click.option("--csv", "as_csv", is_flag=True, help="As a table for a spreadsheet.")
@remote_options
@json_option
def figures_command(
    last: str, as_csv: bool, url: str, token_file: Path | None, as_json: bool
) -> None:
    """Show how the team and the daemon do, by rule and team, and how they did before.

    \b
    Example: stopgap figures --for 90d
    Example: stopgap figures --csv > figures.csv
    """
    query = urlencode({"for": last, **({"format": "csv"} if as_csv else {})})
    found = call("GET", url, token_file, f"/api/v1/figures?{query}")
    if as_csv:
        click.echo(found, nl=False)
        return
    if as_json:
        click.echo(json.dumps(found))
        return
    table = columns("figure", f"last {last}", f"{last} before")
    now, before = part_of(found, "now", url), part_of(found, "before", url)
    for row in _figures(now, before):
        table.add_row(*map(escape, row))
    terminal().print(table)
    for name in ("rules", "teams"):
        listed = part_of(found, name, url)
        if listed:
            terminal().print(_by_name(name[:-1], listed))
    terminal().print("times are medians; /figures says how what was saved is worked out")


def _figures(now: View, before: View) -> Iterator[tuple[str, str, str]]:
    for name, words in (
        ("incidents", "incidents"),
        ("detect", "time to detect"),
        ("acknowledge", "time to acknowledge"),
        ("recover", "time to recover"),
        ("share_by_daemon", "recovered by the daemon"),
        ("overruled", "refusals overruled"),
        ("undone", "actions undone"),
        ("failed_requests", "failed requests"),
        ("saved", "impact saved"),
    ):
        yield words, _cell(name, now[name]), _cell(name, before[name])


def _cell(name: str, value: Any) -> str:
    if value is None:
        return DASH
    if name in {"detect", "acknowledge", "recover"}:
        return f"{_seconds(value['median'])} ({value['incidents']})"
    if name == "share_by_daemon":
        return percent(value)
    if name == "overruled":
        return str(sum(value.values()))
    if name == "saved":
        requests = value["requests"]
        counted = "" if requests is None else f", {quantity(requests)} requests"
        return f"{_seconds(value['seconds'])}{counted} ({value['incidents']})"
    return quantity(value)


def _seconds(value: float) -> str:
    text = format_duration(timedelta(seconds=round(abs(value))))
    return f"−{text}" if value <= -0.5 else text


def _by_name(title: str, listed: list[View]) -> Any:
    names = ("incidents", "acknowledge", "recover", "share_by_daemon", "overruled", "undone")
    table = columns(title, *(name.replace("_", " ") for name in names), "saved")
    for one in listed:
        cells = (_cell(name, one["now"][name]) for name in (*names, "saved"))
        table.add_row(escape(one["name"] or DASH), *map(escape, cells))
    return table
