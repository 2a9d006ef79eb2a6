"""Resolving in threads, and connecting to nothing but what was checked."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import ip_address

from daemon.core.values.outgoing import OutgoingPolicy


def permitted(policy: OutgoingPolicy, host: str, port: int, found: Iterable[str]) -> list[str]:
    """The addresses of a host, all of which may be connected to. Raises AddressRefused."""
    addresses = list(dict.fromkeys(found))
    for address in addresses:
        policy.check_address(host, port, ip_address(address))
    return addresses


def resolved(policy: OutgoingPolicy, host: str, port: int) -> list[str]:
    """The addresses of a host, asked for once, in the resolver's order. Raises AddressRefused,
    OSError."""
    policy.check_host(host, port)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return permitted(policy, host, port, (str(address[0]) for *_, address in found))


def connected(policy: OutgoingPolicy, host: str, port: int, timeout: float | None) -> socket.socket:
    """A connection to the first address that takes it; `timeout` in seconds, for each. Raises
    AddressRefused, OSError."""
    failure: OSError = ConnectionError(f"{host} has no address")
    for address in resolved(policy, host, port):
        try:
            return socket.create_connection((address, port), timeout)
        except OSError as error:
            failure = error
    raise failure
