"""The durable store in one SQLite file: the journal of incidents, the inbox of deliveries, the
sessions and API tokens of people."""

from daemon.adapters.store.credentials import SqlCredentials
from daemon.adapters.store.files import must_not_be_missing
from daemon.adapters.store.hash_chain_audit import audit, verify_chain
from daemon.adapters.store.inbox import SqlInbox
from daemon.adapters.store.journal import SqlJournal
from daemon.adapters.store.maintenance import backup, check, restore
from daemon.adapters.store.open_store import CHECKED_AT_START, Store, open_store
from daemon.adapters.store.process_lock import InUse
from daemon.adapters.store.schema import SCHEMA

__all__ = [
    "CHECKED_AT_START",
    "SCHEMA",
    "InUse",
    "SqlCredentials",
    "SqlInbox",
    "SqlJournal",
    "Store",
    "audit",
    "backup",
    "check",
    "must_not_be_missing",
    "open_store",
    "restore",
    "verify_chain",
]
