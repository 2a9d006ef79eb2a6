#!/usr/bin/env bash
# SQLite 3.40.1 (Python's sqlite3, Linux): open() and close() on the database file drop its locks.
#
# Behaviour: POSIX gives up all locks of a process on a file when it closes *any* descriptor of
#   it. A process that has the database open and merely opens and closes the file by hand (a copy,
#   a checksum, a peek at the header) takes away the locks of its own connections. Another process
#   may then switch WAL off under a live connection, whose next INSERT reports success and is
#   seen by nobody else: it went into a deleted file. (SQLite's "How To Corrupt" warns of the
#   locks; that a commit gets lost without an error is what surprises.)
# Matters to: daemons that back up, hash or look at their own database file.
# Way out: look from another process, or by SQLite's own means (backup(), VACUUM INTO).
#
# Seen 2026-11-29:
#   SQLite 3.40.1
#   another process switches WAL off: database is locked
#   the same after we opened and closed the file: delete
#   our INSERT of 2: no error
#   our connection sees [(1,), (2,)] and a new one [(1,)]
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# Nothing to install: sqlite3 comes with Python.
python3 - "$dir/a.db" <<'PY'
import os
import sqlite3
import subprocess
import sys

path = sys.argv[1]
OTHER = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], timeout=0.2, isolation_level=None)
try:
    print(other.execute("PRAGMA journal_mode=DELETE").fetchone()[0])
except sqlite3.OperationalError as error:
    print(error)
"""


def another_process() -> str:
    """What another process gets when it asks to leave WAL mode."""
    told = subprocess.run(
        [sys.executable, "-c", OTHER, path], capture_output=True, text=True, check=True
    )
    return told.stdout.strip()


print("SQLite", sqlite3.sqlite_version)
ours = sqlite3.connect(path, isolation_level=None)
ours.execute("PRAGMA journal_mode=WAL")
ours.execute("CREATE TABLE t (x)")
ours.execute("INSERT INTO t VALUES (1)")
before = another_process()
print("another process switches WAL off:", before)
os.close(os.open(path, os.O_RDONLY))
after = another_process()
print("the same after we opened and closed the file:", after)
try:
    ours.execute("INSERT INTO t VALUES (2)")
    print("our INSERT of 2: no error")
    inside = ours.execute("SELECT x FROM t").fetchall()
except sqlite3.Error as error:
    print("our INSERT of 2:", error)
    inside = []
anew = sqlite3.connect(path).execute("SELECT x FROM t").fetchall()
print("our connection sees", inside, "and a new one", anew)
if (before, after, inside, anew) != ("database is locked", "delete", [(1,), (2,)], [(1,)]):
    raise SystemExit(f"CHANGED: SQLite {sqlite3.sqlite_version} or this system does otherwise")
PY
