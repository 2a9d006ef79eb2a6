"""The command `stopgap`. Exit codes: 0 done; 1 something is wrong with what was asked about;
2 wrong usage."""

from __future__ import annotations

import sys

import click

from daemon.cli import incidents, rules, server
from daemon.cli.common import Failure


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="stopgap", prog_name="stopgap")
def stopgap() -> None:
    """Restore first, diagnose second, learn always.

    The daemon takes alerts from Alertmanager, quantifies the problem from Prometheus, calls
    people, and starts pre-approved recovery.

    Example: stopgap run --config stopgap.yaml
    """


for command in (*server.COMMANDS, *rules.COMMANDS, *incidents.COMMANDS):
    stopgap.add_command(command)


def main() -> None:
    """The entry point."""
    try:
        stopgap(standalone_mode=True)
    except Failure as failure:
        click.echo(f"stopgap: {failure}", err=True)
        sys.exit(1)
