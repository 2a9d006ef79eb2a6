"""`reload`: the running daemon reads its rules again."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.cli.client import call, json_option, part_of, print_answer, remote_options
from daemon.core.values.formats import printable


@click.command("reload")
@remote_options
@json_option
def reload_command(url: str, token_file: Path | None, as_json: bool) -> None:
    """Let the daemon read its rules again; it needs the access `admin`.

    Broken rules are refused with every mistake, and the old ones stay in force. The settings file
    (stopgap.yaml) is not put in force by this: what was changed there since the start is named, and
    wants a restart. Of several replicas each is reloaded by itself: `stopgap replicas` tells of
    those that have something else in force.

    Example: stopgap reload
    """
    done = call("POST", url, token_file, "/-/reload")
    lines = [f"reloaded; rules in force: {part_of(done, 'rules', url)}"]
    lines += map(printable, done.get("notes", ()))
    if done.get("changed"):
        names = ", ".join(printable(name) for name in done["changed"])
        lines.append(f"changed in the settings, and not in force before a restart: {names}")
    if done.get("error"):
        lines.append(
            "the settings file is broken, so a restart would fail; mend it first: "
            f"{printable(done['error'])}"
        )
    print_answer(as_json, done, *lines)
