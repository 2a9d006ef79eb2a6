"""A PostgreSQL server of our own for tests: Debian's, on a free port, in a folder that goes again.

One for a whole run, whatever the number of its workers. Each test has a database of its own,
copied from one that has the tables already: some twenty milliseconds.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from daemon.adapters.store import PostgresAddress, StorePlace
from daemon.adapters.store.open_store import backend_for

HINT = "install Debian's postgresql (deploy/setup.sh postgresql), or name the folder of its "
HINT += "binaries by POSTGRESQL_BIN"
_USER = "stopgap"
LOCKED = "locked"
"""The user that needs a password, once it is made; all others need none."""
_TEMPLATE = "template_stopgap"
_QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_SAFE = {"fsync": "on"}
_SORTED = ("--locale-provider=icu", "--icu-locale=en")
_START_SECONDS = 30
_NUMBERS = count(1)
_LENT = """(
"$@" &
while [ -d /proc/{process} ]; do sleep 1; done
kill -INT $!
wait $!
rm -rf {folder}
) &"""


def binaries() -> Path:
    """The folder with `postgres` and `initdb`. Skips nothing: without a server tests fail."""
    named = os.environ.get("POSTGRESQL_BIN")
    found = [Path(named)] if named else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    for folder in reversed(found):
        if (folder / "initdb").exists():
            return folder
    raise RuntimeError(f"there is no PostgreSQL here: {HINT}")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Server:
    """One server; `start`, `stop` and `kill` as often as a test wants."""

    folder: Path
    port: int
    durable: bool = False
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def made(cls, folder: Path, *, durable: bool = False) -> Server:
        """A new one in `folder`, started, with the template database."""
        server = cls(folder, free_port(), durable)
        folder.mkdir(parents=True, exist_ok=True)
        give_to_postgres(folder)
        initdb = [str(binaries() / "initdb"), "-D", str(folder / "data"), "-U", _USER]
        # Not sorted by code points: where we need that, we ask for it.
        server._run(
            [*initdb, "--auth=trust", "--locale=C.UTF-8", "--no-sync", *_SORTED, "-E", "UTF8"]
        )
        rights = folder / "data" / "pg_hba.conf"
        rights.write_text(f"host all {LOCKED} 127.0.0.1/32 scram-sha-256\n{rights.read_text()}")
        server.start()
        server.create(_TEMPLATE, template="template0")
        backend_for(server.address(_TEMPLATE)).prepare()
        return server

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                self._command(),
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                **as_postgres(),
            )
        self.wait()

    def lend(self, process: int) -> None:
        """Start it as nobody's child; it ends, and its folder goes, when that process has ended,
        however it does."""
        script = _LENT.format(process=process, folder=self.folder)
        with open(self.folder / "log", "ab") as log:
            subprocess.run(
                ["/bin/sh", "-c", script, "sh", *self._command()],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                **as_postgres(),
            )
        self.wait()

    def wait(self) -> None:
        """Until it takes connections."""
        wait_for(self.url("postgres"), self.folder / "log")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends its connections (fast), SIGTERM waits for them, SIGQUIT crashes."""
        process = self._running()
        process.send_signal(how)
        process.wait(_START_SECONDS)

    def kill(self) -> None:
        """As a machine dies: all its processes at once."""
        process = self._running()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(_START_SECONDS)

    def url(self, database: str) -> str:
        """libpq's address of a database."""
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"

    def address(self, database: str) -> PostgresAddress:
        """As `open_store` takes it."""
        return PostgresAddress(self.url(database))

    def create(self, database: str, template: str = _TEMPLATE) -> None:
        """Make a database; of the template's, with the tables in it."""
        copy = f"TEMPLATE {template} STRATEGY wal_log" if template == _TEMPLATE else ""
        self.execute(f"CREATE DATABASE {database} {copy or f'TEMPLATE {template}'}")

    def drop(self, database: str) -> None:
        """Whoever is connected to it."""
        self.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run it by itself; the rows that it returns."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return list(cursor) if cursor.description else []

    def _command(self) -> list[str]:
        options = {
            **(_SAFE if self.durable else _QUICK),
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "32MB",
            "max_wal_size": "256MB",
            "autovacuum": "off",
        }
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        return [str(binaries() / "postgres"), "-D", str(self.folder / "data"), *words]

    def _running(self) -> subprocess.Popen[bytes]:
        assert self.process is not None, "another process has started it"
        return self.process

    def _run(self, command: list[str]) -> None:
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, **as_postgres())


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Server:
    """The server of this run. It ends with pytest."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if worker else shared
    with open(shared / "postgresql.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = shared / "postgresql"
        if known.exists():
            folder, port = known.read_text().split()
            return Server(Path(folder), int(port))
        server = Server.made(Path(tempfile.mkdtemp(prefix="stopgap-postgresql-")))
        server.stop()
        server.lend(os.getppid() if worker else os.getpid())
        known.write_text(f"{server.folder} {server.port}")
        return server


@pytest.fixture
def postgresql_place(postgresql: Server) -> Iterator[PostgresAddress]:
    """A database with the tables of today, and nothing in them."""
    name = f"test_{os.getpid()}_{next(_NUMBERS)}"
    postgresql.create(name)
    yield postgresql.address(name)
    postgresql.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest) -> StorePlace:
    """Where a store can be opened that is empty yet: on each database that we have."""
    return place_on(request.param, request)


def place_on(kind: str, request: pytest.FixtureRequest) -> StorePlace:
    """The place of a test's store on that database; for fixtures with more than these kinds."""
    if kind == "sqlite":
        folder: Path = request.getfixturevalue("tmp_path")
        return folder / "stopgap.db"
    found: PostgresAddress = request.getfixturevalue("postgresql_place")
    return found


def shell(place: StorePlace, script: str) -> list[tuple[Any, ...]]:
    """What somebody does who can write to the database; the rows of a SELECT."""
    if isinstance(place, PostgresAddress):
        with psycopg.connect(place.url, autocommit=True) as connection:
            cursor = connection.execute(script)  # type: ignore[call-overload]
            while cursor.nextset():
                pass
            return list(cursor) if cursor.description else []
    with closing(sqlite3.connect(place)) as connection:
        if script.startswith("SELECT"):
            return connection.execute(script).fetchall()
        connection.executescript(script)
        return []


def wait_for(url: str, log: Path) -> None:
    """Until something takes connections there."""
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise RuntimeError(log.read_text()) from None
            time.sleep(0.02)
        else:
            return


def until_one_waits(server: Server, database: str, kind: str) -> None:
    """Until somebody in that database waits for a lock of that kind, as `pg_locks` names it."""
    waiting = f"SELECT count(*) FROM pg_locks WHERE locktype = '{kind}' AND NOT granted"  # noqa: S608
    while server.execute(waiting, database)[0][0] == 0:
        pass


def as_postgres() -> dict[str, object]:
    """The server refuses to be root."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def give_to_postgres(folder: Path) -> None:
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
