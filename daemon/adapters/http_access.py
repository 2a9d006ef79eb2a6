"""How a server is reached over HTTP: who we are to it, whom we believe, and by which proxy.

The same description serves both of our clients, requests (Prometheus's library) and aiohttp.
"""

from __future__ import annotations

import html
import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from daemon.adapters.outgoing.sessions import address_guard
from daemon.adapters.tls import Trust
from daemon.core.values.outcome import Permanent
from daemon.core.values.outgoing import NOTHING_ALLOWED, OutgoingPolicy

_REMOVED = "…"
_NO_TENANT = "no org id"
"""What Mimir and Cortex answer if no tenant is named."""


@dataclass(frozen=True)
class HttpAccess:
    """A server. `url` may hold credentials, `address` has none; `setting` is where it is described.

    `headers` go with each request; `secrets` are what nobody may read of them, nor of `proxy`.
    `outgoing` says where a connection may lead; this machine, if the URL says so literally, is the
    operator's own. Raises Permanent if a header cannot be sent.
    """

    url: str
    setting: str = "prometheus"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    trust: Trust | None = None
    proxy: str = field(default="", repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    outgoing: OutgoingPolicy = NOTHING_ALLOWED

    def __post_init__(self) -> None:
        for name, value in self.sent.items():
            if not value.isascii() or not value.isprintable():
                raise Permanent(
                    f"`{self.setting}`: what is sent as {name} is not one line of ASCII; look at "
                    "the secret"
                )

    @cached_property
    def address(self) -> str:
        """The URL without credentials and without a slash at its end."""
        parts = urlsplit(self.url.rstrip("/"))
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    @cached_property
    def sent(self) -> Mapping[str, str]:
        """All headers, with the credentials of the URL."""
        parts = urlsplit(self.url)
        if parts.username is None:
            return self.headers
        given = basic(unquote(parts.username), unquote(parts.password or ""))
        return {**self.headers, "Authorization": given}

    def clean(self, text: str) -> str:
        """What a server said without our secrets, however it echoes them."""
        for secret in self._spelled:
            text = text.replace(secret, _REMOVED)
        return text

    @cached_property
    def policy(self) -> OutgoingPolicy:
        """Where a connection to this server may lead."""
        return self.outgoing.at(self.setting).trusting(self.url)

    def options(self) -> dict[str, Any]:
        """What a request by aiohttp is given beside the address. It follows no redirect, which
        would take our headers to somebody else. Raises Permanent if a file cannot be used."""
        return {
            "headers": dict(self.sent),
            "ssl": True if self.trust is None else self.trust.context(),
            "proxy": self.proxy or None,
            "allow_redirects": False,
            "middlewares": (address_guard(self.policy),),
        }

    def redirected(self, status: int, location: str) -> Permanent:
        """The error of an answer that sends us elsewhere."""
        parts = urlsplit(location)
        where = f" to {parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""
        return Permanent(
            f"{self.address} answers {status}, a redirect{self.clean(where)}, which is not "
            f"followed; {self._mend('url')} where the API itself is, or name credentials if it "
            "leads to a login"
        )

    def unknown(self, status: int, said: str) -> Permanent:
        """The error of an answer that does not accept who we are."""
        text = " ".join(self.clean(said).replace(";", ",").split())[:200]
        asked = f" ({text})" if text else ""
        if status == 407:
            text = f"the proxy to {self.address} answers 407{asked}"
            return Permanent(f"{text}; see {self._mend('proxy')}")
        if _NO_TENANT in text:
            return Permanent(
                f"{self.address} answers {status} ({_NO_TENANT}): it wants a tenant; name it as "
                f"X-Scope-OrgID in {self._mend('headers')}"
            )
        return Permanent(
            f"{self.address} answers {status}{asked}: it does not accept who we are; see "
            f"{self._mend('access')}"
        )

    def _mend(self, what: Literal["url", "proxy", "headers", "access"]) -> str:
        """What to set: in a file of settings, or with an option of the command line."""
        if self.setting.startswith("--"):
            told = {"url": f"give {self.setting}", "proxy": "--proxy", "headers": "--header"}
            return told.get(what, "--username, --bearer-token, --header and --ca")
        told = {
            "url": f"set `{self.setting}.url` to",
            "proxy": f"`{self.setting}.proxy`",
            "headers": f"`{self.setting}.headers`",
        }
        return told.get(
            what, f"`username`, `bearer_token`, `headers` and `tls` of `{self.setting}`"
        )

    @cached_property
    def _spelled(self) -> tuple[str, ...]:
        """The secrets as they may be echoed, the longest first."""
        found = {spelled for secret in self._all_secrets() for spelled in _spellings(secret)}
        return tuple(sorted(found - {""}, key=len, reverse=True))

    def _all_secrets(self) -> Iterable[str]:
        yield from self.secrets
        for url in (self.url, self.proxy):
            parts = urlsplit(url)
            if parts.password:
                yield from (parts.password, unquote(parts.password))
        authorization = self.sent.get("Authorization", "")
        yield authorization.partition(" ")[2] or authorization


def basic(username: str, password: str) -> str:
    """The value of `Authorization`."""
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()


def _spellings(secret: str) -> Iterable[str]:
    escaped = repr(secret.encode())[2:-1]
    return (secret, quote(secret, safe=""), html.escape(secret), json.dumps(secret)[1:-1], escaped)
