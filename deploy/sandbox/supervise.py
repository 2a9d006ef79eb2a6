"""Keep the shop running from `shop/current`: restart it on request (SIGHUP) and when it crashes.

Usage: supervise.py SHOP_FOLDER, with $SHOP_PORT set. In that folder it keeps `running.json` (who
runs, and where) and `supervisor.log`: one JSON object a line for each start, exit and switch of
the link, whoever did it. The demo counts there what was really done to the shop.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LOOK_EVERY = 0.02
STOP_WITHIN = 3.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
STEADY_AFTER = 10.0


class Supervisor:
    """One shop process, and what the link `current` says should run."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.start_at = 0.0
        self.pause = FIRST_PAUSE
        self.link = self.linked()
        self.restart_requested = False
        self.stop_requested = False

    def linked(self) -> tuple[int, str]:
        """The link's inode and where it leads, so that a switch to the same place shows too."""
        current = self.folder / "current"
        while True:
            inode, release = current.lstat().st_ino, current.readlink().name
            if current.lstat().st_ino == inode:  # not switched between the two looks
                return inode, release

    def run(self) -> None:
        """Look at the world again and again, and mend it, until told to stop."""
        while not self.stop_requested:
            self.see_link()
            if self.restart_requested:
                self.restart_requested = False
                self.stop("restart requested")
                self.start_at = 0.0
            self.see_exit()
            if self.process is None and time.monotonic() >= self.start_at:
                self.start()
            time.sleep(LOOK_EVERY)
        self.stop("the supervisor stops")

    def see_link(self) -> None:
        """Log a switch of the link."""
        try:
            link = self.linked()
        except FileNotFoundError:  # `ln -sfn` removes it before it makes the new one
            return
        if link != self.link:
            self.log("switched", release=link[1], before=self.link[1])
            self.link = link

    def see_exit(self) -> None:
        """Notice a crash, and wait a little longer before each start that follows another."""
        if self.process is None or self.process.poll() is None:
            return
        if time.monotonic() - self.started_at > STEADY_AFTER:
            self.pause = FIRST_PAUSE
        self.log("crashed", code=self.process.returncode, again_in_seconds=self.pause)
        self.start_at = time.monotonic() + self.pause
        self.pause = min(2 * self.pause, LONGEST_PAUSE)
        self.process = None

    def start(self) -> None:
        """Start the release that the link leads to, and say who runs now."""
        release = (self.folder / "current").resolve()
        env = {**os.environ, "SHOP_PORT": str(self.port)}
        argv = [sys.executable, str(release / "shop.py")]
        self.process = subprocess.Popen(argv, env=env)  # noqa: S603 (the argv is ours)
        self.started_at = time.monotonic()
        self.log("started", release=release.name, pid=self.process.pid)
        running = {"supervisor": os.getpid(), "shop": self.process.pid, "port": self.port}
        fresh = self.folder / "running.json.new"
        fresh.write_text(json.dumps(running))
        fresh.replace(self.folder / "running.json")

    def stop(self, why: str) -> None:
        """Stop the process, politely first."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log("stopped", why=why, code=self.process.returncode)
        self.process = None

    def log(self, event: str, **facts: Any) -> None:
        """Append one line to the log."""
        line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **facts}
        with (self.folder / "supervisor.log").open("a") as log:
            log.write(json.dumps(line) + "\n")


def main() -> None:
    """Supervise until SIGTERM or SIGINT."""
    supervisor = Supervisor(Path(sys.argv[1]).resolve(), int(os.environ["SHOP_PORT"]))

    def on_signal(number: int, frame: object) -> None:
        if number == signal.SIGHUP:
            supervisor.restart_requested = True
        else:
            supervisor.stop_requested = True

    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    supervisor.run()


if __name__ == "__main__":
    main()
