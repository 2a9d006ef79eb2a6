"""How the API server is reached: kubernetes_asyncio reads the configuration and builds the TLS.

Beyond that its transport is used bare: its generated models would drop fields that they do not
know, and its own logging writes whole objects, in which environment variables may be secrets.
"""

from __future__ import annotations

import asyncio
import binascii
import logging
import ssl
from dataclasses import dataclass
from typing import Any

import aiohttp
import yaml
from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.client.rest import RESTClientObject
from kubernetes_asyncio.config import (
    ConfigException,
    load_incluster_config,
    load_kube_config,
)
from yarl import URL

from daemon.adapters.outgoing.sessions import CheckedResolver, address_guard
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.outgoing import NOTHING_ALLOWED, OutgoingPolicy
from daemon.core.values.units import format_duration, printable
from recovery_actions.workshop import Cluster

# It logs what credential plugins print, and bodies of answers; neither belongs in a log.
logging.getLogger("kubernetes_asyncio").setLevel(logging.CRITICAL)

_BROKEN = (ConfigException, OSError, yaml.YAMLError, ssl.SSLError, binascii.Error)
_MALFORMED = (KeyError, TypeError, ValueError, AssertionError, AttributeError)


@dataclass(frozen=True)
class ApiReply:
    """What the server sent: the status, the raw body, and when it wants to be asked again."""

    status: int
    body: bytes
    retry_after: str = ""


