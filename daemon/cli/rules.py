"""`check` and `approve`: the rule files."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import click
import structlog
from pydantic import BaseModel

from daemon import app
from daemon.cli.access_options import access_options
from daemon.cli.client import (
    CommandFailure,
    config_option,
    has_settings,
    json_option,
    print_answer,
    settings_from,
)
from daemon.cli.completion import complete_person, complete_rule
from daemon.cli.surroundings import (
    refused_addresses,
    surprising,
    uninstalled_ways,
    unreadable_secrets,
)
from daemon.config.access import AccessSettings
from daemon.config.rules_folder import APPROVALS, ROSTER, Ruleset, read_ruleset
from daemon.config.settings import Settings, environment
from daemon.core.people.calendar_report import CalendarReport, calendar_lines
from daemon.core.recovery.approvals import Approval, Approvals
from daemon.core.rules.promql_dialect.judging import QueryJudgement, judge_query
from daemon.core.rules.query_templates import Judge, JudgeFor
from daemon.core.rules.rule import Rule
from daemon.core.rules.rule_checks import rule_hints
from daemon.core.values.formats import printable
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.yaml_document import Mistakes

LONGEST_APPROVAL_DAYS = 365
CONFIGURED = "configured"
"""The `--against` of the settings' own Prometheus, or of the one that a rule names."""


class QueryReader(Protocol):
    """A server that reads queries."""

    @property
    def described(self) -> str:
        """What it is, and where."""

    def judge(self, query: str) -> QueryJudgement:
        """What it makes of a query."""


@click.command("check")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@config_option
@json_option
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a rule file, for editors.")
@click.option(
    "--against",
    metavar="URL",
    is_flag=False,
    flag_value=CONFIGURED,
    help="Ask this Prometheus to parse each query; `configured`: the one that each rule is "
    "measured by. How a URL is reached say the options from --username on.",
)
@access_options
def check_command(
    paths: tuple[Path, ...],
    config: Path | None,
    as_json: bool,
    schema: bool,
    against: str | None,
    access: AccessSettings,
) -> None:
    """Check rule files, drills, roster and approvals; lists every mistake with file and line.

    PATHS are files or folders; without any, the folder of the settings is checked. A warning is
    about what works, but not as one would expect. A hint is about a query that another version of
    Prometheus would not read; --against asks the one that is there, whose word counts.

    Example: stopgap check rules/ --against http://127.0.0.1:9090
    """
    if schema:
        click.echo(json.dumps(rule_schema(), indent=2))
        return
    readers = _readers(settings_from(config), against, access)
    judge_for = app.judges_for(settings_from(config)) if readers is None else readers.judge_for
    ruleset, settings = _read(paths, config, judge_for)
    hints = rule_hints(ruleset.rules, judge_for)
    mistakes = [*ruleset.mistakes, *ruleset.drills.mistakes]
    if has_settings(config):
        mistakes += refused_addresses(ruleset, settings)
        mistakes += uninstalled_ways(ruleset, settings)
    found = [mistake.model_dump() for mistake in mistakes]
    warnings = surprising(ruleset)
    if has_settings(config):
        warnings += unreadable_secrets(ruleset, settings)
    calendars = _calendars(ruleset, settings, paths)
    if as_json:
        answer = {"rules": len(ruleset.rules), "mistakes": found}
        answer["warnings"] = [warned.model_dump() for warned in warnings]
        answer["calendars"] = [report.model_dump(mode="json") for report in calendars]
        answer["hints"] = [hint.model_dump() for hint in hints]
        answer["read_by"] = readers.described if readers is not None else None
        click.echo(json.dumps(answer))
    else:
        for mistake in mistakes:
            click.echo(str(mistake))
        for warned in warnings:
            click.echo(f"warning: {warned}")
        for hint in hints:
            click.echo(f"hint: {hint}")
        if readers is not None and readers.described:
            click.echo(f"note: the queries were read by {readers.described}")
        if not has_settings(config):
            click.echo("note: no stopgap.yaml here, so commands were not held to an allow-list")
    if found:
        raise CommandFailure(f"{len(found)} mistake{'s' if len(found) > 1 else ''}")
    if not as_json:
        count = len(ruleset.rules)
        drills = len(ruleset.drills.scenarios)
        with_drills = f" and {drills} drill{'' if drills == 1 else 's'}" if drills else ""
        click.echo(f"{count} rule{'' if count == 1 else 's'}{with_drills}, no mistake")
        _say_standing(ruleset, settings)
        for report in calendars:
            for told in calendar_lines(report):
                click.echo(f"calendar of {report.schedule}: {told}")


