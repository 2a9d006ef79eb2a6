"""The command `stopgap`. Exit codes: 0 done; 1 something is wrong with what was asked about;
2 wrong usage."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType

import click
from click.shell_completion import CompletionItem

_SECTIONS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "Look": {
        "watch": ("watch", "the open incidents, or one, live"),
        "incidents": ("reports", "list incidents, or find some"),
        "show": ("showing", "one incident: roles, what is asked and due, timeline"),
        "review": ("incidents", "an incident's review, in Markdown or HTML"),
        "replay": ("replay", "an incident, or the past, by the rules of today"),
        "oncall": ("oncall", "who is called now or then, and gaps; override, swap"),
        "rules": ("reports", "the rules in force, with their approvals"),
        "coverage": ("reports", "which alerts had a rule, and which had none"),
        "observed": ("plan", "what rules would have done, and what people did"),
        "actions": ("plan", "the catalogue of recovery actions"),
        "freezes": ("plan", "what is frozen, and what will be"),
        "system": ("reports", "how the daemon does"),
        "replicas": ("replicas", "the daemons of one store, and who conducts what"),
    },
    "Respond": {
        "declare": ("organizing", "open an incident by hand"),
        "ack": ("incidents", "respond; the first one is Commander"),
        "decline": ("call_answers", "you cannot come; the next is called now"),
        "snooze": ("call_answers", "be called again in a few minutes"),
        "storm": ("storm", "many at once: list, ack, freeze, thaw, command"),
        "leave": ("people", "be off an incident"),
        "say": ("incidents", "put a note on the timeline"),
        "sentiment": ("people", "report what the public says"),
        "severity": ("organizing", "say how severe it is"),
        "status-page": ("status_page", "what the public status page says"),
        "update": ("updates", "the updates: list, send, edit, draft, snooze, dismiss"),
        "close": ("incidents", "end an incident by your word"),
    },
    "Steer": {
        "pause": ("incidents", "stop the automation of one incident"),
        "resume": ("incidents", "let it go on"),
        "step": ("plan", "approve, start, skip, veto, continue or stop a step"),
        "propose": ("plan", "add an alternative to a plan"),
        "freeze": ("plan", "let no recovery action start"),
        "thaw": ("plan", "lift a freeze"),
        "maintenance": ("maintenance", "hold calls for announced work: add, list, end"),
        "trust": ("plan", "let a rule act by itself again"),
    },
    "People": {
        "role": ("people", "take a role, give it, or step down"),
        "answer": ("people", "say yes or no to what you are asked"),
        "escalate": ("people", "call a tier of the policy now"),
        "engage": ("collaboration", "call in an expert team, or write to a vendor"),
        "room": ("collaboration", "open the incident's room and call"),
        "no-plan": ("people", "say that no plan fits"),
        "reassign": ("organizing", "give an incident to another team"),
    },
    "Organize": {
        "merge": ("organizing", "make an incident a part of another"),
        "split": ("organizing", "make some alerts an incident of their own"),
        "relate": ("organizing", "say that two have to do with each other"),
    },
    "Learn": {
        "cause": ("learning", "record what the cause was"),
        "follow-up": ("learning", "what is to be done: list, add, change, done, drop"),
        "figures": ("learning", "how the team and the daemon do"),
    },
    "Diagnose": {
        "dossier": ("diagnosis", "what is known of the cause, with each query"),
        "diagnose": ("diagnosis", "have the dossier gathered now, or once more"),
        "hypothesis": ("diagnosis", "put down a cause; support it, rule it out, own it"),
        "finding": ("diagnosis", "add what you or a tool found out"),
        "request-help": ("diagnosis", "ask the Commander for a team that you need"),
    },
    "Rules": {
        "init": ("init", "write what is needed to start; propose rules"),
        "check": ("rules", "every mistake in the rule files, with its line"),
        "test": ("cases", "play the cases of the rules in virtual time"),
        "apply": ("apply", "what the rules learn from an incident, as diffs"),
        "approve": ("rules", "allow a step to run by itself"),
    },
    "Practice": {
        "drill": ("drills", "incidents to practise with: list, check, run, abort, report"),
    },
    "Access": {
        "me": ("access", "who you are to the daemon"),
        "token": ("access", "your API tokens: create, list, revoke"),
        "keys": ("keys", "the keys that sign links: list, rotate, revoke"),
        "password": ("access", "the hash of a password for the roster"),
    },
    "Run": {
        "run": ("server", "run the daemon"),
        "reload": ("reload", "let it read the rules again"),
        "doctor": ("doctor", "look at the whole chain, and say what to mend"),
        "store": ("store", "check, back up and restore what is kept"),
        "audit": ("audit", "prove that the journal was not edited"),
        "archive": ("archive", "the incidents that were moved out of the journal"),
        "mcp": ("mcp", "let an assistant read, explain and propose"),
        "completion": ("completion", "the script for your shell"),
    },
}
"""The commands in the sections of --help: the module of each, and what it is for."""
_HOME_OF = {
    command: home for section in _SECTIONS.values() for command, (home, _) in section.items()
}


def _loaded(name: str) -> ModuleType:
    """The module. What is imported stays: to look for garbage among it is in vain, and will be."""
    if name in sys.modules:
        return sys.modules[name]
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.freeze()
        gc.enable()


class _Commands(click.Group):
    """Loads a command when it is asked for: `stopgap ack` should not wait for the daemon's code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_HOME_OF)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        home = _HOME_OF.get(cmd_name)
        if home is None:
            return None
        module = _loaded(f"daemon.cli.{home}")
        command: click.Command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        offers = (offer for section in _SECTIONS.values() for offer in section.items())
        found = [CompletionItem(name, help=text) for name, (_, text) in offers]
        found = [item for item in found if item.value.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, _HOME_OF))
        for title, commands in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(name.ljust(width), text) for name, (_, text) in commands.items()]
                )


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="stopgap", prog_name="stopgap")
def stopgap() -> None:
    """Restore first, diagnose second, learn always.

    The daemon takes alerts from Alertmanager, quantifies the problem from Prometheus, calls
    people, and starts pre-approved recovery.

    \b
    Example: stopgap init && stopgap doctor && stopgap run
    Example: stopgap watch
    """


def main() -> None:
    """The entry point."""
    try:
        stopgap()
    except Exception as error:
        from daemon.cli.client import (
            CommandFailure,
        )  # whoever raised it has loaded it; --help has not

        if not isinstance(error, CommandFailure):
            raise
        click.echo(f"stopgap: {error}", err=True)
        sys.exit(1)
