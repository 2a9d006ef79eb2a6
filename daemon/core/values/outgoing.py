"""Where a connection of ours may lead: the policy of outgoing addresses.

What settings, a rule, a label, the roster or a person can name must not make the daemon knock at
its own machine's doors or at the cloud's metadata service, which trust whoever comes from here.
Private networks stay open: the services that we measure and mend are there. So do 240.0.0.0/4 and
100.64.0.0/10, which service meshes and overlay networks hand out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import urlsplit

from daemon.core.values.outcome import Permanent

SCHEMES = {"http": 80, "https": 443}
"""What we speak, with the usual port of each."""

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?", re.IGNORECASE)
_METADATA = (
    # What clouds tell machines, beside 169.254.0.0/16: credentials among it.
    ip_network("fd00:ec2::/32"),  # AWS
    ip_network("fd20:ce::254/128"),  # Google Cloud
    ip_network("100.100.100.200/32"),  # Alibaba Cloud
    ip_network("168.63.129.16/32"),  # Azure
    ip_network("192.0.0.192/32"),  # Oracle Cloud
)
_NAT64 = ip_network("64:ff9b::/96")
_LOCAL_NAT64 = ip_network("64:ff9b:1::/48")
_COMPATIBLE = ip_network("::/96")
_SITE_ONLY = ip_network("0.0.0.0/8")
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})

IpAddress = IPv4Address | IPv6Address


class AddressRefused(Permanent):
    """A connection would lead to where it must not."""


@dataclass(frozen=True, slots=True)
class AllowedDestination:
    """One entry of `outgoing.allow`: a network, or a host by its name; `port` None is any port."""

    network: IPv4Network | IPv6Network | None
    name: str = ""
    port: int | None = None

    def covers(self, host: str, port: int, address: IpAddress) -> bool:
        """Whether that port of that host, which has that address, is meant."""
        if self.port not in (None, port):
            return False
        if self.network is None:
            return _plain(host) == self.name
        return any(
            one.version == self.network.version and one in self.network
            for one in (address, *_inner(address))
        )


@dataclass(frozen=True, slots=True)
class OutgoingPolicy:
    """What may be connected to. `allow` opens what is refused by default; `place` is told in
    errors: the setting that names the address."""

    allow: tuple[AllowedDestination, ...] = ()
    place: str = ""

    def at(self, place: str) -> OutgoingPolicy:
        """The same for what is named there."""
        return replace(self, place=place)

    def trusting(self, url: str) -> OutgoingPolicy:
        """The same, but for one address of this machine that the operator wrote literally
        (`http://127.0.0.1:9090`, `http://localhost:9090`): that host at that port is their own."""
        parts = urlsplit(url)
        try:
            port = parts.port or SCHEMES.get(parts.scheme, 0)
        except ValueError:
            return self
        return self.trusting_host(parts.hostname or "", port)

    def trusting_host(self, host: str, port: int) -> OutgoingPolicy:
        """As `trusting`, for what is no URL."""
        address = literal_address(host)
        if address is not None and _kind(address) == "loopback":
            own = AllowedDestination(ip_network(address), port=port)
        elif is_localhost(host):
            own = AllowedDestination(None, _plain(host), port)
        else:
            return self
        return replace(self, allow=(*self.allow, own))

    def check_literally(self, url: str) -> None:
        """Refuse an address for what is seen of it without resolving a name; what is no URL is
        somebody else's to refuse. Raises AddressRefused."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            return
        if host:
            self.check_host(host, port or SCHEMES.get(parts.scheme, 0))

    def check_url(self, scheme: str, host: str | None, port: int | None) -> None:
        """Whether it may be asked, as far as that is seen before its name is resolved. Raises
        AddressRefused."""
        if scheme not in SCHEMES or not host:
            raise AddressRefused(f"{self._said}its address is not a URL of http or https")
        self.check_host(host, port or SCHEMES[scheme])

    def check_host(self, host: str, port: int) -> None:
        """Refuse a host that is an address itself, however it is spelled, or is this machine by
        name. Raises AddressRefused."""
        address = literal_address(host)
        if address is not None:
            self.check_address(host, port, address)
        elif is_localhost(host):
            self.check_address(host, port, IPv4Address("127.0.0.1"))
        elif ":" in host or re.fullmatch(r"[0-9.]+", host):
            raise AddressRefused(f"{self._said}its address is not spelled as one")

    def check_address(self, host: str, port: int, address: IpAddress) -> None:
        """Refuse one of the addresses that a host has. Raises AddressRefused."""
        kind = _kind(address)
        if not kind or any(one.covers(host, port, address) for one in self.allow):
            return
        bare = str(address).partition("%")[0]
        shown = f"[{bare}]:{port}" if address.version == 6 else f"{bare}:{port}"
        raise AddressRefused(
            f"{self._said}it leads to {shown}, which is {kind}, where nothing goes by default; "
            f'if it is meant, add "{shown}" to `outgoing.allow` in stopgap.yaml'
        )

    @property
    def _said(self) -> str:
        return f"{self.place}: " if self.place else ""


