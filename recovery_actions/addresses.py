"""URLs and headers that a rule may name: proven character by character, and allowed by host."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, WithJsonSchema

_PRINTABLE = re.compile(r"[!-~]+")
_FORBIDDEN = re.compile(r'[@#\\"<>^`{|}]')
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOST = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
    r"|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"[!-~](?:[ -~]{0,4094}[!-~])?")
_PORTS = {"http": 80, "https": 443}
_LONGEST = 2048
_DECODINGS = 4
"""So often a path may have been encoded before `..` in it is no longer looked for."""

_OURS = frozenset(
    {"connection", "content-length", "expect", "host", "idempotency-key", "keep-alive", "te"}
    | {"proxy-authorization", "proxy-connection", "trailer", "transfer-encoding", "upgrade"}
)
_SECRET = frozenset({"authorization", "cookie", "x-api-key", "x-auth-token", "private-token"})


def _url(text: str) -> str:
    if len(text) > _LONGEST:
        raise ValueError(f"it is longer than {_LONGEST} characters")
    if not _PRINTABLE.fullmatch(text) or _BROKEN_ESCAPE.search(text):
        raise ValueError("it holds characters that a URL cannot; write them as %XX")
    if _FORBIDDEN.search(text):
        raise ValueError('no user, no fragment, none of @ # \\ " < > ^ ` { | } may stand in it')
    scheme, mark, rest = text.partition("://")
    if not mark or scheme not in _PORTS:
        raise ValueError("write it whole, like https://flags.example.org/api/checkout")
    authority = re.split("[/?]", rest, maxsplit=1)[0]
    host = _HOST.fullmatch(authority)
    if host is None or (host["port"] and not 0 < int(host["port"]) < 65536):
        raise ValueError(f"{authority[:100]!r} is not a host, or a host and a port")
    if authority.startswith("["):
        ipaddress.IPv6Address(host["name"][1:-1])
    if _climbs(urlsplit(text).path):
        raise ValueError("its path holds `.` or `..`; write the path without")
    return text


def _climbs(path: str) -> bool:
    for _ in range(_DECODINGS):
        if any(part in {".", ".."} for part in re.split(r"[/\\;]", path)):
            return True
        path = unquote(path)
    return not path.isprintable() or path != unquote(path)


def _header_name(text: str) -> str:
    if not _HEADER.fullmatch(text):
        raise ValueError("the name of a header has letters, digits and `-`")
    if text.lower() in _OURS:
        raise ValueError(f"the header {text} is set by the program itself; leave it out")
    return text


def _plain_header_name(text: str) -> str:
    if text.lower() in _SECRET:
        raise ValueError(f"{text} is a secret; write `secret_headers: {{{text}: env:NAME}}`")
    return _header_name(text)


def _header_value(text: str) -> str:
    if not sendable(text):
        raise ValueError("the value of a header is plain ASCII in one line")
    return text


def sendable(value: str) -> bool:
    """Whether a text can be the value of a header."""
    return _VALUE.fullmatch(value) is not None


UrlText = Annotated[
    str, AfterValidator(_url), WithJsonSchema({"type": "string", "pattern": "^https?://"})
]
HeaderName = Annotated[str, AfterValidator(_header_name)]
PlainHeaderName = Annotated[str, AfterValidator(_plain_header_name)]
HeaderValue = Annotated[str, AfterValidator(_header_value)]


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a proven URL."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or ""), parts.port or _PORTS[parts.scheme]


def without_query(url: str) -> str:
    """A proven URL for a sentence: a query may hold what is nobody's business."""
    return url.partition("?")[0]


def why_not_reachable(url: str, hosts: Sequence[str]) -> str | None:
    """Why no entry of `http.allow` covers this URL, with the mend; None if one does.

    An entry covers a host that equals it, at the port it names, or else at the usual one of the
    URL's scheme. Nothing in an entry stands for anything but itself.
    """
    scheme, host, port = origin(url)
    shown = f"[{host}]" if ":" in host else host
    name = shown if port == _PORTS[scheme] else f"{shown}:{port}"
    accepted = {name, f"{shown}:{port}"}
    if any(entry.lower() in accepted for entry in hosts):
        return None
    return (
        f"{name} is not in the list of allowed hosts; to allow it, add this line to "
        f"stopgap.yaml under `http: allow:`  - {name!r}".replace("'", '"')
    )
