"""What schema 7 adds: the head of each incident tells what came of it.

Those of an earlier stopgap are worked out from their journals, the newest first. Of more than MOST,
and of those that this version cannot read, it stays unknown (NULL): figures say so.
"""

from __future__ import annotations

from types import SimpleNamespace

import structlog
from sqlalchemy import Connection

from daemon.adapters.store.journal import entry_of
from daemon.core.incident.fold import fold
from daemon.core.incident.outcome_facts import outcome_facts
from daemon.core.values.outcome import Permanent

_log = structlog.get_logger()

MOST = 2000
"""So many incidents are worked out: some seconds, in which the daemon does not serve yet."""
_NAMES = ("incident", "seq", "at", "by", "kind", "format", "body", "digest")


def tell_outcomes(connection: Connection) -> None:
    """Fill in `heads.outcome`."""
    newest = "SELECT incident FROM heads ORDER BY opened_at DESC LIMIT ?"
    for (incident,) in connection.exec_driver_sql(newest, (MOST,)).all():
        told = _outcome(connection, incident)
        if told is not None:
            connection.exec_driver_sql(
                "UPDATE heads SET outcome = ? WHERE incident = ?", (told, incident)
            )


def _outcome(connection: Connection, incident: str) -> str | None:
    rows = connection.exec_driver_sql(
        'SELECT incident, seq, at, "by", kind, format, body, digest FROM events '
        "WHERE incident = ? ORDER BY seq",
        (incident,),
    ).all()
    try:
        entries = [entry_of(SimpleNamespace(**dict(zip(_NAMES, row, strict=True)))) for row in rows]
        return outcome_facts(fold(entries)).model_dump_json()
    except (Permanent, ValueError, KeyError) as error:
        # An incident that this version cannot read is told of by `stopgap audit verify`.
        _log.warning("what came of an incident is unknown", incident=incident, why=str(error))
        return None
