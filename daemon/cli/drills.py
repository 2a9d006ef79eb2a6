"""`drill`: list, check, run, abort, report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from daemon.cli.client import (
    CommandFailure,
    call,
    config_option,
    json_option,
    part_of,
    path_part,
    print_answer,
    remote_options,
    settings_from,
)
from daemon.cli.completion import complete_drill, complete_run
from daemon.cli.terminal import DASH, columns, escape, print_stamp, terminal


@click.group("drill")
def drill_command() -> None:
    """Drills: incidents to practise with, on the daemon's own code. All say [DRILL] first.

    \b
    Example: stopgap drill list
    Example: stopgap drill run bad-deployment
    Example: stopgap drill report 1130-0126-abcdef
    """


@drill_command.command("list")
@remote_options
@json_option
def list_drills(url: str, token_file: Path | None, as_json: bool) -> None:
    """List the drills, those under way, and what the calendar has.

    Example: stopgap drill list
    """
    found = call("GET", url, token_file, "/api/v1/drills")
    part_of(found, "drills", url)
    if as_json:
        click.echo(json.dumps(found))
        return
    screen = terminal()
    for run in found["under_way"]:
        screen.print(
            f"[bold]goes on:[/bold] {escape(run['drill'])}, run {escape(run['run'])}, since "
            f"{print_stamp(run['began_at'])}; stop it: stopgap drill abort {escape(run['run'])}"
        )
    table = columns("drill", "last score", "run", "what")
    for row in found["drills"]:
        last = row["last"]
        score = f"{last['points']}/{last['out_of']}" if last else DASH
        title, run = escape(row["title"]), last["run"] if last else DASH
        table.add_row(escape(row["drill"]), score, escape(run), title)
    screen.print(table if found["drills"] else "no drills; write one into rules/drills")
    for one in found["upcoming"]:
        screen.print(f"{print_stamp(one['at'])} UTC: {escape(one['drill'])}, by the calendar")
    screen.print(f"for practice: {escape(found['promotion'])}")


@drill_command.command("check")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@config_option
@json_option
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a drill, for editors.")
def check_drills(paths: tuple[Path, ...], config: Path | None, as_json: bool, schema: bool) -> None:
    """Check scenarios against their rules and the roster; every mistake with file and line.

    PATHS are files or folders of drills; without any, all beside the rules of the settings.

    Example: stopgap drill check rules/drills/bad-deployment.yaml
    """
    # Only this command of the group needs rules and models.
    from daemon import app
    from daemon.cli.rules import published_schema
    from daemon.config.drill_files import read_drills, unknown_in_schedule
    from daemon.config.rules_folder import drill_files, read_ruleset, yaml_files
    from daemon.core.drills.scenario import DrillScenario

    if schema:
        click.echo(json.dumps(published_schema(DrillScenario, "Stopgap drill"), indent=2))
        return
    settings = settings_from(config)
    catalogue = app.unrestricted(app.actions_for(settings))
    judges = app.judges_for(settings)
    watches = app.unrestricted(app.WATCHES)
    ruleset = read_ruleset([settings.rules_dir], catalogue, watches, judge_for=judges)
    rules = {rule.rule: rule for rule, _ in ruleset.rules}
    files = [f for path in paths for f in (yaml_files(path) if path.is_dir() else [path])]
    read = read_drills(files or drill_files(settings.rules_dir), rules, ruleset.roster)
    known = read_drills(drill_files(settings.rules_dir), rules, ruleset.roster).files
    wrong = [*read.mistakes, *unknown_in_schedule(settings.drills.schedule, known)]
    if as_json:
        mistakes = [mistake.model_dump() for mistake in wrong]
        click.echo(json.dumps({"drills": sorted(read.scenarios), "mistakes": mistakes}))
    else:
        for mistake in wrong:
            click.echo(str(mistake))
    if wrong:
        count = len(wrong)
        raise CommandFailure(f"{count} mistake{'s' if count > 1 else ''}")
    if not as_json:
        count = len(read.scenarios)
        click.echo(f"{count} drill{'' if count == 1 else 's'}, no mistake")


@drill_command.command("run")
@click.argument("name", shell_complete=complete_drill)
@remote_options
@json_option
def run_drill(name: str, url: str, token_file: Path | None, as_json: bool) -> None:
    """Hold a drill now. Nobody is called but its blue team, and nothing real is touched but the
    staging target that it names, if it does.

    Example: stopgap drill run bad-deployment
    """
    begun = call("POST", url, token_file, f"/api/v1/drills/{path_part(name)}/run")
    run = part_of(begun, "run", url)
    print_answer(
        as_json,
        begun,
        f"the drill begins: run {run}, with {', '.join(begun['blue'])}",
        f"how it goes: stopgap drill report {run}; to stop it: stopgap drill abort {run}",
    )


@drill_command.command("abort")
@click.argument("run", shell_complete=complete_run)
@remote_options
@json_option
def abort_drill(run: str, url: str, token_file: Path | None, as_json: bool) -> None:
    """Stop a drill at once; its blue team hears of it.

    Example: stopgap drill abort 1130-0126-abcdef
    """
    stopped = call("POST", url, token_file, f"/api/v1/drill-runs/{path_part(run)}/abort")
    part_of(stopped, "run", url)
    print_answer(as_json, stopped, f"stopped: {run}")


@drill_command.command("report")
@click.argument("run", shell_complete=complete_run)
@remote_options
@json_option
def report_drill(run: str, url: str, token_file: Path | None, as_json: bool) -> None:
    """How a run went against what was expected of it, in Markdown, and all runs of that drill.

    Example: stopgap drill report 1130-0126-abcdef
    """
    path = f"/api/v1/drill-runs/{path_part(run)}"
    answer: Any = call("GET", url, token_file, path if as_json else f"{path}/report")
    click.echo(json.dumps(answer) if as_json else answer)
