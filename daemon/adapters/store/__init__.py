"""The durable store, a file of SQLite or a database of PostgreSQL: the journal of incidents, the
inbox of deliveries, the sessions and API tokens of people."""

from daemon.adapters.store.archive import FileArchive, archived
from daemon.adapters.store.archive_files import check_archive, read_archived
from daemon.adapters.store.auditing import Archived, Break, audit_incident, audit_journal
from daemon.adapters.store.copying import CopiedTable
from daemon.adapters.store.credentials import SqlCredentials
from daemon.adapters.store.files import must_not_be_missing
from daemon.adapters.store.inbox import SqlInbox
from daemon.adapters.store.journal import SqlJournal
from daemon.adapters.store.maintenance import backup_store, check_store, restore_store
from daemon.adapters.store.migrating import migrate_store, take_back
from daemon.adapters.store.open_store import Store, backend_for, open_store
from daemon.adapters.store.place import (
    PostgresAddress,
    StorePlace,
    store_is_there,
    store_name,
    store_place,
)
from daemon.adapters.store.process_lock import InUse
from daemon.adapters.store.replicas import SqlReplicas
from daemon.adapters.store.schema import SCHEMA
from daemon.adapters.store.sqlite import CHECKED_AT_START

__all__ = [
    "CHECKED_AT_START",
    "SCHEMA",
    "Archived",
    "Break",
    "CopiedTable",
    "FileArchive",
    "InUse",
    "PostgresAddress",
    "SqlCredentials",
    "SqlInbox",
    "SqlJournal",
    "SqlReplicas",
    "Store",
    "StorePlace",
    "archived",
    "audit_incident",
    "audit_journal",
    "backend_for",
    "backup_store",
    "check_archive",
    "check_store",
    "migrate_store",
    "must_not_be_missing",
    "open_store",
    "read_archived",
    "restore_store",
    "store_is_there",
    "store_name",
    "store_place",
    "take_back",
]
