"""`stopgap` on a disk of a known slowness: each commit takes so many milliseconds longer.

Usage: python slow_daemon.py MILLISECONDS COUNTS ARGUMENT… The daemon is the one that PYTHONPATH
names. When it ends, COUNTS holds how often it committed.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from sqlalchemy import Connection, Engine, event


class _Disk:
    """Sleeps where a slow disk would: in the writer's thread, with the transaction open."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.commits = 0
        self._changes = 0

    def commit(self, connection: Connection) -> None:
        """Wait for each commit that has something to write."""
        changes = getattr(connection.connection.dbapi_connection, "total_changes", 0)
        if connection.engine.url.query.get("mode") == "ro" or changes == self._changes:
            return
        self._changes = changes
        self.commits += 1
        if self.seconds:
            time.sleep(self.seconds)


if __name__ == "__main__":
    disk = _Disk(float(sys.argv[1]) / 1000)
    counts = Path(sys.argv[2])
    event.listen(Engine, "commit", disk.commit)
    sys.argv[1:] = sys.argv[3:]
    from daemon.cli import main

    try:
        main()
    finally:
        counts.write_text(str(disk.commits))
