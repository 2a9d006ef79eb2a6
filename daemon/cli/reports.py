"""Looking at everything at once: the list of incidents, the rules, their coverage, the daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from daemon.cli.client import call, json_option, part_of, remote_options
from daemon.cli.completion import complete_rule, complete_team
from daemon.cli.datetime_param import DatetimeParam
from daemon.cli.phrases import View
from daemon.cli.terminal import DASH, columns, escape, print_stamp, severity, terminal
from daemon.core.values.formats import format_duration

PAGE = 1000
"""So many incidents the daemon tells at once."""
_SEVERITIES = ("sev1", "sev2", "sev3", "sev4")
_STANDING = {"valid": "green", "commander": "", "not_approved": "yellow"}


@click.command("incidents")
@click.option("--open", "status", flag_value="open", help="Only those that are open.")
@click.option("--closed", "status", flag_value="closed", help="Only those that are closed.")
@click.option("--all", "status", flag_value="", default="", help="All of them, the default.")
@click.option("--severity", "level", type=click.Choice(_SEVERITIES), help="Only this severity.")
@click.option("--rule", shell_complete=complete_rule, help="Of this rule; '' of no rule.")
@click.option("--team", shell_complete=complete_team, help="Of this team.")
@click.option("--service", help="Of this service (the label `service`).")
@click.option("--q", "text", metavar="TEXT", help="With this in title, id, rule, team or service.")
@click.option(
    "--since", type=DatetimeParam(ago=True), help="Opened since then, like 7d or 2026-12-24."
)
@click.option("--until", type=DatetimeParam(ago=True), help="Opened before that.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True)
@remote_options
@json_option
def incidents_command(
    status: str,
    level: str | None,
    rule: str | None,
    team: str | None,
    service: str | None,
    text: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    url: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """List incidents, the newest first, or find some.

    \b
    Example: stopgap incidents --open
    Example: stopgap incidents --severity sev1 --since 30d --q checkout --json
    """
    filters = {
        "status": status or None,
        "severity": level,
        "rule": rule,
        "team": team,
        "service": service,
        "q": text,
        "since": since.isoformat() if since else None,
        "until": until.isoformat() if until else None,
    }
    rows, cursor = _found(filters, limit, url, token_file)
    if as_json:
        click.echo(json.dumps({"incidents": rows, "next": cursor}))
        return
    if not rows:
        terminal().print("no incidents")
        return
    table = columns("incident", "opened (UTC)", "severity", "phase", "what")
    for name in ("incident", "opened (UTC)"):
        next(column for column in table.columns if column.header == name).no_wrap = True
    for row in rows:
        level = severity(row["severity"])
        what = escape(row["title"])
        observes = row.get("mode") == "observe" and row["status"] == "open"
        stands = escape(row.get("outcome") or row["phase"])
        stands += " (observes only)" if observes else ""
        table.add_row(row["id"], print_stamp(row["opened_at"]), level, stands, what)
    terminal().print(table)
    if cursor:
        terminal().print(f"… and more; --limit {limit * 5} shows them")


def _found(
    filters: Mapping[str, Any], limit: int, url: str, token_file: Path | None
) -> tuple[list[dict[str, Any]], str | None]:
    """Page by page, until there are enough or no more; and where it would go on."""
    rows: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        parameters = {**filters, "limit": min(PAGE, limit - len(rows)), "cursor": cursor}
        query = urlencode({name: value for name, value in parameters.items() if value is not None})
        found = call("GET", url, token_file, f"/api/v1/incidents?{query}")
        part = part_of(found, "incidents", url)
        rows += part
        cursor = found.get("next")
        if not cursor or not part or len(rows) >= limit:
            return rows, cursor


@click.command("rules")
@remote_options
@json_option
def rules_command(url: str, token_file: Path | None, as_json: bool) -> None:
    """List the rules in force: mode, steps with their approvals, what they have opened.

    `stopgap check` reads the files; this is what the running daemon goes by.

    Example: stopgap rules
    """
    found = call("GET", url, token_file, "/api/v1/rules")
    if as_json:
        click.echo(json.dumps(found))
        return
    listed = part_of(found, "rules", url)
    if not listed:
        terminal().print("no rules; `stopgap init --from-prometheus URL` proposes some")
        return
    table = columns("rule", "mode", "team", "steps", "incidents", "last (UTC)")
    for rule in listed:
        steps = "\n".join(_steps(rule)) or DASH
        cells = (escape(rule["rule"]), _mode(rule), escape(rule["team"]), steps)
        table.add_row(*cells, str(rule["incidents"]), print_stamp(rule["last_at"]))
    terminal().print(table)


def _mode(rule: View) -> str:
    """The mode, what the rule has lost of it and why, and what its own decisions came to."""
    autonomy = rule["autonomy"]
    counts = [f"{autonomy[name]} {name}" for name in ("right", "wrong", "undone", "overruled")]
    record = [", ".join(counts)] if any(not count.startswith("0 ") for count in counts) else []
    lost = [f"asks for each step: {autonomy['withdrawn']}"] if autonomy["withdrawn"] else []
    return "\n".join(map(escape, [rule["mode"], *lost, *record]))


def _steps(rule: View) -> Iterator[str]:
    for step in rule["steps"]:
        look = _STANDING.get(step["standing"], "yellow")
        until = f" by {step['by']} to {str(step['until'])[:10]}" if step["by"] else ""
        text = f"{step['step']} {step['action']}: {step['standing'].replace('_', ' ')}{until}"
        yield f"[{look}]{escape(text)}[/{look}]" if look else escape(text)
        if step["standing"] == "approval_void":
            yield escape(step["text"])


@click.command("coverage")
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True)
@remote_options
@json_option
def coverage_command(days: int, url: str, token_file: Path | None, as_json: bool) -> None:
    """Show which alerts had a rule, which had none, and which rules had no alert.

    Example: stopgap coverage --days 7
    """
    found = call("GET", url, token_file, f"/api/v1/coverage?days={days}")
    if as_json:
        click.echo(json.dumps(found))
        return
    console = terminal()
    unmatched, matched = (part_of(found, name, url) for name in ("unmatched", "matched"))
    if not matched and not unmatched:
        console.print(f"no alert has come in {days} days")
    if unmatched:
        table = columns("alert", "incidents", "last (UTC)", title="no rule: nothing was measured")
        for row in unmatched:
            table.add_row(escape(row["alert"]), str(row["incidents"]), print_stamp(row["last_at"]))
        console.print(table)
    if matched:
        table = columns("alert", "rule", "incidents", "last (UTC)", title="with a rule")
        for row in matched:
            gone = "" if row["in_force"] else " (no longer in force)"
            rule = escape(f"{row['rule']}{gone}")
            cells = (escape(row["alert"]), rule, str(row["incidents"]), print_stamp(row["last_at"]))
            table.add_row(*cells)
        console.print(table)
    silent = part_of(found, "silent", url)
    if silent:
        console.print(escape(f"rules without an alert: {', '.join(silent)}"))


@click.command("system")
@remote_options
@json_option
def system_command(url: str, token_file: Path | None, as_json: bool) -> None:
    """Show how the daemon does: queues, store, rules, and the systems it depends on.

    Example: stopgap system
    """
    found = call("GET", url, token_file, "/api/v1/system")
    if as_json:
        click.echo(json.dumps(found))
        return
    table = columns("part", "state")
    for name, text in _system(found, url):
        table.add_row(name, text)
    terminal().print(table)


def _system(found: View, url: str) -> Iterator[tuple[str, str]]:
    up = format_duration(timedelta(seconds=part_of(found, "uptime_seconds", url)))
    ready = "ready" if found["ready"] else "[bold red]not ready[/bold red]"
    yield "daemon", f"{escape(found['version'])}, {ready}, up {up}"
    store = found["store"]
    name = escape(f"{store['kind']} {store['name']}, schema {store['schema_version']}")
    yield "store", name
    if store.get("trouble"):
        yield "", f"[bold red]{escape(store['trouble'])}[/bold red]"
    yield "inbox", f"{found['inbox']} deliveries wait"
    yield "incidents", f"{found['open_incidents']} open"
    for queue in ("pages", "updates"):
        states = found[queue]
        waiting, failing, given = (states[n] for n in ("waiting", "failing", "given_up"))
        text = f"{waiting} waiting, {failing} failing, {given} given up"
        yield queue, f"[red]{text}[/red]" if failing or given else text
    loading = found["loading"]
    yield "rules", f"{found['rules']} in force, read {print_stamp(loading['at'])}"
    if loading["failed_at"]:
        broken = f"newer ones are broken since {print_stamp(loading['failed_at'])}: "
        yield "", f"[bold red]{broken}{escape(loading['error'])}[/bold red]"
    for peer in found["peers"]:
        yield escape(peer["name"]), _peer(peer)
    for calendar in found["calendars"]:
        trouble = escape(str(calendar.get("trouble") or "")) or "up to date"
        yield escape(f"calendar {calendar.get('schedule', '')}"), trouble


def _peer(peer: View) -> str:
    if peer["reachable"]:
        name = peer.get("server") or peer["version"]
        behind = peer.get("behind_seconds")
        late = f", up to {behind:g} s behind" if behind else ""
        return f"{escape(name)}, answers in {peer['latency_ms']:g} ms{late}"
    look = "yellow" if peer["reachable"] is None else "bold red"
    return f"[{look}]{escape(peer['trouble'])}[/{look}]"
