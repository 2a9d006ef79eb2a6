"""Addresses of clients, as they are counted."""

from __future__ import annotations

import ipaddress


def block_of(address: str) -> str:
    """The address, or of IPv6 the network that one customer has for themselves."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:100]
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(getattr(found, "ipv4_mapped", None) or found)
