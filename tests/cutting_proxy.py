"""A TCP proxy before a database that cuts connections at a chosen moment of their conversation, and
counts how often it goes to and fro."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

Cut = Literal["before", "after", "late"]
"""The client's connection breaks at its COMMIT. `before`: the COMMIT never reaches the server.
`after`: the server has answered it. `late`: it reaches the server a moment after the break."""
WRITES = b"INSERT INTO meta"
"""What every transaction of a writer begins with, and no other."""


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
                server = socket.create_connection(("127.0.0.1", self.target))
                self._sockets += [client, server]
                answered = threading.Event()
                for way in (self._forward, _pass_on):
                    sides = (client, server, answered)
                    threading.Thread(target=way, args=sides, daemon=True).start()

    def _forward(
        self, client: socket.socket, server: socket.socket, answered: threading.Event
    ) -> None:
        writes = False
        with suppress(OSError):
            while data := client.recv(65536):
                self.turns += answered.is_set()
                answered.clear()
                writes = writes or WRITES in data
                if writes and b"COMMIT" in data and self._planned:
                    self._cut(self._planned.pop(0), data, client, server)
                    return
                writes = writes and b"COMMIT" not in data
                server.sendall(data)
        _break(server)

    def _cut(self, cut: Cut, data: bytes, client: socket.socket, server: socket.socket) -> None:
        self.cuts += 1
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


def _pass_on(client: socket.socket, server: socket.socket, answered: threading.Event) -> None:
    with suppress(OSError):
        while data := server.recv(65536):
            answered.set()
            client.sendall(data)
    _break(client)


def _deafen(client: socket.socket) -> None:
    with suppress(OSError):
        client.shutdown(socket.SHUT_WR)


def _break(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
