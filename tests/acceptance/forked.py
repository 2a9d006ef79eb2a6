"""Daemons and commands forked from a process that has imported everything already.

An interpreter takes longer to import Stopgap than most tests take to use it. What is forked is a
process as any other (its own pid, files, signals and end), only that its imports are done.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from signal import Signals
from time import monotonic

PRELOADED = ["daemon.app", "daemon.cli.server", "recovery_actions", __name__]


class Forked:
    """What `subprocess.Popen` is of a program, of `stopgap ARGUMENTS…`; as far as tests ask.

    `output` and `errors` are appended to; errors go to `output` as well if nothing is named.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        output: Path,
        errors: Path | None = None,
    ) -> None:
        context = get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        for path in filter(None, (output, errors)):
            path.touch()
        self.args = arguments
        self._process: ForkServerProcess = context.Process(
            target=run_stopgap,
            args=(list(arguments), str(cwd), dict(env), str(output), str(errors or output)),
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code; negative: the signal that ended it; None: it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """`returncode` as it is now."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, in seconds. Raises TimeoutExpired."""
        begin = monotonic()
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(self.args, monotonic() - begin)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(Signals.SIGKILL)


def run_stopgap(
    arguments: list[str], cwd: str, env: dict[str, str], output: str, errors: str
) -> None:
    """In the forked process: become `stopgap ARGUMENTS…`."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for known, path in ((1, output), (2, errors)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644), known)
    sys.argv = ["stopgap", *arguments]
    from daemon.cli import main

    main()
