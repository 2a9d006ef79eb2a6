"""`store`: is the store whole, a backup of it, and the way back from one."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from daemon.adapters import store
from daemon.cli.client import (
    CommandFailure,
    config_option,
    json_option,
    print_answer,
    settings_from,
)
from daemon.config.audit_keys import keyring_for
from daemon.config.settings import environment, secret
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.seal import Keyring

_T = TypeVar("_T")
FILE = click.Path(path_type=Path)
PROGRESS_ROWS = 50_000
"""After so many rows of a table it is told how far the copying is."""


@click.group("store")
def store_command() -> None:
    """Look after the store, in which everything is kept.

    Example: stopgap store backup /backups/
    """


@store_command.command("check")
@click.argument("file", type=FILE, required=False)
@config_option
@json_option
def store_check_command(file: Path | None, config: Path | None, as_json: bool) -> None:
    """Read all of the store, or of a backup FILE; 1 if anything is damaged or was edited.

    Every page, row and index is looked at (of a PostgreSQL database every row), and the hash chain
    of every incident. It works beside a running daemon.

    \b
    Example: stopgap store check
    Example: stopgap store check /backups/stopgap-20261129T031500Z.db
    """
    path = file or _place(config)
    found = _done(store.check_store(path, _keyring(config)))
    print_answer(as_json, {"file": str(path), "whole": not found, "findings": found}, *found)
    if found:
        raise CommandFailure(
            f"{path} is not whole; deploy/guides/upgrade-and-backup.md, also under /help, tells "
            "the way: “When the store is damaged”"
        )
    if not as_json:
        click.echo(f"{path} is whole")


@store_command.command("backup")
@click.argument("target", metavar="TARGET")
@config_option
@json_option
def store_backup_command(target: str, config: Path | None, as_json: bool) -> None:
    """Copy the store to TARGET, a new file or a folder, and check the copy.

    It works beside a running daemon, which goes on meanwhile. Put it into cron. A store on
    PostgreSQL is backed up by pg_dump.

    Example: stopgap store backup /backups/
    """
    path = Path(target)
    if path.is_dir():
        path /= f"stopgap-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.db"
    elif target.endswith("/"):  # what is mounted there may be away: no file takes its name
        raise CommandFailure(f"there is no folder {target}: make it, or mount what belongs there")
    _done(store.backup_store(_file(config), path, _keyring(config)))
    print_answer(as_json, {"backup": str(path)}, f"{path} is written, and whole")


@store_command.command("restore")
@click.argument("file", type=FILE)
@config_option
@json_option
def store_restore_command(file: Path, config: Path | None, as_json: bool) -> None:
    """Put the backup FILE in the place of the store; the daemon must be stopped.

    The backup is checked first. What is there now is kept under another name, and nothing is
    overwritten.

    Example: stopgap store restore /backups/stopgap-20261129T031500Z.db
    """
    path = _file(config)
    aside = _done(store.restore_store(path, file, _keyring(config)))
    lines = [f"{path} is restored from {file}"]
    if aside is not None:
        lines.append(f"what was there is {aside} now")
    lines.append("start the daemon; Alertmanager sends again what still fires")
    answer = {"store": str(path), "restored_from": str(file), "kept": str(aside or "")}
    print_answer(as_json, answer, *lines)


@store_command.command("migrate")
@click.argument("source")
@click.argument("target", required=False)
@click.option("--undo", is_flag=True, help="Let daemons start on SOURCE again, which had moved.")
@config_option
@json_option
def store_migrate_command(
    source: str, target: str | None, undo: bool, config: Path | None, as_json: bool
) -> None:
    """Move a whole store from SOURCE to TARGET: a file, or a database of PostgreSQL.

    Each is the path of a file, an address like postgresql://stopgap@db.example/stopgap, or
    env:NAME or file:PATH, which hold one. No daemon may run on either, and TARGET must be empty.
    Every table is copied in one transaction and compared, and the audit is passed in both. SOURCE
    keeps all that it has; daemons do not start on it any more, unless --undo says so.

    \b
    Example: stopgap store migrate stopgap.db postgresql://stopgap@db.example/stopgap
    Example: stopgap store migrate env:STOPGAP_DATABASE stopgap.db --json
    Example: stopgap store migrate --undo stopgap.db
    """
    if undo == (target is not None):
        raise click.UsageError("name SOURCE and TARGET, or --undo and SOURCE alone")
    place = _given_place(source)
    if target is None:
        _done(store.take_back(place))
        print_answer(as_json, {"source": str(place), "moved": False}, f"{place} may be used again")
        return
    goal = _given_place(target)
    told = _Told()
    beside = settings_from(config).beside_store
    copied = _done(store.migrate_store(place, goal, _keyring(config), told, beside))
    tables = [one._asdict() for one in copied]
    answer = {"source": str(place), "target": str(goal), "moved": True, "tables": tables}
    lines = [f"{one.rows:>9}  {one.name}" for one in copied]
    lines.append(f"{goal} has all that {place} has, and is whole")
    lines.append(f"now set `store: {target}` in stopgap.yaml, and start the daemon")
    print_answer(as_json, answer, *lines)


class _Told:
    """Says how far it is with tables that take a while."""

    def __init__(self) -> None:
        self._next = PROGRESS_ROWS

    def __call__(self, name: str, rows: int) -> None:
        if rows < PROGRESS_ROWS:
            self._next = PROGRESS_ROWS
        elif rows >= self._next:
            click.echo(f"{name}: {rows} rows …", err=True)
            self._next = rows + PROGRESS_ROWS


def _given_place(given: str) -> store.StorePlace:
    """What was named on the command line, from where one stands."""
    here = Path.cwd()
    try:
        return store.store_place(given, here, lambda name: secret(name, environment(), here))
    except Permanent as error:
        raise CommandFailure(str(error)) from None


def _place(config: Path | None) -> store.StorePlace:
    # Not from daemon.app, which takes seconds to load: who restores is in a hurry.
    settings, environ = settings_from(config), environment()
    try:
        return store.store_place(
            settings.store,
            settings.base,
            lambda reference: secret(reference, environ, settings.base),
        )
    except Permanent as error:
        raise CommandFailure(str(error)) from None


def _file(config: Path | None) -> Path:
    place = _place(config)
    if isinstance(place, store.PostgresAddress):
        raise CommandFailure(
            f"the store is {place}, which PostgreSQL's own tools back up and restore: "
            "`pg_dump --format=custom` and `pg_restore --clean`, or what your server has for it; "
            "`stopgap store check` tells afterwards whether it is whole"
        )
    return place


def _keyring(config: Path | None) -> Keyring:
    try:
        return keyring_for(settings_from(config), environment())
    except Permanent as error:
        raise CommandFailure(str(error)) from None


def _done(work: Coroutine[Any, Any, _T]) -> _T:
    try:
        return asyncio.run(work)
    except (Permanent, Temporary) as error:
        raise CommandFailure(str(error)) from None
