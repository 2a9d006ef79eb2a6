"""aiohttp: sessions whose requests, redirects included, lead where the policy lets them."""

from __future__ import annotations

import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver

from daemon.adapters.outgoing.resolving import permitted
from daemon.core.values.outgoing import OutgoingPolicy, is_localhost


class CheckedResolver(AbstractResolver):
    """Resolves a name once and refuses it if any of its addresses is refused. The connection goes
    to what was checked, for the connector resolves by nothing else."""

    def __init__(self, policy: OutgoingPolicy, resolver: AbstractResolver | None = None) -> None:
        self._policy = policy
        self._resolver = resolver or DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses. Raises AddressRefused, OSError."""
        found = await self._resolver.resolve(host, port, family)
        # This machine by name is judged by the request's guard, which knows whose request it is.
        if not is_localhost(host):
            permitted(self._policy, host, port, (one["host"] for one in found))
        return found

    async def close(self) -> None:
        """Close the resolver below."""
        await self._resolver.close()


def address_guard(policy: OutgoingPolicy) -> aiohttp.ClientMiddlewareType:
    """Judges each request and each hop of a redirect before anything is resolved: a host that is
    an address is never given to a resolver."""

    async def guard(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        url = request.url
        policy.check_url(url.scheme, url.raw_host, url.port)
        return await handler(request)

    return guard


def outgoing_session(
    policy: OutgoingPolicy, resolver: AbstractResolver | None = None, **options: Any
) -> aiohttp.ClientSession:
    """A session; `options` are further ones of `aiohttp.ClientSession`. Needs a running loop."""
    connector = aiohttp.TCPConnector(resolver=CheckedResolver(policy, resolver))
    return aiohttp.ClientSession(
        connector=connector, middlewares=(address_guard(policy),), **options
    )
