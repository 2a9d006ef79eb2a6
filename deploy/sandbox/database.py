"""The PostgreSQL server of the sandbox, for a demo of several replicas: a cluster of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from processes import Processes, free_ports

NAME = "postgresql"
DATABASE = USER = "stopgap"


class Database:
    """One server in a folder of the sandbox; `create`, then `start`. It ends with the processes."""

    def __init__(self, sandbox: Path) -> None:
        self.folder = sandbox / "database"
        self.port = free_ports(1)[0]

    @property
    def url(self) -> str:
        """What replicas are told: the setting `store`."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{DATABASE}"

    def create(self) -> None:
        """Make its data. Ends the program with what to do if there is no PostgreSQL here."""
        self.folder.mkdir()
        user = self._user()
        if user:
            # The server refuses to be root, and its user must get to where its data is.
            shutil.chown(self.folder, user["user"], user["group"])
            self.folder.parent.chmod(0o711)
        command = [_binary("initdb"), "-D", "data", "-U", USER, "--auth=trust", "--no-sync"]
        made = subprocess.run(  # noqa: S603 (the argv is ours)
            [*command, "-E", "UTF8", "--locale=C.UTF-8"],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            **user,
        )
        if made.returncode:
            sys.exit(f"initdb of the sandbox's database failed:\n{made.stderr}")

    def start(self, processes: Processes) -> None:
        """Start it; it listens on loopback alone."""
        options = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "shared_buffers": "32MB",
        }
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        data = str(self.folder / "data")
        processes.start(NAME, [_binary("postgres"), "-D", data, *words], {}, **self._user())

    def connected(self, database: str = DATABASE) -> Any:
        """A connection for looking, whose statements are each by themselves."""
        import psycopg  # no other story needs it

        url = f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"
        return psycopg.connect(url, autocommit=True, connect_timeout=2)

    async def answers(self) -> bool:
        """Whether it takes connections; its database is there then."""
        import psycopg

        try:
            with self.connected("postgres") as ours:
                known = ours.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
                if known.fetchone() is None:
                    ours.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.OperationalError:
            return False
        return True

    @staticmethod
    def _user() -> dict[str, Any]:
        """As whom it runs, if we are root."""
        if os.geteuid() != 0:
            return {}
        try:
            known = pwd.getpwnam("postgres")
        except KeyError:
            sys.exit("there is no user `postgres`: apt-get install postgresql")
        return {"user": known.pw_uid, "group": known.pw_gid, "extra_groups": []}


def _binary(name: str) -> str:
    """A program of PostgreSQL: of POSTGRESQL_BIN, of Debian's newest version, or of the PATH."""
    named = os.environ.get("POSTGRESQL_BIN")
    folders = [Path(named)] if named else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    for folder in reversed(folders):
        if (folder / name).exists():
            return str(folder / name)
    if found := shutil.which(name):
        return found
    sys.exit(
        f"{name} is not there. On Debian and Ubuntu: apt-get install postgresql. "
        "Elsewhere set POSTGRESQL_BIN to the folder of its programs."
    )
