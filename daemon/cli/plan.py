"""What steers recovery: steps of the plan, proposals, freezes, observed decisions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from daemon.cli.client import (
    BadRequest,
    CommandFailure,
    act,
    call,
    duration,
    incident_path,
    json_option,
    part_of,
    path_part,
    print_answer,
    remote_options,
)
from daemon.cli.completion import (
    complete_action,
    complete_rule,
    complete_step,
    complete_team,
    incident_argument,
)
from daemon.cli.phrases import briefing_lines
from daemon.cli.terminal import columns, escape, terminal
from daemon.core.values.formats import printable

EVERYWHERE = "global"
"""The scope of a freeze, as the API has it, of every team and service."""
_DONE = {
    "approve": "approved",
    "start": "ordered",
    "skip": "skipped",
    "veto": "vetoed",
    "continue": "goes on",
    "stop": "stopped; what it did is taken back",
}


@click.command("step")
@incident_argument
@click.argument("number", type=click.IntRange(min=1), shell_complete=complete_step)
@click.argument("command", type=click.Choice(list(_DONE)))
@click.argument("reason", nargs=-1)
@remote_options
@json_option
def step_command(
    incident: str,
    number: int,
    command: str,
    reason: tuple[str, ...],
    url: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Approve, start, skip, veto, continue or stop a recovery step.

    The Commander approves it for its turn, starts it now against order and conditions, or skips
    it; anybody may veto. One that waits midway (`canary:`) the Commander continues, or stops: then
    it takes back what it did. A reason is kept with a skip. What is started now and held up, by a
    freeze or another incident on the same target, counts for 20 s; then you are asked again.

    Example: stopgap step 1123-1403-x7qf 2 approve
    """
    if reason and command != "skip":
        raise click.UsageError("only `skip` takes a reason")
    body = {"reason": " ".join(reason)} if reason else None
    path = incident_path(incident, "steps", str(number), command)
    answer = call("POST", url, token_file, path, body)
    after = part_of(answer, "incident", url)
    waits = printable(answer.get("waits", ""))
    state = _state(command, waits)
    step = next((one for one in after["steps"] if one["step"] == number), None)
    known = briefing_lines(step, open_=True) if step is not None else []
    print_answer(as_json, answer, f"step {number}: {state}", *known)


