"""The secrets of people and of Alertmanager, compared in constant time.

Where no webhook token is set, the daemon listens on loopback only, and the webhook takes what
comes from this machine: neither from a proxy, which may speak for anybody, nor from a browser,
in which any site could. A person's deed always needs to be that person's.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from daemon.config.settings import same_secret
from daemon.web.auth.signatures import grafana_signed
from daemon.web.errors import HttpProblem
from daemon.web.serving.client_names import client_names

ELSEWHERE = ("Origin", "Sec-Fetch-Site", "Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")
"""What a browser or a proxy adds to a request, and Alertmanager never sends."""


SIGNATURE_HEADER = "X-Grafana-Alerting-Signature"
TOKEN = "Alertmanager must send the webhook token: http_config.authorization.credentials"  # noqa: S105
CERTIFICATE = (
    "Alertmanager must show a certificate with a name of `auth.webhook_certificates`: "
    "http_config.tls_config.cert_file and key_file"
)


UNSIGNED = (
    f"{SIGNATURE_HEADER} is missing or does not fit: Grafana's contact point must sign with the "
    "secret that `auth.webhook_signing_secret` names, and with the timestamp header that "
    "`auth.webhook_timestamp_header` names, if any; and this clock must be right"
)


@dataclass(frozen=True)
class Signing:
    """With what a sender signs what it delivers, and the header of the time that it signs with
    it, if it sends one."""

    secret: str
    timestamp_header: str = ""

    def signed(self, request: web.Request, body: bytes, now: datetime) -> bool:
        """Whether the request has such a signature."""
        name = self.timestamp_header
        timestamp = request.headers.get(name, "") if name else None
        signature = request.headers.get(SIGNATURE_HEADER, "")
        return grafana_signed(timestamp, signature, body, self.secret, now)


class SecretCheck:
    """Knows the tokens and password hashes of people by name, and the webhook's token.

    `certificates`: names of clients whose certificate does as well as the webhook's token, and
    `signing` what a signature by Grafana must be made with to do as well.
    """

    def __init__(
        self,
        people: Mapping[str, str],
        webhook: str | None,
        passwords: Mapping[str, str] | None = None,
        certificates: Collection[str] = (),
        signing: Signing | None = None,
    ) -> None:
        self._people = people
        self._webhook = webhook
        self._passwords = passwords or {}
        self._certificates = frozenset(certificates)
        self.signing = signing

    def person_of(self, token: str) -> str | None:
        """Whose token of the roster this is."""
        found = [n for n, known in self._people.items() if token and same_secret(token, known)]
        return found[0] if found else None

    def token_of(self, person: str) -> str | None:
        """The token of that person."""
        return self._people.get(person)

    def password_of(self, name: str) -> str | None:
        """The hash of that person's password."""
        return self._passwords.get(name)

    def sender(self, request: web.Request) -> None:
        """Whether this may deliver alerts. Raises Problem 401."""
        if self._certificates and not self._certificates.isdisjoint(_names_of(request)):
            return
        if self._webhook is None:
            if self.signing is not None:
                raise HttpProblem(401, "Wrong credentials", UNSIGNED)
            if self._certificates:
                raise HttpProblem(401, "Wrong credentials", CERTIFICATE)
            _must_be_local(request)
            return
        token = any_token(request)
        if not token or not same_secret(token, self._webhook):
            raise HttpProblem(401, "Wrong credentials", TOKEN)


def _names_of(request: web.Request) -> Collection[str]:
    """The names in the certificate that the client has proven to be its own."""
    transport = request.transport
    return () if transport is None else client_names(transport.get_extra_info("peercert"))


def _must_be_local(request: web.Request) -> None:
    found = [name for name in ELSEWHERE if name in request.headers]
    if found:
        raise HttpProblem(
            401,
            "Wrong credentials",
            f"this came by a browser or a proxy ({found[0]}), and anybody could be behind it: set "
            "`auth.webhook_token` in stopgap.yaml, and let the sender send it",
        )


def bearer(request: web.Request) -> str:
    """The bearer token of a request; empty if it has none."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def any_token(request: web.Request) -> str:
    """The bearer token or basic password of a request, or what stands behind another scheme, which
    Grafana lets people choose; empty if it has none."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return _basic_password(request) if kind.lower() == "basic" else token.strip()


def _basic_password(request: web.Request) -> str:
    kind, _, coded = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(coded, validate=True).decode().partition(":")[2]
    except ValueError:  # none of it is base64, or not of text
        return ""
