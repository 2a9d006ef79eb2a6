"""`stopgap oncall`: who would be called now or then, and where nobody would be."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import click

from daemon.cli.client import (
    CommandFailure,
    call,
    config_option,
    has_settings,
    json_option,
    part_of,
    remote_options,
    settings_from,
)
from daemon.cli.completion import complete_team
from daemon.cli.datetime_param import DatetimeParam
from daemon.cli.maintenance import held_lines
from daemon.cli.oncall_changes import SUBCOMMANDS, override_line, swap_line
from daemon.cli.terminal import columns, escape, terminal

SHOWN_GAPS = 5


@click.group("oncall", invoke_without_command=True)
@click.option("--at", type=DatetimeParam(), help="When.  [default: now]")
@click.option("--team", shell_complete=complete_team, help="Only this team.")
@config_option
@remote_options
@json_option
@click.pass_context
def oncall_command(
    context: click.Context,
    at: datetime | None,
    team: str | None,
    config: Path | None,
    url: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Tell who would be called, tier by tier, until when, and where a gap comes within 14 days;
    or change who is on call.

    Reads the roster beside stopgap.yaml; without one here, or with --url, asks the daemon. Ends
    with 1 if at some time nobody at all would be called for a team.

    Example: stopgap oncall --at "2026-12-24 18:00"
    """
    if context.invoked_subcommand is not None:
        return
    source = context.get_parameter_source("url")
    remote = source is not click.core.ParameterSource.DEFAULT or not has_settings(config)
    if remote:
        query = f"?at={quote(at.isoformat())}" if at else ""
        view = call("GET", url, token_file, f"/api/v1/oncall{query}")
        part_of(view, "teams", url)
        if at is None:
            view["held"] = held_lines(url, token_file)
    else:
        view = _local(config, at or datetime.now(UTC))
    if team is not None:
        if team not in view["teams"]:
            raise CommandFailure(
                f"no team {team!r}; there are {', '.join(view['teams']) or 'none'}"
            )
        view["teams"] = {team: view["teams"][team]}
    if as_json:
        click.echo(json.dumps(view))
    else:
        _print(view)
    if any(found["uncovered"] for found in view["teams"].values()):
        sys.exit(1)


def _local(config: Path | None, at: datetime) -> Any:
    # Only whoever reads the roster here needs what the daemon is made of.
    import structlog

    from daemon import app
    from daemon.config.settings import environment
    from daemon.core.values.outcome import Permanent
    from daemon.core.values.yaml_document import Mistakes

    # Standard output is for the answer, which may be JSON.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        view, troubles = asyncio.run(app.build_oncall(settings_from(config), environment(), at))
    except Mistakes as error:
        raise CommandFailure(f"the rules are wrong; `stopgap check` shows this\n{error}") from None
    except Permanent as error:
        raise CommandFailure(str(error)) from None
    for schedule, trouble in troubles.items():
        click.echo(f"stopgap: the calendar of {schedule}: {trouble}", err=True)
    return view


def _print(view: Any) -> None:
    # Only what asks for it needs the roster's own code.
    from daemon.core.people.calendar_report import CalendarReport, calendar_lines

    console = terminal()

    def line(text: str) -> None:
        console.print(escape(text), soft_wrap=True)

    line(f"At {_shown(view['at'], 'UTC')}")
    for held in view.get("held", ()):
        line(held)
    for team, found in view["teams"].items():
        table = columns("tier", "called", "then the next after", title=escape(team))
        for tier in found["tiers"]:
            people = ", ".join(tier["people"]) or "nobody is on call: skipped at once"
            table.add_row(str(tier["tier"]), escape(people), tier["wait"])
        console.print(table)
        for gap in found["uncovered"][:SHOWN_GAPS]:
            line(f"NOBODY for {team} {_range(gap, 'UTC')}: the last resort would be called")
    if not view["schedules"]:
        return
    table = columns("schedule", "now", "until", "next", title="schedules")
    for report in view["schedules"]:
        now, after = ", ".join(report["now"]), ", ".join(report["next"])
        until, following = "beyond 14 days", "–"
        if report["until"]:
            until, following = _shown(report["until"], report["zone"]), after or "nobody"
        cells = (report["schedule"], now or "nobody", until, following)
        table.add_row(*map(escape, cells))
    console.print(table)
    for override in view.get("overrides", ()):
        line(override_line(override))
    for swap in view.get("swaps", ()):
        line(swap_line(swap))
    for read in view.get("calendars", ()):
        for told in calendar_lines(CalendarReport.model_validate(read)):
            line(f"calendar of {read['schedule']}: {told}")
    for report in view["schedules"]:
        for gap in report["gaps"][:SHOWN_GAPS]:
            line(f"gap in {report['schedule']} {_range(gap, report['zone'])}")
        more = len(report["gaps"]) - SHOWN_GAPS
        if more > 0:
            line(f"… and {more} more gaps in {report['schedule']}; --json lists them")


def _range(gap: dict[str, str], zone: str) -> str:
    return f"from {_shown(gap['from'], zone)} until {_shown(gap['until'], zone)}"


def _shown(moment: str, zone: str) -> str:
    local = datetime.fromisoformat(moment).astimezone(ZoneInfo(zone))
    return f"{local:%a %Y-%m-%d %H:%M} {local.tzname()}"


for _subcommand in SUBCOMMANDS:
    oncall_command.add_command(_subcommand)
