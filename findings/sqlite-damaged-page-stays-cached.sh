#!/usr/bin/env bash
# SQLite 3.40.1 under SQLAlchemy 2.1.9: a mended file is still "malformed" for a pooled connection.
#
# Behaviour: a page that a connection has read damaged stays in its cache, also after the file was
#   mended in place. PRAGMA quick_check, run again on the same pooled connection, keeps failing
#   although the file is whole; so does every query of that table. Writing through the connection
#   does not help. Any one of these does: PRAGMA shrink_memory, a new connection
#   (engine.dispose()), or a commit by another connection.
# Matters to: health checks that run quick_check on a pooled connection, where nobody else writes:
#   the alarm never ends after the repair.
# Way out: check on a connection of its own, or with PRAGMA shrink_memory before.
#
# Seen 2026-11-29:
#   SQLAlchemy 2.1.9 SQLite 3.40.1
#   damaged: database disk image is malformed
#   mended, the same connection: database disk image is malformed
#   mended, a new connection: ok
#   then own_write: database disk image is malformed
#   then shrink: ok
#   then dispose: ok
#   then others_write: ok
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --no-compile SQLAlchemy==2.1.9
"$dir/venv/bin/python" - "$dir" <<'PY'
import sqlite3
import subprocess
import sys
from pathlib import Path

import sqlalchemy as sa

PAGE, SIZE = 4, 4096  # a leaf of table t
# In a process of its own: closing the file here would drop the locks of our connections.
WRITE = """
import sys
with open(sys.argv[1], "r+b") as file:
    file.seek(int(sys.argv[2]))
    file.write(sys.stdin.buffer.read())
"""


def put(path: Path, page: bytes) -> None:
    where = str((PAGE - 1) * SIZE)
    subprocess.run([sys.executable, "-c", WRITE, path, where], input=page, check=True)


def check(engine: sa.Engine) -> str:
    try:
        with engine.connect() as connection:
            return str(connection.exec_driver_sql("PRAGMA quick_check").scalar())
    except sa.exc.DatabaseError as error:
        return str(error.orig)


def own_write(engine: sa.Engine, path: Path) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO other VALUES (1)")


def shrink(engine: sa.Engine, path: Path) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA shrink_memory")


def dispose(engine: sa.Engine, path: Path) -> None:
    engine.dispose()


def others_write(engine: sa.Engine, path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO other VALUES (1)")
    connection.close()


def trial(path: Path, step) -> tuple[str, str, str, str]:
    """quick_check: damaged, mended, by a new connection, after the step."""
    with sqlite3.connect(path) as made:
        made.execute(f"PRAGMA page_size={SIZE}")
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)")
        made.execute("CREATE TABLE other (x)")
        made.executemany("INSERT INTO t (x) VALUES (?)", [("v" * 200,)] * 200)
    made.close()
    good = path.read_bytes()[(PAGE - 1) * SIZE : PAGE * SIZE]
    assert good[0] == 13 and b"v" * 200 in good, "not a leaf of table t"
    engine, fresh = (sa.create_engine(f"sqlite:///{path}") for _ in range(2))
    put(path, b"\xff" * 200 + good[200:])
    damaged = check(engine)
    put(path, good)
    mended, anew = check(engine), check(fresh)
    fresh.dispose()
    step(engine, path)
    after = check(engine)
    engine.dispose()
    return damaged, mended, anew, after


bad = "database disk image is malformed"
print("SQLAlchemy", sa.__version__, "SQLite", sqlite3.sqlite_version)
changed = False
for step, wanted in ((own_write, bad), (shrink, "ok"), (dispose, "ok"), (others_write, "ok")):
    seen = trial(Path(sys.argv[1], f"{step.__name__}.db"), step)
    if step is own_write:
        print("damaged:", seen[0])
        print("mended, the same connection:", seen[1])
        print("mended, a new connection:", seen[2])
    print(f"then {step.__name__}:", seen[3])
    changed |= seen != (bad, bad, "ok", wanted)
if changed:
    raise SystemExit("CHANGED: the damaged page is kept, or let go, otherwise than described")
PY