class ApiConnection:
    """One way to the API server, with credentials that can be renewed."""

    def __init__(self, cluster: Cluster, outgoing: OutgoingPolicy = NOTHING_ALLOWED) -> None:
        self._cluster = cluster
        self._outgoing = outgoing
        self._configuration: Any = None
        self._rest: Any = None
        self._old: list[Any] = []
        self._reading: asyncio.Task[Any] | None = None

    @property
    def loaded(self) -> bool:
        """Whether it can be asked; if not, `load` it."""
        return self._rest is not None

    async def load(self) -> None:
        """Read the configuration, or read it again. Raises Temporary or Permanent."""
        configuration = await self._read()
        if not _is_address(configuration.host):
            raise Permanent(f"the server that {self._where} names is no address of one")
        if self._rest is None or _transport(configuration) != _transport(self._configuration):
            try:
                rest = RESTClientObject(configuration)
            except (OSError, ssl.SSLError) as error:
                raise Permanent(
                    f"the certificates that {self._where} names cannot be used: "
                    f"{type(error).__name__}; look at certificate-authority and client-certificate"
                ) from error
            _pin(rest, self._policy(configuration.host))
            if self._rest is not None:
                self._old.append(self._rest)  # a request may still be under way on it
            self._rest = rest
        self._configuration = configuration

    async def request(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes | None
    ) -> ApiReply:
        """Ask once. Raises Permanent, aiohttp's errors, OSError and TimeoutError."""
        url = URL(f"{self._configuration.host}{path}{'?' + query if query else ''}", encoded=True)
        try:
            credentials = await self._configuration.get_api_key_with_prefix("BearerToken")
        except (ConfigException, OSError) as error:  # a pod's token is read again each minute
            raise Permanent(self._unusable(error)) from error
        options: dict[str, Any] = {}
        if self._rest.proxy:
            options["proxy"] = self._rest.proxy
        if self._rest.server_hostname:
            options["server_hostname"] = self._rest.server_hostname
        # Files of tokens often end in a newline, which kubectl leaves out as well.
        credentials = (credentials or "").strip()
        if not (credentials.isascii() and credentials.isprintable()):
            raise Permanent(f"the token that {self._where} names is no token; make it one line")
        authorization = {"Authorization": credentials} if credentials else {}
        session: aiohttp.ClientSession = self._rest.pool_manager
        async with session.request(
            method,
            url,
            headers=headers | authorization,
            data=body,
            allow_redirects=False,
            middlewares=(address_guard(self._policy(self._configuration.host)),),
            **options,
        ) as response:
            again = response.headers.get("Retry-After", "")
            return ApiReply(response.status, await response.read(), again)

    async def close(self) -> None:
        """Close all connections."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
            self._reading = None
        for rest in [*self._old, self._rest]:
            if rest is not None:
                await rest.close()
        self._old, self._rest = [], None

    def _policy(self, host: str) -> OutgoingPolicy:
        """The file of the operator names the server, so this machine is theirs to name."""
        return self._outgoing.at(self._where).trusting(host)

    @property
    def _where(self) -> str:
        return f"kubeconfig {self._cluster.kubeconfig}" if self._cluster.kubeconfig else "the pod"

    async def _read(self) -> Any:
        if self._reading is None:
            self._reading = asyncio.create_task(self._configure())
        reading = self._reading
        # A credential plugin that hangs cannot be stopped from here. It is left to itself and
        # joined by the next attempt, so that there is never more than one.
        done, _ = await asyncio.wait({reading}, timeout=self._cluster.timeout.total_seconds())
        if not done:
            limit = format_duration(self._cluster.timeout)
            text = f"the credentials of {self._where} took more than {limit} to get"
            raise Temporary(f"{text}; look at its exec plugin")
        self._reading = None
        try:
            return reading.result()
        except _BROKEN as error:
            raise Permanent(self._unusable(error)) from error
        except _MALFORMED as error:
            text = f"{self._where} is not well-formed ({type(error).__name__})"
            raise Permanent(f"{text}; look whether `kubectl config view` reads it") from error

    async def _configure(self) -> Any:
        # The class hands out copies of a shared default when called; this makes a fresh one.
        configuration: Any = type.__call__(Configuration)
        # As kubectl, and Python before 3.13: many clusters' own authorities lack the extensions
        # that the strict mode wants.
        configuration.disable_strict_ssl_verification = True
        if self._cluster.kubeconfig is None:
            load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        elif not self._cluster.kubeconfig.is_file():
            raise ConfigException("there is no such file")
        else:
            loader = await load_kube_config(
                config_file=str(self._cluster.kubeconfig),
                context=self._cluster.context,
                client_configuration=configuration,
                persist_config=False,
            )
            user = getattr(loader, "_user", None)
            if user is not None and "as" in user:
                # Leaving it out would mean to act with rights that nobody meant to give.
                raise ConfigException(
                    "it impersonates somebody (`as`), which is not supported; give a token or a "
                    "certificate of that user"
                )
        return configuration

    def _unusable(self, error: Exception) -> str:
        if self._cluster.kubeconfig is None:
            return (
                f"there is no way to the cluster ({printable(str(error))}): name a file in "
                "`kubernetes: kubeconfig:` of stopgap.yaml, or run in a pod with a service account"
            )
        if isinstance(error, yaml.YAMLError | ssl.SSLError | binascii.Error):
            why = f"it is broken ({type(error).__name__})"
        elif isinstance(error, ConfigException):
            # What a credential plugin printed comes after the first full stop.
            why = printable(str(error))
            why = why.split(". ")[0] if why.startswith("exec:") else why[:300]
        else:
            why = getattr(error, "strerror", None) or type(error).__name__
            if which := getattr(error, "filename", None):  # of a credential plugin, most likely
                why = f"{printable(str(which))}: {why}"
        return f"{self._where} cannot be used: {why}"


def _pin(rest: Any, policy: OutgoingPolicy) -> None:
    """Have the library's own session connect to checked addresses alone; it takes no connector."""
    connector = rest.pool_manager.connector
    connector._resolver = CheckedResolver(policy, connector._resolver)  # noqa: SLF001


def _is_address(host: str) -> bool:
    try:
        url = URL(host)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.host)


def _transport(configuration: Any) -> tuple[object, ...]:
    names = ("host", "ssl_ca_cert", "cert_file", "key_file", "verify_ssl", "tls_server_name")
    return (*(getattr(configuration, name) for name in names), configuration.proxy)
