"""`stopgap doctor`: is all there from the alert to the rollback, and if not, what to mend."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import click
import structlog
from rich.console import Console
from rich.table import Table

from daemon import app
from daemon.adapters.outgoing.sessions import outgoing_session
from daemon.cli.client import (
    CommandFailure,
    config_option,
    has_settings,
    json_option,
    own_url,
    settings_from,
)
from daemon.cli.completion import complete_person
from daemon.cli.doctor import alertmanager, dependencies, local, monitoring, people
from daemon.cli.doctor.certificate import check_certificate
from daemon.cli.doctor.context import Check, Installation, examine
from daemon.cli.doctor.files import check_files
from daemon.cli.doctor.outgoing import check_outgoing
from daemon.cli.doctor.replicas import check_replicas
from daemon.cli.doctor.rooms import check_rooms
from daemon.cli.doctor.status_page import check_status_page
from daemon.cli.doctor.targets import check_targets
from daemon.cli.terminal import escape, terminal
from daemon.config.settings import Settings, environment
from daemon.core.values.outcome import Permanent
from daemon.onboarding.findings import Finding, FindingState, warning
from recovery_actions import catalogue

CHECKS: Mapping[str, Check] = {
    "settings": local.check_settings,
    "rules": local.check_rules_folder,
    "secrets": local.check_secrets,
    "store": local.check_store_health,
    "replicas": check_replicas,
    "tls": check_certificate,
    "files": check_files,
    "daemon": local.check_address,
    "prometheus": monitoring.check_prometheus,
    "server": monitoring.check_server,
    "queries": monitoring.check_queries,
    "targets": check_targets,
    "alertmanager": alertmanager.check_alertmanager,
    "people": people.check_people,
    "outgoing": check_outgoing,
    "rooms": check_rooms,
    "status page": check_status_page,
    "actions": dependencies.check_actions,
    "kubernetes": dependencies.check_kubernetes,
}
_MARKS: Mapping[FindingState, str] = {
    "ok": "[green]✓[/green]",
    "warning": "[yellow]![/yellow]",
    "wrong": "[bold red]✗[/bold red]",
}


@click.command("doctor")
@config_option
@click.option(
    "--page",
    "person",
    metavar="NAME",
    shell_complete=complete_person,
    help="Really call this person, as a test.",
)
@click.option("--yes", is_flag=True, help="Call without asking first.")
@click.option(
    "--send-test-alert/--no-test-alert",
    "test_alert",
    default=None,
    help="Send a test alert through Alertmanager also if other receivers get it; or none at all.",
)
@json_option
def doctor_command(
    config: Path | None, person: str | None, yes: bool, test_alert: bool | None, as_json: bool
) -> None:
    """Look at the whole chain, from the alert to the rollback, and say what to mend.

    Settings, rules, secrets, store, daemon, Prometheus and each rule's queries, Alertmanager's
    route to us, the ways to people, and what the recovery steps would change. Nothing is changed,
    and nobody is called without --page. Ends with 1 if anything is wrong.

    If a daemon runs here and nobody else would get it, a test alert goes through Alertmanager. The
    daemon recognises it: it opens no incident and calls nobody. --send-test-alert sends it also if
    other receivers get it.

    \b
    Example: stopgap doctor
    Example: stopgap doctor --page ada
    Example: stopgap doctor --send-test-alert
    """
    if yes and person is None:
        raise click.UsageError("--yes goes with --page")
    settings = settings_from(config)
    if person is not None and not yes and not click.confirm(f"Call {person} now?", err=True):
        raise click.Abort
    # Standard output is for the findings, which may be JSON.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    found = asyncio.run(_examined(settings, person, config, test_alert))
    if not has_settings(config):
        text = "there is no stopgap.yaml here, so the defaults were looked at"
        found = [
            warning("settings", text, "go to its folder, give --config, or `stopgap init`"),
            *found,
        ]
    wrong = sum(finding.state == "wrong" for finding in found)
    if as_json:
        click.echo(json.dumps({"healthy": not wrong, "findings": [asdict(f) for f in found]}))
    else:
        print_findings(found, terminal())
        if person is None:
            click.echo(_sum(found))
    if wrong:
        sys.exit(1)


async def _examined(
    settings: Settings, person: str | None, config: Path | None, test_alert: bool | None
) -> Sequence[Finding]:
    """Raises CommandFailure."""
    environ = environment()
    workshop = app.workshop_for(settings, environ)
    # The daemon itself is looked at, too, and is on this machine.
    policy = settings.outgoing.policy.trusting(own_url(settings))
    async with outgoing_session(policy) as session:
        try:
            actions = catalogue(workshop)
            ruleset = app.ruleset_for(settings, actions)
            installation = Installation(
                settings, environ, ruleset, workshop, actions, session, config, test_alert
            )
            if person is not None:
                return await people.send_test_page(installation, person)
            return await examine(installation, CHECKS)
        except Permanent as error:
            raise CommandFailure(str(error)) from None
        finally:
            await workshop.close()


def print_findings(found: Sequence[Finding], console: Console) -> None:
    """A line for each finding and one for its mend; what a terminal must break goes on below."""
    width = max((len(finding.check) for finding in found), default=0)
    for finding in found:
        head = f"{_MARKS[finding.state]} {escape(finding.check):<{width}}  "
        _beside(console, head, width + 4, escape(finding.text))
        if finding.mend:
            _beside(console, f"  {'':<{width}}  → ", width + 6, escape(finding.mend))


def _beside(console: Console, head: str, width: int, text: str) -> None:
    if not console.is_terminal:
        console.print(head + text, soft_wrap=True)
        return
    grid = Table.grid()
    grid.add_column(width=width, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(head, text)
    console.print(grid)


def _sum(found: Sequence[Finding]) -> str:
    counts = {state: sum(f.state == state for f in found) for state in _MARKS}
    if counts["wrong"]:
        return f"\n{counts['wrong']} wrong, {counts['warning']} to look at"
    return f"\nit works; {counts['warning']} to look at" if counts["warning"] else "\nall is well"
