"""Shell completion: the script for the shell, and what can be typed next.

Whoever presses Tab waits, so everything is asked with a short deadline, and what cannot be told
in time is silently left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from daemon.cli.client import DEFAULT_CONFIG, DEFAULT_URL, CommandFailure, F, call, incident_path

TAB_SECONDS = 1.0
_RULE = re.compile(r"^rule:\s*['\"]?([a-z0-9][a-z0-9._-]*)", re.MULTILINE)
_VARIABLE = "_STOPGAP_COMPLETE"

Completion = tuple[str, str]
"""What can be typed, and a few words about it."""
Completes = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def completes(find: Callable[[click.Context], Iterable[Completion]]) -> Completes:
    """A completion of what `find` finds; nothing if it fails."""

    def complete(
        context: click.Context, _: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        try:
            found = dict(find(context))
        except (CommandFailure, OSError, ValueError, KeyError, TypeError, AttributeError):
            return []
        return [
            CompletionItem(name, help=text or None)
            for name, text in found.items()
            if name.startswith(incomplete)
        ]

    return complete


def _get(context: click.Context, path: str) -> Any:
    """GET from the daemon that the command would ask. Raises CommandFailure."""
    url, token = context.params.get("url"), context.params.get("token_file")
    return call("GET", url or DEFAULT_URL, token, path, timeout=TAB_SECONDS)


def _incidents(context: click.Context, query: str) -> Iterator[Completion]:
    found = _get(context, f"/api/v1/incidents?limit=50{query}")
    for row in found["incidents"]:
        if not query or row["status"] == "open":
            yield row["id"], f"{row['severity']} {row['title']}".strip()


def _incident(context: click.Context) -> Any:
    return _get(context, incident_path(context.params["incident"]))["incident"]


def _steps(context: click.Context) -> Iterator[Completion]:
    for step in _incident(context)["steps"]:
        yield str(step["step"]), f"{step['action']}: {step['status']}"


def _drills(context: click.Context) -> Iterator[Completion]:
    for row in _get(context, "/api/v1/drills")["drills"]:
        yield row["drill"], row["title"]


def _runs(context: click.Context) -> Iterator[Completion]:
    found = _get(context, "/api/v1/drills")
    for run in (*found["under_way"], *(row["last"] for row in found["drills"] if row["last"])):
        yield run["run"], f"{run['drill']}: {run['ending']}"


def _windows(context: click.Context) -> Iterator[Completion]:
    for window in _get(context, "/api/v1/maintenance")["windows"]:
        if window["state"] in {"in_force", "ahead"}:
            yield window["id"], window["reason"]


def _updates(context: click.Context) -> Iterator[Completion]:
    incident = _incident(context)
    if context.params.get("action") in {"draft", "snooze", "dismiss"}:
        yield from ((u["audience"], "") for u in incident["updates"])
        yield from _names("audiences")
    else:
        yield from ((u["update"], u["audience"]) for u in incident["updates"])


def _hypotheses(context: click.Context) -> Iterator[Completion]:
    if context.params.get("verb") != "add" and not context.params.get("words"):
        for one in _incident(context)["diagnosis"]["hypotheses"]:
            yield one["hypothesis"], f"{one['state']}: {one['text']}"


def _vendors(context: click.Context) -> Iterator[Completion]:
    for vendor in _incident(context)["vendors"]:
        yield vendor["vendor"], vendor["name"]


def _requests(context: click.Context) -> Iterator[Completion]:
    yield from (("yes", ""), ("no", ""))
    for request in _incident(context)["requests"]:
        yield request["request"], f"{request['role']}: {request['asked']}"


def _actions(context: click.Context) -> Iterator[Completion]:
    for row in _get(context, "/api/v1/actions")["actions"]:
        yield row["action"], row["text"]


def _takers(context: click.Context) -> Iterator[Completion]:
    yield from (("me", "you"), ("none", "step down"))
    with suppress(CommandFailure):
        yield from _people(context)


def _people(context: click.Context) -> Iterator[Completion]:
    known = list(_names("people"))
    if not known:
        teams = _get(context, "/api/v1/oncall")["teams"].values()
        known = [(n, "") for team in teams for tier in team["tiers"] for n in tier["people"]]
    yield from known


def _teams(context: click.Context) -> Iterator[Completion]:
    known = list(_names("teams"))
    yield from known or ((team, "") for team in _get(context, "/api/v1/oncall")["teams"])


def _rules(context: click.Context) -> Iterator[Completion]:
    folder = _folder()
    if folder is not None:
        for file in sorted(folder.rglob("*.y*ml")):
            if "cases" in file.relative_to(folder).parts:
                continue  # they name the rules that they are about
            with suppress(OSError, UnicodeDecodeError):
                for name in _RULE.findall(file.read_text(encoding="utf-8")):
                    yield name, file.name
        return
    for rule in _get(context, "/api/v1/rules")["rules"]:
        yield rule["rule"], rule["description"]


def _folder() -> Path | None:
    """The folder of the rules, if there are settings here."""
    if not DEFAULT_CONFIG.exists():
        return None
    settings = _yaml(DEFAULT_CONFIG)
    return Path(settings.get("rules", "rules"))


def _names(part: str) -> Iterator[Completion]:
    """The names of a part of the roster beside the settings that are here."""
    folder = _folder()
    roster = folder / "roster.yaml" if folder is not None else None
    if roster is not None and roster.exists():
        for name, value in (_yaml(roster).get(part) or {}).items():
            yield str(name), str(value.get("name", "")) if isinstance(value, dict) else ""


def _yaml(file: Path) -> Any:
    """What is in the file. Raises OSError, ValueError."""
    import yaml  # every command knows its completions, but only Tab reads files

    try:
        return yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


complete_incident = completes(lambda context: _incidents(context, ""))
complete_open_incident = completes(lambda context: _incidents(context, "&status=open"))
complete_step = completes(_steps)
complete_update = completes(_updates)
complete_request = completes(_requests)
complete_hypothesis = completes(_hypotheses)
complete_action = completes(_actions)
complete_person = completes(_people)
complete_taker = completes(_takers)
complete_team = completes(_teams)
complete_vendor = completes(_vendors)
complete_rule = completes(_rules)
complete_drill = completes(_drills)
complete_run = completes(_runs)
complete_window = completes(_windows)


def incident_argument(command: F) -> F:
    """The argument INCIDENT."""
    return click.argument("incident", shell_complete=complete_open_incident)(command)


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print the script that lets your shell complete commands, incidents, people and rules.

    \b
    bash: stopgap completion bash > ~/.local/share/bash-completion/completions/stopgap
    zsh:  stopgap completion zsh > "${fpath[1]}/_stopgap"
    fish: stopgap completion fish > ~/.config/fish/completions/stopgap.fish

    It asks the daemon with the token in STOPGAP_TOKEN; without an answer in a second it offers
    what it knows.

    Example: source <(stopgap completion bash)
    """
    from daemon.cli import stopgap

    kind = get_completion_class(shell)
    if kind is None:  # never: the choice is click's own
        raise CommandFailure(f"no completion for {shell}")
    click.echo(kind(stopgap, {}, "stopgap", _VARIABLE).source())
