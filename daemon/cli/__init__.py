"""The command `stopgap`. Exit codes: 0 done; 1 something is wrong with what was asked about;
2 wrong usage."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from daemon.cli.common import Failure

_HOMES = {
    "server": ("run", "reload", "audit"),
    "init": ("init",),
    "doctor": ("doctor",),
    "rules": ("check", "approve"),
    "incidents": ("incidents", "review", "ack", "pause", "resume", "say", "close"),
    "steering": ("step", "propose", "actions", "freeze", "thaw", "freezes", "observed"),
    "showing": ("show",),
    "people": ("role", "answer", "leave", "no-plan", "escalate", "engage", "sentiment"),
    "updates": ("update",),
    "oncall": ("oncall",),
}
_HOME_OF = {command: home for home, commands in _HOMES.items() for command in commands}


class _Commands(click.Group):
    """Loads a command when it is asked for: `stopgap ack` should not wait for the daemon's code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_HOME_OF)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        home = _HOME_OF.get(cmd_name)
        if home is None:
            return None
        module = import_module(f"daemon.cli.{home}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="stopgap", prog_name="stopgap")
def stopgap() -> None:
    """Restore first, diagnose second, learn always.

    The daemon takes alerts from Alertmanager, quantifies the problem from Prometheus, calls
    people, and starts pre-approved recovery.

    Example: stopgap run --config stopgap.yaml
    """


def main() -> None:
    """The entry point."""
    try:
        stopgap()
    except Failure as failure:
        click.echo(f"stopgap: {failure}", err=True)
        sys.exit(1)
