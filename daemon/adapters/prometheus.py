"""Prometheus through prometheus-api-client.

That library is synchronous, so it runs in a bounded pool of threads; a query whose deadline is
over is given up, whatever its thread still does. It drops the warnings of an answer, so a hook
on its HTTP session keeps them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from daemon.adapters.tls import Trust, distrust
from daemon.core.measurement.samples import QueryAnswer, Series
from daemon.core.values.outcome import Permanent, Temporary

_NO_RETRY = Retry(total=0, redirect=0)
_BUILD = "/api/v1/status/buildinfo"


class _PooledConnect(PrometheusConnect):  # type: ignore[misc]
    """The library mounts an HTTP adapter of ten connections; this one has one for each thread."""

    def __init__(self, url: str, session: requests.Session, timeout: float, threads: int) -> None:
        super().__init__(url, retry=_NO_RETRY, session=session, timeout=timeout, method="POST")
        session.mount(url, HTTPAdapter(max_retries=_NO_RETRY, pool_maxsize=threads))


class Prometheus:
    """Implements `daemon.core.ports.metrics.Metrics` and `daemon.core.ports.metrics.Peer`.

    `timeout` in seconds is the deadline of one query, waiting for a free thread included.
    Raises Permanent if a file of `trust` cannot be used.
    """

    def __init__(
        self,
        url: str,
        timeout: float,
        concurrency: int,
        bearer_token: str | None = None,
        trust: Trust | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._shown = without_credentials(self._url)
        self._secrets = [bearer_token] if bearer_token else []
        self._timeout = timeout
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="prometheus")
        self._warnings = threading.local()
        self._session = prometheus_session(bearer_token, trust)
        self._session.hooks["response"].append(self._keep_warnings)
        self._client = _PooledConnect(self._url, self._session, timeout, concurrency)

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        """The value of each series at that time."""
        params = {"time": f"{at.timestamp():.3f}"}
        return await self._query(query, lambda: self._client.custom_query(query, params=params))

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        """Values from `start` to `end`, one each `step`."""
        seconds = f"{step.total_seconds():.3f}"
        # The library rounds to whole seconds; its extra parameters have the last word.
        exact = {"start": f"{start.timestamp():.3f}", "end": f"{end.timestamp():.3f}"}
        return await self._query(
            query,
            lambda: self._client.custom_query_range(query, start, end, seconds, params=exact),
        )

    async def version(self) -> str:
        """Which version it runs; empty if it is something else that answers PromQL only."""
        loop = asyncio.get_running_loop()
        ask = partial(self._session.get, f"{self._url}{_BUILD}", timeout=self._timeout)
        try:
            async with asyncio.timeout(self._timeout):
                answer = await loop.run_in_executor(self._pool, ask)
        except requests.RequestException as error:
            raise _away(self._shown, error) from None
        if answer.status_code == 404:
            return ""
        if answer.status_code != 200:
            raise Temporary(f"Prometheus at {self._shown} answered {answer.status_code}")
        try:
            return str(answer.json()["data"]["version"])
        except (ValueError, KeyError, TypeError):
            raise _foreign(self._shown) from None

    def close(self) -> None:
        """Give up waiting queries and close the connections."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._session.close()

    async def _query(self, query: str, call: Callable[[], Any]) -> QueryAnswer:
        """Raises Temporary, Permanent, TimeoutError."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout):
                result, warnings = await loop.run_in_executor(self._pool, self._call, call)
        except requests.Timeout:
            raise TimeoutError from None
        except requests.RequestException as error:
            raise _away(self._shown, error) from None
        except PrometheusApiClientException as error:
            raise _refused(self._clean(str(error)), self._shown) from None
        try:
            return QueryAnswer(query, _all_series(result), warnings)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise _foreign(self._shown) from None

    def _call(self, call: Callable[[], Any]) -> tuple[Any, tuple[str, ...]]:
        self._warnings.found = ()
        try:
            return call(), self._warnings.found
        except (KeyError, TypeError, ValueError) as error:
            other = isinstance(error, requests.RequestException)
            if other and not isinstance(error, requests.JSONDecodeError):
                raise
            # The library reads the JSON, and data.result in it, without looking.
            return None, ()

    def _clean(self, text: str) -> str:
        """What a server answered, without our secrets: a proxy may echo what it was sent."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text

    def _keep_warnings(self, response: requests.Response, **_: object) -> None:
        if b'"warnings"' in response.content:
            try:
                found = response.json().get("warnings") or ()
            except (ValueError, AttributeError):
                found = ()
            found = found if isinstance(found, list) else [found]
            self._warnings.found = tuple(str(warning) for warning in found)


def prometheus_session(bearer_token: str | None, trust: Trust | None) -> requests.Session:
    """The way to a server. Raises Permanent if a file of `trust` cannot be used."""
    session = requests.Session()
    session.trust_env = False
    if trust is not None:
        trust.context()  # a file that is missing is told now, and not at each query
        _believe(session, trust)
    if bearer_token is not None:
        session.headers["Authorization"] = f"Bearer {bearer_token}"
    return session


def _believe(session: requests.Session, trust: Trust) -> None:
    if trust.ca is not None:
        session.verify = str(trust.ca)
    if trust.certificate is not None:
        own = str(trust.certificate)
        session.cert = own if trust.key is None else (own, str(trust.key))


def _away(shown: str, error: Exception) -> Temporary:
    why = distrust(error)
    if why:
        return Temporary(f"Prometheus at {shown}: TLS fails ({why}); see `prometheus.tls`")
    if shown.startswith("https:") and "Connection aborted" in str(error):
        # How a client sees it in TLS 1.3 that its certificate is not there or not believed.
        text = f"Prometheus at {shown} hangs up; does it want a certificate (`prometheus.tls`)?"
        return Temporary(text)
    return Temporary(f"Prometheus at {shown} cannot be reached ({type(error).__name__})")


def _foreign(shown: str) -> Permanent:
    return Permanent(f"the answer of {shown} is not Prometheus's format; is the address right?")


def without_credentials(url: str) -> str:
    """The URL for a sentence: `https://user:password@host` as `https://host`."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _all_series(result: Any) -> list[Series]:
    if len(result) == 2 and isinstance(result[1], str):  # a scalar: [time, "value"]
        return [Series({}, [(float(result[0]), float(result[1]))])]
    return [_series(item) for item in result]


def _series(item: Mapping[str, Any]) -> Series:
    values = item["values"] if "values" in item else [item["value"]]
    samples = [(float(at), float(value)) for at, value in values]
    return Series({str(k): str(v) for k, v in item["metric"].items()}, samples)


def _refused(text: str, url: str) -> Temporary | Permanent:
    """Read the status out of the library's message: 'HTTP Status Code 400 (b'…')'."""
    rest = text.removeprefix("HTTP Status Code ")
    status = rest[:3]
    short = " ".join(rest.split())[:300]
    if status in {"429", "500", "502", "503", "504"}:
        # 503 is also what Prometheus answers to a query that timed out inside it.
        return Temporary(f"Prometheus at {url} answered {short}")
    return Permanent(f"Prometheus refused the query: {short}")
