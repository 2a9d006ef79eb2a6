"""Prometheus through prometheus-api-client.

That library is synchronous, so it runs in a bounded pool of threads; a query whose deadline is
over is given up, whatever its thread still does. It drops the warnings of an answer, so a hook
on its HTTP session keeps them. What answers like Prometheus is asked as it needs to be
(`daemon.core.measurement.flavours`).
"""

from __future__ import annotations

import ast
import asyncio
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException

from daemon.adapters.daemon_threads import DaemonThreads
from daemon.adapters.http_access import HttpAccess
from daemon.adapters.prometheus_answers import read_series
from daemon.adapters.prometheus_errors import query_refusal
from daemon.adapters.prometheus_flavour import BUILD_INFORMATION, RawReply, ServerIdentity
from daemon.adapters.prometheus_session import (
    NO_RETRY,
    QueryMethod,
    QuerySession,
    Reread,
)
from daemon.adapters.tls import distrust, distrust_mend
from daemon.core.measurement.flavours import (
    PARTIAL,
    MetricsFlavour,
    MetricsServer,
    hints_apart,
    version_by_build,
)
from daemon.core.measurement.range_tail import joined_range, split_range
from daemon.core.measurement.samples import QueryAnswer
from daemon.core.values.outcome import Permanent, Temporary

_ASIDE = (b'"warnings"', b'"infos"', b'"isPartial"')
"""The fields beside the data in which an answer tells what it is worth."""


class _PooledConnect(PrometheusConnect):  # type: ignore[misc]
    """The library mounts an HTTP adapter of its own; ours has a connection for each thread, and
    leads nowhere else.
    """

    def __init__(self, url: str, session: QuerySession, timeout: float, threads: int) -> None:
        super().__init__(url, retry=NO_RETRY, session=session, timeout=timeout, method="POST")
        session.mount(url, session.adapter(threads))


