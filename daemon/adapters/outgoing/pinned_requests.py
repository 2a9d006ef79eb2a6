"""requests: an adapter whose connections go to the addresses that were checked. What a certificate
must say stays the name."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError

from daemon.adapters.outgoing.resolving import resolved
from daemon.core.values.outgoing import OutgoingPolicy


class PinnedAdapter(HTTPAdapter):
    """Mount it for http:// and https://. What goes by a proxy is resolved by that proxy: of it
    only a host that is an address itself is judged."""

    def __init__(self, policy: OutgoingPolicy, **options: Any) -> None:
        self._policy = policy
        self._checked: str | None = None
        super().__init__(**options)

    def init_poolmanager(self, *given: Any, **options: Any) -> None:
        """As the library calls it."""
        super().init_poolmanager(*given, **options)
        self.poolmanager.pool_classes_by_scheme = _pools(self._policy)

    def send(self, request: Any, *given: Any, **options: Any) -> Any:
        """Send. Raises AddressRefused beside what requests raises."""
        if request.url != self._checked:  # a query's is always the same
            parts = urlsplit(request.url)
            self._policy.check_url(parts.scheme, parts.hostname, parts.port)
            self._checked = request.url
        return super().send(request, *given, **options)

    def close(self) -> None:
        """Close the connections: those that wait now, those in use when their answer is there."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            # The library only lets go of its pools, and each stays open as long as an answer
            # lives that came by it.
            for key in manager.pools.keys():  # noqa: SIM118 - it is no mapping to iterate over
                if (pool := manager.pools.get(key)) is not None:
                    pool.close()
        super().close()


def _pools(policy: OutgoingPolicy) -> dict[str, type[HTTPConnectionPool]]:
    """The library wants classes, which are made by it: the policy is theirs, not an instance's."""

    class Plain(_Pinned, HTTPConnection):
        outgoing = policy

    class Secure(_Pinned, HTTPSConnection):
        outgoing = policy

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


class _Pinned:
    outgoing: OutgoingPolicy
    host: str
    port: int
    _dns_host: str
    _held: list[bytes] | None = None

    def request(self, *given: Any, **options: Any) -> None:
        """Send the head and the form at once: for each the thread would give up the interpreter's
        lock, and wait for it again."""
        held: list[bytes] = []
        self._held = held
        try:
            super().request(*given, **options)  # type: ignore[misc]
        finally:
            self._held = None
        self.send(b"".join(held))

    def send(self, data: Any) -> None:
        """Send it, or hold it for the rest of its request."""
        if self._held is None:
            super().send(data)  # type: ignore[misc]
        else:
            self._held.append(data)

    def _new_conn(self) -> socket.socket:
        """The library's own, given one checked address after the other instead of the name."""
        name = self._dns_host
        try:
            addresses = resolved(self.outgoing, name, self.port)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error  # type: ignore[arg-type]
        connect = super()._new_conn  # type: ignore[misc]
        failure: Exception = NewConnectionError(self, "no address")  # type: ignore[arg-type]
        try:
            for address in addresses:
                self._dns_host = address
                try:
                    made: socket.socket = connect()
                except NewConnectionError as error:
                    failure = error
                else:
                    return made
        finally:
            self._dns_host = name
        raise failure
