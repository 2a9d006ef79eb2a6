"""Runs of `make demo`, a few side by side: each mostly waits, but starts ten processes at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.acceptance.running import TREE
from tests.acceptance.waiting import wait_until

AT_ONCE = 3
"""So many run at a time. With all of them at once on two cores, the shops' own scrapes failed."""
WITHIN = 80
LAST_LINES = 60
"""Of what a demo told, shown when it comes to no good end: its cause stands there."""

Wanted = Mapping[str, tuple[tuple[str, ...], Mapping[str, str]]]


class Demos:
    """Demos by their names, each with its arguments and environment, started in that order."""

    def __init__(self, logs: Path, work: Path, wanted: Wanted) -> None:
        self._logs = logs
        self._work = work
        self._waiting = list(wanted.items())
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def ended_well(self, name: str, *said: str) -> str:
        """Wait for the end of that one, which must be a good one, and have told all of this."""
        wait_until("the end of the demo", lambda: self._ended(name), WITHIN)
        text = self._log(name).read_text(errors="replace")
        last = "\n".join(text.splitlines()[-LAST_LINES:])
        assert self._started[name].returncode == 0, last
        assert [part for part in said if part not in text] == [], last
        return text

    def stop(self) -> None:
        """End what still runs; each stops everything that it has started."""
        for process in self._started.values():
            process.terminate()
        for process in self._started.values():
            process.wait(60)

    def _ended(self, name: str) -> bool:
        running = sum(process.poll() is None for process in self._started.values())
        if self._waiting and running < AT_ONCE:
            self._start(*self._waiting.pop(0))
        return name in self._started and self._started[name].poll() is not None

    def _start(self, name: str, how: tuple[tuple[str, ...], Mapping[str, str]]) -> None:
        arguments, more = how
        env = {k: v for k, v in os.environ.items() if k not in {"KEEP", "STOP", "STORY", "METRICS"}}
        with self._log(name).open("wb") as log:
            self._started[name] = subprocess.Popen(
                [sys.executable, "deploy/sandbox/demo.py", *arguments],
                cwd=TREE,
                env={**env, **more, "TMPDIR": str(self._work)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


@contextmanager
def playing(logs: Path, wanted: Wanted) -> Iterator[Demos]:
    """These demos, none of which outlives the tests."""
    with TemporaryDirectory(prefix="stopgap-demos-") as work:
        # pytest's own folders are closed to the user that a database runs as.
        Path(work).chmod(0o711)
        demos = Demos(logs, Path(work), wanted)
        try:
            yield demos
        finally:
            demos.stop()