@click.command("propose")
@incident_argument
@click.argument("action", shell_complete=complete_action)
@click.option("--with", "params", multiple=True, metavar="NAME=VALUE", help="A parameter, as YAML.")
@click.option("--within", callback=duration, help="The deadline, like 5m.  [default: 10m]")
@click.option("--reason", default="", help="Why, for the timeline.")
@click.option("--start", "start_now", is_flag=True, help="Start it at once; you must be Commander.")
@remote_options
@json_option
def propose_command(
    incident: str,
    action: str,
    params: tuple[str, ...],
    within: str | None,
    reason: str,
    start_now: bool,
    url: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Add an alternative to an incident's plan; it runs once the Commander approves it.

    `stopgap actions` lists what there is, each with an example.

    Example: stopgap propose 1123-1403-x7qf kubernetes_restart --with namespace=prod \\
    --with deployment=checkout
    """
    body = {"action": action, "with": _params(params), "reason": reason}
    if within:
        body["within"] = within
    path = incident_path(incident, "steps")
    try:
        after = act("POST", url, token_file, path, body)
    except BadRequest as error:
        example = _example(incident, action, url, token_file)
        raise CommandFailure(f"{error}{example}") from None
    number = max(step["step"] for step in after["steps"])
    if start_now:
        path = incident_path(incident, "steps", str(number), "start")
        answer = call("POST", url, token_file, path)
        part_of(answer, "incident", url)
        waits = printable(answer.get("waits", ""))
        print_answer(as_json, answer, f"step {number}: {_state('start', waits)}")
        return
    waits = f"step {number} ({action}) waits for the Commander's approval"
    print_answer(as_json, {"incident": after}, waits)


@click.command("actions")
@remote_options
@json_option
def actions_command(url: str, token_file: Path | None, as_json: bool) -> None:
    """List the catalogue of recovery actions with their parameters.

    Example: stopgap actions
    """
    found = call("GET", url, token_file, "/api/v1/actions")
    if as_json:
        click.echo(json.dumps(found))
        return
    table = columns("action", "what it does", "parameters (* needed)")
    for row in part_of(found, "actions", url):
        needed = set(row["params"].get("required", ()))
        names = [f"{n}*" if n in needed else n for n in row["params"].get("properties", {})]
        table.add_row(row["action"], escape(row["text"]), ", ".join(names))
    terminal().print(table)
    for row in found["actions"]:
        if row.get("example"):
            line = f"stopgap propose INCIDENT {row['action']} {row['example']}"
            terminal().print(escape(line), soft_wrap=True)


@click.command("freeze")
@click.argument("reason", nargs=-1, required=True)
@click.option(
    "--for",
    "last",
    callback=duration,
    help="How long, like 30m or 2h.  [default: until thawed]",
)
@click.option("--team", shell_complete=complete_team, help="Only what this team owns.")
@click.option("--service", help="Only this service (the label `service` of the alerts).")
@remote_options
@json_option
def freeze_command(
    reason: tuple[str, ...],
    last: str | None,
    team: str | None,
    service: str | None,
    url: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Let no recovery action start, until it is thawed; survives restarts.

    Without --team or --service nothing starts anywhere.

    Example: stopgap freeze --for 2h --team payments database migration
    """
    scope = _scope(team, service)
    body = {"reason": " ".join(reason), "scope": scope, **({"for": last} if last else {})}
    done = call("PUT", url, token_file, "/api/v1/freeze", body)
    what = "" if scope == EVERYWHERE else f" for {scope.replace(':', ' ')}"
    print_answer(as_json, done, f"frozen: no recovery action will start{what}")


@click.command("thaw")
@click.option("--team", shell_complete=complete_team, help="Lift the freeze of this team.")
@click.option("--service", help="Lift the freeze of this service.")
@remote_options
@json_option
def thaw_command(
    team: str | None, service: str | None, url: str, token_file: Path | None, as_json: bool
) -> None:
    """Lift a freeze: the global one, or that of a team or a service.

    Example: stopgap thaw --team payments
    """
    scope = _scope(team, service)
    path = f"/api/v1/freeze?scope={path_part(scope)}"
    done = call("DELETE", url, token_file, path)
    lifted = part_of(done, "thawed", url)
    print_answer(as_json, done, "thawed" if lifted else f"there was no freeze of the scope {scope}")


@click.command("trust")
@click.argument("rule", shell_complete=complete_rule)
@click.argument("reason", nargs=-1, required=True)
@remote_options
@json_option
def trust_command(
    rule: str, reason: tuple[str, ...], url: str, token_file: Path | None, as_json: bool
) -> None:
    """Let a rule act by itself again that lost its autonomy, and say why.

    A rule loses it when what it did by itself made things worse or was undone, or people overruled
    two of its last five decisions; `stopgap rules` shows that. Its file stays as it is.

    Example: stopgap trust checkout-success-rate the misleading health check is mended
    """
    path = f"/api/v1/rules/{path_part(rule)}/trust"
    done = call("POST", url, token_file, path, {"reason": " ".join(reason)})
    print_answer(as_json, done, f"{rule} acts by itself again, as its mode and approvals allow")


@click.command("freezes")
@remote_options
@json_option
def freezes_command(url: str, token_file: Path | None, as_json: bool) -> None:
    """List the freezes in force, and those that the calendar has ahead.

    Example: stopgap freezes
    """
    found = call("GET", url, token_file, "/api/v1/freeze")
    if as_json:
        click.echo(json.dumps(found))
        return
    table = columns("scope", "from (UTC)", "until (UTC)", "by", "reason")
    rows = [*part_of(found, "freezes", url), *part_of(found, "ahead", url)]
    for row in rows:
        begin, end = (_short(row[name]) for name in ("at", "until"))
        table.add_row(escape(row["scope"]), begin, end, escape(row["by"]), escape(row["reason"]))
    terminal().print(table if rows else "nothing is frozen, and nothing is going to be")


@click.command("observed")
@click.argument("rule", required=False, shell_complete=complete_rule)
@remote_options
@json_option
def observed_command(rule: str | None, url: str, token_file: Path | None, as_json: bool) -> None:
    """Compare what rules in the mode `observe` would have done with what people then did.

    The advice counts each incident once: it is wrong if any step would have been.

    Example: stopgap observed checkout-success-rate
    """
    query = f"?rule={path_part(rule)}" if rule else ""
    found = call("GET", url, token_file, f"/api/v1/observed{query}")
    if as_json:
        click.echo(json.dumps(found))
        return
    rules, steps = part_of(found, "rules", url), part_of(found, "steps", url)
    if not rules:
        terminal().print(
            "no decision was observed yet: rules with `mode: observe` write one at each incident"
        )
        return
    each = ("incidents", "right", "wrong", "missed", "refrained", "pending")
    table = columns("rule", *each, "advice")
    for row in rules:
        table.add_row(row["rule"], *(str(row[name]) for name in each), escape(row["advice"]))
    terminal().print(table)
    by_step = columns("rule", "step", "would act", "right", "wrong", "missed", "pending")
    for row in steps:
        counts = [str(row[n]) for n in ("acted", "right", "wrong", "missed", "pending")]
        by_step.add_row(row["rule"], f"{row['step']} {row['action']}", *counts)
    terminal().print(by_step)
    cases = columns("incident", "step", "would", "people then", "why")
    for row in part_of(found, "decisions", url):
        would = f"ask: {row['reason']}" if row["reason"] else "start"
        then = row["then"].replace("_", " ")
        cases.add_row(row["incident"], str(row["step"]), would, then, escape(row["text"]))
    terminal().print(cases)


def _example(incident: str, action: str, url: str, token_file: Path | None) -> str:
    """How that action is proposed, on a line of its own; empty if the catalogue has it not."""
    found = part_of(call("GET", url, token_file, "/api/v1/actions"), "actions", url)
    examples = (row.get("example", "") for row in found if row["action"] == action)
    options = next(filter(None, examples), "")
    return f"\nlike: stopgap propose {incident} {action} {options}" if options else ""


def _state(command: str, waits: str) -> str:
    """What came of a command to a step, and what holds the step up."""
    done = _DONE[command]
    return f"{done}; it waits: {waits}" if waits else done


def _scope(team: str | None, service: str | None) -> str:
    if team and service:
        raise click.UsageError("give --team or --service, not both")
    return f"team:{team}" if team else f"service:{service}" if service else EVERYWHERE


def _short(moment: str | None) -> str:
    return "thawed" if moment is None else moment[:16].replace("T", " ")


def _params(given: tuple[str, ...]) -> dict[str, Any]:
    """NAME=VALUE pairs; a value is read as YAML, so numbers, lists and true work."""
    import yaml  # for the one command that reads some

    params: dict[str, Any] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--with {pair!r}: write it as NAME=VALUE")
        try:
            params[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise click.UsageError(f"--with {name}: {value!r} is no YAML; quote it") from None
    return params