@click.command("approve")
@click.argument("rule", shell_complete=complete_rule)
@click.option("--step", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--by", shell_complete=complete_person, help="Who approves.  [default: you]")
@click.option(
    "--days", type=click.IntRange(1, LONGEST_APPROVAL_DAYS), default=90, show_default=True
)
@config_option
@json_option
def approve_command(
    rule: str, step: int, by: str | None, days: int, config: Path | None, as_json: bool
) -> None:
    """Allow a rule's recovery step to run by itself, as it stands now.

    RULE is the rule's name, or its file. The approval is bound to the step's exact content, and
    to how its problem is measured and its recovery proven: whoever edits that must approve again,
    and is told which fields were changed. `mode` is not bound: it caps what may start. `stopgap
    reload` has the running daemon read it.

    Example: stopgap approve checkout-success-rate --step 1 --days 30
    """
    settings = settings_from(config)
    ruleset, _ = _read((), config)
    try:
        rules, roster, _ = ruleset.sound()
    except Mistakes as error:
        raise CommandFailure(f"mend these first\n{error}") from None
    chosen = _chosen(ruleset, rules, rule)
    if step > len(chosen.recover):
        raise CommandFailure(
            f"{chosen.rule} has {len(chosen.recover)} recovery steps; no step {step}"
        )
    person = by or getpass.getuser()
    if person not in roster.people:
        known = ", ".join(sorted(roster.people))
        raise CommandFailure(f"{person!r} is not in the roster; give --by one of: {known}")
    now = app.now()
    approval = Approval.of(chosen, step, person, now, now + timedelta(days=days))
    changed = ruleset.approvals.changed_text(chosen, step)
    _write(settings.rules_dir / APPROVALS, ruleset.approvals.with_(approval))
    until = f"{approval.until:%Y-%m-%d}"
    lines = [f"{chosen.rule}, step {step} ({approval.action}): approved by {person} to {until}"]
    if changed:
        lines.append(changed)
    if chosen.step(step).approval == "commander":
        lines.append("note: the rule says `approval: commander`, so the Commander is asked anyway")
    lines.append("a running daemon reads it by `stopgap reload`")
    print_answer(as_json, {"approval": approval.model_dump(mode="json")}, *lines)


def rule_schema() -> dict[str, Any]:
    """The JSON Schema of a rule file."""
    return published_schema(Rule, "Stopgap rule")


def published_schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    """The JSON Schema of a file that people write, for their editors."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = title
    return schema


class _Readers:
    """The servers that are to read the queries, each connected when the first rule asks for it."""

    def __init__(self, settings: Settings, against: str, access: AccessSettings) -> None:
        """`against`: an address, and how it is reached, or CONFIGURED."""
        self._settings = settings
        self._against = against
        self._access = access
        self._connected: dict[str, QueryReader] = {}

    def judge_for(self, server: str | None) -> Judge:
        """The judge of the rules that name this server. Raises CommandFailure."""
        known = self._settings.prometheus.every
        if self._against == CONFIGURED:
            name, url = server or "", None
            if name not in known:
                return judge_query  # that there is none is told already
        else:
            # One of the settings is asked with what they say of the way to it.
            same = (name for name, one in known.items() if _same(one.url, self._against))
            found = next(same, None) if self._access == AccessSettings() else None
            name, url = (found, None) if found is not None else ("", self._against)
        if name not in self._connected:
            self._connected[name] = self._connect(name, url)
        return self._connected[name].judge

    @property
    def described(self) -> str:
        """What read, and where; empty if there was nothing to read."""
        return ", ".join(dict.fromkeys(one.described for one in self._connected.values()))

    def _connect(self, name: str, url: str | None) -> QueryReader:
        try:
            reader = app.query_parser_for(self._settings, environment(), name, url, self._access)
            reader.connect()
        except (Temporary, Permanent) as error:
            raise CommandFailure(f"--against: {error}") from None
        return reader


def _readers(settings: Settings, against: str | None, access: AccessSettings) -> _Readers | None:
    """Who is to read the queries; None: this program. Raises CommandFailure or UsageError."""
    if against in {None, CONFIGURED} and access != AccessSettings():
        raise click.UsageError(
            "how a Prometheus is reached goes with --against URL; that of the settings is reached "
            "as they say"
        )
    if against is None:
        return None
    if against != CONFIGURED and not re.match("https?://[^/]", against):
        raise CommandFailure(
            f"--against {printable(against)}: no address of a Prometheus; write it like "
            "--against http://127.0.0.1:9090, or --against configured"
        )
    return _Readers(settings, against, access)


def _same(one: str, other: str) -> bool:
    return one.rstrip("/") == other.rstrip("/")


def _read(
    paths: tuple[Path, ...], config: Path | None, judge_for: JudgeFor | None = None
) -> tuple[Ruleset, Settings]:
    settings = settings_from(config)
    try:
        actions: dict[str, Any] = dict(app.actions_for(settings))
    except Permanent as error:
        raise CommandFailure(str(error)) from None
    known = has_settings(config)
    ruleset = read_ruleset(
        paths or (settings.rules_dir,),
        actions if known else app.unrestricted(actions),
        app.WATCHES if known else app.unrestricted(app.WATCHES),
        settings.names if known else None,
        judge_for or app.judges_for(settings),
    )
    return ruleset, settings


def _calendars(
    ruleset: Ruleset, settings: Settings, paths: tuple[Path, ...]
) -> list[CalendarReport]:
    """What the on-call calendars say, as far as they are on this disk."""
    roster = ruleset.roster
    if roster is None or not any(s.calendar for s in roster.schedules.values()):
        return []
    homes = [path if path.is_dir() else path.parent for path in paths]
    home = next((each for each in homes if (each / ROSTER).exists()), settings.rules_dir)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    return asyncio.run(app.read_calendars(settings, environment(), roster, home))


def _say_standing(ruleset: Ruleset, settings: Settings) -> None:
    for rule, _ in ruleset.rules:
        for number, step in enumerate(rule.recover, 1):
            if step.approval == "automatic":
                _, text = ruleset.approvals.state_of(rule, number, app.now())
                click.echo(f"{rule.rule}, step {number} ({step.action}): {text}")


def _chosen(ruleset: Ruleset, rules: list[Rule], name: str) -> Rule:
    found = [rule for rule in rules if rule.rule == name]
    if not found:
        path = Path(name).resolve()
        found = [r for r, d in ruleset.rules if Path(d.file).resolve() == path]
    if len(found) != 1:
        known = ", ".join(sorted(rule.rule for rule in rules))
        raise CommandFailure(f"which rule is {name!r}? Known: {known}")
    return found[0]


def _write(path: Path, approvals: Approvals) -> None:
    beside = path.with_suffix(".tmp")
    try:
        beside.write_text(approvals.to_yaml(), encoding="utf-8")
        os.replace(beside, path)
    except OSError as error:
        raise CommandFailure(f"cannot write {path}: {error.strerror}") from None
