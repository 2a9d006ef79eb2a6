"""Requests to the API server: raw objects, a deadline on each, and typed errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp

from daemon.core.ports.actions import may_always
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.outgoing import OutgoingPolicy
from daemon.core.values.units import format_duration
from recovery_actions.kubernetes.errors import Expired, NotDone, failure
from recovery_actions.kubernetes.names import Resource
from recovery_actions.workshop import Cluster, Workshop

if TYPE_CHECKING:
    from recovery_actions.kubernetes.connection import ApiConnection, ApiReply

Object = dict[str, Any]
"""An object as the server sent it."""

MANAGER = "stopgap"
"""Who we are in `managedFields`."""

JSON_PATCH = "application/json-patch+json"
STRATEGIC_MERGE = "application/strategic-merge-patch+json"

_PAGE = 500
_PAGES = 1000
_READINGS = 3
"""How often a list is begun that expires while it is read."""
_RENEW_AGAIN = 30.0
"""Seconds between two attempts to renew credentials that are not accepted."""

_UNTRUSTED = (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError)


class ClusterClient:
    """The clusters that the settings name; a resource says which one it is in. Get it by
    `workshop.shared(ClusterClient)`. Every method raises NoSuchCluster if it is none of them.
    """

    def __init__(self, workshop: Workshop, name: str = "") -> None:
        self._workshop = workshop
        self._name = name
        self._cluster = workshop.cluster_of(name)
        self._others: dict[str, ClusterClient] = {}
        self._timeout = self._cluster.timeout
        self._connection: ApiConnection | None = None
        self._loaded = 0
        self._renewed = -_RENEW_AGAIN
        self._opening = asyncio.Lock()

    def acting(self, must_act: Callable[[], None]) -> ClusterClient:
        """The same clusters for one run of an action: right before each request that changes
        something, a dry run aside, `must_act` is asked, and nothing is sent if it raises."""
        return _ActingClient(self, must_act)

    async def get(self, resource: Resource) -> Object:
        """Read one object. Raises Missing, Forbidden, Temporary or Permanent."""
        return await self._request("get", "GET", resource, {})

    async def items(
        self, resource: Resource, selector: str = "", *, fields: str = ""
    ) -> list[Object]:
        """All objects of a collection that a label and a field selector fit, page by page."""
        selectors = {"labelSelector": selector, "fieldSelector": fields}
        query = {"limit": str(_PAGE)} | {key: text for key, text in selectors.items() if text}
        for _ in range(_READINGS - 1):
            # Half of an old list and half of a new one would be a list of neither.
            with suppress(Expired):
                return await self._pages(resource, query)
        return await self._pages(resource, query)

    async def _pages(self, resource: Resource, query: Mapping[str, str]) -> list[Object]:
        found: list[Object] = []
        token = ""
        for _ in range(_PAGES):
            page = await self._request(
                "list", "GET", resource, {**query, **({"continue": token} if token else {})}
            )
            items = page.get("items")
            found += [item for item in items or () if isinstance(item, dict)]
            metadata = page.get("metadata")
            more = metadata.get("continue") if isinstance(metadata, dict) else None
            if not more:
                return found
            if str(more) == token:
                break
            token = str(more)
        raise Permanent(f"the list of {resource.title} has no end; look what answers for the API")

    async def patch(
        self,
        resource: Resource,
        kind: str,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        dry_run: bool = False,
    ) -> Object:
        """Patch one object, or only try it; gives the object as it is, or would be, then.

        Raises VersionConflict if a precondition in the patch does not hold, and as `get` does.
        """
        query = {"fieldManager": MANAGER} | ({"dryRun": "All"} if dry_run else {})
        return await self._request("patch", "PATCH", resource, query, body, kind)

    async def delete(self, resource: Resource, uid: str, version: str = "") -> None:
        """Delete the object of that name if it is still the one with that uid and, where one is
        given, unchanged since that resourceVersion.

        Raises VersionConflict if it is not, and as `get` does.
        """
        only = {"uid": uid} | ({"resourceVersion": version} if version else {})
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": only}
        await self._request("delete", "DELETE", resource, {}, body, "application/json")

    async def _request(
        self,
        verb: str,
        method: str,
        resource: Resource,
        query: Mapping[str, str],
        body: object = None,
        content: str = "",
        before: Callable[[], None] = may_always,
    ) -> Object:
        if resource.cluster != self._name:
            ask = self._other(resource.cluster)._request  # noqa: SLF001 - it is one of ours
            return await ask(verb, method, resource, query, body, content, before)
        data = None if body is None else encoded(body)
        headers = {"Accept": "application/json"} | ({"Content-Type": content} if content else {})
        loaded = self._loaded
        reply = await self._send(method, resource, urlencode(query), headers, data, before)
        if reply.status == 401 and await self._renew(loaded):
            # A 401 was not acted on, so asking again is safe even for a change.
            reply = await self._send(method, resource, urlencode(query), headers, data, before)
        parsed = _parsed(reply.body)
        if not 200 <= reply.status < 300:
            raise failure(reply.status, parsed or {}, verb, resource, reply.retry_after)
        if parsed is None:
            text = f"what answers for {resource.title} is no API server: it sends no JSON object"
            raise Permanent(text)
        return parsed

    def _other(self, name: str) -> ClusterClient:
        """The client of another cluster, with a connection and credentials of its own."""
        if name not in self._others:
            self._others[name] = ClusterClient(self._workshop, name)
        return self._others[name]

    async def _send(
        self,
        method: str,
        resource: Resource,
        query: str,
        headers: dict[str, str],
        data: bytes | None,
        before: Callable[[], None],
    ) -> ApiReply:
        connection = await self._open()
        before()
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                return await connection.request(method, resource.path, query, headers, data)
        except TimeoutError as error:
            limit = format_duration(self._timeout)
            text = f"the cluster did not answer about {resource.title} within {limit}"
            raise Temporary(text) from error
        except _UNTRUSTED as error:
            text = "the API server's certificate is not trusted; look at certificate-authority"
            raise Permanent(f"{text} in the kubeconfig") from error
        except aiohttp.InvalidURL as error:
            raise Permanent("the kubeconfig's server address is not an address") from error
        except aiohttp.ClientConnectorError as error:
            text = f"the cluster cannot be reached ({type(error).__name__})"
            raise NotDone(f"{text}, asking about {resource.title}") from error
        except (aiohttp.ClientError, OSError) as error:
            text = f"the cluster cannot be reached ({type(error).__name__})"
            raise Temporary(f"{text}, asking about {resource.title}") from error

    async def _open(self) -> ApiConnection:
        async with self._opening:
            if self._connection is None:
                self._connection = await asyncio.to_thread(
                    _connection, self._cluster, self._workshop.outgoing
                )
                self._workshop.on_close(self._close)
            if not self._connection.loaded:
                await self._connection.load()
            return self._connection

    async def _renew(self, loaded: int) -> bool:
        """Read the credentials again, as they may have been exchanged since they were `loaded`.

        False if there is no hope in asking again.
        """
        now = asyncio.get_running_loop().time()
        async with self._opening:
            if self._loaded != loaded:
                return True
            if self._connection is None or now - self._renewed < _RENEW_AGAIN:
                return False
            self._renewed = now
            await self._connection.load()
            self._loaded += 1
            return True

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        self._renewed = -_RENEW_AGAIN
        if connection is not None:
            await connection.close()


class _ActingClient(ClusterClient):
    """A client of which each request that changes something asks first."""

    def __init__(self, client: ClusterClient, must_act: Callable[[], None]) -> None:
        self._client = client
        self._must_act = must_act

    async def _request(
        self,
        verb: str,
        method: str,
        resource: Resource,
        query: Mapping[str, str],
        body: object = None,
        content: str = "",
        before: Callable[[], None] = may_always,
    ) -> Object:
        if method != "GET" and "dryRun" not in query:
            before = self._must_act
        ask = self._client._request  # noqa: SLF001 - the same class
        return await ask(verb, method, resource, query, body, content, before)


def _connection(cluster: Cluster, outgoing: OutgoingPolicy) -> ApiConnection:
    # The library takes half a second to import; the command line does not wait for it.
    from recovery_actions.kubernetes.connection import ApiConnection

    return ApiConnection(cluster, outgoing)


def encoded(body: object) -> bytes:
    """JSON as the API server itself writes it: `<`, `>`, `&`, U+2028 and U+2029 are escaped, and
    other letters are not.

    The server compares the value of a `test` byte for byte with its own writing, so that without
    this no Deployment with `&&` in a command could be rolled back (kubernetes/apiserver#100).
    """
    text = json.dumps(body, ensure_ascii=False)
    for character in "<>&\u2028\u2029":  # they stand in strings alone
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode(errors="replace")


def _parsed(body: bytes) -> Object | None:
    try:
        parsed = json.loads(body)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
