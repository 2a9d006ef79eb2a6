"""The keys that sign links and logins: listed and rotated, by the daemon or in its store.

A store in this folder's settings that no daemon has is worked on directly, which needs the rights
to its file and no token. One that a daemon has is that daemon's to change, so that it signs with
the new key at once. An address that was given is meant: then the daemon there is asked alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click
import structlog
from click.core import ParameterSource

from daemon import app
from daemon.adapters.store import InUse, PostgresAddress, Store, StorePlace, open_store
from daemon.cli.client import (
    CommandFailure,
    call,
    config_option,
    json_option,
    own_url,
    part_of,
    remote_options,
    settings_from,
)
from daemon.cli.terminal import columns, escape, print_stamp, terminal
from daemon.config.audit_keys import keyring_for
from daemon.config.settings import Settings, environment
from daemon.core.people.signing_keys import SigningKeys
from daemon.core.values.formats import printable
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.seal import Keyring
from daemon.web.api.keys import KEYS, key_list

_Ask = Callable[[str], Any]
"""Asks the daemon at an address."""
_Work = Callable[[Store], Awaitable[SigningKeys]]
"""Does the same on a store."""


@click.group("keys")
def keys_command() -> None:
    """List and rotate the keys that sign the links in pages, and logins.

    Example: stopgap keys rotate --revoke
    """


@keys_command.command("list")
@config_option
@json_option
@remote_options
@click.pass_context
def keys_list_command(
    context: click.Context, config: Path | None, as_json: bool, url: str, token_file: Path | None
) -> None:
    """List the keys: who made them and when, which one signs; never what it signs with.

    Beside the daemon's store this needs no token, elsewhere the access `admin`.

    Example: stopgap keys list
    """

    async def read(store: Store) -> SigningKeys:
        return await store.keys.read()

    def ask(url: str) -> Any:
        return call("GET", url, token_file, KEYS)

    found, where = _found(context, config, url, ask, read, readonly=True)
    if as_json:
        click.echo(json.dumps({"keys": found}))
        return
    table = columns("id", "it", "made", "by", "rotated", "by", title=f"Keys of {escape(where)}")
    for key in found:
        cells = (key["id"], key["standing"], *_when(key, "made"), *_when(key, "retired"))
        table.add_row(*cells)
    terminal().print(table)


@keys_command.command("rotate")
@click.option(
    "--revoke",
    is_flag=True,
    help="If somebody else may have the key: all links that are out are void at once, and all "
    "logins end.",
)
@config_option
@json_option
@remote_options
@click.pass_context
def keys_rotate_command(
    context: click.Context,
    revoke: bool,
    config: Path | None,
    as_json: bool,
    url: str,
    token_file: Path | None,
) -> None:
    """Sign links with a new key from now on; a running daemon takes it at once.

    The key before verifies what it has signed for as long as that lives: a day the links in
    pages, `auth.key_grace` those to documents. It needs the access `admin`; if the daemon does
    not run, the rights to its store.

    \b
    Example: stopgap keys rotate
    Example: stopgap keys rotate --revoke
    """

    async def work(store: Store) -> SigningKeys:
        longest = settings_from(config).auth.longest
        return await store.keys.rotate(_user(), app.now(), revoke=revoke, longest=longest)

    def ask(url: str) -> Any:
        return call("POST", url, token_file, f"{KEYS}/rotate", {"revoke": revoke})

    found, where = _found(context, config, url, ask, work, readonly=False)
    if as_json:
        click.echo(json.dumps({"keys": found}))
        return
    before = "are void" if revoke else "are valid as long as they would have been"
    click.echo(printable(f"key {found[0]['id']} signs from now on: {where}"))
    click.echo(f"the links that are out {before}{', and all logins have ended' * revoke}")


def _found(
    context: click.Context,
    config: Path | None,
    url: str,
    ask: _Ask,
    work: _Work,
    *,
    readonly: bool,
) -> tuple[Any, str]:
    """The keys after it, and whose they are. Raises CommandFailure."""
    if context.get_parameter_source("url") is ParameterSource.DEFAULT:
        settings = settings_from(config)
        place = _place(settings)
        if _is_ours(place, readonly=readonly):
            try:
                after = asyncio.run(_worked(settings, place, work, readonly=readonly))
            except InUse:
                url = own_url(settings) if settings.port else url  # 0: it took a free one
            except (Permanent, Temporary) as error:
                raise CommandFailure(str(error)) from None
            else:
                view = key_list(after, app.now(), settings.auth.longest)
                return view.model_dump(mode="json")["keys"], f"the store {place}"
    return part_of(ask(url), "keys", url), f"the daemon at {url}"


def _place(settings: Settings) -> StorePlace:
    try:
        return app.store_at(settings, environment())
    except Permanent as error:
        raise CommandFailure(str(error)) from None


def _is_ours(place: StorePlace, *, readonly: bool) -> bool:
    """Whether it is for this process to work on the store, if no daemon does. A daemon on
    PostgreSQL locks nobody out, and would not hear of a new key that it did not make."""
    if isinstance(place, PostgresAddress):
        return readonly
    return os.access(place, os.R_OK | os.W_OK)


async def _worked(
    settings: Settings, place: StorePlace, work: _Work, *, readonly: bool
) -> SigningKeys:
    # Standard output is for the answer, which may be JSON.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    async with open_store(place, readonly=readonly, keyring=_keyring(settings)) as store:
        return await work(store)


def _keyring(settings: Settings) -> Keyring:
    try:
        return keyring_for(settings, environment())
    except Permanent:
        return Keyring()  # a daemon that has the store has the key; else opening tells which lacks


def _when(key: dict[str, Any], what: str) -> tuple[str, str]:
    return print_stamp(key[f"{what}_at"]), escape(key[f"{what}_by"])


def _user() -> str:
    """Who sits at this shell."""
    try:
        return f"shell:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:  # a container whose users have no names
        return f"shell:{os.getuid()}"
