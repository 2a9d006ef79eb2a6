"""A PgBouncer of our own for tests, in transaction mode, before a server of tests/postgresql.py."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from daemon.adapters.store import PostgresAddress
from tests.postgresql import as_postgres, free_port, give_to_postgres, wait_for

_START_SECONDS = 20


@contextmanager
def pgbouncer(address: PostgresAddress, pool: int = 5) -> Iterator[PostgresAddress]:
    """The same database behind a pool of so many connections, each a client's for one transaction
    only."""
    parts, port = urlsplit(address.url), free_port()
    with tempfile.TemporaryDirectory(prefix="stopgap-pgbouncer-") as name:
        folder = Path(name)
        users, settings = folder / "users.txt", folder / "pgbouncer.ini"
        users.write_text(f'"{parts.username}" ""\n')
        settings.write_text(
            f"""[databases]
* = host={parts.hostname} port={parts.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = {pool}
max_client_conn = 200
"""
        )
        give_to_postgres(folder)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                ["/usr/sbin/pgbouncer", str(settings)], stdout=log, stderr=log, **as_postgres()
            )
        behind = PostgresAddress(address.url.replace(f":{parts.port}/", f":{port}/"))
        try:
            wait_for(behind.url, folder / "log")
            yield behind
        finally:
            process.terminate()
            process.wait(_START_SECONDS)