class Prometheus:
    """Implements `daemon.core.ports.metrics.Metrics`, `daemon.core.ports.metrics.DescribedMetrics`
    and `daemon.core.ports.metrics.Peer`.

    `access` is how it is reached, or a plain address. `timeout` in seconds is the deadline of one
    query, waiting for a free thread included. `method` and `reread` as of a QuerySession. Of which
    `flavour` the server is, is found out at the first query if None is given. Raises Permanent if a
    file of the access cannot be used.
    """

    def __init__(
        self,
        access: HttpAccess | str,
        timeout: float,
        concurrency: int,
        method: QueryMethod = "auto",
        reread: Reread | None = None,
        flavour: MetricsFlavour | None = "prometheus",
    ) -> None:
        self._access = HttpAccess(access) if isinstance(access, str) else access
        self._url = self._shown = self._access.address
        self._timeout = timeout
        self._threads = DaemonThreads("prometheus", concurrency)
        self._warnings = threading.local()
        self._session = QuerySession(self._access, method, reread)
        self._session.hooks["response"].append(self._keep_warnings)
        self._client = _PooledConnect(self._url, self._session, timeout, concurrency)
        self._identity = ServerIdentity(flavour, self._look)

    @property
    def gets(self) -> bool:
        """Whether queries have turned out to be taken in the address alone."""
        return self._session.gets

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        """The value of each series at that time."""
        async with asyncio.timeout(self._timeout):
            server = await self._identity.known()
            return await self._instant(query, at, server)

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        """Values from `start` to `end`, one each `step`."""
        async with asyncio.timeout(self._timeout):
            server = await self._identity.known()
            return await self._series(query, start, end, step, server)

    async def server(self) -> MetricsServer:
        """Which server it is, and how far its answers lag. Raises Temporary or TimeoutError."""
        async with asyncio.timeout(self._timeout):
            return await self._identity.known()

    async def newest(self, *, plainly: bool) -> datetime | None:
        """When the newest sample of all scrape targets was that it tells now, asked `plainly` or
        as queries are asked; None if it has no `up`. Raises Temporary or TimeoutError."""
        async with asyncio.timeout(self._timeout):
            server = await self._identity.known()
            asked = {} if plainly else server.traits.parameters
            newest = await self._identity.newest(asked)
        return None if newest is None else datetime.fromtimestamp(newest, UTC)

    async def version(self) -> str:
        """Which version it runs; empty if it is something else that answers PromQL only."""
        async with asyncio.timeout(self._timeout):
            answer = await self._ask(BUILD_INFORMATION, {})
        if answer.status == 404:
            return ""
        if answer.status != 200:
            raise Temporary(f"Prometheus at {self._shown} answered {answer.status}")
        version = version_by_build(answer.data)
        if version is None:
            raise _foreign(self._shown)
        return version

    def close(self) -> None:
        """Give up waiting queries and close the connections. A query that hangs keeps its thread,
        which nobody waits for."""
        self._threads.give_up()
        self._session.close()

    async def _instant(
        self, query: str, at: datetime, server: MetricsServer, step: timedelta | None = None
    ) -> QueryAnswer:
        """`step`: of the range that this is a value of."""
        params = {**server.traits.parameters, "time": f"{at.timestamp():.3f}"}
        if step is not None:
            params["step"] = f"{step.total_seconds():.3f}"
        call = partial(self._client.custom_query, query, params=params)
        return await self._query(query, call, server)

    async def _series(
        self, query: str, start: datetime, end: datetime, step: timedelta, server: MetricsServer
    ) -> QueryAnswer:
        split = split_range(start, end, step, datetime.now(UTC), server.repeats)
        last = split.last
        single = [self._instant(query, at, server, step) for at in split.single]
        if last is None:
            tail = await asyncio.gather(*single)
            return joined_range(query, None, list(zip(split.single, tail, strict=True)))
        seconds = f"{step.total_seconds():.3f}"
        # The library rounds to whole seconds; its extra parameters have the last word.
        exact = {"start": f"{start.timestamp():.3f}", "end": f"{last.timestamp():.3f}"}
        params = {**server.traits.parameters, **exact}
        head, *tail = await asyncio.gather(
            self._query(
                query,
                partial(
                    self._client.custom_query_range, query, start, last, seconds, params=params
                ),
                server,
            ),
            *single,
        )
        return (
            joined_range(query, head, list(zip(split.single, tail, strict=True))) if tail else head
        )

    async def _ask(self, path: str, params: Mapping[str, str]) -> RawReply:
        """A GET beside the queries, answered as it is. Raises Temporary."""
        url = f"{self._url}{path}"
        ask = partial(self._session.get, url, params=dict(params), timeout=self._timeout)
        try:
            answer = await self._threads.run(ask)
        except requests.Timeout:
            raise TimeoutError from None
        except requests.RequestException as error:
            raise _away(self._access, error) from None
        try:
            data = answer.json()
        except ValueError:
            data = None
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return RawReply(answer.status_code, headers, data)

    async def _look(self, path: str, params: Mapping[str, str]) -> RawReply:
        """The same for finding out who it is, where a gateway may let pass queries alone."""
        try:
            return await self._ask(path, params)
        except Permanent:
            return RawReply(403, {}, None)

    async def _query(
        self, query: str, call: Callable[[], Any], server: MetricsServer
    ) -> QueryAnswer:
        """Raises Temporary, Permanent, TimeoutError."""
        try:
            result, warnings, hints = await self._threads.run(partial(self._call, call))
        except requests.Timeout:
            raise TimeoutError from None
        except requests.RequestException as error:
            self._identity.connection_lost()
            raise _away(self._access, error) from None
        except PrometheusApiClientException as error:
            raise _refused(str(error), self._shown) from None
        try:
            return QueryAnswer(query, read_series(result, query), warnings, hints, server)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise _foreign(self._shown) from None

    def _call(self, call: Callable[[], Any]) -> tuple[Any, tuple[str, ...], tuple[str, ...]]:
        self._warnings.found = (), ()
        try:
            return call(), *self._warnings.found
        except (KeyError, TypeError, ValueError) as error:
            other = isinstance(error, requests.RequestException)
            if other and not isinstance(error, requests.JSONDecodeError):
                raise
            # The library reads the JSON, and data.result in it, without looking.
            return None, (), ()

    def _keep_warnings(self, response: requests.Response, **_: object) -> None:
        if not any(name in response.content for name in _ASIDE):
            return
        try:
            body = response.json()
            found, infos = self._texts(body.get("warnings")), self._texts(body.get("infos"))
            partial, hints = hints_apart(found)
            if body.get("isPartial") is True:
                partial = (*partial, PARTIAL)
        except (ValueError, AttributeError):
            return
        self._warnings.found = partial, (*hints, *infos)

    def _texts(self, said: Any) -> tuple[str, ...]:
        listed = said if isinstance(said, list) else [said] if said else []
        return tuple(self._session.access.clean(str(text)) for text in listed)


def _away(access: HttpAccess, error: Exception) -> Temporary:
    shown, setting = access.address, access.setting
    why = distrust(error)
    if why:
        mend = distrust_mend(why, f"see `{setting}.tls`")
        return Temporary(f"Prometheus at {shown}: TLS fails ({why}); {mend}")
    if isinstance(error, requests.exceptions.ProxyError):
        return Temporary(f"Prometheus at {shown} cannot be reached by `{setting}.proxy`")
    cut = "Connection aborted" in str(error) or isinstance(error, requests.exceptions.SSLError)
    if shown.startswith("https:") and cut:
        # How a client sees it in TLS 1.3 that its certificate is not there or not believed.
        text = f"Prometheus at {shown} hangs up; does it want a certificate (`{setting}.tls`)?"
        return Temporary(text)
    return Temporary(f"Prometheus at {shown} cannot be reached ({type(error).__name__})")


def _foreign(shown: str) -> Permanent:
    return Permanent(f"the answer of {shown} is not Prometheus's format; is the address right?")


def _refused(text: str, url: str) -> Temporary | Permanent:
    """Read the status and the body out of the library's message: 'HTTP Status Code 400 (b'…')'."""
    status, _, rest = text.removeprefix("HTTP Status Code ").partition(" ")
    try:
        body = ast.literal_eval(rest)
    except (ValueError, SyntaxError):
        body = rest
    content = body if isinstance(body, bytes) else str(body).encode()
    return query_refusal(int(status) if status.isdigit() else 0, content, url)
