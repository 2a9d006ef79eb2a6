"""The commands that post one text about an incident: they differ in words alone."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from daemon.cli.client import act, incident_path, json_option, print_answer, remote_options
from daemon.cli.completion import incident_argument


def asked(question: str, field: str) -> str:
    """What the person at the terminal answers. Raises UsageError where nobody sits at one."""
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Give the {field} after the incident.")
    answer: str = click.prompt(question, prompt_suffix=" ")
    return answer.strip()


def text_command(
    name: str,
    path: str,
    field: str,
    done: str,
    text: str,
    *,
    required: bool = False,
    question: str = "",
) -> click.Command:
    """A command that posts one text about an incident. `question`: how whoever sits at a terminal
    is asked for a text that they left out."""

    def carry_out(
        incident: str, arguments: tuple[str, ...], url: str, token_file: Path | None, as_json: bool
    ) -> None:
        given = " ".join(arguments).strip()
        if question and not given:
            given = asked(question, field)
        body = {field: given}
        after = act("POST", url, token_file, incident_path(incident, path), body)
        print_answer(as_json, {"incident": after}, done)

    carry_out.__doc__ = text
    decorated: Callable[..., Any] = remote_options(json_option(carry_out))
    decorated = click.argument("arguments", nargs=-1, required=required, metavar=field.upper())(
        decorated
    )
    return click.command(name)(incident_argument(decorated))
