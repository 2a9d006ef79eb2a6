"""What somebody who was called answers, if they do not come at once."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.cli.client import (
    act,
    duration,
    incident_path,
    json_option,
    print_answer,
    remote_options,
)
from daemon.cli.completion import incident_argument
from daemon.cli.post_text import text_command

decline_command = text_command(
    "decline",
    "decline",
    "reason",
    "noted; whoever is next is called; if nobody is left, all are called again",
    """Say that you cannot come: whoever is next is called at once.

    If nobody of the policy can, all are called again, round by round.

    Example: stopgap decline 1123-1403-x7qf I am on a train
    """,
)


@click.command("snooze")
@incident_argument
@click.option(
    "--for",
    "last",
    callback=duration,
    default="5m",
    show_default=True,
    help="In how long you are called again, from 1m to 1h.",
)
@remote_options
@json_option
def snooze_command(
    incident: str, last: str, url: str, token_file: Path | None, as_json: bool
) -> None:
    """Be called again in a few minutes, unless enough have come by then.

    The policy goes on meanwhile as if you had not answered, so nobody waits for you.

    Example: stopgap snooze 1123-1403-x7qf --for 15m
    """
    path = incident_path(incident, "snooze-call")
    after = act("POST", url, token_file, path, {"for": last})
    print_answer(as_json, {"incident": after}, f"you are called again in {last}")
