"""Who you are to the daemon: yourself, API tokens, and the hash of a password for the roster."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from daemon.cli.client import (
    CommandFailure,
    call,
    duration,
    json_option,
    part_of,
    path_part,
    print_answer,
    remote_options,
)
from daemon.cli.terminal import columns, escape, terminal
from daemon.core.people.scopes import SCOPES
from daemon.core.values.formats import printable

_TOKENS = "/api/v1/tokens"
_NEVER = "never"
SHORTEST = 8
"""Characters of a password."""


@click.command("me")
@json_option
@remote_options
def me_command(as_json: bool, url: str, token_file: Path | None) -> None:
    """Who the daemon says that you are, and what you may do.

    Example: stopgap me
    """
    found = part_of(call("GET", url, token_file, "/api/v1/me"), "me", url)
    if as_json:
        click.echo(json.dumps(found))
        return
    click.echo(printable(f"{found['person']} ({found['name']}), access {found['access']}"))
    if found["scopes"] is not None:
        scopes = ", ".join(found["scopes"])
        click.echo(printable(f"by the API token {found['token']}, for {scopes}"))


@click.group("token")
def token_command() -> None:
    """Make, list and revoke your API tokens, for programs that act in your name.

    Example: stopgap token create ci --scope changes
    """


@token_command.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(list(SCOPES)),
    help="; ".join(f"{scope}: {meaning}" for scope, meaning in SCOPES.items()) + ". Repeatable.",
)
@click.option(
    "--expires",
    default="90d",
    show_default=True,
    metavar="DURATION|never",
    callback=lambda c, o, given: given if given == _NEVER else duration(c, o, given),
    help="After how long it is invalid.",
)
@json_option
@remote_options
def token_create_command(
    name: str,
    scopes: tuple[str, ...],
    expires: str,
    as_json: bool,
    url: str,
    token_file: Path | None,
) -> None:
    """Make a token. It is printed once, on the standard output, and never shown again.

    A token gives no more than you may do yourself. Making one needs your own token of the roster;
    without one, make tokens on the page /you.

    Example: stopgap token create ci --scope changes --expires 90d
    """
    body = {"name": name, "scopes": scopes, "expires": None if expires == _NEVER else expires}
    answer = call("POST", url, token_file, _TOKENS, body)
    made, secret = part_of(answer, "token", url), part_of(answer, "secret", url)
    if as_json:
        click.echo(json.dumps(answer))
        return
    click.echo(printable(secret))
    until = f"valid until {_day(made['expires_at'])}" if made["expires_at"] else "without end"
    text = f"token {made['id']}, {until}; keep it safe, it is not shown again"
    click.echo(printable(text), err=True)


@token_command.command("list")
@click.option("--all", "everybody", is_flag=True, help="Everybody's tokens, as an admin.")
@json_option
@remote_options
def token_list_command(everybody: bool, as_json: bool, url: str, token_file: Path | None) -> None:
    """List your API tokens; never what proves them.

    Example: stopgap token list
    """
    path = f"{_TOKENS}?everybody=true" if everybody else _TOKENS
    found = part_of(call("GET", url, token_file, path), "tokens", url)
    if as_json:
        click.echo(json.dumps({"tokens": found}))
        return
    if not found:
        click.echo("no API tokens; `stopgap token create NAME --scope SCOPE` makes one")
        return
    table = columns("id", "name", "person", "for", "until", "last used")
    for each in found:
        table.add_row(*(escape(cell) for cell in _cells(each)))
    terminal().print(table)


@token_command.command("revoke")
@click.argument("token_id", metavar="ID")
@json_option
@remote_options
def token_revoke_command(token_id: str, as_json: bool, url: str, token_file: Path | None) -> None:
    """Make a token invalid at once and for ever; an admin may revoke anybody's.

    Example: stopgap token revoke 3f9a1c07
    """
    done = call("DELETE", url, token_file, f"{_TOKENS}/{path_part(token_id)}")
    print_answer(as_json, done, f"token {printable(token_id)} is revoked")


@click.command("password")
@click.option("--stdin", is_flag=True, help="Read the password from the standard input.")
def password_command(stdin: bool) -> None:
    """Make the hash of a password, for the login to the pages.

    The password is asked for twice and not shown. The hash alone goes into the roster; then
    `stopgap reload`.

    Example: stopgap password
    """
    given = _from_stdin() if stdin else click.prompt("Password", hide_input=True, err=True)
    if not stdin and given != click.prompt("Once more", hide_input=True, err=True):
        raise CommandFailure("the two passwords are not the same; nothing was made")
    from argon2 import PasswordHasher

    from daemon.web.auth.passwords import LONGEST_PASSWORD

    if not SHORTEST <= len(given) <= LONGEST_PASSWORD:
        raise CommandFailure(
            f"a password has {SHORTEST} to {LONGEST_PASSWORD} characters; take a few words"
        )
    made = PasswordHasher().hash(given)
    click.echo(made)
    click.echo(f"in roster.yaml, under people.NAME:\n    password: '{made}'", err=True)


def _from_stdin() -> str:
    text = sys.stdin.readline(100_000)
    return text.removesuffix("\n").removesuffix("\r")


def _cells(token: dict[str, Any]) -> list[str]:
    until = _day(token["expires_at"]) if token["expires_at"] else "no end"
    return [
        token["id"],
        token["name"],
        token["person"],
        ", ".join(token["scopes"]),
        f"{until}, over" if token["expired"] else until,
        token["used_on"] or "never",
    ]


def _day(moment: str) -> str:
    return datetime.fromisoformat(moment).strftime("%Y-%m-%d")
