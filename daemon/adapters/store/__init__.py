"""The durable store in one SQLite file: the journal of incidents, the inbox of deliveries, the
sessions and API tokens of people."""

from daemon.adapters.store.archive import FileArchive, archived
from daemon.adapters.store.archive_files import check_archive, read_archived
from daemon.adapters.store.auditing import Archived, Break, audit_incident, audit_journal
from daemon.adapters.store.credentials import SqlCredentials
from daemon.adapters.store.files import must_not_be_missing
from daemon.adapters.store.inbox import SqlInbox
from daemon.adapters.store.journal import SqlJournal
from daemon.adapters.store.maintenance import backup_store, check_store, restore_store
from daemon.adapters.store.open_store import CHECKED_AT_START, Store, open_store
from daemon.adapters.store.process_lock import InUse
from daemon.adapters.store.schema import SCHEMA

__all__ = [
    "CHECKED_AT_START",
    "SCHEMA",
    "Archived",
    "Break",
    "FileArchive",
    "InUse",
    "SqlCredentials",
    "SqlInbox",
    "SqlJournal",
    "Store",
    "archived",
    "audit_incident",
    "audit_journal",
    "backup_store",
    "check_archive",
    "check_store",
    "must_not_be_missing",
    "open_store",
    "read_archived",
    "restore_store",
]
