"""The processes of one sandbox: started in groups of their own, and none left behind.

Every process carries the sandbox's folder in its environment, and so do its children. By that
mark they are found again, also those whose parent was killed, or by a later `STOP=1`.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

MARK = "SANDBOX_FOLDER"
STOP_WITHIN = 6.0
PORT_TAKEN = "address already in use"


class Died(Exception):
    """A process of the sandbox ended that should not have."""


class PortTaken(Exception):
    """Somebody took a port between its choice and its use; choose again."""


class Processes:
    """What runs for the sandbox in `folder`; output goes to `folder/logs/<name>.log`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.doomed: set[str] = set()  # those that are to be killed, so their end is no accident
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(
        self,
        name: str,
        argv: Sequence[str | Path],
        env: Mapping[str, str],
        folder: Path | None = None,
        **as_user: Any,
    ) -> None:
        """Start one, in the sandbox's folder or another, and note it in the pid file. `as_user`:
        what `Popen` is told of the user that it runs as, if that is not ours."""
        self.doomed.discard(name)
        with self.log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(  # noqa: S603 (the argv is ours)
                argv,
                cwd=folder or self.folder,
                env={**self.environment(), **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **as_user,
            )
        lines = [f"{process.pid} {known}\n" for known, process in self._running.items()]
        self.pid_file.write_text("".join(lines))

    def environment(self) -> dict[str, str]:
        """What every process gets: the mark, and none of the settings of another Stopgap."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("STOPGAP_")}
        return {**inherited, MARK: str(self.folder)}

    @property
    def pid_file(self) -> Path:
        """The processes' ids and names, one a line."""
        return self.folder / "pids"

    def log(self, name: str) -> Path:
        """Where the output of that process goes."""
        return self.logs / f"{name}.log"

    def check(self) -> None:
        """Raises PortTaken or Died if one of them could not run or no longer runs."""
        for log in self.logs.iterdir():
            if PORT_TAKEN in log.read_text(errors="replace").lower():
                raise PortTaken(log.stem)
        for name, process in self._running.items():
            if process.poll() is not None and name not in self.doomed:
                text = self.log(name).read_text(errors="replace").strip()
                raise Died(f"{name} ended with {process.returncode}:\n{text[-1500:]}")

    def kill(self, name: str) -> None:
        """Kill that one process with SIGKILL, as a crash would; its children live on."""
        self._running[name].kill()
        self._running[name].wait()

    def stop(self) -> None:
        """Stop all, the last started first, and make sure that none is left."""
        deadline = time.monotonic() + STOP_WITHIN
        for process in reversed(self._running.values()):
            process.terminate()
        for process in self._running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
        stop_marked(self.folder)
        for process in self._running.values():
            process.wait()
        self._running.clear()


def stop_marked(folder: Path) -> int:
    """Stop every process of the sandbox in `folder`, whoever started it; returns how many."""
    found = marked(folder)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in marked(folder):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + STOP_WITHIN
        while marked(folder) and time.monotonic() < deadline:
            time.sleep(0.05)
    left = marked(folder)
    if left:
        raise Died(f"these processes cannot be stopped: {' '.join(map(str, left))}")
    return len(found)


def marked(folder: Path) -> list[int]:
    """The ids of the live processes that carry the mark of the sandbox in `folder`."""
    wanted = f"{MARK}={folder}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def free_ports(count: int) -> list[int]:
    """Ports on 127.0.0.1 that are free now, all different."""
    with ExitStack() as open_sockets:
        ports = []
        for _ in range(count):
            listener = open_sockets.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            ports.append(int(listener.getsockname()[1]))
        return ports


def program(variable: str, *names: str) -> str:
    """A program's path: named by an environment variable, or the first of `names` on the PATH."""
    chosen = os.environ.get(variable)
    candidates = [chosen] if chosen else names
    for name in candidates:
        if found := shutil.which(name):
            return found
    sys.exit(
        f"{candidates[0]} is not there. On Debian and Ubuntu: "
        "apt-get install prometheus prometheus-alertmanager victoria-metrics. "
        f"Elsewhere set {variable} to its path."
    )
