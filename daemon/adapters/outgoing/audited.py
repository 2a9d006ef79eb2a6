"""Libraries that open their connections themselves: Python tells of each connect of a thread, with
the address that it is about to take, and lets it be refused. So nothing can change in between.

A hook cannot be taken out again: it is put in when the first such library is used, and looks at
nothing outside of `connections_checked`.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from daemon.core.values.outgoing import AddressRefused, OutgoingPolicy, literal_address

_INTERNET = frozenset({socket.AF_INET, socket.AF_INET6})
_CONNECTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})


class _OfThread(threading.local):
    policy: OutgoingPolicy | None = None
    name: str = ""
    refused: AddressRefused | None = None


_here = _OfThread()
_once = threading.Lock()
_installed = False


@contextmanager
def connections_checked(policy: OutgoingPolicy) -> Iterator[None]:
    """All connections that this thread opens within are held to the policy. Raises AddressRefused
    at the end, whatever the library made of it, if one was refused."""
    _install()
    _here.policy, _here.name, _here.refused = policy, "", None
    try:
        yield
    finally:
        _here.policy = None
    if _here.refused is not None:
        raise _here.refused


def _install() -> None:
    global _installed
    with _once:
        if not _installed:
            sys.addaudithook(_look)
            _installed = True


def _look(event: str, given: tuple[Any, ...], here: _OfThread = _here) -> None:
    # `here` is a default, for a hook is also asked while the interpreter ends, when the names of
    # a module are gone.
    policy = here.policy
    if policy is None:
        return
    if event == "socket.getaddrinfo":
        here.name = _text(given[0])
    elif event in _CONNECTS:
        opened, address = given
        if opened.family in _INTERNET and isinstance(address, tuple):
            try:
                _judge(policy, _text(address[0]), int(address[1]))
            except AddressRefused as refusal:
                here.refused = refusal
                opened.close()  # libraries do that for an OSError alone
                raise


def _judge(policy: OutgoingPolicy, host: str, port: int) -> None:
    address = literal_address(host)
    if address is None:
        raise AddressRefused("it connects to a name, of which nobody sees the address")
    policy.check_address(_here.name, port, address)


def _text(host: object) -> str:
    return host.decode(errors="replace") if isinstance(host, bytes) else str(host or "")
