"""A real Prometheus on this machine that knows nothing but the samples it is given.

`promtool` makes a database of them, and `prometheus` serves it on a port of the loopback. For the
cases of rules, which are played in one thread: starting one waits, up to some seconds.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from daemon.core.values.outcome import Permanent

_PATIENCE = 30.0
"""Seconds until it has to be ready."""
_POLL = 0.05
_FOREVER = "100y"
"""How long it keeps samples: those of a case are of any time."""


class PrometheusSandbox:
    """One Prometheus after the other, each in a folder of its own, which goes with it.

    The programs are found as PROMETHEUS_BIN and PROMTOOL_BIN say, or in the PATH. Raises Permanent
    if they are not there.
    """

    def __init__(self) -> None:
        self._prometheus = _program("prometheus", "PROMETHEUS_BIN")
        self._promtool = _program("promtool", "PROMTOOL_BIN")
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def serve(self, openmetrics: str) -> str:
        """Serve these samples and no others; returns the address. Raises Permanent."""
        self.close()
        self._folder = tempfile.TemporaryDirectory(prefix="stopgap-test-")
        home = Path(self._folder.name)
        (home / "samples.txt").write_text(openmetrics, encoding="utf-8")
        (home / "prometheus.yml").write_text("", encoding="utf-8")
        data = home / "data"
        blocks = ["tsdb", "create-blocks-from", "openmetrics", "samples.txt", str(data)]
        self._process = _started([self._promtool, *blocks], home, home / "promtool.log")
        try:
            status = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            raise Permanent(f"{self._promtool} took more than {_PATIENCE:g} s") from None
        if status:
            said = (home / "promtool.log").read_text(encoding="utf-8", errors="replace")
            raise Permanent(f"promtool does not take the raw series: {said.strip()[:500]}")
        port = _free_port()
        options = [
            f"--config.file={home / 'prometheus.yml'}",
            f"--storage.tsdb.path={data}",
            f"--storage.tsdb.retention.time={_FOREVER}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        self._process = _started([self._prometheus, *options], home, home / "log")
        url = f"http://127.0.0.1:{port}"
        self._await_ready(url, home / "log")
        return url

    def close(self) -> None:
        """End it, and forget its samples."""
        if self._process is not None:
            # It has nothing to save. What is named may be a wrapper, so all that it started ends.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _await_ready(self, url: str, log: Path) -> None:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                break
            try:
                with urlopen(f"{url}/-/ready", timeout=1) as answer:  # noqa: S310 - our own
                    if answer.status == 200:
                        return
            except (URLError, OSError):
                time.sleep(_POLL)
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        raise Permanent(f"{self._prometheus} does not come up: {' '.join(last)[:500]}")


def _started(argv: list[str], folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own; what it writes goes to a file."""
    with log.open("wb") as written:
        return subprocess.Popen(  # noqa: S603 - a fixed program, no shell
            argv,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _program(name: str, variable: str) -> str:
    chosen = os.environ.get(variable) or name
    found = shutil.which(chosen)
    if found is None:
        raise Permanent(
            f"there is no {chosen} here, which --promql needs; on Debian: apt install prometheus; "
            f"or say where it is: {variable}=/path/{name}"
        )
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
