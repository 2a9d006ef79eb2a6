"""The durable store in one SQLite file: the journal of incidents, the inbox of deliveries, the
sessions and API tokens of people."""

from daemon.adapters.store.auditing import Break, audit, audit_incident
from daemon.adapters.store.credentials import SqlCredentials
from daemon.adapters.store.inbox import SqlInbox
from daemon.adapters.store.journal import SqlJournal
from daemon.adapters.store.open_store import Store, open_store
from daemon.adapters.store.schema import SCHEMA

__all__ = [
    "SCHEMA",
    "Break",
    "SqlCredentials",
    "SqlInbox",
    "SqlJournal",
    "Store",
    "audit",
    "audit_incident",
    "open_store",
]
