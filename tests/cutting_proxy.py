"""A TCP proxy before a database that cuts connections at a chosen moment of their conversation, and
counts how often it goes to and fro."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

Cut = Literal["before", "after", "late", "ended", "undone"]
"""The client's connection breaks at its COMMIT. `before`: the COMMIT never reaches the server.
`after`: the server has answered it. `late`: it reaches the server a moment after the break.
`ended`: the server has answered it, and says next that it ends the session. `undone`: it says so
instead of answering, and has rolled back."""
WRITES = b"INSERT INTO meta"
"""What every transaction of a writer begins with, and no other."""
# Of a session that ends, the last answer may be that to the COMMIT.
_LAST_ANSWER = re.compile(rb"C\0\0\0\x0bCOMMIT\0|(?=C\0\0\0\x0dROLLBACK\0)")
_FIELDS = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
_END_OF_SESSION = b"E" + (4 + len(_FIELDS)).to_bytes(4, "big") + _FIELDS


@dataclass
class _Link:
    """A client's connection, and the one to the server that it is passed on to."""

    client: socket.socket
    server: socket.socket
    answered: threading.Event = field(default_factory=threading.Event)
    ends: threading.Event = field(default_factory=threading.Event)
    """Whether the server is made to end the session with the transaction."""


@dataclass
class CuttingProxy:
    """Listens on a free port of this machine; `close` it at the end."""

    target: int
    late_by: float = 0.3
    cuts: int = 0
    turns: int = 0
    """How often a client spoke after it was answered: the round trips, however many messages."""
    port: int = 0
    _planned: list[Cut] = field(default_factory=list)
    _refuses: threading.Event = field(default_factory=threading.Event)
    _sockets: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_next(self, *cuts: Cut) -> None:
        """Cut the next writers' transactions, one after the other."""
        self._planned += cuts

    def cut_all(self, *, refuse: bool) -> None:
        """Break what is open now; `refuse`: and everything that comes, until called again."""
        (self._refuses.set if refuse else self._refuses.clear)()
        for each in self._sockets:
            _break(each)
        self._sockets.clear()

    def close(self) -> None:
        """Break everything, listen no more."""
        self.cut_all(refuse=True)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._refuses.is_set():
                    _break(client)
                    continue
                link = _Link(client, socket.create_connection(("127.0.0.1", self.target)))
                self._sockets += [link.client, link.server]
                for way in (self._forward, _pass_on):
                    threading.Thread(target=way, args=(link,), daemon=True).start()

    def _forward(self, link: _Link) -> None:
        writes = False
        with suppress(OSError):
            while data := link.client.recv(65536):
                self.turns += link.answered.is_set()
                link.answered.clear()
                writes = writes or WRITES in data
                if writes and b"COMMIT" in data and self._planned:
                    self.cuts += 1
                    cut = self._planned.pop(0)
                    if cut not in {"ended", "undone"}:
                        self._cut(cut, data, link.client, link.server)
                        return
                    link.ends.set()
                    data = data.replace(b"COMMIT", b"ABORT ") if cut == "undone" else data
                writes = writes and b"COMMIT" not in data
                link.server.sendall(data)
        _break(link.server)

    def _cut(self, cut: Cut, data: bytes, client: socket.socket, server: socket.socket) -> None:
        if cut == "after":
            _deafen(client)  # the answer is not passed on
            server.sendall(data)
            threading.Event().wait(self.late_by)
        _break(client)
        if cut == "late":
            threading.Event().wait(self.late_by)
            server.sendall(data)
            threading.Event().wait(self.late_by)
        _break(server)


def _pass_on(link: _Link) -> None:
    with suppress(OSError):
        while data := link.server.recv(65536):
            link.answered.set()
            last = _LAST_ANSWER.search(data) if link.ends.is_set() else None
            if last:
                link.client.sendall(data[: last.end()] + _END_OF_SESSION)
                link.client.shutdown(socket.SHUT_WR)  # the client is heard until it leaves
                return
            link.client.sendall(data)
    _break(link.client)


def _deafen(client: socket.socket) -> None:
    with suppress(OSError):
        client.shutdown(socket.SHUT_WR)


def _break(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
