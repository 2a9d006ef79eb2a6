"""Of stopgap.yaml: how a server that we ask over HTTP is reached."""

from __future__ import annotations

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from daemon.config.serving import TrustSettings
from daemon.core.people.contact_methods import REFERENCE, Reference
from daemon.core.values.units import Frozen, unset

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TELLING = re.compile(r"authorization|cookie|token|secret|passw|api-?key", re.IGNORECASE)
"""What the name of a header says whose value is a secret."""
_OURS = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection"})
ENVIRONMENT = "environment"
"""The `proxy` that the environment names."""


def _headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        # No message repeats a value: it may be a secret.
        if not _TOKEN.fullmatch(name) or name.casefold() in _OURS:
            raise ValueError(f"{name!r} is no header that can be set here")
        if REFERENCE.fullmatch(value):
            continue
        if not value or not value.isascii() or not value.isprintable():
            raise ValueError(f"the value of {name} is not one line of ASCII")
        if _TELLING.search(name):
            raise ValueError(
                f"the value of {name} is a secret: say where it is, env:NAME or file:PATH"
            )
    if len({name.casefold() for name in headers}) < len(headers):
        raise ValueError("a header is given twice; capital letters make no difference")
    return headers


def _proxy(value: object) -> object:
    if not isinstance(value, str) or value == ENVIRONMENT or REFERENCE.fullmatch(value):
        return value
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(
            "write `environment`, an address like http://proxy:3128, or env:NAME or file:PATH of it"
        )
    if parts.username or parts.password:
        raise ValueError("credentials do not stand here: give env:NAME or file:PATH of the address")
    return value


HeaderValues = Annotated[dict[str, str], AfterValidator(_headers)]
"""Headers by name; each value is literal, or the reference to a secret."""
ProxyChoice = Annotated[
    str,
    BeforeValidator(_proxy),
    WithJsonSchema({"type": "string", "description": "environment, an address or a reference"}),
]


def _no_login(url: str) -> str:
    # Not repeated: what stands before the @ may be a password.
    if "@" in urlsplit(url).netloc:
        raise ValueError("credentials do not stand in this address, which is told in messages")
    return url


PlainUrl = Annotated[str, Field(pattern="^https?://"), AfterValidator(_no_login)]
"""An address of the web that anybody may read."""


class AccessSettings(Frozen):
    """Who we are to a server, and the way to it. At most one of `username` with `password`, a
    `bearer_token`, and an `Authorization` in `headers`.

    `proxy`: None goes straight, whatever the environment says, for a server in the cluster is not
    reached by the proxy to the world; `environment` goes as HTTPS_PROXY and NO_PROXY say.
    """

    username: str | None = Field(default=None, min_length=1, pattern="^[^:]+$")
    password: Reference | None = None
    bearer_token: Reference | None = None
    headers: HeaderValues = Field(default_factory=dict)
    tls: TrustSettings = unset(TrustSettings)
    proxy: ProxyChoice | None = None

    @model_validator(mode="after")
    def _one_identity(self) -> Self:
        if self.password is not None and self.username is None:
            raise ValueError("`password` is the one of `username`, which is not set")
        named = {
            "`username`": self.username is not None,
            "`bearer_token`": self.bearer_token is not None,
            "`headers: Authorization`": any(n.casefold() == "authorization" for n in self.headers),
        }
        given = [name for name, there in named.items() if there]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} both say who we are; keep one of them")
        return self

    @property
    def references(self) -> dict[str, str]:
        """The references to secrets that are no field of their own, by their place."""
        found = {f"headers.{n}": v for n, v in self.headers.items() if REFERENCE.fullmatch(v)}
        if self.proxy is not None and REFERENCE.fullmatch(self.proxy):
            found["proxy"] = self.proxy
        return found
