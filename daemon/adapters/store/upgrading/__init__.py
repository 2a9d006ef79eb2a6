"""Bring the tables of an earlier stopgap up to those of `schema`, inside the caller's transaction.

From schema 9 on each step is a revision of alembic in `versions`, for every database; those before
it were written for SQLite alone (`before_alembic`). The number of a schema is the name of its
revision. Alembic must be given an engine without `foreign_keys=ON` in SQLite: its batch mode would
delete the rows that refer to a table that it copies.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, inspect, update

from daemon.adapters.store.schema import COMPATIBLE, SCHEMA, meta, revision_table
from daemon.adapters.store.upgrading.before_alembic import LAST, upgrade_before_alembic

_FOLDER = Path(__file__).parent


def upgrade(connection: Connection, found: int) -> None:
    """Bring tables of schema `found` up to today's; nothing is changed if they are of today."""
    if found < LAST:
        upgrade_before_alembic(connection, found)
    if not inspect(connection).has_table(revision_table.name):
        revision_table.create(connection)
        note_revision(connection, max(found, LAST))
    if found < SCHEMA:
        _run(connection)
        connection.execute(update(meta).where(meta.c.name == "schema").values(value=str(SCHEMA)))
        connection.execute(delete(meta).where(meta.c.name == "compatible"))
        connection.execute(meta.insert().values(name="compatible", value=str(COMPATIBLE)))


def note_revision(connection: Connection, schema: int = SCHEMA) -> None:
    """Tell alembic of which schema these tables are."""
    connection.execute(revision_table.insert().values(version_num=f"{schema:04}"))


def _run(connection: Connection) -> None:
    # Here, for it takes a while to load, and hardly any start needs it.
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)

    def steps(at: Any, _: Any) -> Any:
        return scripts._upgrade_revs(f"{SCHEMA:04}", at)  # noqa: SLF001 - as its own commands do

    with EnvironmentContext(config, scripts, fn=steps) as environment:
        environment.configure(connection=connection, version_table=revision_table.name)
        environment.run_migrations()
