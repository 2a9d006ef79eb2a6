"""What systemd is told, as sd_notify(3) has it: datagrams to the socket that it names.

A few lines of our own rather than a library: the protocol is text, and is promised to stay.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

import structlog

_log = structlog.get_logger()

_MICROSECONDS = 1_000_000


class ServiceManager:
    """Tells the service manager of `environ` how the daemon does; without one, nobody.

    `watchdog`: within so many seconds it must hear that all is well, or it ends and starts the
    daemon again; None if it does not watch.
    """

    def __init__(self, environ: Mapping[str, str], pid: int | None = None) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self.watchdog = _watchdog(environ, os.getpid() if pid is None else pid)
        self._failed = False

    @property
    def listens(self) -> bool:
        """Whether there is a service manager that wants to hear."""
        return self._address is not None

    def ready(self) -> None:
        """It has started, or has read its rules again."""
        self._send("READY=1")

    def reloading(self) -> None:
        """It reads its rules again; `ready` says when that is over."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, within: float) -> None:
        """It stops, and that takes so many seconds at most."""
        self._send(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={int(within * _MICROSECONDS)}")

    def well(self) -> None:
        """It does its work: the sign that the watchdog waits for."""
        self._send("WATCHDOG=1")

    def status(self, line: str) -> None:
        """How it stands, in one line for `systemctl status`."""
        self._send(f"STATUS={' '.join(line.split())}")

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
                to.setblocking(False)  # the event loop waits for no service manager
                to.sendto(message.encode(), self._address)
        except OSError as error:
            if not self._failed:
                _log.warning("the service manager cannot be told", error=error.strerror)
            self._failed = True
        else:
            self._failed = False


def _address(given: str) -> str | None:
    """The address of its socket: a path, or a name without a file behind `@`. None without one."""
    if given.startswith("@"):
        return f"\0{given[1:]}"
    if given.startswith("/"):
        return given
    if given:
        _log.warning("NOTIFY_SOCKET is no path and no abstract socket; nobody is told", is_=given)
    return None


def _watchdog(environ: Mapping[str, str], pid: int) -> float | None:
    """The watchdog's interval in seconds, if it is meant for this process."""
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    with suppress(ValueError):
        microseconds = int(environ.get("WATCHDOG_USEC", "0"))
        return microseconds / _MICROSECONDS if microseconds > 0 else None
    return None