NOTHING_ALLOWED = OutgoingPolicy()
"""What holds where no settings say otherwise."""


def allowed_destinations(entries: Iterable[str]) -> tuple[AllowedDestination, ...]:
    """The entries of `outgoing.allow`. Raises ValueError naming the one that is none."""
    return tuple(_entry(text) for text in entries)


def literal_address(host: str) -> IpAddress | None:
    """The address that a host spells, in any way that a resolver takes for one: `127.0.0.1`,
    `127.1`, `0177.0.0.1`, `2130706433`, `0x7f000001`, `[::1]`; None if it is a name."""
    text = host.strip("[]").rstrip(".")
    try:
        return ip_address(text)
    except ValueError:
        return _legacy(text)


def is_localhost(host: str) -> bool:
    """Whether it is this machine by name (RFC 6761)."""
    name = _plain(host)
    return name in {"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"} or (
        name.endswith(".localhost")
    )


def _kind(address: IpAddress) -> str:
    """What makes an address one where nothing goes by default; empty if nothing does."""
    for one in (address, *_inner(address)):
        if any(one.version == net.version and one in net for net in _METADATA):
            return "a cloud's metadata service"
        if one.is_loopback:
            return "loopback"
        if one.is_link_local:
            return "link-local"
        if one.is_unspecified or (isinstance(one, IPv4Address) and one in _SITE_ONLY):
            return "unspecified"
        if one.is_multicast:
            return "multicast"
        if one == IPv4Address("255.255.255.255"):
            return "broadcast"
    return ""


def _inner(address: IpAddress) -> Iterator[IPv4Address]:
    """The IPv4 addresses that an IPv6 address stands for, or carries packets to."""
    if isinstance(address, IPv4Address):
        return
    number = int(address)
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _NAT64 or address in _LOCAL_NAT64 or (number >> 1 and address in _COMPATIBLE):
        yield IPv4Address(number & 0xFFFFFFFF)
    if address in _LOCAL_NAT64:  # RFC 6052: with a prefix of 48 bits, around the octet 64 to 71
        yield IPv4Address((number >> 64 & 0xFFFF) << 16 | number >> 40 & 0xFFFF)
    if number >> 32 & 0xFFFFFFFF in _ISATAP:
        yield IPv4Address(number & 0xFFFFFFFF)


def _legacy(text: str) -> IPv4Address | None:
    """As inet_aton reads it: one to four numbers, the last fills what is left."""
    parts = text.split(".")
    if len(parts) > 4 or not all(len(p) < 40 and _NUMBER.fullmatch(p) for p in parts):
        return None
    try:
        *octets, last = (_number(part) for part in parts)
    except ValueError:
        return None
    if any(octet > 255 for octet in octets) or last >= 256 ** (4 - len(octets)):
        return None
    number = last
    for place, octet in enumerate(octets):
        number += octet << 8 * (3 - place)
    return IPv4Address(number)


def _number(part: str) -> int:
    if part[:2].lower() == "0x":
        return int(part[2:] or "0", 16)
    return int(part, 8 if part.startswith("0") else 10)


def _plain(host: str) -> str:
    return host.rstrip(".").lower()


def _entry(text: str) -> AllowedDestination:
    host, port = text, None
    if found := re.fullmatch(r"(\[[^\]]+\]|[^:]+):([0-9]{1,5})", text):
        host, port = found[1], int(found[2])
    if port is not None and not 0 < port < 65536:
        raise ValueError(f"{text!r}: ports are 1 to 65535")
    try:
        return AllowedDestination(ip_network(host.strip("[]")), port=port)
    except ValueError:
        pass
    if _NAME.fullmatch(host) and literal_address(host) is None:
        return AllowedDestination(None, _plain(host), port)
    raise ValueError(
        f"{text!r} is no destination; write a network (127.0.0.0/8), an address or a host, with "
        "a port or without one (host.internal:8080, [::1]:8080)"
    )
