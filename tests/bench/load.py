"""A load generator in a process of its own: posts the bodies of a file, prints how many a second.

Usage: python load.py URL FILE CONNECTIONS. The file holds one JSON body a line. It speaks just
enough HTTP, for a real client would need more of the processor than what is measured.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"(?i)content-length: *(\d+)")


class _Connection(asyncio.Protocol):
    """Posts one body after the other as long as there are any."""

    def __init__(self, host: str, path: str, bodies: Iterator[bytes]) -> None:
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Alertmanager/0.28\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()
        self._bodies = bodies
        self._received = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._post()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        length = _LENGTH.search(head)
        assert length is not None
        if len(body) < int(length[1]):
            return
        self._received = b""
        if b" 200 " not in head.partition(b"\r\n")[0]:
            self._fail(f"answered {head + end + body!r}")
        else:
            self._post()

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"closed the connection: {error}")

    def _post(self) -> None:
        body = next(self._bodies, None)
        if body is not None:
            self._transport.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
        elif not self.done.done():
            self.done.set_result(None)

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(SystemExit(why))


async def _measure(url: str, lines: list[bytes], connections: int) -> float:
    to = urlsplit(url)
    assert to.hostname is not None
    bodies, loop = iter(lines), asyncio.get_running_loop()
    begin = time.perf_counter()
    made = [
        await loop.create_connection(
            lambda: _Connection(to.netloc, to.path, bodies), to.hostname, to.port
        )
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.done for _, protocol in made))
    took = time.perf_counter() - begin
    for transport, _ in made:
        transport.close()
    return len(lines) / took


if __name__ == "__main__":
    with open(sys.argv[2], "rb") as file:
        asked = file.read().splitlines()
    print(asyncio.run(_measure(sys.argv[1], asked, int(sys.argv[3]))))  # noqa: T201
